//! Silences and what a channel takes, with `up` running on the folder and without.

use serde_json::Value;

use super::commands::send;
use super::support::{Folder, READY, failed_mails, now_ms};

const HOUR_MS: i64 = 3_600_000;

fn id(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}

/// The detections that the log has, as a command prints them.
fn detections(folder: &Folder) -> Vec<Value> {
    folder.json(&["tail", "detections", "--from", "beginning"])
}

/// How the newest delivery of the one channel stands.
fn newest(folder: &Folder, reason: &str) -> Value {
    folder.wait_for(reason, |folder| {
        folder.json(&["delivery", "list"]).into_iter().rev().find(|row| row["reason"] == reason)
    })
}

#[test]
fn what_is_silenced_is_told_at_the_end_and_no_detection_is_another_for_it() {
    let folder = Folder::new();
    let up = folder.up(&[], READY);
    folder.expect(0, &["site", "add", "Shop", "--dsn-file", "shop.dsn"]);
    let url = "https://nowhere.invalid/hook";
    let channel = id(&folder.json(&["channel", "add", "webhook", url])[0], "channel");
    assert!(folder.expect(0, &["silence", "list"]).starts_with("Nothing is silenced."));
    let add = ["silence", "add", "--for", "2h", "--reason", "moving", "--site", "shop", "--author", "ann"];
    let silence = id(&folder.json(&add)[0], "silence");
    let listed = folder.json(&["silence", "list"]).remove(0);
    assert_eq!(
        ["state", "tenant", "author", "reason", "site"].map(|name| id(&listed, name)),
        ["holds", "default", "ann", "moving", "shop"]
    );
    let until = listed["until"].as_i64().unwrap();
    assert!((HOUR_MS..=2 * HOUR_MS).contains(&(until - now_ms())), "{listed}");

    failed_mails(&folder.path("mails"), 5);
    send(&folder, 0, "mails", "shop.dsn");
    let held = newest(&folder, "silenced");
    assert_eq!((&held["state"], held["next_attempt_at"].as_i64()), (&"not_sent".into(), Some(until)), "{held}");
    assert_eq!(id(&held, "why"), "a silence holds it back");
    let before = detections(&folder);

    assert!(folder.expect(0, &["silence", "end", &silence]).contains("is over"));
    assert_eq!(newest(&folder, "unreachable_dns")["delivery"], held["delivery"]);
    assert!(folder.expect(2, &["silence", "end", &silence]).contains("is over already"));
    assert!(folder.expect(2, &["silence", "end", "sl_0"]).contains("`logystera silence list` shows them"));
    assert_eq!(folder.json(&["silence", "list"]).len(), 0);
    assert_eq!(id(&folder.json(&["silence", "list", "--all"])[0], "state"), "ended");

    // Whatever was silenced, set and enabled: the detections are what the signals give, to the last byte of their chain.
    folder.expect(0, &["channel", "set", &channel, "--severity", "critical", "--no-resolved"]);
    folder.expect(0, &["channel", "enable", &channel]);
    assert_eq!(detections(&folder), before);
    up.stop();
    let verified = &folder.json(&["replay", "--verify"])[0];
    assert_eq!(verified["verified"].as_bool(), Some(true), "{verified}");
    // Without `up`, too.
    folder.expect(0, &["silence", "add", "--for", "3d", "--reason", "maintenance"]);
}

#[test]
fn a_silence_is_made_and_ended_while_nothing_runs_and_says_what_is_wrong() {
    let folder = Folder::new();
    folder.expect(0, &["site", "add", "Shop", "--create"]);
    let silence = id(&folder.json(&["silence", "add", "--for", "90s", "--reason", "a test"])[0], "silence");
    assert!(folder.expect(0, &["silence", "list"]).contains("everything"));
    folder.expect(0, &["silence", "end", &silence]);
    for (wrong, says) in [
        (vec!["--for", "91d", "--reason", "x"], "within 90 days"),
        (vec!["--for", "2h", "--reason", "x", "--from", "2100-01-01"], "within 90 days"),
        (vec!["--for", "2h", "--reason", " "], "--reason has 1 to"),
        (vec!["--for", "2h"], "--reason"),
        (vec!["--for", "tomorrow", "--reason", "x"], "such as 90s, 15m, 2h or 3d"),
        (vec!["--for", "2h", "--reason", "x", "--site", "blog"], "`logystera site list` shows them"),
        (vec!["--for", "2h", "--reason", "x", "--severity", "bad"], "expected one of info, warning, critical"),
        (vec!["--for", "2h", "--reason", "x", "--from", "2h"], "expected a time"),
    ] {
        let said = folder.expect(2, &[&["silence", "add"], &wrong[..]].concat());
        assert!(said.contains(says), "{wrong:?}: {said}");
    }
    folder.expect(0, &["site", "add", "Blog", "--tenant", "acme"]);
    let said = folder.expect(2, &["silence", "add", "--for", "2h", "--reason", "x"]);
    assert!(said.contains("whose alerts? --tenant or --site says it (acme, default)"), "{said}");
}

#[test]
fn what_a_channel_takes_is_set_shown_and_undone() {
    let folder = Folder::new();
    folder.expect(0, &["site", "add", "Shop", "--create"]);
    let channel = id(&folder.json(&["channel", "add", "webhook", "https://nowhere.invalid/hook"])[0], "channel");
    assert!(folder.expect(0, &["channel", "list"]).contains("everything"));
    let set = |args: &[&str], code: i32| folder.expect(code, &[&["channel", "set", &channel], args].concat());
    set(
        &[
            "--severity",
            "warning",
            "--subsystem",
            "mail",
            "--subsystem",
            "db",
            "--site",
            "shop",
            "--rule",
            "mail-delivery-failing",
        ],
        0,
    );
    set(&["--no-resolved", "--quiet", "22:00-07:00+02:00", "--quiet-except", "critical", "--per-minute", "10"], 0);
    let settings = folder.json(&["channel", "list"]).remove(0)["settings"].take();
    let expected = serde_json::json!({
        "severity": "warning", "subsystems": ["mail", "db"], "rules": ["mail-delivery-failing"], "sites": ["shop"], "resolved": false,
        "quiet": {"utc_offset_min": 120, "from_min": 1320, "to_min": 420, "except": "critical", "hours": "22:00-07:00+02:00"},
        "per_minute": 10
    });
    assert_eq!(settings, expected);
    let said = "warning and worse; parts mail, db; rules mail-delivery-failing; sites shop; not when it is over; quiet 22:00-07:00+02:00 except critical; 10 a minute";
    assert!(folder.expect(0, &["channel", "list"]).contains(said));
    set(&["--severity", "info", "--all-subsystems", "--all-rules", "--all-sites", "--resolved", "--no-quiet"], 0);
    assert!(set(&["--no-per-minute"], 0).contains("every alert"));
    assert!(folder.expect(0, &["channel", "list"]).contains("everything"));
    for (wrong, says) in [
        (vec![], "name what is to change"),
        (vec!["--severity", "bad"], "expected one of info, warning, critical"),
        (vec!["--quiet", "22-7"], "22:00-07:00+02:00"),
        (vec!["--quiet-except", "critical"], "give them too"),
        (vec!["--site", "blog"], "has no site blog"),
    ] {
        let said = set(&wrong, 2);
        assert!(said.contains(says), "{wrong:?}: {said}");
    }
    assert!(folder.expect(2, &["channel", "set", "ch_0", "--severity", "info"]).contains("no channel ch_0"));
}
