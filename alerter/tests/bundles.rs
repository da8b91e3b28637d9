//! Alerts of a rule that says `bundle` leave together, and nothing of one that does not.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

mod common;

use common::{START_MS, apply, channels, detection, line_of, play, play_behind, tick};
use logystera_alerter::core::Planner;
use logystera_infra::clock::Stopwatch;
use logystera_schemas::detection::{BundleBy, BundleSpec, DetectionState};
use logystera_schemas::ids::EpisodeId;
use logystera_schemas::topic::DetectionsRecord;

/// Two alerts wait for others.
const TWO: &str = "
    channels a
    bundle 30s 3 site
    firing 1 x e1 => a1#0 not_sent bundled next 30s
    at 10s
    firing 2 y e2 => a1[2]#0 not_sent bundled next 20s";

#[test]
fn alerts_of_a_rule_wait_for_others_and_leave_as_one() {
    play_behind(
        TWO,
        "due
         at 29s
         due
         at 30s
         due => a1[1 2]#1
         // Those that come now wait anew: this one leaves.
         firing 3 z e3 => a3#0 not_sent bundled next 30s
         due => a1[1 2]#1
         start a1 => a1#1 started
         end a1 503 => a1#1 failed status_503 next ~5s
         at 36s
         due => a1[1 2]#2
         start a1 => a1#2 started
         end a1 ok => a1#2 delivered
         at 60s
         due => a3#1",
    );
}

#[test]
fn a_bundle_that_is_full_leaves_at_once() {
    play_behind(
        TWO,
        "firing 3 z e3 => a1[3]#0 not_sent bundled next 0s
         due => a1[1 2 3]#1
         firing 4 u e4 => a4#0 not_sent bundled next 30s",
    );
}

#[test]
fn nothing_of_a_rule_without_bundle_is_ever_bundled() {
    play(
        "channels a
         firing 1 x e1
         firing 2 y e2
         due => a1#1 a2#1
         bundle 30s 1 site
         // One alert is no bundle, and nobody waits for it.
         firing 3 z e3
         bundle 0s 20 site
         firing 4 u e4
         due => a1#1 a2#1 a3#1 a4#1",
    );
}

#[test]
fn a_bundle_is_of_what_its_rule_bundles_by() {
    play(
        "channels a
         bundle 30s 20 site
         firing 1 x e1 => a1#0 not_sent bundled next 30s
         firing 2 x e2 @blog => a2#0 not_sent bundled next 30s
         firing 3 y e3 @blog => a2[3]#0 not_sent bundled next 30s
         bundle 30s 20 tenant
         firing 4 z e4 => a4#0 not_sent bundled next 30s
         firing 5 z e5 @blog => a4[5]#0 not_sent bundled next 30s
         at 30s
         due => a2[2 3]#1 a1#1 a4[4 5]#1",
    );
}

#[test]
fn each_channel_has_its_own_bundle() {
    play(
        "channels a b
         bundle 30s 20 site
         firing 1 x e1 => a1#0 not_sent bundled next 30s, b1#0 not_sent bundled next 30s
         firing 2 y e2 => a1[2]#0 not_sent bundled next 30s, b1[2]#0 not_sent bundled next 30s
         at 30s
         due => a1[1 2]#1 b1[1 2]#1
         channels b => a1#0 not_sent channel_removed
         due => b1[1 2]#1",
    );
}

/// A receiver that was told of a bundle hears in one message that its alerts are over, if they end together.
#[test]
fn the_ends_of_a_bundle_go_as_one() {
    play_behind(
        TWO,
        "at 30s
         start a1 => a1#1 started
         end a1 ok => a1#1 delivered
         at 10m
         resolved 3 x e1 => a3#0 not_sent bundled next 30s
         resolved 4 y e2 => a3[4]#0 not_sent bundled next 30s
         at 11m
         due => a3[3 4]#1
         start a3 => a3#1 started
         end a3 ok => a3#1 delivered
         at 99h
         due",
    );
}

#[test]
fn what_is_over_before_its_bundle_left_is_told_as_both() {
    play_behind(
        TWO,
        "resolved 3 x e1 => a3#0 not_sent bundled next 30s, a1#0 not_sent superseded
         at 30s
         // The other one goes as planned, under the same key.
         due => a1[2]#1
         start a1 => a1[2]#1 started
         at 40s
         due => a3#1",
    );
    // The whole bundle is over.
    play_behind(
        TWO,
        "resolved 3 x e1 => a3#0 not_sent bundled next 30s, a1#0 not_sent superseded
         resolved 4 y e2 => a3[4]#0 not_sent bundled next 30s, a1[2]#0 not_sent superseded
         at 30s
         due
         at 40s
         due => a3[3 4]#1",
    );
}

/// A bundle that was tried says the same again; the end of one of its alerts waits for it, and brings its next try about.
#[test]
fn an_end_does_not_pass_a_bundle_that_was_tried() {
    play_behind(
        TWO,
        "at 30s
         start a1 => a1#1 started
         resolved 3 x e1 => a3#0 not_sent bundled next 30s
         end a1 timeout => a1#1 failed timeout next ~5s
         at 36s
         start a1 => a1#2 started
         end a1 timeout => a1#2 failed timeout next 24s
         at 60s
         due => a1[1 2]#3
         start a1 => a1#3 started
         end a1 ok => a1#3 delivered
         due => a3#1",
    );
}

/// The end of the episode that a channel was told of goes before the news of the next one, bundled or not.
#[test]
fn news_waits_for_the_end_that_is_gathered() {
    play_behind(
        TWO,
        "at 30s
         start a1 => a1#1 started
         end a1 ok => a1#1 delivered
         resolved 3 x e1 => a3#0 not_sent bundled next 30s
         at 40s
         firing 4 x e4 => a4#0 not_sent bundled next 30s
         firing 5 y e5 => a4[5]#0 not_sent bundled next 30s
         firing 6 z e6 => a4[6]#0 not_sent bundled next 0s
         // The bundle of the news is full, and the end leaves with it.
         due => a3#1
         start a3 => a3#1 started
         due
         end a3 ok => a3#1 delivered
         due => a4[4 5 6]#1",
    );
}

#[test]
fn the_same_detection_twice_is_told_once() {
    play_behind(
        TWO,
        "firing 2 y e2
         at 30s
         due => a1[1 2]#1",
    );
}

#[test]
fn a_clock_that_is_set_back_does_not_stretch_the_wait() {
    let mut script = vec!["at 1h".to_owned(), TWO.replace("at 10s", "at 3610s")];
    script.extend((0..60).map(|s| format!("at {s}s")));
    script.push("due".to_owned());
    script.push("at 89s".to_owned());
    script.push("due => a1[1 2]#1".to_owned());
    play(&script.join("\n"));
}

/// What it costs that so many bundles of so many lose all their lines, one by one, to their ends, in microseconds: the least of
/// seven times.
fn cost_of_losing(bundles: u64, lines: u64) -> u128 {
    let alert = |seq: u64, state| {
        let of = seq % lines;
        let mut found = line_of(detection("t", seq, state), &format!("g{of}"), 0, START_MS);
        found.id = EpisodeId(u128::from(of).to_be_bytes());
        found.bundle = Some(BundleSpec { by: vec![BundleBy::Site], wait_ms: 3_600_000, max: 1_000 });
        DetectionsRecord::Detection(Box::new(found))
    };
    let losing = |_: u64| {
        let mut planner = Planner::new();
        apply(&mut planner, tick(0, START_MS));
        apply(&mut planner, channels("t", &["a"]));
        (1..lines).for_each(|seq| drop(apply(&mut planner, alert(seq, DetectionState::Firing))));
        let stopwatch = Stopwatch::start();
        for seq in 1..lines {
            let rows = apply(&mut planner, alert(lines + seq, DetectionState::Resolved));
            assert_eq!(rows.last().map(|row| row.reason.as_str()), Some("superseded"));
        }
        stopwatch.elapsed().as_micros()
    };
    (0..7).map(|_| (0..bundles).map(losing).sum()).min().unwrap()
}

/// As many lines cost about as much in one bundle as in ten, not ten times as much.
#[test]
fn a_line_that_a_large_bundle_loses_costs_no_more_than_one_of_a_small_one() {
    let (small, large) = (cost_of_losing(10, 100), cost_of_losing(1, 1_000));
    assert!(large < 4 * small, "one bundle {large} us, ten {small} us");
}
