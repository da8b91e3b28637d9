//! What the planner does with a delivery, as timelines. `common::play` explains the lines.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

mod common;

use std::collections::BTreeMap;

use common::{START_MS, Store, apply, channels, commit, ended, fired, play, restored, started, tick};
use logystera_alerter::core::{AttemptRef, Due, Planner};
use logystera_schemas::delivery::{AttemptOutcome, AttemptState};
use logystera_schemas::detection::DetectionState;
use logystera_schemas::limits::{
    ATTEMPTS_IN_FLIGHT_CHANNEL_MAX, ATTEMPTS_IN_FLIGHT_MAX, ATTEMPTS_IN_FLIGHT_TENANT_MAX, CHANNELS_MAX, DELIVERIES_MAX,
};

#[test]
fn a_detection_is_delivered_to_each_channel() {
    play(
        "channels a b
         firing 1
         due => a1#1 b1#1
         start a1 => a1#1 started
         due => b1#1
         start b1 => b1#1 started
         due
         end a1 ok => a1#1 delivered
         end b1 ok => b1#1 delivered
         at 5s
         due
         resolved 2
         due => a2#1 b2#1",
    );
}

#[test]
fn what_is_not_sent_has_a_row_that_says_why() {
    play(
        "firing 1 => -1#0 not_sent no_channel
         resolved 2 => -2#0 not_sent no_channel
         suppressed 3 => -3#0 not_sent suppressed
         channels a
         suppressed 4 => -4#0 not_sent suppressed
         due
         firing 5
         channels b => a5#0 not_sent channel_removed, -5#0 not_sent nobody_told
         due
         channels
         firing 6 => -6#0 not_sent no_channel",
    );
}

#[test]
fn a_failure_is_retried_by_the_schedule_and_then_dead() {
    play(
        "channels a
         firing 1
         due => a1#1
         start a1 => a1#1 started
         end a1 500 => a1#1 failed status_500 next ~5s
         at 4s
         due
         at 6s
         due => a1#2
         start a1 => a1#2 started
         end a1 timeout => a1#2 failed timeout next ~30s
         at 1m
         start a1 => a1#3 started
         end a1 unreachable => a1#3 failed unreachable next ~5m
         at 10m
         start a1 => a1#4 started
         end a1 302 => a1#4 failed status_302 next ~30m
         at 1h
         start a1 => a1#5 started
         end a1 502 => a1#5 failed status_502 next ~2h
         at 5h
         start a1 => a1#6 started
         end a1 500 => a1#6 failed status_500 next ~5h
         at 12h
         start a1 => a1#7 started
         end a1 500 => a1#7 failed status_500 next ~10h
         at 24h
         start a1 => a1#8 started
         end a1 500 => a1#8 dead status_500, -1#0 not_sent nobody_told
         at 99h
         due",
    );
}

#[test]
fn a_refusal_is_retried_once() {
    play(
        "channels a
         firing 1
         due => a1#1
         start a1 => a1#1 started
         end a1 400 => a1#1 failed status_400 next ~5s
         at 10s
         start a1 => a1#2 started
         end a1 404 => a1#2 dead status_404, -1#0 not_sent nobody_told
         firing 2
         due => a2#1
         start a2 => a2#1 started
         end a2 forbidden => a2#1 failed address_forbidden next ~5s
         at 20s
         start a2 => a2#2 started
         end a2 forbidden => a2#2 dead address_forbidden, -2#0 not_sent nobody_told
         at 99h
         due",
    );
}

#[test]
fn a_429_pauses_the_channel_and_not_the_one_message() {
    play(
        "channels a b
         firing 1
         due => a1#1 b1#1
         start a1 => a1#1 started
         end a1 429/60 => a1#1 failed status_429 next 1m
         firing 2
         due => b1#1 b2#1
         at 59s
         due => b1#1 b2#1
         // In order, and one at a time.
         at 60s
         due => a1#2 b1#1 b2#1
         start a1 => a1#2 started
         end a1 ok => a1#2 delivered
         at 64s
         due => b1#1 b2#1
         at 65s
         due => b1#1 a2#1 b2#1",
    );
}

#[test]
fn a_503_that_says_how_long_pauses_too_and_a_pause_has_a_default_and_bounds() {
    play(
        "channels a b c d
         firing 1
         due => a1#1 b1#1 c1#1 d1#1
         start a1 => a1#1 started
         start b1 => b1#1 started
         start c1 => c1#1 started
         start d1 => d1#1 started
         end a1 429 => a1#1 failed status_429 next 30s
         end b1 503/999999 => b1#1 failed status_503 next 1h
         end c1 429/0 => c1#1 failed status_429 next 1s
         end d1 503 => d1#1 failed status_503 next ~5s
         at 1s
         due => c1#2
         at 29s
         due => c1#2 d1#2
         at 30s
         due => a1#2 c1#2 d1#2
         at 1h
         due => a1#2 b1#2 c1#2 d1#2",
    );
}

#[test]
fn why_a_channel_was_unreachable_stands_in_the_row() {
    play(
        "channels a
         firing 1
         due => a1#1
         start a1 => a1#1 started
         end a1 dns => a1#1 failed unreachable_dns next ~5s
         at 9s
         start a1 => a1#2 started
         end a1 unreachable => a1#2 failed unreachable next ~30s",
    );
}

#[test]
fn what_a_channel_says_in_its_own_words_counts_as_a_status_does() {
    play(
        "channels a
         firing 1
         start a1 => a1#1 started
         end a1 failed:smtp_451 => a1#1 failed smtp_451 next ~5s
         at 7s
         start a1 => a1#2 started
         end a1 throttled:slack_rate_limited/40 => a1#2 failed slack_rate_limited next 40s
         at 47s
         start a1 => a1#3 started
         end a1 rejected:slack_invalid_blocks => a1#3 failed slack_invalid_blocks next ~30s
         at 84s
         start a1 => a1#4 started
         end a1 unknown:smtp_lost_after_data => a1#4 unknown smtp_lost_after_data next ~5m
         at 445s
         start a1 => a1#5 started
         end a1 rejected:slack_invalid_blocks => a1#5 dead slack_invalid_blocks, -1#0 not_sent nobody_told
         at 500s
         firing 2
         start a2 => a2#1 started
         end a2 gone:slack_no_service => a2#1 failed slack_no_service next 1h",
    );
}

#[test]
fn the_first_outcome_of_an_attempt_counts() {
    play(
        "channels a
         firing 1
         due => a1#1
         end a1#1 ok
         start a1 => a1#1 started
         end a1#2 ok
         end a1 unknown => a1#1 unknown next ~5s
         end a1#1 ok
         at 6s
         start a1 => a1#2 started
         end a1#1 ok
         end a1 ok => a1#2 delivered
         end a1#2 500
         at 99h
         due",
    );
}

#[test]
fn an_attempt_of_unknown_outcome_uses_up_an_attempt() {
    play(
        "channels a
         firing 1
         due => a1#1
         start a1 => a1#1 started
         end a1 unknown => a1#1 unknown next ~5s
         at 13h
         start a1 => a1#2 started
         end a1 unknown => a1#2 unknown next ~30s
         at 26h
         start a1 => a1#3 started
         end a1 unknown => a1#3 unknown next ~5m
         at 39h
         start a1 => a1#4 started
         end a1 unknown => a1#4 unknown next ~30m
         at 52h
         start a1 => a1#5 started
         end a1 unknown => a1#5 unknown next ~2h
         at 65h
         start a1 => a1#6 started
         end a1 unknown => a1#6 unknown next ~5h
         at 78h
         start a1 => a1#7 started
         end a1 unknown => a1#7 unknown next ~10h
         at 91h
         start a1 => a1#8 started
         end a1 unknown => a1#8 dead unknown, -1#0 not_sent nobody_told
         at 104h
         due",
    );
}

#[test]
fn the_breaker_opens_after_five_failures_and_probes_with_one() {
    play(
        "channels a
         firing 1
         firing 2
         firing 3
         firing 4
         firing 5
         due => a1#1 a2#1 a3#1 a4#1 a5#1
         start a1 => a1#1 started
         end a1 500 => a1#1 failed status_500 next ~5s
         start a2 => a2#1 started
         end a2 500 => a2#1 failed status_500 next ~5s
         start a3 => a3#1 started
         end a3 timeout => a3#1 failed timeout next ~5s
         start a4 => a4#1 started
         end a4 unreachable => a4#1 failed unreachable next ~5s
         due => a5#1
         start a5 => a5#1 started
         end a5 500 => a5#1 failed status_500 next 1m
         at 59s
         due
         firing 6
         due
         // Half open: one probe, the one that was due first by its jitter.
         at 60s
         due => a4#2
         start a4 => a4#2 started
         due
         end a4 500 => a4#2 failed status_500 next 2m
         at 2m
         due
         at 3m
         due => a5#2
         start a5 => a5#2 started
         end a5 ok => a5#2 delivered
         // Closed: all that waited may go.
         due => a1#2 a2#2 a3#2 a6#1 a4#3",
    );
}

#[test]
fn a_removed_channel_gets_nothing_more_and_what_is_in_the_air_counts() {
    play(
        "channels a b
         firing 1
         due => a1#1 b1#1
         start a1 => a1#1 started
         start b1 => b1#1 started
         end b1 500 => b1#1 failed status_500 next ~5s
         channels => b1#1 dead channel_removed
         end a1 ok => a1#1 delivered
         at 1m
         due",
    );
    play(
        "channels a
         firing 1
         due => a1#1
         start a1 => a1#1 started
         channels
         end a1 500 => a1#1 dead status_500, -1#0 not_sent nobody_told",
    );
}

#[test]
fn a_clock_that_was_wrong_stretches_no_timer() {
    let before = "channels a b
         firing 1
         due => a1#1 b1#1
         at 9h
         start a1 => a1#1 started
         end a1 500 => a1#1 failed status_500 next ~5s
         start b1 => b1#1 started
         end b1 429/60 => b1#1 failed status_429 next 1m";
    let sixty_ticks: Vec<String> = (1..=60).map(|s| format!("at {s}s")).collect();
    let after = "due
         at 67s
         due => a1#2
         at 119s
         due => a1#2
         at 120s
         due => b1#2 a1#2";
    play(&[before, &sixty_ticks.join("\n"), after].join("\n"));
}

fn due_of(planner: &Planner) -> Vec<Due> {
    planner.due().collect()
}

fn start_all(planner: &mut Planner) -> Vec<Due> {
    let due = due_of(planner);
    for one in &due {
        apply(planner, started(one, planner.wall()));
    }
    due
}

fn deliver(planner: &mut Planner, due: &Due) {
    let Due { tenant, delivery, attempt, .. } = due.clone();
    let rows =
        apply(planner, ended(&AttemptRef { tenant, delivery, attempt }, AttemptOutcome::Delivered, Some(200), None));
    assert_eq!(rows[0].state, AttemptState::Delivered);
}

#[test]
fn no_tenant_channel_or_crowd_has_more_in_the_air_than_it_may() {
    let (mut planner, mut store) = (Planner::new(), Store::new());
    apply(&mut planner, tick(0, START_MS));
    let tenants: Vec<String> = (0..12).map(|i| format!("t{i:02}")).collect();
    for tenant in &tenants {
        apply(&mut planner, channels(tenant, &["a", "b", "c"]));
        for seq in 1..=20 {
            apply(&mut planner, fired(tenant, seq, DetectionState::Firing));
        }
    }
    commit(&mut planner, &mut store);
    let due = start_all(&mut planner);
    assert_eq!(due.len(), ATTEMPTS_IN_FLIGHT_MAX);
    assert_eq!(due_of(&planner), []);
    let mut by_tenant: BTreeMap<_, usize> = BTreeMap::new();
    let mut by_channel: BTreeMap<_, usize> = BTreeMap::new();
    for one in &due {
        *by_tenant.entry(one.tenant.clone()).or_default() += 1;
        *by_channel.entry((one.tenant.clone(), one.channel.clone())).or_default() += 1;
    }
    assert_eq!(by_tenant.len(), tenants.len(), "every tenant is served");
    let share = ATTEMPTS_IN_FLIGHT_MAX / tenants.len();
    assert!(by_tenant.values().all(|n| (share..=share + 1).contains(n)), "{by_tenant:?}");
    assert!(by_channel.values().all(|n| *n <= ATTEMPTS_IN_FLIGHT_CHANNEL_MAX), "{by_channel:?}");

    // A place that is free goes to the tenant after the one that was served last.
    let last = due.last().unwrap().tenant.clone();
    deliver(&mut planner, &due[0]);
    let next = due_of(&planner);
    assert_eq!(next.len(), 1);
    assert!(next[0].tenant > last, "{} after {last}", next[0].tenant);
    commit(&mut planner, &mut store);
    assert_eq!(due_of(&restored(&store)), next, "whose turn it is is stored");
}

#[test]
fn one_tenant_alone_has_its_share_and_one_channel_its_own() {
    for (ids, expected) in
        [(&["a"][..], ATTEMPTS_IN_FLIGHT_CHANNEL_MAX), (&["a", "b", "c", "d"][..], ATTEMPTS_IN_FLIGHT_TENANT_MAX)]
    {
        let mut planner = Planner::new();
        apply(&mut planner, channels("t", ids));
        for seq in 1..=50 {
            apply(&mut planner, fired("t", seq, DetectionState::Firing));
        }
        assert_eq!(start_all(&mut planner).len(), expected, "{ids:?}");
        assert_eq!(due_of(&planner), [], "{ids:?}");
    }
}

#[test]
fn deliveries_beyond_the_queue_are_recorded_as_not_sent() {
    let mut planner = Planner::new();
    apply(&mut planner, channels("t", &["a", "b"]));
    let half = DELIVERIES_MAX as u64 / 2;
    for seq in 1..=half {
        assert_eq!(apply(&mut planner, fired("t", seq, DetectionState::Firing)), []);
    }
    assert_eq!(planner.waiting(), DELIVERIES_MAX);
    let rows = apply(&mut planner, fired("t", half + 1, DetectionState::Firing));
    let told: Vec<_> = rows.iter().map(|r| (r.channel.as_str(), r.state, r.reason.as_str())).collect();
    let not_sent = |channel, reason| (channel, AttemptState::NotSent, reason);
    assert_eq!(told, [not_sent("a", "queue_full"), not_sent("b", "queue_full"), not_sent("", "nobody_told")]);

    // Another tenant's queue is its own.
    apply(&mut planner, channels("u", &["a"]));
    assert_eq!(apply(&mut planner, fired("u", 1, DetectionState::Firing)), []);
}

#[test]
fn a_tenant_has_at_most_so_many_channels() {
    let ids: Vec<String> = (0..CHANNELS_MAX + 5).map(|i| format!("c{i:02}")).collect();
    let mut planner = Planner::new();
    apply(&mut planner, channels("t", &ids.iter().map(String::as_str).collect::<Vec<_>>()));
    apply(&mut planner, fired("t", 1, DetectionState::Firing));
    assert_eq!(planner.waiting(), CHANNELS_MAX);
}
