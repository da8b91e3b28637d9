//! The data of a folder for a process that only reads: tail, replay, inspection. It works while another process writes.

use std::ops::Range;
use std::path::Path;

use logystera_schemas::topic::Topic;
use rusqlite::Connection;

use super::error::OpenError;
use super::read::{self, StateEntry};
use super::{mark, store};
use crate::log::{LogError, Record};

/// Reads a data folder. Cannot write.
#[derive(Debug)]
pub struct EmbeddedReader {
    connection: Connection,
}

impl EmbeddedReader {
    /// Opens the folder's data. Fails if there is none, or a newer binary wrote it.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        Ok(Self { connection: store::open_for_reading(dir)? })
    }

    /// Fails if the data of a folder ends before what was acknowledged: it was put back, or lost its end.
    pub fn check_acknowledged(dir: &Path) -> Result<(), OpenError> {
        let marked = mark::read(dir);
        let reader = Self::open(dir)?;
        let ends = read::ends(&reader.connection).map_err(|e| store::open_error(dir, &e))?;
        mark::check(dir, marked, ends)
    }

    /// Offsets from the oldest record to one past the newest committed one.
    pub fn bounds(&self, topic: Topic) -> Result<Range<u64>, LogError> {
        read::bounds(&self.connection, topic)
    }

    /// Committed records from offset `from` on, at least one if there is one, then as many as fit `bytes_max`.
    pub fn read(&self, topic: Topic, from: u64, bytes_max: usize) -> Result<Vec<Record>, LogError> {
        read::records(&self.connection, topic, from, bytes_max)
    }

    /// The input offset that `app` reads next, as its newest commit has it; none if it never ran.
    pub fn position(&self, app: &str) -> Result<Option<u64>, LogError> {
        read::position(&self.connection, app)
    }

    /// Gives every state entry of `app` to `visit`, in the order of the keys.
    pub fn state(&self, app: &str, visit: &mut dyn FnMut(StateEntry<'_>)) -> Result<(), LogError> {
        read::state(&self.connection, app, &[], visit)
    }

    /// The same, of the entries whose keys begin with `prefix`: it costs what they are.
    pub fn state_of(&self, app: &str, prefix: &[u8], visit: &mut dyn FnMut(StateEntry<'_>)) -> Result<(), LogError> {
        read::state(&self.connection, app, prefix, visit)
    }
}
