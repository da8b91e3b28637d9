//! The task on a log in memory: starts are durable before requests leave, and a crash loses nothing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use common::{START_MS, answered, channels, detection, tick};
use logystera_alerter::core::Due;
use logystera_alerter::task::{Courier, PlannerMachine, outcomes, run};
use logystera_infra::clock::SystemClock;
use logystera_infra::log::{Commit, Entry, LogError, Record, Task};
use logystera_infra::pace::IdleCommits;
use logystera_infra::runtime::CycleError;
use logystera_infra::shutdown::Shutdown;
use logystera_schemas::delivery::{Attempt, AttemptEnded, AttemptOutcome, AttemptState};
use logystera_schemas::detection::DetectionState;
use logystera_schemas::limits::ATTEMPTS_IN_FLIGHT_CHANNEL_MAX;
use logystera_schemas::schema;
use logystera_schemas::signals_topic::Seal;
use logystera_schemas::topic::{DetectionsRecord, Topic};

/// A log, a store and a fence in memory.
#[derive(Default)]
struct Memory {
    detections: Vec<Vec<u8>>,
    attempts: Vec<Attempt>,
    state: BTreeMap<Vec<u8>, Vec<u8>>,
    position: u64,
    sealed: bool,
    owner: u64,
    /// How many records of the alerter's own each commit with any brought to topic detections.
    said: Vec<usize>,
    /// The commit, counted from now, that does not come about: the owner finds itself fenced.
    fails_in: Option<u32>,
    /// A record that somebody else appends just before the owner's next ones.
    slips_in: Option<Vec<u8>>,
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Memory>>);

impl Shared {
    fn append(&self, record: DetectionsRecord) {
        let value = match record {
            DetectionsRecord::Detection(r) => schema::encode(&*r),
            DetectionsRecord::Tick(r) => schema::encode(&r),
            DetectionsRecord::ChannelsConfigured(r) => schema::encode(&r),
            DetectionsRecord::ChannelEnabled(r) => schema::encode(&r),
            DetectionsRecord::Silence(r) => schema::encode(&r),
            DetectionsRecord::SiteLabelled(r) => schema::encode(&r),
            DetectionsRecord::Resend(r) => schema::encode(&*r),
            DetectionsRecord::AttemptStarted(r) => schema::encode(&r),
            DetectionsRecord::AttemptEnded(r) => schema::encode(&r),
            DetectionsRecord::Seal(r) => schema::encode(&r),
        };
        self.0.lock().unwrap().detections.push(value);
    }

    fn take_over(&self) -> MemoryTask {
        let mut memory = self.0.lock().unwrap();
        memory.owner += 1;
        memory.fails_in = None;
        MemoryTask { shared: self.clone(), owner: memory.owner, next: memory.position }
    }

    fn rows(&self) -> Vec<(String, u32, AttemptState)> {
        self.0.lock().unwrap().attempts.iter().map(|r| (r.reason.clone(), r.attempt, r.state)).collect()
    }

    /// How many records of this kind stand in topic detections.
    fn count(&self, which: fn(&DetectionsRecord) -> bool) -> usize {
        let memory = self.0.lock().unwrap();
        memory.detections.iter().filter(|value| which(&DetectionsRecord::decode(value).unwrap())).count()
    }
}

struct MemoryTask {
    shared: Shared,
    owner: u64,
    next: u64,
}

impl Task for MemoryTask {
    fn position(&self) -> u64 {
        self.shared.0.lock().unwrap().position
    }

    fn restore(&mut self, restore: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), LogError> {
        self.shared.0.lock().unwrap().state.iter().for_each(|(key, value)| restore(key, value));
        Ok(())
    }

    fn input_end(&mut self) -> Result<u64, LogError> {
        Ok(self.shared.0.lock().unwrap().detections.len() as u64)
    }

    fn read(&mut self, wait: Duration) -> Result<Vec<Record>, LogError> {
        for last in [false, true] {
            let memory = self.shared.0.lock().unwrap();
            let new = &memory.detections[self.next as usize..];
            if !new.is_empty() || last {
                let records = (self.next..).zip(new).map(|(offset, value)| Record {
                    offset,
                    key: Vec::new(),
                    value: value.clone(),
                });
                let records: Vec<Record> = records.collect();
                self.next += records.len() as u64;
                return Ok(records);
            }
            drop(memory);
            std::thread::sleep(wait.min(Duration::from_millis(2)));
        }
        Ok(Vec::new())
    }

    fn commit(&mut self, commit: Commit) -> Result<(), LogError> {
        let mut memory = self.shared.0.lock().unwrap();
        if let Some(left) = memory.fails_in.as_mut() {
            *left = left.saturating_sub(1);
            if *left == 0 {
                return Err(LogError::Fenced);
            }
        }
        if memory.owner != self.owner {
            return Err(LogError::Fenced);
        }
        let said = commit.outputs.iter().filter(|entry| entry.topic == Topic::Detections).count();
        if said > 0 {
            memory.said.push(said);
            let other = memory.slips_in.take();
            memory.detections.extend(other);
        }
        for Entry { topic, value, .. } in commit.outputs {
            match topic {
                Topic::Detections => memory.detections.push(value),
                Topic::Attempts => memory.attempts.push(schema::decode(&value).unwrap()),
                other => panic!("the alerter does not write {}", other.name()),
            }
        }
        for (key, value) in commit.puts {
            match value {
                Some(value) => memory.state.insert(key, value),
                None => memory.state.remove(&key),
            };
        }
        memory.position = commit.position;
        memory.sealed = commit.sealed;
        Ok(())
    }
}

/// A courier whose receiver answers what the test says, or never.
#[derive(Clone)]
struct Scripted {
    shared: Shared,
    sent: Arc<Mutex<Vec<Due>>>,
    answers: Option<(AttemptOutcome, Option<u32>)>,
    outcomes: SyncSender<AttemptEnded>,
}

impl Courier for Scripted {
    fn send(&self, due: Due) {
        // The rule of the whole: what leaves was recorded before.
        let recorded = self.shared.0.lock().unwrap().detections.iter().any(|value| {
            matches!(DetectionsRecord::decode(value).unwrap(), DetectionsRecord::AttemptStarted(s)
                if s.delivery == due.delivery && s.attempt == due.attempt)
        });
        assert!(recorded, "attempt {} left unrecorded", due.attempt);
        self.sent.lock().unwrap().push(due.clone());
        if let Some((outcome, status)) = self.answers {
            self.outcomes
                .try_send(answered(&due, outcome, status))
                .expect("the channel holds all that can be in the air");
        }
    }
}

struct Running {
    thread: JoinHandle<Result<(), CycleError>>,
    shutdown: Shutdown,
    sent: Arc<Mutex<Vec<Due>>>,
}

impl Running {
    fn stop(self) -> Result<(), CycleError> {
        self.shutdown.trigger();
        self.thread.join().unwrap()
    }

    fn sent(&self) -> Vec<Due> {
        self.sent.lock().unwrap().clone()
    }
}

fn start(shared: &Shared, answers: Option<(AttemptOutcome, Option<u32>)>) -> Running {
    let (sender, receiver) = outcomes();
    let (shutdown, sent) = (Shutdown::new(), Arc::<Mutex<Vec<Due>>>::default());
    let courier = Scripted { shared: shared.clone(), sent: Arc::clone(&sent), answers, outcomes: sender };
    let (task, stop) = (shared.take_over(), shutdown.clone());
    let thread = std::thread::spawn(move || {
        run(PlannerMachine::new(0), task, &courier, receiver, &SystemClock::new(), IdleCommits::Soon, &stop)
    });
    Running { thread, shutdown, sent }
}

fn until(what: &str, reached: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if reached() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("not within ten seconds: {what}");
}

const OK: Option<(AttemptOutcome, Option<u32>)> = Some((AttemptOutcome::Delivered, Some(200)));

fn seeded(detections: u64) -> Shared {
    let shared = Shared::default();
    shared.append(tick(0, START_MS));
    shared.append(channels("t", &["a"]));
    (1..=detections).for_each(|seq| {
        shared.append(DetectionsRecord::Detection(Box::new(detection("t", seq, DetectionState::Firing))));
    });
    shared
}

#[test]
fn an_alert_is_sent_once_and_recorded_before_and_after() {
    let shared = seeded(1);
    let running = start(&shared, OK);
    until("delivered", || shared.rows().len() == 2);
    assert_eq!(running.sent().len(), 1);
    running.stop().unwrap();
    let expected =
        [("started".to_owned(), 1, AttemptState::Started), ("delivered".to_owned(), 1, AttemptState::Delivered)];
    assert_eq!(shared.rows(), expected);

    // Another process finds nothing left to do.
    let second = start(&shared, OK);
    shared.append(tick(0, START_MS + 86_400_000));
    let end = shared.0.lock().unwrap().detections.len() as u64;
    until("caught up", || shared.0.lock().unwrap().position == end);
    assert_eq!(second.sent(), []);
    second.stop().unwrap();
}

#[test]
fn an_attempt_without_an_outcome_is_unknown_and_sent_again_under_the_same_key() {
    use AttemptState::{Delivered, Started, Unknown};

    let shared = seeded(1);
    let first = start(&shared, None);
    until("sent", || first.sent().len() == 1);
    // Fencing is the crash as the log sees it: the first owner commits nothing more.
    let second = start(&shared, OK);
    until("told of", || shared.rows().iter().any(|row| row.2 == AttemptState::Unknown));
    shared.append(tick(0, START_MS + 10_000));
    until("delivered", || shared.rows().iter().any(|row| row.2 == AttemptState::Delivered));
    let (before, after) = (first.sent(), second.sent());
    assert_eq!((before[0].delivery, before[0].attempt, after[0].attempt), (after[0].delivery, 1, 2));
    second.stop().unwrap();
    shared.append(tick(0, START_MS + 11_000));
    assert!(matches!(first.thread.join().unwrap(), Err(CycleError::Log(LogError::Fenced))));
    let states: Vec<AttemptState> = shared.rows().into_iter().map(|row| row.2).collect();
    assert_eq!(states, [Started, Unknown, Started, Delivered]);
}

#[test]
fn at_a_seal_what_is_in_the_air_is_left_to_those_who_go_on() {
    use AttemptState::{Delivered, Started, Unknown};

    let shared = seeded(1);
    let first = start(&shared, None);
    until("sent", || first.sent().len() == 1);
    shared.append(DetectionsRecord::Seal(Seal { generation: 0, partition: 0, next_partitions: 4 }));
    shared.append(DetectionsRecord::Detection(Box::new(detection("t", 2, DetectionState::Firing))));
    first.thread.join().unwrap().unwrap();
    let at_the_seal = {
        let memory = shared.0.lock().unwrap();
        assert!(memory.sealed, "its last commit says so");
        memory.position
    };
    assert_eq!(shared.count(|r| matches!(r, DetectionsRecord::AttemptEnded(_))), 0, "nobody would read it");
    assert_eq!(
        shared.0.lock().unwrap().detections.len() as u64,
        at_the_seal + 1,
        "and nothing stands behind the seal of ours"
    );

    // The next generation begins with its state, and nothing in it.
    let next = Shared::default();
    next.0.lock().unwrap().state = shared.0.lock().unwrap().state.clone();
    let second = start(&next, OK);
    until("told of", || next.rows().iter().any(|row| row.2 == Unknown));
    next.append(tick(0, START_MS + 10_000));
    until("delivered", || next.rows().iter().any(|row| row.2 == Delivered));
    let (before, after) = (first.sent.lock().unwrap()[0].delivery, second.sent());
    assert_eq!((after.len(), after[0].delivery), (1, before), "under the same key");
    second.stop().unwrap();
    assert_eq!(next.rows().into_iter().map(|row| row.2).collect::<Vec<_>>(), [Unknown, Started, Delivered]);
}

#[test]
fn whichever_commit_a_crash_hits_every_alert_arrives_under_one_key() {
    for crash_at in 1..=12 {
        let shared = seeded(6);
        let mut sent = Vec::new();
        for life in 0..4 {
            let running = start(&shared, OK);
            if life < 3 {
                shared.0.lock().unwrap().fails_in = Some(crash_at + life);
            }
            let delivered = || shared.rows().iter().filter(|row| row.2 == AttemptState::Delivered).count();
            let mut now = START_MS + i64::from(life) * 1_000_000;
            while !running.thread.is_finished() && delivered() < 6 {
                now += 10_000;
                shared.append(tick(0, now));
                std::thread::sleep(Duration::from_millis(2));
            }
            running.shutdown.trigger();
            sent.extend(running.sent());
            if running.thread.join().unwrap().is_ok() && delivered() >= 6 {
                break;
            }
        }
        let keys: BTreeSet<_> = sent.iter().map(|due| (due.detection.seq, due.delivery)).collect();
        assert_eq!(keys.len(), 6, "crash at commit {crash_at}: one key for each detection");
        let attempts: BTreeSet<_> = sent.iter().map(|due| (due.delivery, due.attempt)).collect();
        assert_eq!(attempts.len(), sent.len(), "crash at commit {crash_at}: no attempt leaves twice");
        let delivered = shared.rows().iter().filter(|row| row.2 == AttemptState::Delivered).count();
        assert_eq!(delivered, 6, "crash at commit {crash_at}");
    }
}

#[test]
fn a_stop_waits_for_what_is_in_the_air() {
    let shared = seeded(3);
    let (sender, receiver) = outcomes();
    let courier = Scripted { shared: shared.clone(), sent: Arc::default(), answers: None, outcomes: sender.clone() };
    let (task, shutdown, sent) = (shared.take_over(), Shutdown::new(), Arc::clone(&courier.sent));
    let stop = shutdown.clone();
    let thread = std::thread::spawn(move || {
        run(PlannerMachine::new(0), task, &courier, receiver, &SystemClock::new(), IdleCommits::Soon, &stop)
    });
    until("sent", || sent.lock().unwrap().len() == 3);
    shutdown.trigger();
    // A step that was under way when the wish came may still start what it finds.
    std::thread::sleep(Duration::from_millis(500));
    shared.append(DetectionsRecord::Detection(Box::new(detection("t", 4, DetectionState::Firing))));
    std::thread::sleep(Duration::from_millis(50));
    assert!(!thread.is_finished(), "attempts are in the air");
    for due in sent.lock().unwrap().iter() {
        sender.try_send(answered(due, AttemptOutcome::Delivered, Some(200))).unwrap();
    }
    thread.join().unwrap().unwrap();
    assert_eq!(shared.rows().iter().filter(|row| row.2 == AttemptState::Delivered).count(), 3);
    assert_eq!(shared.count(|r| matches!(r, DetectionsRecord::AttemptStarted(_))), 3, "nothing more was started");
}

#[test]
fn a_channel_removed_before_the_start_is_read_back_gets_no_request() {
    let shared = seeded(0);
    let DetectionsRecord::ChannelsConfigured(removal) = channels("t", &[]) else { panic!("channels are configured") };
    let running = start(&shared, OK);
    until("started", || shared.0.lock().unwrap().position == 2);
    shared.0.lock().unwrap().slips_in = Some(schema::encode(&removal));
    shared.append(DetectionsRecord::Detection(Box::new(detection("t", 1, DetectionState::Firing))));
    until("told of", || !shared.rows().is_empty());
    assert_eq!(shared.count(|r| matches!(r, DetectionsRecord::AttemptStarted(_))), 1, "it was about to start");
    assert_eq!(running.sent(), []);
    running.stop().unwrap();
    let not_sent = |reason: &str| (reason.to_owned(), 0, AttemptState::NotSent);
    assert_eq!(shared.rows(), [not_sent("channel_removed"), not_sent("nobody_told")]);
}

/// In a new installation a detection can come before the first tick. What the channel asks for then, and when it was switched off, would
/// be told from 1970 on, and over with the first tick.
#[test]
fn nothing_leaves_before_the_time_is_known() {
    let shared = Shared::default();
    shared.append(channels("t", &["a"]));
    shared.append(DetectionsRecord::Detection(Box::new(detection("t", 1, DetectionState::Firing))));
    let running = start(&shared, OK);
    until("applied", || shared.0.lock().unwrap().position >= 2);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(running.sent(), []);
    shared.append(tick(0, START_MS));
    until("delivered", || shared.rows().len() == 2);
    running.stop().unwrap();
}

/// What ended and what starts in its place is one write to the disk.
#[test]
fn the_ends_and_the_starts_of_a_channel_go_to_the_log_together() {
    let (at_once, alerts) = (ATTEMPTS_IN_FLIGHT_CHANNEL_MAX, 5 * ATTEMPTS_IN_FLIGHT_CHANNEL_MAX);
    let shared = seeded(alerts as u64);
    let running = start(&shared, OK);
    let delivered = || shared.rows().iter().filter(|row| row.2 == AttemptState::Delivered).count();
    until("delivered", || delivered() == alerts);
    running.stop().unwrap();
    let said = shared.0.lock().unwrap().said.clone();
    let (first, last) = (said[0], said[said.len() - 1]);
    assert_eq!((first, last), (at_once, at_once), "the first starts, the last ends");
    assert_eq!(said[1..said.len() - 1], [2 * at_once; 4], "and in between both: {said:?}");
}
