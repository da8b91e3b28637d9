//! Whether a file was sent before: told by its bytes, so that its name and place do not matter.

use logystera_schemas::ids::Sha256Digest;
use logystera_schemas::limits::SENT_FILES_MAX;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A file that was sent, or the part of it that was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// How many of its bytes.
    bytes: usize,
    /// SHA-256 of those, in hex.
    digest: String,
    /// Bytes of its first line.
    head_bytes: usize,
    /// SHA-256 of that line: by it a file that was changed is known again.
    head: String,
    /// SHA-256 of the last line that was sent, without its end: by it a file whose beginning was changed or cut off is
    /// known again. Empty in the states of versions that did not know it.
    #[serde(default)]
    tail: String,
}

/// What is known of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// Nothing.
    Never,
    /// So many bytes of it were sent; more follow.
    Start(usize),
    /// All of it was sent.
    Whole,
    /// It begins with the first line of a file that was sent and goes on differently, or has the last line of one and
    /// begins differently.
    Changed,
}

/// What is known of a file with these bytes.
pub fn before(sent: &[Sent], file: &[u8]) -> Before {
    let known = sent.iter().filter(|s| digest(file, s.head_bytes).is_some_and(|d| d == s.head));
    let (mut start, mut changed) = (0, false);
    for sent in known {
        changed = true;
        if digest(file, sent.bytes).is_some_and(|d| d == sent.digest) {
            start = start.max(sent.bytes);
        }
    }
    let rest = &file[start..];
    match start {
        0 if changed || has_tail(sent, file) => Before::Changed,
        0 => Before::Never,
        _ if rest.trim_ascii().is_empty() => Before::Whole,
        // The last line that was sent had no end then, and goes on now.
        _ if !file[..start].ends_with(b"\n") && !rest.starts_with(b"\n") && !rest.starts_with(b"\r\n") => {
            Before::Changed
        }
        _ => Before::Start(start),
    }
}

/// Remembers the first `bytes` of a file as sent, in place of what was known of its start.
pub fn remember(sent: &mut Vec<Sent>, file: &[u8], bytes: usize) {
    sent.retain(|s| !(s.bytes <= bytes && digest(file, s.bytes).is_some_and(|d| d == s.digest)));
    let head_bytes = file[..bytes].iter().position(|b| *b == b'\n').map_or(bytes, |end| end + 1);
    let tail = lines(&file[..bytes]).last().map(line_digest).unwrap_or_default();
    let (Some(digest), Some(head)) = (digest(file, bytes), digest(file, head_bytes)) else { return };
    if bytes > 0 {
        sent.push(Sent { bytes, digest, head_bytes, head, tail });
        sent.drain(..sent.len().saturating_sub(SENT_FILES_MAX));
    }
}

/// How many bytes from the start of a file have this digest; none if there are none. For spools of versions that
/// remembered the digest of the last file only.
pub fn start_of(file: &[u8], digest: &str) -> Option<usize> {
    let (mut hash, mut end) = (Sha256::new(), 0);
    file.split_inclusive(|b| *b == b'\n').find_map(|line| {
        hash.update(line);
        end += line.len();
        (Sha256Digest(hash.clone().finalize().into()).to_string() == digest).then_some(end)
    })
}

/// Whether the last line of a file that was sent stands in this one.
fn has_tail(sent: &[Sent], file: &[u8]) -> bool {
    lines(file).map(line_digest).any(|line| sent.iter().any(|sent| sent.tail == line))
}

/// Lines that are not blank, without what surrounds them.
fn lines(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    file.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty())
}

fn line_digest(line: &[u8]) -> String {
    Sha256Digest::of(line).to_string()
}

fn digest(file: &[u8], bytes: usize) -> Option<String> {
    file.get(..bytes).map(|start| Sha256Digest::of(start).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_how_it_begins() {
        let mut sent = Vec::new();
        remember(&mut sent, b"one\ntwo\n", 8);
        remember(&mut sent, b"other\nlast", 10);
        remember(&mut sent, b"", 0);
        let cases: [(&[u8], Before); 15] = [
            (b"", Before::Never),
            (b"new\n", Before::Never),
            (b"one\ntwo\n", Before::Whole),
            (b"one\ntwo\n \n\n", Before::Whole),
            (b"one\ntwo\nthree", Before::Start(8)),
            (b"one\n2\nthree\n", Before::Changed),
            (b"one\n", Before::Changed),            // cut
            (b"zero\none\ntwo\n", Before::Changed), // begins before what was sent
            (b"two\nthree\n", Before::Changed),     // its head was cut off
            (b"zero\n two\r\n", Before::Changed),
            (b"zero\none\nthree\n", Before::Never),
            (b"other\nlast", Before::Whole),
            (b"other\nlast\nmore\n", Before::Start(10)),
            (b"other\nlast\r\nmore\n", Before::Start(10)),
            (b"other\nlast longer\n", Before::Changed),
        ];
        for (file, expected) in cases {
            assert_eq!(before(&sent, file), expected, "{}", String::from_utf8_lossy(file));
        }
        // A file that grew takes the place of its start; a changed one stands beside it.
        remember(&mut sent, b"one\ntwo\nthree\n", 14);
        remember(&mut sent, b"one\n2\n", 6);
        assert_eq!(sent.len(), 3);
        assert_eq!(before(&sent, b"one\ntwo\nthree\nfour\n"), Before::Start(14));
        assert_eq!(before(&sent, b"one\n2\nthree\n"), Before::Start(6));
        assert_eq!(before(&sent, b"one\ntwo\n"), Before::Changed, "shorter than what was sent");
    }

    #[test]
    fn the_oldest_files_are_forgotten() {
        let mut sent = Vec::new();
        let file = |i: usize| format!("{i}\n").into_bytes();
        (0..=SENT_FILES_MAX).for_each(|i| remember(&mut sent, &file(i), file(i).len()));
        assert_eq!(sent.len(), SENT_FILES_MAX);
        assert_eq!((before(&sent, &file(0)), before(&sent, &file(1))), (Before::Never, Before::Whole));
    }

    #[test]
    fn a_start_is_found_by_its_digest_alone() {
        let digest = Sha256Digest::of(b"one\ntwo").to_string();
        assert_eq!(start_of(b"one\ntwo", &digest), Some(7));
        assert_eq!(start_of(b"one\ntwo\nthree\n", &digest), None);
        let digest = Sha256Digest::of(b"one\ntwo\n").to_string();
        assert_eq!(start_of(b"one\ntwo\nthree\n", &digest), Some(8));
    }
}
