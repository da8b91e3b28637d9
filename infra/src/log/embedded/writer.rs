//! The one thread that writes: everything that waits becomes one transaction, and is answered when that is on disk.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use logystera_schemas::limits::LOG_COMMIT_SPACING_US;
use logystera_schemas::topic::Topic;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior, params};

use super::mark::Mark;
use super::queue::{Request, TaskOwner};
use super::read;
use super::reserve::Reserve;
use super::shared::Shared;
use super::tables::{Ends, position_checksum, record_checksum, state_checksum};
use super::wal::WalSize;
use crate::clock::{Clock, Stopwatch, SystemClock};
use crate::log::{Commit, Entry, LogError};
use crate::telemetry::Seldom;

/// Generation of the topics: an embedded log never grows its partitions (design, section 7).
const GENERATION: u64 = 0;

/// What a transaction did for one request, to be told when it is on disk.
type Outcome = Result<Done, LogError>;

#[derive(Clone, Copy)]
enum Done {
    Written,
    TakenOver { epoch: u64, position: u64 },
}

/// Why a transaction did not come about.
enum Failure {
    /// Nothing of it is there.
    Nothing(rusqlite::Error),
    /// It may be there after a restart: the disk failed while it was made durable.
    Unknown(rusqlite::Error),
}

/// What stands beside the data and is looked after by the writer.
pub(super) struct Watched {
    pub(super) reserve: Reserve,
    pub(super) mark: Mark,
    pub(super) wal: WalSize,
}

pub(super) struct Writer {
    connection: Connection,
    ends: Ends,
    watched: Watched,
    shared: Arc<Shared>,
    meters: Meters,
}

/// Handles that are made once: to look a metric up by name costs more than to count.
struct Meters {
    commit_seconds: metrics::Histogram,
    commit_requests: metrics::Histogram,
    appended: [metrics::Counter; Topic::ALL.len()],
    /// A full disk fails every commit: it is told now and then.
    failures: (SystemClock, Seldom),
}

impl Meters {
    fn new() -> Self {
        Self {
            commit_seconds: metrics::histogram!("logystera_log_commit_seconds"),
            commit_requests: metrics::histogram!("logystera_log_commit_requests"),
            appended: Topic::ALL
                .map(|topic| metrics::counter!("logystera_log_records_appended_total", "topic" => topic.name())),
            failures: (SystemClock::new(), Seldom::new()),
        }
    }

    /// Whether to tell a failure: then how many were left out since the last one.
    fn failure_due(&self) -> Option<u64> {
        let (clock, seldom) = &self.failures;
        seldom.due(clock.monotonic_ms())
    }
}

impl Writer {
    pub(super) fn new(connection: Connection, ends: Ends, watched: Watched, shared: Arc<Shared>) -> Self {
        Self { connection, ends, watched, shared, meters: Meters::new() }
    }

    /// Serves requests until the queue is closed and empty.
    pub(super) fn run(mut self) {
        // If much comes, commits keep a distance, so that one serves more; a request that comes alone never waits.
        let spacing = Duration::from_micros(LOG_COMMIT_SPACING_US);
        let mut pause = Duration::ZERO;
        while let Some(requests) = self.shared.queue.take_all(pause) {
            let commit = Stopwatch::start();
            let requests = self.let_in(requests.into());
            if !requests.is_empty() {
                self.serve(requests);
            }
            if self.watched.mark.is_due() {
                self.watched.mark.write(self.ends);
                self.watched.wal.look();
            }
            pause = spacing.saturating_sub(commit.elapsed());
        }
        self.watched.mark.write(self.ends);
        // Fold the write-ahead log into the file: a read-only connection that closes last could not.
        self.shared.readers.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let folded = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(error) = folded {
            tracing::warn!(%error, "the write-ahead log stays beside the file; the next start takes it in");
        }
    }

    /// What may be written now: all of it, or on a full disk only changes of what is configured.
    fn let_in(&mut self, requests: Vec<Request>) -> Vec<Request> {
        if !self.watched.reserve.is_spent() {
            return requests;
        }
        let (let_in, others): (Vec<_>, Vec<_>) = requests.into_iter().partition(Request::is_for_reserve);
        for request in others {
            request.answer(Err(LogError::Away("the disk is full".to_owned())));
        }
        let_in
    }

    fn serve(&mut self, requests: Vec<Request>) {
        let stopwatch = Stopwatch::start();
        match self.transact(&requests) {
            Ok((outcomes, ends)) => {
                self.measure(&stopwatch, requests.len(), &ends);
                self.ends = ends;
                self.shared.progress.publish(ends, outcomes.iter().filter(|o| o.is_ok()).count() as u64);
                requests.into_iter().zip(outcomes).for_each(|(request, outcome)| request.answer(outcome));
            }
            // One that is too large for the disk must not take the others with it.
            Err(Failure::Nothing(_)) if requests.len() > 1 => {
                self.reload_ends();
                for request in requests {
                    self.serve(vec![request]);
                }
            }
            Err(Failure::Nothing(error)) if self.has_room_for(&requests, &error) => {
                self.reload_ends();
                self.serve(requests);
            }
            Err(Failure::Nothing(error)) => {
                self.reload_ends();
                if let Some(left_out) = self.meters.failure_due() {
                    tracing::error!(%error, left_out, "the log could not be written; nothing of the commit is there");
                }
                metrics::counter!("logystera_log_commits_failed_total").increment(1);
                for request in requests {
                    request.answer(Err(LogError::Away(error.to_string())));
                }
            }
            Err(Failure::Unknown(error)) => {
                self.reload_ends();
                if let Some(left_out) = self.meters.failure_due() {
                    tracing::error!(%error, left_out, "the disk failed in a commit; whether it is there is not known");
                }
                metrics::counter!("logystera_log_commits_failed_total").increment(1);
                for request in requests {
                    request.answer(Err(LogError::Ambiguous(error.to_string())));
                }
            }
        }
    }

    /// Whether the reserve was given back for these requests, so that they can be tried again.
    fn has_room_for(&mut self, requests: &[Request], error: &rusqlite::Error) -> bool {
        let is_full = error.sqlite_error_code() == Some(ErrorCode::DiskFull);
        is_full && requests.iter().all(Request::is_for_reserve) && self.watched.reserve.give_back()
    }

    /// One transaction for all requests. A request that is refused writes nothing, and does not hinder the others.
    fn transact(&mut self, requests: &[Request]) -> Result<(Vec<Outcome>, Ends), Failure> {
        let begun = self.connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = begun.map_err(Failure::Nothing)?;
        let mut ends = self.ends;
        let outcomes: Result<Vec<Outcome>, rusqlite::Error> = requests
            .iter()
            .map(|request| match request {
                Request::Append { entries, .. } => append(&transaction, &mut ends, entries).map(|()| Ok(Done::Written)),
                Request::Commit { owner, commit, .. } => commit_task(&transaction, &mut ends, owner, commit),
                Request::TakeOver { app, input, .. } => take_over(&transaction, app, *input),
            })
            .collect();
        let outcomes = outcomes.map_err(Failure::Nothing)?;
        write_ends(&transaction, &self.ends, &ends).map_err(Failure::Nothing)?;
        transaction.commit().map_err(|error| match error.sqlite_error_code() {
            // A full disk stops the write before the mark that ends the commit.
            Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy) => Failure::Nothing(error),
            _ => Failure::Unknown(error),
        })?;
        Ok((outcomes, ends))
    }

    fn reload_ends(&mut self) {
        // If even that fails, the ends before the transaction still hold: it was rolled back.
        if let Ok(ends) = read::ends(&self.connection) {
            self.ends = ends;
        }
    }

    fn measure(&self, stopwatch: &Stopwatch, requests: usize, ends: &Ends) {
        self.meters.commit_seconds.record(stopwatch.elapsed().as_secs_f64());
        self.meters.commit_requests.record(f64::from(requests as u32));
        for topic in Topic::ALL {
            let appended = ends[topic as usize] - self.ends[topic as usize];
            self.meters.appended[topic as usize].increment(appended);
        }
    }
}

impl Request {
    /// Whether it is what the disk's reserve is kept for: a change of what is configured. A takeover writes one row,
    /// and lets a process start that then takes such changes.
    fn is_for_reserve(&self) -> bool {
        match self {
            Self::Append { entries, .. } => entries.iter().any(|entry| entry.topic == Topic::Control),
            Self::TakeOver { .. } => true,
            Self::Commit { .. } => false,
        }
    }

    fn answer(self, outcome: Outcome) {
        // The caller may have gone away; what was written stays.
        match self {
            Self::Append { answer, room, .. } => {
                drop(room);
                drop(answer.send(outcome.map(drop)));
            }
            Self::Commit { answer, .. } => drop(answer.send(outcome.map(drop))),
            Self::TakeOver { answer, .. } => drop(answer.send(outcome.map(|done| match done {
                Done::TakenOver { epoch, position } => (epoch, position),
                Done::Written => (0, 0),
            }))),
        }
    }
}

fn append(transaction: &Transaction<'_>, ends: &mut Ends, entries: &[Entry]) -> Result<(), rusqlite::Error> {
    for entry in entries {
        if entry.topic == Topic::Control {
            transaction.prepare_cached("DELETE FROM log_control WHERE key = ?1")?.execute([&entry.key])?;
        }
        let offset = &mut ends[entry.topic as usize];
        let crc = record_checksum(entry.topic, *offset, &entry.key, &entry.value);
        transaction.prepare_cached(insert(entry.topic))?.execute(params![*offset, entry.key, entry.value, crc])?;
        *offset += 1;
    }
    Ok(())
}

const fn insert(topic: Topic) -> &'static str {
    match topic {
        Topic::Signals => "INSERT INTO log_signals (offset, key, value, crc) VALUES (?1, ?2, ?3, ?4)",
        Topic::Detections => "INSERT INTO log_detections (offset, key, value, crc) VALUES (?1, ?2, ?3, ?4)",
        Topic::Attempts => "INSERT INTO log_attempts (offset, key, value, crc) VALUES (?1, ?2, ?3, ?4)",
        Topic::Snapshots => "INSERT INTO log_snapshots (offset, key, value, crc) VALUES (?1, ?2, ?3, ?4)",
        Topic::Series => "INSERT INTO log_series (offset, key, value, crc) VALUES (?1, ?2, ?3, ?4)",
        Topic::Control => "INSERT INTO log_control (offset, key, value, crc) VALUES (?1, ?2, ?3, ?4)",
    }
}

fn write_ends(transaction: &Transaction<'_>, before: &Ends, after: &Ends) -> Result<(), rusqlite::Error> {
    for topic in Topic::ALL {
        let end = after[topic as usize];
        if end != before[topic as usize] {
            transaction
                .prepare_cached(
                    "INSERT INTO topics (topic, next_offset) VALUES (?1, ?2) \
                     ON CONFLICT (topic) DO UPDATE SET next_offset = excluded.next_offset",
                )?
                .execute(params![topic.name(), end])?;
        }
    }
    Ok(())
}

/// Where an app stands, as the table has it.
struct Position {
    input: String,
    epoch: u64,
    next: u64,
}

fn position(transaction: &Transaction<'_>, app: &str) -> Result<Result<Option<Position>, LogError>, rusqlite::Error> {
    let mut statement =
        transaction.prepare_cached("SELECT input, epoch, position, version, crc FROM positions WHERE app = ?1")?;
    let row = statement
        .query_row([app], |row| {
            let at = Position { input: row.get(0)?, epoch: row.get(1)?, next: row.get(2)? };
            Ok((at, row.get::<_, u64>(3)?, row.get::<_, i64>(4)?))
        })
        .optional()?;
    let Some((at, version, crc)) = row else { return Ok(Ok(None)) };
    let actual = position_checksum(app, &at.input, at.epoch, at.next, version);
    if crc != i64::from(actual) {
        let what = format!("the position of {app} has a wrong checksum; it was altered after it was written");
        return Ok(Err(LogError::Unusable(what)));
    }
    Ok(Ok(Some(at)))
}

fn write_position(
    transaction: &Transaction<'_>,
    owner: &TaskOwner,
    position: u64,
    version: u64,
) -> Result<(), rusqlite::Error> {
    let input = owner.input.name();
    let crc = position_checksum(&owner.app, input, owner.epoch, position, version);
    transaction
        .prepare_cached(
            "INSERT INTO positions (app, input, epoch, position, version, crc) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
             ON CONFLICT (app) DO UPDATE SET epoch = excluded.epoch, position = excluded.position, \
             version = excluded.version, crc = excluded.crc",
        )?
        .execute(params![owner.app, input, owner.epoch, position, version, crc])?;
    Ok(())
}

/// Version of the state that a commit at `position` writes (design, section 7).
const fn version(position: u64) -> u64 {
    (GENERATION << 48) + position
}

fn take_over(transaction: &Transaction<'_>, app: &str, input: Topic) -> Result<Outcome, rusqlite::Error> {
    let (epoch, at) = match position(transaction, app)? {
        Err(altered) => return Ok(Err(altered)),
        Ok(None) => (1, 0),
        Ok(Some(before)) if before.input != input.name() => {
            let what = format!("{app} reads topic {}, not {}", before.input, input.name());
            return Ok(Err(LogError::Unusable(what)));
        }
        Ok(Some(before)) => (before.epoch + 1, before.next),
    };
    write_position(transaction, &TaskOwner { app: app.to_owned(), input, epoch }, at, version(at))?;
    Ok(Ok(Done::TakenOver { epoch, position: at }))
}

fn commit_task(
    transaction: &Transaction<'_>,
    ends: &mut Ends,
    owner: &TaskOwner,
    commit: &Commit,
) -> Result<Outcome, rusqlite::Error> {
    match position(transaction, &owner.app)? {
        Err(altered) => return Ok(Err(altered)),
        Ok(Some(at)) if at.epoch == owner.epoch => {
            if commit.position < at.next {
                let what = format!("{} commits position {} after {}", owner.app, commit.position, at.next);
                return Ok(Err(LogError::Unusable(what)));
            }
        }
        Ok(_) => return Ok(Err(LogError::Fenced)),
    }
    append(transaction, ends, &commit.outputs)?;
    let version = version(commit.position);
    for (key, value) in &commit.puts {
        match value {
            Some(value) => transaction
                .prepare_cached(
                    "INSERT INTO state (app, key, version, value, crc) VALUES (?1, ?2, ?3, ?4, ?5) \
                     ON CONFLICT (app, key) DO UPDATE SET version = excluded.version, value = excluded.value, \
                     crc = excluded.crc",
                )?
                .execute(params![owner.app, key, version, value, state_checksum(&owner.app, key, version, value)])?,
            None => transaction
                .prepare_cached("DELETE FROM state WHERE app = ?1 AND key = ?2")?
                .execute(params![owner.app, key])?,
        };
    }
    write_position(transaction, owner, commit.position, version)?;
    Ok(Ok(Done::Written))
}
