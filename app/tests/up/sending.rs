//! What `send` says of the lines that it was given.

use serde_json::{Value, json};

use crate::support::{Folder, READY, failed_mails, now_ms};

/// Sends a file; gives the exit code, what it says to people and what it says to programs.
fn send(folder: &Folder, signals: &str) -> (Option<i32>, String, Value) {
    let output = folder.run(&["send", signals, "--dsn-file", "dsn", "--give-up-after-s", "0", "--json"]);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code(), err.into_owned(), serde_json::from_str(&out).unwrap_or(Value::Null))
}

#[test]
fn what_is_told_is_what_became_of_the_lines_of_the_file() {
    let folder = Folder::new();
    let up = folder.up(&[], READY);
    folder.expect(0, &["site", "add", "Shop", "--dsn-file", "dsn"]);

    failed_mails(&folder.path("good"), 2);
    let (code, said, report) = send(&folder, "good");
    assert_eq!(
        (code, &report["accepted"], &report["left"], &report["begun"]),
        (Some(0), &json!(2), &json!(0), &json!(true))
    );
    assert!(said.contains("2 signals sent, 0 left") && !said.contains("no signal"), "{said}");

    // A batch that is refused as a whole; the sender's own news of it is no line of anybody.
    let nothing =
        format!("{{\"type\":\"cron.ran\",\"at\":{},\"job\":\"x\",\"outcome\":\"ok\"}}\nno signal\n", now_ms());
    std::fs::write(folder.path("bad"), nothing).unwrap();
    let (code, said, report) = send(&folder, "bad");
    assert!(said.contains("\n0 signals sent, 1 dropped with a refused batch, 1 line is no signal, 0 left"), "{said}");
    let counted = ["accepted", "dropped", "malformed", "left"].map(|name| report[name].as_u64().unwrap());
    assert_eq!((code, counted, &report["run"]["accepted"]), (Some(1), [0, 1, 1, 0], &json!(0)), "{report}");
    let told = folder.json(&["tail", "signals"]);
    assert!(told.iter().any(|signal| signal["type"] == "integration.dropped"), "it is told: {told:?}");
    up.stop();

    // One waits, and another one is sent.
    failed_mails(&folder.path("first"), 3);
    // Not mails too: made in one moment, both files would have lines in common.
    let line = |job| format!("{{\"type\":\"cron.run\",\"at\":{},\"job\":\"j{job}\",\"outcome\":\"ok\"}}\n", now_ms());
    std::fs::write(folder.path("second"), (0..4).map(line).collect::<String>()).unwrap();
    let (code, said, report) = send(&folder, "first");
    assert_eq!((code, &report["left"], &report["begun"]), (Some(3), &json!(3), &json!(true)), "{said}");
    let (code, said, report) = send(&folder, "second");
    assert_eq!((code, &report["left"], &report["begun"]), (Some(3), &json!(3), &json!(false)), "{said}");
    assert!(said.contains("; second comes when they are taken"), "{said}");
    assert!(
        said.contains("still to go: 3 signals in 1 batch of an earlier file, in dsn.spool, and then second"),
        "{said}"
    );
}

#[test]
fn what_is_refused_is_told_with_what_would_have_been_taken() {
    let folder = Folder::new();
    let up = folder.up(&[], READY);
    folder.expect(0, &["site", "add", "Shop", "--dsn-file", "dsn"]);
    let line = |kind: &str, rest: &str| format!("{{\"type\":\"{kind}\",\"at\":{},{rest}}}\n", now_ms());
    let text = [
        line("cron.run", "\"job\":\"a\",\"outcome\":\"hunter2\""),
        line("cron.run", "\"job\":\"a\",\"outcome\":\"hunter2\""),
        line("cron.run", "\"job\":\"a\",\"outcome\":\"ok\",\"password\":1"),
        line("cron.ran", "\"job\":\"a\""),
    ];
    std::fs::write(folder.path("in"), text.concat()).unwrap();
    let dry = folder.expect(1, &["send", "in", "--dsn-file", "dsn", "--dry-run"]);
    let (_, sent, report) = send(&folder, "in");
    up.stop();
    assert_eq!(report["dropped"].as_u64().zip(report["refused"].as_u64()).map(|(d, r)| d + r), Some(4), "{sent}");
    for said in [dry, sent] {
        for says in [
            "value_invalid (`outcome`); outcome is one of ok, ",
            "field_not_allowed (`password`); cron.run has job, outcome",
            "type_unknown (`type`); the types are auth.attempt, ",
        ] {
            assert_eq!(said.matches(says).count(), 1, "{says}: {said}");
        }
        assert!(said.contains("line 2: ") && !said.contains("hunter2"), "{said}");
    }
}
