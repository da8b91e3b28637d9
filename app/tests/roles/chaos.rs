//! `kill -9` of every role, of the broker and of the CQL server in turn, under load, and processes that are stopped for so long that
//! others take their work and then go on: every acknowledged batch counts once, and the detections are those of an engine that
//! reads the same topic undisturbed, byte for byte.
//!
//! `LOGYSTERA_TEST_ROUNDS` sets how many rounds; CI is content with one of each kind, `just chaos` runs 20.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use logystera_infra::clock::{Clock, SystemClock};
use logystera_processor::core::engine::{Engine, Output};
use logystera_processor::core::rule::RuleSet;
use logystera_schemas::control::Entity;
use logystera_schemas::schema;
use logystera_schemas::topic::{DetectionsRecord, SignalsRecord, Topic};
use logystera_system::process::wait_for;
use logystera_system::receiver::Receiver;
use logystera_system::services::{self, Server};
use logystera_system::wire::{self, Credentials};

use crate::support::{Installation, Role};

/// What happens in a round.
#[derive(Clone, Copy, Debug)]
enum Disturbance {
    KillProcessor(usize),
    /// Stopped for so long that its transaction and its session end; then it wakes up and tries to write.
    StopProcessor(usize),
    KillGateway,
    KillAlerter,
    StopAlerter,
    KillBroker,
    KillStore,
}

use Disturbance::{KillAlerter, KillBroker, KillGateway, KillProcessor, KillStore, StopAlerter, StopProcessor};

const ROUNDS: [Disturbance; 10] = [
    KillProcessor(0),
    KillGateway,
    StopProcessor(1),
    KillAlerter,
    KillStore,
    KillProcessor(1),
    KillBroker,
    StopAlerter,
    KillGateway,
    StopProcessor(0),
];
/// Longer than a member may be silent (6 s) and than an owner's transaction stays open (10 s).
const STOPPED: Duration = Duration::from_secs(12);
const SITES: u64 = 4;
const PARTITIONS: u32 = 4;
/// How long the processors may take to catch up: a dead owner's transaction stays open for ten seconds.
const PATIENCE: Duration = Duration::from_mins(2);

/// Encoded detections by site and `seq`.
type BySite = BTreeMap<String, BTreeMap<u64, Vec<u8>>>;

/// Rules that tell every second how many matches there were: a record that is lost or judged twice changes what they tell.
const RULES: &str = "\
format: 1
rules:
- name: mails
  title: Failed mails
  severity: warning
  subsystem: mail
  signal: mail.outcome
  threshold: {count: 3, within: 5s}
  suppress: 1s
  evidence: [outcome]
  message: \"{count} mails failed on {site}\"
- name: attempts
  title: Failed sign-ins
  severity: warning
  subsystem: access
  signal: auth.attempt
  group_by: [source]
  threshold: {count: 3, within: 5s}
  suppress: 1s
  evidence: [outcome, method]
  message: \"{count} failed sign-ins on {site}\"
";

/// A batch of failed mails and sign-ins.
fn batch(site: u64, n: u64, now_ms: i64) -> (String, Vec<u8>) {
    let mut signals = Vec::new();
    for i in 0..10 {
        let at = now_ms - 10 + i;
        let source = format!("{:032x}", (n + i as u64) % 3);
        signals.push(if i % 2 == 0 {
            format!("{{\"type\":\"mail.outcome\",\"at\":{at},\"outcome\":\"failed\"}}")
        } else {
            format!(
                "{{\"type\":\"auth.attempt\",\"at\":{at},\"outcome\":\"failure\",\"method\":\"form\",\"source\":\"{source}\"}}"
            )
        });
    }
    let body = format!(
        "{{\"through\":{now_ms},\"integration\":{{\"platform\":\"other\",\"version\":\"1\",\
         \"enabled\":[\"mail.outcome\",\"auth.attempt\"]}},\"signals\":[{}]}}",
        signals.join(",")
    );
    (format!("{:016x}.{}", 0xbeef_0000 + site, n + 1), body.into_bytes())
}

/// Sends batches, each until it is acknowledged, while `more`. Gives their ids.
fn send(port: u16, by: &Credentials, site: u64, more: &AtomicBool) -> Vec<String> {
    let clock = SystemClock::new();
    let (mut n, mut acknowledged) = (0, Vec::new());
    while more.load(Ordering::Relaxed) {
        let (id, body) = batch(site, n, clock.wall_ms());
        loop {
            match wire::post_batch(port, by, &id, &body) {
                Some(answer) if matches!(answer.status, 200 | 202) => break,
                // The site is so new that the gateway may not know it yet.
                Some(answer) if n == 0 && answer.status == 401 => {}
                Some(answer) => assert!(answer.status >= 500, "{}: {}", answer.status, answer.body),
                None if !more.load(Ordering::Relaxed) => return acknowledged,
                None => {}
            }
            sleep(Duration::from_millis(50));
        }
        n += 1;
        acknowledged.push(id);
        sleep(Duration::from_millis(20));
    }
    acknowledged
}

/// What an engine makes of topic `signals`, and the ids of the batches that stand there.
fn undisturbed(place: &Installation) -> (BySite, BTreeSet<String>) {
    let (mut told, mut batches) = (BySite::new(), BTreeSet::new());
    let bodies = place.records(Topic::Control, 0).into_iter().filter_map(|record| {
        match Entity::decode(&record.value).unwrap() {
            Entity::RuleSet(set) => Some(String::from_utf8(set.body.0).unwrap()),
            _ => None,
        }
    });
    let sets: Vec<Arc<RuleSet>> = bodies.map(|body| Arc::new(RuleSet::from_canonical(&body).unwrap())).collect();
    for partition in 0..PARTITIONS {
        let mut engine = Engine::new(partition);
        for set in &sets {
            engine.learn(Arc::clone(set));
        }
        let mut out = Vec::new();
        for record in place.records(Topic::Signals, partition) {
            let decoded = SignalsRecord::decode(&record.value).unwrap();
            if let SignalsRecord::Batch(batch) = &decoded {
                batches.insert(format!("{}.{}", batch.head.spool, batch.head.seq));
            }
            engine.apply(record.offset, &decoded, &mut out).unwrap();
        }
        for output in out {
            if let Output::Detection(d) = output {
                told.entry(d.site.to_string()).or_default().insert(d.seq, schema::encode(&*d));
            }
        }
    }
    (told, batches)
}

/// What stands in topic `detections`. Nothing may stand there twice.
fn recorded(place: &Installation) -> BySite {
    let mut told = BySite::new();
    for record in place.records(Topic::Detections, 0) {
        if let DetectionsRecord::Detection(d) = DetectionsRecord::decode(&record.value).unwrap() {
            let before = told.entry(d.site.to_string()).or_default().insert(d.seq, record.value);
            assert_eq!(before, None, "{} {} stands there twice", d.site, d.seq);
        }
    }
    told
}

/// Kills a process and starts it under the same name.
fn again(role: &mut Option<Role>, start: impl FnOnce() -> Role) {
    drop(role.take());
    *role = Some(start());
}

#[expect(clippy::disallowed_methods, reason = "the long form is asked for by the environment")]
fn rounds() -> usize {
    std::env::var("LOGYSTERA_TEST_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(ROUNDS.len())
}

/// As long as it is there the senders go on. They end also where the test fails.
struct Going<'a>(&'a AtomicBool);

impl Drop for Going<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// What is disturbed.
struct Running<'a> {
    place: &'a Installation,
    gateway: Option<Role>,
    processors: [Option<Role>; 2],
    alerter: Option<Role>,
    broker: Server,
    store: Server,
}

impl Running<'_> {
    fn disturb(&mut self, disturbance: Disturbance) {
        let place = self.place;
        match disturbance {
            KillProcessor(i) => again(&mut self.processors[i], || place.start("processor", &format!("p{i}"))),
            StopProcessor(i) => stopped(self.processors[i].as_ref()),
            KillGateway => again(&mut self.gateway, || place.gateway()),
            KillAlerter => again(&mut self.alerter, || place.start("alerter", "a1")),
            StopAlerter => stopped(self.alerter.as_ref()),
            KillBroker => self.broker.kill_and_start(),
            KillStore => self.store.kill_and_start(),
        }
    }
}

fn stopped(role: Option<&Role>) {
    let role = role.unwrap();
    role.signal("STOP");
    sleep(STOPPED);
    role.signal("CONT");
}

#[test]
fn what_is_killed_and_stopped_changes_nothing() {
    let (Some(broker), Some(store)) = (services::kafka_server(), services::cql_server()) else { return };
    let Some(place) = Installation::new(PARTITIONS, Some(RULES)) else { return };
    let gateway = place.gateway();
    let sites: Vec<Credentials> = (0..SITES)
        .map(|i| place.ok(&["site", "add", &format!("shop {i}"), "--config", "logystera.toml", "--json"]))
        .map(|json| Credentials::from_json(&serde_json::from_str(&json).unwrap()))
        .collect();
    let receiver = Receiver::start(Duration::from_millis(20));
    let url = format!("http://127.0.0.1:{}/alerts", receiver.port);
    place.ok(&["channel", "add", "webhook", &url, "--config", "logystera.toml"]);

    let more = AtomicBool::new(true);
    let acknowledged = thread::scope(|scope| {
        let going = Going(&more);
        let senders: Vec<_> = (0..SITES)
            .zip(&sites)
            .map(|(i, by)| {
                scope.spawn({
                    let (port, more) = (place.port, &more);
                    move || send(port, by, i, more)
                })
            })
            .collect();
        let start = |role: &str, name: &str| Some(place.start(role, name));
        let processors = [start("processor", "p0"), start("processor", "p1")];
        let alerter = start("alerter", "a1");
        let mut running = Running { place: &place, gateway: Some(gateway), processors, alerter, broker, store };
        for round in 0..rounds() {
            sleep(Duration::from_millis(500 + 370 * (round as u64 % 7)));
            let disturbance = ROUNDS[round % ROUNDS.len()];
            println!("round {round}: {disturbance:?}");
            running.disturb(disturbance);
        }
        sleep(Duration::from_secs(1));
        drop(going);
        let acknowledged: Vec<String> = senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect();
        drop(running.gateway.take());

        let (expected, batches) = undisturbed(&place);
        let lost: Vec<_> = acknowledged.iter().filter(|id| !batches.contains(*id)).collect();
        assert!(lost.is_empty(), "acknowledged, and not in the log: {lost:?}");
        wait_for("the processors catch up", PATIENCE, || {
            let count = |told: &BySite| told.values().map(BTreeMap::len).sum::<usize>();
            (count(&recorded(&place)) >= count(&expected)).then_some(())
        });
        assert!(recorded(&place) == expected, "the detections are not those of an undisturbed engine");
        let told: usize = expected.values().map(BTreeMap::len).sum();
        assert_eq!(expected.len() as u64, SITES, "every site told something");
        let verified = place.ok(&["replay", "--verify", "--json", "--config", "logystera.toml"]);
        let verified: serde_json::Value = serde_json::from_str(&verified).unwrap();
        assert_eq!((&verified["verified"], &verified["detections"]), (&true.into(), &told.into()), "{verified}");
        // What was in the air at a kill is tried again when its time comes: the gateway's ticks tell the time.
        running.gateway = Some(place.gateway());
        wait_for("every site's first alert is delivered", PATIENCE, || {
            let bodies: String = receiver.deliveries().iter().map(|d| d.body.to_string()).collect();
            expected.keys().all(|site| bodies.contains(site.as_str())).then_some(())
        });
        acknowledged.len()
    });
    println!("{} rounds, {acknowledged} acknowledged batches", rounds());
    assert!(acknowledged > SITES as usize * rounds(), "the senders did some work: {acknowledged}");
}
