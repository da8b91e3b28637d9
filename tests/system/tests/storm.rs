//! A storm of one site's alerts in the running `up`: neighbours are told meanwhile, and what leaves is within the limits.

use std::collections::BTreeSet;
use std::time::Duration;

use logystera_system::post::{Post, body, signal};
use logystera_system::process::{self, PATIENCE, Up, free_port, wait_for};
use logystera_system::receiver::Receiver;
use logystera_system::wire::{Credentials, now_ms};
use serde_json::Value;

/// More than may wait for one tenant (`DELIVERIES_MAX`), so that the queue of the stormy site's webhook is full.
const STORM: u64 = 12_000;
const BATCH: u64 = 1_000;
/// What Slack gets a minute (`SLACK_PER_MINUTE`).
const SLACK_PER_MINUTE: usize = 30;
/// The webhook of the storm answers so slowly that its queue fills up.
const SLOW: Duration = Duration::from_millis(200);

/// What Slack says, with the line that ends each answer of a receiver.
const SLACK_SAYS: &str = "200 OK\r\nContent-Length: 6\r\n\r\nok";
/// Deliveries of a tenant that wait at once (`DELIVERIES_MAX`).
const DELIVERIES_MAX: usize = 10_000;

const RULES: &str = "\
format: 1
rules:
- name: storm
  title: Storm
  severity: warning
  subsystem: cron
  signal: cron.run
  group_by: [job]
  threshold: { count: 1, within: 1m }
  suppress: 1h
  resolve_after: 1h
  evidence: [outcome]
  message: \"{job}\"
";

/// A site and its sender.
struct Site {
    by: Credentials,
    port: u16,
    sent: u64,
}

impl Site {
    fn add(data: &str, port: u16, name: &str, tenant: &str) -> Self {
        let lines = process::json(&["site", "add", name, "--tenant", tenant, "--json", "--data", data]);
        Self { by: Credentials::from_json(&lines[0]), port, sent: 0 }
    }

    /// Has the rule fire once for each job.
    fn fire(&mut self, jobs: std::ops::Range<u64>) {
        let now = now_ms();
        let signals: Vec<String> = jobs.map(|job| signal(now, &format!("job-{job}"))).collect();
        self.sent += 1;
        let answer =
            Post::new(&self.by, format!("{:016x}.{}", 0xabc, self.sent), body(now, &signals.join(","))).send(self.port);
        assert_eq!(answer.status, 202, "{}", answer.body);
    }
}

fn add_channel(data: &str, tenant: &str, kind: &str, receiver: &Receiver, site: &Site) -> String {
    let url = format!("http://127.0.0.1:{}/", receiver.port);
    let made = process::json(&["channel", "add", kind, &url, "--tenant", tenant, "--json", "--data", data]);
    let channel = made[0]["channel"].as_str().expect("its id").to_owned();
    process::ok(&["channel", "set", &channel, "--site", &site.by.site, "--data", data]);
    channel
}

fn rows(data: &str) -> Vec<Value> {
    process::json(&["tail", "attempts", "--from", "beginning", "--json", "--data", data])
}

#[test]
fn a_storm_keeps_no_neighbour_waiting_and_leaves_within_the_limits() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (data, rules) = (folder.path().join("data"), folder.path().join("rules.yaml"));
    std::fs::write(&rules, RULES).expect("a file can be written");
    let more = ["--allow-private-addresses", "--rules", rules.to_str().expect("a path of ASCII")];
    let (port, admin) = (free_port(), free_port());
    let up = Up::start(&data, port, admin, &more);
    let text = data.display().to_string();
    let [mut stormy, mut other] = ["Stormy", "Other"].map(|name| Site::add(&text, port, name, "a"));
    let mut neighbour = Site::add(&text, port, "Neighbour", "b");
    let (slow, slack) = (Receiver::start(SLOW), Receiver::answering(SLACK_SAYS, Duration::ZERO));
    let (others, neighbours) = (Receiver::start(Duration::ZERO), Receiver::start(Duration::ZERO));
    let webhook_of_storm = add_channel(&text, "a", "webhook", &slow, &stormy);
    let slack_of_storm = add_channel(&text, "a", "slack", &slack, &stormy);
    add_channel(&text, "a", "webhook", &others, &other);
    add_channel(&text, "b", "webhook", &neighbours, &neighbour);

    for begin in (0..STORM).step_by(BATCH as usize) {
        stormy.fire(begin..begin + BATCH);
    }
    wait_for("the queue is full", PATIENCE, || {
        rows(&text).iter().any(|row| row["reason"] == "queue_full").then_some(())
    });
    for (site, receiver) in [(&mut other, &others), (&mut neighbour, &neighbours)] {
        site.fire(0..1);
        wait_for("a neighbour is told", PATIENCE, || (!receiver.deliveries().is_empty()).then_some(()));
    }
    let alerts = wait_for("each alert of the storm is on its way or has a row", PATIENCE, || {
        let of_site = ["--from", "beginning", "--json", "--site", &stormy.by.site, "--data", &text];
        let alerts = process::json(&[&["tail", "detections"], &of_site[..]].concat()).len();
        let rows = rows(&text);
        let of = |channel: &str| {
            rows.iter()
                .filter(|row| row["channel"] == channel)
                .map(|row| row["seq"].as_u64())
                .collect::<BTreeSet<_>>()
                .len()
        };
        let is_whole =
            of(&slack_of_storm) + SLACK_PER_MINUTE >= alerts && of(&webhook_of_storm) + DELIVERIES_MAX >= alerts;
        (alerts as u64 >= STORM && is_whole).then_some(alerts)
    });
    let (sent, to_slack) = (slow.deliveries().len(), slack.deliveries().len());
    println!("{alerts} alerts: {sent} sent to the webhook, {to_slack} to Slack");
    assert!(sent < DELIVERIES_MAX, "the storm goes on: nobody waited for its end");
    assert!((1..=SLACK_PER_MINUTE).contains(&to_slack), "{to_slack} messages");
    let rows = rows(&text);
    let limited = rows.iter().filter(|row| row["reason"] == "rate_limited");
    let digests: BTreeSet<&str> = limited.filter_map(|row| row["delivery"].as_str()).collect();
    assert!(digests.len() <= 2, "one digest a minute tells them: {digests:?}");
    up.stop();
}
