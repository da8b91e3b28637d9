//! The log as those read it who change nothing, such as commands and replays: a data folder's, or that of an installation
//! on Kafka.

use std::ops::Range;
use std::sync::Arc;

use logystera_schemas::control::RuleSet;
use logystera_schemas::ids::{KeyGroup, Sha256Digest};
use logystera_schemas::limits::READ_BYTES_MAX;
use logystera_schemas::topic::Topic;

use crate::directory::{Directory, Skips};
use crate::embedded::EmbeddedReader;
use crate::log::{LogError, Record};

/// A partition of a generation of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PartitionId {
    /// How often the topic had grown.
    pub generation: u32,
    /// Partition.
    pub partition: u32,
}

impl std::fmt::Display for PartitionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.generation {
            0 => write!(f, "{}", self.partition),
            generation => write!(f, "{generation}/{}", self.partition),
        }
    }
}

/// A log that is only read.
pub trait Reading {
    /// Partitions of each generation of a topic, the oldest first.
    fn generations(&self, topic: Topic) -> Vec<u32>;

    /// Offsets from the oldest record to one past the newest committed one.
    fn bounds(&self, topic: Topic, part: PartitionId) -> Result<Range<u64>, LogError>;

    /// Committed records from offset `from` on, at least one if there is one, then as many as fit `bytes_max`.
    fn read(&self, topic: Topic, part: PartitionId, from: u64, bytes_max: usize) -> Result<Vec<Record>, LogError>;

    /// What is configured now, and how the topics are laid out: from here on this log knows the generations that there
    /// are.
    fn directory(&self) -> Result<Directory, LogError>;

    /// Offset that `app` reads next of a partition of its input.
    fn position(&self, app: &str, input: Topic, part: PartitionId) -> Result<u64, LogError>;

    /// As [`Self::read`], but a record that is passed over and whose checksum is wrong is given empty, in place of an
    /// error.
    fn read_on(&self, topic: Topic, part: PartitionId, from: u64, skips: &Skips) -> Result<Vec<Record>, LogError> {
        match self.read(topic, part, from, READ_BYTES_MAX) {
            Err(LogError::Checksum { offset, .. }) if skips.has(offset) => {
                Ok(vec![Record { offset, ..Record::default() }])
            }
            read => read,
        }
    }

    /// A rule set that was ever published: see [`Directory::rule_set`].
    fn rule_set(&self, directory: &Directory, digest: &Sha256Digest) -> Result<Option<Arc<RuleSet>>, LogError> {
        let control = PartitionId { generation: 0, partition: 0 };
        directory.rule_set(digest, |from| self.read(Topic::Control, control, from, 1))
    }

    /// Every partition of a topic, the oldest generation first.
    fn partitions(&self, topic: Topic) -> Vec<PartitionId> {
        let generations = (0..).zip(self.generations(topic));
        generations
            .flat_map(|(generation, count)| (0..count).map(move |partition| PartitionId { generation, partition }))
            .collect()
    }

    /// Gives each record of a topic that is still there to `take`: partition by partition, the oldest generation first, each to
    /// the end that it has when it is its turn. One that is passed over may be empty.
    fn each_record(&self, topic: Topic, take: &mut dyn FnMut(&Record)) -> Result<(), LogError> {
        each_record_of(self, topic, self.partitions(topic), |record| {
            take(record);
            Ok(())
        })
    }

    /// The partitions of a topic that a key is in, the oldest generation first.
    fn partitions_of(&self, topic: Topic, key_group: KeyGroup) -> Vec<PartitionId> {
        let generations = (0..).zip(self.generations(topic));
        generations
            .map(|(generation, count)| PartitionId { generation, partition: key_group.partition(count) })
            .collect()
    }
}

/// Gives each record of these partitions of a topic to `take`, in their order, each to the end that it has when it is its turn. One
/// that is passed over may be empty.
///
/// # Errors
///
/// If the log can't be read, or `take` says so.
pub fn each_record_of<E: From<LogError>>(
    log: &(impl Reading + ?Sized),
    topic: Topic,
    partitions: impl IntoIterator<Item = PartitionId>,
    mut take: impl FnMut(&Record) -> Result<(), E>,
) -> Result<(), E> {
    let directory = log.directory()?;
    for partition in partitions {
        let skips = directory.skips(topic, partition.generation, partition.partition);
        let Range { start: mut from, end } = log.bounds(topic, partition)?;
        while from < end {
            let records = log.read_on(topic, partition, from, &skips)?;
            let Some(last) = records.last() else { break };
            from = last.offset + 1;
            records.iter().filter(|record| record.offset < end).try_for_each(&mut take)?;
        }
    }
    Ok(())
}

/// A folder has one partition of each topic.
impl Reading for EmbeddedReader {
    fn generations(&self, _: Topic) -> Vec<u32> {
        vec![1]
    }

    fn bounds(&self, topic: Topic, _: PartitionId) -> Result<Range<u64>, LogError> {
        Self::bounds(self, topic)
    }

    fn read(&self, topic: Topic, _: PartitionId, from: u64, bytes_max: usize) -> Result<Vec<Record>, LogError> {
        Self::read(self, topic, from, bytes_max)
    }

    fn directory(&self) -> Result<Directory, LogError> {
        Directory::read_from(self)
    }

    fn position(&self, app: &str, _: Topic, _: PartitionId) -> Result<u64, LogError> {
        Ok(Self::position(self, app)?.unwrap_or(0))
    }
}
