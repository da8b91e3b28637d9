//! What commands tell of a channel, and what they change.

use logystera_alerter::core::Planner;
use logystera_infra::embedded::Embedded;
use logystera_infra::log::{Entry, Log as _};
use logystera_schemas::delivery::{AttemptEnded, AttemptOutcome, AttemptStarted, ChannelRef, ChannelsConfigured};
use logystera_schemas::detection::{Detection, DetectionReason, DetectionState, Severity};
use logystera_schemas::ids::{EpisodeId, Sha256Digest};
use logystera_schemas::noise::ChannelSettings;
use logystera_schemas::schema::{self, TopicRecord};
use logystera_schemas::signals_topic::Tick;
use logystera_schemas::time::WallMs;
use logystera_schemas::topic::{DetectionsRecord, Topic};
use serde_json::Value;

use super::support::{Folder, now_ms};

const READY: &str = "Watch:";
const HOUR_MS: i64 = 3_600_000;

fn detection(at_ms: i64) -> Detection {
    Detection {
        id: EpisodeId([1; 16]),
        tenant: "default".parse().unwrap(),
        site: "shop".parse().unwrap(),
        encryption_key: None,
        rule: "mail-delivery-failing".parse().unwrap(),
        revision: "0123456789ab".to_owned(),
        title: "Mail delivery is failing".to_owned(),
        severity: Severity::Critical,
        subsystem: "mail".to_owned(),
        state: DetectionState::Firing,
        reason: DetectionReason::Firing,
        group: Vec::new(),
        count: 5,
        held: 0,
        started_at: at_ms,
        last_evaluated_at: at_ms,
        evidence: Vec::new(),
        message: "5 mails failed".to_owned(),
        url: "/alerts/1".to_owned(),
        seq: 1,
        chain: Sha256Digest([1; 32]),
        bundle: None,
        once: false,
    }
}

/// Applies a record, and keeps it for the log.
fn put<R: TopicRecord>(planner: &mut Planner, values: &mut Vec<Vec<u8>>, record: &R) {
    let value = schema::encode(record);
    planner.apply(DetectionsRecord::decode(&value).unwrap(), &mut Vec::new());
    values.push(value);
}

/// Appends what an alerter would have whose only channel answered 410 three hours ago, and again an hour ago.
fn gone_twice(folder: &Folder, channel: &str) {
    let tenant = "default".parse().unwrap();
    let (mut planner, mut values) = (Planner::new(), Vec::new());
    let channels = vec![ChannelRef {
        channel: channel.parse().unwrap(),
        kind: "webhook".to_owned(),
        settings: ChannelSettings::default(),
        fallback: false,
        labels: Vec::new(),
    }];
    put(&mut planner, &mut values, &ChannelsConfigured { tenant, channels });
    let now = now_ms();
    for hours_ago in [3, 1] {
        let at = WallMs(now - hours_ago * HOUR_MS);
        put(&mut planner, &mut values, &Tick { partition: 0, at, open_ms: 0 });
        if hours_ago == 3 {
            put(&mut planner, &mut values, &detection(at.0));
        }
        let due = planner.due().next().expect("it is due");
        let (tenant, delivery, attempt) = (due.tenant, due.delivery, due.attempt);
        put(&mut planner, &mut values, &AttemptStarted { tenant: tenant.clone(), delivery, attempt, at, frozen: None });
        let (outcome, status) = (AttemptOutcome::Gone, Some(410));
        let (retry_after_s, duration_ms, cause) = (None, 1, None);
        let ended = AttemptEnded {
            tenant,
            delivery,
            attempt,
            outcome,
            status,
            retry_after_s,
            duration_ms,
            cause,
            detail: None,
        };
        put(&mut planner, &mut values, &ended);
    }
    let embedded = Embedded::open(&folder.data()).unwrap();
    let entry = |value| Entry { topic: Topic::Detections, partition: 0, key: b"default".to_vec(), value };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(embedded.log().append(values.into_iter().map(entry).collect())).unwrap();
    embedded.close();
}

fn listed(folder: &Folder) -> Value {
    folder.json(&["channel", "list"]).remove(0)
}

#[test]
fn a_channel_that_is_switched_off_says_so_everywhere_and_can_be_switched_on() {
    let folder = Folder::new();
    let url = "https://nowhere.invalid/services/0123456789abcdef0123?token=1";
    let channel =
        folder.json(&["channel", "add", "webhook", url, "--create"])[0]["channel"].as_str().unwrap().to_owned();
    let fresh = listed(&folder);
    assert_eq!(fresh["state"], "working", "{fresh}");
    assert_eq!(fresh["address"], "https://nowhere.invalid/services/0123…?…", "{fresh}");

    gone_twice(&folder, &channel);
    let is_off = |told: &Value| {
        assert_eq!((&told["state"], &told["reason"]), (&"switched_off".into(), &"status_410".into()), "{told}");
        assert!(told["since"].as_i64().unwrap() < now_ms() - HOUR_MS / 2, "{told}");
    };
    let says_so = |folder: &Folder| {
        is_off(&listed(folder));
        assert!(folder.expect(0, &["channel", "list"]).contains("switched off since"));
        let tested = folder.expect(1, &["channel", "test", &channel]);
        assert!(tested.starts_with("unreachable (dns)"), "{tested}");
        assert!(tested.contains(&format!("switched off, and gets no alerts: logystera channel enable {channel}")));
    };
    says_so(&folder);
    let up = folder.up(&[], READY);
    says_so(&folder);
    folder.expect(0, &["channel", "enable", &channel]);
    folder.wait_for("it is on", |folder| (listed(folder)["state"] == "working").then_some(()));
    up.stop();
    let log = std::fs::read_to_string(folder.path("up.log")).unwrap();
    for told in ["alerts were given up", "reason=\"status_410\"", "that it is no more, and is switched off"] {
        assert!(log.lines().any(|line| line.contains(" WARN ") && line.contains(told)), "{told}: {log}");
    }
}

#[test]
fn a_channel_is_switched_on_while_nothing_runs() {
    let folder = Folder::new();
    let channel =
        folder.json(&["channel", "add", "webhook", "https://nowhere.invalid/", "--create"])[0]["channel"].clone();
    let channel = channel.as_str().unwrap();
    gone_twice(&folder, channel);
    assert_eq!(listed(&folder)["state"], "switched_off");
    assert!(folder.expect(0, &["channel", "enable", channel]).starts_with("It is on"));
    assert_eq!(listed(&folder)["state"], "working");
    assert!(folder.expect(2, &["channel", "enable", "ch_0"]).contains("no channel ch_0"));
}

#[test]
fn what_is_passed_over_of_detections_hinders_no_look_at_channels() {
    let folder = Folder::new();
    let url = "https://nowhere.invalid/hook";
    let channel =
        folder.json(&["channel", "add", "webhook", url, "--create"])[0]["channel"].as_str().unwrap().to_owned();
    let embedded = Embedded::open(&folder.data()).unwrap();
    let junk = Entry { topic: Topic::Detections, partition: 0, key: b"default".to_vec(), value: b"junk".to_vec() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(embedded.log().append(vec![junk])).unwrap();
    let offset = (embedded.log().bounds(Topic::Detections, 0).unwrap().end - 1).to_string();
    embedded.close();
    let said = folder.expect(3, &["channel", "list"]);
    assert!(said.contains(&format!("topic detections offset {offset}")), "{said}");
    folder.expect(0, &["log", "skip", "detections", "0", &offset, "--reason", "junk"]);
    assert_eq!(listed(&folder)["state"], "working");
    assert!(folder.expect(1, &["channel", "test", &channel]).starts_with("unreachable (dns)"));
}
