//! Room on the disk for changes of what is configured: a file that is given back when the disk is full, so that a key
//! can still be revoked. From then on, and until the file is there again, nothing else is taken: it would use the room
//! up.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use logystera_schemas::limits::{LOG_RESERVE_BYTES, LOG_RESERVE_RETRY_MS};

use crate::clock::Stopwatch;
use crate::files;

/// Name of the file in the data folder.
const RESERVE_FILE: &str = "reserve";

/// The reserve of an open folder.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    /// When the reserve was given back, or last could not be made because the disk is full; none otherwise.
    spent: Option<Stopwatch>,
}

impl Reserve {
    /// The folder's reserve; makes it if it is missing.
    pub(super) fn open(dir: &Path) -> Self {
        let mut reserve = Self { path: dir.join(RESERVE_FILE), spent: None };
        let whole = files::open_for_reading(&reserve.path).and_then(|file| file.metadata());
        if !whole.is_ok_and(|found| found.len() == LOG_RESERVE_BYTES as u64) {
            reserve.make();
        }
        reserve
    }

    /// Gives the room back. True: there was some.
    pub(super) fn give_back(&mut self) -> bool {
        if self.spent.is_some() || std::fs::remove_file(&self.path).is_err() {
            return false;
        }
        tracing::error!(
            "the disk is full: only changes of sites, keys and channels are taken until there is room again"
        );
        self.spent = Some(Stopwatch::start());
        true
    }

    /// Whether the reserve is in use, and nothing else may be written. Looks now and then whether it can be made again.
    pub(super) fn is_spent(&mut self) -> bool {
        if self.spent.is_some_and(|tried| tried.elapsed() >= Duration::from_millis(LOG_RESERVE_RETRY_MS)) {
            self.make();
            if self.spent.is_none() {
                tracing::info!("there is room on the disk again: everything is taken");
            }
        }
        self.spent.is_some()
    }

    fn make(&mut self) {
        self.spent = match self.write() {
            Ok(()) => None,
            Err(error) => {
                drop(files::remove_leftover(&self.path));
                let is_full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
                if !is_full {
                    tracing::warn!(path = %self.path.display(), %error, "no room can be kept for the day the disk is full");
                }
                is_full.then(Stopwatch::start)
            }
        };
    }

    fn write(&self) -> io::Result<()> {
        files::remove_leftover(&self.path)?;
        let mut file = files::create_new(&self.path)?;
        // Bytes that no file system can leave out or make smaller.
        let mut word = 0x9e37_79b9_7f4a_7c15_u64;
        let mut bytes = Vec::with_capacity(LOG_RESERVE_BYTES);
        while bytes.len() < LOG_RESERVE_BYTES {
            word ^= word << 13;
            word ^= word >> 7;
            word ^= word << 17;
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        file.write_all(&bytes)?;
        file.sync_all()
    }
}

/// Gives a folder's room back if the disk is so full that its data cannot even be opened. True: there was some.
pub(super) fn give_back_unopened(dir: &Path) -> bool {
    std::fs::remove_file(dir.join(RESERVE_FILE)).is_ok()
}
