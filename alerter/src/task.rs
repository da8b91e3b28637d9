//! The task that runs the planner: reads topic `detections`, appends what it started and how that ended to the same topic,
//! writes the rows to `attempts`, keeps the state.
//!
//! An attempt's request leaves only when its `AttemptStarted` was read back from the log: it is durable then, and the
//! planner still wants it. A process that takes over ends what its predecessor left in the air as unknown.
//!
//! What ended and what starts goes to the log in one append, as much of it as there is; state and rows follow in the next
//! commit, which comes ten times a second. So a fast channel costs one write to the disk for all that it has in the air, and
//! an alert that came and went between two commits leaves nothing in the state.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use logystera_infra::clock::Clock;
use logystera_infra::log::{Entry, Record, Task};
use logystera_infra::pace::{IdleCommits, Pace, TimeWanted};
use logystera_infra::runtime::{Brought, COMMIT_INTERVAL, Cycle, CycleError, Halt, StateMachine};
use logystera_infra::shutdown::Shutdown;
use logystera_schemas::calendar;
use logystera_schemas::delivery::{Attempt, AttemptEnded, AttemptOutcome, AttemptStarted, AttemptState};
use logystera_schemas::ids::TenantId;
use logystera_schemas::limits::{ALERTER_STOP_MS, ATTEMPTS_IN_FLIGHT_MAX};
use logystera_schemas::schema::{self, TopicRecord};
use logystera_schemas::time::WallMs;
use logystera_schemas::topic::{DetectionsRecord, Topic};

use crate::core::reason::{BUNDLED, NOBODY_TOLD, QUEUE_FULL, RATE_LIMITED, SUPERSEDED};
use crate::core::{AttemptRef, Counters, Due, Frozen, Notice, Planner};
use crate::gauges::Gauges;

/// Name of the application whose state and position these are.
pub const APP: &str = "alerter";
/// How long outcomes are waited for while attempts are in the air: it bounds how late a record is read then.
const OUTCOME_WAIT: Duration = Duration::from_millis(10);

/// Performs attempts. Each ends in one [`AttemptEnded`] on the channel that [`outcomes`] made, sooner or later.
pub trait Courier {
    /// What the message of a delivery says besides its detections, if it was not tried before. It goes into the log with
    /// the attempt's start, and is what [`Self::send`] and each later attempt is given.
    fn freeze(&self, _due: &Due) -> Frozen {
        Frozen::default()
    }

    /// Starts an attempt and returns at once.
    fn send(&self, due: Due);
}

/// The channel that outcomes come back on. It holds as many as can be in the air.
pub fn outcomes() -> (SyncSender<AttemptEnded>, Receiver<AttemptEnded>) {
    sync_channel(ATTEMPTS_IN_FLIGHT_MAX)
}

/// The planner as the runtime's state machine.
#[derive(Debug)]
pub struct PlannerMachine {
    planner: Planner,
    partition: u32,
    /// Alerts that nobody gets, since the last report: by tenant, channel and reason, so that a flood of them is one line each.
    given_up: BTreeMap<(TenantId, String, String), u64>,
}

impl PlannerMachine {
    /// The machine of one partition of `detections`. `attempts` has as many: a tenant's key group is the same in both.
    pub fn new(partition: u32) -> Self {
        Self { planner: Planner::new(), partition, given_up: BTreeMap::new() }
    }

    /// The planner.
    pub fn planner(&self) -> &Planner {
        &self.planner
    }

    fn entry<R: TopicRecord>(&self, topic: Topic, tenant: &TenantId, record: &R) -> Entry {
        let key = tenant.as_str().as_bytes().to_vec();
        Entry { topic, partition: self.partition, key, value: schema::encode(record) }
    }

    /// `frozen`: what the message says besides its detections, if no attempt before said it.
    fn started(&self, due: &Due, frozen: Option<Frozen>) -> Entry {
        let (tenant, delivery, attempt, at) = (due.tenant.clone(), due.delivery, due.attempt, self.planner.wall());
        self.entry(Topic::Detections, &due.tenant, &AttemptStarted { tenant, delivery, attempt, at, frozen })
    }

    fn ended(&self, ended: &AttemptEnded) -> Entry {
        self.entry(Topic::Detections, &ended.tenant, ended)
    }

    fn note(&mut self, row: &Attempt) {
        let is_lost = match row.state {
            AttemptState::Dead => row.reason != SUPERSEDED,
            AttemptState::NotSent => [QUEUE_FULL, NOBODY_TOLD].contains(&row.reason.as_str()),
            _ => false,
        };
        if is_lost {
            let key = (row.tenant.clone(), row.channel.clone(), row.reason.clone());
            *self.given_up.entry(key).or_default() += 1;
        }
    }

    /// Logs what a person who runs this should know.
    fn tell(&mut self) {
        for ((tenant, channel, reason), alerts) in std::mem::take(&mut self.given_up) {
            tracing::warn!(%tenant, channel, reason, alerts, "alerts were given up: nobody gets them by this channel");
        }
        for notice in self.planner.take_notices() {
            match notice {
                Notice::ChannelGone { tenant, channel, until } => {
                    let until = calendar::show(until.0);
                    tracing::warn!(%tenant, %channel, %until, "a channel says that it is no more: it is paused, and tried once more");
                }
                Notice::ChannelSwitchedOff { tenant, channel, given_up } => {
                    tracing::warn!(
                        %tenant, %channel, given_up,
                        "a channel says again that it is no more, and is switched off; `logystera channel enable {channel}` switches it on"
                    );
                }
                Notice::ChannelEnabled { tenant, channel } => {
                    tracing::info!(%tenant, %channel, "a channel was switched on");
                }
            }
        }
    }
}

impl StateMachine for PlannerMachine {
    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), Halt> {
        self.planner.restore(key, value).map_err(|e| Halt { offset: 0, what: e.to_string() })
    }

    fn apply(&mut self, record: &Record, outputs: &mut Vec<Entry>) -> Result<Brought, Halt> {
        let decoded = DetectionsRecord::decode(&record.value)
            .map_err(|e| Halt { offset: record.offset, what: format!("topic detections: {e}") })?;
        let mut rows = Vec::new();
        let is_tick = matches!(decoded, DetectionsRecord::Tick(_));
        self.planner.apply(decoded, &mut rows);
        for row in &rows {
            // What another message tells too was not given up: nobody should be called for it.
            let told_by_another = [SUPERSEDED, BUNDLED, RATE_LIMITED].into_iter().find(|code| row.reason == *code);
            let state = told_by_another.unwrap_or(row.state.as_str());
            metrics::counter!("logystera_alerter_rows_total", "state" => state).increment(1);
            if row.state == AttemptState::NotSent {
                metrics::counter!("logystera_alerter_not_sent_total", "reason" => row.reason.clone()).increment(1);
            }
            self.note(row);
            outputs.push(self.entry(Topic::Attempts, &row.tenant, row));
        }
        Ok(if is_tick && rows.is_empty() { Brought::OnlyTime } else { Brought::More })
    }

    fn is_sealed(&self) -> bool {
        self.planner.is_sealed()
    }

    fn dirty_bytes(&self) -> usize {
        self.planner.dirty_bytes()
    }

    fn take_puts(&mut self) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        self.planner.take_puts()
    }
}

/// Runs the cycle until `shutdown`; then starts nothing more, and waits a bounded time for what is in the air. At the
/// partition's end it leaves what is in the air to those who go on with its tenants. While it has a delivery it wants time; else
/// `idle` says when it commits the time that passes. Blocks its thread. On an error the task has to be taken over anew.
pub fn run<T: Task>(
    machine: PlannerMachine,
    task: T,
    courier: &impl Courier,
    outcomes: Receiver<AttemptEnded>,
    clock: &impl Clock,
    idle: IdleCommits,
    shutdown: &Shutdown,
) -> Result<(), CycleError> {
    let wants = Wants::of(&idle);
    let cycle = Cycle::start(machine, task)?;
    let mut alerter = Alerter {
        cycle,
        courier,
        outcomes,
        clock,
        pace: Pace::new(idle),
        wants,
        looks_again: false,
        reported: Counters::default(),
        gauges: Gauges::default(),
    };
    if !alerter.take_over(shutdown)? {
        return Ok(());
    }
    while !shutdown.is_set() && !alerter.planner().is_sealed() {
        alerter.step(true)?;
    }
    alerter.stop()
}

struct Alerter<'a, T, C, K> {
    cycle: Cycle<PlannerMachine, T>,
    courier: &'a C,
    outcomes: Receiver<AttemptEnded>,
    clock: &'a K,
    pace: Pace,
    wants: Wants,
    /// Whether records were applied since it was last looked at what is due.
    looks_again: bool,
    reported: Counters,
    gauges: Gauges,
}

impl<T: Task, C: Courier, K: Clock> Alerter<'_, T, C, K> {
    fn planner(&self) -> &Planner {
        self.cycle.machine.planner()
    }

    /// Applies up to the end found after fencing, then ends what the predecessor left in the air. False: told to stop.
    fn take_over(&mut self, shutdown: &Shutdown) -> Result<bool, CycleError> {
        let end = self.cycle.input_end()?;
        while !self.cycle.has_applied(end) && !self.planner().is_sealed() {
            if shutdown.is_set() {
                return Ok(false);
            }
            self.cycle.apply_next(COMMIT_INTERVAL)?;
            if self.cycle.is_full() {
                self.cycle.commit(Vec::new())?;
            }
        }
        let machine = &self.cycle.machine;
        // Behind a seal nobody would read it.
        let unfinished = machine.planner.unfinished().filter(|_| !machine.is_sealed());
        let unknown: Vec<Entry> = unfinished.map(|a| machine.ended(&unknown(a))).collect();
        tracing::info!(position = self.cycle.position(), unknown = unknown.len(), "alerter started");
        self.cycle.commit(unknown)?;
        self.report();
        Ok(true)
    }

    /// Applies what came, commits what has to be, sends what is due.
    fn step(&mut self, starting: bool) -> Result<(), CycleError> {
        let (ended, applied) = self.gather()?;
        self.wants.time(self.planner().has_deliveries());
        let now = self.clock.monotonic_ms();
        if applied > 0 || self.pace.is_waiting() {
            self.pace.waits(now, !self.cycle.has_more_than_time(), COMMIT_INTERVAL);
        }
        if self.planner().is_sealed() {
            return Ok(());
        }
        for end in &ended {
            metrics::counter!("logystera_alerter_attempts_total", "outcome" => end.outcome.as_str()).increment(1);
        }
        // Before the first tick nobody knows what time it is: a pause that began then would be over at once.
        let starting = starting && self.planner().wall() > WallMs(0);
        let due: Vec<Due> = if starting { self.planner().due_after(&ended).collect() } else { Vec::new() };
        // The ends first: what starts takes their places.
        let mut entries: Vec<Entry> = ended.iter().map(|end| self.cycle.machine.ended(end)).collect();
        let due: Vec<Due> = due.into_iter().map(|due| self.start(due, &mut entries)).collect();
        let says = !entries.is_empty();
        if self.cycle.is_full() || self.pace.is_due(now) {
            self.cycle.commit(entries)?;
            self.pace.committed();
            self.report();
        } else if says {
            self.cycle.append(entries)?;
        }
        if says { self.dispatch(due) } else { Ok(()) }
    }

    /// Adds the entry that starts an attempt. The first of a delivery says in it what all of them say.
    fn start(&self, due: Due, entries: &mut Vec<Entry>) -> Due {
        let frozen = due.frozen.is_none().then(|| self.courier.freeze(&due));
        entries.push(self.cycle.machine.started(&due, frozen.clone()));
        match frozen {
            Some(frozen) => due.as_frozen(Arc::new(frozen)),
            None => due,
        }
    }

    /// Waits for records or, while attempts are in the air, for how they end; applies what came. Gives what ended, and how
    /// many records were applied.
    fn gather(&mut self) -> Result<(Vec<AttemptEnded>, usize), CycleError> {
        let (mut wait, mut ended) = (self.wait(), Vec::new());
        if self.planner().in_flight() > 0 {
            match self.outcomes.recv_timeout(wait) {
                // Nobody is left who could tell.
                Err(RecvTimeoutError::Disconnected) => {}
                came => {
                    ended.extend(came);
                    wait = Duration::ZERO;
                }
            }
        }
        ended.extend(self.outcomes.try_iter());
        self.looks_again = false;
        Ok((ended, self.cycle.apply_next(wait)?))
    }

    /// Reads back what was appended, and hands those starts over that the planner still wants.
    fn dispatch(&mut self, due: Vec<Due>) -> Result<(), CycleError> {
        let end = self.cycle.own_end()?;
        while self.cycle.position() < end && !self.planner().is_sealed() {
            self.cycle.apply_next(COMMIT_INTERVAL)?;
        }
        if self.planner().is_sealed() {
            return Ok(());
        }
        self.looks_again = true;
        self.pace.waits(self.clock.monotonic_ms(), false, COMMIT_INTERVAL);
        for due in due {
            let Due { tenant, delivery, attempt, .. } = due.clone();
            if self.planner().is_in_flight(&AttemptRef { tenant, delivery, attempt }) {
                self.courier.send(due);
            }
        }
        Ok(())
    }

    /// Waits for what is in the air and records it; what does not end in time ends as unknown when the next one starts.
    fn stop(mut self) -> Result<(), CycleError> {
        let deadline = self.clock.monotonic_ms() + ALERTER_STOP_MS as i64;
        while self.planner().in_flight() > 0 && !self.planner().is_sealed() && self.clock.monotonic_ms() < deadline {
            self.step(false)?;
        }
        self.cycle.commit(Vec::new())?;
        self.report();
        tracing::info!(position = self.cycle.position(), left = self.planner().in_flight(), "alerter stopped");
        Ok(())
    }

    fn wait(&self) -> Duration {
        if self.looks_again {
            return Duration::ZERO;
        }
        let patience = if self.planner().in_flight() > 0 { OUTCOME_WAIT } else { COMMIT_INTERVAL };
        self.pace.patience(self.clock.monotonic_ms(), patience)
    }

    fn report(&mut self) {
        let now = self.planner().counters();
        let before = std::mem::replace(&mut self.reported, now);
        metrics::counter!("logystera_alerter_channel_pauses_total")
            .increment(now.channel_pauses - before.channel_pauses);
        metrics::counter!("logystera_alerter_breaker_opens_total").increment(now.breaker_opens - before.breaker_opens);
        metrics::counter!("logystera_alerter_channels_gone_total").increment(now.channels_gone - before.channels_gone);
        metrics::counter!("logystera_alerter_channels_disabled_total")
            .increment(now.channels_disabled - before.channels_disabled);
        metrics::counter!("logystera_alerter_outcomes_ignored_total")
            .increment(now.outcomes_ignored - before.outcomes_ignored);
        let planner = self.cycle.machine.planner();
        self.gauges.show([planner.waiting(), planner.in_flight(), planner.channels_off()]);
        self.cycle.machine.tell();
    }
}

/// Tells the process whether this task waits for time. One that does not run may: it does not know.
struct Wants(Option<TimeWanted>);

impl Wants {
    fn of(idle: &IdleCommits) -> Self {
        let wants = Self(if let IdleCommits::Seldom(wanted) = idle { Some(wanted.clone()) } else { None });
        wants.time(true);
        wants
    }

    fn time(&self, wanted: bool) {
        if let Some(told) = &self.0 {
            told.set(wanted);
        }
    }
}

impl Drop for Wants {
    fn drop(&mut self) {
        self.time(true);
    }
}

/// Nobody will tell how this attempt ended.
fn unknown(attempt: AttemptRef) -> AttemptEnded {
    let AttemptRef { tenant, delivery, attempt } = attempt;
    let (outcome, status, retry_after_s, cause, detail) = (AttemptOutcome::Unknown, None, None, None, None);
    AttemptEnded { tenant, delivery, attempt, outcome, status, retry_after_s, duration_ms: 0, cause, detail }
}
