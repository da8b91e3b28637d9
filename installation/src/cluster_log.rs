//! The log of an installation, for commands that change nothing: no topic is made, no group joined, no key needed.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use logystera_alerter::core::Planner;
use logystera_infra::directory::{Directory, DirectoryWatch};
use logystera_infra::log::{LogError, Record};
use logystera_infra::reading::{PartitionId, Reading};
use logystera_kafka::{Kafka, KafkaLog, Layouts};
use logystera_schemas::ids::{KeyGroup, SiteId};
use logystera_schemas::limits::CHANGELOG_LOOKED_AT_MAX;
use logystera_schemas::partition::PartitionRef;
use logystera_schemas::topic::Topic;

use super::config::Config;
use crate::cli::CliError;
use crate::reading::{InstallationLog, TakeEntry, unreadable};

/// An installation's log.
pub struct ClusterLog {
    kafka: Kafka,
    log: KafkaLog,
    /// Topic `control`, which is read from its beginning once.
    control: DirectoryWatch<KafkaLog>,
    layouts: RefCell<Layouts>,
}

impl ClusterLog {
    /// Connects to the cluster that a file describes.
    pub fn open(file: &Path) -> Result<Self, CliError> {
        let kafka = Kafka::new(Config::read(file)?.kafka());
        let log = kafka.log()?;
        let control = DirectoryWatch::load(log.clone())?;
        let layouts = RefCell::new(Layouts::of(kafka.config(), &control.view().current()));
        Ok(Self { kafka, log, control, layouts })
    }

    fn place(&self, topic: Topic, part: PartitionId) -> PartitionRef {
        let generation = self.layouts.borrow().generations(topic)[part.generation as usize];
        PartitionRef { generation, partition: part.partition }
    }
}

impl Reading for ClusterLog {
    fn generations(&self, topic: Topic) -> Vec<u32> {
        let layouts = self.layouts.borrow();
        let read = layouts.generations(topic).into_iter();
        // One that is about to begin may have no topic yet.
        read.take_while(|g| g.number <= layouts.written(topic).number).map(|g| g.partitions).collect()
    }

    fn bounds(&self, topic: Topic, part: PartitionId) -> Result<Range<u64>, LogError> {
        self.log.bounds_at(topic, self.place(topic, part))
    }

    fn read(&self, topic: Topic, part: PartitionId, from: u64, bytes_max: usize) -> Result<Vec<Record>, LogError> {
        self.log.read_at(topic, self.place(topic, part), from, bytes_max)
    }

    fn directory(&self) -> Result<Directory, LogError> {
        self.control.refresh()?;
        let directory = Directory::clone(&self.control.view().current());
        *self.layouts.borrow_mut() = Layouts::of(self.kafka.config(), &directory);
        Ok(directory)
    }

    fn position(&self, app: &str, input: Topic, part: PartitionId) -> Result<u64, LogError> {
        Ok(self.kafka.committed(app, self.place(input, part))?.position)
    }
}

impl InstallationLog for ClusterLog {
    /// As the alerters have committed it: it lags what they have in memory by a moment, and the log by what they have
    /// not read.
    fn planner(&self) -> Result<Option<Planner>, LogError> {
        let directory = self.control.view().current();
        let key_groups: BTreeSet<u16> =
            directory.tenants().map(|tenant| KeyGroup::of(tenant.tenant.as_str()).0).collect();
        let Some(state) = self.kafka.state(logystera_alerter::task::APP, &key_groups, CHANGELOG_LOOKED_AT_MAX)? else {
            return Ok(None);
        };
        let mut planner = Planner::new();
        for (key, value) in &state {
            let restored = planner.restore(key, value);
            restored.map_err(|e| LogError::Unusable(format!("state of the alerter: {e}")))?;
        }
        Ok(Some(planner))
    }

    /// As the processors have committed it; without the clocks of the partitions, which stand with no site.
    fn engine_state(&self, site: &SiteId, prefixes: &[Vec<u8>], take: &mut TakeEntry<'_>) -> Result<bool, LogError> {
        let key_groups = BTreeSet::from([KeyGroup::of(site.as_str()).0]);
        let state = self.kafka.state(logystera_processor::task::APP, &key_groups, CHANGELOG_LOOKED_AT_MAX)?;
        let Some(state) = state else { return Ok(false) };
        let asked = state.iter().filter(|(key, _)| prefixes.iter().any(|prefix| key.starts_with(prefix)));
        for (key, value) in asked {
            take(key, value).map_err(unreadable)?;
        }
        Ok(true)
    }
}
