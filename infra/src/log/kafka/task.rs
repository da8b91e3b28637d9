//! A task: the one owner of an application's input partition.

use std::sync::Arc;
use std::time::Duration;

use logystera_schemas::limits::READ_BYTES_MAX;
use logystera_schemas::topic::Topic;
use metrics::Histogram;

use super::KafkaConfig;
use super::changelog::{Owner, commit_value, entry_value};
use super::reader::{Bounds, Reader};
use super::takeover::{Changelog, Copy, Taken};
use super::transaction::{Outgoing, Transactions};
use crate::clock::Stopwatch;
use crate::log::{Commit, LogError, Record, Task};
use crate::store::{Change, Changes, Store};

/// A task on Kafka. It blocks: give it a thread of its own.
pub struct KafkaTask {
    config: Arc<KafkaConfig>,
    owner: Owner,
    app: String,
    changelog: String,
    input: String,
    transactions: Transactions,
    /// Made when something is read first: restoring may take a while.
    reader: Option<Reader>,
    ends: Bounds,
    committed: u64,
    /// What there was at the takeover, until it is asked for or overtaken.
    restored: Option<Arc<Changes>>,
    /// The copy of the state in the store, where there is one.
    copy: Option<Copy>,
    commit_seconds: Histogram,
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
        store: Option<&Store>,
        app: &str,
        input: Topic,
        partition: u32,
    ) -> Result<Self, LogError> {
        let stopwatch = Stopwatch::start();
        let owner = Owner { generation: config.generation, partition, partitions: config.partitions(input) };
        let id = format!("{}{app}-{}-{partition}", config.prefix, config.generation);
        let aborted = metrics::counter!("logystera_transactions_aborted_total", "app" => app.to_owned());
        let changelog = config.changelog(app);
        let noted = store.is_some().then(|| changelog.clone());
        let transactions = Transactions::noting(config, &id, noted, aborted)?;
        let Taken { entries, position, copy } = Changelog::of(config, &owner, app)?.restore(store)?;
        let seconds = metrics::histogram!("logystera_takeover_seconds", "app" => app.to_owned());
        seconds.record(stopwatch.elapsed());
        Ok(Self {
            owner,
            app: app.to_owned(),
            changelog,
            input: config.topic(input),
            transactions,
            reader: None,
            ends: Bounds::committed(config)?,
            committed: position,
            restored: Some(entries),
            copy,
            commit_seconds: metrics::histogram!("logystera_commit_seconds", "app" => app.to_owned()),
            config: Arc::clone(config),
        })
    }

    /// Waits up to `wait` until the store has everything that is committed. Whether it has.
    pub fn wait_until_stored(&self, wait: Duration) -> bool {
        self.copy.as_ref().is_none_or(|copy| copy.writer.wait_until_written(wait))
    }

    fn try_commit(&mut self, commit: &Commit) -> Result<(), LogError> {
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
        self.transactions.commit(outputs.chain(changes))
    }
}

impl Task for KafkaTask {
    fn position(&self) -> u64 {
        self.committed
    }

    fn restore(&mut self, restore: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), LogError> {
        let entries = match self.restored.take() {
            Some(entries) => entries,
            None => Arc::new(Changelog::of(&self.config, &self.owner, &self.app)?.read_all()?.0),
        };
        for (key, change) in entries.iter() {
            if let Some(value) = &change.value {
                restore(key, value);
            }
        }
        Ok(())
    }

    fn input_end(&mut self) -> Result<u64, LogError> {
        Ok(self.ends.get(&self.input, self.owner.partition)?.end)
    }

    fn read(&mut self, wait: Duration) -> Result<Vec<Record>, LogError> {
        // So much waits for the store that the input has to. Who calls goes on to see a shutdown, and commits to see a fence.
        if self.copy.as_ref().is_some_and(|copy| !copy.writer.wait_for_room(wait)) {
            return Ok(Vec::new());
        }
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => Reader::open(&self.config, &self.input, self.owner.partition, self.committed)?,
        };
        self.reader.insert(reader).read(wait, READ_BYTES_MAX)
    }

    fn commit(&mut self, commit: Commit) -> Result<(), LogError> {
        let stopwatch = Stopwatch::start();
        self.try_commit(&commit)?;
        self.commit_seconds.record(stopwatch.elapsed());
        self.committed = commit.position;
        self.restored = None;
        if let Some(copy) = &mut self.copy {
            let version = self.owner.version(commit.position);
            let changes = commit.puts.into_iter().map(|(key, value)| (key, Change { version, value })).collect();
            copy.push(version, commit.position, changes, self.transactions.ends());
        }
        Ok(())
    }
}
