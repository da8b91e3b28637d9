//! The log as commands read it that change nothing: a data folder's, or that of an installation on Kafka.

use std::ops::Range;

use logystera_infra::control::Directory;
use logystera_infra::embedded::EmbeddedReader;
use logystera_infra::log::{LogError, Record};
use logystera_processor::task::APP;
use logystera_schemas::topic::Topic;

use crate::cli::{CliError, ClusterArgs, DataArgs};

/// A log that is only read.
pub(crate) trait Reading {
    /// Partitions of a topic.
    fn partitions(&self, topic: Topic) -> u32;

    /// Offsets from the oldest record to one past the newest committed one.
    fn bounds(&self, topic: Topic, partition: u32) -> Result<Range<u64>, LogError>;

    /// Committed records from offset `from` on, at least one where there is one, then as many as fit `bytes_max`.
    fn read(&self, topic: Topic, partition: u32, from: u64, bytes_max: usize) -> Result<Vec<Record>, LogError>;

    /// What is configured.
    fn directory(&self) -> Result<Directory, LogError>;

    /// Offset of `signals` that the processor of a partition reads next.
    fn position(&self, partition: u32) -> Result<u64, LogError>;
}

/// Opens the cluster's log where `cluster` names one, else the folder's.
pub(crate) fn open(data: &DataArgs, cluster: &ClusterArgs) -> Result<Box<dyn Reading>, CliError> {
    #[cfg(feature = "kafka")]
    if let Some(file) = &cluster.config {
        return Ok(Box::new(crate::cluster::ClusterLog::open(file)?));
    }
    let ClusterArgs { .. } = cluster;
    Ok(Box::new(EmbeddedReader::open(&data.data)?))
}

/// A folder has one partition of each topic.
impl Reading for EmbeddedReader {
    fn partitions(&self, _: Topic) -> u32 {
        1
    }

    fn bounds(&self, topic: Topic, _: u32) -> Result<Range<u64>, LogError> {
        Self::bounds(self, topic)
    }

    fn read(&self, topic: Topic, _: u32, from: u64, bytes_max: usize) -> Result<Vec<Record>, LogError> {
        Self::read(self, topic, from, bytes_max)
    }

    fn directory(&self) -> Result<Directory, LogError> {
        Directory::read_from(self)
    }

    fn position(&self, _: u32) -> Result<u64, LogError> {
        Ok(Self::position(self, APP)?.unwrap_or(0))
    }
}
