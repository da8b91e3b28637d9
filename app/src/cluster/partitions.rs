//! The partitions of a process: a task on a thread of its own for each that the group gives it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use logystera_infra::clock::{Clock, SystemClock};
use logystera_infra::kafka::Kafka;
use logystera_infra::log::{LogError, Task};
use logystera_infra::runtime::CycleError;
use logystera_infra::shutdown::Shutdown;
use logystera_schemas::limits::{PARTITIONS_OWNED_MAX, TASK_RETRY_MS_MAX, TASK_RETRY_MS_MIN};
use logystera_schemas::topic::Topic;

use super::watched::Watched;

/// How long the group is served at a time.
const SERVE: Duration = Duration::from_millis(100);
/// How long a process that the group has thrown out waits before it joins again. A restarted broker does that; so does another
/// process under the same name, and then neither must spin.
const REJOIN_PAUSE: Duration = Duration::from_secs(1);
/// How often the group is shown how far its partitions are.
const SHOW_EVERY_MS: i64 = 5_000;

/// What a task does until its shutdown: the partition, the task, when to stop.
pub type Work = Arc<dyn Fn(u32, Watched, &Shutdown) -> Result<(), CycleError> + Send + Sync>;

/// Whose partitions are run.
#[derive(Clone, Debug)]
pub struct Share {
    /// The cluster.
    pub kafka: Kafka,
    /// The application.
    pub app: &'static str,
    /// What it reads.
    pub input: Topic,
    /// Name of this process in the group.
    pub instance: String,
    /// Whether the group has taken this process in and it runs what it was given.
    pub ready: Arc<AtomicBool>,
}

/// Stands for the position of a partition whose owner before is not fenced yet, or whose state is not read.
const NOT_TAKEN_OVER: u64 = u64::MAX;

/// A partition's thread.
struct Worker {
    stop: Shutdown,
    started_ms: i64,
    /// Position of the newest commit; [`NOT_TAKEN_OVER`] before there is one.
    committed: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Worker {
    fn is_taken_over(&self) -> bool {
        self.committed.load(Ordering::Relaxed) != NOT_TAKEN_OVER
    }
}

/// Why a partition is not run again at once.
struct Paused {
    until_ms: i64,
    pause_ms: u64,
}

/// Runs a task for each partition that is this process's, until `shutdown`. Blocks its thread.
///
/// A task that stops is taken over anew after a pause that doubles, and only while the group says that the partition is ours:
/// two owners must not fence each other for ever.
pub fn run(share: &Share, work: &Work, shutdown: &Shutdown) -> Result<(), LogError> {
    let mut workers = BTreeMap::new();
    let done = keep_running(share, work, shutdown, &mut workers);
    for worker in workers.values() {
        worker.stop.trigger();
    }
    for worker in workers.into_values() {
        // A thread that panicked has said so.
        drop(worker.thread.join());
    }
    done
}

fn keep_running(
    share: &Share,
    work: &Work,
    shutdown: &Shutdown,
    workers: &mut BTreeMap<u32, Worker>,
) -> Result<(), LogError> {
    let mut member = share.kafka.join(share.app, share.input, &share.instance)?;
    let clock = SystemClock::new();
    let mut paused: BTreeMap<u32, Paused> = BTreeMap::new();
    let owned = metrics::gauge!("logystera_partitions_owned", "app" => share.app);
    let failing = metrics::gauge!("logystera_tasks_failing", "app" => share.app);
    let mut shown_ms = clock.monotonic_ms();
    while !shutdown.is_set() {
        let now_ms = clock.monotonic_ms();
        if now_ms - shown_ms >= SHOW_EVERY_MS {
            shown_ms = now_ms;
            for (partition, worker) in workers.iter().filter(|(_, worker)| worker.is_taken_over()) {
                member.show(*partition, worker.committed.load(Ordering::Relaxed));
            }
        }
        if let Err(error) = member.serve(SERVE) {
            // What runs goes on: who is given a partition of ours fences us.
            tracing::warn!(app = share.app, %error, "out of the group; joining it anew");
            share.ready.store(false, Ordering::Relaxed);
            drop(member);
            shutdown.wait_timeout(REJOIN_PAUSE);
            member = share.kafka.join(share.app, share.input, &share.instance)?;
            continue;
        }
        if !member.has_joined() {
            continue;
        }
        let own = member.own();
        for (partition, worker) in workers.iter() {
            if !own.contains(partition) {
                worker.stop.trigger();
            }
        }
        for (partition, worker) in workers.extract_if(.., |_, worker| worker.thread.is_finished()) {
            let lasted = now_ms - worker.started_ms > TASK_RETRY_MS_MAX as i64;
            let last = if lasted { 0 } else { paused.get(&partition).map_or(0, |p| p.pause_ms) };
            let pause_ms = (2 * last).clamp(TASK_RETRY_MS_MIN, TASK_RETRY_MS_MAX);
            paused.insert(partition, Paused { until_ms: now_ms + pause_ms as i64, pause_ms });
        }
        // What was given away and comes back starts at once.
        paused.retain(|partition, _| own.contains(partition));
        for partition in own {
            if workers.contains_key(partition) || paused.get(partition).is_some_and(|p| now_ms < p.until_ms) {
                continue;
            }
            if workers.len() >= PARTITIONS_OWNED_MAX {
                tracing::error!(
                    partition,
                    "{PARTITIONS_OWNED_MAX} partitions are as many as a process may own: start another"
                );
                paused.insert(*partition, Paused { until_ms: now_ms + TASK_RETRY_MS_MAX as i64, pause_ms: 0 });
                continue;
            }
            workers.insert(*partition, start(share, *partition, work, now_ms)?);
        }
        let running = own.iter().all(|partition| workers.get(partition).is_some_and(Worker::is_taken_over));
        share.ready.store(running, Ordering::Relaxed);
        let gauge = |count: usize| f64::from(u16::try_from(count).unwrap_or(u16::MAX));
        owned.set(gauge(workers.len()));
        failing.set(gauge(paused.values().filter(|p| p.until_ms > now_ms).count()));
    }
    Ok(())
}

fn start(share: &Share, partition: u32, work: &Work, started_ms: i64) -> Result<Worker, LogError> {
    let (app, stop, committed) = (share.app, Shutdown::new(), Arc::new(AtomicU64::new(NOT_TAKEN_OVER)));
    let (share, work, own_stop, position) = (share.clone(), Arc::clone(work), stop.clone(), Arc::clone(&committed));
    let body = move || {
        tracing::info!(app, partition, "taking a partition over");
        let task = share.kafka.task(app, share.input, partition);
        if let Ok(task) = &task {
            tracing::info!(
                app,
                partition,
                position = task.position(),
                "fenced the owner before and read what it committed"
            );
        }
        metrics::counter!("logystera_takeovers_total", "app" => app).increment(1);
        let watched = task.map(|task| Watched::new(task, app, partition, position));
        match watched.map_err(CycleError::from).and_then(|task| work(partition, task, &own_stop)) {
            Ok(()) => {}
            Err(CycleError::Log(LogError::Fenced)) => {
                tracing::info!(app, partition, "another process owns the partition");
            }
            Err(error) => tracing::error!(app, partition, %error, "stopped; the partition is taken over anew"),
        }
    };
    let name = format!("{app}-{partition}");
    let thread = std::thread::Builder::new().name(name).spawn(body);
    thread.map(|thread| Worker { stop, started_ms, committed, thread }).map_err(|e| LogError::Away(e.to_string()))
}
