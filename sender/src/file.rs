//! A whole file: read, sorted by time, cut into batches that are on disk before the first is sent, sent. What was sent
//! of it before is passed over.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use logystera_infra::clock::{Clock, SystemClock};
use logystera_schemas::ids::Sha256Digest;

use crate::batch_file::Says;
use crate::core::before::{self, Before};
use crate::core::cut::{self, CutPoint};
use crate::core::dropped::DROPPED_TYPE;
use crate::core::foreign::{self, BYTE_ORDER_MARK, Foreign};
use crate::core::line::{LineError, Signal};
use crate::deliver::{Courier, Stop};
use crate::disk::lock;
use crate::input::{self, Complaints, Lines};
use crate::progress::{batches, no_signals};
use crate::spool::{Spool, SpoolError};
use crate::state::{Input, State, Totals};
use logystera_schemas::text::counted;

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
    /// It is something else.
    #[error("{}: this is a DSN, not a file of signals: logystera send SIGNALS.ndjson --dsn-file {}", .0.display(), .0.display())]
    Dsn(PathBuf),
    /// It is no list of signals.
    #[error("{}: {}", .0.display(), .1)]
    Foreign(PathBuf, Foreign),
    /// Part of it was sent.
    #[error(
        "{}: part of this file was sent before, but it was changed or cut since, other than by lines at its end. Nothing was sent. Put \
         what is new into a file of its own; or send all of it with --again, and what was sent before counts twice", .0.display()
    )]
    Changed(PathBuf),
}

/// What is to be sent of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// All of it.
    All,
    /// What comes after so many bytes.
    Behind(usize),
    /// Nothing but what waits of it in the spool.
    GoOn,
    /// Nothing.
    Nothing,
}

/// What a file holds from some byte on.
pub(crate) struct Content {
    /// Its signals by time; those of one time stay in their order.
    pub(crate) signals: Vec<Signal>,
    /// Lines that are none.
    pub(crate) malformed: Vec<(u64, LineError)>,
    /// Bytes of the file that were understood: all but a last line that has no end and is no signal.
    whole: usize,
}

/// Reads a file, or standard input for `-`.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    let read = match path.to_str() {
        Some("-") => io::stdin().lock().read_to_end(&mut bytes).map(drop),
        _ => fs::read(path).map(|read| bytes = read),
    };
    read.map_err(|source| FileError::Read { path: path.to_owned(), source })?;
    if bytes.starts_with(BYTE_ORDER_MARK) {
        bytes.drain(..BYTE_ORDER_MARK.len());
    }
    let is_dsn = bytes.starts_with(b"http") && bytes.windows(9).any(|w| w == b"audience=");
    match foreign::of_file(&bytes) {
        _ if is_dsn => Err(FileError::Dsn(path.to_owned())),
        Some(foreign) => Err(FileError::Foreign(path.to_owned(), foreign)),
        None => Ok(bytes),
    }
}

/// What is to be sent of a file, as far as the spool's state remembers what was.
pub(crate) fn plan(path: &Path, file: &[u8], state: &State, waiting: usize, again: bool) -> Result<Plan, FileError> {
    let last = state.input.as_ref().filter(|_| !again);
    let is_last = last.is_some_and(|input| input.digest == digest(file));
    Ok(match before::before(&state.sent, file) {
        _ if again => Plan::All,
        _ if is_last && waiting > 0 => Plan::GoOn,
        _ if is_last => Plan::Nothing,
        Before::Whole => Plan::Nothing,
        Before::Start(bytes) => Plan::Behind(bytes),
        Before::Changed => return Err(FileError::Changed(path.to_owned())),
        Before::Never => {
            let legacy = last.filter(|_| state.sent.is_empty()).and_then(|i| before::start_of(file, &i.digest));
            legacy.map_or(Plan::All, Plan::Behind)
        }
    })
}

/// Sends what the plan says, after what waits in the spool already.
pub(crate) fn send(
    courier: &mut Courier,
    spool: &Arc<Mutex<Spool>>,
    (path, file): (&Path, &[u8]),
    plan: Plan,
    rebase_time: bool,
) -> Result<Option<Stop>, SpoolError> {
    let waiting = lock(spool).queue.len() as u64;
    let dir = lock(spool).dir.clone();
    match plan {
        Plan::GoOn => eprintln!("going on with {} of {}", batches(waiting), dir.display()),
        _ if waiting > 0 => {
            let earlier = format!("first: {} of an earlier file, which waited in {}", batches(waiting), dir.display());
            if plan == Plan::Nothing {
                eprintln!("{earlier}");
            } else {
                eprintln!("{earlier}; {} comes when they are taken", path.display());
                lock(spool).next_file = Some(path.to_owned());
            }
        }
        _ => {}
    }
    courier.begin(&lock(spool).state);
    if waiting > 0
        && let Some(stop) = deliver(courier, spool)?
    {
        return Ok(Some(stop));
    }
    let from = match plan {
        Plan::All => 0,
        Plan::Behind(bytes) => bytes,
        Plan::Nothing => {
            eprintln!("this file was sent already, and nothing is new in it; to send it once more: --again");
            return Ok(None);
        }
        Plan::GoOn => return Ok(None),
    };
    lock(spool).next_file = None;
    prepare(&mut lock(spool), file, from, rebase_time, courier.clock)?;
    courier.begin(&lock(spool).state);
    deliver(courier, spool)
}

/// SHA-256 of a file, in hex.
pub(crate) fn digest(file: &[u8]) -> String {
    Sha256Digest::of(file).to_string()
}

/// Reads the lines of a file from some byte on.
#[expect(clippy::naive_bytecount, reason = "once a file: no crate is worth it")]
pub(crate) fn parse(file: &[u8], from: usize) -> Content {
    let lines_before = file[..from].iter().filter(|b| **b == b'\n').count() as u64;
    let mut lines = Lines::after(&file[from..], lines_before);
    let (mut signals, mut malformed) = (Vec::new(), Vec::new());
    let mut last_is_malformed = false;
    // A slice can always be read.
    while let Ok(Some((number, bytes))) = lines.next_line() {
        let signal = input::signal(number, bytes);
        last_is_malformed = signal.is_err();
        match signal {
            Ok(signal) => signals.extend(signal),
            Err(error) => malformed.push((number, error)),
        }
    }
    signals.sort_by_key(|s: &Signal| s.at);
    let end = file.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1);
    let whole = if last_is_malformed { end.max(from) } else { file.len() };
    Content { signals, malformed, whole }
}

/// Shifts the signals' times so that the last one's is now.
pub(crate) fn rebase(signals: &mut [Signal], now: i64) {
    let Some(last) = signals.last().map(|s| s.at) else { return };
    for signal in signals {
        signal.at = (signal.at + now - last).max(0);
    }
}

/// Cuts what a file has from some byte on into the spool's batches. No batch may wait there.
fn prepare(
    spool: &mut Spool,
    file: &[u8],
    from: usize,
    rebase_time: bool,
    clock: SystemClock,
) -> Result<(), SpoolError> {
    let Content { mut signals, malformed, whole } = parse(file, from);
    let mut complaints = Complaints::default();
    for (number, error) in &malformed {
        complaints.say(*number, error);
    }
    if rebase_time {
        rebase(&mut signals, clock.wall_ms());
    }
    if signals.first().is_some_and(|s| s.at <= spool.state.last_through) {
        // It goes back in time: in the same spool all of it would be late.
        spool.renew()?;
        (spool.state.last_at, spool.state.last_through) = (0, -1);
    }
    spool.state.totals = Totals::default();
    // A file without a signal is not remembered: once its lines are mended, all of it is to be sent.
    let is_known = !signals.is_empty();
    let mut input = Input {
        digest: if is_known { digest(file) } else { String::new() },
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
    if is_known {
        before::remember(&mut spool.state.sent, file, whole);
    }
    spool.save()?;
    let behind = if from > 0 { "the file grew: " } else { "" };
    let (count, batches) = (signals.len() as u64, batches(spool.queue.len() as u64));
    let malformed = if complaints.count > 0 { format!("; {}", no_signals(complaints.count)) } else { String::new() };
    eprintln!("{behind}{} in {batches}{malformed}", counted(count, "signal", "signals"));
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
        let through = cut::through(CutPoint { last_at, next_at, now: end, previous: spool.state.last_through });
        spool.claim(own, Says { through, tells_drops: false, ends: behind.is_empty() })?;
        rest = behind;
    }
    Ok(())
}

/// Delivers what was cut, and then, if batches were refused, a last one that tells of it.
fn deliver(courier: &mut Courier, spool: &Mutex<Spool>) -> Result<Option<Stop>, SpoolError> {
    loop {
        if let Some(stop) = courier.deliver_all(spool)? {
            return Ok(Some(stop));
        }
        let mut spool = lock(spool);
        if spool.state.dropped.is_empty() {
            return Ok(None);
        }
        // A file has its own time, which may lie ahead of the clock.
        let at = courier.clock.wall_ms().max(spool.state.last_at).max(spool.state.last_through + 1);
        let told = spool.state.dropped.take(at);
        spool.state.enable(DROPPED_TYPE);
        spool.claim(&told, Says { through: at, tells_drops: true, ends: true })?;
        spool.save()?;
    }
}
