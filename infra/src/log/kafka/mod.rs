//! The log on Apache Kafka, for many machines: an idempotent producer for those who append, and for each input partition of an
//! application one transactional producer, whose commit holds the outputs, the changed state and the position.
//!
//! State lives in a compacted changelog; who takes a partition over fences the owner before, then reads it. Offsets of consumer
//! groups are for display: the position that counts is in the changelog. All of librdkafka's traps that were found are behind
//! [`transaction`] and [`reader`]; nothing else calls its producers and consumers.

mod changelog;
mod client;
mod log;
mod member;
mod position;
mod reader;
mod takeover;
mod task;
mod topics;
mod transaction;

use std::collections::BTreeMap;
use std::sync::Arc;

use logystera_schemas::topic::Topic;

use crate::log::LogError;
use crate::store::Store;

#[cfg(feature = "scylla")]
pub(crate) use changelog::key_group;
pub use log::KafkaLog;
pub use member::Member;
pub use task::KafkaTask;

/// Where the cluster is, and how its topics are laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaConfig {
    /// Addresses of some brokers, `host:port` with commas between.
    pub brokers: String,
    /// What stands before the name of each topic and each transactional id, so that installations can share a cluster; often
    /// nothing.
    pub prefix: String,
    /// How often the topics have grown.
    pub generation: u32,
    /// Partitions of `signals`.
    pub signals_partitions: u32,
    /// Partitions of `detections` and of `attempts`: a tenant's is the same in both.
    pub detections_partitions: u32,
    /// Partitions of the changelogs. Never changes.
    pub changelog_partitions: u32,
    /// Copies of each partition.
    pub replication: u32,
    /// Settings of librdkafka that are passed through, such as `security.protocol`.
    pub properties: BTreeMap<String, String>,
}

impl KafkaConfig {
    /// The layout of a new installation on these brokers.
    pub fn new(brokers: &str) -> Self {
        Self {
            brokers: brokers.to_owned(),
            prefix: String::new(),
            generation: 0,
            signals_partitions: 16,
            detections_partitions: 16,
            changelog_partitions: 64,
            replication: 1,
            properties: BTreeMap::new(),
        }
    }

    /// Partitions of a topic.
    pub fn partitions(&self, topic: Topic) -> u32 {
        match topic {
            Topic::Signals => self.signals_partitions,
            Topic::Detections | Topic::Attempts => self.detections_partitions,
            Topic::Control => 1,
        }
    }
}

/// A cluster.
#[derive(Clone, Debug)]
pub struct Kafka {
    config: Arc<KafkaConfig>,
    store: Option<Store>,
}

impl Kafka {
    /// The cluster that `config` describes. Nothing is connected yet.
    pub fn new(config: KafkaConfig) -> Self {
        Self { config: Arc::new(config), store: None }
    }

    /// The same, where tasks keep a copy of their state in `store` and restore from it.
    #[must_use]
    pub fn with_store(self, store: Store) -> Self {
        Self { store: Some(store), ..self }
    }

    /// How the topics are laid out.
    pub fn config(&self) -> &KafkaConfig {
        &self.config
    }

    /// Creates the topics that are not there, and the changelogs of `apps`. Those that are there keep their partitions.
    pub fn create_topics(&self, apps: &[&str]) -> Result<(), LogError> {
        topics::create(&self.config, apps)
    }

    /// The log, for those who append records of their own or only read.
    pub fn log(&self) -> Result<KafkaLog, LogError> {
        KafkaLog::connect(&self.config)
    }

    /// Joins those that share the partitions of `input` for `app`. `instance` names this process among them, also after a restart.
    pub fn join(&self, app: &str, input: Topic, instance: &str) -> Result<Member, LogError> {
        Member::join(&self.config, app, self.config.topic(input), instance)
    }

    /// The input offset that `app` reads next in this partition of `input`, as its newest commit has it; 0 where it never ran.
    pub fn position(&self, app: &str, input: Topic, partition: u32) -> Result<u64, LogError> {
        position::position(&self.config, app, self.config.partitions(input), partition)
    }

    /// Takes over the task of `app` that reads this partition of `input`. Every earlier owner of it is fenced from here on.
    pub fn task(&self, app: &str, input: Topic, partition: u32) -> Result<KafkaTask, LogError> {
        KafkaTask::take_over(&self.config, self.store.as_ref(), app, input, partition)
    }
}
