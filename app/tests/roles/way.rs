//! The way of an alert, from a site that is added to a webhook that is told.

use std::fmt::Write as _;
use std::time::Duration;

use logystera_infra::clock::{Clock, SystemClock};
use logystera_schemas::detection::Detection;
use logystera_schemas::topic::{DetectionsRecord, Topic};
use logystera_system::process::{PATIENCE, wait_for};
use logystera_system::receiver::{Delivery, Receiver};

use crate::support::Installation;

/// Signals within a moment, the last of them now. A file that goes back in time would wait for the one before it.
fn signals(now_ms: i64, signal: &str, times: i64) -> String {
    let mut lines = String::new();
    for i in 0..times {
        let at = now_ms - times + i;
        writeln!(lines, "{{\"at\":{at},{signal}}}").unwrap();
    }
    lines
}

#[test]
fn an_alert_goes_all_the_way_and_a_dead_processor_is_replaced() {
    let Some(place) = Installation::new(4, None) else { return };
    place.ok(&["gateway", "--check-config", "--config", "logystera.toml"]);
    let gateway = place.gateway();
    place.ok(&["site", "add", "shop", "--config", "logystera.toml", "--dsn-file", "dsn"]);
    let receiver = Receiver::start(Duration::ZERO);
    let url = format!("http://127.0.0.1:{}/alerts", receiver.port);
    place.ok(&["channel", "add", "webhook", &url, "--config", "logystera.toml"]);

    let mut first = place.start("processor", "p1");
    let mut alerter = place.start("alerter", "a1");
    first.is_ready();
    alerter.is_ready();
    let send = |name: &str, lines: String| {
        std::fs::write(place.path(name), lines).unwrap();
        place.ok(&["send", name, "--dsn-file", "dsn", "--spool", "spool", "--give-up-after-s", "60"]);
    };
    let heard = |rule: &str| {
        let tells = |delivery: &Delivery| delivery.body.to_string().contains(rule);
        receiver.deliveries().iter().any(tells).then_some(())
    };
    let clock = SystemClock::new();
    send("mails.ndjson", signals(clock.wall_ms(), "\"type\":\"mail.outcome\",\"outcome\":\"failed\"", 6));
    wait_for("the alert of the failed mails", PATIENCE, || heard("mail-delivery-failing"));

    drop(first);
    let mut second = place.start("processor", "p2");
    let source = "ab".repeat(16);
    let attempt =
        format!("\"type\":\"auth.attempt\",\"outcome\":\"failure\",\"method\":\"form\",\"source\":\"{source}\"");
    send("attempts.ndjson", signals(clock.wall_ms(), &attempt, 25));
    // Those of failed sign-ins wait for others for minutes.
    let made = format!(
        "\"type\":\"user.change\",\"action\":\"created\",\"role\":\"administrator\",\"user_hash\":\"{source}\""
    );
    send("changes.ndjson", signals(clock.wall_ms(), &made, 1));
    wait_for("the alert of the new administrator", PATIENCE, || heard("administrator-created"));
    second.is_ready();
    drop(gateway);

    let told: Vec<Detection> = place
        .records(Topic::Detections, place.part(Topic::Detections, 0))
        .iter()
        .filter_map(|record| match DetectionsRecord::decode(&record.value).unwrap() {
            DetectionsRecord::Detection(detection) => Some(*detection),
            _ => None,
        })
        .collect();
    let seqs: Vec<u64> = told.iter().map(|d| d.seq).collect();
    assert_eq!(seqs, (1..=told.len() as u64).collect::<Vec<_>>(), "no gap, nothing twice");
    let shown = |args: &[&str]| -> Vec<serde_json::Value> {
        let out = place.ok(&[args, &["--json", "--config", "logystera.toml"]].concat());
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let as_json: Vec<_> = told.iter().map(|d| serde_json::to_value(d).unwrap()).collect();
    let site = told[0].site.as_str();
    assert_eq!(shown(&["tail", "detections", "--from", "beginning"]), as_json);
    assert_eq!(shown(&["replay", "--site", site]), as_json);
    let said = place.fails(&["tail", "detections", "--site", "another", "--config", "logystera.toml"]);
    assert!(said.contains("there is no site another"), "{said}");
    assert_eq!(shown(&["site", "list"])[0]["site"], site);
    let signals = shown(&["tail", "signals", "--from", "beginning"]);
    assert_eq!(signals.iter().filter(|s| s["type"] == "auth.attempt").count(), 25);
    let attempts = shown(&["tail", "attempts", "--from", "beginning"]);
    assert!(attempts.len() >= 2 && attempts[0]["site"] == site, "{attempts:?}");

    let mut chain = Detection::genesis(&told[0].site);
    for detection in &told {
        assert_eq!(detection.link(&chain), detection.chain, "the chain holds at {}", detection.seq);
        chain = detection.chain;
    }
}
