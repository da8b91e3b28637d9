//! The partitions grow under load, and whoever grows them, a gateway, a processor and an alerter are killed in the middle of each
//! step: no acknowledged batch is lost, and the detections are those of engines that read the whole history of each partition.

use std::io::{BufReader, Lines};
use std::process::{Child, ChildStdout};
use std::sync::atomic::AtomicBool;
use std::thread::{self, sleep};
use std::time::Duration;

use logystera_schemas::topic::Topic;
use logystera_system::process::wait_for;
use logystera_system::receiver::Receiver;
use logystera_system::wire::Credentials;
use serde_json::Value;

use crate::oracle::{Going, RULES, count, recorded, send, undisturbed};
use crate::support::{Installation, Role};

const SITES: u64 = 4;
const BEFORE: u32 = 4;
const AFTER: u32 = 16;
const PATIENCE: Duration = Duration::from_mins(2);
/// Longest that a sender may wait where nobody is killed (design: 10 s).
const HELD_MS_MAX: i64 = 10_000;
/// The same where somebody is: 30 s more.
const HELD_MS_MAX_CRASHED: i64 = HELD_MS_MAX + 30_000;
/// How long a crashed growth is left alone before somebody asks for it again.
const ASLEEP: Duration = Duration::from_secs(1);

/// `partitions grow`, step by step.
struct Growing {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Growing {
    fn start(place: &Installation, topic: &str, partitions: u32) -> Self {
        let partitions = partitions.to_string();
        let args = ["partitions", "grow", &partitions, "--topic", topic, "--json", "--config", "logystera.toml"];
        let (child, lines) = place.begin(&args);
        Self { child, lines }
    }

    /// Waits until it says this step. None: it ended.
    fn until(&mut self, step: &str) -> Option<Value> {
        for line in self.lines.by_ref() {
            let said: Value = serde_json::from_str(&line.unwrap()).unwrap();
            println!("  {said}");
            if said["step"] == step {
                return Some(said);
            }
        }
        None
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn ends(mut self) {
        assert!(self.until("done").is_some(), "it comes to its end");
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Growing {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What a growth says before it is killed, and who dies with it.
type Death = (&'static str, fn(&mut Running<'_>));

/// An installation under load.
struct Running<'a> {
    place: &'a Installation,
    gateway: Option<Role>,
    processors: [Option<Role>; 2],
    alerter: Option<Role>,
}

impl Running<'_> {
    fn kill_gateway(&mut self) {
        drop(self.gateway.take());
        self.gateway = Some(self.place.start("gateway", "g1"));
    }

    fn kill_processor(&mut self, i: usize) {
        drop(self.processors[i].take());
        self.processors[i] = Some(self.place.start("processor", &format!("p{i}")));
    }

    fn kill_alerter(&mut self) {
        drop(self.alerter.take());
        self.alerter = Some(self.place.start("alerter", "a1"));
    }
}

/// Runs an installation under load while `disturb` acts on it, then compares. Gives how long each batch took.
fn under_load(disturb: impl FnOnce(&mut Running<'_>)) -> Option<Vec<i64>> {
    let place = Installation::new(BEFORE, Some(RULES))?;
    let gateway = place.gateway();
    let sites: Vec<Credentials> = (0..SITES)
        .map(|i| place.ok(&["site", "add", &format!("shop {i}"), "--config", "logystera.toml", "--json"]))
        .map(|json| Credentials::from_json(&serde_json::from_str(&json).unwrap()))
        .collect();
    let receiver = Receiver::start(Duration::from_millis(20));
    let url = format!("http://127.0.0.1:{}/alerts", receiver.port);
    place.ok(&["channel", "add", "webhook", &url, "--config", "logystera.toml"]);

    let more = AtomicBool::new(true);
    Some(thread::scope(|scope| {
        let going = Going(&more);
        let senders: Vec<_> = (0..SITES)
            .zip(&sites)
            .map(|(i, by)| {
                let (ports, more) = (std::slice::from_ref(&place.port), &more);
                scope.spawn(move || send(ports, by, i, more))
            })
            .collect();
        let processors = ["p0", "p1"].map(|name| Some(place.start("processor", name)));
        let alerter = Some(place.start("alerter", "a1"));
        let mut running = Running { place: &place, gateway: Some(gateway), processors, alerter };
        sleep(Duration::from_secs(3));
        disturb(&mut running);
        sleep(Duration::from_secs(2));
        drop(going);
        let sent: Vec<(String, i64)> = senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect();
        drop(running.gateway.take());

        let (expected, batches) = undisturbed(&place);
        let lost: Vec<_> = sent.iter().map(|(id, _)| id).filter(|id| !batches.contains(*id)).collect();
        assert!(lost.is_empty(), "acknowledged, and not in the log: {lost:?}");
        wait_for("the processors catch up", PATIENCE, || (count(&recorded(&place)) >= count(&expected)).then_some(()));
        assert!(recorded(&place) == expected, "the detections are not those of engines that read the whole history");
        assert_eq!(expected.len() as u64, SITES, "every site told something");
        let verified = place.ok(&["replay", "--verify", "--json", "--config", "logystera.toml"]);
        let verified: Value = serde_json::from_str(&verified).unwrap();
        assert_eq!(
            (&verified["verified"], &verified["detections"]),
            (&true.into(), &count(&expected).into()),
            "{verified}"
        );
        // The gateway's ticks tell the time by which what was in the air is tried again.
        running.gateway = Some(place.gateway());
        wait_for("every site's first alert is delivered", PATIENCE, || {
            let bodies: String = receiver.deliveries().iter().map(|d| d.body.to_string()).collect();
            expected.keys().all(|site| bodies.contains(site.as_str())).then_some(())
        });
        println!("{} acknowledged batches, {} detections", sent.len(), count(&expected));
        sent.into_iter().map(|(_, took_ms)| took_ms).collect()
    }))
}

/// The longest, and the one that is longer than 99 of 100.
fn longest(mut took_ms: Vec<i64>) -> (i64, i64) {
    took_ms.sort_unstable();
    (took_ms[took_ms.len() - 1], took_ms[took_ms.len() * 99 / 100])
}

#[test]
fn partitions_grow_while_traffic_flows() {
    let took = under_load(|running| {
        let place = running.place;
        Growing::start(place, "signals", AFTER).ends();
        Growing::start(place, "detections", 4).ends();
        let status = place.ok(&["partitions", "status", "--json", "--config", "logystera.toml"]);
        let rows = status.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let signals = rows.filter(|row| row["topic"] == "signals").collect::<Vec<_>>();
        assert_eq!(signals.len(), AFTER as usize, "{status}");
        assert!(signals.iter().all(|row| row["generation"] == 1 && row["phase"] == "open"), "{status}");
        let again = place.ok(&["partitions", "grow", "16", "--json", "--config", "logystera.toml"]);
        assert!(again.contains("nothing"), "{again}");
    });
    let Some(took) = took else { return };
    let (longest, p99) = longest(took);
    println!("a batch took at most {longest} ms, p99 {p99} ms");
    assert!(longest <= HELD_MS_MAX, "a sender waited {longest} ms");
}

#[test]
fn a_growth_that_is_killed_at_each_step_goes_on() {
    let took = under_load(|running| {
        let place = running.place;
        let deaths: [Death; 5] = [
            ("created", |_| {}),
            ("closing", |_| {}),
            ("closing", |running| running.kill_gateway()),
            ("sealed", |running| running.kill_processor(0)),
            ("resumed", |running| running.kill_processor(1)),
        ];
        for (step, also) in deaths {
            let mut growing = Growing::start(place, "signals", AFTER);
            println!("killed at {step}");
            // One that has nothing left to do at that step is as good as dead.
            let _ = growing.until(step);
            growing.kill();
            also(running);
            sleep(ASLEEP);
        }
        Growing::start(place, "signals", AFTER).ends();
        let deaths: [Death; 3] = [
            ("closing", |running| running.kill_processor(0)),
            ("resumed", |running| running.kill_alerter()),
            ("sealed", |running| running.kill_alerter()),
        ];
        for (step, also) in deaths {
            let mut growing = Growing::start(place, "detections", 4);
            println!("killed at {step}");
            let _ = growing.until(step);
            growing.kill();
            also(running);
            sleep(ASLEEP);
        }
        Growing::start(place, "detections", 4).ends();
        let layouts = place.layouts();
        assert_eq!([Topic::Signals, Topic::Detections].map(|topic| layouts.written(topic).partitions), [AFTER, 4]);
    });
    let Some(took) = took else { return };
    let (longest, p99) = longest(took);
    println!("a batch took at most {longest} ms, p99 {p99} ms");
    assert!(longest <= HELD_MS_MAX_CRASHED, "a sender waited {longest} ms");
}

/// What it has on its way is not acknowledged when it wakes up, and its senders go on with the next one.
#[test]
fn a_gateway_that_is_stopped_through_a_growth_acknowledges_nothing_behind_a_seal() {
    let took = under_load(|running| {
        let gateway = running.gateway.as_ref().unwrap();
        gateway.signal("STOP");
        let mut growing = Growing::start(running.place, "signals", AFTER);
        let overdue = growing.until("overdue").unwrap();
        assert_eq!(overdue["instances"], serde_json::json!(["g1"]));
        assert!(growing.until("sealed").is_some());
        // So long that the senders, who gave up waiting, wait for it anew.
        sleep(ASLEEP);
        gateway.signal("CONT");
        growing.ends();
    });
    let Some(took) = took else { return };
    let (longest, p99) = longest(took);
    println!("a batch took at most {longest} ms, p99 {p99} ms");
    assert!(longest <= HELD_MS_MAX_CRASHED, "a sender waited {longest} ms");
}
