//! A day of an attack, and what the default pack tells a person of it.

#![expect(clippy::panic, clippy::cast_precision_loss, reason = "a test's figures and failures")]

use std::collections::BTreeMap;

use logystera_rules::{DEFAULT_PACK, from_yaml};

use crate::support::{Sig, World};

const HOUR_S: f64 = 3_600.0;
const DAY_S: f64 = 24.0 * HOUR_S;
/// The attempts a day of a site that was watched.
const ATTEMPTS: usize = 2_448;

/// An attempt that failed: when, at which account, from where.
type Attempt = (f64, String, String);

/// What a person is told of a day.
#[derive(Debug, PartialEq)]
struct Told {
    /// Messages that something fires, if what a rule's `bundle` puts together is one.
    messages: usize,
    /// Alerts in them.
    alerts: usize,
    /// Messages that something is over, put together alike.
    ends: usize,
}

/// All files of the pack as one.
fn pack() -> String {
    let rules = DEFAULT_PACK
        .iter()
        .map(|(name, text)| text.split_once("\nrules:\n").unwrap_or_else(|| panic!("{name} has rules")).1);
    format!("format: 1\nrules:\n{}", rules.collect::<String>())
}

/// How long each rule's alerts wait for others, in seconds.
fn waits(rules: &str) -> BTreeMap<String, f64> {
    let set = from_yaml(&[("pack.yaml", rules)]).expect("the pack is right");
    let body: serde_json::Value = serde_json::from_str(&set.body).expect("JSON");
    let rules = body["rules"].as_array().expect("rules").iter();
    let wait = |rule: &serde_json::Value| match rule["bundle"]["wait"].as_str() {
        None => 0.0,
        Some(wait) => match wait.split_at(wait.len() - 1) {
            (minutes, "m") => minutes.parse::<f64>().expect("minutes") * 60.0,
            (seconds, "s") => seconds.parse().expect("seconds"),
            (_, unit) => panic!("unit {unit}"),
        },
    };
    rules.map(|rule| (rule["name"].as_str().expect("a name").to_owned(), wait(rule))).collect()
}

/// Lives through a day and six hours; gives the lines of what is told.
fn lines(attempts: &[Attempt]) -> Vec<String> {
    let mut world = World::of(2, &pack());
    world.crashes = false;
    let mut told = Vec::new();
    let mut left = attempts.iter().peekable();
    for minute in 1..=30 * 60 {
        let end = minute * 60;
        told.extend(world.ticks(end - 59, end));
        let mut fields = Vec::new();
        while let Some((at, user, source)) = left.next_if(|(at, ..)| *at < f64::from(end)) {
            let who = [("user_hash", user.as_str()), ("source", source.as_str())];
            fields.push((
                *at,
                [&who[..], &[("outcome", "failure"), ("method", "form"), ("reason", "bad_password")]].concat(),
            ));
        }
        let signals: Vec<Sig<'_>> = fields.iter().map(|(at, fields)| ("auth.attempt", *at, &fields[..])).collect();
        told.extend(world.batch(1, f64::from(end), &signals));
    }
    assert!(left.next().is_none(), "each attempt was sent, in order");
    told
}

fn told(attempts: &[Attempt]) -> (Told, Vec<String>) {
    let waits = waits(&pack());
    let mut told = Told { messages: 0, alerts: 0, ends: 0 };
    let mut open: BTreeMap<(String, bool), f64> = BTreeMap::new();
    let lines: Vec<String> = lines(attempts).into_iter().filter(|line| !line.contains(" suppressed/")).collect();
    for line in &lines {
        let (at, rest) = line.split_once(": ").expect("a time");
        let at: f64 = at.parse().expect("seconds");
        let rule = rest.split(' ').next().unwrap_or_default().to_owned();
        let fires = rest.contains(" firing/");
        let wait = waits[&rule];
        told.alerts += usize::from(fires);
        if open.get(&(rule.clone(), fires)).is_none_or(|from| at > from + wait) {
            open.insert((rule, fires), at);
            *(if fires { &mut told.messages } else { &mut told.ends }) += 1;
        }
    }
    (told, lines)
}

/// So many attempts, evenly over a span from its start.
fn even(count: usize, from_s: f64, span_s: f64, who: impl Fn(usize) -> (String, String)) -> Vec<Attempt> {
    (0..count)
        .map(|n| {
            let (user, source) = who(n);
            (from_s + (n as f64 * span_s / count as f64).floor(), user, source)
        })
        .collect()
}

fn one_source(_: usize) -> (String, String) {
    ("admin".to_owned(), "source".to_owned())
}

#[test]
fn one_source_all_day_is_one_alert_and_its_end() {
    let (told, lines) = told(&even(ATTEMPTS, 0.0, DAY_S, one_source));
    assert_eq!(told, Told { messages: 1, alerts: 1, ends: 1 }, "{lines:#?}");
    assert!(lines[0].contains("login-brute-force"), "{lines:#?}");
}

#[test]
fn many_sources_at_a_few_accounts_are_one_message_and_its_end() {
    let attempts = even(ATTEMPTS, 0.0, DAY_S, |n| (format!("user{}", n % 3), format!("s{}", n % 900)));
    let (told, lines) = told(&attempts);
    assert_eq!(told, Told { messages: 1, alerts: 3, ends: 1 }, "{lines:#?}");
}

#[test]
fn many_sources_at_the_administrator_are_one_alert_and_its_end() {
    let admin = |source: String| ("admin".to_owned(), source);
    for attempts in [
        even(2_000, 0.0, DAY_S, |n| admin(format!("s{}", n % 500))),
        // One network of IPv6, an address a guess or two.
        even(ATTEMPTS, 0.0, DAY_S, |n| admin(format!("net{}", n % 60))),
    ] {
        let (told, lines) = told(&attempts);
        assert_eq!(told, Told { messages: 1, alerts: 1, ends: 1 }, "{lines:#?}");
        assert!(lines[0].contains("account-under-distributed-attack"), "{lines:#?}");
    }
}

#[test]
fn thirty_sources_in_an_hour_are_one_bundle_and_its_end() {
    let attempts = even(30 * 25, 0.0, HOUR_S, |n| (format!("user{}", n % 30), format!("s{}", n % 30)));
    let (told, lines) = told(&attempts);
    assert_eq!(told, Told { messages: 1, alerts: 30, ends: 1 }, "{lines:#?}");
}

#[test]
fn bursts_of_one_source_are_no_more_than_four_alerts() {
    let mut attempts = Vec::new();
    for hour in 0..24 {
        attempts.extend(even(ATTEMPTS / 24, f64::from(hour) * HOUR_S, 60.0, one_source));
    }
    let (told, lines) = told(&attempts);
    assert!((1..=4).contains(&told.messages) && told.ends <= told.messages, "{lines:#?}");
}

#[test]
fn a_source_that_is_blocked_at_noon_is_over_soon_after() {
    let (told, lines) = told(&even(ATTEMPTS / 2, 0.0, DAY_S / 2.0, one_source));
    assert_eq!(told, Told { messages: 1, alerts: 1, ends: 1 }, "{lines:#?}");
    let end: f64 = lines[1].split_once(':').expect("a time").0.parse().expect("seconds");
    assert!((DAY_S / 2.0..DAY_S / 2.0 + 1.5 * HOUR_S).contains(&end), "{lines:#?}");
    assert!(lines[1].contains("resolved count 1224"), "what was tried until noon is in it: {lines:#?}");
}

#[test]
fn people_who_mistype_are_no_attack() {
    // Forty people a day, each of whom fails four times within a minute.
    let mut attempts = Vec::new();
    for person in 0..40 {
        attempts
            .extend(even(4, f64::from(person) * 2_000.0, 60.0, |_| (format!("user{person}"), format!("home{person}"))));
    }
    assert_eq!(lines(&attempts), [""; 0]);
}
