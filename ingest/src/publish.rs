//! What the gateway writes to the log: batches, the clock's ticks, and once a minute what it turned away.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::atomic::Ordering;

use logystera_infra::clock::Stopwatch;
use logystera_infra::log::{Entry, Log, LogError};
use logystera_schemas::calendar;
use logystera_schemas::ids::KeyGroup;
use logystera_schemas::limits::{REFUSED_APPEND_MAX, TICKS_WITHHELD_MAX};
use logystera_schemas::schema;
use logystera_schemas::signals_topic::Tick;
use logystera_schemas::time::WallMs;
use logystera_schemas::topic::Topic;
use tokio::task::{JoinError, JoinSet};
use tokio::time::MissedTickBehavior;

use crate::core::clock::Judgement;
use crate::core::tally::Taken;
use crate::gateway::Gateway;
use crate::lock::lock;

/// After so many ticks `Refused` records are written (design, section 3), and silent spools and full quotas forgotten.
const TICKS_PER_MINUTE: u32 = 60;

/// Ticks under way.
#[derive(Default)]
struct Beats {
    /// Each with its partition, and why the log did not take it.
    under_way: JoinSet<(u32, Option<String>)>,
    partitions: BTreeSet<u32>,
}

impl<L: Log> Gateway<L> {
    /// Waits for an append to a partition, but not for ever. False: it may or may not be in the log.
    pub(crate) async fn in_time(&self, partition: u32, append: impl Future<Output = Result<(), LogError>>) -> bool {
        let watch = Stopwatch::start();
        let error = self.fault_of(append).await;
        self.note(partition, error.as_deref());
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

    /// Notes how an append to a partition fared. The log takes appends as long as one partition does: no other gateway
    /// could do more.
    fn note(&self, partition: u32, error: Option<&str>) {
        if error.is_some() {
            lock(&self.0.rhythm).failed(self.0.clock.monotonic_ms());
        }
        let is_away = {
            let mut missed = lock(&self.0.missed);
            if error.is_none() {
                missed.remove(&partition);
            } else {
                missed.insert(partition);
            }
            (0..self.0.log.partitions(Topic::Signals)).all(|partition| missed.contains(&partition))
        };
        // What was missed by one partition says nothing of the others.
        if error.is_some() && !is_away {
            return;
        }
        let was_ready = self.0.log_ready.swap(!is_away, Ordering::SeqCst);
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

    /// Writes a tick to each partition every second, if this gateway is the one that does, and what was refused every
    /// minute, until `shutdown` resolves.
    pub async fn run_timers(&self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = std::pin::pin!(shutdown);
        let mut ticks = tokio::time::interval(self.0.config.timing.tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut count = 0_u32;
        let mut beats = Beats::default();
        // A task of its own: a partition without a leader holds up neither the ticks nor the others' `Refused` records.
        let mut flushing: JoinSet<()> = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(done) = beats.under_way.join_next() => {
                    self.end_beat(&mut beats, done);
                    continue;
                }
                Some(_) = flushing.join_next() => continue,
                _ = ticks.tick() => {}
            }
            if count == TICKS_PER_MINUTE {
                count = 0;
                if flushing.is_empty() {
                    let gateway = self.clone();
                    flushing.spawn(async move { gateway.flush_refused().await });
                }
                lock(&self.0.replay).forget(self.0.clock.wall_ms());
                lock(&self.0.quotas).forget(self.0.clock.monotonic_ms());
            }
            self.beat(&mut beats);
            count += 1;
        }
        // Stands for the ticks no more: the next gateway need not wait until this one's last batch was answered.
        self.0.stands.send_if_modified(std::mem::take);
        while flushing.join_next().await.is_some() {}
    }

    /// Writes one tick to each partition, and waits until the log has taken them or not.
    pub async fn tick(&self) {
        let mut beats = Beats::default();
        self.beat(&mut beats);
        while let Some(done) = beats.under_way.join_next().await {
            self.end_beat(&mut beats, done);
        }
    }

    /// Whether connections were turned away for want of room. Then no tick is written, so that a site that was not let
    /// in is not taken for silent. But once in a little more than a minute one is written all the same, so that a crowd
    /// at the door does not hold up retries for good: the engine takes it for the end of a gap, and open time hardly
    /// moves.
    fn is_rushed(&self) -> bool {
        if !self.0.saturation.take() {
            self.0.ticks_withheld.store(0, Ordering::Relaxed);
        } else if self.0.ticks_withheld.fetch_add(1, Ordering::Relaxed) < TICKS_WITHHELD_MAX {
            if let Some(left_out) = self.0.rush_told.due(self.0.clock.monotonic_ms()) {
                tracing::warn!(left_out, "connections find no room: the log's clock stands still meanwhile");
            }
            return true;
        } else {
            self.0.ticks_withheld.store(0, Ordering::Relaxed);
        }
        false
    }

    /// Whether this gateway writes ticks now: its door has room, its clock is not contradicted, and it is the elected
    /// one.
    fn may_tick(&self) -> bool {
        let (is_rushed, judged) = (self.is_rushed(), self.tell_clock());
        let is_log_ready = self.0.log_ready.load(Ordering::SeqCst) && self.0.log.is_open();
        let stands = !is_rushed && judged.takes_batches() && is_log_ready;
        self.0.stands.send_if_modified(|before| std::mem::replace(before, stands) != stands);
        let is_withheld = is_rushed || !judged.ticks();
        self.0.meters.ticks_withheld.increment(u64::from(is_withheld));
        let now_ms = self.0.clock.monotonic_ms();
        let is_elected = self.0.election.as_ref().is_none_or(|election| lock(election).writes(stands, now_ms));
        // While the log takes no appends, ticks also probe whether it does again.
        let writes = !is_withheld && (is_elected || !is_log_ready);
        self.0.meters.ticker.set(f64::from(u8::from(writes)));
        writes
    }

    /// Begins to write a tick to each partition, except those whose last tick is still under way: one without a leader
    /// holds up no other. A tick that the log does not take is not made up for: its absence tells that the door was
    /// shut.
    fn beat(&self, beats: &mut Beats) {
        if !self.may_tick() {
            return lock(&self.0.rhythm).shut(self.0.clock.monotonic_ms());
        }
        let Some(open_ms) = self.open_told() else { return };
        let at = WallMs(self.0.clock.wall_ms());
        for partition in 0..self.0.log.partitions(Topic::Signals) {
            if !beats.partitions.insert(partition) {
                self.0.meters.ticks_missed.increment(1);
                continue;
            }
            // Each for itself: together they would be one transaction, whose crash would hold up the readers of every
            // partition.
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
        // With a clock that is not believed, ticks go on each second until they have set the log's time back.
        let hurry = wanted.is_set() || !self.0.clock_agreed.load(Ordering::SeqCst);
        lock(&self.0.rhythm).beat(self.0.clock.monotonic_ms(), hurry)
    }

    /// The ticks to write before a batch that ends an idle time, so that it is judged at its own time.
    pub(crate) fn tick_ahead(&self) -> Vec<Entry> {
        if self.0.config.idle.is_none() {
            return Vec::new();
        }
        let Some(open_ms) = lock(&self.0.rhythm).sent(self.0.clock.monotonic_ms()) else { return Vec::new() };
        let at = WallMs(self.0.clock.wall_ms());
        lock(&self.0.clock_watch).written(at.0);
        (0..self.0.log.partitions(Topic::Signals)).map(|partition| tick_entry(partition, at, open_ms)).collect()
    }

    /// Takes in how a tick fared.
    fn end_beat(&self, beats: &mut Beats, done: Result<(u32, Option<String>), JoinError>) {
        // One that panicked has said so.
        let Ok((partition, error)) = done else { return };
        beats.partitions.remove(&partition);
        if error.is_some() {
            self.0.meters.ticks_missed.increment(1);
        }
        self.note(partition, error.as_deref());
    }

    /// Judges the clock, and says so if that has changed.
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
                clock = %calendar::show(wall_ms),
                others = %calendar::show(log_ms),
                skew_ms,
                "this gateway's clock differs from the others': no batch is taken until it is right. Set it right; if the others' clocks are the wrong ones, stop those gateways and start this one anew"
            ),
            Judgement::Differs { log_ms, skew_ms, .. } if changed => tracing::error!(
                clock = %calendar::show(wall_ms),
                log = %calendar::show(log_ms),
                skew_ms,
                "the clock lies behind the log's newest tick: it ran ahead before, or is behind now; no batch is taken for a minute, until the log's time is set back"
            ),
            Judgement::Agrees { .. } if changed => {
                tracing::info!(clock = %calendar::show(wall_ms), "the clock is believed again");
            }
            _ => {}
        }
        judged
    }

    /// Writes what was turned away since the last time. Counts that the log does not take are kept.
    pub async fn flush_refused(&self) {
        let taken = lock(&self.0.tally).take();
        self.0.meters.refused_unrecorded.increment(taken.unrecorded);
        let partitions = self.0.log.partitions(Topic::Signals);
        let mut under_way = JoinSet::new();
        for (partition, rows) in taken.apart(|site| KeyGroup::of(site.as_str()).partition(partitions)) {
            let gateway = self.clone();
            under_way.spawn(async move { gateway.flush_to(partition, rows).await });
        }
        while under_way.join_next().await.is_some() {}
    }

    /// Writes what was turned away from a partition's sites, each record for itself: together they would be one
    /// transaction, whose crash would hold up the partition's readers.
    async fn flush_to(&self, partition: u32, mut left: Taken) {
        loop {
            let (chunk, rest) = left.split(REFUSED_APPEND_MAX);
            if chunk.is_empty() {
                return;
            }
            let mut under_way = JoinSet::new();
            for (row, record) in chunk.each() {
                let key = record.site.as_str().as_bytes().to_vec();
                let entry = Entry { topic: Topic::Signals, partition, key, value: schema::encode(&record) };
                let gateway = self.clone();
                under_way.spawn(async move {
                    let error = gateway.fault_of(gateway.0.log.append(vec![entry])).await;
                    gateway.note(partition, error.as_deref());
                    error.is_some().then_some(row)
                });
            }
            let mut failed = false;
            while let Some(done) = under_way.join_next().await {
                if let Ok(Some(row)) = done {
                    failed = true;
                    lock(&self.0.tally).put_back(row);
                }
            }
            if failed {
                return lock(&self.0.tally).put_back(rest);
            }
            left = rest;
        }
    }
}

fn tick_entry(partition: u32, at: WallMs, open_ms: i64) -> Entry {
    let value = schema::encode(&Tick { partition, at, open_ms });
    Entry { topic: Topic::Signals, partition, key: Vec::new(), value }
}
