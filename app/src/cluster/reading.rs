//! The log of an installation, for commands that change nothing: no topic is made, no group joined, no key needed.

use std::ops::Range;
use std::path::Path;

use logystera_infra::control::{Directory, DirectoryWatch};
use logystera_infra::kafka::{Kafka, KafkaLog};
use logystera_infra::log::{Log, LogError, Record};
use logystera_processor::task::APP;
use logystera_schemas::topic::Topic;

use super::config::Config;
use crate::cli::CliError;
use crate::reading::Reading;

/// An installation's log.
pub(crate) struct ClusterLog {
    kafka: Kafka,
    log: KafkaLog,
}

impl ClusterLog {
    /// Connects to the cluster that a file describes.
    pub(crate) fn open(file: &Path) -> Result<Self, CliError> {
        let kafka = Kafka::new(Config::read(file)?.kafka());
        let log = kafka.log()?;
        Ok(Self { kafka, log })
    }
}

impl Reading for ClusterLog {
    fn partitions(&self, topic: Topic) -> u32 {
        self.log.partitions(topic)
    }

    fn bounds(&self, topic: Topic, partition: u32) -> Result<Range<u64>, LogError> {
        self.log.bounds(topic, partition)
    }

    fn read(&self, topic: Topic, partition: u32, from: u64, bytes_max: usize) -> Result<Vec<Record>, LogError> {
        self.log.read(topic, partition, from, bytes_max)
    }

    fn directory(&self) -> Result<Directory, LogError> {
        Ok(Directory::clone(&DirectoryWatch::load(self.log.clone())?.view().current()))
    }

    fn position(&self, partition: u32) -> Result<u64, LogError> {
        self.kafka.position(APP, Topic::Signals, partition)
    }
}
