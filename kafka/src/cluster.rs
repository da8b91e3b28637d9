//! A cluster, and what is done there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use logystera_infra::log::LogError;
use logystera_schemas::control::GrowingTopic;
use logystera_schemas::partition::{Generation, PartitionRef};
use logystera_schemas::topic::Topic;

use crate::changelog::Committed;
use crate::config::KafkaConfig;
use crate::growth::Layouts;
use crate::log::KafkaLog;
use crate::member::Member;
use crate::position::Positions;
use crate::state_store::Store;
use crate::tail::{Tail, TailBounds};
use crate::takeover::StateEntries;
use crate::task::KafkaTask;
use crate::{access, group, tail, takeover, topics, transaction};

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

    /// The same, if tasks keep a copy of their state in `store` and restore from it.
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
        access::demand_access(&self.config)?;
        topics::create(&self.config, apps)
    }

    /// Creates a generation of a topic, and of those that grow with it, if it is not there.
    pub fn create_generation(&self, topic: GrowingTopic, generation: Generation) -> Result<(), LogError> {
        topics::create_generation(&self.config, topic, generation)
    }

    /// Deletes the records of a partition of a topic below an offset, as their retention would.
    pub fn delete_records(&self, topic: Topic, place: PartitionRef, below: u64) -> Result<(), LogError> {
        topics::delete_records(&self.config, topic, place, below)
    }

    /// The log, to append records of one's own or only to read.
    pub fn log(&self) -> Result<KafkaLog, LogError> {
        access::demand_access(&self.config)?;
        KafkaLog::connect(&self.config, &self.layouts)
    }

    /// What `keep` makes of the newest records in each partition of a generation of a topic, as far back as `bounds`
    /// allow.
    pub fn tail<T>(
        &self,
        topic: Topic,
        generation: Generation,
        bounds: TailBounds,
        keep: impl FnMut(&[u8]) -> Option<T>,
    ) -> Result<Tail<T>, LogError> {
        tail::read(&self.config, &self.config.topic(topic, generation.number), generation.partitions, bounds, keep)
    }

    /// Joins those that share the partitions of these generations of `input` for `app`. `instance` names this process
    /// among them, also after a restart.
    pub fn join(&self, app: &str, input: Topic, read: &[Generation], instance: &str) -> Result<Member, LogError> {
        Member::join(&self.config, app, input, read, instance)
    }

    /// Name of the process that owns each partition of a generation of `input` for `app`, if one does.
    pub fn owners(&self, app: &str, input: Topic, generation: Generation) -> Result<BTreeMap<u32, String>, LogError> {
        group::owners(&self.config, app, input, generation)
    }

    /// How far `app` is that reads this partition, as its newest commit has it; at 0 if it never ran.
    pub fn committed(&self, app: &str, place: PartitionRef) -> Result<Committed, LogError> {
        self.positions.committed(&self.config, app, &place)
    }

    /// What `app` has committed of the state of these key groups, by key. None: there are more than `offsets_max`
    /// offsets to look at for it.
    pub fn state(
        &self,
        app: &str,
        key_groups: &BTreeSet<u16>,
        offsets_max: u64,
    ) -> Result<Option<StateEntries>, LogError> {
        takeover::read_state(&self.config, app, key_groups, offsets_max)
    }

    /// Takes over the task of `app` that reads this partition of the generation of `input` that is written. Every
    /// earlier owner of it is fenced from here on.
    pub fn task(&self, app: &str, input: Topic, partition: u32) -> Result<KafkaTask, LogError> {
        self.task_at(app, input, PartitionRef { generation: self.layouts.written(input), partition })
    }

    /// The same, of any generation.
    pub fn task_at(&self, app: &str, input: Topic, place: PartitionRef) -> Result<KafkaTask, LogError> {
        let task = KafkaTask::take_over(&self.config, &self.layouts, self.store.as_ref(), app, input, place);
        task.map_err(|error| access::explained(&self.config, error))
    }

    /// Fences the owner of a partition, whoever that is: what it has open is aborted, and it commits nothing more.
    pub fn fence(&self, app: &str, place: PartitionRef) -> Result<(), LogError> {
        transaction::Transactions::take_over(&self.config, &self.config.transactional_id(app, place)).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::Properties;

    #[test]
    fn no_value_is_shown() {
        let properties = [
            ("security.protocol", "sasl_plaintext"),
            ("sasl.mechanism", "PLAIN"),
            ("sasl.username", "me"),
            ("sasl.password", "s3cret"),
        ];
        let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let properties = Properties::new(properties.into()).unwrap();
        let config = KafkaConfig { properties, ..KafkaConfig::new("b:9092") };
        let shown = format!("{config:?}{:?}", Kafka::new(config.clone()));
        assert!(shown.contains("sasl.password") && !shown.contains("s3cret"), "{shown}");
        assert!(!shown.contains("\"me\""), "{shown}");
    }
}
