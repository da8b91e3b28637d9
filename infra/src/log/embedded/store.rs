//! The file: its tables, its settings, and the checksums of its rows.
//!
//! | table | row | written by | lives | its absence means |
//! | --- | --- | --- | --- | --- |
//! | `meta` | `format`: version of the data's format | whoever creates the file, and an upgrade | for good | the file is new |
//! | `topics` | the offset that the topic's next record gets | every commit that appends to the topic | for good | nothing was ever appended |
//! | `log_signals`, `log_detections`, `log_attempts`, `log_snapshots` | one record of the topic | an append or a task's commit, once | as long as the topic is kept | the offset was never given, or its record has passed its time |
//! | `log_control` | the newest record of its key | whoever configures | until a newer one of the key is written | the key was never written, at this offset |
//! | `state` | one state entry of one app | the app's task, in its commit | until the task deletes it | the machine holds nothing under the key |
//! | `positions` | where one app stands: its input, the epoch of its newest owner, the next input offset | a takeover (epoch) and every commit (position) | for good | the app never ran |
//!
//! Every record, state entry and position carries the CRC32C of all that it says, its place included, so that a row can
//! neither be altered nor moved unnoticed.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use logystera_schemas::topic::Topic;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::OpenError;

/// Name of the file in the data folder.
pub const DATA_FILE: &str = "logystera.sqlite";
/// Version of the data's format that this binary writes. A newer one is refused, an older one would be upgraded here.
pub const FORMAT: u32 = 1;

/// How many topics there are.
pub(super) const TOPICS: usize = Topic::ALL.len();

/// One past the newest record, for each topic in the order of [`Topic::ALL`].
pub(super) type Ends = [u64; TOPICS];

/// How long a statement waits for SQLite's own locks: between two processes they are held for a moment only.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of a page of a new file. A batch of a hundred signals takes about 4 KiB: in SQLite's usual page it would need two, and
/// every page is two writes to the write-ahead log and two system calls more when that is folded into the file.
const PAGE_BYTES: u32 = 16 << 10;
/// Pages in the write-ahead log (16 MiB) at which the writer folds it into the file.
const CHECKPOINT_PAGES: u32 = (16 << 20) / PAGE_BYTES;

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
";

/// The CRC32C of a record: of its topic, its offset, the length of its key, its key and its value.
pub fn record_checksum(topic: Topic, offset: u64, key: &[u8], value: &[u8]) -> u32 {
    checksum(topic.name(), offset, key, value)
}

/// The CRC32C of a state entry.
pub(super) fn state_checksum(app: &str, key: &[u8], version: u64, value: &[u8]) -> u32 {
    checksum(app, version, key, value)
}

/// The CRC32C of a position.
pub(super) fn position_checksum(app: &str, input: &str, epoch: u64, position: u64, version: u64) -> u32 {
    let crc = checksum(app, epoch, input.as_bytes(), &position.to_le_bytes());
    crc32c::crc32c_append(crc, &version.to_le_bytes())
}

fn checksum(place: &str, number: u64, key: &[u8], value: &[u8]) -> u32 {
    let mut crc = crc32c::crc32c(place.as_bytes());
    crc = crc32c::crc32c_append(crc, &number.to_le_bytes());
    crc = crc32c::crc32c_append(crc, &(key.len() as u64).to_le_bytes());
    crc = crc32c::crc32c_append(crc, key);
    crc32c::crc32c_append(crc, value)
}

pub(super) fn open_error(dir: &Path, error: &rusqlite::Error) -> OpenError {
    OpenError::Store { path: dir.join(DATA_FILE), what: error.to_string() }
}

/// The connection of the writer. Creates the tables in a new file.
pub(super) fn open_for_writing(dir: &Path, pages_max: Option<u32>) -> Result<Connection, OpenError> {
    create_private(&dir.join(DATA_FILE))?;
    let opened = connect(dir, OpenFlags::SQLITE_OPEN_READ_WRITE);
    let mut connection = opened.map_err(|e| open_error(dir, &e))?;
    // Refuse a newer file before anything in it is touched.
    let format = format(&connection).map_err(|e| open_error(dir, &e))?;
    if let Some(found) = format {
        refuse_newer(dir, found)?;
    }
    set_up(&mut connection, format.is_none(), pages_max).map_err(|e| open_error(dir, &e))?;
    sync_folder(dir)?;
    Ok(connection)
}

/// Makes the file readable by its owner alone, also in a folder that others can read; SQLite gives the files beside it the
/// same mode.
fn create_private(path: &Path) -> Result<(), OpenError> {
    let made = File::options().write(true).create(true).truncate(false).mode(0o600).open(path);
    made.map(drop).map_err(|source| OpenError::Io { path: path.to_owned(), source })
}

/// A connection for reading in a process that need not be the writer's.
pub(super) fn open_for_reading(dir: &Path) -> Result<Connection, OpenError> {
    if !dir.join(DATA_FILE).exists() {
        return Err(OpenError::NoData { dir: dir.to_owned() });
    }
    let connection = connect(dir, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(|e| open_error(dir, &e))?;
    match format(&connection).map_err(|e| open_error(dir, &e))? {
        Some(found) => refuse_newer(dir, found)?,
        None => return Err(OpenError::NoData { dir: dir.to_owned() }),
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

/// The format of the file's data; none where there is none yet.
fn format(connection: &Connection) -> Result<Option<u32>, rusqlite::Error> {
    let created: Option<i64> = connection
        .query_row("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'meta'", [], |row| row.get(0))
        .optional()?;
    match created {
        None => Ok(None),
        Some(_) => connection.query_row("SELECT value FROM meta WHERE name = 'format'", [], |row| row.get(0)).map(Some),
    }
}

fn set_up(connection: &mut Connection, create: bool, pages_max: Option<u32>) -> Result<(), rusqlite::Error> {
    // Both must come before the first table; a file that has tables keeps its own.
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
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

/// Makes the names of new files durable: without it a power cut can take a whole new database away.
fn sync_folder(dir: &Path) -> Result<(), OpenError> {
    let synced = File::open(dir).and_then(|folder| folder.sync_all());
    synced.map_err(|source| OpenError::Io { path: dir.to_owned(), source })
}

/// Where each topic ends.
pub(super) fn ends(connection: &Connection) -> Result<Ends, rusqlite::Error> {
    let mut ends = [0; TOPICS];
    for (topic, end) in Topic::ALL.into_iter().zip(&mut ends) {
        *end = super::read::end(connection, topic)?;
    }
    Ok(ends)
}

/// The table of a topic.
pub(super) const fn table(topic: Topic) -> &'static str {
    match topic {
        Topic::Signals => "log_signals",
        Topic::Detections => "log_detections",
        Topic::Attempts => "log_attempts",
        Topic::Control => "log_control",
        Topic::Snapshots => "log_snapshots",
    }
}
