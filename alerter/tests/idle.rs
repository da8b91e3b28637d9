//! What the task does while only time passes, and that it says when it waits for time.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

mod common;

use std::collections::VecDeque;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{START_MS, answered, channels, detection, line_of, tick};
use logystera_alerter::core::Due;
use logystera_alerter::task::{Courier, PlannerMachine, outcomes, run};
use logystera_infra::clock::{Clock, ManualClock};
use logystera_infra::log::{Commit, LogError, Record, Task};
use logystera_infra::pace::{IdleCommits, TimeWanted};
use logystera_infra::shutdown::Shutdown;
use logystera_schemas::delivery::{AttemptEnded, AttemptOutcome};
use logystera_schemas::detection::DetectionState;
use logystera_schemas::schema;
use logystera_schemas::topic::{DetectionsRecord, Topic};

/// A read that gives nothing, or gives at once, takes so long.
const READ_MS: i64 = 10;

/// Topic `detections`, to which records come in their time, from others and from the task itself. Who forwards the ticks does so each
/// second while time is wanted, and else once a minute.
#[derive(Clone)]
struct Script(Arc<Mutex<Inner>>);

struct Inner {
    clock: ManualClock,
    events: VecDeque<(i64, DetectionsRecord)>,
    until_ms: i64,
    shutdown: Shutdown,
    wanted: TimeWanted,
    forwarded_ms: i64,
    log: Vec<Vec<u8>>,
    read: usize,
    commits: Vec<i64>,
    /// When attempts left.
    sent: Vec<i64>,
    /// When time was wanted, and from when on no more.
    wishes: Vec<(i64, bool)>,
}

impl Inner {
    fn look(&mut self) {
        let (now, wanted) = (self.clock.monotonic_ms(), self.wanted.is_set());
        if self.wishes.last().is_none_or(|(_, before)| *before != wanted) {
            self.wishes.push((now, wanted));
        }
        if now - self.forwarded_ms >= if wanted { 1_000 } else { 60_000 } {
            self.forwarded_ms = now;
            self.push(tick(0, START_MS + now));
        }
        while let Some((_, record)) = self.events.pop_front_if(|(at, _)| *at <= now) {
            // The engine's commit has the ticks that waited before it.
            self.forwarded_ms = now;
            self.push(tick(0, START_MS + now));
            self.push(record);
        }
    }

    fn push(&mut self, record: DetectionsRecord) {
        self.log.push(match record {
            DetectionsRecord::Detection(r) => schema::encode(&*r),
            DetectionsRecord::Tick(r) => schema::encode(&r),
            DetectionsRecord::ChannelsConfigured(r) => schema::encode(&r),
            DetectionsRecord::Silence(r) => schema::encode(&r),
            other => panic!("{other:?}"),
        });
    }
}

impl Task for Script {
    fn position(&self) -> u64 {
        0
    }

    fn restore(&mut self, _: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), LogError> {
        Ok(())
    }

    fn input_end(&mut self) -> Result<u64, LogError> {
        Ok(self.0.lock().unwrap().log.len() as u64)
    }

    fn read(&mut self, wait: Duration) -> Result<Vec<Record>, LogError> {
        let mut inner = self.0.lock().unwrap();
        if inner.log.len() == inner.read {
            inner.clock.pass(READ_MS.max(wait.as_millis() as i64) as u32);
        }
        inner.look();
        if inner.clock.monotonic_ms() >= inner.until_ms {
            inner.shutdown.trigger();
        }
        let new = (inner.read..).zip(&inner.log[inner.read..]);
        let records: Vec<Record> = new
            .map(|(offset, value)| Record { offset: offset as u64, key: Vec::new(), value: value.clone() })
            .collect();
        inner.read += records.len();
        Ok(records)
    }

    fn commit(&mut self, commit: Commit) -> Result<(), LogError> {
        let mut inner = self.0.lock().unwrap();
        let now = inner.clock.monotonic_ms();
        inner.commits.push(now);
        let own = commit.outputs.into_iter().filter(|entry| entry.topic == Topic::Detections);
        inner.log.extend(own.map(|entry| entry.value));
        Ok(())
    }
}

/// A receiver that fails so often, then takes everything.
struct Receiver {
    script: Script,
    fails: Mutex<u32>,
    outcomes: SyncSender<AttemptEnded>,
}

impl Courier for Receiver {
    fn send(&self, due: Due) {
        let mut inner = self.script.0.lock().unwrap();
        let now = inner.clock.monotonic_ms();
        inner.sent.push(now);
        let mut fails = self.fails.lock().unwrap();
        let (outcome, status) = match *fails {
            0 => (AttemptOutcome::Delivered, Some(200)),
            _ => (AttemptOutcome::Failed, None),
        };
        *fails = fails.saturating_sub(1);
        self.outcomes.try_send(answered(&due, outcome, status)).expect("the channel holds all that can be in the air");
    }
}

struct Told {
    commits: Vec<i64>,
    sent: Vec<i64>,
    wishes: Vec<(i64, bool)>,
}

fn told(events: Vec<(i64, DetectionsRecord)>, fails: u32, until_ms: i64) -> Told {
    let (clock, shutdown, wanted) = (ManualClock::at(START_MS), Shutdown::new(), TimeWanted::default());
    let script = Script(Arc::new(Mutex::new(Inner {
        clock: clock.clone(),
        events: events.into(),
        until_ms,
        shutdown: shutdown.clone(),
        wanted: wanted.clone(),
        forwarded_ms: 0,
        log: Vec::new(),
        read: 0,
        commits: Vec::new(),
        sent: Vec::new(),
        wishes: Vec::new(),
    })));
    let (outcome, outcomes) = outcomes();
    let courier = Receiver { script: script.clone(), fails: Mutex::new(fails), outcomes: outcome };
    let idle = IdleCommits::Seldom(wanted);
    run(PlannerMachine::new(0), script.clone(), &courier, outcomes, &clock, idle, &shutdown).unwrap();
    let inner = script.0.lock().unwrap();
    Told { commits: inner.commits.clone(), sent: inner.sent.clone(), wishes: inner.wishes.clone() }
}

#[test]
fn an_idle_hour_has_a_commit_for_each_minutes_tick() {
    let Told { commits, sent, wishes } = told(Vec::new(), 0, 3_600_000);
    assert!((30..=61).contains(&commits.len()), "{}: {commits:?}", commits.len());
    assert_eq!((sent.len(), wishes.last()), (0, Some(&(wishes[wishes.len() - 1].0, false))));
    assert!(wishes[wishes.len() - 1].0 < 1_000, "nobody waits: {wishes:?}");
}

#[test]
fn a_retry_at_night_is_on_time() {
    let night = 1_800_000;
    let alert = line_of(detection("t", 1, DetectionState::Firing), "door", 1, START_MS + night);
    let alert = DetectionsRecord::Detection(Box::new(alert));
    let events = vec![(10_000, channels("t", &["a"])), (night, alert)];
    let Told { sent, wishes, .. } = told(events, 2, 3_600_000);
    let after: Vec<i64> = sent.iter().map(|at| at - night).collect();
    // At once, after 5 s, after 30 s, each with a fifth of jitter and a tick's second.
    assert_eq!(after.len(), 3, "{after:?}");
    for (at, due) in after.iter().zip([0..1_000, 5_000..8_000, 35_000..45_000]) {
        assert!(due.contains(at), "{after:?}");
    }
    let at_night: Vec<bool> = wishes.iter().filter(|(at, _)| *at >= night).map(|(_, wanted)| *wanted).collect();
    assert_eq!(at_night, [true, false], "from the alert until it is delivered: {wishes:?}");
}
