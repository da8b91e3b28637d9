//! W1 on Kafka: the real processor drains the topic, exactly once, and what it told is held against what had to be found.

use std::collections::BTreeMap;
use std::time::Duration;

use logystera_schemas::detection::{Detection, DetectionState};
use logystera_system::wire;
use serde::Serialize;

use super::place::{Cluster, Place};
use super::process::{Machine, Process, Used};
use super::told::{Told, firings};
use super::workload::{Loaded, Loader};
use crate::oracle::{Firings, Oracle, Order, digest_all, digest_first};
use crate::{BenchError, engine};

/// How long the consumer of topic `detections` waits at a time.
const ASK: Duration = Duration::from_millis(50);
/// How long a drain may take.
const PATIENCE_S: f64 = 900.0;

/// What a drain came to.
#[derive(Debug, Serialize)]
pub struct Drained {
    /// Signals.
    pub signals: usize,
    /// Bytes of our batches.
    pub bytes: usize,
    /// Bytes of the same batches as the peers have them.
    pub peer_bytes: usize,
    /// From the processor's start until everything was committed, seconds.
    pub wall_s: f64,
    /// The same from the first partition that it had taken over and restored.
    pub drain_s: f64,
    /// Signals a second over `drain_s`, in millions.
    pub million_per_s: f64,
    /// CPU seconds of the whole process, start and end included.
    pub cpu_s: f64,
    /// For a million signals.
    pub cpu_s_per_million: f64,
    /// Peak of its resident memory, megabytes.
    pub peak_mb: u64,
    /// CPU seconds of the broker until everything was committed; none where it could not be seen.
    pub broker_cpu_s: Option<f64>,
    /// CPU seconds of everything else on the machine, the reader of the detections included.
    pub others_cpu_s: f64,
    /// Detections by state and reason.
    pub detections: BTreeMap<String, usize>,
    /// The peers' `digest_first` over our firings.
    pub digest_first: String,
    /// Their `digest_all`.
    pub digest_all: String,
    /// What the difference to the peers is made of.
    pub beside_peers: Beside,
    /// Groups whose first firing is not the one that our order of judging asks for.
    pub wrong_groups: usize,
    /// What the processor says of signals and batches.
    pub outcomes: Vec<String>,
}

/// Our firings beside those that the peers' job has.
#[derive(Debug, Default, Serialize)]
pub struct Beside {
    /// The peers' digests, from the oracle.
    pub digest_first: String,
    /// The same.
    pub digest_all: String,
    /// Signals that came late: older than what their site had told before.
    pub late_signals: usize,
    /// Groups that fired: the peers', ours.
    pub groups: (usize, usize),
    /// Groups whose first firing is another: (ends of windows: ours minus theirs, in panes) and how many.
    pub first_differs: BTreeMap<i64, usize>,
    /// Groups that fired with only one of us.
    pub groups_of_one: usize,
    /// Firings: the peers', ours.
    pub firings: (usize, usize),
    /// Firings with the same window and the same count.
    pub same: usize,
    /// Firings with the same window and another count.
    pub other_count: usize,
    /// Firings of the peers alone, which are no group's first.
    pub again_peers: usize,
    /// Firings of ours alone, which are no group's first.
    pub again_ours: usize,
}

/// Loads W1 and has it drained.
pub fn run(cluster: &Cluster, batches: usize, disorder_ms: u32) -> Result<Drained, BenchError> {
    let rules = engine::w1_rules()?;
    let place = Place::new(cluster, include_str!("../../rules/w1.yaml"))?;
    let mut loader = Loader::new(&place, &rules)?;
    loader.w1(batches, disorder_ms)?;
    let input = loader.loaded;
    eprintln!("{} signals are in {}signals; {:.1} s", input.signals, place.prefix, place.clock.elapsed_s());
    let before = Machine::now(place.broker.as_deref())?;
    let (processor, admin) = place.start("processor", "p1")?;
    let seen = drain(&place, processor, admin, input.last_tick)?;
    let machine = Machine::now(place.broker.as_deref())?.since(before);
    Ok(figures(&input, batches, disorder_ms, &seen, machine))
}

/// What was seen of a drain.
struct Seen {
    wall_s: f64,
    drain_s: f64,
    used: Used,
    detections: Vec<Detection>,
    outcomes: Vec<String>,
}

/// Waits until each partition's last record is committed.
fn drain(place: &Place, mut processor: Process, admin: u16, last_tick: i64) -> Result<Seen, BenchError> {
    let told = Told::new(place)?;
    let detections = until_tick(place, &told, &mut processor, last_tick)?;
    let done_s = place.clock.elapsed_s();
    let started = processor.said("processor started").first().map_or(processor.started_s, |line| line.at_s);
    let metrics = wire::get(admin, "/metrics").map(|answer| answer.body).unwrap_or_default();
    let outcomes = metrics.lines().filter(|line| line.starts_with("logystera_processor_"));
    let outcomes = outcomes.filter(|line| !line.ends_with(" 0")).map(str::to_owned).collect();
    let wall_s = done_s - processor.started_s;
    Ok(Seen { wall_s, drain_s: done_s - started, used: processor.end()?, detections, outcomes })
}

/// Reads detections until the tick of this time was passed on by every partition of `signals`.
pub fn until_tick(place: &Place, told: &Told, processor: &mut Process, at: i64) -> Result<Vec<Detection>, BenchError> {
    use logystera_infra::log::Log;
    let mut left = place.log.partitions(logystera_schemas::topic::Topic::Signals);
    let (mut detections, until_s) = (Vec::new(), place.clock.elapsed_s() + PATIENCE_S);
    while left > 0 {
        processor.check()?;
        if place.clock.elapsed_s() > until_s {
            return Err(BenchError::Broken(format!("not drained within {PATIENCE_S:.0} s")));
        }
        let found = told.read(ASK)?;
        detections.extend(found.detections);
        left -= found.ticks.iter().filter(|tick| tick.at.0 == at).count() as u32;
    }
    // The last tick of one partition may be read before another partition's detections are.
    detections.extend(told.read(ASK)?.detections);
    Ok(detections)
}

fn figures(loaded: &Loaded, batches: usize, disorder_ms: u32, seen: &Seen, machine: Machine) -> Drained {
    let mut by_reason = BTreeMap::new();
    for detection in &seen.detections {
        *by_reason.entry(format!("{:?} {:?}", detection.state, detection.reason)).or_default() += 1;
    }
    debug_assert!(seen.detections.iter().any(|d| d.state == DetectionState::Firing));
    let ours = firings(&seen.detections);
    let theirs = Oracle::over(Order::Arrival, batches, disorder_ms);
    let in_time = Oracle::over(Order::Time, batches, disorder_ms);
    let mut beside = beside(&theirs.firings, &ours);
    beside.late_signals = in_time.late;
    let millions = loaded.signals as f64 / 1e6;
    Drained {
        signals: loaded.signals,
        bytes: loaded.bytes,
        peer_bytes: loaded.peer_bytes,
        wall_s: seen.wall_s,
        drain_s: seen.drain_s,
        million_per_s: millions / seen.drain_s,
        cpu_s: seen.used.cpu_s,
        cpu_s_per_million: seen.used.cpu_s / millions,
        peak_mb: seen.used.peak_bytes >> 20,
        broker_cpu_s: machine.broker_s,
        others_cpu_s: machine.all_s - machine.broker_s.unwrap_or(0.0) - seen.used.cpu_s,
        detections: by_reason,
        digest_first: digest_first(&ours),
        digest_all: digest_all(&ours),
        beside_peers: beside,
        wrong_groups: beside_wrong(&in_time.firings, &ours),
        outcomes: seen.outcomes.clone(),
    }
}

fn beside_wrong(expected: &Firings, ours: &Firings) -> usize {
    let missing = expected.keys().filter(|key| !ours.contains_key(*key)).count();
    let wrong = ours.iter().filter(|(key, all)| expected.get(*key).and_then(|e| e.first()) != all.first());
    missing + wrong.count()
}

fn beside(theirs: &Firings, ours: &Firings) -> Beside {
    let total = |firings: &Firings| firings.values().map(Vec::len).sum::<usize>();
    let mut beside = Beside {
        digest_first: digest_first(theirs),
        digest_all: digest_all(theirs),
        groups: (theirs.len(), ours.len()),
        firings: (total(theirs), total(ours)),
        ..Beside::default()
    };
    beside.groups_of_one = theirs.keys().filter(|key| !ours.contains_key(*key)).count()
        + ours.keys().filter(|key| !theirs.contains_key(*key)).count();
    for (key, all) in theirs {
        let own = ours.get(key).map(Vec::as_slice).unwrap_or_default();
        if let (Some(theirs), Some(ours)) = (all.first(), own.first()) {
            let panes = (ours.window_end - theirs.window_end) / crate::oracle::PANE_MS;
            if panes != 0 {
                *beside.first_differs.entry(panes).or_default() += 1;
            }
        }
        for (place, firing) in all.iter().enumerate() {
            match own.iter().find(|f| f.window_end == firing.window_end) {
                Some(same) if same.count == firing.count => beside.same += 1,
                Some(_) => beside.other_count += 1,
                None => beside.again_peers += usize::from(place > 0),
            }
        }
        let windows: Vec<_> = all.iter().map(|firing| firing.window_end).collect();
        beside.again_ours += own.iter().skip(1).filter(|firing| !windows.contains(&firing.window_end)).count();
    }
    beside
}
