//! The real binary under hostile input, over real sockets: every answer is that of `docs/refusals.md`, a good sender is
//! served after each, what was turned away is in the log as a count, and its values are found nowhere.

mod bodies;
mod connections;
mod leaks;
mod plants;
mod signatures;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use logystera_system::hostile::{Target, add_site, memory_peak_mib};
use logystera_system::post::{Post, body, raw, signal};
use logystera_system::process::{PATIENCE, Up, free_port, json, ok, wait_for};
use logystera_system::refusals;
use logystera_system::wire::now_ms;
use serde_json::Value;

/// Rows of the table that nobody can bring about from outside, and where they are tried.
const NOT_FROM_OUTSIDE: [(&str, &str); 4] = [
    ("shutting_down", "ingest/tests/http/lifecycle.rs"),
    ("clock_differs", "ingest/tests/http/lifecycle.rs"),
    ("site_closed", "ingest/tests/http/hostile.rs: no command closes a site"),
    ("log_away", "ingest/tests/http/batches.rs"),
];
/// All that the gateway may hold of strangers is 256 MiB; this is with everything else, and what the allocator keeps.
const MEMORY_PEAK_MIB_MAX: u64 = 700;

/// Two of the same job within an hour: a batch that counted twice would fire it.
const RULES: &str = "\
format: 1
rules:
- name: twice
  title: A job ran twice
  severity: info
  subsystem: cron
  signal: cron.run
  where: { job: counted_once }
  threshold: { count: 2, within: 1h }
  message: \"{count} of them\"
";

fn tail(data: &str, topic: &str) -> Vec<Value> {
    json(&["tail", topic, "--from", "beginning", "--json", "--data", data])
}

/// A batch is sent again and again while the process is stopped, killed and started: it counts once.
fn replayed_across_restarts(target: &Target, up: Up, data: &Path, more: &[&str]) -> Up {
    // A site of its own: with one spool nothing waits for another.
    let site = add_site(data, "replayed");
    let now = now_ms();
    let counted = |n: i64| body(now + n, &signal(now - 10 + n, "counted_once"));
    let batch = |n: u64| format!("00000000000000ee.{n}");
    let first = Post::new(&site, batch(1), counted(1));
    let captured = first.request();
    assert_eq!(raw(target.port, &captured).status, 202);
    let stop = AtomicBool::new(false);
    let (up, seen) = thread::scope(|scope| {
        let replaying = scope.spawn(|| {
            let mut seen = BTreeMap::<u16, u32>::new();
            while !stop.load(Ordering::SeqCst) {
                for request in [captured.clone(), Post { ts: now_ms() / 1_000, ..first.clone() }.request()] {
                    *seen.entry(try_raw(target.port, &request)).or_default() += 1;
                }
                sleep(Duration::from_millis(2));
            }
            seen
        });
        let ports = (up.port, up.admin_port);
        // Stopped first: what was refused is written once a minute and at the end; a kill loses that of the last minute.
        up.stop();
        let up = Up::start(data, ports.0, ports.1, more);
        up.kill();
        let up = Up::start(data, ports.0, ports.1, more);
        sleep(Duration::from_millis(500));
        stop.store(true, Ordering::SeqCst);
        (up, replaying.join().expect("the sender ends"))
    });
    println!("a batch sent again across a stop and a kill: {seen:?} (0: no answer)");
    assert!(seen.keys().all(|status| [0, 200, 202, 503].contains(status)) && seen.contains_key(&200), "{seen:?}");
    // What the engine counts: one, until a second batch brings another.
    let text = data.to_str().expect("UTF-8");
    assert!(tail(text, "detections").is_empty(), "the batch counted twice");
    assert_eq!(Post::new(&site, batch(2), counted(2)).send(target.port).status, 202);
    let fired = wait_for("the second one fires", PATIENCE, || tail(text, "detections").pop());
    assert_eq!((&fired["rule"], &fired["count"]), (&"twice".into(), &2.into()), "{fired}");
    let stored = tail(text, "signals").iter().filter(|s| s["batch"] == batch(1).as_str()).count();
    println!("in the log {stored} time(s), counted once");
    up
}

/// Sends to a gateway that may not be there. 0: no answer.
fn try_raw(port: u16, request: &[u8]) -> u16 {
    use std::io::Write;
    let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", port)) else { return 0 };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    let _ = stream.write_all(request);
    logystera_system::post::read_answer(&mut stream).status
}

/// Every refusal of a known site is in the log as a count.
fn check_recorded(data: &str, provoked: &[&str]) {
    let refused: Vec<Value> = tail(data, "signals").into_iter().filter(|r| r["record"] == "refused").collect();
    let mut counts = BTreeMap::<String, u64>::new();
    for record in &refused {
        let count = record["count"].as_u64().expect("a count");
        *counts.entry(record["reason"].as_str().expect("a reason").to_owned()).or_default() += count;
    }
    println!("recorded: {counts:?}");
    // What comes before a site is named has no record; the metrics count it.
    let nameless = ["not_found", "method_not_allowed", "length_required", "signature_malformed"];
    let missing: Vec<_> = provoked.iter().filter(|c| !nameless.contains(c) && !counts.contains_key(**c)).collect();
    assert!(missing.is_empty(), "refused, and not in the log: {missing:?}");
}

#[test]
fn hostile_input_gets_the_documented_answer_and_harms_nobody() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    let text = data.to_str().expect("a path of UTF-8");
    let rules = folder.path().join("rules.yaml");
    std::fs::write(&rules, RULES).expect("a file can be written");
    let more = ["--rules", rules.to_str().expect("a path of UTF-8")];
    let up = Up::start(&data, free_port(), free_port(), &more);
    let [site, good, crowded, greedy] = ["hostile", "good", "crowded", "greedy"].map(|name| add_site(&data, name));
    let target = Target::new(up.port, site, good);

    connections::all_room(&target);
    thread::scope(|scope| {
        for slow in connections::slow_peers(&target) {
            let target = &target;
            scope.spawn(move || slow.run(target));
        }
        bodies::bodies(&target);
        signatures::signature_headers(&target);
        signatures::keys(&target, text);
        connections::framing(&target);
        connections::replays(&target);
        connections::aborts(&target);
        connections::quotas(&target, &crowded, &greedy);
    });
    let peak = memory_peak_mib(up.pid());
    let up = replayed_across_restarts(&target, up, &data, &more);
    assert_eq!(target.serve_the_good().status, 202);
    up.stop();

    let (table, wrong) = target.report();
    println!("{:<46} {:<34} seen\n{table}", "input", "expected");
    println!("memory at its peak: {peak} MiB");
    assert!(wrong.is_empty(), "not as documented:\n{}", wrong.join("\n"));
    assert!(peak < MEMORY_PEAK_MIB_MAX, "{peak} MiB");
    let provoked = target.codes();
    check_recorded(text, &provoked);
    for row in refusals::table().iter().filter(|row| !provoked.contains(&row.recorded.as_str())) {
        let elsewhere = NOT_FROM_OUTSIDE.iter().find(|(code, _)| *code == row.recorded);
        let (code, place) = elsewhere.unwrap_or_else(|| panic!("nothing was answered {}", row.recorded));
        println!("not from outside: {code} ({place})");
    }
    ok(&["replay", "--verify", "--data", text]);
}
