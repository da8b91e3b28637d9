//! How far each topic was acknowledged, in a file beside the data: data that was put back from a copy, or whose
//! write-ahead log was cut or lost, ends before its mark. Written every few seconds and at the end, after what it tells
//! of is on disk and without an fsync of its own: it is never ahead of the data, and after a power cut it may be a
//! little behind.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use logystera_schemas::limits::LOG_MARK_MS;
use logystera_schemas::topic::Topic;

use super::error::OpenError;
use super::tables::Ends;
use crate::clock::Stopwatch;
use crate::files;

/// Name of the file in the data folder.
pub(super) const MARK_FILE: &str = "mark";
/// Bytes of it that are looked at.
const FILE_BYTES_MAX: u64 = 1 << 10;

/// The mark of an open folder.
#[derive(Debug)]
pub(super) struct Mark {
    file: Option<File>,
    written: Ends,
    since: Stopwatch,
}

impl Mark {
    /// The folder's mark, whose topics end at `ends`.
    pub(super) fn open(dir: &Path, ends: Ends) -> Result<Self, OpenError> {
        check(dir, read(dir), ends)?;
        let path = dir.join(MARK_FILE);
        let file = files::open(&path, File::options().read(true).write(true).create(true).truncate(false));
        let file = file.inspect_err(|error| {
            tracing::warn!(path = %path.display(), %error, "data that is put back from a copy will not be noticed");
        });
        let mut mark = Self { file: file.ok(), written: Ends::default(), since: Stopwatch::start() };
        mark.write(ends);
        Ok(mark)
    }

    /// Whether it is time to look at the disk again: at the mark, and at the write-ahead log.
    pub(super) fn is_due(&self) -> bool {
        self.since.elapsed() >= Duration::from_millis(LOG_MARK_MS)
    }

    /// Writes down that everything before `ends` is on disk.
    pub(super) fn write(&mut self, ends: Ends) {
        self.since = Stopwatch::start();
        if self.written == ends {
            return;
        }
        // Always as long as before, so that it is written in place; a torn one is known by its checksum, and passed
        // over.
        if let Some(file) = &self.file
            && let Ok(()) = file.write_all_at(text(ends).as_bytes(), 0)
        {
            self.written = ends;
        }
    }
}

/// Fails if the data of a folder ends before what was acknowledged. A caller that looks while another process writes
/// reads the mark first.
pub(super) fn check(dir: &Path, marked: Option<Ends>, ends: Ends) -> Result<(), OpenError> {
    let Some(marked) = marked else { return Ok(()) };
    let behind = Topic::ALL.into_iter().find(|topic| ends[*topic as usize] < marked[*topic as usize]);
    behind.map_or(Ok(()), |topic| {
        let (dir, found, acknowledged) = (dir.to_owned(), ends[topic as usize], marked[topic as usize]);
        Err(OpenError::RolledBack { dir, topic: topic.name(), found, acknowledged })
    })
}

/// Forgets how far a folder was acknowledged: its data counts as it is.
pub(super) fn forget(dir: &Path) -> Result<(), OpenError> {
    let path = dir.join(MARK_FILE);
    files::remove_leftover(&path).map_err(|e| OpenError::io(&path, e))
}

fn text(ends: Ends) -> String {
    let ends: Vec<String> =
        Topic::ALL.iter().zip(ends).map(|(topic, end)| format!("{}={end:020}", topic.name())).collect();
    let ends = ends.join(" ");
    format!("{ends} crc32c={:08x}\n", crc32c::crc32c(ends.as_bytes()))
}

/// None if there is no mark, or none that can be believed.
pub(super) fn read(dir: &Path) -> Option<Ends> {
    let mut found = String::new();
    let path = dir.join(MARK_FILE);
    match files::open_for_reading(&path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut found)) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "the mark cannot be read");
            return None;
        }
    }
    let (ends, crc) = found.trim_end().rsplit_once(" crc32c=")?;
    if u32::from_str_radix(crc, 16).ok()? != crc32c::crc32c(ends.as_bytes()) {
        return None;
    }
    let mut marked = Ends::default();
    for entry in ends.split(' ') {
        let (name, end) = entry.split_once('=')?;
        let topic = Topic::ALL.into_iter().find(|topic| topic.name() == name)?;
        marked[topic as usize] = end.parse().ok()?;
    }
    Some(marked)
}
