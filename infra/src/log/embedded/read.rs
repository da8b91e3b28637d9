//! Reading: bounds, records and state, each in one short statement.

use std::ops::Range;

use logystera_schemas::topic::Topic;
use rusqlite::{Connection, OptionalExtension};

use super::error::DAMAGED_HINT;
use super::tables::{DATA_FILE, Ends, TOPICS, is_damage, record_checksum, state_checksum, table};
use crate::log::{LogError, Record};

/// SQLite's error as one of the log.
pub(super) fn away(error: &rusqlite::Error) -> LogError {
    if is_damage(error) {
        return LogError::Away(format!("{DATA_FILE} is damaged ({error}); {DAMAGED_HINT}"));
    }
    LogError::Away(error.to_string())
}

/// The embedded log has one partition.
pub(super) fn only_partition(partition: u32) -> Result<(), LogError> {
    match partition {
        0 => Ok(()),
        other => Err(LogError::Unusable(format!("the embedded log has one partition, 0; asked for {other}"))),
    }
}

/// One past the newest committed record.
pub(super) fn end(connection: &Connection, topic: Topic) -> Result<u64, rusqlite::Error> {
    let mut statement = connection.prepare_cached("SELECT next_offset FROM topics WHERE topic = ?1")?;
    Ok(statement.query_row([topic.name()], |row| row.get(0)).optional()?.unwrap_or(0))
}

/// Where each topic ends.
pub(super) fn ends(connection: &Connection) -> Result<Ends, rusqlite::Error> {
    let mut ends = [0; TOPICS];
    for (topic, of_topic) in Topic::ALL.into_iter().zip(&mut ends) {
        *of_topic = end(connection, topic)?;
    }
    Ok(ends)
}

/// Offsets from the oldest record to one past the newest.
pub(super) fn bounds(connection: &Connection, topic: Topic) -> Result<Range<u64>, LogError> {
    // In this order: an older file, which is only read, lacks the table of a topic that it has no record of.
    let end = end(connection, topic).map_err(|e| away(&e))?;
    if end == 0 {
        return Ok(0..0);
    }
    let sql = format!("SELECT min(offset) FROM {}", table(topic));
    let first =
        || -> Result<Option<u64>, rusqlite::Error> { connection.prepare_cached(&sql)?.query_row([], |row| row.get(0)) };
    Ok(first().map_err(|e| away(&e))?.unwrap_or(end)..end)
}

/// Records from `from` on: at least one if there is one, then as many as fit `bytes_max`. The records before one
/// whose checksum is wrong are given first; the next read names it.
pub(super) fn records(
    connection: &Connection,
    topic: Topic,
    from: u64,
    bytes_max: usize,
) -> Result<Vec<Record>, LogError> {
    let sql = format!("SELECT offset, key, value, crc FROM {} WHERE offset >= ?1 ORDER BY offset", table(topic));
    let mut statement = connection.prepare_cached(&sql).map_err(|e| away(&e))?;
    // Beyond what SQLite can hold there is nothing.
    let Ok(from) = i64::try_from(from) else { return Ok(Vec::new()) };
    let mut rows = statement.query([from]).map_err(|e| away(&e))?;
    let mut records = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next().map_err(|e| away(&e))? {
        let (record, stored) = record(row).map_err(|e| altered(topic, &e))?;
        bytes += record.key.len() + record.value.len();
        if bytes > bytes_max && !records.is_empty() {
            break;
        }
        let actual = record_checksum(topic, record.offset, &record.key, &record.value);
        if stored != i64::from(actual) {
            if records.is_empty() {
                let offset = record.offset;
                return Err(LogError::Checksum {
                    topic: topic.name(),
                    partition: 0,
                    offset,
                    stored: stored as u32,
                    actual,
                });
            }
            break;
        }
        records.push(record);
    }
    Ok(records)
}

fn record(row: &rusqlite::Row<'_>) -> Result<(Record, i64), rusqlite::Error> {
    Ok((Record { offset: row.get(0)?, key: row.get(1)?, value: row.get(2)? }, row.get(3)?))
}

fn altered(topic: Topic, error: &rusqlite::Error) -> LogError {
    LogError::Unusable(format!(
        "topic {}: a row is not a record; it was altered after it was written: {error}",
        topic.name()
    ))
}

/// The input offset that `app` reads next.
pub(super) fn position(connection: &Connection, app: &str) -> Result<Option<u64>, LogError> {
    let read = || {
        let mut statement = connection.prepare_cached("SELECT position FROM positions WHERE app = ?1")?;
        statement.query_row([app], |row| row.get(0)).optional()
    };
    read().map_err(|e| away(&e))
}

/// One entry of an app's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateEntry<'a> {
    /// Its key, unique in the app.
    pub key: &'a [u8],
    /// Version of the write (design, section 7).
    pub version: u64,
    /// Its value.
    pub value: &'a [u8],
}

/// Gives every state entry of `app` whose key begins with `prefix` to `visit`, in the order of the keys.
pub(super) fn state(
    connection: &Connection,
    app: &str,
    prefix: &[u8],
    visit: &mut dyn FnMut(StateEntry<'_>),
) -> Result<(), LogError> {
    let mut statement = connection
        .prepare_cached("SELECT key, version, value, crc FROM state WHERE app = ?1 AND key >= ?2 ORDER BY key")
        .map_err(|e| away(&e))?;
    let mut rows = statement.query((app, prefix)).map_err(|e| away(&e))?;
    while let Some(row) = rows.next().map_err(|e| away(&e))? {
        let (entry, stored) = state_entry(row).map_err(|e| away(&e))?;
        let StateEntry { key, version, value } = entry;
        if !key.starts_with(prefix) {
            break;
        }
        let actual = state_checksum(app, key, version, value);
        if stored != i64::from(actual) {
            // The key can hold a signal's values: name its checksum instead.
            return Err(LogError::Unusable(format!(
                "state of {app}, the entry of version {version} whose key has the CRC32C {:08x}: its checksum is \
                 {stored:08x}, its bytes have {actual:08x}; it was altered after it was written",
                crc32c::crc32c(key)
            )));
        }
        visit(entry);
    }
    Ok(())
}

fn state_entry<'a>(row: &'a rusqlite::Row<'_>) -> Result<(StateEntry<'a>, i64), rusqlite::Error> {
    let (key, value) = (row.get_ref(0)?.as_blob()?, row.get_ref(2)?.as_blob()?);
    Ok((StateEntry { key, version: row.get(1)?, value }, row.get(3)?))
}
