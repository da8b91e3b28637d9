//! A task: the one owner of an application's input partition.

use std::sync::Arc;
use std::time::Duration;

use logystera_schemas::limits::READ_BYTES_MAX;
use logystera_schemas::topic::Topic;

use super::KafkaConfig;
use super::changelog::{Owner, Restored, commit_value, entry_value};
use super::reader::{Bounds, Reader, read_changelog};
use super::transaction::{Outgoing, Transactions};
use crate::log::{Commit, LogError, Record, Task};

/// A task on Kafka. It blocks: give it a thread of its own.
pub struct KafkaTask {
    config: Arc<KafkaConfig>,
    owner: Owner,
    changelog: String,
    input: String,
    transactions: Transactions,
    /// Made when something is read first: restoring may take a while.
    reader: Option<Reader>,
    ends: Bounds,
    committed: u64,
    /// What the changelog had at the takeover, until it is asked for or overtaken.
    restored: Option<Restored>,
}

impl std::fmt::Debug for KafkaTask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaTask").field("input", &self.input).field("owner", &self.owner).finish_non_exhaustive()
    }
}

impl KafkaTask {
    /// Fences the owner before, then reads what it committed: in this order, so that nothing can be committed in between.
    pub(super) fn take_over(
        config: &Arc<KafkaConfig>,
        app: &str,
        input: Topic,
        partition: u32,
    ) -> Result<Self, LogError> {
        let owner = Owner { generation: config.generation, partition, partitions: config.partitions(input) };
        let id = format!("{}{app}-{}-{partition}", config.prefix, config.generation);
        let transactions = Transactions::take_over(config, &id)?;
        let mut task = Self {
            owner,
            changelog: config.changelog(app),
            input: config.topic(input),
            transactions,
            reader: None,
            ends: Bounds::committed(config)?,
            committed: 0,
            restored: None,
            config: Arc::clone(config),
        };
        let restored = task.read_changelog()?;
        task.committed = restored.position;
        task.restored = Some(restored);
        Ok(task)
    }

    fn read_changelog(&self) -> Result<Restored, LogError> {
        // Everything that stands there, committed or not: another owner's open transaction must not hide the end of ours.
        let uncommitted = Bounds::uncommitted(&self.config)?;
        let places = self.owner.changelog_partitions(self.config.changelog_partitions);
        let end = |place| Ok((place, uncommitted.get(&self.changelog, place)?.end));
        let ends = places.into_iter().map(end).collect::<Result<_, LogError>>()?;
        let mut restored = Restored::default();
        read_changelog(&self.config, &self.changelog, ends, |key, value| {
            restored
                .take(&self.owner, key, value)
                .map_err(|_| LogError::Unusable(format!("{}: a record that is not of this version", self.changelog)))
        })?;
        Ok(restored)
    }
}

impl Task for KafkaTask {
    fn position(&self) -> u64 {
        self.committed
    }

    fn restore(&mut self, restore: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), LogError> {
        let restored = match self.restored.take() {
            Some(restored) => restored,
            None => self.read_changelog()?,
        };
        restored.entries.iter().for_each(|(key, value)| restore(key, value));
        Ok(())
    }

    fn input_end(&mut self) -> Result<u64, LogError> {
        Ok(self.ends.get(&self.input, self.owner.partition)?.end)
    }

    fn read(&mut self, wait: Duration) -> Result<Vec<Record>, LogError> {
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => Reader::open(&self.config, &self.input, self.owner.partition, self.committed)?,
        };
        self.reader.insert(reader).read(wait, READ_BYTES_MAX)
    }

    fn commit(&mut self, commit: Commit) -> Result<(), LogError> {
        let (owner, partitions) = (self.owner, self.config.changelog_partitions);
        let version = owner.version(commit.position);
        let topics: Vec<String> = commit.outputs.iter().map(|entry| self.config.topic(entry.topic)).collect();
        let outputs = commit.outputs.iter().zip(&topics).map(|(entry, topic)| Outgoing {
            topic,
            partition: entry.partition,
            key: &entry.key,
            value: Some(&entry.value),
        });
        let puts: Vec<_> = commit
            .puts
            .iter()
            .map(|(key, value)| {
                let (key, place) = owner.entry_key(key, partitions);
                (key, place, value.as_ref().map(|value| entry_value(version, value)))
            })
            .collect();
        let puts = puts.iter().map(|(key, place, value)| (key, *place, value.as_deref()));
        let (commit_key, commit_place) = owner.commit_key(partitions);
        let commit_value = commit_value(version, commit.position);
        let last = std::iter::once((&commit_key, commit_place, Some(commit_value.as_slice())));
        let changes =
            puts.chain(last).map(|(key, partition, value)| Outgoing { topic: &self.changelog, partition, key, value });
        self.transactions.commit(outputs.chain(changes))?;
        self.committed = commit.position;
        self.restored = None;
        Ok(())
    }
}
