//! The file: its tables, its settings, and the checksums of its rows.
//!
//! | table | row | written by | lives | its absence means |
//! | --- | --- | --- | --- | --- |
//! | `meta` | `format`: version of the data's format | whoever creates the file, and an upgrade | for good | the file is new |
//! | `topics` | the offset that the topic's next record gets | every commit that appends to the topic | for good | nothing was ever appended |
//! | `log_signals`, `log_detections`, `log_attempts`, `log_snapshots`, `log_series` | one record of the topic | an append or a task's commit, once | as long as the topic is kept | the offset was never given, or its record has passed its time |
//! | `log_control` | the newest record of its key | whoever configures | until a newer one of the key is written | the key was never written, at this offset |
//! | `state` | one state entry of one app | the app's task, in its commit | until the task deletes it | the machine holds nothing under the key |
//! | `positions` | where one app stands: its input, the epoch of its newest owner, the next input offset | a takeover (epoch) and every commit (position) | for good | the app never ran |
//!
//! Every record, state entry and position carries the CRC32C of all that it says, its place included, so that a row can
//! neither be altered nor moved unnoticed.

use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, ffi};

use super::error::OpenError;
use super::mark::MARK_FILE;
use super::tables::{DATA_FILE, is_damage};
use crate::files;
use crate::secrets::MASTER_KEY_FILE;

/// SQLite's write-ahead log beside it.
pub(super) const WAL_FILE: &str = "logystera.sqlite-wal";
/// Files of an installation that are made after its data.
const AFTER_DATA: [&str; 4] = [WAL_FILE, MASTER_KEY_FILE, MARK_FILE, DEPLOYMENT_FILE];
/// What the installation is, as versions wrote it that kept it beside the data.
pub const DEPLOYMENT_FILE: &str = "deployment.toml";
/// Version of the data's format that this binary writes. A newer one is refused, an older one would be upgraded here.
pub const FORMAT: u32 = 1;

/// What SQLite says if there is no room for the index of its write-ahead log.
const SHM_WITHOUT_ROOM: i32 = ffi::SQLITE_IOERR_SHMSIZE;

/// How long a statement waits for SQLite's own locks: between two processes they are held for a moment only.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of a page of a new file. A batch of a hundred signals takes about 4 KiB: in SQLite's usual page it would need
/// two, and every page is two writes to the write-ahead log and two system calls more when that is folded into the
/// file.
const PAGE_BYTES: u32 = 16 << 10;
/// Pages in the write-ahead log (16 MiB) at which the writer folds it into the file.
const CHECKPOINT_PAGES: u32 = (16 << 20) / PAGE_BYTES;
/// Bytes that the write-ahead log keeps of the disk once it was folded in: what a reader that stayed made it grow by is
/// given back.
const WAL_KEPT_BYTES: u32 = CHECKPOINT_PAGES * PAGE_BYTES;

const CREATE: &str = "
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
CREATE TABLE topics (topic TEXT PRIMARY KEY, next_offset INTEGER NOT NULL) STRICT;
CREATE TABLE log_signals (offset INTEGER PRIMARY KEY, key BLOB NOT NULL, value BLOB NOT NULL, crc INTEGER NOT NULL) STRICT;
CREATE TABLE log_detections (offset INTEGER PRIMARY KEY, key BLOB NOT NULL, value BLOB NOT NULL, crc INTEGER NOT NULL) STRICT;
CREATE TABLE log_attempts (offset INTEGER PRIMARY KEY, key BLOB NOT NULL, value BLOB NOT NULL, crc INTEGER NOT NULL) STRICT;
CREATE TABLE log_control (offset INTEGER PRIMARY KEY, key BLOB NOT NULL, value BLOB NOT NULL, crc INTEGER NOT NULL) STRICT;
CREATE INDEX log_control_key ON log_control (key);
CREATE TABLE state (app TEXT NOT NULL, key BLOB NOT NULL, version INTEGER NOT NULL, value BLOB NOT NULL, crc INTEGER NOT NULL, PRIMARY KEY (app, key)) STRICT;
CREATE TABLE positions (app TEXT PRIMARY KEY, input TEXT NOT NULL, epoch INTEGER NOT NULL, position INTEGER NOT NULL, version INTEGER NOT NULL, crc INTEGER NOT NULL) STRICT;
";

/// What files of the first versions lack. Versions that do not know it leave it alone.
const CREATE_LATER: &str = "
CREATE TABLE IF NOT EXISTS log_snapshots (offset INTEGER PRIMARY KEY, key BLOB NOT NULL, value BLOB NOT NULL, crc INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS log_series (offset INTEGER PRIMARY KEY, key BLOB NOT NULL, value BLOB NOT NULL, crc INTEGER NOT NULL) STRICT;
";

pub(super) fn open_error(dir: &Path, error: &rusqlite::Error) -> OpenError {
    let path = dir.join(DATA_FILE);
    match error.sqlite_error() {
        Some(ffi::Error { code: ErrorCode::DiskFull, .. } | ffi::Error { extended_code: SHM_WITHOUT_ROOM, .. }) => {
            OpenError::Full { path }
        }
        _ if is_damage(error) => OpenError::Damaged { path, what: error.to_string() },
        _ => OpenError::Store { path, what: error.to_string() },
    }
}

/// The connection of the writer. Creates the tables in a new file.
pub(super) fn open_for_writing(dir: &Path, pages_max: Option<u32>) -> Result<Connection, OpenError> {
    let is_new = !is_there(dir)?;
    if is_new {
        // Its owner's alone, also in a folder that others can read; SQLite gives the files beside it the same mode.
        let path = dir.join(DATA_FILE);
        files::create_new(&path).map_err(|e| OpenError::io(&path, e))?;
    }
    let opened = connect(dir, OpenFlags::SQLITE_OPEN_READ_WRITE);
    let mut connection = opened.map_err(|e| open_error(dir, &e))?;
    // Refuse a newer file before anything in it is touched.
    let format = format(&connection).map_err(|e| open_error(dir, &e))?;
    match format {
        Format::Of(found) => refuse_newer(dir, found)?,
        Format::Nothing if is_new => {}
        // Its making was cut short, or it was emptied: what was closed or served for five seconds has a mark.
        Format::Nothing => refuse_lost(dir, "is empty", &[MARK_FILE, DEPLOYMENT_FILE])?,
        Format::Foreign => return Err(OpenError::Foreign { path: dir.join(DATA_FILE) }),
    }
    set_up(&mut connection, format == Format::Nothing, pages_max).map_err(|e| open_error(dir, &e))?;
    files::sync_folder(dir).map_err(|e| OpenError::io(dir, e))?;
    Ok(connection)
}

/// Whether the data file is there. One that is missing or empty is refused if other files say that there was data:
/// SQLite would take it for a new one, and delete the write-ahead log beside it.
fn is_there(dir: &Path) -> Result<bool, OpenError> {
    let path = dir.join(DATA_FILE);
    match files::open_for_reading(&path).and_then(|file| file.metadata()) {
        Ok(found) if found.len() > 0 => Ok(true),
        Ok(_) => refuse_lost(dir, "is empty", &AFTER_DATA).map(|()| true),
        // A key that was put there before the first start is no sign of data.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            refuse_lost(dir, "is missing", &[WAL_FILE, MARK_FILE, DEPLOYMENT_FILE])?;
            refuse_misnamed(dir).map(|()| false)
        }
        Err(error) => Err(OpenError::io(&path, error)),
    }
}

/// Fails if one of the files that come after the data is there without it.
fn refuse_lost(dir: &Path, how: &'static str, after: &[&'static str]) -> Result<(), OpenError> {
    match after.iter().find(|name| std::fs::symlink_metadata(dir.join(name)).is_ok()) {
        Some(beside) => Err(OpenError::Lost { path: dir.join(DATA_FILE), how, beside }),
        None => Ok(()),
    }
}

/// Fails if a key stands beside a database of another name: a backup that was put back as it was called.
fn refuse_misnamed(dir: &Path) -> Result<(), OpenError> {
    if std::fs::symlink_metadata(dir.join(MASTER_KEY_FILE)).is_err() {
        return Ok(());
    }
    let files = std::fs::read_dir(dir).map_err(|e| OpenError::io(dir, e))?;
    let databases = files.filter_map(Result::ok).map(|file| file.path());
    let found = databases.filter(|path| path.extension().is_some_and(|e| e == "sqlite" || e == "db")).min();
    found.map_or(Ok(()), |found| Err(OpenError::Misnamed { path: dir.join(DATA_FILE), found }))
}

/// Fails if a folder has no data, or none that this user may read.
pub(super) fn holds_data(dir: &Path) -> Result<(), OpenError> {
    if is_there(dir)? { Ok(()) } else { Err(OpenError::no_data(dir)) }
}

/// A connection for reading in a process that need not be the writer's.
pub(super) fn open_for_reading(dir: &Path) -> Result<Connection, OpenError> {
    holds_data(dir)?;
    let connection = connect(dir, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(|e| open_error(dir, &e))?;
    match format(&connection).map_err(|e| open_error(dir, &e))? {
        Format::Of(found) => refuse_newer(dir, found)?,
        Format::Nothing => return Err(OpenError::no_data(dir)),
        Format::Foreign => return Err(OpenError::Foreign { path: dir.join(DATA_FILE) }),
    }
    Ok(connection)
}

/// A connection for reading in the writer's own process.
pub(super) fn connect_reader(dir: &Path) -> Result<Connection, rusqlite::Error> {
    connect(dir, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

fn connect(dir: &Path, flags: OpenFlags) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open_with_flags(dir.join(DATA_FILE), flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

fn refuse_newer(dir: &Path, found: u32) -> Result<(), OpenError> {
    if found > FORMAT {
        return Err(OpenError::Newer { dir: dir.to_owned(), found, known: FORMAT });
    }
    Ok(())
}

/// What a file is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    /// Data of this format.
    Of(u32),
    /// A database without tables: a new one, or one whose making was cut short.
    Nothing,
    /// A database of somebody else's.
    Foreign,
}

fn format(connection: &Connection) -> Result<Format, rusqlite::Error> {
    let tables = "SELECT count(*), count(*) FILTER (WHERE name = 'meta') FROM sqlite_schema WHERE type = 'table'";
    let (all, ours): (i64, i64) = connection.query_row(tables, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if ours == 0 {
        return Ok(if all == 0 { Format::Nothing } else { Format::Foreign });
    }
    // The making of a file is one commit: a table of this name without the row is another program's.
    let read = connection.query_row("SELECT value FROM meta WHERE name = 'format'", [], |row| row.get(0));
    Ok(read.optional()?.map_or(Format::Foreign, Format::Of))
}

fn set_up(connection: &mut Connection, create: bool, pages_max: Option<u32>) -> Result<(), rusqlite::Error> {
    // Both must come before the first table; a file that has tables keeps its own.
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", WAL_KEPT_BYTES)?;
    if cfg!(target_os = "macos") {
        // Plain fsync on macOS does not reach the disk.
        connection.pragma_update(None, "fullfsync", true)?;
        connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    }
    if let Some(pages) = pages_max {
        connection.pragma_update(None, "max_page_count", pages)?;
    }
    if create {
        let transaction = connection.transaction()?;
        transaction.execute_batch(CREATE)?;
        transaction.execute("INSERT INTO meta (name, value) VALUES ('format', ?1)", [FORMAT])?;
        transaction.commit()?;
    }
    connection.execute_batch(CREATE_LATER)
}
