//! Reads a changelog again, to restore what was derived from it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use logystera_infra::clock::Stopwatch;
use logystera_infra::log::LogError;
use metrics::Gauge;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::Offset;

use crate::bounds::Bounds;
use crate::client::{away, consumer};
use crate::config::KafkaConfig;
use crate::reader::{END_WAIT, READ_WAIT, assigned, is_lost_contact};
use crate::state_store::shown;

/// How long a changelog may stay behind an open transaction of another owner.
const CHANGELOG_WAIT: Duration = Duration::from_secs(30);

/// Gives every committed record in these ranges of a changelog's partitions to `take`. The ends are of everything,
/// committed or not. `remaining` falls from what is to be read to nothing.
pub(crate) fn read_changelog(
    config: &KafkaConfig,
    topic: &str,
    mut ranges: BTreeMap<u32, Range<u64>>,
    remaining: &Gauge,
    mut take: impl FnMut(&[u8], Option<&[u8]>) -> Result<(), LogError>,
) -> Result<(), LogError> {
    ranges.retain(|_, range| !range.is_empty());
    if ranges.is_empty() {
        return Ok(());
    }
    let mut remaining = Remaining::new(remaining, &ranges);
    let committed = Bounds::committed(config)?;
    let starts = ranges.iter().map(|(partition, range)| (*partition, Offset::Offset(range.start as i64)));
    let consumer = assigned(consumer(config), topic, starts, "earliest")?;
    let (mut heard, mut waiting, mut lost_contact) = (Stopwatch::start(), Vec::new(), None);
    while !ranges.is_empty() {
        match consumer.poll(END_WAIT) {
            Some(Ok(message)) => {
                take(message.key().unwrap_or_default(), message.payload())?;
                remaining.read(&mut ranges, &message);
                lost_contact = None;
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                waiting.push(partition as u32);
                lost_contact = None;
            }
            Some(Err(error)) if is_lost_contact(&error) => {
                lost_contact.get_or_insert((Stopwatch::start(), error));
            }
            Some(Err(error)) => return Err(away(topic, &error)),
            None if heard.elapsed() < CHANGELOG_WAIT => {}
            None => return Err(LogError::Away(format!("{topic}: another owner's transaction stays open"))),
        }
        if let Some((_, error)) = lost_contact.as_ref().filter(|(since, _)| since.elapsed() >= READ_WAIT) {
            return Err(away(topic, error));
        }
        // The end of what is committed; an open transaction of another owner can hide what stands behind it.
        while let Some(partition) = waiting.pop() {
            let end = ranges.get(&partition).map(|range| range.end);
            if end.is_some_and(|end| committed.get(topic, partition).is_ok_and(|b| b.end >= end)) {
                ranges.remove(&partition);
            }
            heard = Stopwatch::start();
        }
    }
    Ok(())
}

/// Shows how much of a changelog is still to be read; tasks of one application share the gauge.
struct Remaining<'a> {
    gauge: &'a Gauge,
    shown: f64,
    read: u64,
}

/// Records between two looks at what remains.
const REMAINING_STEP: u64 = 1_000;

impl<'a> Remaining<'a> {
    fn new(gauge: &'a Gauge, ranges: &BTreeMap<u32, Range<u64>>) -> Self {
        let mut remaining = Self { gauge, shown: 0.0, read: 0 };
        remaining.show(ranges);
        remaining
    }

    fn show(&mut self, ranges: &BTreeMap<u32, Range<u64>>) {
        let now: u64 = ranges.values().map(|range| range.end.saturating_sub(range.start)).sum();
        self.gauge.increment(shown(now) - self.shown);
        self.shown = shown(now);
    }

    fn read(&mut self, ranges: &mut BTreeMap<u32, Range<u64>>, message: &BorrowedMessage<'_>) {
        if let Some(range) = ranges.get_mut(&(message.partition() as u32)) {
            range.start = message.offset() as u64 + 1;
        }
        self.read += 1;
        if self.read.is_multiple_of(REMAINING_STEP) {
            self.show(ranges);
        }
    }
}

impl Drop for Remaining<'_> {
    fn drop(&mut self) {
        self.gauge.decrement(self.shown);
    }
}
