//! Nobody reads that something is over before they read that it began: what was sent again, and what a digest tells.
//! `common::play` explains the lines.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

mod common;

use common::{START_MS, apply, channels_set, detection, line_of, play, play_behind, settings_of, started, tick};
use logystera_alerter::core::{Due, Planner};
use logystera_schemas::detection::DetectionState;
use logystera_schemas::topic::DetectionsRecord;

/// A beginning was given up, and somebody asks for it again.
const ASKED_FOR: &str = "
    channels a
    firing 1 x e1
    start a1 => a1#1 started
    end a1 404 => a1#1 failed status_404 next ~5s
    at 6s
    start a1 => a1#2 started
    end a1 404 => a1#2 dead status_404, -1#0 not_sent nobody_told
    resend a 1 => a1-again1#0 waiting resent next 0s";

#[test]
fn the_end_does_not_leave_before_a_beginning_that_is_sent_again() {
    for (case, script) in [
        ("it waits: the end tells both", "resolved 2 x e1 => a1-again1#0 not_sent superseded\ndue => a2#1"),
        (
            "it is in the air and arrives",
            "start a1-again1 => a1-again1#1 started
             resolved 2 x e1
             due
             end a1-again1 ok => a1-again1#1 delivered
             due => a2#1",
        ),
        (
            "it is in the air and has to be tried again: the end tells both",
            "start a1-again1 => a1-again1#1 started
             resolved 2 x e1
             end a1-again1 500 => a1-again1#1 failed status_500 next ~5s, a1-again1#1 dead superseded
             due => a2#1",
        ),
        (
            "it is given up again, and nobody is told so twice",
            "start a1-again1 => a1-again1#1 started
             end a1-again1 404 => a1-again1#1 failed status_404 next ~5s
             at 12s
             start a1-again1 => a1-again1#2 started
             resolved 2 x e1
             end a1-again1 404 => a1-again1#2 dead status_404, a2#0 not_sent never_told
             due",
        ),
        (
            "it is asked for twice: the newer line tells the older",
            "firing 2 x e1
             start a2 => a2#1 started
             end a2 ok => a2#1 delivered
             resend a 1 => a1-again2#0 waiting resent next 0s
             resolved 3 x e1
             due => a1-again2#1 a3#1",
        ),
    ] {
        println!("{case}");
        // A reminder overtakes what was asked for, as it would any other line of its fault.
        let script = script.replace("firing 2 x e1\n", "firing 2 x e1 => a1-again1#0 not_sent superseded\n");
        play_behind(ASKED_FOR, &script);
    }
}

/// Of earlier episodes whose end is held back the end goes first, as before any other firing.
#[test]
fn the_ends_of_earlier_episodes_go_before_what_is_sent_again() {
    play(
        "channels a
         firing 1 x e1
         start a1 => a1#1 started
         end a1 ok => a1#1 delivered
         set a quiet=00:00-02:00
         resolved 2 x e1 => a2#0 not_sent quiet_hours next 2h
         firing 3 x e3 => a3#0 not_sent quiet_hours next 2h
         resend a 3 => a3-again1#0 waiting resent next 0s
         due => a2#1
         start a2 => a2#1 started
         end a2 ok => a2#1 delivered
         due => a3-again1#1
         at 2h => a3#0 not_sent superseded",
    );
    // So before a suppressed one, which nobody but whoever asks is told of.
    play(
        "channels a
         firing 1 x e1 1h
         set a quiet=00:00-02:00
         resolved 2 x e1 => a2#0 not_sent quiet_hours next 2h
         suppressed 3 x e3 => -3#0 not_sent suppressed
         resend a 3 => a1#0 not_sent superseded, a3-again1#0 waiting resent next 0s, a2#0 not_sent superseded
         due => a3-again1#1
         at 2h
         due => a3-again1#1",
    );
}

/// Mail takes two a minute, and has had them; a digest tells the third.
const IN_A_DIGEST: &str = "
    channels mail
    set mail per-minute=2
    firing 1 g1 e1
    start mail1 => mail1#1 started
    end mail1 ok => mail1#1 delivered
    firing 2 g2 e2
    start mail2 => mail2#1 started
    end mail2 ok => mail2#1 delivered
    firing 3 g3 e3 => mail-digest3#0 not_sent rate_limited next 1m
    at 61s
    due => mail-digest3#1";

#[test]
fn the_end_does_not_leave_before_a_digest_that_counts_the_beginning() {
    for (case, script) in [
        (
            "the digest waits and takes it",
            "resolved 4 g3 e3 => mail-digest3[4]#0 not_sent rate_limited next 0s
             due => mail-digest3(2: 3 4)#1",
        ),
        (
            "the digest is in the air: the end tells both",
            "start mail-digest3 => mail-digest3#1 started\nresolved 4 g3 e3\ndue => mail4#1",
        ),
        (
            "the digest has arrived",
            "start mail-digest3 => mail-digest3#1 started
             end mail-digest3 ok => mail-digest3#1 delivered
             resolved 4 g3 e3
             due => mail4#1",
        ),
        (
            "the digest was given up: its end is of what was never told",
            "start mail-digest3 => mail-digest3#1 started
             end mail-digest3 404 => mail-digest3#1 failed status_404 next ~5s
             at 70s
             start mail-digest3 => mail-digest3#2 started
             end mail-digest3 404 => mail-digest3#2 dead status_404, -3#0 not_sent nobody_told
             resolved 4 g3 e3 => mail4#0 not_sent never_told",
        ),
    ] {
        println!("{case}");
        play_behind(IN_A_DIGEST, script);
    }
}

/// What the end says: the digest has arrived, or may arrive later.
#[test]
fn an_end_that_may_be_read_before_the_digest_tells_the_beginning_too() {
    for (is_delivered, expected) in [(true, (0, 0, false)), (false, (1, 1, true))] {
        let mut planner = Planner::new();
        apply(&mut planner, tick(0, START_MS));
        let named = [("mail".to_owned(), settings_of(&["per-minute=2"]))];
        apply(&mut planner, channels_set("t", &named.into()));
        let line = |seq: u64, state| {
            let episode = seq.min(3);
            let found = line_of(detection("t", seq, state), &format!("g{episode}"), episode as u8, START_MS);
            DetectionsRecord::Detection(Box::new(found))
        };
        let start = |planner: &mut Planner| -> Due {
            let due = planner.due().next().unwrap();
            apply(planner, started(&due, planner.wall()));
            due
        };
        let arrives = |planner: &mut Planner, due: &Due| {
            let ended = common::answered(due, logystera_schemas::delivery::AttemptOutcome::Delivered, Some(200));
            apply(planner, DetectionsRecord::AttemptEnded(ended));
        };
        for seq in 1..=2 {
            apply(&mut planner, line(seq, DetectionState::Firing));
            let due = start(&mut planner);
            arrives(&mut planner, &due);
        }
        apply(&mut planner, line(3, DetectionState::Firing));
        apply(&mut planner, tick(0, START_MS + 61_000));
        let digest = start(&mut planner);
        if is_delivered {
            arrives(&mut planner, &digest);
        }
        apply(&mut planner, line(4, DetectionState::Resolved));
        let end = planner.due().next().unwrap();
        assert_eq!(end.detection.seq, 4);
        assert_eq!((end.merged.lines, end.merged.firings, end.merged.untold), expected, "{is_delivered}");
    }
}

/// Mail takes one a minute; thirteen more began and are over: a digest tells twelve, of which it names ten.
#[test]
fn whatever_a_digest_counts_without_a_name_has_a_row_if_nobody_is_told() {
    let held = |n: u64| format!("firing {n} g{n} e{n} => mail-digest2[{n}]#0 not_sent rate_limited next 1m");
    let held: Vec<String> = (3..=13).map(held).collect();
    let nobody: Vec<String> = (2..=13).map(|n| format!("-{n}#0 not_sent nobody_told")).collect();
    let beginning = format!(
        "set mail per-minute=1
         firing 1 g1 e1
         start mail1 => mail1#1 started
         end mail1 ok => mail1#1 delivered
         firing 2 g2 e2 => mail-digest2#0 not_sent rate_limited next 1m
         {}
         resolved 14 g13 e13 => mail-digest2[14]#0 not_sent rate_limited next 1m
         at 61s
         start mail-digest2 => mail-digest2#1 started
         end mail-digest2 404 => mail-digest2#1 failed status_404 next 1m
         at 122s
         start mail-digest2 => mail-digest2#2 started",
        held.join("\n")
    );
    // What is over meanwhile has its row, too.
    play(&format!(
        "channels mail\n{beginning}\nend mail-digest2 404 => mail-digest2#2 dead status_404, {}",
        nobody.join(", ")
    ));
    play(&format!(
        "channels mail fallback
         {beginning}
         end mail-digest2 404 => mail-digest2#2 dead status_404, fallback-digest2#0 waiting fallback next 0s
         due => fallback-digest2(13: 2 3 4 5 6 7 8 9 10 11 for mail)#1
         start fallback-digest2 => fallback-digest2#1 started
         end fallback-digest2 404 => fallback-digest2#1 failed status_404 next ~5s
         at 132s
         start fallback-digest2 => fallback-digest2#2 started
         end fallback-digest2 404 => fallback-digest2#2 dead status_404, {}",
        nobody.join(", ")
    ));
}
