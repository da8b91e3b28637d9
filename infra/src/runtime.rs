//! The cycle that runs a state machine on a task: read, apply, commit. The engine and the planner both run on it.

use std::time::Duration;

use logystera_schemas::limits::{COMMIT_BYTES_MAX, COMMIT_INTERVAL_BEHIND_MS, COMMIT_INTERVAL_MS};

use crate::log::{Commit, Entry, LogError, Record, Task};

/// Why a machine cannot apply a record. The task stops: to skip a record would make the state a lie.
#[derive(Debug, thiserror::Error)]
#[error("offset {offset}: {what}")]
pub struct Halt {
    /// Offset of the record.
    pub offset: u64,
    /// What is wrong, without values.
    pub what: String,
}

/// A deterministic machine over one topic: state and outputs are a function of the records, in order.
pub trait StateMachine {
    /// Takes one stored state entry. Called for each of them before the first record.
    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), Halt>;

    /// Ends the restoring, before the first record.
    fn restored(&mut self) {}

    /// Applies one record and appends what it brings about to `outputs`.
    fn apply(&mut self, record: &Record, outputs: &mut Vec<Entry>) -> Result<(), Halt>;

    /// Whether the newest record was the end of the partition. Nothing behind it is applied.
    fn is_sealed(&self) -> bool {
        false
    }

    /// About how many bytes [`Self::take_puts`] would give now.
    fn dirty_bytes(&self) -> usize;

    /// The state entries that changed since the last call, each key once, in the order of the keys.
    fn take_puts(&mut self) -> Vec<(Vec<u8>, Option<Vec<u8>>)>;
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
    outputs: Vec<Entry>,
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
        Ok(Self { position: task.position(), machine, task, outputs: Vec::new() })
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

    /// Reads once, waiting up to `wait`, and applies what came, up to the partition's end. Returns how many records that were.
    pub fn apply_next(&mut self, wait: Duration) -> Result<usize, CycleError> {
        let mut applied = 0;
        let records = self.task.read(wait)?;
        for record in &records {
            if self.machine.is_sealed() {
                break;
            }
            self.machine.apply(record, &mut self.outputs)?;
            self.position = record.offset + 1;
            applied += 1;
        }
        self.task.take_back(records);
        Ok(applied)
    }

    /// Whether so much has gathered that the commit should not wait for its interval.
    pub fn is_full(&self) -> bool {
        let outputs: usize = self.outputs.iter().map(|e| e.value.len()).sum();
        outputs + self.machine.dirty_bytes() >= COMMIT_BYTES_MAX
    }

    /// Makes everything applied so far durable, together with `more` records.
    pub fn commit(&mut self, more: Vec<Entry>) -> Result<(), CycleError> {
        let mut outputs = std::mem::take(&mut self.outputs);
        outputs.extend(more);
        let puts = self.machine.take_puts();
        Ok(self.task.commit(Commit { outputs, puts, position: self.position, sealed: self.machine.is_sealed() })?)
    }
}

/// Longest time between two commits.
pub const COMMIT_INTERVAL: Duration = Duration::from_millis(COMMIT_INTERVAL_MS);
/// The same, while it is behind: each commit then has more to say, and says less of what changed twice.
pub const COMMIT_INTERVAL_BEHIND: Duration = Duration::from_millis(COMMIT_INTERVAL_BEHIND_MS);
