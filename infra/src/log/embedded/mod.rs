//! Log and store in one SQLite file, for one machine: durable by fsync, with no other service.
//!
//! One thread writes. It takes everything that waits, puts it into one transaction and answers all of it when the
//! transaction is on disk: one fsync serves every batch that waits (group commit). Readers have connections of their
//! own and see what is committed. A lock file keeps a second writing process out; a process that only reads uses
//! [`EmbeddedReader`]. The tables are documented in `store.rs`. Local disks only: SQLite's write-ahead log needs shared
//! memory, and a network file system's locks are not to be trusted.

mod lock;
mod log;
mod queue;
mod read;
mod reader;
mod store;
mod task;
mod writer;

#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use logystera_schemas::topic::Topic;

use crate::log::LogError;
use lock::FolderLock;
use queue::Queue;
use writer::{Progress, Writer};

pub use log::EmbeddedLog;
pub use read::StateEntry;
pub use reader::EmbeddedReader;
pub use store::{DATA_FILE, FORMAT, record_checksum};
pub use task::EmbeddedTask;

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process writes to it.
    #[error(
        "the folder {} is in use by another logystera{}; stop that one, or name another folder with --data",
        dir.display(), pid.map_or(String::new(), |p| format!(" (process {p})"))
    )]
    InUse {
        /// The folder.
        dir: PathBuf,
        /// The other process, where it said.
        pid: Option<u32>,
    },
    /// A newer binary wrote it.
    #[error(
        "the folder {} holds data of format {found}; this binary knows formats up to {known}: \
         use the newer logystera that wrote it",
        dir.display()
    )]
    Newer {
        /// The folder.
        dir: PathBuf,
        /// Format of the data.
        found: u32,
        /// Newest format that this binary knows.
        known: u32,
    },
    /// There is no data there. Only for those who read.
    #[error("the folder {} holds no data; `logystera up --data {}` creates it", dir.display(), dir.display())]
    NoData {
        /// The folder.
        dir: PathBuf,
    },
    /// The folder or a file in it cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// What could not be used.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// SQLite refuses the file.
    #[error("{}: {what}", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        what: String,
    },
}

/// What the writer has done since the folder was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Transactions committed; each is one fsync.
    pub commits: u64,
    /// Appends, task commits and takeovers that were answered with success.
    pub answered: u64,
}

/// What the handles to one open folder share.
#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    queue: Queue,
    progress: Progress,
    readers: Mutex<Vec<rusqlite::Connection>>,
}

/// An open data folder. Only one process has it open at a time.
#[derive(Debug)]
pub struct Embedded {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
    _lock: FolderLock,
}

impl Embedded {
    /// Opens the folder, and creates it, readable by its owner alone, where it is not there.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        Self::open_with(dir, None)
    }

    /// As [`Self::open`], with a bound on the file's pages, so that tests can fill it.
    fn open_with(dir: &Path, pages_max: Option<u32>) -> Result<Self, OpenError> {
        let lock = FolderLock::take(dir)?;
        let connection = store::open_for_writing(dir, pages_max)?;
        let ends = store::ends(&connection).map_err(|e| store::open_error(dir, &e))?;
        let shared = Arc::new(Shared {
            dir: dir.to_owned(),
            queue: Queue::new(),
            progress: Progress::new(ends),
            readers: Mutex::default(),
        });
        let writer = Writer::new(connection, ends, Arc::clone(&shared));
        let thread = std::thread::Builder::new().name("log-writer".to_owned()).spawn(move || writer.run());
        let thread = thread.map_err(|source| OpenError::Io { path: dir.to_owned(), source })?;
        Ok(Self { shared, writer: Some(thread), _lock: lock })
    }

    /// The log, for those who append records of their own or only read.
    pub fn log(&self) -> EmbeddedLog {
        EmbeddedLog::new(Arc::clone(&self.shared))
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

impl Drop for Embedded {
    fn drop(&mut self) {
        self.finish();
    }
}
