//! An open data folder, with its lock and its writer.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use logystera_schemas::topic::Topic;

use super::error::OpenError;
use super::lock::FolderLock;
use super::log::EmbeddedLog;
use super::mark::{self, Mark};
use super::progress::Stats;
use super::reserve::{self, Reserve};
use super::shared::Shared;
use super::task::EmbeddedTask;
use super::wal::WalSize;
use super::writer::{Watched, Writer};
use super::{read, store};
use crate::log::LogError;

/// An open data folder. Only one process has it open at a time.
#[derive(Debug)]
pub struct Embedded {
    pub(super) shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
    _lock: FolderLock,
}

impl Embedded {
    /// Opens the folder, and creates it, readable by its owner alone, if it is not there.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        Self::open_with(dir, None)
    }

    /// Opens the folder if it has data.
    pub fn open_existing(dir: &Path) -> Result<Self, OpenError> {
        store::holds_data(dir)?;
        Self::open(dir)
    }

    /// Opens the folder also if its data ends before what was acknowledged: what is missing is given up. Changes
    /// nothing of a folder that another process has.
    pub fn open_rolled_back(dir: &Path) -> Result<Self, OpenError> {
        let lock = FolderLock::take(dir)?;
        mark::forget(dir)?;
        Self::open_locked(dir, lock, None)
    }

    /// As [`Self::open`], with a bound on the file's pages, so that tests can fill it.
    pub(super) fn open_with(dir: &Path, pages_max: Option<u32>) -> Result<Self, OpenError> {
        Self::open_locked(dir, FolderLock::take(dir)?, pages_max)
    }

    fn open_locked(dir: &Path, lock: FolderLock, pages_max: Option<u32>) -> Result<Self, OpenError> {
        let connection = match store::open_for_writing(dir, pages_max) {
            Err(OpenError::Full { .. }) if reserve::give_back_unopened(dir) => store::open_for_writing(dir, pages_max)?,
            opened => opened?,
        };
        let ends = read::ends(&connection).map_err(|e| store::open_error(dir, &e))?;
        let watched = Watched { reserve: Reserve::open(dir), mark: Mark::open(dir, ends)?, wal: WalSize::of(dir) };
        let shared = Arc::new(Shared::new(dir, ends));
        let writer = Writer::new(connection, ends, watched, Arc::clone(&shared));
        let thread = std::thread::Builder::new().name("log-writer".to_owned()).spawn(move || writer.run());
        let thread = thread.map_err(|e| OpenError::io(dir, e))?;
        Ok(Self { shared, writer: Some(thread), _lock: lock })
    }

    /// The log, to append records of one's own or only to read.
    pub fn log(&self) -> EmbeddedLog {
        EmbeddedLog::new(Arc::clone(&self.shared))
    }

    /// The right to change topic `control`; none while somebody has it.
    pub fn seat(&self) -> Option<ControlSeat> {
        let taken = self.shared.seat_is_taken.swap(true, Ordering::AcqRel);
        (!taken).then(|| ControlSeat { shared: Arc::clone(&self.shared) })
    }

    /// Takes over the task of `app`, which reads `input`. Every earlier owner of it is fenced from here on.
    pub fn task(&self, app: &str, input: Topic) -> Result<EmbeddedTask, LogError> {
        self.log().task(app, input)
    }

    /// What the writer has done so far.
    pub fn stats(&self) -> Stats {
        self.shared.progress.stats()
    }

    /// Takes nothing new, makes what waits durable, answers it, and lets the folder go.
    pub fn close(mut self) {
        self.finish();
    }

    fn finish(&mut self) {
        self.shared.queue.close();
        if let Some(thread) = self.writer.take()
            && thread.join().is_err()
        {
            tracing::error!("the log's writer panicked; what it had not answered may be missing");
        }
        self.shared.progress.close();
    }
}

/// The right to change what is configured in an open folder: to read topic `control`, decide, and append. There is one,
/// so that no two decide by the same reading, and give two sites one id. Let go when it is dropped.
#[derive(Debug)]
pub struct ControlSeat {
    shared: Arc<Shared>,
}

impl Drop for ControlSeat {
    fn drop(&mut self) {
        self.shared.seat_is_taken.store(false, Ordering::Release);
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.finish();
    }
}
