//! What an idle installation writes: gateway, engine and alerter on one folder, on a clock that the test moves.

use std::path::Path;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use logystera_alerter::core::Due;
use logystera_alerter::task::{self as alerter, Courier, PlannerMachine, outcomes};
use logystera_infra::clock::{Clock, ManualClock};
use logystera_infra::embedded::{Embedded, EmbeddedLog, EmbeddedReader};
use logystera_infra::log::{Entry, Log};
use logystera_infra::pace::{IdleCommits, TimeWanted};
use logystera_infra::runtime::CycleError;
use logystera_infra::shutdown::Shutdown;
use logystera_ingest::{Gateway, GatewayConfig, MemoryKeys};
use logystera_processor::core::{Engine, RuleSet, SEMANTICS};
use logystera_processor::task::{self as processor, EngineMachine, NoRuleSet, OutputPartitions, RuleSets};
use logystera_rules::{from_yaml, published};
use logystera_schemas::delivery::{AttemptEnded, AttemptOutcome, ChannelRef, ChannelsConfigured};
use logystera_schemas::ids::Sha256Digest;
use logystera_schemas::noise::ChannelSettings;
use logystera_schemas::partition::PartitionRef;
use logystera_schemas::schema;
use logystera_schemas::signals_topic::SiteConfigured;
use logystera_schemas::topic::{DetectionsRecord, Topic};
use tokio::runtime::Runtime;

const START_MS: i64 = 1_767_225_600_000;

/// A site that says nothing for ten minutes is told.
const RULES: &str = "format: 1
rules:
- name: silent
  title: Silent
  severity: critical
  subsystem: site
  absent: { blind_after: 10m }
  suppress: 1h
  message: m
";

struct OneSet(Arc<RuleSet>);

impl RuleSets for OneSet {
    fn find(&mut self, digest: &Sha256Digest) -> Result<RuleSet, NoRuleSet> {
        published((self.0.digest == *digest).then_some(&*self.0.body))
    }
}

/// A receiver that is unreachable twice.
struct Receiver {
    clock: ManualClock,
    asked_s: Arc<Mutex<Vec<i64>>>,
    outcomes: SyncSender<AttemptEnded>,
}

impl Courier for Receiver {
    fn send(&self, due: Due) {
        self.asked_s.lock().unwrap().push(self.clock.monotonic_ms() / 1_000);
        let is_up = due.attempt > 2;
        let (outcome, status) =
            if is_up { (AttemptOutcome::Delivered, Some(200)) } else { (AttemptOutcome::Failed, None) };
        let Due { tenant, delivery, attempt, .. } = due;
        let (retry_after_s, duration_ms, cause) = (None, 1, None);
        let ended = AttemptEnded {
            tenant,
            delivery,
            attempt,
            outcome,
            status,
            retry_after_s,
            duration_ms,
            cause,
            detail: None,
        };
        self.outcomes.try_send(ended).unwrap();
    }
}

/// All of `up` that writes.
struct Installation {
    dir: tempfile::TempDir,
    embedded: Embedded,
    reader: EmbeddedReader,
    clock: ManualClock,
    gateway: Gateway<EmbeddedLog>,
    wanted: TimeWanted,
    rules: Arc<RuleSet>,
    asked_s: Arc<Mutex<Vec<i64>>>,
    shutdown: Shutdown,
    runtime: Runtime,
    threads: Vec<JoinHandle<Result<(), CycleError>>>,
}

impl Installation {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let embedded = Embedded::open(dir.path()).unwrap();
        let reader = EmbeddedReader::open(dir.path()).unwrap();
        let (clock, wanted) = (ManualClock::at(START_MS), TimeWanted::default());
        let gateway = gateway(&embedded, &clock, &wanted);
        let rules = Arc::new(from_yaml(&[("rules.yaml", RULES)]).unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (asked_s, shutdown, threads) = (Arc::default(), Shutdown::new(), Vec::new());
        let mut new =
            Self { dir, embedded, reader, clock, gateway, wanted, rules, asked_s, shutdown, runtime, threads };
        new.run_engine();
        new.run_alerter();
        new
    }

    /// Another engine takes over: the one before finds itself fenced at its next commit, as if it had been killed.
    fn run_engine(&mut self) {
        let task = self.embedded.task(processor::APP, Topic::Signals).unwrap();
        let machine = EngineMachine::new(PartitionRef::ONLY, OutputPartitions::ALONE, OneSet(Arc::clone(&self.rules)));
        let (clock, idle, stop) = (self.clock.clone(), IdleCommits::Seldom(self.wanted.clone()), self.shutdown.clone());
        self.threads.push(std::thread::spawn(move || processor::run(machine, task, &clock, idle, &stop)));
    }

    fn run_alerter(&mut self) {
        let task = self.embedded.task(alerter::APP, Topic::Detections).unwrap();
        let (clock, idle, stop) = (self.clock.clone(), IdleCommits::Seldom(self.wanted.clone()), self.shutdown.clone());
        let (outcome, outcomes) = outcomes();
        let courier = Receiver { clock: clock.clone(), asked_s: Arc::clone(&self.asked_s), outcomes: outcome };
        let run = move || alerter::run(PlannerMachine::new(0), task, &courier, outcomes, &clock, idle, &stop);
        self.threads.push(std::thread::spawn(run));
    }

    fn append(&self, topic: Topic, value: Vec<u8>) {
        let entry = Entry { topic, partition: 0, key: b"shop".to_vec(), value };
        self.runtime.block_on(self.embedded.log().append(vec![entry])).unwrap();
    }

    fn configure(&self) {
        let site = SiteConfigured {
            site: "shop".parse().unwrap(),
            tenant: "acme".parse().unwrap(),
            name: "Shop".to_owned(),
            digest: self.rules.digest,
            semantics: SEMANTICS,
        };
        self.append(Topic::Signals, schema::encode(&site));
        let channels = vec![ChannelRef {
            channel: "hook".parse().unwrap(),
            kind: "webhook".to_owned(),
            settings: ChannelSettings::default(),
            fallback: false,
            labels: Vec::new(),
        }];
        let tenant = "acme".parse().unwrap();
        self.append(Topic::Detections, schema::encode(&ChannelsConfigured { tenant, channels }));
    }

    /// So many seconds go by, in which nothing happens but that time is told.
    fn seconds(&self, seconds: u32) {
        self.pass(seconds, Duration::from_millis(1));
    }

    /// So many seconds go by. In each the threads have twice so long for what is due, and where time is wanted, everybody has it
    /// before the next.
    fn pass(&self, seconds: u32, pause: Duration) {
        for _ in 0..seconds {
            self.clock.pass(600);
            self.runtime.block_on(self.gateway.tick());
            self.clock.pass(200);
            self.settle(pause);
            self.clock.pass(200);
            self.settle(pause);
        }
    }

    fn settle(&self, pause: Duration) {
        let behind = |app: &str, topic| self.reader.position(app).unwrap() != Some(self.end(topic));
        std::thread::sleep(pause);
        for _ in 0..200 {
            let is_done = !behind(processor::APP, Topic::Signals) && !behind(alerter::APP, Topic::Detections);
            if !self.wanted.is_set() || is_done {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn end(&self, topic: Topic) -> u64 {
        self.reader.bounds(topic).unwrap().end
    }

    fn stop(self) -> tempfile::TempDir {
        self.shutdown.trigger();
        for thread in self.threads {
            drop(thread.join().unwrap());
        }
        self.embedded.close();
        self.dir
    }
}

fn gateway(embedded: &Embedded, clock: &ManualClock, wanted: &TimeWanted) -> Gateway<EmbeddedLog> {
    let config = GatewayConfig { idle: Some(wanted.clone()), ..GatewayConfig::new("eu-prod") };
    Gateway::new(config, embedded.log(), Arc::new(MemoryKeys::new()), Arc::new(clock.clone()))
}

/// How long the door was open by the engine's stored state, in seconds.
fn open_s(data: &Path) -> i64 {
    let mut engine = Engine::new(PartitionRef::ONLY);
    let reader = EmbeddedReader::open(data).unwrap();
    let mut entries = Vec::new();
    reader.state(processor::APP, &mut |entry| entries.push((entry.key.to_vec(), entry.value.to_vec()))).unwrap();
    for (key, value) in &entries {
        engine.restore(key, value).unwrap();
    }
    engine.time().open.0 / 1_000
}

#[test]
fn an_idle_minute_has_few_commits() {
    let installation = Installation::new();
    installation.seconds(90);
    let at = |of: &Installation| (of.embedded.stats().commits, of.end(Topic::Signals), of.end(Topic::Detections));
    let before = at(&installation);
    installation.seconds(600);
    let after = at(&installation);
    let (commits, signals, detections) = (after.0 - before.0, after.1 - before.1, after.2 - before.2);
    assert_eq!(signals, 60, "a tick each ten seconds");
    assert!((5..=10).contains(&detections), "one forwarded a minute: {detections}");
    // Two tasks, each once a minute; the ticks' own.
    assert!(commits <= 60 + 2 * 10, "{commits} commits in ten minutes");
    let data = installation.stop();
    assert_eq!(open_s(data.path()), 689, "each second since the first tick was open");
}

#[test]
fn a_kill_in_an_idle_time_loses_no_more_of_it_than_no_tick_had_told() {
    let mut installation = Installation::new();
    installation.seconds(100);
    // The engine has not committed for up to a minute, and the gateway has counted up to ten seconds.
    installation.run_engine();
    installation.gateway = gateway(&installation.embedded, &installation.clock, &installation.wanted);
    installation.seconds(100);
    let signals = installation.end(Topic::Signals);
    let data = installation.stop();
    let open_s = open_s(data.path());
    assert!((199 - 10..=199).contains(&open_s), "{open_s}");
    let reader = EmbeddedReader::open(data.path()).unwrap();
    assert_eq!(reader.position(processor::APP).unwrap(), Some(signals), "the one that took over went on");
}

#[test]
fn a_silence_at_night_is_told_and_told_again_in_time() {
    let installation = Installation::new();
    installation.seconds(2);
    installation.configure();
    installation.seconds(595);
    installation.pass(85, Duration::from_millis(40));
    let asked_s = installation.asked_s.lock().unwrap().clone();
    let [first, second, third] = asked_s[..] else { panic!("{asked_s:?}") };
    assert!((600..=614).contains(&first), "ten minutes of silence: {asked_s:?}");
    // 5 s and 30 s, each with a fifth of jitter, and the seconds that ticks take.
    assert!((5..=9).contains(&(second - first)) && (30..=39).contains(&(third - second)), "{asked_s:?}");
    assert!(!installation.wanted.is_set(), "it is delivered: nobody waits any more");
    let data = installation.stop();
    let reader = EmbeddedReader::open(data.path()).unwrap();
    let told = reader.read(Topic::Detections, 0, 1 << 20).unwrap();
    let told = told.iter().filter(|r| matches!(DetectionsRecord::decode(&r.value), Ok(DetectionsRecord::Detection(_))));
    assert_eq!(told.count(), 1);
}
