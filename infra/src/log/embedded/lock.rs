//! The lock on a data folder: one process writes to it.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::error::OpenError;
use crate::files;

/// Name of the lock file. It stays when the lock is let go; what counts is the lock, which the kernel drops with the
/// process.
const LOCK_FILE: &str = "lock";
/// Bytes of it that are looked at.
const PID_BYTES_MAX: u64 = 32;

/// Holds the folder until it is dropped.
#[derive(Debug)]
pub(super) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Creates the folder if it is missing, and takes its lock or says who has it.
    pub(super) fn take(dir: &Path) -> Result<Self, OpenError> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|e| OpenError::making(dir, e))?;
        let path = dir.join(LOCK_FILE);
        let opened = files::open(&path, File::options().read(true).write(true).create(true).truncate(false));
        let mut file = opened.map_err(|source| OpenError::io(&path, source))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let read = (&mut file).take(PID_BYTES_MAX).read_to_string(&mut text);
                let pid = read.ok().and_then(|_| text.trim().parse().ok());
                return Err(OpenError::InUse { dir: dir.to_owned(), pid });
            }
            Err(TryLockError::Error(source)) => return Err(OpenError::Io { path, source }),
        }
        // Only for people: on a full disk it can't be written, and the folder is ours all the same.
        drop(file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())));
        Ok(Self { _file: file })
    }
}
