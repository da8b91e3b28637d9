//! The store is away for minutes while signals go on: what waits, when the input has to, and how it catches up.

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use logystera_rules::from_yaml;
use logystera_system::wire;
use serde::Serialize;

use super::drain::until_tick;
use super::place::{Cluster, Place, wait_until};
use super::process::{Process, listener};
use super::told::Told;
use super::workload::{GROUPS_MS, Loader};
use crate::BenchError;
use crate::clock::Stopwatch;
use crate::w1::Generator;

/// Batches of W1 that are judged before the store goes away.
const BEFORE: usize = 10_000;
/// W1's rule under a name that makes a row of 182 bytes of each group, so that two million of them are more than may wait.
const LONG_NAME: &str = "failed-sign-ins-of-one-source-that-never-reach-the-threshold";
/// The load's step: so many batches of W1 in each, which are 10,000 signals a second, and new groups besides.
const STEP: Duration = Duration::from_millis(100);
const STEP_BATCHES: usize = 10;
/// The new groups come in this part of the outage.
const GROUPS_PART: f64 = 0.6;
/// How long the load goes on after a restart from the store.
const AFTER_S: f64 = 10.0;
/// How long catching up may take.
const PATIENCE_S: f64 = 600.0;
/// A flush that old is none that waits.
const FLUSHED_S: f64 = 2.0;

/// What an outage came to.
#[derive(Debug, Serialize)]
pub struct Outage {
    /// How long the store was away.
    pub away_s: f64,
    /// Signals that were put into the log meanwhile.
    pub signals: usize,
    /// Most that waited for the store: bytes, by `logystera_store_queue_bytes`.
    pub queue_peak_bytes: f64,
    /// Highest `logystera_store_flush_age_seconds`.
    pub flush_age_peak_s: f64,
    /// From the beginning of the outage until the input stood still; none: it never had to.
    pub paused_after_s: Option<f64>,
    /// Most that the processor was behind the log: seconds of the load.
    pub behind_peak_s: f64,
    /// Peak of the processor's resident memory, bytes.
    pub peak_bytes: u64,
    /// From the store's return until the processor was not behind any more, and until the store had everything.
    pub caught_up_s: f64,
    /// The second of them.
    pub flushed_s: f64,
    /// From the start of another processor until it had restored, with the store.
    pub restarted_s: f64,
    /// What `replay --verify` says of everything that was told.
    pub verified: String,
}

/// What the load has put there.
#[derive(Default)]
struct Progress {
    /// Time of the newest tick.
    newest: AtomicI64,
    enough: AtomicBool,
}

/// Stops the store's process for so long under load with `groups` groups that are new.
pub fn run(cluster: &Cluster, seconds: f64, groups: usize) -> Result<Outage, BenchError> {
    let node = cluster.cql.as_deref().ok_or_else(|| BenchError::Broken("--cql names the store's node".to_owned()))?;
    let pid = node.rsplit(':').next().and_then(|port| port.parse().ok()).and_then(listener);
    let store = Paused { pid: pid.ok_or_else(|| BenchError::Broken(format!("nothing listens at {node}")))? };
    let yaml = include_str!("../../rules/w1.yaml").replace("- name: auth", &format!("- name: {LONG_NAME}"));
    let rules = from_yaml(&[("outage.yaml", &yaml)])
        .map_err(|errors| BenchError::Broken(format!("the rules: {} errors", errors.len())))?;
    let place = Place::new(cluster, &yaml)?;
    let mut loader = Loader::new(&place, &rules)?;
    let generator = loader.w1(BEFORE, 0)?;
    let (mut owner, admin) = place.start("processor", "p1")?;
    let told = Told::new(&place)?;
    until_tick(&place, &told, &mut owner, loader.loaded.last_tick)?;
    let progress = Progress { newest: AtomicI64::new(loader.loaded.last_tick), enough: AtomicBool::new(false) };
    thread::scope(|scope| {
        let progress = &progress;
        let load = scope.spawn(move || load(loader, generator, groups, seconds * GROUPS_PART, progress));
        let done = watch(&place, owner, admin, &told, &store, seconds, progress);
        progress.enough.store(true, Ordering::SeqCst);
        let signals = load.join().map_err(|_| BenchError::Broken("the load ended".to_owned()))??;
        Ok(Outage { signals, ..done? })
    })
}

/// A little of W1, ticks, and the groups, as long as it is not enough.
fn load(
    mut loader: Loader<'_>,
    mut generator: Generator,
    groups: usize,
    groups_s: f64,
    progress: &Progress,
) -> Result<usize, BenchError> {
    let (mut at, mut made) = (loader.loaded.last_tick, 0);
    let of_step = (groups as f64 * STEP.as_secs_f64() / groups_s).ceil() as usize;
    while !progress.enough.load(Ordering::SeqCst) {
        let watch = Stopwatch::start();
        for _ in 0..STEP_BATCHES {
            let mut batch = generator.batch();
            batch.sent_at += GROUPS_MS;
            batch.signals.iter_mut().for_each(|signal| signal.occurred_at += GROUPS_MS);
            loader.batch(&batch)?;
        }
        let end = (made + of_step).min(groups);
        loader.new_groups(made..end)?;
        made = end;
        at += STEP.as_millis() as i64;
        loader.tick(at);
        loader.flush()?;
        progress.newest.store(at, Ordering::SeqCst);
        sleep(STEP.saturating_sub(Duration::from_secs_f64(watch.elapsed_s())));
    }
    Ok(loader.loaded.signals)
}

fn watch(
    place: &Place,
    mut owner: Process,
    admin: u16,
    told: &Told,
    store: &Paused,
    seconds: f64,
    progress: &Progress,
) -> Result<Outage, BenchError> {
    let mut outage = Outage {
        away_s: seconds,
        signals: 0,
        queue_peak_bytes: 0.0,
        flush_age_peak_s: 0.0,
        paused_after_s: None,
        behind_peak_s: 0.0,
        peak_bytes: 0,
        caught_up_s: 0.0,
        flushed_s: 0.0,
        restarted_s: 0.0,
        verified: String::new(),
    };
    let mut judged = progress.newest.load(Ordering::SeqCst);
    let mut look = |outage: &mut Outage, owner: &mut Process| -> Result<(f64, f64), BenchError> {
        owner.check()?;
        let found = told.read(Duration::from_millis(100))?;
        judged = found.ticks.iter().map(|tick| tick.at.0).max().unwrap_or(judged).max(judged);
        let behind_s = (progress.newest.load(Ordering::SeqCst) - judged) as f64 / 1e3;
        let [queue, age_s] = ["logystera_store_queue_bytes", "logystera_store_flush_age_seconds"]
            .map(|name| metric(admin, name).unwrap_or_default());
        outage.queue_peak_bytes = outage.queue_peak_bytes.max(queue);
        outage.flush_age_peak_s = outage.flush_age_peak_s.max(age_s);
        outage.behind_peak_s = outage.behind_peak_s.max(behind_s);
        outage.peak_bytes = owner.peak_bytes();
        Ok((behind_s, age_s))
    };
    store.signal("STOP")?;
    let watch = Stopwatch::start();
    while watch.elapsed_s() < seconds {
        let (behind_s, _) = look(&mut outage, &mut owner)?;
        // A second behind is more than a commit takes.
        if behind_s > 5.0 && outage.paused_after_s.is_none() {
            outage.paused_after_s = Some(watch.elapsed_s() - behind_s);
        }
        eprint!("\r{:.0} s, {:.0} MB wait, {behind_s:.1} s behind  ", watch.elapsed_s(), outage.queue_peak_bytes / 1e6);
    }
    store.signal("CONT")?;
    let watch = Stopwatch::start();
    wait_until("it has caught up", PATIENCE_S, || {
        let (behind_s, age_s) = look(&mut outage, &mut owner)?;
        if behind_s > 1.0 {
            outage.caught_up_s = watch.elapsed_s();
        }
        Ok(behind_s <= 1.0 && age_s <= FLUSHED_S)
    })?;
    outage.flushed_s = watch.elapsed_s();
    eprintln!("\ncaught up after {:.1} s, the store after {:.1} s", outage.caught_up_s, outage.flushed_s);

    // What the store has now is what the next one begins with.
    owner.signal("KILL")?;
    drop(owner);
    let watch = Stopwatch::start();
    let (mut heir, _) = place.start("processor", "p1")?;
    let partitions = place.partitions as usize;
    wait_until("it has restored", PATIENCE_S, || {
        heir.check()?;
        Ok(heir.said("processor started").len() >= partitions)
    })?;
    outage.restarted_s = watch.elapsed_s();
    sleep(Duration::from_secs_f64(AFTER_S));
    progress.enough.store(true, Ordering::SeqCst);
    sleep(2 * STEP);
    until_tick(place, told, &mut heir, progress.newest.load(Ordering::SeqCst))?;
    heir.end()?;
    let verified = place.command(&["replay", "--verify"])?;
    Ok(Outage { verified: String::from_utf8_lossy(&verified).trim().to_owned(), ..outage })
}

/// The sum of a metric over its labels, as operators see it.
fn metric(admin: u16, name: &str) -> Option<f64> {
    let answer = wire::get(admin, "/metrics")?;
    let values = answer.body.lines().filter(|line| line.starts_with(name)).filter_map(|line| line.rsplit(' ').next());
    Some(values.filter_map(|value| value.parse::<f64>().ok()).sum())
}

/// The store's process. Goes on when this ends.
struct Paused {
    pid: String,
}

impl Paused {
    fn signal(&self, name: &str) -> Result<(), BenchError> {
        let done = Command::new("kill").args(["-s", name, &self.pid]).status()?;
        if done.success() { Ok(()) } else { Err(BenchError::Broken(format!("kill -s {name} {}: {done}", self.pid))) }
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        drop(self.signal("CONT"));
    }
}
