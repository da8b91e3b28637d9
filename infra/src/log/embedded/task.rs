//! A task: the one owner of an app's input, and the only one that commits for it.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use logystera_schemas::limits::READ_BYTES_MAX;
use logystera_schemas::topic::Topic;

use super::queue::{Request, TaskOwner, writer_gone};
use super::read;
use super::shared::Shared;
use crate::directory::Skips;
use crate::log::{Commit, LogError, Record, Task};

/// A task on the embedded log. It blocks: give it a thread of its own.
#[derive(Debug)]
pub struct EmbeddedTask {
    shared: Arc<Shared>,
    owner: TaskOwner,
    committed: u64,
    /// Offset to read next; runs ahead of what is committed.
    next: u64,
    skips: Skips,
}

impl EmbeddedTask {
    pub(super) fn take_over(shared: Arc<Shared>, app: &str, input: Topic) -> Result<Self, LogError> {
        let (answer, answered) = sync_channel(1);
        shared.queue.push(Request::TakeOver { app: app.to_owned(), input, answer })?;
        let (epoch, position) = answered.recv().unwrap_or_else(|_| Err(writer_gone()))?;
        let owner = TaskOwner { app: app.to_owned(), input, epoch };
        Ok(Self { shared, owner, committed: position, next: position, skips: Skips::default() })
    }

    /// Passes these records over.
    pub fn pass_over(&mut self, skips: Skips) {
        self.skips = skips;
    }

    /// The next records. An altered record is an error that names its place.
    fn records(&mut self, bytes_max: usize) -> Result<Vec<Record>, LogError> {
        let (input, next) = (self.owner.input, self.next);
        self.shared.with_reader(|connection| read::records(connection, input, next, bytes_max))
    }
}

impl Task for EmbeddedTask {
    fn position(&self) -> u64 {
        self.committed
    }

    fn restore(&mut self, restore: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), LogError> {
        let app = &self.owner.app;
        self.shared
            .with_reader(|connection| read::state(connection, app, &[], &mut |entry| restore(entry.key, entry.value)))
    }

    fn input_end(&mut self) -> Result<u64, LogError> {
        Ok(self.shared.progress.end(self.owner.input))
    }

    fn is_skipped(&self, offset: u64) -> bool {
        self.skips.has(offset)
    }

    fn read(&mut self, wait: Duration) -> Result<Vec<Record>, LogError> {
        let input = self.owner.input;
        if !self.shared.progress.wait_for(input, self.next, wait) {
            return Ok(Vec::new());
        }
        let records = match self.records(READ_BYTES_MAX) {
            Err(LogError::Checksum { offset, .. }) if self.skips.has(offset) && offset == self.next => {
                // The cycle passes it over: it has nothing that could be applied.
                vec![Record { offset, ..Record::default() }]
            }
            // Those before it, one by one.
            Err(LogError::Checksum { offset, .. }) if self.skips.has(offset) => self.records(1)?,
            records => records?,
        };
        if let Some(last) = records.last() {
            self.next = last.offset + 1;
        }
        Ok(records)
    }

    fn commit(&mut self, commit: Commit) -> Result<(), LogError> {
        commit.outputs.iter().try_for_each(|e| read::only_partition(e.partition))?;
        let position = commit.position;
        let (answer, answered) = sync_channel(1);
        self.shared.queue.push(Request::Commit { owner: self.owner.clone(), commit, answer })?;
        answered.recv().unwrap_or_else(|_| Err(writer_gone()))?;
        self.committed = position;
        Ok(())
    }
}
