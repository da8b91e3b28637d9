//! A claimed batch, as it lies in its file: a line of JSON, then the body as it is sent.

use flate2::Compression;
use flate2::write::GzEncoder;
use logystera_schemas::limits::BODY_BYTES_MAX;
use serde::{Deserialize, Serialize};
use std::io::Write;

/// Body bytes under which gzip is not tried.
pub(crate) const GZIP_BYTES_MIN: usize = 512;

/// First line of a batch's file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Header {
    /// Whether the body is compressed.
    pub(crate) gzip: bool,
    /// Signals in it.
    pub(crate) signals: usize,
    /// Time of the last signal, or what it was before.
    pub(crate) last_at: i64,
    /// Its watermark.
    pub(crate) through: i64,
    /// File that holds what came after it: `State::open` from its claim on.
    pub(crate) open: u64,
    /// Whether it tells of the drops that were counted before it.
    pub(crate) tells_drops: bool,
    /// Line of the input that each signal came from.
    pub(crate) lines: Vec<u64>,
}

impl Header {
    /// Signals of the input in it: those that the sender makes itself, of what was dropped, are nobody's line.
    pub(crate) fn of_the_input(&self) -> u64 {
        self.lines.iter().filter(|line| **line > 0).count() as u64
    }
}

/// What a batch says besides its signals.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Says {
    /// Its watermark.
    pub(crate) through: i64,
    /// Whether it tells of the drops that were counted before it.
    pub(crate) tells_drops: bool,
    /// Whether nothing comes after it, as far as is known.
    pub(crate) ends: bool,
}

/// A claimed batch.
pub(crate) struct Batch {
    /// What is said of it.
    pub(crate) header: Header,
    /// Its body as it is sent.
    pub(crate) body: Vec<u8>,
}

impl Batch {
    /// The body's JSON.
    pub(crate) fn json(&self) -> std::io::Result<String> {
        use std::io::Read;
        let mut text = String::new();
        if self.header.gzip {
            flate2::read::GzDecoder::new(&self.body[..]).take(BODY_BYTES_MAX as u64).read_to_string(&mut text)?;
        } else {
            (&self.body[..]).read_to_string(&mut text)?;
        }
        Ok(text)
    }
}

/// The text compressed, if that makes it smaller by a tenth or more. The same text always gives the same bytes.
pub(crate) fn gzip(text: &str) -> std::io::Result<Option<Vec<u8>>> {
    if text.len() < GZIP_BYTES_MIN {
        return Ok(None);
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 4), Compression::default());
    encoder.write_all(text.as_bytes())?;
    let packed = encoder.finish()?;
    Ok((packed.len() < text.len() / 10 * 9).then_some(packed))
}
