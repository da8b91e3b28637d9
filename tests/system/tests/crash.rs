//! `kill -9` of the running `up` at 51 moments under load: nothing acknowledged is lost or counted twice, the detections are
//! those of an undisturbed run, and each alert was delivered with one idempotency key.

#![expect(clippy::panic, reason = "a test fails by it")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use logystera_system::process::{self, Up, free_port, wait_for};
use logystera_system::receiver::Receiver;
use logystera_system::wire::{self, Credentials};

/// Kills in all; a third at random moments, a third inside a commit, a third between a delivery and its outcome.
const KILLS: u64 = 51;
const SITES: usize = 3;
const SIGNALS_A_BATCH: u64 = 20;
const PATIENCE: Duration = Duration::from_mins(3);
/// Site time from a batch to the next, and where it begins: all of it is younger than what is told late, which waits for its
/// like.
const STEP_MS: u64 = 30;
const BEGINS_BEFORE_MS: i64 = 4 * 60_000;

const RULES: &str = "\
format: 1
rules:
- name: force
  title: Force
  severity: warning
  subsystem: auth
  signal: auth.attempt
  where: { outcome: failure }
  group_by: [source]
  threshold: { count: 10, within: 2s }
  suppress: 1h
  resolve_after: 1s
  evidence: [method]
  message: \"{count} failures from {source}\"
";

/// fsync and fdatasync.
#[cfg(target_arch = "x86_64")]
const SYNC_CALLS: [u32; 2] = [74, 75];
#[cfg(target_arch = "aarch64")]
const SYNC_CALLS: [u32; 2] = [82, 83];

/// The n-th batch of a site: a pure function, so that both runs send the same. Every fourth fires a rule.
fn batch(site: usize, n: u64, start_ms: i64) -> (String, Vec<u8>) {
    let at = |i: u64| start_ms + (n * STEP_MS + i) as i64;
    let signal = |i: u64| {
        let source = if n.is_multiple_of(4) { n } else { n * 100 + i };
        format!(
            "{{\"type\":\"auth.attempt\",\"at\":{},\"outcome\":\"failure\",\"method\":\"form\",\"source\":\"{source:032x}\"}}",
            at(i)
        )
    };
    let signals: Vec<String> = (0..SIGNALS_A_BATCH).map(signal).collect();
    let body = format!(
        "{{\"through\":{},\"integration\":{{\"platform\":\"other\",\"version\":\"1.0.0\",\"enabled\":[\"auth.attempt\"]}},\"signals\":[{}]}}",
        at(SIGNALS_A_BATCH),
        signals.join(",")
    );
    (format!("{:016x}.{}", 0xabc0 + site, n + 1), body.into_bytes())
}

/// What one sender does.
struct Sender<'a> {
    site: usize,
    by: &'a Credentials,
    port: u16,
    start_ms: i64,
    pause: Duration,
}

impl Sender<'_> {
    /// Sends batches one after the other, each until it is acknowledged, while `more` says so. Gives how many.
    fn send_while(&self, more: impl Fn(u64) -> bool) -> u64 {
        let mut n = 0;
        while more(n) {
            let (id, body) = batch(self.site, n, self.start_ms);
            loop {
                match wire::post_batch(self.port, self.by, &id, &body) {
                    Some(answer) if answer.status == 202 || answer.status == 200 => break,
                    Some(answer) if answer.status < 500 && answer.status != 429 => {
                        panic!("{}: {}", answer.status, answer.body)
                    }
                    _ => sleep(Duration::from_millis(20)),
                }
            }
            n += 1;
            sleep(self.pause);
        }
        n
    }
}

/// A small generator, so that the random moments are the same each time.
struct Moments(u64);

impl Moments {
    fn next_ms(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        50 + (self.0 >> 33) % 350
    }
}

/// Waits for the moment of the kill. Gives what it aimed at, and whether it hit that.
fn aim(round: u64, up: &Up, receiver: &Receiver, moments: &mut Moments) -> (usize, bool) {
    sleep(Duration::from_millis(moments.next_ms()));
    match round % 3 {
        0 => (0, true),
        1 => (1, (0..200_000).any(|_| up.is_in(&SYNC_CALLS))),
        _ => (2, receiver.wait_for_next(Duration::from_secs(10))),
    }
}

fn detections(data: &Path) -> Vec<String> {
    let data = data.display().to_string();
    let out = process::ok(&["tail", "detections", "--from", "beginning", "--json", "--data", &data]);
    let key = |line: &str| {
        let d: serde_json::Value = serde_json::from_str(line).expect("a detection is JSON");
        (d["site"].as_str().map(str::to_owned), d["seq"].as_u64())
    };
    let mut lines: Vec<String> = out.lines().map(str::to_owned).collect();
    lines.sort_by_key(|line| key(line));
    lines
}

fn copy(from: &Path, to: &Path) {
    let status = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(status.is_ok_and(|s| s.success()), "cp -a");
}

/// Kills `up` again and again while batches come in; gives how many of each site were acknowledged.
fn disturbed_run(data: &Path, senders: &[Sender<'_>], more: &[&str], receiver: &Receiver, admin: u16) -> Vec<u64> {
    let stop = AtomicBool::new(false);
    let mut hits = [0_u64; 3];
    let acked = thread::scope(|scope| {
        let port = senders[0].port;
        let mut up = Up::start(data, port, admin, more);
        let stop = &stop;
        let sending: Vec<_> =
            senders.iter().map(|s| scope.spawn(move || s.send_while(|_| !stop.load(Ordering::Relaxed)))).collect();
        let mut moments = Moments(42);
        for round in 0..KILLS {
            let (aimed, hit) = aim(round, &up, receiver, &mut moments);
            hits[aimed] += u64::from(hit);
            up.kill();
            up = Up::start(data, port, admin, more);
        }
        stop.store(true, Ordering::Relaxed);
        let acked: Vec<u64> = sending.into_iter().map(|s| s.join().expect("a sender ends")).collect();
        let fired: u64 = acked.iter().map(|n| n.div_ceil(4)).sum();
        wait_for("every alert is delivered, or overtaken by a newer line of its fault", PATIENCE, || {
            let told = told(receiver).into_keys().chain(overtaken(data)).collect::<BTreeSet<_>>().len();
            (told as u64 >= fired && told >= detections(data).len()).then_some(())
        });
        up.stop();
        acked
    });
    let [random, commit, delivery] = hits;
    println!(
        "killed {KILLS} times: {random} at random, {commit} inside a commit, {delivery} between a delivery and its outcome"
    );
    assert!(commit >= 10 && delivery >= 10, "too few kills hit what they aimed at: {hits:?}");
    acked
}

/// Every acknowledged batch is in the log exactly once.
fn check_log(data: &str, acked: &[u64]) {
    let mut counts = BTreeMap::<(String, String), u64>::new();
    let records = process::json(&["tail", "signals", "--from", "beginning", "--json", "--data", data]);
    // The site's configurations and what was turned away stand in the topic too.
    for signal in records.iter().filter(|record| record["batch"].is_string()) {
        let id = |field: &str| signal[field].as_str().unwrap_or_default().to_owned();
        *counts.entry((id("site"), id("batch"))).or_default() += 1;
    }
    let batches: u64 = acked.iter().sum();
    println!("{batches} batches acknowledged, {} in the log", counts.len());
    assert_eq!(counts.len() as u64, batches, "acknowledged and in the log");
    let twice = counts.values().filter(|n| **n != SIGNALS_A_BATCH).count();
    assert_eq!(twice, 0, "batches that are in the log more than once");
}

/// The alerts that were delivered, by site and number, and the idempotency keys that each came with.
fn told(receiver: &Receiver) -> BTreeMap<String, BTreeSet<String>> {
    let mut keys = BTreeMap::<String, BTreeSet<String>>::new();
    for delivery in receiver.deliveries() {
        let alert = &delivery.body["data"];
        keys.entry(format!("{} {}", alert["site"], alert["seq"])).or_default().insert(delivery.id);
    }
    keys
}

/// The alerts that a newer line of the same fault is told in place of, by site and number.
fn overtaken(data: &Path) -> BTreeSet<String> {
    let data = data.display().to_string();
    let rows = process::json(&["tail", "attempts", "--from", "beginning", "--json", "--data", &data]);
    let overtaken = rows.iter().filter(|row| row["reason"] == "superseded");
    overtaken.map(|row| format!("{} {}", row["site"], row["seq"])).collect()
}

/// Each alert was delivered at least once, or overtaken while it waited, always with the same idempotency key.
fn check_deliveries(receiver: &Receiver, data: &Path, detections: usize) {
    let (keys, overtaken) = (told(receiver), overtaken(data));
    println!("{detections} alerts: {} delivered, {} overtaken", keys.len(), overtaken.len());
    let accounted: BTreeSet<&String> = keys.keys().chain(&overtaken).collect();
    assert_eq!(accounted.len(), detections, "each alert was delivered or overtaken");
    assert!(keys.len() > detections / 2, "most of them were delivered");
    assert!(keys.values().all(|ids| ids.len() == 1), "an alert came with two idempotency keys");
}

#[test]
fn fifty_kills_change_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (data, calm) = (folder.path().join("data"), folder.path().join("calm"));
    let rules = folder.path().join("rules.yaml");
    std::fs::write(&rules, RULES).expect("a file can be written");
    let more = ["--allow-private-addresses", "--rules", rules.to_str().expect("a path of ASCII")];
    let text = data.display().to_string();
    let receiver = Receiver::start(Duration::from_millis(40));
    let (port, admin) = (free_port(), free_port());

    // Sites and the channel are made once; the undisturbed run starts from a copy, so that ids and keys are the same.
    Up::start(&data, port, admin, &more).stop();
    let sites: Vec<Credentials> = (0..SITES)
        .map(|n| process::json(&["site", "add", &format!("site {n}"), "--json", "--data", &text]))
        .map(|lines| Credentials::from_json(&lines[0]))
        .collect();
    process::ok(&["channel", "add", "webhook", &format!("http://127.0.0.1:{}/", receiver.port), "--data", &text]);
    copy(&data, &calm);

    let start_ms = wire::now_ms() - BEGINS_BEFORE_MS;
    let sender = |site, pause| Sender { site, by: &sites[site], port, start_ms, pause: Duration::from_millis(pause) };
    let senders: Vec<Sender<'_>> = (0..SITES).map(|site| sender(site, 25)).collect();
    let acked = disturbed_run(&data, &senders, &more, &receiver, admin);
    check_log(&text, &acked);
    let disturbed = detections(&data);
    check_deliveries(&receiver, &data, disturbed.len());

    let up = Up::start(&calm, port, admin, &more);
    thread::scope(|scope| {
        for (site, last) in acked.iter().enumerate() {
            let sender = sender(site, 1);
            scope.spawn(move || sender.send_while(|n| n < *last));
        }
    });
    let undisturbed = wait_for("the undisturbed run catches up", PATIENCE, || {
        Some(detections(&calm)).filter(|calm| calm.len() >= disturbed.len())
    });
    up.stop();
    assert_eq!(disturbed, undisturbed, "the detections differ");
    process::ok(&["replay", "--verify", "--data", &text]);
}
