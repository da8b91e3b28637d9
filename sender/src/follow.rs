//! A stream: one thread reads signals from standard input into the spool, the other claims batches and sends them.

use std::io::{self, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use logystera_infra::clock::{Clock, SystemClock};

use crate::core::foreign::{self, Foreign};
use crate::deliver::{Courier, Stop};
use crate::disk::lock;
use crate::input::{self, Complaints, Lines};
use crate::interrupt::Interrupt;
use crate::pending::Pending;
use crate::report::SendReport;
use crate::spool::{Spool, SpoolError};
use crate::state::Totals;

/// What both threads see.
pub(crate) struct Stream {
    desk: Mutex<Desk>,
    changed: Condvar,
}

struct Desk {
    pending: Pending,
    ended: bool,
    /// Whether the last batch that was claimed said that it is the last.
    told_end: bool,
    failed: Option<StreamError>,
    malformed: u64,
}

/// Why a stream cannot be sent on.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// Standard input cannot be read.
    #[error("standard input: {0}")]
    Read(#[from] io::Error),
    /// It is no list of signals.
    #[error("standard input: {0}")]
    Foreign(Foreign),
    /// The spool fails.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

impl AsMut<Spool> for Desk {
    fn as_mut(&mut self) -> &mut Spool {
        self.pending.as_mut()
    }
}

impl Desk {
    fn told(&self) -> SendReport {
        SendReport::of(&self.pending.spool, self.malformed, Some(self.pending.len() as u64))
    }
}

/// What came of a stream.
pub(crate) struct Streamed {
    pub(crate) stop: Option<Stop>,
    pub(crate) stream: Arc<Stream>,
}

impl Stream {
    /// What became of it so far.
    pub(crate) fn told(&self) -> SendReport {
        lock(&self.desk).told()
    }
}

/// Sends the input (standard input) until it ends and all is settled; the last batch ends the spool.
pub(crate) fn send(
    courier: &mut Courier,
    mut spool: Spool,
    interrupt: &Interrupt,
    input: impl Read + Send + 'static,
) -> Result<Streamed, StreamError> {
    // What became of an earlier stream was told then.
    spool.state.totals = Totals::default();
    courier.begin(&spool.state);
    let flush_ms = u64::from(spool.flush_every_s) * 1_000;
    let desk = Desk { pending: Pending::open(spool)?, ended: false, told_end: false, failed: None, malformed: 0 };
    let stream = Arc::new(Stream { desk: Mutex::new(desk), changed: Condvar::new() });
    let watched = Arc::downgrade(&stream);
    interrupt.tells(move || {
        let stream = watched.upgrade()?;
        let mut desk = lock(&stream.desk);
        // What was read is kept; whether it is on disk can be said of what could be synced only.
        desk.pending.sync().ok()?;
        Some(desk.told())
    });
    let (reader, clock) = (Arc::clone(&stream), courier.clock);
    std::thread::spawn(move || {
        let failed = read(&reader, input, clock).err();
        let mut desk = lock(&reader.desk);
        desk.failed = failed;
        desk.ended = true;
        reader.changed.notify_one();
    });
    loop {
        let stop = courier.deliver_all(&stream.desk)?;
        if stop.is_some() || !wait_and_claim(&stream, courier.clock, flush_ms)? {
            return Ok(Streamed { stop, stream });
        }
    }
}

/// Waits until there is a reason to speak (a full batch, the promised time, the end) and claims one batch; false when
/// the input has ended and nothing is left to say.
fn wait_and_claim(stream: &Stream, clock: SystemClock, flush_ms: u64) -> Result<bool, StreamError> {
    let waits = |desk: &mut Desk| !desk.ended && !desk.pending.is_batch_full();
    let waited = stream.changed.wait_timeout_while(lock(&stream.desk), Duration::from_millis(flush_ms), waits);
    let (mut desk, _) = waited.unwrap_or_else(PoisonError::into_inner);
    let state = &desk.pending.spool.state;
    let is_empty = desk.pending.len() == 0 && state.dropped.is_empty();
    // A stream that broke off may go on, and a spool that never spoke has nothing to end.
    let says_end = desk.ended && desk.failed.is_none() && (!is_empty || state.next_seq > 1);
    if desk.ended && is_empty && (desk.told_end || !says_end) {
        return desk.failed.take().map_or(Ok(false), Err);
    }
    desk.told_end = desk.pending.claim(clock.wall_ms(), says_end)?;
    Ok(true)
}

fn read(stream: &Stream, input: impl Read, clock: SystemClock) -> Result<(), StreamError> {
    let mut lines = Lines::new(BufReader::new(input));
    let mut complaints = Complaints::default();
    let mut is_full = false;
    while let Some((number, bytes)) = lines.next_line()? {
        if let Some(foreign) = foreign::of_first_line(bytes).filter(|_| number == 1) {
            return Err(StreamError::Foreign(foreign));
        }
        let signal = input::signal(number, bytes);
        let mut desk = lock(&stream.desk);
        match signal {
            Ok(None) => {}
            Ok(Some(signal)) => {
                let was_full = is_full;
                is_full = !desk.pending.push(signal, clock.wall_ms())?;
                if is_full && !was_full {
                    eprintln!("the spool is full: signals are dropped and counted until the gateway takes some");
                }
            }
            Err(error) => {
                complaints.say(number, &error);
                desk.malformed = complaints.count;
            }
        }
        // What is there at once is made durable at once, by one sync.
        if lines.reader().buffer().is_empty() {
            desk.pending.sync()?;
        }
        if desk.pending.is_batch_full() {
            stream.changed.notify_one();
        }
    }
    Ok(lock(&stream.desk).pending.sync()?)
}
