//! Records that nobody can read, and records that are gone: who stands, who does not, and how it goes on.

use std::process::Child;
use std::time::Duration;

use logystera_infra::log::Entry;
use logystera_schemas::topic::Topic;
use logystera_system::process::{PATIENCE, wait_for};
use logystera_system::wire;
use serde_json::Value;

use crate::oracle::RULES;
use crate::support::Installation;

const CONFIG: [&str; 2] = ["--config", "logystera.toml"];

/// Appends a record that is none.
fn junk(place: &Installation, topic: Topic, key: &str) {
    place.append(Entry { topic, partition: 0, key: key.as_bytes().to_vec(), value: b"junk".to_vec() });
}

fn json(place: &Installation, args: &[&str]) -> Vec<Value> {
    let out = place.ok(&[args, &["--json"], &CONFIG].concat());
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn log_has(place: &Installation, role: &str, text: &str) -> Option<String> {
    let log = std::fs::read_to_string(place.path(role)).unwrap_or_default();
    log.lines().find(|line| line.contains(text)).map(str::to_owned)
}

/// Until a processor has nothing left.
fn caught_up(place: &Installation) {
    wait_for("the processor has caught up", PATIENCE, || {
        // Ticks go on all the while.
        json(place, &["partitions", "status"])
            .iter()
            .any(|row| row["topic"] == "signals" && row["lag"].as_u64() < Some(5))
            .then_some(())
    });
}

#[test]
fn a_record_of_control_that_cannot_be_read_stops_nobody() {
    let Some(place) = Installation::new(1, Some(RULES)) else { return };
    let mut gateway = place.gateway();
    let site = json(&place, &["site", "add", "shop"]).remove(0);
    let mut processor = place.start("processor", "p1");
    processor.is_ready();
    junk(&place, Topic::Control, "junk");
    place.append(Entry { topic: Topic::Control, partition: 0, key: b"site/shop".to_vec(), value: Vec::new() });
    wait_for("the processor counts them", PATIENCE, || {
        (processor.metric("logystera_control_unreadable_records ") == Some(2)).then_some(())
    });
    let ready = wire::get(processor.admin_port(), "/health/ready").unwrap();
    assert_eq!(ready.status, 200);
    assert!(ready.body.starts_with("ready, degraded"), "{}", ready.body);
    assert!(log_has(&place, "processor-p1.log", "a record of topic control cannot be read").is_some());
    // Longer than a lease: it is renewed behind them.
    std::thread::sleep(Duration::from_secs(16));
    gateway.is_ready();
    assert_eq!(json(&place, &["site", "list"])[0]["site"], site["site"], "the last good record holds");
    json(&place, &["site", "add", "another"]);
    // A process that starts reads it from the beginning.
    place.start("processor", "p2").is_ready();
}

#[test]
fn a_partition_stands_at_what_cannot_be_read_or_is_gone_until_somebody_says_so() {
    let Some(place) = Installation::new(1, Some(RULES)) else { return };
    let gateway = place.gateway();
    json(&place, &["site", "add", "shop"]);
    let processor = place.start("processor", "p1");
    junk(&place, Topic::Signals, "shop");
    let told = wait_for("the processor says where it stands", PATIENCE, || {
        log_has(&place, "processor-p1.log", "log skip signals 0 ")
    });
    let offset = told.split("log skip signals 0 ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    wait_for("it is counted", PATIENCE, || {
        (processor.metric("logystera_partitions_halted{app=\"processor\"}") == Some(1)).then_some(())
    });
    let shown = json(&place, &["tail", "signals", "--from", "beginning"]);
    assert!(
        shown.iter().any(|line| line["record"] == "unreadable" && line["offset"].as_u64() == offset.parse().ok()),
        "{shown:?}"
    );
    place.ok(&[&["log", "skip", "signals", "0", &offset, "--reason", "junk of a test"][..], &CONFIG].concat());
    caught_up(&place);
    wait_for("it stands no more", PATIENCE, || {
        (processor.metric("logystera_partitions_halted{app=\"processor\"}") == Some(0)).then_some(())
    });

    // Retention overtakes a processor that is away.
    drop(processor);
    let first = place.end(Topic::Signals);
    wait_for("records that it has not seen", PATIENCE, || (place.end(Topic::Signals) > first + 10).then_some(()));
    let end = place.end(Topic::Signals);
    place.forget(Topic::Signals, end - 2);
    let processor = place.start("processor", "p3");
    let told = wait_for("the processor says what is gone", PATIENCE, || {
        log_has(&place, "processor-p3.log", "have passed their retention and were not applied")
    });
    let range = told.split("log skip signals 0 ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    assert!(range.ends_with(&format!("..{}", end - 2)), "{told}");
    assert!(processor.metric("logystera_records_skipped_total").unwrap_or(0) == 0, "nothing is passed over by itself");
    place.ok(&[&["log", "skip", "signals", "0", &range, "--reason", "gone in a test"][..], &CONFIG].concat());
    caught_up(&place);
    // There is next to no lag behind what is gone: it looks caught up before it is.
    wait_for("they are counted", PATIENCE, || {
        (processor.metric("logystera_records_skipped_total") >= Some(5)).then_some(())
    });
    drop(gateway);
}

#[test]
fn rules_are_published_by_whoever_says_so_and_shown() {
    let Some(place) = Installation::new(2, None) else { return };
    std::fs::write(place.path("rules.yaml"), RULES).unwrap();
    std::fs::write(place.path("other.yaml"), RULES.replace("count: 3", "count: 4")).unwrap();
    let publish = |file: &str| json(&place, &["rules", "publish", file]).remove(0);
    let first = publish("rules.yaml");
    assert_eq!(first["sites"], 0);
    let digest = |site: &str| {
        let shown = json(&place, &["rules", "status"]);
        shown.into_iter().find(|line| line["site"] == site).map(|line| line["digest"].clone())
    };

    // Several at once: each comes to its end, and leaves nothing behind.
    let adding: Vec<Child> = (0..4)
        .map(|n| place.spawn(&[&["site", "add", "shop", "--dsn-file", &format!("{n}.dsn")][..], &CONFIG].concat()))
        .collect();
    for mut child in adding {
        assert!(child.wait().unwrap().success());
    }
    let sites = json(&place, &["site", "list"]);
    assert_eq!(sites.len(), 4, "each has an id of its own: {sites:?}");
    assert!((0..4).all(|n| std::fs::metadata(place.path(&format!("{n}.dsn"))).unwrap().len() > 0));
    assert_eq!(digest("shop"), Some(first["published"].clone()));

    let second = publish("other.yaml");
    assert_eq!(second["sites"], 4);
    assert_eq!(digest("shop"), Some(second["published"].clone()));
    assert_eq!(publish("other.yaml")["sites"], 0, "they have them");
    // A gateway that starts, and one whose file names other rules, change nothing.
    let settings = std::fs::read_to_string(place.path("logystera.toml")).unwrap();
    let named = format!("rules = \"{}\"\n{settings}", place.path("rules.yaml").display());
    std::fs::write(place.path("logystera.toml"), named).unwrap();
    let before = place.configured();
    let gateway = place.gateway();
    assert!(log_has(&place, "gateway-g1.log", "publishes nothing any more: logystera rules publish").is_some());
    assert_eq!((digest("shop"), place.configured()), (Some(second["published"].clone()), before));
    drop(gateway);
    let new = json(&place, &["site", "add", "new"]).remove(0);
    assert_eq!(digest(new["site"].as_str().unwrap()), Some(second["published"].clone()), "published last");
}

/// A file that names what cannot be used is not passed.
#[test]
fn checking_the_settings_reads_what_they_name() {
    let Some(place) = Installation::new(1, None) else { return };
    let check = ["gateway", "--check-config", "--config", "logystera.toml"];
    let settings = std::fs::read_to_string(place.path("logystera.toml")).unwrap();
    place.ok(&check);
    std::fs::write(place.path("bad.yaml"), "format: 1\nrules: 7\n").unwrap();
    for (line, says) in [
        ("rules = \"missing.yaml\"", "missing.yaml"),
        ("rules = \"bad.yaml\"", "the rules cannot be used"),
        ("tls-cert = \"missing.pem\"\ntls-key = \"missing.key\"", "missing.pem"),
    ] {
        std::fs::write(place.path("logystera.toml"), format!("{line}\n{settings}")).unwrap();
        let told = place.fails(&check);
        assert!(told.contains(says), "{line}: {told}");
    }
}
