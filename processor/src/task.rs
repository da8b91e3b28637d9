//! The task that runs the engine: reads topic `signals`, appends to `detections`, keeps the state.

use std::sync::Arc;
use std::time::Duration;

use logystera_infra::clock::Clock;
use logystera_infra::log::{Entry, Record, Task};
use logystera_infra::pace::{IdleCommits, Pace};
use logystera_infra::runtime::{
    Brought, COMMIT_INTERVAL, COMMIT_INTERVAL_BEHIND, Cycle, CycleError, Halt, StateMachine,
};
use logystera_infra::shutdown::Shutdown;
use logystera_schemas::ids::{KeyGroup, Sha256Digest};
use logystera_schemas::limits::BEHIND_MS;
use logystera_schemas::partition::PartitionRef;
use logystera_schemas::schema;
use logystera_schemas::series::Points;
use logystera_schemas::snapshot::Snapshot;
use logystera_schemas::time::WallMs;
use logystera_schemas::topic::{SignalsRecord, Topic};

use crate::core::{Engine, EngineError, HeldTotal, Output, RuleSet};

/// Name of the application whose state and position these are.
pub const APP: &str = "processor";
/// How long a read waits if no commit is due before. It bounds how long a stop takes.
const IDLE_WAIT: Duration = Duration::from_millis(250);

/// The rule sets of configurations. Topic `control` has the body of each before a record names it.
pub trait RuleSets {
    /// The set whose body has this digest.
    fn find(&mut self, digest: &Sha256Digest) -> Result<RuleSet, NoRuleSet>;
}

/// Why there is no rule set for a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRuleSet {
    /// Its body was not found.
    #[error("is not in topic control")]
    Missing,
    /// Its body has so many errors.
    #[error("can't be read: {0} errors")]
    Unreadable(usize),
}

/// Tells the readers of topic `detections` what time it is, for all partitions of a process together.
pub trait Marks: std::fmt::Debug + Send {
    /// A tick of the partition was applied.
    fn passed(&self, at: WallMs);
}

/// The engine as the runtime's state machine.
#[derive(Debug)]
pub struct EngineMachine<R> {
    engine: Engine,
    partition: PartitionRef,
    rule_sets: R,
    outputs: OutputPartitions,
    marks: Option<Box<dyn Marks>>,
    /// How many outputs there were when the last of them was a tick that a newer one may stand for.
    tick_ends_at: Option<usize>,
}

/// Partitions of the topics that the engine writes.
#[derive(Clone, Copy, Debug)]
pub struct OutputPartitions {
    /// Of `detections`.
    pub detections: u32,
    /// Of `snapshots`.
    pub snapshots: u32,
    /// Of `series`.
    pub series: u32,
}

impl OutputPartitions {
    /// One of each.
    pub const ALONE: Self = Self { detections: 1, snapshots: 1, series: 1 };

    /// As many as `count` says of each topic.
    pub fn of(count: impl Fn(Topic) -> u32) -> Self {
        let (detections, snapshots) = (count(Topic::Detections), count(Topic::Snapshots));
        Self { detections, snapshots, series: count(Topic::Series) }
    }
}

impl<R: RuleSets> EngineMachine<R> {
    /// The machine of the this partition of `signals`.
    pub fn new(partition: PartitionRef, outputs: OutputPartitions, rule_sets: R) -> Self {
        let engine = Engine::new(partition);
        Self { engine, partition, rule_sets, outputs, marks: None, tick_ends_at: None }
    }

    /// The same, which tells the time to `marks` instead of forwarding ticks in its commits.
    #[must_use]
    pub fn telling(self, marks: impl Marks + 'static) -> Self {
        Self { marks: Some(Box::new(marks)), ..self }
    }

    /// Where its input is.
    pub fn partition(&self) -> PartitionRef {
        self.partition
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Acts on the engine. If that needs a configuration that the engine does not know yet, finds it and acts again.
    fn with_rule_sets<T>(
        &mut self,
        offset: u64,
        mut act: impl FnMut(&mut Engine) -> Result<T, EngineError>,
    ) -> Result<T, Halt> {
        let halt = |what: String| Halt { offset, what };
        match act(&mut self.engine) {
            Err(EngineError::UnknownConfiguration(digest)) => {
                let found = self.rule_sets.find(&digest);
                let set = found.map_err(|error| halt(format!("configuration {digest} {error}")))?;
                if set.digest != digest {
                    return Err(halt(format!("the body of configuration {digest} has the digest {}", set.digest)));
                }
                self.engine.learn(Arc::new(set));
                act(&mut self.engine).map_err(|e| halt(e.to_string()))
            }
            done => done.map_err(|e| halt(e.to_string())),
        }
    }

    /// Forwards what a record brought about. A tick that directly follows another one stands for both: whoever reads them learns of
    /// the time by the newest. Only those that set wall time back are counted, so each of them is forwarded (`is_below`). Gives
    /// whether there was a detection.
    fn forward(&mut self, mut out: Vec<Output>, is_below: bool, outputs: &mut Vec<Entry>) -> bool {
        if let Some(marks) = &self.marks {
            out.retain(|output| match output {
                Output::Tick(tick) => {
                    marks.passed(tick.at);
                    false
                }
                _ => true,
            });
        }
        if out.is_empty() {
            return false;
        }
        let is_tick = |output: &Output| matches!(output, Output::Tick(_));
        let stands_for = !is_below && out.iter().any(is_tick);
        if stands_for && self.tick_ends_at == Some(outputs.len()) {
            outputs.truncate(outputs.len() - self.outputs.detections as usize);
        }
        let has_detection = out.iter().any(|output| matches!(output, Output::Detection(_)));
        if !has_detection {
            // Snapshots and points go to other topics: they do not stand between two ticks.
            out.sort_by_key(is_tick);
        }
        outputs.extend(self.entries(out));
        self.tick_ends_at = (stands_for && !has_detection).then_some(outputs.len());
        has_detection
    }

    fn entries(&self, outputs: Vec<Output>) -> impl Iterator<Item = Entry> + '_ {
        outputs.into_iter().flat_map(|output| match output {
            Output::Detection(detection) => {
                let tenant = detection.tenant.as_str();
                let partition = KeyGroup::of(tenant).partition(self.outputs.detections);
                let key = tenant.as_bytes().to_vec();
                vec![Entry { topic: Topic::Detections, partition, key, value: schema::encode(&*detection) }]
            }
            Output::Tick(tick) => (0..self.outputs.detections)
                .map(|partition| Entry {
                    topic: Topic::Detections,
                    partition,
                    key: Vec::new(),
                    value: schema::encode(&tick),
                })
                .collect(),
            Output::Snapshot(snapshot) => vec![self.snapshot(&snapshot)],
            Output::Points(points) => vec![self.points(&points)],
        })
    }

    fn points(&self, points: &Points) -> Entry {
        let site = points.site.as_str();
        Entry {
            topic: Topic::Series,
            partition: KeyGroup::of(site).partition(self.outputs.series),
            key: site.as_bytes().to_vec(),
            value: schema::encode(points),
        }
    }

    fn snapshot(&self, snapshot: &Snapshot) -> Entry {
        let key_group = KeyGroup(snapshot.key_group as u16);
        Entry {
            topic: Topic::Snapshots,
            partition: key_group.partition(self.outputs.snapshots),
            key: key_group.0.to_be_bytes().to_vec(),
            value: schema::encode(snapshot),
        }
    }
}

impl<R: RuleSets> StateMachine for EngineMachine<R> {
    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), Halt> {
        self.with_rule_sets(0, |engine| engine.restore(key, value))
    }

    fn restored(&mut self) {
        self.engine.restored();
    }

    fn apply(&mut self, record: &Record, outputs: &mut Vec<Entry>) -> Result<Brought, Halt> {
        let decoded = SignalsRecord::decode(&record.value)
            .map_err(|e| Halt { offset: record.offset, what: format!("topic signals: {e}") })?;
        let is_below = matches!(&decoded, SignalsRecord::Tick(tick) if tick.at < self.engine.time().wall());
        let mut out = Vec::new();
        self.with_rule_sets(record.offset, |engine| engine.apply(record.offset, &decoded, &mut out))?;
        if matches!(decoded, SignalsRecord::SiteConfigured(_) | SignalsRecord::SiteClosed(_)) {
            self.engine.forget_unused();
        }
        // Nobody waits for a snapshot, or for points.
        let has_detection = self.forward(out, is_below, outputs);
        let is_time = matches!(decoded, SignalsRecord::Tick(_)) && !has_detection;
        Ok(if is_time { Brought::OnlyTime } else { Brought::More })
    }

    fn is_sealed(&self) -> bool {
        self.engine.is_sealed()
    }

    fn dirty_bytes(&self) -> usize {
        self.engine.dirty_bytes()
    }

    fn take_puts(&mut self) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        self.engine.take_puts()
    }
}

/// Runs the cycle until `shutdown` or the partition's end. Commits every 100 ms, every second while it is behind, or sooner if much
/// has gathered; `idle` says when it commits ticks that brought nothing about. Blocks its thread.
pub fn run<R: RuleSets, T: Task>(
    machine: EngineMachine<R>,
    task: T,
    clock: &impl Clock,
    idle: IdleCommits,
    shutdown: &Shutdown,
) -> Result<(), CycleError> {
    let mut cycle = Cycle::start(machine, task)?;
    tracing::info!(position = cycle.position(), "processor started");
    let mut pace = Pace::new(idle);
    let mut has_committed = false;
    let mut tally = Tally::new(cycle.machine.engine());
    let mut held = HeldGauges::new(cycle.machine.partition());
    let mut metrics_at = clock.monotonic_ms() + METRICS_EVERY_MS;
    while !shutdown.is_set() {
        let applied = cycle.apply_next(pace.patience(clock.monotonic_ms(), IDLE_WAIT))?;
        metrics::counter!("logystera_processor_records_total").increment(applied as u64);
        let now = clock.monotonic_ms();
        if applied > 0 || pace.is_waiting() {
            let is_behind = clock.wall_ms() - cycle.machine.engine().time().wall().0 > BEHIND_MS;
            // Whoever took over shows soon that it has.
            let interval = if is_behind && has_committed { COMMIT_INTERVAL_BEHIND } else { COMMIT_INTERVAL };
            pace.waits(now, has_committed && !cycle.has_more_than_time(), interval);
        }
        let sealed = cycle.machine.is_sealed();
        if sealed || pace.is_due(now) || cycle.is_full() {
            cycle.commit(Vec::new())?;
            pace.committed();
            has_committed = true;
        }
        // Only what is committed is counted: the rest may be applied once more.
        if now >= metrics_at && !cycle.has_more_than_time() {
            tally.update(cycle.machine.engine());
            held.update(cycle.machine.engine());
            metrics_at = now + METRICS_EVERY_MS;
        }
        if sealed {
            break;
        }
    }
    if pace.is_waiting() {
        cycle.commit(Vec::new())?;
    }
    tally.update(cycle.machine.engine());
    tracing::info!(position = cycle.position(), "processor stopped");
    Ok(())
}

/// How often the metrics are brought up to date. Seldom, because that looks at every site.
const METRICS_EVERY_MS: i64 = 5_000;

/// What can happen to batches and signals.
const OUTCOMES: [&str; 13] = [
    "duplicate",
    "conflict",
    "below_window",
    "spool_overflow",
    "shifted",
    "late",
    "released_early",
    "evicted",
    "cut",
    "spool_evicted",
    "time_reset",
    "stolen",
    "ignored",
];

/// What happened to batches and signals as far as the metrics have it, all sites together: a site is no label.
struct Tally([u64; OUTCOMES.len()]);

impl Tally {
    /// What the partition's owners before have counted.
    fn new(engine: &Engine) -> Self {
        Self(Self::count(engine))
    }

    fn count(engine: &Engine) -> [u64; OUTCOMES.len()] {
        let mut total = [0; OUTCOMES.len()];
        for (_, o) in engine.outcomes() {
            let counts = [
                o.duplicates,
                o.conflicts,
                o.below_window,
                o.spool_overflows,
                o.shifted,
                o.late,
                o.released_early,
                o.evicted,
                o.cut,
                o.spools_evicted,
                o.time_resets,
                o.stolen,
            ];
            total.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        total[OUTCOMES.len() - 1] = engine.ignored();
        total
    }

    /// Counts what has happened since the last time. A site that was closed takes its counts along.
    fn update(&mut self, engine: &Engine) {
        let before = std::mem::replace(&mut self.0, Self::count(engine));
        for ((outcome, before), now) in OUTCOMES.into_iter().zip(before).zip(self.0) {
            metrics::counter!("logystera_processor_outcomes_total", "outcome" => outcome)
                .increment(now.saturating_sub(before));
        }
    }
}

/// What waits for the watermarks of a partition's sites, in gauges that the partitions of a process share.
struct HeldGauges {
    shown: HeldTotal,
    signals: metrics::Gauge,
    bytes: metrics::Gauge,
    age: metrics::Gauge,
}

impl HeldGauges {
    fn new(partition: PartitionRef) -> Self {
        let (signals, bytes) = (metrics::gauge!("logystera_held_signals"), metrics::gauge!("logystera_held_bytes"));
        let age = metrics::gauge!("logystera_held_age_seconds", "partition" => partition.partition.to_string());
        Self { shown: HeldTotal::default(), signals, bytes, age }
    }

    fn update(&mut self, engine: &Engine) {
        let held = engine.held();
        let age_ms = held.oldest.map_or(0, |oldest| engine.time().wall().0.saturating_sub(oldest.0).max(0));
        self.age.set(Duration::from_millis(age_ms as u64).as_secs_f64());
        self.set(held);
    }

    /// Replaces what this partition had added; what the others add stays.
    fn set(&mut self, held: HeldTotal) {
        let before = std::mem::replace(&mut self.shown, held);
        for (gauge, before, now) in
            [(&self.signals, before.signals, held.signals), (&self.bytes, before.bytes, held.bytes)]
        {
            gauge.increment(number(now) - number(before));
        }
    }
}

/// The partition is another process's from here on.
impl Drop for HeldGauges {
    fn drop(&mut self) {
        self.age.set(0.0);
        self.set(HeldTotal::default());
    }
}

#[expect(clippy::cast_precision_loss, reason = "a metric is a float, and no count comes near 2^52")]
fn number(count: usize) -> f64 {
    count as f64
}
