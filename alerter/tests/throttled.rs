//! Receivers that take only so much: a model of one, and the planner before it in real time.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use common::{START_MS, apply, channels, detection, ended, fired, line_of, outcome_of_status, play, started, tick};
use logystera_alerter::core::{AttemptRef, Due, Planner};
use logystera_schemas::delivery::{Attempt, AttemptOutcome, AttemptState};
use logystera_schemas::detection::DetectionState;
use logystera_schemas::topic::DetectionsRecord;

/// Milliseconds from a request to its outcome in the log.
const LATENCY_MS: i64 = 60;

/// A receiver: whether it takes a request at this time, else what it answers.
trait Receiver {
    fn answer(&mut self, now_ms: i64) -> Result<(), (u32, Option<u64>)>;
}

/// One every so many milliseconds; `Retry-After` says a second, or nothing.
struct OneEvery {
    ms: i64,
    says: Option<u64>,
    last: i64,
}

impl Receiver for OneEvery {
    fn answer(&mut self, now_ms: i64) -> Result<(), (u32, Option<u64>)> {
        if now_ms - self.last < self.ms {
            return Err((429, self.says));
        }
        self.last = now_ms;
        Ok(())
    }
}

/// So many a minute, and `Retry-After` says when the next minute begins.
struct PerMinute {
    allowed: u32,
    minute: i64,
    taken: u32,
}

impl Receiver for PerMinute {
    fn answer(&mut self, now_ms: i64) -> Result<(), (u32, Option<u64>)> {
        if now_ms / 60_000 != self.minute {
            (self.minute, self.taken) = (now_ms / 60_000, 0);
        }
        if self.taken == self.allowed {
            return Err((503, Some(60 - (now_ms / 1_000).rem_euclid(60) as u64)));
        }
        self.taken += 1;
        Ok(())
    }
}

struct Told {
    /// When each detection arrived, by its number, in the order of arrival; seconds after the start.
    arrivals: Vec<(u64, f64)>,
    requests: usize,
    rows: Vec<Attempt>,
}

/// Plans `count` alerts of one moment for one channel and lets `seconds` pass: a tick a second, a look every 20 ms.
fn live(count: u64, receiver: &mut dyn Receiver, seconds: i64) -> Told {
    let mut planner = Planner::new();
    apply(&mut planner, tick(0, START_MS));
    apply(&mut planner, channels("t", &["a"]));
    for seq in 1..=count {
        let found = line_of(detection("t", seq, DetectionState::Firing), &format!("g{seq}"), seq as u8, START_MS);
        apply(&mut planner, DetectionsRecord::Detection(Box::new(found)));
    }
    let mut told = Told { arrivals: Vec::new(), requests: 0, rows: Vec::new() };
    let mut in_the_air: BTreeMap<i64, Vec<DetectionsRecord>> = BTreeMap::new();
    for now in (0..seconds * 1_000).step_by(20) {
        if now % 1_000 == 0 {
            // No clock is exact.
            apply(&mut planner, tick(0, START_MS + now + (now / 1_000 % 5) * 3));
        }
        for record in in_the_air.remove(&now).unwrap_or_default() {
            told.rows.extend(apply(&mut planner, record));
        }
        let due: Vec<Due> = planner.due().collect();
        for one in due {
            let start = started(&one, planner.wall());
            told.rows.extend(apply(&mut planner, start));
            told.requests += 1;
            let Due { tenant, delivery, attempt, .. } = one;
            let attempt = AttemptRef { tenant, delivery, attempt };
            let end = match receiver.answer(START_MS + now) {
                Ok(()) => {
                    told.arrivals.push((one.detection.seq, f64::from(i32::try_from(now).unwrap()) / 1_000.0));
                    ended(&attempt, AttemptOutcome::Delivered, Some(200), None)
                }
                Err((status, retry_after)) => {
                    ended(&attempt, outcome_of_status(status, retry_after), Some(status), retry_after)
                }
            };
            in_the_air.entry(now + LATENCY_MS).or_default().push(end);
        }
    }
    told
}

/// Alertmanager's users: a 429 loses an alert (#2205).
#[test]
fn a_receiver_of_one_a_second_gets_each_alert_once_and_in_order() {
    for (says, at_most_s) in [(Some(1), 150.0), (Some(0), 150.0), (Some(2), 180.0)] {
        let told = live(120, &mut OneEvery { ms: 1_000, says, last: 0 }, 600);
        let last = told.arrivals.last().unwrap().1;
        let arrived = told.arrivals.len();
        assert_eq!(arrived, 120, "{says:?}: the last at {last} s");
        assert!(last <= at_most_s, "{says:?}: all arrived after {last} s");
        assert!(told.arrivals.is_sorted_by_key(|(seq, _)| *seq), "{says:?}: {:?}", told.arrivals);
        assert!(told.requests < 240, "{says:?}: {} requests for 120 alerts", told.requests);
        let dead = told.rows.iter().filter(|r| matches!(r.state, AttemptState::Dead | AttemptState::NotSent)).count();
        assert_eq!(dead, 0, "{says:?}");
    }
}

#[test]
fn a_receiver_of_thirty_a_minute_is_used_as_far_as_it_goes() {
    let told = live(120, &mut PerMinute { allowed: 30, minute: 0, taken: 0 }, 900);
    let last = told.arrivals.last().unwrap().1;
    assert_eq!(told.arrivals.len(), 120, "the last at {last} s");
    assert!(last <= 360.0, "all arrived after {last} s");
    assert!(told.arrivals.is_sorted_by_key(|(seq, _)| *seq));
}

#[test]
fn a_receiver_that_says_no_time_is_found_out() {
    let told = live(60, &mut OneEvery { ms: 1_000, says: None, last: 0 }, 1_200);
    let last = told.arrivals.last().unwrap().1;
    assert_eq!(told.arrivals.len(), 60, "the last at {last} s");
    assert!(told.arrivals.is_sorted_by_key(|(seq, _)| *seq));
    assert!(last <= 600.0, "all arrived after {last} s");
}

#[test]
fn throttling_uses_no_attempt_and_no_step_of_the_schedule() {
    let mut script = "channels a
         firing 1
         due => a1#1
         start a1 => a1#1 started"
        .to_owned();
    for n in 1..=20 {
        let _ = write!(
            script,
            "
         end a1 429/60 => a1#{n} failed status_429 next 1m
         at {n}m
         start a1 => a1#{} started",
            n + 1
        );
    }
    script += "
         // The schedule is at its beginning, once the channel's own pace is out of the way.
         enable a
         end a1 500 => a1#21 failed status_500 next ~5s";
    play(&script);
}

#[test]
fn a_delivery_is_throttled_for_a_day_and_then_given_up() {
    play(
        "channels a
         firing 1
         due => a1#1
         start a1 => a1#1 started
         end a1 429/3600 => a1#1 failed status_429 next 1h
         at 23h
         start a1 => a1#2 started
         end a1 429/3600 => a1#2 failed status_429 next 1h
         at 24h
         start a1 => a1#3 started
         end a1 429/3600 => a1#3 dead throttled, -1#0 not_sent nobody_told",
    );
}

#[test]
fn who_refuses_for_hours_is_asked_less_often() {
    struct Never(BTreeSet<i64>);
    impl Receiver for Never {
        fn answer(&mut self, now_ms: i64) -> Result<(), (u32, Option<u64>)> {
            self.0.insert(now_ms);
            Err((429, Some(1)))
        }
    }
    let mut never = Never(BTreeSet::new());
    let told = live(10, &mut never, 3_600);
    assert_eq!(told.arrivals, []);
    assert!(never.0.len() < 100, "{} requests in an hour", never.0.len());
}

#[test]
fn slack_gets_one_message_a_second() {
    play(
        "channels a slack
         firing 1
         firing 2
         firing 3
         due => a1#1 slack1#1 a2#1 a3#1
         start slack1 => slack1#1 started
         due => a1#1 a2#1 a3#1
         end slack1 ok => slack1#1 delivered
         due => a1#1 a2#1 a3#1
         at 1s
         due => a1#1 slack2#1 a2#1 a3#1
         start slack2 => slack2#1 started
         at 2s
         due => a1#1 a2#1 a3#1
         end slack2 ok => slack2#1 delivered
         due => a1#1 slack3#1 a2#1 a3#1
         start slack3 => slack3#1 started
         end slack3 throttled:slack_rate_limited/30 => slack3#1 failed slack_rate_limited next 30s
         at 31s
         due => a1#1 a2#1 a3#1
         at 32s
         due => a1#1 slack3#2 a2#1 a3#1",
    );
}

proptest::proptest! {
    /// Whatever it answers, two messages never leave for a channel of Slack within a second.
    #[test]
    fn no_two_messages_to_slack_within_a_second(answers in proptest::collection::vec(0..4_u8, 1..60)) {
        let mut planner = Planner::new();
        apply(&mut planner, channels("t", &["slack"]));
        let mut last: Option<i64> = None;
        for (second, answer) in (0..).zip(answers) {
            let now = START_MS + second * 1_000;
            apply(&mut planner, tick(0, now));
            for seq in [1, 2] {
                apply(&mut planner, fired("t", u64::try_from(second).unwrap() * 2 + seq, DetectionState::Firing));
            }
            let due: Vec<_> = planner.due().collect();
            proptest::prop_assert!(due.len() <= 1);
            for due in due {
                proptest::prop_assert!(last.is_none_or(|last| now - last >= 900));
                last = Some(now);
                let wall = planner.wall();
                apply(&mut planner, started(&due, wall));
                proptest::prop_assert_eq!(planner.due().count(), 0);
                let (tenant, delivery, attempt) = (due.tenant.clone(), due.delivery, due.attempt);
                let (outcome, retry_after) = [
                    (AttemptOutcome::Delivered, None),
                    (AttemptOutcome::Throttled, Some(1)),
                    (AttemptOutcome::Failed, None),
                    (AttemptOutcome::Rejected, None),
                ][usize::from(answer)];
                apply(&mut planner, ended(&AttemptRef { tenant, delivery, attempt }, outcome, None, retry_after));
            }
        }
    }
}
