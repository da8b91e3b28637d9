//! A log and a store in memory, whose every effect can fail: the test double behind `infra::log::Task`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use logystera_infra::log::{Commit, Entry, LogError, Record, Task};

use crate::rng::Rng;

/// Everything that is durable.
#[derive(Debug, Default)]
pub struct Durable {
    /// The input, offsets rising with gaps.
    pub input: Vec<Record>,
    /// What was committed to other topics.
    pub outputs: Vec<Entry>,
    state: BTreeMap<Vec<u8>, Vec<u8>>,
    position: u64,
    epoch: u64,
}

/// The durable part, shared by the tasks of all takeovers.
#[derive(Clone, Debug)]
pub struct Memory {
    durable: Arc<Mutex<Durable>>,
    /// Input records that may be read so far.
    faults: Arc<Mutex<Rng>>,
    fault_percent: u64,
}

impl Memory {
    /// A memory with this input, of whose effects so many percent fail.
    pub fn new(input: Vec<Record>, seed: u64, fault_percent: u64) -> Self {
        let durable = Durable { input, ..Durable::default() };
        Self { durable: Arc::new(Mutex::new(durable)), faults: Arc::new(Mutex::new(Rng::new(seed))), fault_percent }
    }

    /// What is durable now.
    pub fn durable(&self) -> MutexGuard<'_, Durable> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Draws from the faults' generator.
    pub fn draw(&self, end: u64) -> u64 {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).below(end)
    }

    fn fails(&self) -> bool {
        self.draw(100) < self.fault_percent
    }

    /// Takes the input over: the owner before is fenced.
    pub fn take_over(&self) -> MemoryTask {
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
        let durable = self.memory.durable();
        let from = durable.input.partition_point(|r| r.offset < self.read_from);
        let records: Vec<Record> = durable.input[from..].iter().take(most).cloned().collect();
        self.read_from = records.last().map_or(self.read_from, |r| r.offset + 1);
        Ok(records)
    }

    fn commit(&mut self, commit: Commit) -> Result<(), LogError> {
        let fate = if self.memory.fails() { self.memory.draw(4) } else { 4 };
        if fate == 0 {
            return Err(LogError::Away("committing".to_owned()));
        }
        if fate == 1 {
            return Err(LogError::Ambiguous("it did not happen".to_owned()));
        }
        let mut durable = self.memory.durable();
        if durable.epoch != self.epoch {
            return Err(LogError::Fenced);
        }
        durable.outputs.extend(commit.outputs);
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
