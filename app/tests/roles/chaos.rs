//! `kill -9` of every role, of the broker and of the CQL server in turn, under load, and processes that are stopped for so long that
//! others take their work and then go on: every acknowledged batch counts once, and the detections are those of an engine that
//! reads the same topic undisturbed, byte for byte.
//!
//! `LOGYSTERA_TEST_ROUNDS` sets how many rounds; CI is content with one of each kind, `just chaos` runs 20.

use std::sync::atomic::AtomicBool;
use std::thread::{self, sleep};
use std::time::Duration;

use logystera_system::process::wait_for;
use logystera_system::receiver::Receiver;
use logystera_system::services::{self, Server};
use logystera_system::wire::Credentials;

use crate::oracle::{Going, RULES, count, recorded, send, undisturbed};
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

/// Kills a process and starts it under the same name.
fn again(role: &mut Option<Role>, start: impl FnOnce() -> Role) {
    drop(role.take());
    *role = Some(start());
}

#[expect(clippy::disallowed_methods, reason = "the long form is asked for by the environment")]
fn rounds() -> usize {
    std::env::var("LOGYSTERA_TEST_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(ROUNDS.len())
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
                    let (ports, more) = (std::slice::from_ref(&place.port), &more);
                    move || send(ports, by, i, more)
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
        let sent = senders.into_iter().flat_map(|sender| sender.join().unwrap());
        let acknowledged: Vec<String> = sent.map(|(id, _)| id).collect();
        drop(running.gateway.take());

        let (expected, batches) = undisturbed(&place);
        let lost: Vec<_> = acknowledged.iter().filter(|id| !batches.contains(*id)).collect();
        assert!(lost.is_empty(), "acknowledged, and not in the log: {lost:?}");
        wait_for("the processors catch up", PATIENCE, || (count(&recorded(&place)) >= count(&expected)).then_some(()));
        assert!(recorded(&place) == expected, "the detections are not those of an undisturbed engine");
        let told = count(&expected);
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
