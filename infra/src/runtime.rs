//! The cycle that runs a state machine on a task: read, apply, commit. The engine and the planner both run on it.

use std::time::Duration;

use logystera_schemas::limits::{COMMIT_BYTES_MAX, COMMIT_INTERVAL_BEHIND_MS, COMMIT_INTERVAL_MS};
use logystera_schemas::topic::Topic;

use crate::log::{Commit, Entry, LogError, Record, Task};

/// Why a machine cannot apply a record. The task stops: to skip a record would make the state wrong.
#[derive(Debug, thiserror::Error)]
#[error("offset {offset}: {what}")]
pub struct Halt {
    /// Offset of the record.
    pub offset: u64,
    /// What is wrong, without values.
    pub what: String,
}

/// What a record was to a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brought {
    /// Time went on, and nothing came of it that anybody waits for.
    OnlyTime,
    /// Anything else.
    More,
}

/// A deterministic machine over one topic: state and outputs are a function of the records, in order.
pub trait StateMachine {
    /// Takes one stored state entry. Called for each of them before the first record.
    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), Halt>;

    /// Ends the restoring, before the first record.
    fn restored(&mut self) {}

    /// Applies one record and appends what it brings about to `outputs`.
    fn apply(&mut self, record: &Record, outputs: &mut Vec<Entry>) -> Result<Brought, Halt>;

    /// Whether the newest record was the end of the partition. Nothing behind it is applied.
    fn is_sealed(&self) -> bool {
        false
    }

    /// About how many bytes [`Self::take_puts`] would give now.
    fn dirty_bytes(&self) -> usize;

    /// The state entries that changed since the last call, each key once, in the order of the keys.
    fn take_puts(&mut self) -> Vec<(Vec<u8>, Option<Vec<u8>>)>;
}

impl CycleError {
    /// The offset at which the partition stands until somebody says how to go on: a record there cannot be applied, or
    /// is gone.
    pub fn stands_at(&self) -> Option<u64> {
        match self {
            Self::Halt(halt) => Some(halt.offset),
            Self::Log(LogError::Lost { to, .. }) => Some(to.saturating_sub(1)),
            Self::Log(LogError::Checksum { offset, .. }) => Some(*offset),
            Self::Log(_) => None,
        }
    }

    /// What happened to a partition of `topic`, and what can be done about it. `place` is how people name the
    /// partition.
    pub fn told(&self, topic: Topic, place: &str) -> String {
        let name = topic.name();
        let skip = |offset: u64| format!("logystera log skip {name} {place} {offset} --reason TEXT");
        match self {
            Self::Halt(Halt { offset, what }) => format!(
                "{name} partition {place} offset {offset}: {what}. Is a newer version of Logystera about? Then upgrade. If nothing \
                 can read the record, go on without it: {}",
                skip(*offset)
            ),
            Self::Log(error @ LogError::Checksum { offset, .. }) => {
                format!("{error}. To go on without it: {}", skip(*offset))
            }
            Self::Log(error) => error.to_string(),
        }
    }
}

/// Why the cycle stopped.
#[derive(Debug, thiserror::Error)]
pub enum CycleError {
    /// The log or the store.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The machine.
    #[error(transparent)]
    Halt(#[from] Halt),
}

/// A machine, its task, and what waits for the next commit.
#[derive(Debug)]
pub struct Cycle<M, T> {
    /// The machine.
    pub machine: M,
    task: T,
    position: u64,
    /// The position of the newest commit.
    committed: u64,
    outputs: Vec<Entry>,
    /// Whether anything but time was applied since the last commit.
    has_more_than_time: bool,
}

impl<M: StateMachine, T: Task> Cycle<M, T> {
    /// Restores `machine` from the task's state.
    pub fn start(mut machine: M, mut task: T) -> Result<Self, CycleError> {
        let mut failed = None;
        task.restore(&mut |key, value| {
            if failed.is_none() {
                failed = machine.restore(key, value).err();
            }
        })?;
        if let Some(halt) = failed {
            return Err(halt.into());
        }
        machine.restored();
        let position = task.position();
        Ok(Self { position, committed: position, machine, task, outputs: Vec::new(), has_more_than_time: false })
    }

    /// The input offset to apply next.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// One past the newest committed input record.
    pub fn input_end(&mut self) -> Result<u64, CycleError> {
        Ok(self.task.input_end()?)
    }

    /// One past the newest record that was appended to the input by a commit of this cycle.
    pub fn own_end(&mut self) -> Result<u64, CycleError> {
        Ok(self.task.own_end()?)
    }

    /// Whether everything below `end` was applied, [`Self::input_end`] as it was before the first read.
    pub fn has_applied(&self, end: u64) -> bool {
        self.position >= end || self.task.has_read(end)
    }

    /// Reads once, waiting up to `wait`, and applies what came, up to the partition's end. Returns how many records
    /// that were.
    pub fn apply_next(&mut self, wait: Duration) -> Result<usize, CycleError> {
        let mut applied = 0;
        let records = self.task.read(wait)?;
        for record in &records {
            if self.machine.is_sealed() {
                break;
            }
            if self.task.is_skipped(record.offset) {
                metrics::counter!("logystera_records_skipped_total").increment(1);
            } else {
                let brought = self.machine.apply(record, &mut self.outputs)?;
                self.has_more_than_time |= brought == Brought::More;
            }
            self.position = record.offset + 1;
            applied += 1;
        }
        self.task.take_back(records);
        Ok(applied)
    }

    /// Whether anything but time waits for the next commit.
    pub fn has_more_than_time(&self) -> bool {
        self.has_more_than_time
    }

    /// Whether so much has gathered that the commit should not wait for its interval.
    pub fn is_full(&self) -> bool {
        let outputs: usize = self.outputs.iter().map(|e| e.value.len()).sum();
        outputs + self.machine.dirty_bytes() >= COMMIT_BYTES_MAX
    }

    /// Makes everything applied so far durable, together with `more` records.
    pub fn commit(&mut self, more: Vec<Entry>) -> Result<(), CycleError> {
        self.has_more_than_time = false;
        let mut outputs = std::mem::take(&mut self.outputs);
        outputs.extend(more);
        let (puts, position, sealed) = (self.machine.take_puts(), self.position, self.machine.is_sealed());
        self.task.commit(Commit { outputs, puts, position, sealed })?;
        self.committed = position;
        Ok(())
    }

    /// Makes records durable before what was applied is: state and position stay as the newest commit has them, and what
    /// was applied since waits for the next. After a crash the records are there, and the rest is applied again.
    pub fn append(&mut self, records: Vec<Entry>) -> Result<(), CycleError> {
        let position = self.committed;
        Ok(self.task.commit(Commit { outputs: records, puts: Vec::new(), position, sealed: false })?)
    }
}

/// Longest time between two commits.
pub const COMMIT_INTERVAL: Duration = Duration::from_millis(COMMIT_INTERVAL_MS);
/// The same, while it is behind: each commit then holds more, and an entry that changed twice is written once.
pub const COMMIT_INTERVAL_BEHIND: Duration = Duration::from_millis(COMMIT_INTERVAL_BEHIND_MS);

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::directory::Skips;

    /// Applies numbers below 10; 0 is time.
    #[derive(Default)]
    struct Small(Vec<u64>);

    impl StateMachine for Small {
        fn restore(&mut self, _: &[u8], _: &[u8]) -> Result<(), Halt> {
            Ok(())
        }

        fn apply(&mut self, record: &Record, _: &mut Vec<Entry>) -> Result<Brought, Halt> {
            match record.value.first() {
                Some(0) => return Ok(Brought::OnlyTime),
                Some(1..10) => self.0.push(record.offset),
                _ => return Err(Halt { offset: record.offset, what: "not a number below 10".to_owned() }),
            }
            Ok(Brought::More)
        }

        fn dirty_bytes(&self) -> usize {
            0
        }

        fn take_puts(&mut self) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
            Vec::new()
        }
    }

    struct Given {
        records: VecDeque<Record>,
        skips: Skips,
        committed: u64,
        appended: usize,
    }

    impl Given {
        /// At offsets 0, 1, …
        fn new(values: &[u8], skips: Skips) -> Self {
            let records = (0..).zip(values);
            let records =
                records.map(|(offset, value)| Record { offset, key: Vec::new(), value: vec![*value] }).collect();
            Self { records, skips, committed: 0, appended: 0 }
        }
    }

    impl Task for Given {
        fn position(&self) -> u64 {
            self.committed
        }

        fn restore(&mut self, _: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), LogError> {
            Ok(())
        }

        fn input_end(&mut self) -> Result<u64, LogError> {
            Ok(0)
        }

        fn is_skipped(&self, offset: u64) -> bool {
            self.skips.has(offset)
        }

        fn read(&mut self, _: Duration) -> Result<Vec<Record>, LogError> {
            Ok(self.records.drain(..).collect())
        }

        fn commit(&mut self, commit: Commit) -> Result<(), LogError> {
            self.committed = commit.position;
            self.appended += commit.outputs.len();
            Ok(())
        }
    }

    #[test]
    fn more_than_time_waits_until_it_is_committed() {
        for (values, has_more) in [(&[0, 0][..], false), (&[0, 1, 0], true)] {
            let mut cycle = Cycle::start(Small::default(), Given::new(values, Skips::default())).unwrap();
            assert_eq!(cycle.apply_next(Duration::ZERO).unwrap(), values.len());
            assert_eq!(cycle.has_more_than_time(), has_more, "{values:?}");
            cycle.commit(Vec::new()).unwrap();
            assert!(!cycle.has_more_than_time(), "{values:?}");
        }
    }

    #[test]
    fn what_is_appended_before_leaves_the_position_where_it_is() {
        let mut cycle = Cycle::start(Small::default(), Given::new(&[1, 2], Skips::default())).unwrap();
        assert_eq!(cycle.apply_next(Duration::ZERO).unwrap(), 2);
        let entry = Entry { topic: Topic::Detections, partition: 0, key: Vec::new(), value: vec![1] };
        for appended in [1, 2] {
            cycle.append(vec![entry.clone()]).unwrap();
            assert_eq!((cycle.task.committed, cycle.task.appended), (0, appended));
            assert!(cycle.has_more_than_time(), "what was applied waits");
        }
        cycle.commit(Vec::new()).unwrap();
        cycle.append(vec![entry]).unwrap();
        assert_eq!((cycle.task.committed, cycle.task.appended), (2, 3), "and then it is behind it");
    }

    #[test]
    fn what_cannot_be_applied_stops_the_partition_until_it_is_passed_over() {
        let mut cycle = Cycle::start(Small::default(), Given::new(&[1, 77, 2, 99], Skips::default())).unwrap();
        let error = cycle.apply_next(Duration::ZERO).unwrap_err();
        assert_eq!((cycle.position(), error.stands_at()), (1, Some(1)));
        let told = error.told(Topic::Signals, "1/3");
        for part in ["signals partition 1/3 offset 1", "below 10", "logystera log skip signals 1/3 1 --reason TEXT"] {
            assert!(told.contains(part), "{told}");
        }

        let mut skips = Skips::default();
        skips.add(1..2);
        skips.add(3..4);
        let mut cycle = Cycle::start(Small::default(), Given::new(&[1, 77, 2, 99], skips)).unwrap();
        assert_eq!(cycle.apply_next(Duration::ZERO).unwrap(), 4);
        cycle.commit(Vec::new()).unwrap();
        assert_eq!((cycle.machine.0, cycle.task.committed), (vec![0, 2], 4), "the last one is behind it, too");
    }
}
