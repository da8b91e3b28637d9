//! What stands in topic `detections` for a reader of committed records, and since when.

use logystera_infra::log::Log;
use logystera_schemas::detection::{Detection, DetectionReason, DetectionState};
use logystera_schemas::limits::READ_BYTES_MAX;
use logystera_schemas::signals_topic::Tick;
use logystera_schemas::topic::{DetectionsRecord, Topic};

use super::place::Place;
use crate::BenchError;
use crate::oracle::{Firing, Firings, Key, PANE_MS};

/// What a read found.
#[derive(Debug, Default)]
pub struct Found {
    /// Detections.
    pub detections: Vec<Detection>,
    /// Ticks that the processor passed on.
    pub ticks: Vec<Tick>,
}

/// Reads on in all partitions.
#[derive(Debug)]
pub struct Told<'a> {
    place: &'a Place,
    next: Vec<u64>,
}

impl<'a> Told<'a> {
    /// From the start.
    pub fn new(place: &'a Place) -> Self {
        let partitions = place.log.partitions(Topic::Detections);
        Self { place, next: vec![0; partitions as usize] }
    }

    /// From where it ends now for a reader of committed records.
    pub fn from_now(place: &'a Place) -> Result<Self, BenchError> {
        let partitions = 0..place.log.partitions(Topic::Detections);
        let end = |partition| Ok(place.log.bounds(Topic::Detections, partition)?.end);
        Ok(Self { place, next: partitions.map(end).collect::<Result<_, BenchError>>()? })
    }

    /// Where it reads on.
    pub fn ends(&self) -> &[u64] {
        &self.next
    }

    /// What is committed and was not given before.
    pub fn read(&mut self) -> Result<Found, BenchError> {
        let mut found = Found::default();
        for (partition, next) in self.next.iter_mut().enumerate() {
            loop {
                let records = self.place.log.read(Topic::Detections, partition as u32, *next, READ_BYTES_MAX)?;
                let Some(last) = records.last() else { break };
                *next = last.offset + 1;
                for record in &records {
                    match DetectionsRecord::decode(&record.value)? {
                        DetectionsRecord::Detection(detection) => found.detections.push(*detection),
                        // Every partition has each tick.
                        DetectionsRecord::Tick(tick) if partition == 0 => found.ticks.push(tick),
                        _ => {}
                    }
                }
            }
        }
        Ok(found)
    }
}

/// The firings among detections, by the group's `site|source|rule`, in their order.
pub fn firings(detections: &[Detection]) -> Firings {
    let mut firings = Firings::new();
    for detection in detections.iter().filter(|d| d.state == DetectionState::Firing) {
        firings.entry(key(detection)).or_default().push(firing(detection));
    }
    firings
}

fn key(detection: &Detection) -> Key {
    // Our hash is the peers' source and eight bytes more.
    let source = detection.group.first().map_or("", |label| &label.value[..16]);
    format!("{}|{source}|{}", detection.site, detection.rule)
}

fn firing(detection: &Detection) -> Firing {
    // A firing that ends a suppression is told when it ends; its episode may have begun long before.
    let at = match detection.reason {
        DetectionReason::SuppressionExpired => detection.last_evaluated_at,
        _ => detection.started_at,
    };
    Firing { window_end: (at.div_euclid(PANE_MS) + 1) * PANE_MS, count: detection.count }
}
