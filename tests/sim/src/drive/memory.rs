//! A log and a store in memory, whose every effect can fail: the test double behind `infra::log::Task`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use logystera_infra::log::{Commit, Entry, LogError, Record, Task};

use logystera_schemas::topic::Topic;

use crate::rng::Rng;

/// Everything that is durable.
#[derive(Clone, Debug, Default)]
pub struct Durable {
    /// The input, offsets rising with gaps.
    pub input: Vec<Record>,
    /// What was committed to other topics.
    pub outputs: Vec<Entry>,
    /// The entries of the state.
    pub state: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Records of the input that the state knows of: those before this offset.
    pub position: u64,
    epoch: u64,
    /// Whether records of topic `detections` go to the end of the input: the planner's topic is its own.
    pub feeds_itself: bool,
    /// Ticks that still come, one each time when nothing else is left to read.
    pub ticks: Vec<Vec<u8>>,
}

impl Durable {
    /// Appends to the input.
    pub fn append(&mut self, value: Vec<u8>) {
        let offset = self.input.last().map_or(0, |r| r.offset + 1);
        self.input.push(Record { offset, key: Vec::new(), value });
    }
}

/// The durable part, shared by the tasks of all takeovers.
#[derive(Clone, Debug)]
pub struct Memory {
    durable: Arc<Mutex<Durable>>,
    faults: Arc<Mutex<Faults>>,
}

/// What will fail.
#[derive(Debug)]
struct Faults {
    rng: Rng,
    percent: u64,
    /// Faults that may still happen.
    left: u64,
    /// Whether the process is dead: everything that it does fails until it is taken over.
    is_dead: bool,
}

impl Memory {
    /// A memory with this input, of whose effects so many percent fail.
    pub fn new(input: Vec<Record>, seed: u64, fault_percent: u64) -> Self {
        let durable = Durable { input, ..Durable::default() };
        let faults = Faults { rng: Rng::new(seed), percent: fault_percent, left: u64::MAX, is_dead: false };
        Self { durable: Arc::new(Mutex::new(durable)), faults: Arc::new(Mutex::new(faults)) }
    }

    /// What is durable now.
    pub fn durable(&self) -> MutexGuard<'_, Durable> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that is durable is again what it was once.
    pub fn put_back(&self, backup: Durable) {
        *self.durable() = backup;
    }

    /// Draws from the faults' generator.
    pub fn draw(&self, end: u64) -> u64 {
        self.faults().rng.below(end)
    }

    /// At most so many more faults.
    pub fn limit_faults(&self, left: u64) {
        self.faults().left = left;
    }

    /// Draws whether the process dies now, with `percent`.
    pub fn may_die(&self, percent: u64) {
        let mut faults = self.faults();
        if faults.left > 0 && faults.rng.chance(percent) {
            (faults.left, faults.is_dead) = (faults.left - 1, true);
        }
    }

    fn fails(&self) -> bool {
        let mut faults = self.faults();
        let percent = faults.percent;
        let fails = faults.is_dead || (faults.left > 0 && faults.rng.chance(percent));
        if fails && !faults.is_dead {
            faults.left = faults.left.saturating_sub(1);
        }
        fails
    }

    /// Takes the input over: the owner before is fenced.
    pub fn take_over(&self) -> MemoryTask {
        self.faults().is_dead = false;
        let mut durable = self.durable();
        durable.epoch += 1;
        let (epoch, position) = (durable.epoch, durable.position);
        drop(durable);
        MemoryTask { memory: self.clone(), epoch, position, read_from: position }
    }
}

/// One owner of the input.
#[derive(Debug)]
pub struct MemoryTask {
    memory: Memory,
    epoch: u64,
    position: u64,
    read_from: u64,
}

impl Task for MemoryTask {
    fn position(&self) -> u64 {
        self.position
    }

    fn restore(&mut self, restore: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), LogError> {
        if self.memory.fails() {
            return Err(LogError::Away("restoring".to_owned()));
        }
        self.memory.durable().state.iter().for_each(|(key, value)| restore(key, value));
        Ok(())
    }

    fn input_end(&mut self) -> Result<u64, LogError> {
        Ok(self.memory.durable().input.last().map_or(0, |r| r.offset + 1))
    }

    fn read(&mut self, _wait: Duration) -> Result<Vec<Record>, LogError> {
        if self.memory.fails() {
            return Err(LogError::Away("reading".to_owned()));
        }
        let most = 1 + self.memory.draw(40) as usize;
        let mut durable = self.memory.durable();
        if durable.input.last().is_none_or(|r| r.offset < self.read_from)
            && let Some(tick) = durable.ticks.pop()
        {
            durable.append(tick);
        }
        let from = durable.input.partition_point(|r| r.offset < self.read_from);
        let records: Vec<Record> = durable.input[from..].iter().take(most).cloned().collect();
        self.read_from = records.last().map_or(self.read_from, |r| r.offset + 1);
        Ok(records)
    }

    fn commit(&mut self, commit: Commit) -> Result<(), LogError> {
        let is_dead = self.memory.faults().is_dead;
        let fate = if self.memory.fails() { self.memory.draw(4) } else { 4 };
        if fate == 0 || is_dead {
            return Err(LogError::Away("committing".to_owned()));
        }
        if fate == 1 {
            return Err(LogError::Ambiguous("it did not happen".to_owned()));
        }
        let mut durable = self.memory.durable();
        if durable.epoch != self.epoch {
            return Err(LogError::Fenced);
        }
        for entry in commit.outputs {
            if durable.feeds_itself && entry.topic == Topic::Detections {
                durable.append(entry.value);
            } else {
                durable.outputs.push(entry);
            }
        }
        durable.position = commit.position;
        for (key, value) in commit.puts {
            match value {
                Some(value) => durable.state.insert(key, value),
                None => durable.state.remove(&key),
            };
        }
        if fate == 2 { Err(LogError::Ambiguous("it did happen".to_owned())) } else { Ok(()) }
    }
}
