//! The reference sender. It shows in one place what every integration does: order signals by time, fix batches on disk
//! before they are sent, sign each try anew, and tell final answers from others.
//!
//! [`core`] decides; the rest reads, writes, sends and waits. `docs/sending-batches.md` is the same for other
//! languages.

#[macro_use]
extern crate logystera_infra;

pub mod core;

pub mod access_log;
pub mod convert;
pub mod redact;

pub mod dry;
pub mod explain;
pub mod file;
pub mod follow;
pub mod input;
pub mod interrupt;
pub mod progress;
pub mod report;
pub mod target;

mod deliver;
mod http;
mod pending;
mod trouble;

mod batch_file;
mod disk;
mod spool;
pub mod state;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use logystera_infra::clock::SystemClock;
use logystera_infra::files::host_name;

use self::core::answer::Health;
use self::core::backoff::Delays;
use deliver::{Courier, Stop};
use disk::lock;
use file::Plan;
use http::Gateway;
use interrupt::Interrupt;
use progress::Progress;
use report::SendReport;
use spool::Spool;
use state::{Feed, SpoolOwner, Totals};
use target::Target;

/// What is sent, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// File of signals, one JSON object a line; `-` is standard input.
    pub input: PathBuf,
    /// Folder for what is not sent yet.
    pub spool: PathBuf,
    /// Send signals as they come, from standard input, until it ends.
    pub follow: bool,
    /// Shift all times so that the last signal's is now.
    pub rebase_time: bool,
    /// Send all of the file, also what was sent before.
    pub again: bool,
    /// File with certificates (PEM) of an authority of the operator's own.
    pub ca: Option<PathBuf>,
    /// Seconds after which a stream speaks at the latest.
    pub flush_every_s: u32,
    /// Seconds that a gateway is waited for. None: for ever.
    pub give_up_after_s: Option<u64>,
    /// First back-off, milliseconds.
    pub backoff_ms: u64,
    /// Longest pause, milliseconds.
    pub probe_ms: u64,
}

/// Why nothing can be sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The gateway said that the site is closed.
    #[error("the gateway closed this site: nothing more is sent from {}; ask who runs the gateway", .0.display())]
    Closed(PathBuf),
    /// Nothing got through for as long as the operator wanted to wait.
    #[error("nothing got through; {0}")]
    GaveUp(String),
    /// The file.
    #[error(transparent)]
    File(#[from] file::FileError),
    /// The stream.
    #[error(transparent)]
    Stream(#[from] follow::StreamError),
    /// The spool.
    #[error(transparent)]
    Spool(#[from] spool::SpoolError),
    /// The connection.
    #[error(transparent)]
    Http(#[from] http::HttpError),
}

impl SendError {
    /// Whether other arguments would help, and not waiting.
    pub fn is_wrong_use(&self) -> bool {
        use file::FileError;
        matches!(
            self,
            Self::File(FileError::Changed(_) | FileError::Read { .. } | FileError::Dsn(_) | FileError::Foreign(..))
                | Self::Stream(follow::StreamError::Foreign(_))
                | Self::Http(http::HttpError::Ca { .. })
                | Self::Spool(spool::SpoolError::OtherFeed(..) | spool::SpoolError::NoFolder(_))
        )
    }
}

/// Sends a file, or the stream `input`, and says on standard error how it goes. `report` gets what became of it, also
/// if the sending ended before all was sent.
pub fn send(
    options: &Options,
    target: Target,
    input: impl Read + Send + 'static,
    interrupt: &Interrupt,
    report: impl FnOnce(&SendReport),
) -> Result<bool, SendError> {
    let feed = if options.follow { Feed::Follow } else { Feed::File };
    // The file is looked at first, so that a wrong name leaves no spool behind.
    let file = if options.follow { None } else { Some(file::read(&options.input)?) };
    let mut courier = courier(options, target)?;
    let dir = &options.spool;
    let (mut spool, moved) = Spool::open(dir, owner(courier.gateway.target()), feed, options.flush_every_s)?;
    if moved {
        eprintln!("site, gateway or machine changed: going on as spool {}", spool.state.spool);
    }
    if spool.state.closed {
        return Err(SendError::Closed(dir.clone()));
    }
    let (stop, told) = if let Some(file) = file {
        let plan = file::plan(&options.input, &file, &spool.state, spool.queue.len(), options.again)?;
        if plan == Plan::Nothing && spool.state.input.as_ref().is_none_or(|i| i.digest != file::digest(&file)) {
            // Its outcome was told when it was sent; what the spool knows is that of a later file.
            (spool.state.input, spool.state.totals) = (None, Totals::default());
        }
        let spool = Arc::new(Mutex::new(spool));
        let watched = Arc::downgrade(&spool);
        // While the file is cut, nothing is said: that may take a while.
        interrupt.tells(move || watched.upgrade()?.try_lock().ok().map(|spool| of_file(&spool)));
        let stop = file::send(&mut courier, &spool, (&options.input, &file), plan, options.rebase_time)?;
        (stop, of_file(&lock(&spool)))
    } else {
        let streamed = follow::send(&mut courier, spool, interrupt, input)?;
        (streamed.stop, streamed.stream.told())
    };
    let SendReport { run, totals, malformed, .. } = &told;
    eprintln!("{}", courier.progress.line(run, totals, courier.total, *malformed));
    report(&told);
    match stop {
        Some(Stop::Closed) => Err(SendError::Closed(dir.clone())),
        Some(Stop::GaveUp) => Err(SendError::GaveUp(told.waits)),
        None => Ok(malformed + totals.refused + totals.dropped + totals.overflow == 0),
    }
}

/// What became of a file so far.
fn of_file(spool: &Spool) -> SendReport {
    SendReport::of(spool, spool.state.input.as_ref().map_or(0, |i| i.malformed), None)
}

/// Whether a sender has used a folder as its spool.
pub fn is_spool(dir: &Path) -> bool {
    dir.join("state.json").exists()
}

fn courier(options: &Options, target: Target) -> Result<Courier, SendError> {
    let clock = SystemClock::new();
    Ok(Courier {
        gateway: Gateway::new(target, options.ca.as_deref())?,
        clock,
        delays: Delays { base_ms: options.backoff_ms, probe_ms: options.probe_ms, ..Delays::default() },
        give_up_after_ms: options.give_up_after_s.map(|s| s.saturating_mul(1_000)),
        progress: Progress::new(clock),
        total: None,
        health: Health::default(),
        failing_since: None,
    })
}

/// Whom the spool belongs to.
fn owner(target: &Target) -> SpoolOwner {
    let audience = Some(target.audience.clone());
    SpoolOwner { url: target.url.to_string(), site: target.site.to_string(), audience, host: host_name() }
}
