//! The partitions of a process: a task on a thread of its own for each that the group gives it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use logystera_infra::clock::{Clock, SystemClock};
use logystera_infra::directory::DirectoryView;
use logystera_infra::log::{LogError, Task as _};
use logystera_infra::retries::Retries;
use logystera_infra::runtime::CycleError;
use logystera_infra::shutdown::Shutdown;
use logystera_schemas::control::GrowingTopic;
use logystera_schemas::limits::{PARTITIONS_OWNED_MAX, TASK_RETRY_MS_MAX, TASK_RETRY_MS_MIN};
use logystera_schemas::partition::PartitionRef;
use logystera_schemas::topic::Topic;

use crate::cluster::Kafka;
use crate::growth::Layouts;
use crate::log::KafkaLog;
use crate::member::Member;
use crate::task::KafkaTask;

/// How long the group is served at a time.
const SERVE: Duration = Duration::from_millis(100);
/// How long a process that the group has thrown out waits before it joins again. A restarted broker does that; so does another
/// process under the same name, and then neither must spin.
const REJOIN_PAUSE: Duration = Duration::from_secs(1);
/// How long a partition is left alone that waits for others to come to their seals, or for a growth to go on.
const EARLY_PAUSE_MS: i64 = 200;
/// How often the group is shown how far its partitions are.
const SHOW_EVERY_MS: i64 = 5_000;

/// What a task needs to run.
pub struct Run<'a> {
    /// What it reads.
    pub place: PartitionRef,
    /// The task.
    pub task: KafkaTask,
    /// How the topics that it writes to are laid out.
    pub layouts: Layouts,
    /// When to stop.
    pub stop: &'a Shutdown,
}

/// What a task does until its shutdown, or the partition's seal.
pub type Work = Arc<dyn Fn(Run<'_>) -> Result<(), CycleError> + Send + Sync>;

/// Topic `control`, as a process follows it.
#[derive(Clone, Debug)]
pub struct Control {
    /// The log.
    pub log: KafkaLog,
    /// What it has seen.
    pub view: DirectoryView,
}

/// Whose partitions are run.
#[derive(Clone, Debug)]
pub struct Share {
    /// The cluster.
    pub kafka: Kafka,
    /// What is configured: how the topics grow.
    pub control: Control,
    /// The application.
    pub app: &'static str,
    /// What it reads.
    pub input: Topic,
    /// Name of this process in the group.
    pub instance: String,
    /// Whether the group has taken this process in and it runs what it was given.
    pub ready: Arc<AtomicBool>,
}

impl Share {
    /// How the topics are laid out, as far as this process has heard.
    fn layouts(&self) -> Layouts {
        Layouts::of(self.kafka.config(), &self.control.view.current())
    }

    /// Whether nothing is left to be done for a partition, or not yet; none: it can be taken over.
    fn stands_back(&self, place: PartitionRef) -> Result<Option<End>, LogError> {
        let layouts = self.layouts();
        // Both applications write to `detections`.
        if layouts.is_closing(GrowingTopic::Detections) {
            return Ok(Some(End::Early));
        }
        let read = layouts.read(self.input);
        // The group will hear of it.
        if !read.contains(&place.generation) {
            return Ok(Some(End::Early));
        }
        if read.len() > 1 && read.first() == Some(&place.generation) && self.is_sealed(place)? {
            return Ok(Some(End::Sealed));
        }
        let Some(parent) = place.parent() else { return Ok(None) };
        let before = read.iter().find(|generation| generation.number == parent.generation.number);
        let Some(generation) = before else { return Ok(None) };
        Ok((!self.is_sealed(PartitionRef { generation: *generation, ..parent })?).then_some(End::Early))
    }

    fn is_sealed(&self, place: PartitionRef) -> Result<bool, LogError> {
        Ok(self.kafka.committed(self.app, place)?.sealed)
    }
}

/// Why a partition's thread has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It was told to, or something failed.
    Stopped,
    /// The record at this offset cannot be applied, or is gone: it stands there until somebody says how to go on.
    Halted(u64),
    /// What it has to wait for has not happened yet.
    Early,
    /// The partition has ended, and everything before its seal is committed.
    Sealed,
}

/// Stands for the position of a partition whose owner before is not fenced yet, or whose state is not read.
const NOT_TAKEN_OVER: u64 = u64::MAX;

/// A partition's thread.
struct Worker {
    stop: Shutdown,
    started_ms: i64,
    /// Position of the newest commit; [`NOT_TAKEN_OVER`] before there is one.
    committed: Arc<AtomicU64>,
    thread: JoinHandle<End>,
}

impl Worker {
    fn is_taken_over(&self) -> bool {
        self.committed.load(Ordering::Relaxed) != NOT_TAKEN_OVER
    }
}

/// Why a partition is not run again at once.
struct Paused {
    until_ms: i64,
    retries: Retries,
    /// The offset that it stands at.
    halted: Option<u64>,
}

impl Paused {
    fn until(until_ms: i64) -> Self {
        Self { until_ms, retries: Retries::default(), halted: None }
    }
}

/// Runs a task for each partition that is this process's, until `shutdown`. Blocks its thread.
///
/// A task that stops is taken over anew after a pause that doubles, and only while the group says that the partition is ours:
/// two owners must not fence each other for ever.
pub fn run(share: &Share, work: &Work, shutdown: &Shutdown) -> Result<(), LogError> {
    let mut workers = BTreeMap::new();
    let mut member = None;
    let done = keep_running(share, work, shutdown, &mut workers, &mut member);
    for worker in workers.values() {
        worker.stop.trigger();
    }
    for worker in workers.into_values() {
        // A thread that panicked has said so.
        drop(worker.thread.join());
    }
    // What was applied is committed: others may have the partitions.
    if let Some(member) = member {
        member.leave();
    }
    done
}

/// The partitions of a process that do not run.
#[derive(Default)]
struct Rest {
    paused: BTreeMap<PartitionRef, Paused>,
    sealed: BTreeSet<PartitionRef>,
}

impl Rest {
    /// Takes those in whose threads have ended.
    fn reap(&mut self, workers: &mut BTreeMap<PartitionRef, Worker>, now_ms: i64) {
        let Self { paused, sealed } = self;
        for (partition, worker) in workers.extract_if(.., |_, worker| worker.thread.is_finished()) {
            let started_ms = worker.started_ms;
            // A thread that panicked has said so.
            let halted = match worker.thread.join().unwrap_or(End::Stopped) {
                End::Sealed => {
                    sealed.insert(partition);
                    continue;
                }
                End::Early => {
                    paused.insert(partition, Paused::until(now_ms + EARLY_PAUSE_MS));
                    continue;
                }
                End::Halted(offset) => Some(offset),
                End::Stopped => None,
            };
            let mut retries = paused.get(&partition).map_or_else(Retries::default, |paused| paused.retries);
            let until_ms = now_ms + retries.pause_after(now_ms - started_ms).as_millis() as i64;
            paused.insert(partition, Paused { until_ms, retries, halted });
        }
    }

    /// Looks again at those that wait: `skips_differ` where somebody has said how to go on.
    fn look_again(
        &mut self,
        own: &BTreeSet<PartitionRef>,
        workers: &BTreeMap<PartitionRef, Worker>,
        skips_differ: bool,
        now_ms: i64,
    ) {
        let halted = self.paused.values_mut().filter(|p| skips_differ && p.halted.is_some());
        halted.for_each(|p| p.until_ms = now_ms);
        for (place, worker) in workers.iter().filter(|(_, worker)| worker.is_taken_over()) {
            let position = worker.committed.load(Ordering::Relaxed);
            if let Some(paused) = self.paused.get_mut(place).filter(|p| p.halted.is_some_and(|at| at < position)) {
                paused.halted = None;
            }
        }
        // What was given away and comes back starts at once.
        self.paused.retain(|partition, _| own.contains(partition));
        self.sealed.retain(|partition| own.contains(partition));
    }
}

fn keep_running(
    share: &Share,
    work: &Work,
    shutdown: &Shutdown,
    workers: &mut BTreeMap<PartitionRef, Worker>,
    membership: &mut Option<Member>,
) -> Result<(), LogError> {
    let join = || share.kafka.join(share.app, share.input, &share.layouts().read(share.input), &share.instance);
    let mut member = membership.insert(join()?);
    let clock = SystemClock::new();
    let mut rest = Rest::default();
    let owned = metrics::gauge!("logystera_partitions_owned", "app" => share.app);
    let failing = metrics::gauge!("logystera_tasks_failing", "app" => share.app);
    let halted = metrics::gauge!("logystera_partitions_halted", "app" => share.app);
    let mut directory = share.control.view.current();
    let (mut shown, mut shown_ms) = (BTreeMap::new(), clock.monotonic_ms());
    let mut told_full_ms: Option<i64> = None;
    while !shutdown.is_set() {
        let now_ms = clock.monotonic_ms();
        if now_ms - shown_ms >= SHOW_EVERY_MS {
            shown_ms = now_ms;
            for (place, worker) in workers.iter().filter(|(_, worker)| worker.is_taken_over()) {
                let position = worker.committed.load(Ordering::Relaxed);
                if shown.insert(*place, position) != Some(position) {
                    member.show(*place, position);
                }
            }
        }
        if let Err(error) = member.serve(SERVE) {
            // What runs goes on: who is given a partition of ours fences us.
            tracing::warn!(app = share.app, %error, "out of the group; joining it anew");
            share.ready.store(false, Ordering::Relaxed);
            *membership = None;
            shutdown.wait_timeout(REJOIN_PAUSE);
            member = membership.insert(join()?);
            shown.clear();
            continue;
        }
        if !member.has_joined() {
            continue;
        }
        member.read_generations(&share.layouts().read(share.input))?;
        let own = member.own();
        for (partition, worker) in workers.iter() {
            if !own.contains(partition) {
                worker.stop.trigger();
            }
        }
        rest.reap(workers, now_ms);
        let newest = share.control.view.current();
        rest.look_again(own, workers, newest.skips_differ(&directory), now_ms);
        directory = newest;
        for partition in own.difference(&rest.sealed) {
            if workers.contains_key(partition) || rest.paused.get(partition).is_some_and(|p| now_ms < p.until_ms) {
                continue;
            }
            if workers.len() >= PARTITIONS_OWNED_MAX {
                if told_full_ms.is_none_or(|told_ms| now_ms - told_ms >= TASK_RETRY_MS_MAX as i64) {
                    told_full_ms = Some(now_ms);
                    tracing::error!(
                        %partition,
                        "{PARTITIONS_OWNED_MAX} partitions are as many as a process may own: start another"
                    );
                }
                // Soon again: one of those that run may be given away at any time.
                rest.paused.insert(*partition, Paused::until(now_ms + TASK_RETRY_MS_MIN as i64));
                continue;
            }
            workers.insert(*partition, start(share, *partition, work, now_ms)?);
        }
        let running =
            own.difference(&rest.sealed).all(|partition| workers.get(partition).is_some_and(Worker::is_taken_over));
        share.ready.store(running, Ordering::Relaxed);
        let gauge = |count: usize| f64::from(u16::try_from(count).unwrap_or(u16::MAX));
        owned.set(gauge(workers.len()));
        failing.set(gauge(rest.paused.values().filter(|p| p.until_ms > now_ms).count()));
        halted.set(gauge(rest.paused.values().filter(|p| p.halted.is_some()).count()));
    }
    Ok(())
}

fn start(share: &Share, place: PartitionRef, work: &Work, started_ms: i64) -> Result<Worker, LogError> {
    let (app, stop, committed) = (share.app, Shutdown::new(), Arc::new(AtomicU64::new(NOT_TAKEN_OVER)));
    let (share, work, own_stop, position) = (share.clone(), Arc::clone(work), stop.clone(), Arc::clone(&committed));
    let body = move || {
        let end = share.stands_back(place).map_err(CycleError::from).and_then(|end| match end {
            Some(end) => Ok(end),
            None => take_over(&share, place, position, &work, &own_stop),
        });
        match end {
            Ok(end) => return end,
            Err(CycleError::Log(LogError::Fenced)) => {
                tracing::info!(app, partition = %place, "another process owns the partition");
            }
            Err(error) => {
                let told = error.told(share.input, &place.to_string());
                tracing::error!(app, partition = %place, error = told, "stopped; the partition is taken over anew");
                if let Some(offset) = error.stands_at() {
                    return End::Halted(offset);
                }
            }
        }
        End::Stopped
    };
    let name = format!("{app}-{place}");
    let thread = std::thread::Builder::new().name(name).spawn(body);
    thread.map(|thread| Worker { stop, started_ms, committed, thread }).map_err(|e| LogError::Away(e.to_string()))
}

/// Takes a partition over and works until it is told to stop, or the partition has ended.
fn take_over(
    share: &Share,
    place: PartitionRef,
    position: Arc<AtomicU64>,
    work: &Work,
    stop: &Shutdown,
) -> Result<End, CycleError> {
    let app = share.app;
    tracing::info!(app, partition = %place, "taking a partition over");
    metrics::counter!("logystera_takeovers_total", "app" => app).increment(1);
    let mut task = share.kafka.task_at(app, share.input, place)?;
    // Asked after the owner before was fenced: a growth that is not seen here fences this one.
    let directory = share.control.view.caught_up(&share.control.log)?;
    let layouts = Layouts::of(share.kafka.config(), &directory);
    if layouts.is_closing(GrowingTopic::Detections) {
        return Ok(End::Early);
    }
    task.write_to(layouts.clone());
    task.pass_over(directory.skips(share.input, place.generation.number, place.partition));
    let from = task.position();
    tracing::info!(app, partition = %place, position = from, "fenced the owner before and read what it committed");
    task.show(place, position);
    work(Run { place, task, layouts, stop })?;
    let end = if stop.is_set() { End::Stopped } else { End::Sealed };
    if end == End::Sealed {
        tracing::info!(app, partition = %place, "the partition has grown, and everything before its seal is committed");
    }
    Ok(end)
}
