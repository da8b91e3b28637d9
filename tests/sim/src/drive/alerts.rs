//! The planner in its runtime behind a courier that follows a script, on a log that fails at every effect: each detection
//! that was told reaches each channel at least once, always under the same key, and every attempt has its rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use logystera_alerter::core::Due;
use logystera_alerter::task::{Courier, PlannerMachine, outcomes, run as run_planner};
use logystera_infra::clock::{Clock, ManualClock};
use logystera_infra::log::Record;
use logystera_infra::pace::{IdleCommits, TimeWanted};
use logystera_infra::runtime::CycleError;
use logystera_infra::shutdown::Shutdown;
use logystera_schemas::delivery::{
    Attempt, AttemptEnded, AttemptOutcome, AttemptState, ChannelRef, ChannelsConfigured,
};
use logystera_schemas::detection::{Detection, DetectionState};
use logystera_schemas::ids::{DeliveryId, Sha256Digest};
use logystera_schemas::noise::ChannelSettings;
use logystera_schemas::schema;
use logystera_schemas::signals_topic::Tick;
use logystera_schemas::time::WallMs;
use logystera_schemas::topic::{DetectionsRecord, Topic};

use super::memory::Memory;
use super::{Difference, crash};
use crate::model::Output;
use crate::rng::Rng;

/// Detections of a run that are delivered.
const DETECTIONS: usize = 40;
/// Faults of a run: fewer than attempts of a delivery could still be dead of bad luck.
const FAULTS: u64 = 12;
/// From this attempt on the courier always succeeds.
const SUCCEEDS_FROM: u32 = 4;
/// A receiver that throttles each delivery takes it at this attempt.
const THROTTLES_UNTIL: u32 = 8;
/// Ticks until long after the last retry, and how far they are apart.
const TICKS: usize = 400;
const TICK_MS: i64 = 600_000;
/// Detections that a backup of the topic has.
const KEPT: usize = 10;
/// Lives within which everything must be done.
const LIVES_MAX: usize = 1_000;
const CHANNELS: [&str; 2] = ["a", "b"];

/// Calls a function for each attempt.
struct Script<F>(F);

impl<F: Fn(Due)> Courier for Script<F> {
    fn send(&self, due: Due) {
        (self.0)(due);
    }
}

/// A clock of which a little passes whenever somebody looks.
struct Passing(ManualClock);

impl Clock for Passing {
    fn wall_ms(&self) -> i64 {
        self.0.wall_ms()
    }

    fn monotonic_ms(&self) -> i64 {
        self.0.pass(20);
        self.0.monotonic_ms()
    }
}

/// What a receiver saw of an attempt.
#[derive(Clone, Debug)]
struct Arrival {
    channel: String,
    key: DeliveryId,
    site: String,
    /// Number of the detection.
    seq: u64,
    /// Digest of the detection.
    tells: Sha256Digest,
    /// Whether the receiver took it.
    taken: bool,
}

/// Delivers the first of `outputs` with faults drawn from `seed`.
pub fn run(seed: u64, outputs: &[Output]) -> Result<(), Difference> {
    let mut rng = Rng::new(seed).part(6);
    let told = story(outputs);
    let memory = memory(&told, &told, &mut rng);
    pass(&memory, ticks(&told), TICK_MS);
    let arrivals = live(&memory, rng.word()).map_err(fails)?;
    judge(&told, &arrivals, &rows(&memory)?).map_err(fails)
}

/// Delivers the last of `kept`; then the topic ends as `lost` has it, is put back to what it was somewhere between, and ends as
/// `after` has it. No receiver gets two different alerts under one key, and of those that are left each has its end.
pub fn put_back(seed: u64, kept: &[Output], lost: &[Output], after: &[Output]) -> Result<(), Difference> {
    let mut rng = Rng::new(seed).part(11);
    let is_told = |output: &Output| matches!(output, Output::Detection(_));
    let oldest = kept.iter().enumerate().rev().filter(|(_, output)| is_told(output)).take(KEPT).last();
    let kept = story(&kept[oldest.map_or(kept.len(), |(place, _)| place)..]);
    let then = |rest: &[Output]| story(&[&kept[..], rest].concat());
    let (lost, after) = (then(lost), then(after));
    let memory = memory(&kept, &[&lost[..], &after].concat(), &mut rng);
    let script = rng.word();
    pass(&memory, rng.index(6), *rng.pick(&[1_000, 60_000, TICK_MS]));
    let begun = live(&memory, script).map_err(fails)?;
    let backup = memory.durable().clone();
    let go_on = |told: &[Output]| {
        told[kept.len()..].iter().for_each(|output| memory.durable().append(crash::encode(output)));
        pass(&memory, ticks(told), TICK_MS);
        live(&memory, script).map_err(fails)
    };
    let gone = go_on(&lost)?;
    memory.put_back(backup);
    let arrivals = [begun, go_on(&after)?].concat();
    judge(&after, &arrivals, &rows(&memory)?).map_err(fails)?;
    let mut tells = BTreeMap::new();
    for arrival in gone.iter().chain(&arrivals) {
        let Arrival { channel, key, site, seq, tells: own, .. } = arrival;
        if tells.insert(*key, *own).is_some_and(|other| other != *own) {
            return Err(fails(format!("{site} {seq} to {channel}: another alert was told under the key {key}")));
        }
    }
    Ok(())
}

/// Ticks until long after the last retry of these. What is told once is not overtaken: a slow receiver gets one after the other.
fn ticks(told: &[Output]) -> usize {
    if detections(told).any(|detection| detection.once) { 4 * TICKS } else { TICKS }
}

/// The rows of the delivery history.
fn rows(memory: &Memory) -> Result<Vec<Attempt>, Difference> {
    let durable = memory.durable();
    let rows = durable.outputs.iter().filter(|entry| entry.topic == Topic::Attempts);
    rows.map(|entry| schema::decode::<Attempt>(&entry.value).map_err(|e| fails(e.to_string()))).collect()
}

fn fails(what: String) -> Difference {
    Difference { drive: "through the alerter", place: None, expected: Vec::new(), got: Vec::new(), what }
}

/// The first detections and the ticks between them; up to where a site that was closed begins to number anew, because
/// (site, number) names a delivery.
fn story(outputs: &[Output]) -> Vec<Output> {
    let mut left = DETECTIONS;
    let mut told = Vec::new();
    let mut named = BTreeSet::new();
    // Alerts know nothing of points.
    for output in outputs.iter().filter(|output| !matches!(output, Output::Points(_))) {
        if let Output::Detection(detection) = output {
            left -= 1;
            if !named.insert((detection.site.clone(), detection.seq)) {
                break;
            }
        }
        // A tick now and then is as good as all.
        let is_kept =
            matches!(output, Output::Detection(_)) || matches!(told.last(), None | Some(Output::Detection(_)));
        if is_kept {
            told.push(output.clone());
        }
        if left == 0 {
            break;
        }
    }
    told
}

fn detections(told: &[Output]) -> impl Iterator<Item = &Detection> {
    told.iter().filter_map(|output| match output {
        Output::Detection(detection) => Some(&**detection),
        Output::Tick(_) | Output::Points(_) => None,
    })
}

/// A topic with the channels of whose alerts are told sooner or later, and with what is `told` so far.
fn memory(told: &[Output], all: &[Output], rng: &mut Rng) -> Memory {
    let memory = Memory::new(Vec::<Record>::new(), rng.word(), *rng.pick(&[0, 5, 20]));
    memory.limit_faults(FAULTS);
    let mut durable = memory.durable();
    durable.feeds_itself = true;
    if let Some(tenant) = detections(all).next().map(|d| d.tenant.clone()) {
        let channels = CHANNELS.iter().filter_map(|id| {
            Some(ChannelRef {
                channel: id.parse().ok()?,
                kind: "webhook".to_owned(),
                settings: ChannelSettings::default(),
                fallback: false,
                labels: Vec::new(),
            })
        });
        durable.append(schema::encode(&ChannelsConfigured { tenant, channels: channels.collect() }));
    }
    for output in told {
        durable.append(crash::encode(output));
    }
    drop(durable);
    memory
}

/// So many more ticks come, so far apart.
fn pass(memory: &Memory, ticks: usize, apart_ms: i64) {
    let mut durable = memory.durable();
    let tick_of = |record: &Record| match DetectionsRecord::decode(&record.value) {
        Ok(DetectionsRecord::Tick(tick)) => Some(tick.at.0),
        _ => None,
    };
    let wall = durable.input.iter().filter_map(tick_of).max().unwrap_or(0);
    let ticks =
        (1..=ticks as i64).rev().map(|nth| Tick { partition: 0, at: WallMs(wall + nth * apart_ms), open_ms: 0 });
    durable.ticks = ticks.map(|tick| schema::encode(&tick)).collect();
}

/// Lives, is killed and comes back until no tick is left; gives what arrived.
fn live(memory: &Memory, script: u64) -> Result<Vec<Arrival>, String> {
    let arrivals: Mutex<Vec<Arrival>> = Mutex::new(Vec::new());
    let clock = Passing(ManualClock::at(0));
    for life in 0.. {
        if life == LIVES_MAX {
            return Err("the planner gets nowhere".to_owned());
        }
        let shutdown = Shutdown::new();
        let (ended, received) = outcomes();
        let courier = Script(|due: Due| {
            let outcome = outcome_of(&due, script);
            let taken = outcome == AttemptOutcome::Delivered;
            let detection = &due.detection;
            arrivals.lock().unwrap_or_else(PoisonError::into_inner).push(Arrival {
                channel: due.channel.to_string(),
                key: due.delivery,
                site: detection.site.to_string(),
                seq: detection.seq,
                tells: Sha256Digest::of(&schema::encode(detection.as_ref())),
                taken,
            });
            memory.may_die(10);
            let (status, retry_after_s) = answer_of(&due, outcome, script);
            let Due { tenant, delivery, attempt, .. } = due;
            let end = AttemptEnded {
                tenant,
                delivery,
                attempt,
                outcome,
                status,
                retry_after_s: None,
                duration_ms: 1,
                cause: None,
                detail: None,
            };
            // The channel holds as many as can be in the air.
            let _ = ended.try_send(AttemptEnded { retry_after_s, ..end });
        });
        let task = Watched { task: memory.take_over(), memory, shutdown: &shutdown };
        let idle = IdleCommits::Seldom(TimeWanted::default());
        match run_planner(PlannerMachine::new(0), task, &courier, received, &clock, idle, &shutdown) {
            Ok(()) if memory.durable().ticks.is_empty() => break,
            Ok(()) | Err(CycleError::Log(_)) => {}
            Err(halt) => return Err(format!("the planner stops: {halt}")),
        }
    }
    Ok(arrivals.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn outcome_of(due: &Due, script: u64) -> AttemptOutcome {
    if throttles(due, script) && due.attempt < THROTTLES_UNTIL {
        return AttemptOutcome::Throttled;
    }
    if due.attempt >= SUCCEEDS_FROM {
        return AttemptOutcome::Delivered;
    }
    match drawn(due, script)[0] % 6 {
        0 => AttemptOutcome::Throttled,
        1 => AttemptOutcome::Failed,
        2 => AttemptOutcome::Timeout,
        _ => AttemptOutcome::Delivered,
    }
}

/// What the receiver answers to an attempt that it puts off: a status, and maybe when to come again, in seconds.
fn answer_of(due: &Due, outcome: AttemptOutcome, script: u64) -> (Option<u32>, Option<u64>) {
    let [_, what, when, ..] = drawn(due, script);
    match outcome {
        AttemptOutcome::Throttled if throttles(due, script) => (Some(429), Some(1)),
        AttemptOutcome::Throttled => match what % 3 {
            0 => (Some(429), None),
            1 => (Some(429), Some([0, 1, 7, 3_600][usize::from(when % 4)])),
            _ => (Some(503), Some(60)),
        },
        _ => (None, None),
    }
}

/// Whether the receiver takes little at a time: in one run of four the second channel's does.
fn throttles(due: &Due, script: u64) -> bool {
    script.is_multiple_of(4) && due.channel.as_str() == CHANNELS[1]
}

/// What chance there is in the answer to an attempt.
fn drawn(due: &Due, script: u64) -> [u8; 32] {
    let mut text = due.delivery.0.to_vec();
    text.extend(due.attempt.to_be_bytes());
    text.extend(script.to_be_bytes());
    Sha256Digest::of(&text).0
}

/// Asks the planner to stop when the last tick was read.
struct Watched<'a, T> {
    task: T,
    memory: &'a Memory,
    shutdown: &'a Shutdown,
}

impl<T: logystera_infra::log::Task> logystera_infra::log::Task for Watched<'_, T> {
    fn position(&self) -> u64 {
        self.task.position()
    }

    fn restore(&mut self, restore: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), logystera_infra::log::LogError> {
        self.task.restore(restore)
    }

    fn input_end(&mut self) -> Result<u64, logystera_infra::log::LogError> {
        self.task.input_end()
    }

    fn read(&mut self, wait: std::time::Duration) -> Result<Vec<Record>, logystera_infra::log::LogError> {
        let records = self.task.read(wait)?;
        if records.is_empty() && self.memory.durable().ticks.is_empty() {
            self.shutdown.trigger();
        }
        Ok(records)
    }

    fn commit(&mut self, commit: logystera_infra::log::Commit) -> Result<(), logystera_infra::log::LogError> {
        self.task.commit(commit)
    }
}

/// The key as `docs/deliveries.md` has it: over the detection's chain value and the channel.
fn key_of(detection: &Detection, channel: &str) -> DeliveryId {
    let text = [detection.chain.0.as_slice(), b"\n", channel.as_bytes()].concat();
    let mut id = DeliveryId([0; 16]);
    id.0.copy_from_slice(&Sha256Digest::of(&text).0[..16]);
    id
}

fn judge(told: &[Output], arrivals: &[Arrival], rows: &[Attempt]) -> Result<(), String> {
    let mut expected = BTreeMap::new();
    for detection in detections(told) {
        let name = format!("{} {} {}", detection.site, detection.seq, detection.state);
        if detection.state == DetectionState::Suppressed {
            let of = |r: &&Attempt| r.site == detection.site && r.seq == detection.seq;
            let states: BTreeSet<&str> = rows.iter().filter(of).map(|r| r.state.as_str()).collect();
            if states != BTreeSet::from([AttemptState::NotSent.as_str()]) {
                return Err(format!("{name}: its rows are {states:?}"));
            }
            continue;
        }
        for channel in CHANNELS {
            expected
                .insert((detection.site.to_string(), detection.seq, channel.to_owned()), key_of(detection, channel));
        }
    }
    for Arrival { channel, key, site, seq, .. } in arrivals {
        if expected.get(&(site.clone(), *seq, channel.clone())) != Some(key) {
            return Err(format!("{site} {seq}: arrived at {channel} under the key {key}"));
        }
    }
    for ((site, seq, channel), key) in &expected {
        let own: Vec<&Attempt> = rows.iter().filter(|r| r.delivery == *key).collect();
        let taken = arrivals.iter().any(|arrival| arrival.key == *key && arrival.taken);
        let last = own.last().map(|r| r.state);
        let name = format!("{site} {seq} to {channel}");
        match last {
            Some(AttemptState::Delivered) if taken => {}
            _ if is_superseded(&own) => {
                if !is_told_later(told, site, *seq, |later| {
                    expected.contains_key(&(site.clone(), later, channel.clone()))
                }) {
                    return Err(format!("{name}: superseded, and nothing of that fault came later"));
                }
            }
            Some(AttemptState::Dead) => {}
            _ => return Err(format!("{name}: taken {taken}, its last row is {last:?}")),
        }
        rows_are_complete(&own).map_err(|what| format!("{name}: {what}"))?;
    }
    Ok(())
}

/// Whether a newer line of the same fault tells it too. It has a row that says so, behind those of its attempts.
fn is_superseded(own: &[&Attempt]) -> bool {
    own.last().is_some_and(|row| row.reason == "superseded")
}

/// Whether a later detection of the same rule and group is delivered: later in the log, for the numbers of a site that
/// was closed begin anew.
fn is_told_later(told: &[Output], site: &str, seq: u64, is_delivered: impl Fn(u64) -> bool) -> bool {
    let mut of_site = detections(told).filter(|d| d.site.as_str() == site).skip_while(|d| d.seq != seq);
    let Some(detection) = of_site.next() else { return false };
    of_site.any(|d| (&d.rule, &d.group) == (&detection.rule, &detection.group) && is_delivered(d.seq))
}

/// Each attempt has the row of its start and one of its end, in order, numbers rising by one.
fn rows_are_complete(own: &[&Attempt]) -> Result<(), String> {
    let states: Vec<(u32, AttemptState)> = own.iter().map(|r| (r.attempt, r.state)).collect();
    let states = if is_superseded(own) { &states[..states.len() - 1] } else { &states[..] };
    for (n, pair) in states.chunks(2).enumerate() {
        let [(first, AttemptState::Started), (second, end)] = pair else {
            return Err(format!("rows {states:?}"));
        };
        if *first != n as u32 + 1 || second != first || *end == AttemptState::Started {
            return Err(format!("rows {states:?}"));
        }
    }
    Ok(())
}
