//! From the gateway's 202 to the detection that can be read, and to the webhook that is told: through the processes of all roles.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use logystera_schemas::detection::Detection;
use logystera_system::receiver::Receiver;
use logystera_system::wire::{Credentials, now_ms};
use serde::Serialize;

use super::place::{Cluster, Place, wait_until};
use super::process::{Machine, Process};
use super::told::Told;
use super::workload::failed;
use crate::load::{Answered, OURS, PAST_MS, quantiles, read_sites, request, send};
use crate::w1::{BATCH_SIGNALS, Generator, PeerKind, SOURCES, mix, source_id};
use crate::{BenchError, body};

/// Sites, each over a connection of its own.
const SITES: usize = 32;
/// One batch of so many makes a rule fire.
const PROBE_EVERY: usize = 100;
/// What is answered in the first seconds does not count.
const WARM_S: f64 = 3.0;
/// How long a death is felt: longer than a takeover takes.
const AFTERMATH_S: f64 = 5.0;
/// How long the last detection and the last delivery are waited for.
const PATIENCE_S: f64 = 30.0;

/// Two failures of one source within a batch fire; no other signal of the load fails to sign in.
const RULES: &str = "\
format: 1
rules:
- name: probe
  title: A probe
  severity: warning
  subsystem: access
  signal: auth.attempt
  where: {outcome: failure}
  group_by: [source]
  threshold: {count: 2, within: 5m}
  suppress: 1h
  message: \"{count} failed sign-ins on {site} from {source}\"
";

/// Times of the probes, milliseconds.
#[derive(Debug, Serialize)]
pub struct Times {
    /// Probes that came.
    pub count: usize,
    /// Probes that did not.
    pub missing: usize,
    /// Half were faster.
    pub p50_ms: f64,
    /// 99 of 100 were faster.
    pub p99_ms: f64,
    /// The slowest.
    pub max_ms: f64,
}

/// What a run came to.
#[derive(Debug, Serialize)]
pub struct Latency {
    /// Signals a second that were sent.
    pub rate: f64,
    /// From when a request was due to its answer.
    pub answer: Times,
    /// From the answer to the detection.
    pub detection: Times,
    /// From the answer to the webhook.
    pub webhook: Times,
    /// The two of the probes that were answered within [`AFTERMATH_S`] of a processor's death, where it was killed.
    pub detection_after_death: Option<Times>,
    /// The second of them.
    pub webhook_after_death: Option<Times>,
    /// Answers by status.
    pub statuses: BTreeMap<u16, usize>,
    /// CPU seconds in a second: gateway, processor, alerter, broker, everything on the machine.
    pub cores: [Option<f64>; 5],
}

/// `site source`.
type Probe = String;

/// When each probe was seen first, seconds.
#[derive(Debug, Default)]
struct Seen(Mutex<BTreeMap<Probe, f64>>);

impl Seen {
    fn note(&self, probe: Probe, at_s: f64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(probe).or_insert(at_s);
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn at(&self, probe: &Probe) -> Option<f64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(probe).copied()
    }
}

/// The requests of each connection, and for each the probe in it.
type Queues = (Vec<Vec<Vec<u8>>>, Vec<Vec<Option<Probe>>>);

/// Runs all roles under a paced load. With `kill_every_s` the processor is killed with -9 that often, and started again at once.
pub fn run(cluster: &Cluster, rate: f64, seconds: f64, kill_every_s: Option<f64>) -> Result<Latency, BenchError> {
    let place = Place::new(cluster, RULES)?;
    let sites = read_sites(&place.add_sites(SITES)?)?;
    let receiver = Receiver::start(Duration::ZERO);
    place.command(&["channel", "add", "webhook", &format!("http://127.0.0.1:{}/alerts", receiver.port)])?;
    let gateway = place.gateway()?;
    let (mut processor, _) = place.start("processor", "p1")?;
    let processor_pid = processor.pid();
    let (mut alerter, _) = place.start("alerter", "a1")?;
    wait_until("the processor has all partitions", 60.0, || {
        processor.check()?;
        alerter.check()?;
        Ok(processor.said("processor started").len() >= cluster.partitions as usize)
    })?;
    let (queues, probes) = prepare(&sites, (rate * seconds / BATCH_SIGNALS as f64) as usize);
    sleep(Duration::from_secs(3));

    let pids = [
        Some(gateway.pid()),
        Some(processor_pid).filter(|_| kill_every_s.is_none()),
        Some(alerter.pid()),
        place.broker.clone(),
    ];
    let used = || -> Result<[Option<f64>; 5], BenchError> {
        let mut used = [None; 5];
        for (to, pid) in used.iter_mut().zip(&pids) {
            *to = pid.as_ref().map(|pid| crate::cpu::process_cpu_s(pid)).transpose()?;
        }
        used[4] = Some(Machine::now(None)?.all_s);
        Ok(used)
    };
    let (told, delivered, more) = (Seen::default(), Seen::default(), AtomicBool::new(true));
    let expected = probes.iter().flatten().flatten().count();
    let (before, begun_s) = (used()?, place.clock.elapsed_s());
    let (answers, after, lasted_s, deaths) = thread::scope(|scope| {
        let reader = scope.spawn(|| read_detections(&place, &told, &more));
        scope.spawn(|| hear(&place, &receiver, &delivered, &more));
        let killer = scope.spawn(|| kill_often(&place, processor, kill_every_s, &more));
        let answers = send(place.port, queues, Some(rate), place.clock);
        let (after, lasted_s) = (used(), place.clock.elapsed_s() - begun_s);
        let came = wait_until("every probe", PATIENCE_S, || Ok(told.count().min(delivered.count()) >= expected));
        if let Err(error) = came {
            eprintln!("{error}");
        }
        more.store(false, Ordering::Relaxed);
        reader.join().map_err(|_| BenchError::Broken("the reader ended".to_owned()))??;
        let deaths = killer.join().map_err(|_| BenchError::Broken("the killer ended".to_owned()))??;
        Ok::<_, BenchError>((answers?, after?, lasted_s, deaths))
    })?;

    let seen = (&told, &delivered);
    let mut cores = [None; 5];
    for (to, (after, before)) in cores.iter_mut().zip(after.iter().zip(&before)) {
        *to = after.zip(*before).map(|(after, before)| (after - before) / lasted_s);
    }
    Ok(summary(rate, begun_s, (&probes, &answers), seen, &deaths, cores))
}

/// What was measured, without the seconds in which everything got warm.
fn summary(
    rate: f64,
    begun_s: f64,
    (probes, answers): (&[Vec<Option<Probe>>], &[Vec<Answered>]),
    (told, delivered): (&Seen, &Seen),
    deaths: &[f64],
    cores: [Option<f64>; 5],
) -> Latency {
    let mut statuses = BTreeMap::new();
    answers.iter().flatten().for_each(|answer| *statuses.entry(answer.status).or_default() += 1);
    let warm = |answer: &Answered| answer.at_s - begun_s >= WARM_S;
    let sent: Vec<(&Probe, Answered)> = probes
        .iter()
        .flatten()
        .zip(answers.iter().flatten())
        .filter_map(|(probe, answer)| Some((probe.as_ref()?, *answer)))
        .filter(|(_, answer)| warm(answer))
        .collect();
    let of = |seen: &Seen, answered: &dyn Fn(f64) -> bool| {
        let sent = sent.iter().filter(|(_, answer)| answered(answer.at_s));
        times(sent.map(|(probe, answer)| Some(seen.at(probe)? - answer.at_s)).collect())
    };
    let since = |seen: &Seen| of(seen, &|_| true);
    let after_death = |seen: &Seen| {
        let felt = |at_s: f64| deaths.iter().any(|death_s| (0.0..AFTERMATH_S).contains(&(at_s - death_s)));
        (!deaths.is_empty()).then(|| of(seen, &felt))
    };
    let answer = times(answers.iter().flatten().filter(|a| warm(a)).map(|a| Some(a.time_s)).collect());
    Latency {
        rate,
        answer,
        detection: since(told),
        webhook: since(delivered),
        detection_after_death: after_death(told),
        webhook_after_death: after_death(delivered),
        statuses,
        cores,
    }
}

/// Kills the processor now and then as long as there is more, and starts it again. Gives when.
fn kill_often(
    place: &Place,
    mut processor: Process,
    every_s: Option<f64>,
    more: &AtomicBool,
) -> Result<Vec<f64>, BenchError> {
    let (mut deaths, mut newest_s) = (Vec::new(), place.clock.elapsed_s());
    while more.load(Ordering::Relaxed) {
        sleep(Duration::from_millis(20));
        if every_s.is_some_and(|every_s| place.clock.elapsed_s() >= newest_s + every_s) {
            newest_s = place.clock.elapsed_s();
            deaths.push(newest_s);
            drop(processor);
            (processor, _) = place.start("processor", "p1")?;
        }
    }
    Ok(deaths)
}

fn times(times: Vec<Option<f64>>) -> Times {
    let missing = times.iter().filter(|time| time.is_none()).count();
    let came: Vec<f64> = times.into_iter().flatten().map(|s| s * 1e3).collect();
    let count = came.len();
    let [p50_ms, p99_ms, max_ms] = quantiles(came, [0.5, 0.99, 1.0 - f64::EPSILON]);
    Times { count, missing, p50_ms, p99_ms, max_ms }
}

/// Batches of W1's signals in which no sign-in fails, but for the probes' two at the end.
fn prepare(sites: &[Credentials], requests: usize) -> Queues {
    let (mut generator, start_ms) = (Generator::new(42, 0), now_ms() - PAST_MS);
    let (mut queues, mut probes) = (vec![Vec::new(); sites.len()], vec![Vec::new(); sites.len()]);
    for number in 0..requests {
        let (place, seq) = (number % sites.len(), number / sites.len());
        let mut peer = generator.batch();
        peer.site = place;
        let shift_ms = start_ms + (seq * BATCH_SIGNALS) as i64 - (peer.sent_at - BATCH_SIGNALS as i64);
        peer.signals.iter_mut().filter(|signal| signal.kind == PeerKind::Auth).for_each(|signal| signal.failed = false);
        // Every site in turn.
        let probe = (number % PROBE_EVERY == seq % PROBE_EVERY).then(|| {
            let source = SOURCES + seq;
            for signal in peer.signals.iter_mut().rev().take(2) {
                *signal = failed(place, source, signal.occurred_at);
            }
            format!("{} {:016x}", sites[place].site, source_id(place, source))
        });
        let batch = format!("{:016x}.{}", mix(place as u64), seq + 1);
        queues[place].push(request(OURS, &sites[place], &batch, &body::json(&peer, shift_ms)));
        probes[place].push(probe);
    }
    (queues, probes)
}

fn read_detections(place: &Place, told: &Seen, more: &AtomicBool) -> Result<(), BenchError> {
    let reader = Told::from_now(place)?;
    while more.load(Ordering::Relaxed) {
        let (found, at_s) = (reader.read(Duration::from_millis(20))?, place.clock.elapsed_s());
        found.detections.iter().for_each(|detection| told.note(probe(detection), at_s));
    }
    Ok(())
}

fn probe(detection: &Detection) -> Probe {
    let source = detection.group.first().map_or("", |label| &label.value[..16]);
    format!("{} {source}", detection.site)
}

fn hear(place: &Place, receiver: &Receiver, delivered: &Seen, more: &AtomicBool) {
    let mut heard = 0;
    while more.load(Ordering::Relaxed) {
        receiver.wait_for_next(Duration::from_millis(20));
        let (at_s, deliveries) = (place.clock.elapsed_s(), receiver.deliveries());
        for delivery in &deliveries[heard..] {
            let Some(alert) = find(&delivery.body, "group") else { continue };
            let source = find(alert, "source").and_then(|source| source.as_str()).unwrap_or_default();
            let site = find(&delivery.body, "site").and_then(|site| site.as_str()).unwrap_or_default();
            delivered.note(format!("{site} {}", source.get(..16).unwrap_or_default()), at_s);
        }
        heard = deliveries.len();
    }
}

/// The first field of this name, however deep it is.
fn find<'a>(value: &'a serde_json::Value, name: &str) -> Option<&'a serde_json::Value> {
    let object = value.as_object()?;
    object.get(name).or_else(|| object.values().find_map(|inner| find(inner, name)))
}
