//! `logystera send`: the reference sender. It shows in one place what every integration does: order signals by time, fix
//! batches on disk before they are sent, sign each try anew, and tell final answers from others.
//!
//! [`core`] decides; the rest reads, writes, sends and waits. `docs/sending-batches.md` is the same for other languages.

pub mod core;

pub mod file;
pub mod follow;
pub mod target;

mod deliver;
mod dry;
mod http;
mod input;
mod interrupt;
mod pending;
mod progress;
mod trouble;

pub mod disk;
pub mod spool;
mod state;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use logystera_infra::clock::SystemClock;
use logystera_schemas::limits::{FLUSH_EVERY_S_DEFAULT, FLUSH_EVERY_S_MAX, SEND_BACKOFF_MS, SEND_PAUSE_MS_MAX};

pub(crate) use input::{Complaints, Lines};

use self::core::backoff::Delays;
use deliver::{Courier, Stop, lock};
use file::Plan;
use http::Gateway;
use interrupt::{Interrupt, Told};
use progress::Progress;
use spool::Spool;
use state::{Feed, Owner, Totals};
use target::{Target, TargetArgs, TargetError};

/// Send signals to a gateway, from a file or a stream
///
/// Each line of the input is one signal, a JSON object with its type, its time and its fields. A file is sorted by time and cut into batches, which wait in a folder (the spool) until the gateway has them: stop it,
/// start it again, and it goes on where it was. A file that was sent and has grown since goes on behind what was sent.
#[derive(clap::Args)]
#[command(after_help = "A signal:
  {\"type\":\"cron.run\",\"at\":1767225599000,\"job\":\"wp_version_check\",\"outcome\":\"ok\"}

Examples:
  logystera send signals.ndjson --dsn-file site.dsn
  logystera send signals.ndjson --dsn-file site.dsn --dry-run
  logystera send old.ndjson --dsn-file site.dsn --rebase-time
  tail -F signals.ndjson | logystera send - --dsn-file site.dsn --follow --spool /var/spool/logystera

Exit codes: 0 all signals were taken; 1 some were not; 2 wrong use; 3 the gateway was not to be had, or closed the site; 130 interrupted.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Args {
    /// File of signals, one JSON object a line; - for standard input
    #[arg(value_name = "FILE|-")]
    input: PathBuf,
    #[command(flatten)]
    target: TargetArgs,
    /// Folder for what is not sent yet, one for each site [default: beside the DSN's or the secret's file, with .spool or .follow.spool at its end]
    #[arg(long, value_name = "DIR", env = "LOGYSTERA_SPOOL")]
    spool: Option<PathBuf>,
    /// Send signals as they come, from standard input, until it ends
    #[arg(long)]
    follow: bool,
    /// Shift all times so that the last signal's is now
    #[arg(long, conflicts_with = "follow")]
    rebase_time: bool,
    /// Send all of the file, also what was sent before
    #[arg(long, conflicts_with = "follow")]
    again: bool,
    /// Say what would be sent, and which signals the gateway would refuse; send and write nothing
    #[arg(long, conflicts_with = "follow")]
    dry_run: bool,
    /// File with certificates (PEM) of an authority of your own that signed the gateway's
    #[arg(long, value_name = "FILE", env = "LOGYSTERA_CA_FILE")]
    ca: Option<PathBuf>,
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
    #[error("{}: no file that a spool can lie beside: give --spool DIR", .0.display())]
    NoSpool(PathBuf),
    #[error("the gateway closed this site: nothing more is sent from {}; ask who runs the gateway", .0.display())]
    Closed(PathBuf),
    #[error("nothing got through; {0}")]
    GaveUp(String),
    #[error(transparent)]
    File(#[from] file::FileError),
    #[error(transparent)]
    Stream(#[from] follow::StreamError),
    #[error(transparent)]
    Spool(#[from] spool::SpoolError),
    #[error(transparent)]
    Http(#[from] http::HttpError),
}

impl SendError {
    fn exit_code(&self) -> u8 {
        use file::FileError;
        match self {
            Self::Target(_)
            | Self::FollowFile
            | Self::NoSpool(_)
            | Self::File(FileError::Changed(_) | FileError::Read { .. } | FileError::Dsn(_) | FileError::Foreign(..))
            | Self::Stream(follow::StreamError::Foreign(_))
            | Self::Http(http::HttpError::Ca { .. })
            | Self::Spool(spool::SpoolError::OtherFeed(..)) => 2,
            _ => 3,
        }
    }
}

/// Runs it.
#[expect(clippy::needless_pass_by_value, reason = "a subcommand's arguments are its own")]
pub fn run(args: Args) -> ExitCode {
    let interrupt = Interrupt::default();
    interrupt.listen(args.json);
    ExitCode::from(exit_code(&args, &interrupt))
}

fn exit_code(args: &Args, interrupt: &Interrupt) -> u8 {
    match send(args, interrupt) {
        Ok(all_taken) => u8::from(!all_taken),
        Err(error) => {
            eprintln!("logystera send: {error}");
            error.exit_code()
        }
    }
}

/// Whether every line was a signal and every signal was taken.
fn send(args: &Args, interrupt: &Interrupt) -> Result<bool, SendError> {
    let target = args.target.target()?;
    let dir = spool_dir(args)?;
    let feed = if args.follow { Feed::Follow } else { Feed::File };
    // The file is looked at first, so that a wrong name leaves no spool behind.
    let file = if args.follow { None } else { Some(file::read(&args.input)?) };
    if let (Some(file), true) = (&file, args.dry_run) {
        let found = Spool::peek(&dir)?;
        return Ok(dry::run(args, &target, &dir, file, found.as_ref().map(|(state, n)| (state, *n)))?);
    }
    let mut courier = courier(args, target)?;
    let (mut spool, moved) = Spool::open(&dir, owner(courier.gateway.target()), feed, args.flush_every_s)?;
    if moved {
        eprintln!("site, gateway or machine changed: going on as spool {}", spool.state.spool);
    }
    if spool.state.closed {
        return Err(SendError::Closed(dir));
    }
    let (stop, told) = if let Some(file) = file {
        let plan = file::plan(&args.input, &file, &spool.state, spool.queue.len(), args.again)?;
        if plan == Plan::Nothing && spool.state.input.as_ref().is_none_or(|i| i.digest != file::digest(&file)) {
            // Its outcome was told when it was sent; what the spool knows is that of a later file.
            (spool.state.input, spool.state.totals) = (None, Totals::default());
        }
        let spool = Arc::new(Mutex::new(spool));
        let watched = Arc::downgrade(&spool);
        // While the file is cut, nothing is said: that may take a while.
        interrupt.tells(move || watched.upgrade()?.try_lock().ok().map(|spool| of_file(&spool)));
        let stop = file::send(&mut courier, &spool, (&args.input, &file), plan, args.rebase_time)?;
        (stop, of_file(&lock(&spool)))
    } else {
        let streamed = follow::send(&mut courier, spool, interrupt, std::io::stdin())?;
        (streamed.stop, streamed.stream.told())
    };
    let Told { run, totals, malformed, .. } = &told;
    eprintln!("{}", courier.progress.line(run, totals, courier.total, *malformed));
    if args.json {
        println!("{}", told.json);
    }
    match stop {
        Some(Stop::Closed) => Err(SendError::Closed(dir)),
        Some(Stop::GaveUp) => Err(SendError::GaveUp(told.waits)),
        None => Ok(malformed + totals.refused + totals.dropped + totals.overflow == 0),
    }
}

/// What became of a file so far.
fn of_file(spool: &Spool) -> Told {
    Told::of(spool, spool.state.input.as_ref().map_or(0, |i| i.malformed), None)
}

/// One spool for each site and way of feeding it, beside the file that names the site. Versions before put one beside each file
/// of signals: where that is, it goes on.
fn spool_dir(args: &Args) -> Result<PathBuf, SendError> {
    let is_stdin = args.input == Path::new("-");
    if args.follow && !is_stdin {
        return Err(SendError::FollowFile);
    }
    if let Some(dir) = &args.spool {
        return Ok(dir.clone());
    }
    let beside = |path: &Path, end: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let older = beside(&args.input, ".spool");
    if !is_stdin && older.join("state.json").exists() {
        eprintln!("using {}, which an earlier version made", older.display());
        return Ok(older);
    }
    let named = args.target.dsn_file.as_ref().or(args.target.secret_file.as_ref());
    match named {
        Some(path) if path.is_file() => Ok(beside(path, if args.follow { ".follow.spool" } else { ".spool" })),
        _ => Err(SendError::NoSpool(named.cloned().unwrap_or_default())),
    }
}

fn courier(args: &Args, target: Target) -> Result<Courier, SendError> {
    let clock = SystemClock::new();
    Ok(Courier {
        gateway: Gateway::new(target, args.ca.as_deref())?,
        clock,
        delays: Delays { base_ms: args.backoff_ms, probe_ms: args.probe_ms, ..Delays::default() },
        give_up_after_ms: args.give_up_after_s.map(|s| s.saturating_mul(1_000)),
        progress: Progress::new(clock),
        total: None,
        health: self::core::answer::Health::default(),
        failing_since: None,
    })
}

/// Whom the spool belongs to.
fn owner(target: &Target) -> Owner {
    // Linux says its name here; elsewhere all machines look alike, and only a changed address or site is noticed.
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
    let audience = Some(target.audience.clone());
    Owner { url: target.url.to_string(), site: target.site.to_string(), audience, host }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod again_tests;
