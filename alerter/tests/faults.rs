//! What a receiver's faults become: the real messengers against real sockets, the real planner behind them, and the rows
//! that are left.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

mod common;
mod faulty;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{START_MS, apply, channels, fired, started, tick};
use faulty::{ENDLESS, Faulty, HANGS, Protocol};
use logystera_alerter::core::{Planner, retry};
use logystera_alerter::courier::ChannelCourier;
use logystera_alerter::task::{Courier as _, outcomes};
use logystera_channels::address::{AddressPolicy, LookedUp, Lookup};
use logystera_channels::email::server::MailConfig;
use logystera_channels::http::HttpConfig;
use logystera_channels::kinds::{self, Kinds};
use logystera_channels::{Advice, Advisor, Channels, Target};
use logystera_infra::clock::ManualClock;
use logystera_schemas::control::ChannelKind;
use logystera_schemas::delivery::{Attempt, AttemptState};
use logystera_schemas::detection::DetectionState;
use logystera_schemas::ids::{ChannelId, RuleName, TenantId};
use logystera_schemas::limits::{PACE_SLACK_MS, RETRY_DELAYS_MS};
use logystera_schemas::topic::DetectionsRecord;

/// How long an attempt may take if its receiver hangs; any other has the usual time.
const HANGING: Duration = Duration::from_secs(1);
/// Attempts after which a delivery must have ended.
const ATTEMPTS_MAX: usize = 12;

/// A receiver, and the rows of one alert's delivery to it.
struct Fault {
    what: &'static str,
    kind: &'static str,
    /// What it answers to each attempt; the last one to all further ones. To a mail: what it says in place of the usual, `LINE => ANSWER`.
    answers: &'static [&'static str],
    /// Of each attempt how it ended, and when the next is made; `~` stands for the jitter.
    rows: &'static str,
}

const fn fault(what: &'static str, kind: &'static str, answers: &'static [&'static str], rows: &'static str) -> Fault {
    Fault { what, kind, answers, rows }
}

const OK: &str = "HTTP/1.1 200 OK";
const FAULTS: [Fault; 32] = [
    fault(
        "429 for two minutes",
        "webhook",
        &["HTTP/1.1 429 Slow\nretry-after: 120", OK],
        "failed status_429 next 2m, delivered",
    ),
    fault(
        "429 until a date",
        "webhook",
        &["HTTP/1.1 429 Slow\nretry-after: Thu, 01 Jan 2026 00:05:00 GMT", OK],
        "failed status_429 next 5m, delivered",
    ),
    fault(
        "429 until nonsense",
        "webhook",
        &["HTTP/1.1 429 Slow\nretry-after: soon", OK],
        "failed status_429 next 30s, delivered",
    ),
    fault(
        "429 for a year",
        "webhook",
        &["HTTP/1.1 429 Slow\nretry-after: 31536000", OK],
        "failed status_429 next 1h, delivered",
    ),
    fault(
        "503 for seven seconds",
        "webhook",
        &["HTTP/1.1 503 Away\nretry-after: 7", OK],
        "failed status_503 next 7s, delivered",
    ),
    fault("503", "webhook", &["HTTP/1.1 503 Away", OK], "failed status_503 next ~5s, delivered"),
    fault(
        "500 again and again",
        "webhook",
        &["HTTP/1.1 500 Oh"],
        "failed status_500 next ~5s, failed status_500 next ~30s, failed status_500 next ~5m, failed status_500 next ~30m, failed status_500 next ~2h, failed status_500 next ~5h, failed status_500 next ~10h, dead status_500, not_sent nobody_told",
    ),
    fault(
        "410, and again",
        "webhook",
        &["HTTP/1.1 410 Gone"],
        "failed status_410 next 1h, dead status_410, not_sent nobody_told, not_sent no_channel",
    ),
    fault("410, then well", "webhook", &["HTTP/1.1 410 Gone", OK], "failed status_410 next 1h, delivered"),
    fault(
        "413",
        "webhook",
        &["HTTP/1.1 413 Large"],
        "failed status_413 next ~5s, dead status_413, not_sent nobody_told",
    ),
    fault("it hangs", "webhook", &[HANGS, OK], "failed timeout next ~5s, delivered"),
    fault(
        "it hangs in the middle of an answer",
        "webhook",
        &["HTTP/1.1 200 OK\ncontent-le(hangs)", OK],
        "failed timeout next ~5s, delivered",
    ),
    fault("it closes without an answer", "webhook", &["", OK], "failed unreachable_reset next ~5s, delivered"),
    fault(
        "it closes in the middle of an answer",
        "webhook",
        &["HTTP/1.1 200 O(ends)", OK],
        "failed unreachable_reset next ~5s, delivered",
    ),
    fault(
        "it closes in the middle of a body",
        "webhook",
        &["HTTP/1.1 200 OK\ncontent-length: 9\n\nhalf(ends)"],
        "delivered",
    ),
    fault("1xx without end", "webhook", &["(1xx)", OK], "failed timeout next ~5s, delivered"),
    fault(
        "a redirect to loopback",
        "webhook",
        &["HTTP/1.1 302 Found\nlocation: http://127.0.0.1:1/", OK],
        "failed status_302 next ~5s, delivered",
    ),
    fault(
        "a name that leads inside by now",
        "webhook",
        &[],
        "failed unreachable_dns next ~5s, failed address_forbidden next ~30s, dead address_forbidden, not_sent nobody_told",
    ),
    fault(
        "no such channel",
        "slack",
        &["HTTP/1.1 404 No\n\nchannel_not_found"],
        "failed slack_channel_not_found next 1h, dead slack_channel_not_found, not_sent nobody_told, not_sent no_channel",
    ),
    fault(
        "200 and no",
        "slack",
        &["HTTP/1.1 200 OK\n\n{\"ok\":false,\"error\":\"invalid_blocks\"}"],
        "failed slack_invalid_blocks next ~5s, dead slack_invalid_blocks, not_sent nobody_told",
    ),
    fault(
        "200 and too many",
        "slack",
        &["HTTP/1.1 200 OK\n\n{\"ok\":false,\"error\":\"rate_limited\"}", OK_OF_SLACK],
        "failed slack_rate_limited next 30s, delivered",
    ),
    fault(
        "429 and too many",
        "slack",
        &["HTTP/1.1 429 Slow\nretry-after: 30\n\nrate_limited", OK_OF_SLACK],
        "failed slack_rate_limited next 30s, delivered",
    ),
    fault(
        "its own fault",
        "slack",
        &["HTTP/1.1 500 Oh\n\nrollup_error", OK_OF_SLACK],
        "failed slack_rollup_error next ~5s, delivered",
    ),
    fault(
        "it closes in the middle of a body",
        "slack",
        &["HTTP/1.1 200 OK\ncontent-length: 9\n\no(ends)", OK_OF_SLACK],
        "unknown slack_200_no_body next ~5s, delivered",
    ),
    fault(
        "202 with an error",
        "teams",
        &["HTTP/1.1 202 Ok\n\n{\"error\":{\"code\":\"TriggerIsOff\"}}", OK],
        "failed teams_triggerisoff next ~5s, delivered",
    ),
    fault("413", "teams", &["HTTP/1.1 413 Large"], "failed teams_413 next ~5s, dead teams_413, not_sent nobody_told"),
    fault("421", "email", &["(greeting) => 421 4.3.2 busy", ""], "failed smtp_421_4.3.2 next 1m, delivered"),
    fault("greylisting", "email", &["RCPT => 450 4.2.0 greylisted", ""], "failed smtp_450_4.2.0 next 5m, delivered"),
    fault(
        "no such mailbox",
        "email",
        &["RCPT => 550 5.1.1 no"],
        "failed smtp_550_5.1.1 next 1h, dead smtp_550_5.1.1, not_sent nobody_told, not_sent no_channel",
    ),
    fault(
        "no relaying",
        "email",
        &["RCPT => 550 5.7.1 no"],
        "failed smtp_550_5.7.1 next ~5s, dead smtp_550_5.7.1, not_sent nobody_told",
    ),
    fault("it dies after the mail", "email", &["(end) => ", ""], "unknown smtp_lost_after_data next ~5s, delivered"),
    fault("it hangs", "email", &["MAIL => (hangs)", ""], "failed smtp_timeout next ~5s, delivered"),
];
const OK_OF_SLACK: &str = "HTTP/1.1 200 OK\n\nok";

struct Only(Target);

impl Channels for Only {
    fn find(&self, _: &TenantId, _: &ChannelId) -> Option<Target> {
        Some(self.0.clone())
    }
}

struct NoAdvice;

impl Advisor for NoAdvice {
    fn find(&self, _: &RuleName, _: &str) -> Option<Advice> {
        None
    }
}

/// A name server whose name is unknown at first, and then leads inside.
#[derive(Clone, Default)]
struct Rebinding(Arc<AtomicUsize>);

impl Lookup for Rebinding {
    fn lookup(&self, _: &str) -> LookedUp {
        let asked = self.0.fetch_add(1, Ordering::SeqCst);
        let addresses: Vec<IpAddr> = vec!["127.0.0.1".parse().unwrap()];
        Box::pin(async move { if asked == 0 { Err(io::Error::other("no such name")) } else { Ok(addresses) } })
    }
}

/// Plays one alert's delivery to its end. Gives the rows as text.
async fn played(fault: &Fault) -> String {
    let kind = *ChannelKind::ALL.iter().find(|kind| kind.as_str() == fault.kind).unwrap();
    let is_mail = kind == ChannelKind::Email;
    let server = Faulty::serve(if is_mail { Protocol::Smtp } else { Protocol::Http }, fault.answers).await;
    let names = Rebinding::default();
    let mut http = HttpConfig::new(AddressPolicy::AllowPrivate);
    let mut mail = MailConfig::new(&format!("smtp+plain://127.0.0.1:{}", server.port), None, "a@example.com").unwrap();
    if fault.answers.iter().any(|answer| answer.contains(HANGS) || *answer == ENDLESS) {
        (http.total, mail.total) = (HANGING, HANGING);
    }
    let mut url = format!("http://127.0.0.1:{}/", server.port);
    if fault.answers.is_empty() {
        (http.policy, http.lookup) = (AddressPolicy::PublicOnly, Arc::new(names.clone()));
        url = format!("https://hook.example:{}/", server.port);
    }
    let kinds = Kinds::new(http, Some(mail)).unwrap();
    let given = if is_mail { "ops@example.com".to_owned() } else { url };
    let made = kinds.of(kind).settings(&[given], &[7; 32]).unwrap_or_else(|e| panic!("{e}"));
    let target = kinds::parse(kind, made.stored.as_bytes()).unwrap();
    let (clock, (sender, receiver)) = (ManualClock::at(START_MS), outcomes());
    let (runtime, address) = (tokio::runtime::Handle::current(), "https://logystera.example".to_owned());
    let (channels_of, advisor, shown) = (Arc::new(Only(target)), Arc::new(NoAdvice), Arc::new(clock.clone()));
    let courier = ChannelCourier::new(kinds, channels_of, advisor, shown, address, runtime, sender);

    let mut planner = Planner::new();
    apply(&mut planner, tick(0, START_MS));
    apply(&mut planner, channels("t", &[if is_mail { "mail" } else { fault.kind }]));
    apply(&mut planner, fired("t", 1, DetectionState::Firing));
    let (mut rows, mut attempts) = (Vec::new(), 0);
    while let Some(due) = planner.due().next() {
        attempts += 1;
        assert!(attempts <= ATTEMPTS_MAX, "{}: it goes on and on: {rows:?}", fault.what);
        let begun = started(&due, planner.wall());
        let begun = apply(&mut planner, begun);
        assert!(matches!(&begun[..], [row] if row.state == AttemptState::Started), "{begun:?}");
        courier.send(due);
        let ended = loop {
            match receiver.try_recv() {
                Ok(ended) => break ended,
                Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        };
        let told = apply(&mut planner, DetectionsRecord::AttemptEnded(ended));
        rows.extend(told.iter().map(|row| shown_row(row, &planner)));
        if let Some(next) = told.iter().find_map(|row| row.next_attempt_at) {
            apply(&mut planner, tick(0, next.0 - PACE_SLACK_MS - 1));
            assert_eq!(planner.due().count(), 0, "{}: not before its time", fault.what);
            apply(&mut planner, tick(0, next.0));
            clock.set_wall(next.0);
        }
    }
    assert_eq!(planner.waiting(), 0, "{}: {rows:?}", fault.what);
    server.check(fault.what, if fault.answers.is_empty() { 0 } else { attempts });
    if fault.answers.is_empty() {
        assert_eq!(
            names.0.load(Ordering::SeqCst),
            attempts,
            "what is vetted is what is called: one look-up an attempt"
        );
    }
    rows.join(", ")
}

/// State and reason of a row, and how far off the next attempt is.
fn shown_row(row: &Attempt, planner: &Planner) -> String {
    let mut text = format!("{} {}", row.state, row.reason);
    if row.state.to_string() == row.reason {
        text.truncate(row.reason.len());
    }
    let Some(next) = row.next_attempt_at else { return text };
    let delay_ms = next.since(planner.wall());
    let step = (2..=8).find(|step| retry::delay_ms(row.delivery, *step) == delay_ms);
    let (jitter, ms) = step.map_or(("", delay_ms), |step| ("~", RETRY_DELAYS_MS[step as usize - 1]));
    let (count, unit) = match ms {
        ms if ms % 3_600_000 == 0 => (ms / 3_600_000, "h"),
        ms if ms % 60_000 == 0 => (ms / 60_000, "m"),
        ms if ms % 1_000 == 0 => (ms / 1_000, "s"),
        ms => (ms, "ms"),
    };
    format!("{text} next {jitter}{count}{unit}")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_of_a_receiver_leaves_the_rows_that_are_documented() {
    let mut playing = tokio::task::JoinSet::new();
    for fault in &FAULTS {
        playing.spawn(async move { (played(fault).await, fault) });
    }
    let mut wrong = Vec::new();
    for (rows, fault) in playing.join_all().await {
        if rows != fault.rows {
            wrong.push(format!("{}: {}: {rows}, not {}", fault.kind, fault.what, fault.rows));
        }
    }
    wrong.sort();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
