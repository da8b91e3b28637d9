//! Where the cluster is, how its topics are laid out, and what they are called there.

use logystera_schemas::partition::PartitionRef;
use logystera_schemas::topic::Topic;

use crate::security::Properties;

/// Where the cluster is, and how its topics are laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaConfig {
    /// Addresses of some brokers, `host:port` with commas between.
    pub brokers: String,
    /// What stands before the name of each topic and each transactional id, so that installations can share a cluster;
    /// often nothing.
    pub prefix: String,
    /// Partitions of `signals` before it first grows.
    pub signals_partitions: u32,
    /// Partitions of `detections` and of `attempts`, before they first grow: a tenant's is the same in both.
    pub detections_partitions: u32,
    /// Partitions of the changelogs. Never changes.
    pub changelog_partitions: u32,
    /// Copies of each partition.
    pub replication: u32,
    /// Settings of librdkafka that are passed through, such as `security.protocol`.
    pub properties: Properties,
}

impl KafkaConfig {
    /// The layout of a new installation on these brokers.
    pub fn new(brokers: &str) -> Self {
        Self {
            brokers: brokers.to_owned(),
            prefix: String::new(),
            signals_partitions: 16,
            detections_partitions: 16,
            changelog_partitions: 64,
            replication: 1,
            properties: Properties::default(),
        }
    }

    /// Name of a generation of a topic: the first one's is the topic's.
    pub(crate) fn topic(&self, topic: Topic, generation: u32) -> String {
        match generation {
            0 => format!("{}{}", self.prefix, topic.name()),
            number => format!("{}{}-{number}", self.prefix, topic.name()),
        }
    }

    /// Name of the group that shares out an application's input.
    pub(crate) fn group(&self, app: &str) -> String {
        format!("{}logystera-{app}", self.prefix)
    }

    /// What fences the owners of a partition.
    pub(crate) fn transactional_id(&self, app: &str, place: PartitionRef) -> String {
        format!("{}{app}-{}-{}", self.prefix, place.generation.number, place.partition)
    }

    /// Name of an application's changelog.
    pub(crate) fn changelog(&self, app: &str) -> String {
        format!("{}state-changelog-{app}", self.prefix)
    }
}
