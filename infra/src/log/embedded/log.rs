//! The log of an open folder, to append records of one's own or only to read.

use std::ops::Range;
use std::sync::Arc;

use logystera_schemas::topic::Topic;

use super::read;
use super::shared::Shared;
use super::task::EmbeddedTask;
use crate::log::{Entry, Log, LogError, Record};

/// A handle to the log; its clones are the same log.
#[derive(Clone, Debug)]
pub struct EmbeddedLog {
    shared: Arc<Shared>,
}

impl EmbeddedLog {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

impl EmbeddedLog {
    /// Takes over the task of `app`, which reads `input`. Every earlier owner of it is fenced from here on.
    pub fn task(&self, app: &str, input: Topic) -> Result<EmbeddedTask, LogError> {
        EmbeddedTask::take_over(Arc::clone(&self.shared), app, input)
    }
}

impl Log for EmbeddedLog {
    fn partitions(&self, _topic: Topic) -> u32 {
        1
    }

    async fn append(&self, entries: Vec<Entry>) -> Result<(), LogError> {
        entries.iter().try_for_each(|e| read::only_partition(e.partition))?;
        if entries.is_empty() {
            return Ok(());
        }
        self.shared.queue.append(entries).await
    }

    fn bounds(&self, topic: Topic, partition: u32) -> Result<Range<u64>, LogError> {
        read::only_partition(partition)?;
        self.shared.with_reader(|connection| read::bounds(connection, topic))
    }

    fn read(&self, topic: Topic, partition: u32, from: u64, bytes_max: usize) -> Result<Vec<Record>, LogError> {
        read::only_partition(partition)?;
        self.shared.with_reader(|connection| read::records(connection, topic, from, bytes_max))
    }
}
