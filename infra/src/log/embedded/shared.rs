//! What the handles to one open folder share.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};

use logystera_schemas::limits::LOG_READERS_KEPT_MAX;
use rusqlite::Connection;

use super::progress::Progress;
use super::queue::Queue;
use super::tables::Ends;
use super::{read, store};
use crate::log::LogError;

/// What the handles to one open folder share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) dir: PathBuf,
    pub(super) queue: Queue,
    pub(super) progress: Progress,
    pub(super) readers: Mutex<Vec<Connection>>,
    pub(super) seat_is_taken: AtomicBool,
}

impl Shared {
    /// Of a folder whose topics end at `ends`.
    pub(super) fn new(dir: &Path, ends: Ends) -> Self {
        Self {
            dir: dir.to_owned(),
            queue: Queue::new(),
            progress: Progress::new(ends),
            readers: Mutex::default(),
            seat_is_taken: AtomicBool::new(false),
        }
    }

    /// Reads on a connection that is free, or on a new one.
    pub(super) fn with_reader<T>(&self, read: impl FnOnce(&Connection) -> Result<T, LogError>) -> Result<T, LogError> {
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => store::connect_reader(&self.dir).map_err(|e| read::away(&e))?,
        };
        let answer = read(&connection);
        let mut idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < LOG_READERS_KEPT_MAX {
            idle.push(connection);
        }
        answer
    }
}
