//! The names of the file and its tables, and the checksums of their rows.

use logystera_schemas::topic::Topic;
use rusqlite::ErrorCode;

/// Name of the file in the data folder.
pub const DATA_FILE: &str = "logystera.sqlite";

/// How many topics there are.
pub(super) const TOPICS: usize = Topic::ALL.len();

/// One past the newest record, for each topic in the order of [`Topic::ALL`].
pub(super) type Ends = [u64; TOPICS];

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

/// The table of a topic.
pub(super) const fn table(topic: Topic) -> &'static str {
    match topic {
        Topic::Signals => "log_signals",
        Topic::Detections => "log_detections",
        Topic::Attempts => "log_attempts",
        Topic::Control => "log_control",
        Topic::Snapshots => "log_snapshots",
        Topic::Series => "log_series",
    }
}

/// Whether a file is no database, or no whole one.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
}
