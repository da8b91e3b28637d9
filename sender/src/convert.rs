//! A web server's log in the combined format becomes `http.request` signals.
//!
//! What stays behind on purpose: the address (a keyed hash takes its place), the user's name, the query string, the
//! referrer and the bytes sent. What had to be cut and what could not be read is said on standard error, so that every
//! line is accounted for. The lines stay in their order, which in such a log is not that of their times: `logystera send`
//! sorts.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use hmac::{Hmac, KeyInit, Mac};
use logystera_schemas::ids::{Sha256Digest, from_hex};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::access_log;
use crate::input::{Complaints, Lines};
use crate::redact::Note;

/// Whether the log is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gz {
    /// Its first bytes say so.
    Auto,
    /// It is.
    Yes,
    /// It is not.
    No,
}

/// Why nothing can be converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    /// A file cannot be read or made.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file of the key has no key.
    #[error("{}: not a key: 64 lowercase hex digits", .0.display())]
    Key(PathBuf),
    /// No key can be made.
    #[error("no random number from the system: {0}")]
    Random(getrandom::Error),
    /// The signals cannot be written.
    #[error("standard output: {0}")]
    Output(io::Error),
}

/// Hashes addresses.
struct SourceKey(Zeroizing<[u8; 32]>);

impl SourceKey {
    /// HMAC-SHA256 of the address as it is written, its first 16 bytes in hex.
    fn hash(&self, address: &str) -> String {
        // A key shorter than a block is padded with zeros (RFC 2104, section 2): so nothing is left to fail.
        let mut block = Zeroizing::new([0_u8; 64]);
        block[..32].copy_from_slice(&self.0[..]);
        let mut hmac = Hmac::<Sha256>::new((&*block).into());
        hmac.update(address.as_bytes());
        let mut hex = Sha256Digest(hmac.finalize().into_bytes().into()).to_string();
        hex.truncate(32);
        hex
    }
}

/// What became of the lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Account {
    lines: u64,
    signals: u64,
    empty: u64,
    /// Lines that could not be read, by cause.
    unread: BTreeMap<&'static str, u64>,
    /// What was cut from those that could.
    notes: BTreeMap<Note, u64>,
}

/// Turns the log at `input`, `-` for standard input, into signals, a line each, under the key at `key`; the first use makes it.
pub fn access_log(input: &Path, gz: Gz, key: &Path, output: &mut impl Write) -> Result<Account, ConvertError> {
    let file_error = |source| ConvertError::File { path: input.to_owned(), source };
    let log = open(input, gz).map_err(file_error)?;
    let key = load_or_make_key(key)?;
    convert(log, &key, output, file_error)
}

fn convert(
    input: impl BufRead,
    key: &SourceKey,
    output: &mut impl Write,
    input_error: impl Fn(io::Error) -> ConvertError,
) -> Result<Account, ConvertError> {
    let mut account = Account::default();
    let mut complaints = Complaints::default();
    let mut lines = Lines::new(input);
    while let Some((number, bytes)) = lines.next_line().map_err(&input_error)? {
        account.lines += 1;
        if bytes.trim_ascii().is_empty() {
            account.empty += 1;
            continue;
        }
        match access_log::signal(bytes, |address| key.hash(address)) {
            Ok((signal, notes)) => {
                account.signals += 1;
                for note in notes {
                    *account.notes.entry(note).or_default() += 1;
                }
                writeln!(output, "{signal}").map_err(ConvertError::Output)?;
            }
            Err(cause) => {
                complaints.say(number, &cause);
                *account.unread.entry(cause).or_default() += 1;
            }
        }
    }
    output.flush().map_err(ConvertError::Output)?;
    Ok(account)
}

impl Account {
    /// Whether every line was read.
    pub fn is_whole(&self) -> bool {
        self.unread.is_empty()
    }
}

impl fmt::Display for Account {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unread: u64 = self.unread.values().sum();
        writeln!(
            to,
            "{} lines: {} signals, {unread} that could not be read, {} empty",
            self.lines, self.signals, self.empty
        )?;
        for (cause, count) in &self.unread {
            writeln!(to, "  not read: {count} ({cause})")?;
        }
        for (note, count) in &self.notes {
            writeln!(to, "  cut: {count} ({})", note.text())?;
        }
        Ok(())
    }
}

fn open(path: &Path, gz: Gz) -> io::Result<Box<dyn BufRead>> {
    let reader: Box<dyn Read> =
        if path == Path::new("-") { Box::new(io::stdin()) } else { Box::new(File::open(path)?) };
    let mut reader = BufReader::new(reader);
    let is_packed = gz == Gz::Yes || gz == Gz::Auto && reader.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    Ok(if is_packed { Box::new(BufReader::new(MultiGzDecoder::new(reader))) } else { Box::new(reader) })
}

fn load_or_make_key(path: &Path) -> Result<SourceKey, ConvertError> {
    let file_error = |source| ConvertError::File { path: path.to_owned(), source };
    if path.exists() {
        let mut text = Zeroizing::new(String::new());
        File::open(path).and_then(|f| f.take(4_096).read_to_string(&mut text)).map_err(file_error)?;
        return from_hex(text.trim())
            .map(|k| SourceKey(Zeroizing::new(k)))
            .ok_or_else(|| ConvertError::Key(path.to_owned()));
    }
    let mut key = Zeroizing::new([0; 32]);
    getrandom::fill(&mut key[..]).map_err(ConvertError::Random)?;
    let text = Zeroizing::new(format!("{}\n", Sha256Digest(*key)));
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut f| f.write_all(text.as_bytes()).and_then(|()| f.sync_all())).map_err(file_error)?;
    eprintln!("made the key {}; keep it, and keep it to yourself", path.display());
    Ok(SourceKey(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = include_str!("convert/sample.log");

    fn run_on(text: &[u8]) -> (String, Account) {
        let key = SourceKey(Zeroizing::new([7; 32]));
        let mut output = Vec::new();
        let account = convert(text, &key, &mut output, ConvertError::Output).unwrap();
        (String::from_utf8(output).unwrap(), account)
    }

    #[test]
    fn every_line_of_the_sample_is_accounted_for() {
        let (signals, account) = run_on(SAMPLE.as_bytes());
        assert_eq!(signals, include_str!("convert/sample.ndjson"));
        assert_eq!(account.to_string(), include_str!("convert/sample.account"));
        assert_eq!(account.lines, account.signals + account.empty + account.unread.values().sum::<u64>());
        for kept_back in ["203.0.113", "hunter2", "alice", "example.org", "9f86d081884c7d659a2feaa0c55ad015"] {
            assert!(SAMPLE.contains(kept_back) && !signals.contains(kept_back), "{kept_back}");
        }
    }

    #[test]
    fn every_signal_is_one_that_the_catalogue_allows() {
        let (signals, _) = run_on(SAMPLE.as_bytes());
        let kind = logystera_schemas::catalogue::SignalType::from_name("http.request").unwrap();
        for (i, line) in signals.lines().enumerate() {
            crate::core::line::read(i as u64, line.as_bytes()).unwrap();
            let signal: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
            for (name, value) in signal.iter().filter(|(n, _)| !["type", "at"].contains(&n.as_str())) {
                use logystera_schemas::catalogue::FieldKind;
                let (_, field) = kind.def().field(name).unwrap();
                let fits = match (&field.kind, value) {
                    (FieldKind::Enum(symbols), value) => symbols.iter().any(|s| value == s),
                    (FieldKind::Int { min, max }, value) => (*min..=*max).contains(&value.as_i64().unwrap()),
                    (FieldKind::Hash, value) => from_hex::<16>(value.as_str().unwrap()).is_some(),
                    (FieldKind::Ident { class, max }, value) => {
                        let text = value.as_str().unwrap();
                        class.admits(text) && text.len() <= *max
                    }
                    _ => false,
                };
                assert!(fits, "{name}: {value}");
            }
        }
    }

    #[test]
    fn the_same_address_has_the_same_source_under_one_key() {
        let (one, other) = (SourceKey(Zeroizing::new([1; 32])), SourceKey(Zeroizing::new([2; 32])));
        assert_eq!(one.hash("203.0.113.9"), one.hash("203.0.113.9"));
        assert_ne!(one.hash("203.0.113.9"), other.hash("203.0.113.9"));
        // Python: hmac.new(bytes([1])*32, b"203.0.113.9", "sha256").hexdigest()[:32]
        assert_eq!(one.hash("203.0.113.9"), "2925ba1ba18520e256ff87a48739fe6b");
    }

    #[test]
    fn a_key_is_made_once_and_compressed_logs_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let made = load_or_make_key(&path).unwrap();
        let again = load_or_make_key(&path).unwrap();
        assert_eq!(made.hash("x"), again.hash("x"));
        std::fs::write(&path, "not a key").unwrap();
        assert!(matches!(load_or_make_key(&path), Err(ConvertError::Key(_))));

        let log = dir.path().join("log.gz");
        let mut packer = flate2::write::GzEncoder::new(File::create(&log).unwrap(), flate2::Compression::fast());
        packer.write_all(SAMPLE.as_bytes()).unwrap();
        packer.finish().unwrap();
        for (gz, expected) in [(Gz::Auto, true), (Gz::Yes, true), (Gz::No, false)] {
            let mut text = Vec::new();
            open(&log, gz).unwrap().read_to_end(&mut text).unwrap();
            assert_eq!(text == SAMPLE.as_bytes(), expected);
        }
    }
}
