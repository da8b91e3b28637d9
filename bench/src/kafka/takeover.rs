//! How long it takes from a processor's death with a transaction open until another one's first output can be read.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use logystera_infra::log::{Entry, Log};
use logystera_schemas::schema;
use logystera_schemas::signals_topic::Tick;
use logystera_schemas::time::WallMs;
use logystera_schemas::topic::Topic;
use serde::Serialize;

use super::drain::until_tick;
use super::place::{Cluster, Place, wait_until};
use super::process::{Line, Process};
use super::told::Told;
use super::workload::{GROUPS_MS, Loader};
use crate::clock::Stopwatch;
use crate::w1::Generator;
use crate::{BenchError, engine};

/// Groups of W1: the state is then that of W1 itself, with the changelog that its drain leaves behind.
pub const W1_GROUPS: usize = 102_000;
/// Batches of W1.
const W1_BATCHES: usize = 100_000;
/// One batch and one tick in each partition this often: 20,000 signals a second in all.
const LOAD_STEP: Duration = Duration::from_millis(20);
/// Batches in each step.
const LOAD_BATCHES: usize = 4;
/// How often a death is tried until it comes while a transaction is open.
const TRIES: u32 = 400;
/// Partition of `detections` that is watched; every partition has each tick.
const WATCHED: u32 = 0;
/// How long a takeover may take.
const PATIENCE_S: f64 = 120.0;

/// What a processor says when it begins to take a partition over.
const BEGUN: &str = "taking a partition over";
/// When it has fenced the owner before and read the changelog.
const READ: &str = "fenced the owner before";
/// When it is restored.
const READY: &str = "processor started";

/// Who takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Heir {
    /// A process that runs beside the one that dies, under another name: the group gives it the partitions.
    Standby,
    /// The dead one's name, started again at once.
    SameName,
}

/// What a takeover came to; seconds.
#[derive(Debug, Serialize)]
pub struct Takeover {
    /// Groups in the state, as they were asked for.
    pub groups: usize,
    /// Records of topic `signals` until the death.
    pub input_records: u64,
    /// Tries until the death came with a transaction open.
    pub tries: u32,
    /// From the death to the heir's first step towards taking a partition over: starting, joining, the session's end.
    pub noticed_s: f64,
    /// The same from the start of the heir's process, where it was started for it.
    pub joined_s: Option<f64>,
    /// From that step until the dead one's transaction was aborted: `init_transactions` of that partition's task.
    pub aborted_s: f64,
    /// From that step until the partition that told something first had fenced the owner before and read its changelog.
    pub read_s: f64,
    /// From there until it was restored.
    pub restored_s: f64,
    /// From there until its first output could be read.
    pub first_commit_s: f64,
    /// From the first step until the first output could be read.
    pub takeover_s: f64,
    /// For each partition, from the first step: until its changelog was read, until it was restored.
    pub partitions: BTreeMap<String, [f64; 2]>,
}

/// Builds the state, kills its owner and watches the heir.
pub fn run(cluster: &Cluster, groups: usize, heir: Heir) -> Result<Takeover, BenchError> {
    let rules = engine::w1_rules()?;
    let place = Place::new(cluster, include_str!("../../rules/w1.yaml"))?;
    let mut loader = Loader::new(&place, &rules)?;
    // The load goes on after all that a site has told, and soon enough that no window has emptied.
    let (generator, shift_ms) = if groups == W1_GROUPS {
        (loader.w1(W1_BATCHES, 0)?, 0)
    } else {
        loader.groups(groups)?;
        (Generator::new(43, 0), GROUPS_MS)
    };
    let (mut owner, _) = place.start("processor", "p1")?;
    let told = Told::new(&place)?;
    until_tick(&place, &told, &mut owner, loader.loaded.last_tick)?;
    eprintln!("the state is there; {:.1} s", place.clock.elapsed_s());
    let (more, newest) = (AtomicBool::new(true), AtomicI64::new(0));
    thread::scope(|scope| {
        let load = scope.spawn(|| light_load(loader, generator, shift_ms, &newest, &more));
        let done = watch(&place, owner, groups, heir, &newest);
        more.store(false, Ordering::Relaxed);
        let ended = load.join().map_err(|_| BenchError::Broken("the load ended".to_owned()))?;
        ended.and(done)
    })
}

/// A little of W1, and ticks, as long as `more`; `newest` is the newest tick's time.
fn light_load(
    mut loader: Loader<'_>,
    mut generator: Generator,
    shift_ms: i64,
    newest: &AtomicI64,
    more: &AtomicBool,
) -> Result<(), BenchError> {
    let mut at = loader.loaded.last_tick;
    while more.load(Ordering::Relaxed) {
        let watch = Stopwatch::start();
        for _ in 0..LOAD_BATCHES {
            let mut batch = generator.batch();
            batch.sent_at += shift_ms;
            batch.signals.iter_mut().for_each(|signal| signal.occurred_at += shift_ms);
            loader.batch(&batch)?;
        }
        at += LOAD_STEP.as_millis() as i64;
        loader.tick(at);
        newest.store(at, Ordering::SeqCst);
        loader.flush()?;
        sleep(LOAD_STEP.saturating_sub(Duration::from_secs_f64(watch.elapsed_s())));
    }
    Ok(())
}

fn watch(
    place: &Place,
    mut owner: Process,
    groups: usize,
    heir: Heir,
    newest: &AtomicI64,
) -> Result<Takeover, BenchError> {
    let standby = match heir {
        Heir::Standby => Some(standby(place, &mut owner)?),
        Heir::SameName => None,
    };
    sleep(Duration::from_secs(2));
    let marker = Marker::new(place);
    let (tries, died_s) = kill_within_transaction(&owner, &marker)?;
    let told = Told::from_now(place)?;
    let (before, end) = (newest.load(Ordering::SeqCst), place.log.bounds(Topic::Detections, WATCHED)?.end);
    let input_records = (0..place.log.partitions(Topic::Signals))
        .map(|partition| Ok(place.log.bounds(Topic::Signals, partition)?.end))
        .sum::<Result<u64, BenchError>>()?;
    drop(owner);
    let (mut heir, started) = match standby {
        Some(standby) => (standby, false),
        None => (place.start("processor", "p1")?.0, true),
    };
    // What it had of its own before counts for nothing.
    let after = |lines: Vec<Line>| lines.into_iter().filter(|line| line.at_s > died_s).collect::<Vec<_>>();
    let mut aborted_s = None;
    let mut first = None;
    // What the dead one had committed may be hidden behind what it had not, and a process beside it tells of its own partitions.
    let is_heirs = |tick: &Tick, taken: &[String]| tick.at.0 > before && taken.contains(&tick.partition.to_string());
    wait_until("the first output", PATIENCE_S, || {
        heir.check()?;
        if aborted_s.is_none() && place.log.bounds(Topic::Detections, WATCHED)?.end > end {
            aborted_s = Some(place.clock.elapsed_s());
        }
        let taken: Vec<_> = after(heir.said(BEGUN)).iter().filter_map(|line| line.field("partition")).collect();
        let found = told.read(Duration::from_millis(1))?;
        let tick = found.ticks.iter().find(|tick| is_heirs(tick, &taken));
        first = tick.map(|tick| (tick.partition.to_string(), place.clock.elapsed_s()));
        Ok(first.is_some())
    })?;
    let (first_partition, first_s) = first.unwrap_or_default();
    let expected = after(heir.said(BEGUN)).len();
    wait_until("all partitions", PATIENCE_S, || Ok(after(heir.said(READY)).len() >= expected))?;
    let [begun, fenced, restored] = [BEGUN, READ, READY].map(|what| after(heir.said(what)));
    let begin_s = begun.first().map_or(died_s, |line| line.at_s);
    let aborted_s = aborted_s.unwrap_or(begin_s);
    // What a task says when it is ready names its position, not its partition.
    let mut partitions = BTreeMap::new();
    for line in &fenced {
        let ready = restored.iter().find(|ready| ready.field("position") == line.field("position"));
        let times = [line.at_s, ready.map_or(line.at_s, |ready| ready.at_s)];
        partitions.insert(line.field("partition").unwrap_or_default(), times);
    }
    let [read_s, restored_s] = partitions.get(&first_partition).copied().unwrap_or([first_s; 2]);
    Ok(Takeover {
        groups,
        input_records,
        tries,
        noticed_s: begin_s - died_s,
        joined_s: started.then_some(begin_s - heir.started_s),
        aborted_s: aborted_s - begin_s,
        read_s: read_s - begin_s,
        restored_s: restored_s - read_s,
        first_commit_s: first_s - restored_s,
        takeover_s: first_s - begin_s,
        partitions: partitions.into_iter().map(|(name, at)| (name, at.map(|at_s| at_s - begin_s))).collect(),
    })
}

/// Starts another processor and waits until the partitions are shared.
fn standby(place: &Place, owner: &mut Process) -> Result<Process, BenchError> {
    let (mut standby, _) = place.start("processor", "p2")?;
    wait_until("the partitions are shared", PATIENCE_S, || {
        owner.check()?;
        standby.check()?;
        Ok(!standby.said("processor started").is_empty())
    })?;
    Ok(standby)
}

/// Stops the process at moments that nobody chose until a transaction is open, then kills it.
fn kill_within_transaction(owner: &Process, marker: &Marker<'_>) -> Result<(u32, f64), BenchError> {
    for tries in 1..=TRIES {
        owner.signal("STOP")?;
        if marker.is_hidden()? {
            owner.signal("KILL")?;
            return Ok((tries, marker.place.clock.elapsed_s()));
        }
        owner.signal("CONT")?;
        // Not in step with the commits, which are 100 ms apart.
        sleep(Duration::from_millis(137));
    }
    Err(BenchError::Broken("no transaction was open at any try".to_owned()))
}

/// A record in topic `detections` that can be read at once, unless a transaction is open there.
struct Marker<'a> {
    place: &'a Place,
}

impl<'a> Marker<'a> {
    /// Partition that a mark's tick names: none that there is.
    const PARTITION: u32 = u32::MAX >> 1;

    fn new(place: &'a Place) -> Self {
        Self { place }
    }

    /// Whether a transaction is open that nobody goes on with.
    fn is_hidden(&self) -> Result<bool, BenchError> {
        let end = || Ok::<_, BenchError>(self.place.log.bounds(Topic::Detections, WATCHED)?.end);
        let before = end()?;
        let value = schema::encode(&Tick { partition: Self::PARTITION, at: WallMs(0), open_ms: 0 });
        self.place.append(vec![Entry { topic: Topic::Detections, partition: WATCHED, key: Vec::new(), value }])?;
        if end()? != before {
            return Ok(false);
        }
        // It may be another process's, which ends it.
        sleep(Duration::from_millis(50));
        Ok(end()? == before)
    }
}
