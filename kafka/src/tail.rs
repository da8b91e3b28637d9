//! The newest records of many partitions at once, for a process that starts and has little time.
//!
//! It looks a little way back first, in every partition, then ten times as far, and so on: whatever ends it, time,
//! bytes or a partition that does not answer, what it has is the newest.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use logystera_infra::clock::Stopwatch;
use logystera_infra::log::LogError;
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::Offset;

use crate::client::{away, consumer};
use crate::config::KafkaConfig;
use crate::reader::{assign, assigned, whole_ms};

/// Offsets that the first look goes back.
const FIRST_LOOK: u64 = 10;
/// How many times as far each look goes back as the one before.
const STEP: u64 = 10;

/// How far back a tail reaches at most, whatever comes first.
#[derive(Clone, Copy, Debug)]
pub struct TailBounds {
    /// Offsets of each partition.
    pub offsets: u64,
    /// Bytes of the records that are read, of all partitions together.
    pub bytes: usize,
    /// How long it may take.
    pub wait: Duration,
}

/// What was kept of the newest records.
#[derive(Debug)]
pub struct Tail<T> {
    /// By partition, in the order of the log.
    pub kept: BTreeMap<u32, Vec<T>>,
    /// Partitions that did not answer in time: of these there may be newer records than those that were kept.
    pub unread: usize,
}

/// What `keep` makes of the newest committed records in each partition of a topic.
pub(crate) fn read<T>(
    config: &KafkaConfig,
    topic: &str,
    partitions: u32,
    bounds: TailBounds,
    mut keep: impl FnMut(&[u8]) -> Option<T>,
) -> Result<Tail<T>, LogError> {
    let (stopwatch, mut budget) = (Stopwatch::start(), bounds.bytes);
    let from = |offsets: u64| (0..partitions).map(move |partition| (partition, Offset::OffsetTail(offsets as i64)));
    let mut look = FIRST_LOOK.min(bounds.offsets);
    let consumer = assigned(consumer(config), topic, from(look), "earliest")?;
    let mut kept: BTreeMap<u32, BTreeMap<i64, T>> = BTreeMap::new();
    let (mut unread, mut failed) = (None, None);
    loop {
        let (mut open, before): (BTreeSet<u32>, _) = ((0..partitions).collect(), budget);
        while !open.is_empty() && budget > 0 && stopwatch.elapsed() < bounds.wait {
            match consumer.poll(whole_ms(bounds.wait.saturating_sub(stopwatch.elapsed()))) {
                Some(Ok(message)) => {
                    let value = message.payload().unwrap_or_default();
                    budget = budget.saturating_sub(value.len());
                    let of_partition = kept.entry(message.partition() as u32).or_default();
                    of_partition.extend(keep(value).map(|value| (message.offset(), value)));
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    open.remove(&(partition as u32));
                }
                // It may be about one partition only, and pass.
                Some(Err(error)) => failed = Some(error),
                None => {}
            }
        }
        let unread = *unread.get_or_insert(open.len());
        if let Some(error) = failed.as_ref().filter(|_| unread == partitions as usize) {
            return Err(away(topic, error));
        }
        let next = (look * STEP).min(bounds.offsets);
        // What the next look would take, by what this one took: none is begun that the bytes would end.
        let would_take = (before - budget).saturating_mul((next / look) as usize);
        if next == look || !open.is_empty() || would_take > budget {
            let kept = kept.into_iter().map(|(partition, records)| (partition, records.into_values().collect()));
            return Ok(Tail { kept: kept.collect(), unread });
        }
        look = next;
        assign(&consumer, topic, from(look))?;
    }
}
