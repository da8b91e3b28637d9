//! Two gateways behind a load balancer, the clock of one of which is four minutes off, either way: it is out of the load balancer
//! within ten seconds, nothing that is sent counts late, and of two gateways one writes the ticks, also when the other is killed.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::thread::{self, sleep};
use std::time::Duration;

use logystera_infra::clock::{Clock, SystemClock};
use logystera_schemas::limits::{CLOCK_DIFFERS_MS, GATEWAY_SILENT_MS};
use logystera_schemas::topic::{DetectionsRecord, SignalsRecord, Topic};
use logystera_system::process::{PATIENCE, wait_for};
use logystera_system::wire::{self, Credentials};

use crate::oracle::{Going, RULES, count, recorded, send, undisturbed};
use crate::support::{Installation, Role};

const OFF_MS: i64 = 240_000;
/// How soon the odd one must be out of the load balancer.
const OUT_WITHIN: Duration = Duration::from_secs(10);
const SITES: u64 = 2;
const PARTITIONS: u32 = 4;

/// The clock of a process, which the test sets.
struct Shim {
    library: PathBuf,
    ahead: PathBuf,
}

impl Shim {
    fn new(place: &Installation, ahead_ms: i64) -> Self {
        let (library, source) = (place.path("clock.so"), concat!(env!("CARGO_MANIFEST_DIR"), "/tests/roles/clock.c"));
        let built = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).status();
        assert!(built.unwrap().success(), "{source} needs a C compiler");
        let shim = Self { library, ahead: place.path("ahead") };
        shim.set(ahead_ms);
        shim
    }

    /// In place: the process has it in its memory.
    fn set(&self, ahead_ms: i64) {
        let file = File::options().create(true).write(true).truncate(false).open(&self.ahead).unwrap();
        file.write_all_at(&ahead_ms.to_ne_bytes(), 0).unwrap();
    }

    fn start(&self, place: &Installation, instance: &str) -> Role {
        let path = |path: &PathBuf| path.to_str().unwrap().to_owned();
        place.start_with("gateway", instance, &[("LD_PRELOAD", path(&self.library)), ("TEST_CLOCK", path(&self.ahead))])
    }
}

fn readiness(gateway: &Role) -> Option<(u16, String)> {
    wire::get(gateway.admin_port(), "/health/ready").map(|answer| (answer.status, answer.body))
}

/// Waits until a gateway is out of the load balancer for its clock; it must never have been in before, where `never`.
fn is_out(gateway: &Role, never: bool) {
    let told = wait_for("the odd one is out", OUT_WITHIN, || {
        let (status, told) = readiness(gateway)?;
        assert!(!(never && status == 200), "it takes batches by a wrong clock");
        told.contains("clock_differs").then_some(told)
    });
    println!("  {told}");
}

/// Every tick of the first partition of a topic.
fn ticks(place: &Installation, topic: Topic) -> Vec<i64> {
    let records = place.records(topic, place.part(topic, 0));
    let tick = |value: &[u8]| match topic {
        Topic::Signals => match SignalsRecord::decode(value).unwrap() {
            SignalsRecord::Tick(tick) => Some(tick.at.0),
            _ => None,
        },
        _ => match DetectionsRecord::decode(value).unwrap() {
            DetectionsRecord::Tick(tick) => Some(tick.at.0),
            _ => None,
        },
    };
    records.iter().filter_map(|record| tick(&record.value)).collect()
}

#[test]
fn an_odd_clock_is_out_of_the_load_balancer_and_one_gateway_tells_the_time() {
    let Some(place) = Installation::new(PARTITIONS, Some(RULES)) else { return };
    let clock = SystemClock::new();
    let first = place.gateway();
    let mut processor = place.start("processor", "p1");
    let sites: Vec<Credentials> = (0..SITES)
        .map(|i| place.ok(&["site", "add", &format!("shop {i}"), "--config", "logystera.toml", "--json"]))
        .map(|json| Credentials::from_json(&serde_json::from_str(&json).unwrap()))
        .collect();
    processor.is_ready();
    let shim = Shim::new(&place, -OFF_MS);
    let mut second = shim.start(&place, "g2");
    let ports = [first.port(), second.port()];

    let (more, began_ms) = (AtomicBool::new(true), clock.wall_ms());
    let acknowledged: Vec<String> = thread::scope(|scope| {
        let going = Going(&more);
        let (more, ports) = (&more, &ports[..]);
        let senders: Vec<_> =
            (0..SITES).zip(&sites).map(|(i, by)| scope.spawn(move || send(ports, by, i, more))).collect();
        println!("behind from its start on");
        is_out(&second, true);
        sleep(Duration::from_secs(2));
        is_out(&second, true);
        shim.set(0);
        second.is_ready();
        let both_ms = clock.wall_ms();
        sleep(Duration::from_secs(4));
        let told = ticks(&place, Topic::Signals).into_iter().filter(|at| *at >= both_ms).count();
        assert!((3..=6).contains(&told), "one of two gateways writes the ticks: {told} in four seconds");
        println!("ahead while it runs");
        shim.set(OFF_MS);
        is_out(&second, false);
        shim.set(0);
        second.is_ready();
        println!("the one that told the time is killed");
        drop(first);
        let killed_ms = clock.wall_ms();
        wait_for("the other one tells the time", PATIENCE, || {
            ticks(&place, Topic::Signals).iter().any(|at| *at > killed_ms + 1_000).then_some(())
        });
        sleep(Duration::from_secs(2));
        drop(going);
        senders.into_iter().flat_map(|sender| sender.join().unwrap()).map(|(id, _)| id).collect()
    });
    let took_s = (clock.wall_ms() - began_ms) / 1_000;

    let told = ticks(&place, Topic::Signals);
    let pauses = told.windows(2).map(|pair| pair[1] - pair[0]);
    let (back, longest) = pauses.fold((0, 0), |(back, longest), pause| (pause.min(back), pause.max(longest)));
    assert!(back > -CLOCK_DIFFERS_MS, "no tick is from the odd clock: {back}");
    assert!(longest < GATEWAY_SILENT_MS + 3_000, "time stood still for {longest} ms");
    let (expected, batches) = undisturbed(&place);
    let lost: Vec<_> = acknowledged.iter().filter(|id| !batches.contains(*id)).collect();
    assert!(lost.is_empty(), "acknowledged, and not in the log: {lost:?}");
    wait_for("the processor catches up", PATIENCE, || (count(&recorded(&place)) >= count(&expected)).then_some(()));
    assert!(recorded(&place) == expected, "the detections are not those of a recount");
    assert_eq!(expected.len() as u64, SITES, "every site told something");
    for outcome in ["late", "shifted", "cut", "time_reset"] {
        let name = format!("logystera_processor_outcomes_total{{outcome=\"{outcome}\"}}");
        wait_for(&format!("nothing was {outcome}"), PATIENCE, || {
            (processor.metric(&name).unwrap_or(0) == 0).then_some(())
        });
    }
    let marks = ticks(&place, Topic::Detections).len() as i64;
    assert!((took_s / 2..took_s + 20).contains(&marks), "one mark a second: {marks} in {took_s} s");
    println!(
        "{took_s} s, {} batches, {} detections, {longest} ms without a tick",
        acknowledged.len(),
        count(&expected)
    );
}

/// Nobody is there to disagree, but the log knows better.
#[test]
fn a_gateway_that_starts_alone_behind_the_logs_time_takes_no_batch() {
    let Some(place) = Installation::new(PARTITIONS, Some(RULES)) else { return };
    let shim = Shim::new(&place, OFF_MS);
    let mut ahead = shim.start(&place, "g1");
    ahead.is_ready();
    let now_ms = SystemClock::new().wall_ms();
    wait_for("ticks of the clock that is ahead", PATIENCE, || {
        (ticks(&place, Topic::Signals).iter().filter(|at| **at > now_ms + OFF_MS / 2).count() > 2).then_some(())
    });
    drop(ahead);
    shim.set(0);
    let right = shim.start(&place, "g1");
    is_out(&right, true);
}
