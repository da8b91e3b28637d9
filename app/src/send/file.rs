//! A whole file: read, sorted by time, cut into batches that are on disk before the first is sent, sent.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use logystera_infra::clock::{Clock, SystemClock};
use logystera_schemas::ids::Sha256Digest;
use sha2::{Digest, Sha256};

use super::core::cut::{self, Claim};
use super::core::dropped::DROPPED_TYPE;
use super::core::line::{LineError, Signal};
use super::deliver::{Courier, Stop, lock};
use super::input::{self, Complaints, Lines};
use super::spool::{Spool, SpoolError};
use super::state::{Input, Totals};

/// Why a file cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The spool is busy with another one.
    #[error("{}: batches of another file wait in this spool; send that one to its end first, or give another --spool", .0.display())]
    OtherInput(PathBuf),
    /// The spool fails.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

/// A file's content.
pub(super) struct Content {
    signals: Vec<Signal>,
    malformed: Vec<(u64, LineError)>,
    digest: Sha256Digest,
}

/// Digests what is read through it.
struct Digesting<R> {
    reader: R,
    digest: Sha256,
}

impl<R: Read> Read for Digesting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.digest.update(&buffer[..count]);
        Ok(count)
    }
}

/// Reads a file, or standard input for `-`, and sorts its signals by time; those of one time stay in their order.
pub(super) fn read(path: &Path) -> Result<Content, FileError> {
    let failed = |source| FileError::Read { path: path.to_owned(), source };
    let reader: Box<dyn Read> = match path.to_str() {
        Some("-") => Box::new(io::stdin()),
        _ => Box::new(File::open(path).map_err(failed)?),
    };
    let mut lines = Lines::new(BufReader::new(Digesting { reader, digest: Sha256::new() }));
    let (mut signals, mut malformed) = (Vec::new(), Vec::new());
    while let Some((number, bytes)) = lines.next().map_err(failed)? {
        match input::signal(number, bytes) {
            Ok(signal) => signals.extend(signal),
            Err(error) => malformed.push((number, error)),
        }
    }
    signals.sort_by_key(|s| s.at);
    let digest = Sha256Digest(lines.reader().get_ref().digest.clone().finalize().into());
    Ok(Content { signals, malformed, digest })
}

/// Cuts the file into the spool's batches, unless it was cut before: then the sending goes on where it stopped.
pub(super) fn prepare(
    spool: &mut Spool,
    content: Content,
    rebase_time: bool,
    clock: SystemClock,
) -> Result<(), FileError> {
    let digest = content.digest.to_string();
    if let Some(input) = &spool.state.input {
        if input.digest == digest && input.rebased == rebase_time {
            let left = spool.queue.len();
            match left {
                0 => eprintln!("this file was sent already from {}; nothing to do", spool.dir.display()),
                _ => eprintln!("going on with {left} batches of {}", spool.dir.display()),
            }
            return Ok(());
        }
        if !spool.queue.is_empty() {
            return Err(FileError::OtherInput(spool.dir.clone()));
        }
    }
    let mut complaints = Complaints::default();
    content.malformed.iter().for_each(|(number, error)| complaints.say(*number, error));
    let mut signals = content.signals;
    if let Some(last) = signals.last().map(|s| s.at).filter(|_| rebase_time) {
        let shift = clock.wall_ms() - last;
        for signal in &mut signals {
            signal.at = (signal.at + shift).max(0);
        }
    }
    if signals.first().is_some_and(|s| s.at <= spool.state.last_through) {
        // It goes back in time: in the same spool all of it would be late.
        spool.renew()?;
        (spool.state.last_at, spool.state.last_through) = (0, -1);
    }
    spool.state.totals = Totals::default();
    let mut input = Input {
        digest,
        rebased: rebase_time,
        first_seq: spool.state.next_seq,
        cut: false,
        signals: signals.len() as u64,
        malformed: complaints.count,
    };
    spool.state.input = Some(input.clone());
    spool.save()?;
    cut_all(spool, &signals)?;
    input.cut = true;
    spool.state.input = Some(input);
    spool.save()?;
    eprintln!("{} signals in {} batches; {} lines are no signals", signals.len(), spool.queue.len(), complaints.count);
    Ok(())
}

fn cut_all(spool: &mut Spool, signals: &[Signal]) -> Result<(), SpoolError> {
    for signal in signals {
        spool.state.enable(&signal.kind);
    }
    let end = signals.last().map_or(0, |s| s.at);
    let mut rest = signals;
    while !rest.is_empty() {
        let (own, behind) = rest.split_at(cut::fit(rest.iter().map(|s| s.json().len())));
        let last_at = own.last().map(|s| s.at);
        let next_at = behind.first().map(|s| s.at);
        let through = cut::through(Claim { last_at, next_at, now: end, previous: spool.state.last_through });
        spool.claim(own, through, false)?;
        rest = behind;
    }
    Ok(())
}

/// Sends what was cut, and then, if batches were refused, a last one that tells of it.
pub(super) fn send(courier: &mut Courier, spool: &Mutex<Spool>) -> Result<Option<Stop>, SpoolError> {
    loop {
        if let Some(stop) = courier.deliver_all(spool)? {
            return Ok(Some(stop));
        }
        let mut spool = lock(spool);
        if spool.state.dropped.is_empty() {
            return Ok(None);
        }
        let now = courier.clock.wall_ms();
        let at = cut::ordered_at(now, now, spool.state.last_at, spool.state.last_through);
        let told = spool.state.dropped.take(at);
        spool.state.enable(DROPPED_TYPE);
        spool.claim(&told, at, true)?;
        spool.save()?;
    }
}
