//! What follows when no channel took an alert. `common::play` explains the lines.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

mod common;

use common::{START_MS, answered, apply, channels_set, detection, play, play_behind, settings_of, started, tick};
use logystera_alerter::core::Planner;
use logystera_schemas::delivery::AttemptOutcome;
use logystera_schemas::detection::DetectionState;
use logystera_schemas::limits::DELIVERIES_MAX;
use logystera_schemas::topic::DetectionsRecord;

/// Two channels and the fallback; the first channel refused an alert twice.
const ONE_FAILED: &str = "
    channels a b fallback
    firing 1 x e1
    due => a1#1 b1#1
    start a1 => a1#1 started
    end a1 404 => a1#1 failed status_404 next ~5s
    at 6s
    start a1 => a1#2 started
    end a1 404 => a1#2 dead status_404";

#[test]
fn when_the_last_channel_failed_too_the_fallback_is_told_once() {
    play_behind(
        ONE_FAILED,
        "start b1 => b1#1 started
         end b1 forbidden => b1#1 failed address_forbidden next ~5s
         at 12s
         start b1 => b1#2 started
         end b1 forbidden => b1#2 dead address_forbidden, fallback1#0 waiting fallback next 0s
         due => fallback1(for a b)#1
         start fallback1 => fallback1#1 started
         end fallback1 ok => fallback1#1 delivered
         // A reminder that dies like that tells it nothing new, and it hears of no end.
         resolved 2 x e1 => a2#0 not_sent never_told, b2#0 not_sent never_told
         due",
    );
}

#[test]
fn one_channel_that_took_it_is_enough() {
    play_behind(
        ONE_FAILED,
        "start b1 => b1#1 started
         end b1 ok => b1#1 delivered
         at 1h
         due",
    );
    // Whichever comes first.
    play(
        "channels a b fallback
         firing 1 x e1
         start b1 => b1#1 started
         end b1 ok => b1#1 delivered
         start a1 => a1#1 started
         end a1 404 => a1#1 failed status_404 next ~5s
         at 6s
         start a1 => a1#2 started
         end a1 404 => a1#2 dead status_404
         due",
    );
}

#[test]
fn without_a_fallback_a_row_says_that_nobody_was_told() {
    play(
        "channels a
         firing 1 x e1
         start a1 => a1#1 started
         end a1 404 => a1#1 failed status_404 next ~5s
         at 6s
         start a1 => a1#2 started
         end a1 404 => a1#2 dead status_404, -1#0 not_sent nobody_told
         due",
    );
}

#[test]
fn a_fallback_that_fails_too_has_such_a_row_and_nothing_follows() {
    play(
        "channels a fallback
         firing 1 x e1
         start a1 => a1#1 started
         end a1 404 => a1#1 failed status_404 next ~5s
         at 6s
         start a1 => a1#2 started
         end a1 404 => a1#2 dead status_404, fallback1#0 waiting fallback next 0s
         due => fallback1(for a)#1
         start fallback1 => fallback1#1 started
         end fallback1 404 => fallback1#1 failed status_404 next ~5s
         at 12s
         start fallback1 => fallback1#2 started
         end fallback1 404 => fallback1#2 dead status_404, -1#0 not_sent nobody_told
         at 24h
         due",
    );
    // It is removed before it was tried.
    play(
        "channels a fallback
         firing 1 x e1
         channels fallback => a1#0 not_sent channel_removed, fallback1#0 waiting fallback next 0s
         channels => fallback1#0 not_sent channel_removed, -1#0 not_sent nobody_told",
    );
}

#[test]
fn what_comes_while_every_channel_is_off_goes_to_the_fallback() {
    play(
        "channels a fallback
         firing 1 x e1
         start a1 => a1#1 started
         end a1 410 => a1#1 failed status_410 next 1h
         at 61m
         start a1 => a1#2 started
         end a1 410 => a1#2 dead status_410, fallback1#0 waiting fallback next 0s, -1(no-more-a)#0 not_sent no_channel
         firing 2 y e2 => a2#0 not_sent channel_disabled, fallback2#0 waiting fallback next 0s
         due => fallback1(for a)#1 fallback2(for a)#1",
    );
}

#[test]
fn a_fallback_alone_is_told_of_what_begins() {
    play(
        "channels fallback
         firing 1 x e1 => fallback1#0 waiting fallback next 0s
         due => fallback1(for )#1
         resolved 2 x e1 => -2#0 not_sent no_channel",
    );
}

/// What is over before it could be told is one alert: the fallback hears of it once, as both.
#[test]
fn what_ended_meanwhile_is_told_with_its_end() {
    play(
        "channels a fallback
         firing 1 x e1
         start a1 => a1#1 started
         end a1 500 => a1#1 failed status_500 next ~5s
         resolved 2 x e1 => a1#1 dead superseded
         at 6s
         start a2 => a2#1 started
         end a2 404 => a2#1 failed status_404 next ~5s
         at 12s
         start a2 => a2#2 started
         end a2 404 => a2#2 dead status_404, fallback2#0 waiting fallback next 0s
         due => fallback2(for a)#1",
    );
}

/// What a channel is told later, in quiet hours or a silence, is not lost yet.
#[test]
fn what_is_held_back_from_another_channel_is_not_lost() {
    play(
        "channels a b fallback
         set b quiet=00:00-02:00
         firing 1 x e1 => b1#0 not_sent quiet_hours next 2h
         start a1 => a1#1 started
         end a1 404 => a1#1 failed status_404 next ~5s
         at 6s
         start a1 => a1#2 started
         end a1 404 => a1#2 dead status_404
         at 2h
         due => b1#1
         start b1 => b1#1 started
         end b1 404 => b1#1 failed status_404 next ~5s
         at 7206s
         start b1 => b1#2 started
         end b1 404 => b1#2 dead status_404, fallback1#0 waiting fallback next 0s",
    );
}

/// Its attempts are used up without an answer: it may have arrived, and nobody can rely on that.
#[test]
fn a_channel_that_never_answers_took_nothing() {
    let mut planner = Planner::new();
    let mut rows = Vec::new();
    planner.apply(tick(0, START_MS), &mut rows);
    let named = ["a", "fallback"].map(|id| (id.to_owned(), settings_of(&[])));
    planner.apply(channels_set("t", &named.into()), &mut rows);
    planner.apply(DetectionsRecord::Detection(Box::new(detection("t", 1, DetectionState::Firing))), &mut rows);
    for hour in 1..30 {
        if let Some(due) = planner.due().find(|due| due.channel.as_str() == "a") {
            planner.apply(started(&due, planner.wall()), &mut rows);
            let ended = answered(&due, AttemptOutcome::Timeout, None);
            planner.apply(DetectionsRecord::AttemptEnded(ended), &mut rows);
        }
        planner.apply(tick(0, START_MS + hour * 12 * 3_600_000), &mut rows);
    }
    let said: Vec<_> = rows.iter().map(|row| (row.channel.as_str(), row.reason.as_str())).collect();
    assert_eq!(said.last(), Some(&("fallback", "fallback")), "{said:?}");
    assert_eq!(said.iter().filter(|(_, reason)| *reason == "fallback").count(), 1);
}

/// The fallback's messages have their room like others: beyond it nobody is told, and rows say so.
#[test]
fn more_than_waits_for_the_fallback_is_told_to_nobody() {
    let mut planner = Planner::new();
    let mut rows = Vec::new();
    planner.apply(tick(0, START_MS), &mut rows);
    let named = [("fallback".to_owned(), settings_of(&[]))];
    planner.apply(channels_set("t", &named.into()), &mut rows);
    for seq in 1..=DELIVERIES_MAX as u64 + 1 {
        rows = apply(&mut planner, DetectionsRecord::Detection(Box::new(detection("t", seq, DetectionState::Firing))));
        assert_eq!(rows.len(), 1);
    }
    assert_eq!(rows[0].reason, "nobody_told");
    assert_eq!(planner.waiting(), DELIVERIES_MAX);
}

/// The end waits behind its beginning, and that is given up: whoever never heard that it began hears of no end.
#[test]
fn an_end_whose_beginning_was_given_up_is_not_told() {
    let given_up = "
        firing 1 x e1
        start a1 => a1#1 started
        end a1 404 => a1#1 failed status_404 next ~5s
        at 6s
        start a1 => a1#2 started
        resolved 2 x e1
        end a1 404 => a1#2 dead status_404, a2#0 not_sent never_told, ";
    play(&format!("channels a{given_up}-2#0 not_sent nobody_told\ndue"));
    // The fallback hears of both at once.
    play(&format!("channels a fallback{given_up}fallback2#0 waiting fallback next 0s\ndue => fallback2(for a)#1"));
}

/// Mail takes one alert a minute: of thirteen it gets the first, and a digest of twelve, which names ten.
fn a_digest_that_dies(channels: &str, dies: &str) -> String {
    let held: Vec<String> = (3..=13)
        .map(|n| format!("firing {n} g{n} e{n} => mail-digest2[{n}]#0 not_sent rate_limited next 1m"))
        .collect();
    format!(
        "channels {channels}
         set mail per-minute=1
         firing 1 g1 e1
         start mail1 => mail1#1 started
         end mail1 ok => mail1#1 delivered
         firing 2 g2 e2 => mail-digest2#0 not_sent rate_limited next 1m
         {}
         at 61s
         due => mail-digest2(12: 2 3 4 5 6 7 8 9 10 11)#1
         start mail-digest2 => mail-digest2#1 started
         end mail-digest2 404 => mail-digest2#1 failed status_404 next 1m
         at 122s
         start mail-digest2 => mail-digest2#2 started
         end mail-digest2 404 => mail-digest2#2 dead status_404, {dies}",
        held.join("\n")
    )
}

#[test]
fn a_digest_that_dies_goes_to_the_fallback_with_all_that_it_counts() {
    play_behind(
        &a_digest_that_dies("mail fallback", "fallback-digest2#0 waiting fallback next 0s"),
        "due => fallback-digest2(12: 2 3 4 5 6 7 8 9 10 11 for mail)#1
         // It counts as told of each: also of those without a name, whose ends it does not hear of.
         resolved 14 g13 e13 => mail14#0 not_sent never_told
         start fallback-digest2 => fallback-digest2#1 started
         end fallback-digest2 ok => fallback-digest2#1 delivered
         at 1h
         due",
    );
    let nobody: Vec<String> = (2..=13).map(|n| format!("-{n}#0 not_sent nobody_told")).collect();
    play(&a_digest_that_dies("mail", &nobody.join(", ")));
}

/// The other channel takes what is critical, and had it: the fallback hears how many nobody was told of.
#[test]
fn of_a_digest_that_dies_the_fallback_is_told_what_no_other_channel_was() {
    let firing = |n: u64| {
        if n < 12 { format!("firing {n} g{n} e{n}") } else { format!("firing {n} g{n} e{n} severity=warning") }
    };
    let held: Vec<String> =
        (3..=13).map(|n| format!("{} => mail-digest2[{n}]#0 not_sent rate_limited next 1m", firing(n))).collect();
    let told: Vec<String> =
        (1..=11).map(|n| format!("start b{n} => b{n}#1 started\nend b{n} ok => b{n}#1 delivered")).collect();
    play(&format!(
        "channels b mail fallback
         set b severity=critical
         set mail per-minute=1
         firing 1 g1 e1
         start mail1 => mail1#1 started
         end mail1 ok => mail1#1 delivered
         firing 2 g2 e2 => mail-digest2#0 not_sent rate_limited next 1m
         {}
         {}
         at 61s
         start mail-digest2 => mail-digest2#1 started
         end mail-digest2 404 => mail-digest2#1 failed status_404 next 1m
         at 122s
         start mail-digest2 => mail-digest2#2 started
         end mail-digest2 404 => mail-digest2#2 dead status_404, fallback-digest2#0 waiting fallback next 0s
         due => fallback-digest2(2: 2 for mail)#1",
        held.join("\n"),
        told.join("\n")
    ));
}
