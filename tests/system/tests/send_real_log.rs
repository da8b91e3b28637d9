//! A web server's log, from its lines to detections: converted, sent, judged, and compared with a recount that knows
//! nothing of Logystera. Then a copy of the spool is sent, and nothing changes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use logystera_system::process::{PATIENCE, Up, binary, free_port, json, ok, wait_for};
use logystera_system::send::{Sending, first_failure_after_cut, logged};
use serde_json::Value;

/// As `tests/clients/recount.py` counts.
const RULES: &str = "\
format: 1
rules:
- name: probing
  title: One source asks for what is not there
  severity: info
  subsystem: web
  signal: http.request
  where: { status: [404, 410] }
  group_by: [source]
  threshold: { count: 5, within: 10m }
  suppress: 7d
  resolve_after: 30m
  evidence: [path]
  message: \"{source} asked {site} for {count} missing pages\"
";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("two folders up").to_owned()
}

/// The lines' number, how many are readable, and who probes: source, state, milliseconds before the end, count.
struct Expected {
    lines: u64,
    readable: u64,
    probes: Vec<Value>,
}

fn recount(log: &Path, key: &Path, lines: u64) -> Expected {
    let output = Command::new("python3").arg(root().join("tests/clients/recount.py")).arg(log).arg(key).output();
    let output = output.expect("the tests need python3");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let probes = found["probes"].as_array().expect("a list").clone();
    Expected { lines, readable: found["lines"].as_u64().expect("a number"), probes }
}

/// The detections in the form of the recount; `end` is the time of the last signal.
fn probes(data: &str, end: i64) -> Vec<Value> {
    let detections = json(&["tail", "detections", "--data", data, "--from", "beginning", "--json"]);
    let probe = |d: &Value| {
        let at = d["last_evaluated_at"].as_i64().expect("a time") - end;
        serde_json::json!([d["group"]["source"], d["state"], at, d["count"]])
    };
    // A source that comes back within the suppression is recorded, but not told.
    let mut probes: Vec<Value> = detections.iter().filter(|d| d["state"] != "suppressed").map(probe).collect();
    probes.sort_by_key(ToString::to_string);
    probes
}

/// Converts, sends and judges a log of `lines` lines, then sends a copy of the spool.
fn check(log: &Path, lines: u64) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| dir.path().join(name);
    let text = |name: &str| path(name).to_str().expect("UTF-8").to_owned();
    let (port, admin_port) = (free_port(), free_port());
    std::fs::write(path("rules.yaml"), RULES).expect("written");
    let start = || Up::start(&path("data"), port, admin_port, &["--rules", &text("rules.yaml")]);
    let up = start();
    ok(&["site", "add", "shop", "--data", &text("data"), "--dsn-file", &text("dsn")]);
    up.stop();

    let converted = Command::new(binary())
        .args(["convert", "access-log", log.to_str().expect("UTF-8"), "--key-file", &text("key")])
        .output()
        .expect("the binary can be started");
    let said = String::from_utf8_lossy(&converted.stderr);
    let expected = recount(log, &path("key"), lines);
    let unreadable = expected.lines - expected.readable;
    assert!(
        said.contains(&format!(
            "{lines} lines: {} signals, {unreadable} that could not be read, 0 empty",
            expected.readable
        )),
        "{said}"
    );
    assert_eq!(converted.status.code(), Some(i32::from(unreadable > 0)), "{said}");
    std::fs::write(path("signals.ndjson"), &converted.stdout).expect("written");

    // The gateway is away: the batches are cut, and none gets through. That is when the spool is copied.
    let mut sending =
        Sending::start(&path("signals.ndjson"), &path("dsn"), &path("spool"), &["--rebase-time", "--json"]);
    first_failure_after_cut(&path("spool"), &mut sending);
    sending.copy(&path("spool"), &path("copy"));
    let up = start();
    let (code, report) = sending.finish();
    assert_eq!((code, &report["accepted"], &report["refused"]), (0, &expected.readable.into(), &0.into()), "{report}");

    let in_log = logged(&text("data"));
    assert_eq!(in_log.len() as u64, expected.readable, "every readable line is in the log once");
    let end = in_log.iter().map(|s| s["at"].as_i64().expect("a time")).max().expect("signals");
    let strip = |s: &Value| {
        let mut s = s.clone();
        let object = s.as_object_mut().expect("an object");
        for added in ["at", "site", "batch", "received_at"] {
            object.remove(added);
        }
        s.to_string()
    };
    let mut sent: Vec<String> = String::from_utf8_lossy(&converted.stdout)
        .lines()
        .map(|l| strip(&serde_json::from_str(l).expect("JSON")))
        .collect();
    let mut got: Vec<String> = in_log.iter().map(strip).collect();
    sent.sort();
    got.sort();
    assert_eq!(sent, got);

    wait_for("the detections", PATIENCE, || {
        std::thread::sleep(Duration::from_millis(300));
        (probes(&text("data"), end).len() == expected.probes.len()).then_some(())
    });
    let mut wanted = expected.probes;
    wanted.sort_by_key(ToString::to_string);
    assert!(!wanted.is_empty());
    assert_eq!(probes(&text("data"), end), wanted);
    let detections = ok(&["tail", "detections", "--data", &text("data"), "--from", "beginning", "--json"]);

    let batches = report["batches"].as_u64().expect("a number");
    let (code, report) =
        Sending::start(&path("signals.ndjson"), &path("dsn"), &path("copy"), &["--rebase-time", "--json"]).finish();
    assert_eq!((code, &report["batches"], &report["accepted"]), (0, &batches.into(), &0.into()), "{report}");
    assert_eq!(report["duplicate"], expected.readable);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(logged(&text("data")).len() as u64, expected.readable);
    assert_eq!(ok(&["tail", "detections", "--data", &text("data"), "--from", "beginning", "--json"]), detections);
    up.stop();
    println!("{lines} lines, {} signals, {} detections: {wanted:?}", expected.readable, wanted.len());
}

#[test]
fn a_small_log_is_judged_as_a_recount_says() {
    check(&root().join("tests/clients/access.log"), 22);
}

/// Any server's log of 10,000 lines in the combined format: `REAL_LOG=access.log.gz tests/run system`.
#[test]
fn a_real_log_is_judged_as_a_recount_says() {
    match std::env::var_os("REAL_LOG") {
        Some(log) => check(Path::new(&log), 10_000),
        None => println!("not run: REAL_LOG names no log; the small one is judged in any case"),
    }
}
