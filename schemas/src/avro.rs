//! The Avro binary encoding (Apache Avro 1.12 specification, "Binary Encoding"), written by hand because it is on every
//! hot path. `tests/agrees_with_avro.rs` holds it against the `apache-avro` crate for every record.

mod datum;

pub use datum::{Blob, Datum};

/// Why bytes are not the datum that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end inside a value.
    #[error("the record ends inside a value")]
    Truncated,
    /// Bytes are left after the last value.
    #[error("{0} bytes are left after the record's end")]
    Trailing(usize),
    /// A number does not fit its type, or an index names no branch or symbol.
    #[error("a number is out of its range")]
    Range,
    /// A string is not UTF-8.
    #[error("a string is not UTF-8")]
    Utf8,
    /// An identifier is not well formed.
    #[error("{0}")]
    Id(#[from] IdErrorCopy),
    /// The record starts with no known schema's fingerprint.
    #[error("no known schema has the fingerprint {0:016x}: the record is of a newer version, or not one of ours")]
    UnknownSchema(u64),
}

/// An [`crate::ids::IdError`] in an error that is `Copy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not {0}")]
pub struct IdErrorCopy(pub &'static str);

impl From<crate::ids::IdError> for DecodeError {
    fn from(error: crate::ids::IdError) -> Self {
        Self::Id(IdErrorCopy(error.what))
    }
}

/// Writes values at the end of a buffer.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// A writer that starts with an empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// A writer that appends to `bytes`, so that a buffer can be used again.
    pub fn with(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// What was written so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Length so far, in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Cuts the buffer back to `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
    }

    /// An int or a long: zigzag, then 7 bits a byte, low ones first.
    pub fn long(&mut self, value: i64) {
        let mut rest = zigzag(value);
        while rest >= 0x80 {
            self.bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.bytes.push(rest as u8);
    }

    /// A boolean.
    pub fn boolean(&mut self, value: bool) {
        self.bytes.push(u8::from(value));
    }

    /// A fixed: its bytes as they are. Also for a datum that is already encoded.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// A block of `count` items of an array, with its size in bytes, so that a reader can move past it unread.
    pub fn sized_block(&mut self, count: i64, items: impl FnOnce(&mut Self)) {
        self.long(-count);
        let start = self.bytes.len();
        // The size stands before the items and is known after them. Most take one byte.
        self.bytes.push(0);
        items(self);
        let end = self.bytes.len();
        let mut size = zigzag((end - start - 1) as i64);
        let len = (64 - (size | 1).leading_zeros()).div_ceil(7) as usize;
        if len > 1 {
            self.bytes.resize(end + len - 1, 0);
            self.bytes.copy_within(start + 1..end, start + len);
        }
        for byte in &mut self.bytes[start..start + len - 1] {
            *byte = size as u8 | 0x80;
            size >>= 7;
        }
        self.bytes[start + len - 1] = size as u8;
    }

    /// Bytes or a string: length, then the bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.long(bytes.len() as i64);
        self.raw(bytes);
    }
}

/// Small numbers of either sign as small numbers without one.
fn zigzag(value: i64) -> u64 {
    (value.wrapping_shl(1) ^ (value >> 63)) as u64
}

/// Which of a record's fields the bytes have. A record grows at its end, field by field; none is ever taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fields {
    /// Those of this version of its schema and of the versions before, counted from 1.
    UpTo(u8),
    /// As many as there are bytes for: a stored value, which names no schema. Those of one version are there together:
    /// of this one some were read, so that the others must follow.
    AsFarAsTheyGo(u8),
}

/// Reads values from the front of a buffer.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
    fields: Fields,
    /// Fields that were added in this version or later stand elsewhere.
    below: u8,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `bytes`, which have every field.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, fields: Fields::UpTo(u8::MAX), below: u8::MAX }
    }

    /// A reader of a value that is stored without a schema. It may be of a version before: if its bytes end, the fields
    /// that were added since are their defaults. Only the last fields of the whole value can be added so.
    pub fn stored(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, fields: Fields::AsFarAsTheyGo(0), below: u8::MAX }
    }

    /// The same reader, of a record of this version of its schema, from 1.
    #[must_use]
    pub fn of_version(self, version: u8) -> Self {
        Self { fields: Fields::UpTo(version), ..self }
    }

    /// Reads a record within a stored value that has more behind it: fields that the record gained in version `since` or later are
    /// their defaults, since they stand at the end of the whole value.
    pub fn within<T>(&mut self, since: u8, read: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.below, since);
        let read = read(self);
        self.below = before;
        read
    }

    /// Whether a field that was added in version `since` of its schema is among the bytes.
    pub fn has(&mut self, since: u8) -> bool {
        match self.fields {
            _ if since >= self.below => false,
            Fields::UpTo(version) => since <= version,
            Fields::AsFarAsTheyGo(version) if since <= version => true,
            Fields::AsFarAsTheyGo(_) if self.rest.is_empty() => false,
            Fields::AsFarAsTheyGo(_) => {
                self.fields = Fields::AsFarAsTheyGo(since);
                true
            }
        }
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// An int or a long.
    #[inline]
    pub fn long(&mut self) -> Result<i64, DecodeError> {
        // Most numbers of a batch take one byte: enums, branches, lengths.
        if let [byte @ ..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(i64::from(byte >> 1) ^ -i64::from(byte & 1));
        }
        self.long_of_many_bytes()
    }

    fn long_of_many_bytes(&mut self) -> Result<i64, DecodeError> {
        // A time counted from the batch's first, a length.
        if let [low, high @ ..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            let value = u16::from(low & 0x7f) | u16::from(*high) << 7;
            return Ok(i64::from(value >> 1) ^ -i64::from(value & 1));
        }
        let mut value = 0_u64;
        for (i, &byte) in self.rest.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                self.rest = &self.rest[i + 1..];
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        Err(if self.rest.len() < 10 { DecodeError::Truncated } else { DecodeError::Range })
    }

    /// An index below `end`: an enum's symbol or a union's branch.
    #[inline]
    pub fn index(&mut self, end: usize) -> Result<usize, DecodeError> {
        let value = self.long()?;
        usize::try_from(value).ok().filter(|i| *i < end).ok_or(DecodeError::Range)
    }

    /// A boolean.
    #[inline]
    pub fn boolean(&mut self) -> Result<bool, DecodeError> {
        match self.raw(1)? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(DecodeError::Range),
        }
    }

    /// `len` bytes as they are.
    #[inline]
    pub fn raw(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    /// A fixed of `N` bytes.
    #[inline]
    pub fn fixed<const N: usize>(&mut self) -> Result<&'a [u8; N], DecodeError> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    /// Bytes.
    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = usize::try_from(self.long()?).map_err(|_| DecodeError::Range)?;
        self.raw(len)
    }

    /// A string.
    #[inline]
    pub fn string(&mut self) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| DecodeError::Utf8)
    }

    /// The item count of an array's next block; 0 ends the array. For arrays whose blocks say no size in bytes.
    #[inline]
    pub fn block(&mut self) -> Result<usize, DecodeError> {
        usize::try_from(self.long()?).map_err(|_| DecodeError::Range)
    }

    /// The item count of an array's next block, and its size in bytes if it says one; 0 ends the array.
    #[inline]
    pub fn sized_block(&mut self) -> Result<(usize, Option<usize>), DecodeError> {
        let count = self.long()?;
        let items = usize::try_from(count.unsigned_abs()).map_err(|_| DecodeError::Range)?;
        if count >= 0 {
            return Ok((items, None));
        }
        let bytes = usize::try_from(self.long()?).map_err(|_| DecodeError::Range)?;
        Ok((items, Some(bytes)))
    }

    /// Succeeds if everything was read.
    pub fn end(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::Trailing(self.rest.len())) }
    }
}
