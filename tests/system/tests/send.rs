//! `logystera send` against a running `up`, over outages and kills of either.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use logystera_system::process::{PATIENCE, Up, binary, free_port, ok, wait_for};
use logystera_system::send::{Sending, copy, logged, state};

/// A folder with a site in it.
struct Place {
    dir: tempfile::TempDir,
    port: u16,
    admin_port: u16,
}

impl Place {
    fn new() -> (Self, Up) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let place = Self { dir, port: free_port(), admin_port: free_port() };
        let up = place.up();
        ok(&["site", "add", "shop", "--data", &place.text("data"), "--dsn-file", &place.text("dsn")]);
        (place, up)
    }

    fn up(&self) -> Up {
        Up::start(&self.path("data"), self.port, self.admin_port, &[])
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().expect("UTF-8").to_owned()
    }

    fn send(&self, input: &Path, more: &[&str]) -> Sending {
        Sending::start(input, &self.path("dsn"), &self.path("spool"), more)
    }

    /// Checks that exactly these jobs are in the log, each in one batch. A try that was cut off while the gateway wrote
    /// it can put a batch there twice, under one id: what reads the log takes it once.
    fn holds(&self, jobs: impl IntoIterator<Item = u64>) {
        let text = |s: &serde_json::Value, name: &str| s[name].as_str().expect("text").to_owned();
        let in_log: BTreeSet<(String, String)> =
            logged(&self.text("data")).iter().map(|s| (text(s, "job"), text(s, "batch"))).collect();
        let got: BTreeSet<&str> = in_log.iter().map(|(job, _)| job.as_str()).collect();
        assert_eq!(got.len(), in_log.len(), "each in one batch");
        let wanted: Vec<String> = jobs.into_iter().map(|i| format!("j{i}")).collect();
        let wanted: BTreeSet<&str> = wanted.iter().map(String::as_str).collect();
        assert!(got == wanted, "{} in the log, {} were sent", got.len(), wanted.len());
    }
}

#[expect(clippy::disallowed_methods, reason = "signals need times of today")]
fn now_ms() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_millis() as i64
}

fn line(i: u64, at: i64) -> String {
    format!("{{\"type\":\"cron.run\",\"at\":{at},\"job\":\"j{i}\",\"outcome\":\"ok\"}}\n")
}

#[test]
fn a_sender_that_is_killed_goes_on_where_it_was() {
    const SIGNALS: u64 = 60_000;
    let (place, up) = Place::new();
    let start = now_ms() - SIGNALS as i64;
    let text: Vec<String> = (0..SIGNALS).map(|i| line(i, start + i as i64)).collect();
    let input = place.path("in.ndjson");
    std::fs::write(&input, text.concat()).expect("written");
    let mut kills = 0;
    for settled in [1, 7, 20, 33] {
        let sending = place.send(&input, &[]);
        wait_for("some batches are settled", PATIENCE, || {
            state(&place.path("spool")).filter(|s| s["done_seq"].as_u64() >= Some(settled))
        });
        sending.kill();
        kills += u64::from(state(&place.path("spool")).expect("a state")["done_seq"].as_u64() < Some(60));
    }
    assert_eq!(kills, 4, "each kill was in the middle");
    let (code, report) = place.send(&input, &["--json"]).finish();
    assert_eq!(code, 0, "{report}");
    assert_eq!(report["accepted"].as_u64().zip(report["duplicate"].as_u64()).map(|(a, d)| a + d), Some(SIGNALS));
    place.holds(0..SIGNALS);
    up.stop();
}

#[test]
fn an_outage_of_the_gateway_loses_nothing() {
    const SIGNALS: u64 = 30_000;
    let (place, up) = Place::new();
    let start = now_ms() - SIGNALS as i64;
    let text: Vec<String> = (0..SIGNALS).map(|i| line(i, start + i as i64)).collect();
    let input = place.path("in.ndjson");
    std::fs::write(&input, text.concat()).expect("written");
    let sending = place.send(&input, &["--json"]);
    wait_for("some batches are settled", PATIENCE, || {
        state(&place.path("spool")).filter(|s| s["done_seq"].as_u64() >= Some(3))
    });
    up.kill();
    let before = state(&place.path("spool")).expect("a state")["done_seq"].as_u64();
    assert!(before < Some(30), "the outage was in the middle");
    std::thread::sleep(Duration::from_millis(500));
    let up = place.up();
    let (code, report) = sending.finish();
    assert_eq!(code, 0, "{report}");
    place.holds(0..SIGNALS);
    up.stop();
}

#[test]
fn a_stream_goes_on_over_kills_of_both() {
    let (place, up) = Place::new();
    let stdin = Path::new("-");
    let follow = ["--follow", "--flush-every-s", "1", "--json"];
    let mut sending = place.send(stdin, &follow);
    let mut input = sending.input();
    let write = |input: &mut std::process::ChildStdin, range: std::ops::Range<u64>| {
        for i in range {
            input.write_all(line(i, now_ms()).as_bytes()).expect("the sender reads");
        }
    };
    let in_log = || {
        std::thread::sleep(Duration::from_millis(300));
        logged(&place.text("data")).len()
    };
    write(&mut input, 0..1_500);
    wait_for("the first signals", PATIENCE, || (in_log() >= 1_500).then_some(()));

    // The gateway is away: what comes is on disk before anybody asks.
    up.kill();
    write(&mut input, 1_500..4_000);
    let on_disk = || {
        let files = std::fs::read_dir(place.path("spool")).into_iter().flatten().flatten();
        let open = files.filter(|f| f.file_name().to_string_lossy().starts_with("open-"));
        open.map(|f| std::fs::read_to_string(f.path()).unwrap_or_default().matches("\"j3999\"").count()).sum::<usize>()
    };
    let batches = || std::fs::read_dir(place.path("spool/batches")).map_or(0, Iterator::count);
    wait_for("the last is on disk", PATIENCE, || (on_disk() == 1 || batches() > 1).then_some(()));
    sending.kill();

    let up = place.up();
    let mut sending = place.send(stdin, &follow);
    let mut input = sending.input();
    write(&mut input, 4_000..4_010);
    wait_for("all signals", PATIENCE, || (in_log() >= 4_010).then_some(()));
    let seq = || state(&place.path("spool")).and_then(|s| s["done_seq"].as_u64()).unwrap_or(0);
    let before = seq();
    wait_for("heartbeats", PATIENCE, || (seq() >= before + 2).then_some(()));
    input.write_all(b"no signal\n").expect("the sender reads");
    write(&mut input, 4_010..4_011);
    drop(input);
    let (code, report) = sending.finish();
    assert_eq!((code, &report["malformed"]), (1, &1.into()), "{report}");
    place.holds(0..4_011);
    up.stop();
}

#[test]
fn a_spool_from_a_backup_sends_all_that_is_new() {
    const SINCE: u64 = 70_000;
    let (place, up) = Place::new();
    let start = now_ms() - 2 * SINCE as i64;
    let write = |name: &str, jobs: std::ops::Range<u64>| {
        let text: Vec<String> = jobs.map(|i| line(i, start + i as i64)).collect();
        std::fs::write(place.path(name), text.concat()).expect("written");
        place.path(name)
    };
    assert_eq!(place.send(&write("first", 0..1), &[]).finish().0, 0);
    copy(&place.path("spool"), &place.path("backup"));
    assert_eq!(place.send(&write("since", 1..SINCE), &[]).finish().0, 0);
    std::fs::remove_dir_all(place.path("spool")).expect("removed");
    std::fs::rename(place.path("backup"), place.path("spool")).expect("renamed");
    let (code, report) = place.send(&write("new", SINCE..SINCE + 10), &["--json"]).finish();
    assert_eq!((code, &report["accepted"], &report["duplicate"]), (0, &10.into(), &0.into()), "{report}");
    place.holds(0..SINCE + 10);
    up.stop();
}

#[test]
fn a_sender_that_is_interrupted_says_what_waits_and_where() {
    let (place, up) = Place::new();
    up.stop();
    let start = now_ms() - 10_000;
    let text: Vec<String> = (0..1_500).map(|i| line(i, start + i as i64)).collect();
    std::fs::write(place.path("in.ndjson"), text.concat()).expect("written");
    let child = Command::new(binary())
        .args(["send", &place.text("in.ndjson"), "--dsn-file", &place.text("dsn"), "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary can be started");
    let spool = place.path("dsn.spool");
    wait_for("the file is cut", PATIENCE, || state(&spool).filter(|s| s["tried_seq"] == 1));
    let stopped = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(stopped.is_ok_and(|status| status.success()), "kill");
    let output = child.wait_with_output().expect("a child can be waited for");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(
        said.contains("interrupted; still to go: 1500 signals in 2 batches, in ") && said.contains("dsn.spool"),
        "{said}"
    );
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&report["left"], &report["interrupted"]), (&1_500.into(), &true.into()), "{report}");
    let up = place.up();
    assert_eq!(Sending::start(&place.path("in.ndjson"), &place.path("dsn"), &spool, &[]).finish().0, 0);
    place.holds(0..1_500);
    up.stop();
}
