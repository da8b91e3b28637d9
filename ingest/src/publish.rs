//! What the gateway writes to the log: batches, the clock's ticks, and once a minute what it turned away.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::atomic::Ordering;

use logystera_infra::clock::Stopwatch;
use logystera_infra::log::{Entry, Log, LogError};
use logystera_schemas::ids::KeyGroup;
use logystera_schemas::limits::{REFUSED_APPEND_MAX, TICKS_WITHHELD_MAX};
use logystera_schemas::schema;
use logystera_schemas::signals_topic::{Refused, Tick};
use logystera_schemas::time::WallMs;
use logystera_schemas::topic::Topic;
use tokio::task::{JoinError, JoinSet};
use tokio::time::MissedTickBehavior;

use crate::core::clock::Judgement;
use crate::gateway::{Gateway, lock};

/// `Refused` records once a minute (design, section 3), and what has been idle is forgotten.
const TICKS_PER_MINUTE: u32 = 60;

/// Ticks under way.
#[derive(Default)]
struct Beats {
    /// Each with its partition, and why the log did not take it.
    under_way: JoinSet<(u32, Option<String>)>,
    partitions: BTreeSet<u32>,
    /// The partitions whose newest tick was not taken.
    missed: BTreeSet<u32>,
}

impl<L: Log> Gateway<L> {
    /// Appends, and waits until the entries are durable, but not for ever. False: they may or may not be in the log.
    pub(crate) async fn append(&self, entries: Vec<Entry>) -> bool {
        self.in_time(self.0.log.append(entries)).await
    }

    /// Waits for an append, but not for ever.
    pub(crate) async fn in_time(&self, append: impl Future<Output = Result<(), LogError>>) -> bool {
        let watch = Stopwatch::start();
        let error = self.fault_of(append).await;
        self.note(error.as_deref());
        if error.is_none() {
            self.0.meters.append_seconds.record(watch.elapsed().as_secs_f64());
        }
        error.is_none()
    }

    /// Why an append failed, or did not end in time; none if the log has it.
    async fn fault_of(&self, append: impl Future<Output = Result<(), LogError>>) -> Option<String> {
        let within = self.0.config.timing.append;
        match tokio::time::timeout(within, append).await {
            Ok(appended) => appended.err().map(|error| error.to_string()),
            Err(_) => Some(format!("no answer within {within:?}")),
        }
    }

    /// Notes whether the log takes appends, or why not.
    fn note(&self, error: Option<&str>) {
        let was_ready = self.0.log_ready.swap(error.is_none(), Ordering::SeqCst);
        if error.is_some() {
            lock(&self.0.rhythm).failed(self.0.clock.monotonic_ms());
        }
        match error {
            None if !was_ready => tracing::info!("the log takes appends again"),
            // Once an outage, not once a batch; and of outages that follow one another, now and then.
            Some(error) if was_ready => {
                if let Some(left_out) = self.0.log_told.due(self.0.clock.monotonic_ms()) {
                    tracing::warn!(error, left_out, "the log does not take appends: senders are told to come again");
                }
            }
            _ => {}
        }
    }

    /// Writes a tick to each partition every second and what was refused every minute, until `shutdown` resolves.
    pub async fn run_timers(&self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = std::pin::pin!(shutdown);
        let mut ticks = tokio::time::interval(self.0.config.timing.tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut count = 0_u32;
        let mut beats = Beats::default();
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => return,
                Some(done) = beats.under_way.join_next() => {
                    self.end_beat(&mut beats, done);
                    continue;
                }
                _ = ticks.tick() => {}
            }
            if count == TICKS_PER_MINUTE {
                count = 0;
                self.flush_refused().await;
                lock(&self.0.replay).forget(self.0.clock.wall_ms());
                lock(&self.0.quotas).forget(self.0.clock.monotonic_ms());
            }
            self.beat(&mut beats);
            count += 1;
        }
    }

    /// Writes one tick to each partition, and waits until the log has taken them or not.
    pub async fn tick(&self) {
        let mut beats = Beats::default();
        self.beat(&mut beats);
        while let Some(done) = beats.under_way.join_next().await {
            self.end_beat(&mut beats, done);
        }
    }

    /// Whether the log's clock goes on. While connections are turned away for want of room the door is shut for whoever they
    /// are: no tick is written, so that nobody is taken for silent who was not let in. Nor is one written by a clock that other
    /// gateways contradict. But once in a little more than a minute one is written all the same, which the engine takes for a gap:
    /// open time hardly moves by it, and a crowd at the door does not hold up retries and what waits for them for good.
    fn may_tick(&self) -> bool {
        if !self.0.rush.take() {
            self.0.ticks_withheld.store(0, Ordering::Relaxed);
        } else if self.0.ticks_withheld.fetch_add(1, Ordering::Relaxed) < TICKS_WITHHELD_MAX {
            if let Some(left_out) = self.0.rush_told.due(self.0.clock.monotonic_ms()) {
                tracing::warn!(left_out, "connections find no room: the log's clock stands still meanwhile");
            }
            return false;
        } else {
            self.0.ticks_withheld.store(0, Ordering::Relaxed);
        }
        self.tell_clock().ticks()
    }

    /// Begins to write a tick to each partition, but for those whose tick before is under way still: one that has no leader holds up
    /// no other. A tick that the log does not take is not made up for: its absence tells that the door was shut.
    fn beat(&self, beats: &mut Beats) {
        if !self.may_tick() {
            lock(&self.0.rhythm).shut(self.0.clock.monotonic_ms());
            return self.0.meters.ticks_withheld.increment(1);
        }
        let Some(open_ms) = self.open_told() else { return };
        let at = WallMs(self.0.clock.wall_ms());
        for partition in 0..self.0.log.partitions(Topic::Signals) {
            if !beats.partitions.insert(partition) {
                self.0.meters.ticks_missed.increment(1);
                continue;
            }
            // Each for itself: together they would be one transaction, whose crash would hold up the readers of every partition.
            let entry = tick_entry(partition, at, open_ms);
            let gateway = self.clone();
            beats.under_way.spawn(async move {
                let error = gateway.fault_of(gateway.0.log.append(vec![entry])).await;
                (partition, error)
            });
        }
        lock(&self.0.clock_watch).written(at.0);
    }

    /// The open time that this beat's tick tells of; `None`: it has none. Ticks each second need not tell of any.
    fn open_told(&self) -> Option<i64> {
        let Some(wanted) = &self.0.config.idle else { return Some(0) };
        // A clock that is not believed goes on until the log's time is set back.
        let hurry = wanted.is_set() || !self.0.clock_agreed.load(Ordering::SeqCst);
        lock(&self.0.rhythm).beat(self.0.clock.monotonic_ms(), hurry)
    }

    /// The ticks that stand before a batch that ends an idle time, so that it is judged in its own.
    pub(crate) fn tick_ahead(&self) -> Vec<Entry> {
        if self.0.config.idle.is_none() {
            return Vec::new();
        }
        let Some(open_ms) = lock(&self.0.rhythm).sent(self.0.clock.monotonic_ms()) else { return Vec::new() };
        let at = WallMs(self.0.clock.wall_ms());
        lock(&self.0.clock_watch).written(at.0);
        (0..self.0.log.partitions(Topic::Signals)).map(|partition| tick_entry(partition, at, open_ms)).collect()
    }

    /// Takes in how a tick fared. The log takes appends as long as one partition does: no other gateway could do more.
    fn end_beat(&self, beats: &mut Beats, done: Result<(u32, Option<String>), JoinError>) {
        // One that panicked has said so.
        let Ok((partition, error)) = done else { return };
        beats.partitions.remove(&partition);
        match error {
            None => {
                beats.missed.remove(&partition);
                self.note(None);
            }
            Some(error) => {
                self.0.meters.ticks_missed.increment(1);
                beats.missed.insert(partition);
                let partitions = self.0.log.partitions(Topic::Signals);
                if (0..partitions).all(|partition| beats.missed.contains(&partition)) {
                    self.note(Some(&error));
                }
            }
        }
    }

    /// Judges the clock, and says so where that has changed.
    fn tell_clock(&self) -> Judgement {
        let judged = self.judge_clock();
        let (wall_ms, agreed) = (self.0.clock.wall_ms(), judged.takes_batches());
        match judged {
            Judgement::Agrees { skew_ms } | Judgement::Differs { skew_ms, .. } => {
                self.0.meters.clock_skew(skew_ms);
            }
            Judgement::Listens => return judged,
        }
        let changed = self.0.clock_agreed.swap(agreed, Ordering::SeqCst) != agreed;
        match judged {
            Judgement::Differs { log_ms, skew_ms, ticks: false } if changed => tracing::error!(
                clock_ms = wall_ms,
                others_ms = log_ms,
                skew_ms,
                "this gateway's clock differs from the others': no batch is taken until it is right"
            ),
            Judgement::Differs { log_ms, skew_ms, .. } if changed => tracing::error!(
                clock_ms = wall_ms,
                log_ms,
                skew_ms,
                "the clock lies behind the log's newest tick: it ran ahead before, or is behind now; no batch is taken for a minute, until the log's time is set back"
            ),
            Judgement::Agrees { .. } if changed => tracing::info!(clock_ms = wall_ms, "the clock is believed again"),
            _ => {}
        }
        judged
    }

    /// Writes what was turned away since the last time. Counts that the log does not take are kept.
    pub async fn flush_refused(&self) {
        let taken = lock(&self.0.tally).take();
        self.0.meters.refused_unrecorded.increment(taken.unrecorded);
        let mut left = taken;
        loop {
            let (chunk, rest) = left.split(REFUSED_APPEND_MAX);
            if chunk.is_empty() {
                return;
            }
            if !self.append(chunk.records().iter().map(|r| self.refused_entry(r)).collect()).await {
                let mut tally = lock(&self.0.tally);
                tally.put_back(chunk);
                tally.put_back(rest);
                return;
            }
            left = rest;
        }
    }

    fn refused_entry(&self, refused: &Refused) -> Entry {
        let site = refused.site.as_str();
        let partition = KeyGroup::of(site).partition(self.0.log.partitions(Topic::Signals));
        Entry { topic: Topic::Signals, partition, key: site.as_bytes().to_vec(), value: schema::encode(refused) }
    }
}

fn tick_entry(partition: u32, at: WallMs, open_ms: i64) -> Entry {
    let value = schema::encode(&Tick { partition, at, open_ms });
    Entry { topic: Topic::Signals, partition, key: Vec::new(), value }
}
