//! A record that nobody can read: the engine stands there until somebody says how to go on.

use logystera_infra::embedded::Embedded;
use logystera_infra::log::{Entry, Log};
use logystera_schemas::topic::Topic;

use crate::support::{Folder, failed_mails};

/// Appends a record that is none; gives its offset.
fn junk(folder: &Folder, topic: Topic) -> u64 {
    let embedded = Embedded::open(&folder.data()).unwrap();
    let log = embedded.log();
    let offset = log.bounds(topic, 0).unwrap().end;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let entry = Entry { topic, partition: 0, key: b"shop".to_vec(), value: b"junk".to_vec() };
    runtime.block_on(log.append(vec![entry])).unwrap();
    embedded.close();
    offset
}

#[test]
fn a_record_that_cannot_be_read_is_told_and_passed_over_once_somebody_says_so() {
    let folder = Folder::new();
    folder.expect(0, &["site", "add", "First", "--create"]);
    let offset = junk(&folder, Topic::Signals).to_string();

    let up = folder.up(&[], "Watch:");
    folder.expect(0, &["site", "add", "Shop", "--dsn-file", "shop.dsn"]);
    failed_mails(&folder.path("mails"), 5);
    folder.expect(0, &["send", "mails", "--dsn-file", "shop.dsn"]);
    let skip = ["log", "skip", "signals", "0", &offset, "--reason", "junk of a test"];
    let said = folder.wait_for("the engine says where it stands", |folder| {
        let log = std::fs::read_to_string(folder.path("up.log")).unwrap();
        log.lines().find(|line| line.contains("log skip signals 0")).map(str::to_owned)
    });
    assert!(said.contains(&format!("signals partition 0 offset {offset}")), "{said}");
    assert_eq!(folder.json(&["tail", "detections", "--from", "beginning"]).len(), 0, "it stands");
    // Who looks sees it, and what is behind it.
    let shown = folder.json(&["tail", "signals", "--from", "beginning"]);
    let unreadable = shown.iter().position(|line| line["record"] == "unreadable").unwrap();
    assert_eq!(shown[unreadable]["offset"].to_string(), offset);
    assert!(shown[unreadable..].iter().any(|line| line["type"] == "mail.outcome"), "{shown:?}");
    assert!(folder.expect(1, &["replay", "--verify"]).contains(&format!("offset {offset}")));

    // What can be read is not skipped, nor what is not there.
    for (args, says) in [
        (["log", "skip", "signals", "0", "0", "--reason", "no"], "can be read"),
        (["log", "skip", "signals", "0", "999999", "--reason", "no"], "no record"),
        (["log", "skip", "signals", "0", "0..3", "--reason", "no"], "is left"),
        (["log", "skip", "signals", "7", "0", "--reason", "no"], "no partition 7"),
    ] {
        let told = folder.expect(2, &args);
        assert!(told.contains(says), "{args:?}: {told}");
    }
    assert!(folder.expect(0, &skip).starts_with("Skipped"));
    folder.wait_for("a detection", |folder| folder.json(&["tail", "detections"]).into_iter().next());
    up.stop();
    let verified = &folder.json(&["replay", "--verify"])[0];
    assert_eq!((verified["verified"].as_bool(), verified["skipped"].as_u64()), (Some(true), Some(1)), "{verified}");
}

#[test]
fn each_site_shows_its_rules() {
    let folder = Folder::new();
    let up = folder.up(&[], "Watch:");
    folder.expect(0, &["site", "add", "Shop"]);
    let shown = folder.json(&["rules", "status"]);
    assert_eq!((shown[0]["site"].as_str(), shown[1]["sites"].as_u64()), (Some("shop"), Some(1)), "{shown:?}");
    assert_eq!((&shown[0]["digest"], shown[1]["published"].as_bool()), (&shown[1]["digest"], Some(true)), "{shown:?}");
    assert!(shown[0]["by"].as_str().unwrap().starts_with("site add"), "{shown:?}");
    assert!(folder.expect(0, &["rules", "status"]).contains("1 site, published last"));
    up.stop();
}

/// Changes a record without its checksum, as a broken disk does.
fn harm(folder: &Folder, topic: Topic, offset: u64) {
    let store = rusqlite::Connection::open(folder.data().join("logystera.sqlite")).unwrap();
    let sql = format!("UPDATE log_{} SET value = x'00' WHERE offset = ?1", topic.name());
    assert_eq!(store.execute(&sql, [offset]).unwrap(), 1);
}

#[test]
fn a_record_that_was_altered_is_shown_and_passed_over_by_whoever_reads() {
    let folder = Folder::new();
    folder.expect(0, &["site", "add", "Shop", "--create"]);
    folder.expect(0, &["channel", "add", "webhook", "https://nowhere.invalid/"]);
    harm(&folder, Topic::Signals, 0);
    harm(&folder, Topic::Detections, 0);

    let shown = folder.json(&["tail", "signals", "--from", "beginning"]);
    assert!(shown[0]["record"] == "unreadable" && shown[0]["offset"] == 0, "{shown:?}");
    for (command, topic) in [(&["channel", "list"][..], "detections"), (&["replay", "--verify"], "signals")] {
        folder.expect(1, command);
        folder.expect(0, &["log", "skip", topic, "0", "0", "--reason", "a disk"]);
        folder.expect(0, command);
    }
}
