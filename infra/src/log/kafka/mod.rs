//! The log on Apache Kafka, for many machines: an idempotent producer for those who append, and for each input partition of an
//! application one transactional producer, whose commit holds the outputs, the changed state and the position.
//!
//! State lives in a compacted changelog; who takes a partition over fences the owner before, then reads it. Offsets of consumer
//! groups are for display: the position that counts is in the changelog. All of librdkafka's traps that were found are behind
//! [`transaction`] and [`reader`]; nothing else calls its producers and consumers.

mod changelog;
mod client;
mod door;
mod group;
mod hush;
mod lane;
mod layout;
mod log;
mod member;
mod position;
mod reader;
mod security;
mod single;
mod tail;
mod takeover;
mod task;
mod topics;
mod transaction;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use logystera_schemas::control::GrowingTopic;
use logystera_schemas::topic::Topic;

use crate::log::LogError;
use crate::store::Store;

pub use changelog::Committed;
#[cfg(feature = "scylla")]
pub(crate) use changelog::key_group;
pub use door::Door;
pub use layout::{Generation, Layouts, Place};
pub use log::KafkaLog;
pub use member::Member;
pub use security::{Properties, PropertyError};
pub use tail::{Tail, TailBounds};
pub use takeover::StateEntries;
pub use task::KafkaTask;

use changelog::Owner;
use position::Positions;

/// Where the cluster is, and how its topics are laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaConfig {
    /// Addresses of some brokers, `host:port` with commas between.
    pub brokers: String,
    /// What stands before the name of each topic and each transactional id, so that installations can share a cluster; often
    /// nothing.
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
}

/// A cluster.
#[derive(Clone, Debug)]
pub struct Kafka {
    config: Arc<KafkaConfig>,
    layouts: Arc<Layouts>,
    store: Option<Store>,
    positions: Arc<Positions>,
}

impl Kafka {
    /// The cluster that `config` describes, whose topics never grew. Nothing is connected yet.
    pub fn new(config: KafkaConfig) -> Self {
        let layouts = Arc::new(Layouts::initial(&config));
        Self { config: Arc::new(config), layouts, store: None, positions: Arc::default() }
    }

    /// The same, with its topics laid out like this.
    #[must_use]
    pub fn with_layouts(self, layouts: Layouts) -> Self {
        Self { layouts: Arc::new(layouts), ..self }
    }

    /// The same, where tasks keep a copy of their state in `store` and restore from it.
    #[must_use]
    pub fn with_store(self, store: Store) -> Self {
        Self { store: Some(store), ..self }
    }

    /// The settings.
    pub fn config(&self) -> &KafkaConfig {
        &self.config
    }

    /// How the topics are laid out.
    pub fn layouts(&self) -> &Layouts {
        &self.layouts
    }

    /// Creates the topics that are not there, and the changelogs of `apps`. Those that are there keep their partitions.
    pub fn create_topics(&self, apps: &[&str]) -> Result<(), LogError> {
        security::demand_entry(&self.config)?;
        topics::create(&self.config, apps)
    }

    /// Creates a generation of a topic, and of those that grow with it, where it is not there.
    pub fn create_generation(&self, topic: GrowingTopic, generation: Generation) -> Result<(), LogError> {
        topics::create_generation(&self.config, topic, generation)
    }

    /// Deletes the records of a partition of a topic below an offset, as their retention would.
    pub fn delete_records(&self, topic: Topic, place: Place, below: u64) -> Result<(), LogError> {
        topics::delete_records(&self.config, topic, place, below)
    }

    /// The log, for those who append records of their own or only read.
    pub fn log(&self) -> Result<KafkaLog, LogError> {
        security::demand_entry(&self.config)?;
        KafkaLog::connect(&self.config, &self.layouts)
    }

    /// What `keep` makes of the newest records in each partition of a generation of a topic, as far back as `bounds` allow.
    pub fn tail<T>(
        &self,
        topic: Topic,
        generation: Generation,
        bounds: TailBounds,
        keep: impl FnMut(&[u8]) -> Option<T>,
    ) -> Result<Tail<T>, LogError> {
        tail::read(&self.config, &self.config.topic(topic, generation.number), generation.partitions, bounds, keep)
    }

    /// Joins those that share the partitions of these generations of `input` for `app`. `instance` names this process among
    /// them, also after a restart.
    pub fn join(&self, app: &str, input: Topic, read: &[Generation], instance: &str) -> Result<Member, LogError> {
        Member::join(&self.config, app, input, read, instance)
    }

    /// Name of the process that owns each partition of a generation of `input` for `app`, where one does.
    pub fn owners(&self, app: &str, input: Topic, generation: Generation) -> Result<BTreeMap<u32, String>, LogError> {
        group::owners(&self.config, app, input, generation)
    }

    /// How far `app` is that reads this partition, as its newest commit has it; at 0 where it never ran.
    pub fn committed(&self, app: &str, place: Place) -> Result<Committed, LogError> {
        self.positions.committed(&self.config, app, &Owner::of(place))
    }

    /// What `app` has committed of the state of these key groups, by key. None: there are more than `offsets_max` offsets to look at
    /// for it.
    pub fn state(
        &self,
        app: &str,
        key_groups: &BTreeSet<u16>,
        offsets_max: u64,
    ) -> Result<Option<StateEntries>, LogError> {
        takeover::read_state(&self.config, app, key_groups, offsets_max)
    }

    /// Takes over the task of `app` that reads this partition of the generation of `input` that is written. Every earlier owner
    /// of it is fenced from here on.
    pub fn task(&self, app: &str, input: Topic, partition: u32) -> Result<KafkaTask, LogError> {
        self.task_at(app, input, Place { generation: self.layouts.written(input), partition })
    }

    /// The same, of any generation.
    pub fn task_at(&self, app: &str, input: Topic, place: Place) -> Result<KafkaTask, LogError> {
        let task = KafkaTask::take_over(self, app, input, place);
        task.map_err(|error| security::explained(&self.config, error))
    }

    /// Fences the owner of a partition, whoever that is: what it has open is aborted, and it commits nothing more.
    pub fn fence(&self, app: &str, place: Place) -> Result<(), LogError> {
        transaction::Transactions::take_over(&self.config, &self.config.transactional_id(app, place)).map(drop)
    }
}
