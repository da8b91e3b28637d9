//! A task: the one owner of an application's input partition.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use logystera_infra::clock::Stopwatch;
use logystera_infra::directory::Skips;
use logystera_infra::log::{Commit, Entry, LogError, Record, Task};
use logystera_schemas::limits::TASK_READ_BYTES_MAX;
use logystera_schemas::partition::PartitionRef;
use logystera_schemas::topic::Topic;
use metrics::Histogram;

use crate::bounds::Bounds;
use crate::changelog::{InChangelog, commit_value, entry_value, key_group};
use crate::config::KafkaConfig;
use crate::growth::Layouts;
use crate::reader::Reader;
use crate::state_store::{Change, Changes, Store};
use crate::takeover::{Changelog, StoreCopy, Taken};
use crate::transaction::{Outgoing, Transactions};
use crate::watch::Watch;

/// Places of the topics whose ends a task's transactions note.
const CHANGELOG: usize = 0;
const INPUT: usize = 1;
/// How long a task whose next records are gone waits for what it has applied to be committed: longer than a commit's
/// interval.
const LOST_PATIENCE: Duration = Duration::from_secs(3);
/// How long it waits at a time.
const LOST_STEP: Duration = Duration::from_millis(50);

/// A task on Kafka. It blocks: give it a thread of its own.
pub struct KafkaTask {
    config: Arc<KafkaConfig>,
    owner: PartitionRef,
    app: String,
    changelog: String,
    input: String,
    outputs: Outputs,
    /// The parent's own entries that the first commit makes this owner's.
    inherited: BTreeMap<Vec<u8>, Vec<u8>>,
    /// One past the newest record of its own in its input.
    own_end: u64,
    watch: Option<Watch>,
    transactions: Transactions,
    /// Made when something is read first: restoring may take a while.
    reader: Option<Reader>,
    ends: Bounds,
    committed: u64,
    /// What there was at the takeover, until it is asked for or overtaken.
    restored: Option<Arc<Changes>>,
    /// The copy of the state in the store, if there is one.
    copy: Option<StoreCopy>,
    /// Records that are passed over, and where they may be gone.
    skips: Skips,
    /// Since when the next record is gone.
    lost: Option<Stopwatch>,
    topic: Topic,
    commit_seconds: Histogram,
}

/// Which generation of each topic a task writes to.
struct Outputs {
    layouts: Arc<Layouts>,
    /// What it reads.
    input: Topic,
    /// Of what generation.
    generation: u32,
}

impl Outputs {
    /// A reader of `detections` answers in the same generation, so that its answers come before the seal or not at all.
    fn generation(&self, topic: Topic) -> u32 {
        match (self.input, topic) {
            (Topic::Detections, Topic::Detections | Topic::Attempts) => self.generation,
            _ => self.layouts.written(topic).number,
        }
    }
}

impl std::fmt::Debug for KafkaTask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaTask").field("input", &self.input).field("owner", &self.owner).finish_non_exhaustive()
    }
}

impl KafkaTask {
    /// Fences the owner before, then reads what it committed: in this order, so that nothing can be committed in
    /// between.
    pub(crate) fn take_over(
        config: &Arc<KafkaConfig>,
        layouts: &Arc<Layouts>,
        store: Option<&Store>,
        app: &str,
        input: Topic,
        owner: PartitionRef,
    ) -> Result<Self, LogError> {
        let (stopwatch, id) = (Stopwatch::start(), config.transactional_id(app, owner));
        let aborted = metrics::counter!("logystera_transactions_aborted_total", "app" => app.to_owned());
        let (changelog, input_name) = (config.changelog(app), config.topic(input, owner.generation.number));
        let noted = vec![changelog.clone(), input_name.clone()];
        let transactions = Transactions::noting(config, &id, noted, aborted)?;
        let Taken { entries, commit, copy } = Changelog::of(config, &owner, app)?.restore(store)?;
        if commit.sealed {
            return Err(LogError::Unusable(format!(
                "{app} partition {owner} was sealed: nothing is left to be done there"
            )));
        }
        // Until it has committed something, what it took over from its parent is not its own.
        let is_new = owner.parent().is_some() && commit.position == 0;
        let own = entries.iter().filter(|(key, _)| is_new && key_group(key).is_none());
        let inherited = own.filter_map(|(key, change)| Some((key.clone(), change.value.clone()?))).collect();
        let seconds = metrics::histogram!("logystera_takeover_seconds", "app" => app.to_owned());
        seconds.record(stopwatch.elapsed());
        Ok(Self {
            owner,
            app: app.to_owned(),
            changelog,
            input: input_name,
            own_end: 0,
            watch: None,
            outputs: Outputs { layouts: Arc::clone(layouts), input, generation: owner.generation.number },
            inherited,
            transactions,
            reader: None,
            ends: Bounds::committed(config)?,
            committed: commit.position,
            restored: Some(entries),
            copy,
            skips: Skips::default(),
            lost: None,
            topic: input,
            commit_seconds: metrics::histogram!("logystera_commit_seconds", "app" => app.to_owned()),
            config: Arc::clone(config),
        })
    }

    /// Appends to the topics as they are laid out now. A caller reads the layouts after the takeover, which has fenced
    /// the owner before.
    pub fn write_to(&mut self, layouts: Layouts) {
        self.outputs.layouts = Arc::new(layouts);
    }

    /// Passes these records over, also if they are gone.
    pub fn pass_over(&mut self, skips: Skips) {
        self.skips = skips;
    }

    /// The reader, from `applied` on, behind what was applied. Fails if records behind it are gone, and nobody has said
    /// to go on.
    fn open_reader(&self, applied: u64) -> Result<Reader, LogError> {
        let Range { start, end } = self.ends.get(&self.input, self.owner.partition)?;
        if applied > end {
            // It may pass: the end that a new leader knows lags for a moment.
            return Err(LogError::Away(format!(
                "{} partition {} ends at offset {end}, but everything up to {applied} was applied: it is not the log that it was",
                self.topic.name(),
                self.owner,
            )));
        }
        let gone = applied..start;
        if !self.skips.covers(&gone) {
            let (topic, place) = (self.topic.name(), self.owner.to_string());
            return Err(LogError::Lost { topic, place, from: gone.start, to: gone.end });
        }
        if !gone.is_empty() {
            metrics::counter!("logystera_records_skipped_total").increment(gone.end - gone.start);
        }
        Reader::open_strict(&self.config, &self.input, self.owner.partition, applied.max(start))
    }

    /// Shows how far it is from now on: its position in `committed`, and its lag as a metric under this partition's
    /// name.
    pub fn show(&mut self, place: PartitionRef, committed: Arc<AtomicU64>) {
        self.watch = Some(Watch::new(&self.app, place, committed, self.committed));
    }

    /// Waits up to `wait` until the store has everything that is committed. Whether it has.
    pub fn wait_until_stored(&self, wait: Duration) -> bool {
        self.copy.as_ref().is_none_or(|copy| copy.writer.wait_until_written(wait))
    }

    /// Shows now and then how far behind it is: also while its input pauses and nothing is committed.
    fn tell_lag(&mut self) -> Result<(), LogError> {
        if self.watch.as_mut().is_some_and(Watch::is_due) {
            let end = self.input_end()?;
            self.watch.iter().for_each(|watch| watch.lags(end.saturating_sub(self.committed)));
        }
        Ok(())
    }

    fn try_commit(&mut self, commit: &Commit) -> Result<(), LogError> {
        let (owner, partitions) = (self.owner, self.config.changelog_partitions);
        let version = owner.version(commit.position);
        let name = |entry: &Entry| self.config.topic(entry.topic, self.outputs.generation(entry.topic));
        let topics: Vec<String> = commit.outputs.iter().map(name).collect();
        let outputs = commit.outputs.iter().zip(&topics).map(|(entry, topic)| Outgoing::of(entry, topic));
        let puts = commit.puts.iter().map(|(key, value)| {
            let value = value.as_ref().map(|value| entry_value(version, value));
            (owner.entry_key(key, partitions), value)
        });
        let last = (owner.commit_key(partitions), Some(commit_value(version, commit.position, commit.sealed)));
        let changes = puts.chain([last]).map(|((key, partition), value)| Outgoing {
            topic: &self.changelog,
            partition,
            key: key.into(),
            value: value.map(Cow::from),
        });
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

    fn own_end(&mut self) -> Result<u64, LogError> {
        Ok(self.own_end)
    }

    fn has_read(&self, _: u64) -> bool {
        // The reader was opened after the end was asked: the first one that it comes to is that, or a later one.
        self.reader.as_ref().is_some_and(Reader::is_at_end)
    }

    fn read(&mut self, wait: Duration) -> Result<Vec<Record>, LogError> {
        // So much waits for the store that the input waits too. The caller goes on, so that it sees a shutdown, and a
        // fence when it commits.
        if self.copy.as_ref().is_some_and(|copy| !copy.writer.wait_for_room(wait)) {
            self.tell_lag()?;
            return Ok(Vec::new());
        }
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => self.open_reader(self.committed)?,
        };
        let reader = self.reader.insert(reader);
        if !reader.has_lost() {
            return reader.read(wait, TASK_READ_BYTES_MAX);
        }
        // What was applied before is committed first: the next owner could not read it again.
        let since = self.lost.get_or_insert_with(Stopwatch::start);
        if self.committed < reader.next() && since.elapsed() < LOST_PATIENCE {
            std::thread::sleep(wait.min(LOST_STEP));
            return Ok(Vec::new());
        }
        // Behind what was applied, committed or not: to read that again would be to apply it twice.
        let applied = reader.next();
        (self.reader, self.lost) = (None, None);
        self.reader = Some(self.open_reader(applied)?);
        Ok(Vec::new())
    }

    fn is_skipped(&self, offset: u64) -> bool {
        self.skips.has(offset)
    }

    fn take_back(&mut self, records: Vec<Record>) {
        if let Some(reader) = &mut self.reader {
            reader.take_back(records);
        }
    }

    fn commit(&mut self, mut commit: Commit) -> Result<(), LogError> {
        let stopwatch = Stopwatch::start();
        if !self.inherited.is_empty() {
            let mut inherited = self.inherited.clone();
            commit.puts.iter().for_each(|(key, _)| drop(inherited.remove(key)));
            commit.puts.extend(inherited.into_iter().map(|(key, value)| (key, Some(value))));
        }
        self.try_commit(&commit)?;
        self.commit_seconds.record(stopwatch.elapsed());
        self.committed = commit.position;
        (self.restored, self.inherited) = (None, BTreeMap::new());
        if let Some(copy) = &mut self.copy {
            let version = self.owner.version(commit.position);
            let changes = commit.puts.into_iter().map(|(key, value)| (key, Change { version, value })).collect();
            copy.push(version, commit.position, changes, self.transactions.ends(CHANGELOG));
        }
        if let Some(end) = self.transactions.ends(INPUT).get(&self.owner.partition) {
            self.own_end = self.own_end.max(*end);
        }
        self.watch.iter().for_each(|watch| watch.committed(self.committed));
        self.tell_lag()
    }
}
