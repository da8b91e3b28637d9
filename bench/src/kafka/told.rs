//! What stands in topic `detections` for a reader of committed records, and since when.

use std::time::Duration;

use logystera_infra::log::Log;
use logystera_schemas::detection::{Detection, DetectionReason, DetectionState};
use logystera_schemas::signals_topic::Tick;
use logystera_schemas::topic::{DetectionsRecord, Topic};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

use super::place::Place;
use crate::BenchError;
use crate::oracle::{Firing, Firings, Key, PANE_MS};

/// How long the broker may wait for more, milliseconds: longer costs less, and delays nothing.
const FETCH_WAIT_MS: &str = "100";

/// What a read found.
#[derive(Debug, Default)]
pub struct Found {
    /// Detections.
    pub detections: Vec<Detection>,
    /// Ticks that the processor passed on.
    pub ticks: Vec<Tick>,
}

/// A consumer of all partitions, such as anybody would have. The log's own `read` is for those who come now and then: it asks
/// for a partition's end each time, and waits there for what may be marks of transactions only.
pub struct Told {
    consumer: BaseConsumer,
}

impl Told {
    /// From the start.
    pub fn new(place: &Place) -> Result<Self, BenchError> {
        Self::open(place, |_| Ok(0))
    }

    /// From where they end now for a reader of committed records.
    pub fn from_now(place: &Place) -> Result<Self, BenchError> {
        Self::open(place, |partition| Ok(place.log.bounds(Topic::Detections, partition)?.end))
    }

    fn open(place: &Place, from: impl Fn(u32) -> Result<u64, BenchError>) -> Result<Self, BenchError> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &place.brokers)
            .set("group.id", format!("{}bench", place.prefix))
            .set("isolation.level", "read_committed")
            .set("enable.auto.commit", "false")
            .set("fetch.wait.max.ms", FETCH_WAIT_MS)
            .create()?;
        let mut list = TopicPartitionList::new();
        let topic = format!("{}{}", place.prefix, Topic::Detections.name());
        for partition in 0..place.log.partitions(Topic::Detections) {
            list.add_partition_offset(&topic, partition as i32, Offset::Offset(from(partition)? as i64))?;
        }
        consumer.assign(&list)?;
        Ok(Self { consumer })
    }

    /// What is committed and was not given before; waits for the first of it, at most so long.
    pub fn read(&self, wait: Duration) -> Result<Found, BenchError> {
        let (mut found, mut wait) = (Found::default(), wait);
        while let Some(message) = self.consumer.poll(wait) {
            wait = Duration::ZERO;
            let message = message?;
            match DetectionsRecord::decode(message.payload().unwrap_or_default())? {
                DetectionsRecord::Detection(detection) => found.detections.push(*detection),
                // Every partition has each tick.
                DetectionsRecord::Tick(tick) if message.partition() == 0 => found.ticks.push(tick),
                _ => {}
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
