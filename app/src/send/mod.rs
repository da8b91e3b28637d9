//! `logystera send`: the reference sender. It shows in one place what every integration does: order signals by time, fix
//! batches on disk before they are sent, sign each try anew, and tell final answers from others.
//!
//! [`core`] decides; the rest reads, writes, sends and waits. `docs/sending-batches.md` is the same for other languages.

pub mod core;

pub mod file;
pub mod follow;
pub mod target;

mod deliver;
mod http;
mod input;
mod pending;
mod progress;

pub mod disk;
pub mod spool;
mod state;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;

use logystera_infra::clock::SystemClock;
use logystera_schemas::limits::{FLUSH_EVERY_S_DEFAULT, FLUSH_EVERY_S_MAX, SEND_BACKOFF_MS, SEND_PAUSE_MS_MAX};
use serde_json::json;

pub(crate) use input::{Complaints, Lines};

use self::core::backoff::Delays;
use deliver::{Courier, Stop, lock};
use http::Gateway;
use progress::Progress;
use spool::Spool;
use state::{Feed, Owner, State};
use target::{Target, TargetArgs, TargetError};

/// Send signals to a gateway, from a file or a stream
///
/// Each line of the input is one signal, a JSON object with its type, its time and its fields. A file is sorted by time and cut into batches, which wait in a folder (the spool) until the gateway has them: stop it,
/// start it again, and it goes on where it was.
#[derive(clap::Args)]
#[command(after_help = "A signal:
  {\"type\":\"cron.run\",\"at\":1767225599000,\"job\":\"wp_version_check\",\"outcome\":\"ok\"}

Examples:
  logystera send signals.ndjson --dsn-file site.dsn
  logystera send old.ndjson --dsn-file site.dsn --rebase-time
  tail -F signals.ndjson | logystera send - --dsn-file site.dsn --follow --spool /var/spool/logystera

Exit codes: 0 all signals were taken; 1 some were not; 2 wrong use; 3 the gateway was not to be had, or closed the site.")]
pub struct Args {
    /// File of signals, one JSON object a line; - for standard input
    #[arg(value_name = "FILE|-")]
    input: PathBuf,
    #[command(flatten)]
    target: TargetArgs,
    /// Folder for what is not sent yet [default: FILE.spool]
    #[arg(long, value_name = "DIR", env = "LOGYSTERA_SPOOL")]
    spool: Option<PathBuf>,
    /// Send signals as they come, from standard input, until it ends
    #[arg(long)]
    follow: bool,
    /// Shift all times so that the last signal's is now
    #[arg(long, conflicts_with = "follow")]
    rebase_time: bool,
    /// With --follow: speak at least so often, even if there is nothing to say
    #[arg(long, value_name = "SECONDS", default_value_t = FLUSH_EVERY_S_DEFAULT,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(FLUSH_EVERY_S_MAX)))]
    flush_every_s: u32,
    /// Exit with 3 rather than wait longer than this for a gateway; the spool stays
    #[arg(long, value_name = "SECONDS")]
    give_up_after_s: Option<u64>,
    /// Print what became of the signals as JSON on standard output
    #[arg(long)]
    json: bool,
    /// First back-off
    #[arg(long, hide = true, default_value_t = SEND_BACKOFF_MS)]
    backoff_ms: u64,
    /// Longest pause
    #[arg(long, hide = true, default_value_t = SEND_PAUSE_MS_MAX)]
    probe_ms: u64,
}

/// Why nothing can be sent.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error("--follow reads standard input: tail -F FILE | logystera send - --follow …")]
    FollowFile,
    #[error("standard input has no name to put a spool beside: give --spool DIR")]
    NoSpool,
    #[error("the gateway closed this site: nothing more is sent from {}; ask who runs the gateway", .0.display())]
    Closed(PathBuf),
    #[error("nothing got through; what is left waits in {}: the same command goes on with it", .0.display())]
    GaveUp(PathBuf),
    #[error(transparent)]
    File(#[from] file::FileError),
    #[error(transparent)]
    Stream(#[from] follow::StreamError),
    #[error(transparent)]
    Spool(#[from] spool::SpoolError),
    #[error("cannot set up HTTP: {0}")]
    Http(#[from] reqwest::Error),
}

impl SendError {
    fn exit_code(&self) -> u8 {
        use file::FileError;
        match self {
            Self::Target(_)
            | Self::FollowFile
            | Self::NoSpool
            | Self::File(FileError::OtherInput(_) | FileError::Read { .. })
            | Self::Spool(spool::SpoolError::OtherFeed(..)) => 2,
            _ => 3,
        }
    }
}

/// Runs it.
#[expect(clippy::needless_pass_by_value, reason = "a subcommand's arguments are its own")]
pub fn run(args: Args) -> ExitCode {
    ExitCode::from(exit_code(&args))
}

fn exit_code(args: &Args) -> u8 {
    match send(args) {
        Ok(all_taken) => u8::from(!all_taken),
        Err(error) => {
            eprintln!("logystera send: {error}");
            error.exit_code()
        }
    }
}

/// Whether every line was a signal and every signal was taken.
fn send(args: &Args) -> Result<bool, SendError> {
    let dir = spool_dir(args)?;
    let target = args.target.target()?;
    let clock = SystemClock::new();
    let feed = if args.follow { Feed::Follow } else { Feed::File };
    // The file is looked at first, so that a wrong name leaves no spool behind.
    let content = if args.follow { None } else { Some(file::read(&args.input)?) };
    let (mut spool, moved) = Spool::open(&dir, owner(&target), feed, args.flush_every_s)?;
    if moved {
        eprintln!("site, gateway or machine changed: going on as spool {}", spool.state.spool);
    }
    if spool.state.closed {
        return Err(SendError::Closed(dir));
    }
    if let Some(content) = content {
        file::prepare(&mut spool, content, args.rebase_time, clock)?;
    }
    let mut courier = courier(args, target, clock, &spool.state)?;
    let (stop, malformed, state) = if args.follow {
        let streamed = follow::send(&mut courier, spool)?;
        (streamed.stop, streamed.malformed, streamed.stream.with_spool(|s| s.state.clone()))
    } else {
        let spool = Mutex::new(spool);
        let stop = file::send(&mut courier, &spool)?;
        let state = lock(&spool).state.clone();
        (stop, state.input.as_ref().map_or(0, |i| i.malformed), state)
    };
    report(args, &courier, &state, malformed);
    match stop {
        Some(Stop::Closed) => Err(SendError::Closed(dir)),
        Some(Stop::GaveUp) => Err(SendError::GaveUp(dir)),
        None => {
            let totals = state.totals;
            Ok(malformed + totals.refused + totals.dropped + totals.overflow == 0)
        }
    }
}

fn spool_dir(args: &Args) -> Result<PathBuf, SendError> {
    let is_stdin = args.input == Path::new("-");
    match &args.spool {
        _ if args.follow && !is_stdin => Err(SendError::FollowFile),
        Some(dir) => Ok(dir.clone()),
        None if is_stdin => Err(SendError::NoSpool),
        None => {
            let mut name = args.input.clone().into_os_string();
            name.push(".spool");
            Ok(name.into())
        }
    }
}

fn courier(args: &Args, target: Target, clock: SystemClock, state: &State) -> Result<Courier, SendError> {
    Ok(Courier {
        gateway: Gateway::new(target)?,
        clock,
        delays: Delays { base_ms: args.backoff_ms, probe_ms: args.probe_ms, ..Delays::default() },
        give_up_after_ms: args.give_up_after_s.map(|s| s.saturating_mul(1_000)),
        progress: Progress::new(clock, state.totals),
        total: state.input.as_ref().map(|i| i.signals),
        health: self::core::answer::Health::default(),
        failing_since: None,
    })
}

/// Whom the spool belongs to.
fn owner(target: &Target) -> Owner {
    // Linux says its name here; elsewhere all machines look alike, and only a changed address or site is noticed.
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
    Owner { url: target.url.to_string(), site: target.site.to_string(), host }
}

fn report(args: &Args, courier: &Courier, state: &State, malformed: u64) {
    let totals = &state.totals;
    eprintln!("{}", courier.progress.line(totals, courier.total));
    if args.json {
        let report = json!({
            "spool": state.spool, "batches": totals.batches, "accepted": totals.accepted,
            "duplicate": totals.duplicate, "refused": totals.refused, "dropped": totals.dropped,
            "overflow": totals.overflow, "malformed": malformed, "clock_offset_ms": state.clock_offset_ms,
        });
        println!("{report}");
    }
}

#[cfg(test)]
mod tests;
