//! The client of docs/sending-batches.md against a running `up`.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

use logystera_system::process::{PATIENCE, Up, free_port, ok, wait_for};
use logystera_system::send::logged;

fn client(dir: &Path, input: &str) -> Child {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("two folders up");
    let child = Command::new("python3")
        .arg(root.join("tests/clients/send_batches.py"))
        .args([dir.join("dsn"), dir.join("state.json")])
        .env("no_proxy", "127.0.0.1")
        .stdin(File::open(dir.join(input)).expect("the input is there"))
        .stderr(Stdio::piped())
        .spawn();
    child.expect("the tests need python3")
}

fn finish(child: Child) -> String {
    let output = child.wait_with_output().expect("a child can be waited for");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

#[expect(clippy::disallowed_methods, reason = "signals need times of today")]
fn now_ms() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_millis() as i64
}

#[test]
fn the_client_of_the_document_sends_all_of_it_once() {
    const SIGNALS: i64 = 12_000;
    let dir = tempfile::tempdir().expect("a temporary folder");
    let data = dir.path().join("data");
    let data_text = data.to_str().expect("UTF-8");
    let up = Up::start(&data, free_port(), free_port(), &[]);
    ok(&["site", "add", "shop", "--data", data_text, "--dsn-file", dir.path().join("dsn").to_str().expect("UTF-8")]);
    let start = now_ms() - SIGNALS;
    let line = |i: i64| format!("{{\"type\":\"cron.run\",\"at\":{},\"job\":\"j{i}\",\"outcome\":\"ok\"}}\n", start + i);
    // Not in the order of their times.
    let lines: Vec<String> = (0..SIGNALS).map(|i| line(i * 7_919 % SIGNALS)).collect();
    std::fs::write(dir.path().join("in.ndjson"), lines.concat()).expect("written");
    std::fs::write(dir.path().join("none"), "").expect("written");
    std::fs::write(dir.path().join("bad.ndjson"), "{\"type\":\"cron.run\",\"at\":0,\"job\":\"too old\"}\n")
        .expect("written");

    // Killed in the middle and run again without input, it goes on.
    let mut first = client(dir.path(), "in.ndjson");
    wait_for("some batches are sent", PATIENCE, || {
        let state: serde_json::Value =
            serde_json::from_slice(&std::fs::read(dir.path().join("state.json")).ok()?).ok()?;
        (state["seq"].as_u64() >= Some(3)).then_some(())
    });
    first.kill().expect("a child can be killed");
    first.wait().expect("a child can be waited for");
    assert!(logged(data_text).len() < SIGNALS as usize, "the kill was in the middle");
    let said = finish(client(dir.path(), "none"));
    assert!(said.contains("202 "), "{said}");
    let jobs = || {
        let mut jobs: Vec<String> =
            logged(data_text).iter().filter_map(|s| Some(s["job"].as_str()?.to_owned())).collect();
        jobs.sort();
        // A try that was cut off while the gateway wrote it can be there twice, under one batch id.
        jobs.dedup();
        jobs
    };
    let mut expected: Vec<String> = (0..SIGNALS).map(|i| format!("j{i}")).collect();
    expected.sort();
    assert!(jobs() == expected, "{} in the log", jobs().len());

    // A batch that is refused as a whole is dropped, and told.
    let said = finish(client(dir.path(), "bad.ndjson"));
    assert!(said.contains("422 ") && said.contains("nothing_acceptable"), "{said}");
    let told: Vec<_> = logged(data_text).into_iter().filter(|s| s["type"] == "integration.dropped").collect();
    assert_eq!(told.len(), 1);
    assert_eq!(
        (&told[0]["dropped_type"], &told[0]["count"], &told[0]["reason"]),
        (&"cron.run".into(), &1.into(), &"refused".into())
    );

    // A state from a backup, 70 batches old: what is new arrives all the same, under another spool.
    let path = |name: &str| dir.path().join(name);
    let mut state: serde_json::Value =
        serde_json::from_slice(&std::fs::read(path("state.json")).expect("a state")).expect("JSON");
    state["limit"] = 1.into();
    std::fs::write(path("state.json"), state.to_string()).expect("written");
    std::fs::copy(path("state.json"), path("backup.json")).expect("copied");
    let write = |name: &str, jobs: std::ops::Range<i64>| {
        let lines: Vec<String> = jobs.map(|i| line(SIGNALS + i)).collect();
        std::fs::write(path(name), lines.concat()).expect("written");
    };
    write("since.ndjson", 0..70);
    finish(client(dir.path(), "since.ndjson"));
    std::fs::rename(path("backup.json"), path("state.json")).expect("renamed");
    write("new.ndjson", 70..75);
    finish(client(dir.path(), "new.ndjson"));
    let got = jobs();
    assert_eq!(got.len(), SIGNALS as usize + 75, "{:?}", got.last());
    up.stop();
}
