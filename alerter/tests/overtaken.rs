//! What waits and is overtaken by a newer line of the same fault. `common::play` explains the lines.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

mod common;

use common::{START_MS, answered, apply, channels, detection, fired, line_of, play, play_behind, started, tick};
use logystera_alerter::core::Planner;
use logystera_schemas::delivery::{Attempt, AttemptOutcome};
use logystera_schemas::detection::DetectionState;
use logystera_schemas::limits::DELIVERIES_MAX;
use logystera_schemas::topic::DetectionsRecord;

/// The news of an episode is in the air.
const TELLING: &str = "
    channels a
    firing 1 x e1
    due => a1#1
    start a1 => a1#1 started";

/// A receiver that was told of an episode.
const TOLD: &str = "
    channels a
    firing 1 x e1
    due => a1#1
    start a1 => a1#1 started
    end a1 ok => a1#1 delivered";

#[test]
fn a_resolution_overtakes_a_firing_that_waits() {
    play_behind(
        TELLING,
        "end a1 500 => a1#1 failed status_500 next ~5s
         resolved 2 x e1 => a1#1 dead superseded
         // One message tells both.
         due => a2#1
         start a2 => a2#1 started
         end a2 ok => a2#1 delivered
         at 99h
         due",
    );
    play(
        "channels a
         firing 1 x e1
         resolved 2 x e1 => a1#0 not_sent superseded
         due => a2#1",
    );
}

#[test]
fn nothing_of_a_fault_leaves_while_another_line_of_it_is_in_the_air() {
    play_behind(
        TELLING,
        "resolved 2 x e1
         // Other faults do not wait for it.
         firing 3 y e1
         due => a3#1
         end a1 timeout => a1#1 failed timeout next ~5s, a1#1 dead superseded
         // A channel that failed last has one place.
         due => a2#1
         start a2 => a2#1 started
         end a2 ok => a2#1 delivered
         at 99h
         due => a3#1",
    );
    play_behind(
        TELLING,
        "resolved 2 x e1
         end a1 ok => a1#1 delivered
         due => a2#1",
    );
}

#[test]
fn a_receiver_that_was_told_of_an_episode_is_told_of_its_end() {
    play_behind(
        TOLD,
        "at 1s
         resolved 2 x e1
         // It goes before the next episode, and the next episode's lines go as one.
         firing 3 x e3
         due => a2#1
         resolved 4 x e3 => a3#0 not_sent superseded
         firing 5 x e5 => a4#0 not_sent superseded
         due => a2#1
         start a2 => a2#1 started
         end a2 ok => a2#1 delivered
         due => a5#1
         start a5 => a5#1 started
         end a5 ok => a5#1 delivered
         at 99h
         due",
    );
    // What may have arrived counts as told.
    play_behind(
        TELLING,
        "end a1 unknown => a1#1 unknown next ~5s
         resolved 2 x e1 => a1#1 dead superseded
         firing 3 x e3
         due => a2#1
         start a2 => a2#1 started
         due",
    );
}

#[test]
fn a_backlog_waits_a_little_and_goes_as_one_message() {
    play(
        "channels a
         firing 1 x e1 144h
         due
         at 3s
         resolved 2 x e1 143h => a1#0 not_sent superseded
         at 6s
         firing 3 x e3 142h => a2#0 not_sent superseded
         due
         // What is not late waits for nothing.
         firing 4 y e4 1m
         due => a4#1
         at 29s
         resolved 5 x e3 141h => a3#0 not_sent superseded
         due => a4#1
         // Half a minute after the first of them, however many come.
         at 30s
         due => a4#1 a5#1",
    );
}

#[test]
fn six_days_of_one_fault_are_few_messages() {
    let mut script = vec!["channels a".to_owned()];
    for seq in 1..=144 {
        let (state, episode) = if seq % 2 == 1 { ("firing", seq) } else { ("resolved", seq - 1) };
        let before = if seq == 1 { String::new() } else { format!(" => a{}#0 not_sent superseded", seq - 1) };
        script.push(format!("{state} {seq} x e{episode} {}h{before}", 145 - seq));
        script.push(format!("at {}s", seq / 12));
    }
    script.push("due".to_owned());
    script.push("at 30s".to_owned());
    script.push("due => a144#1".to_owned());
    play(&script.join("\n"));
}

#[test]
fn a_line_that_takes_anothers_place_needs_no_room_of_its_own() {
    play(
        "channels a b
         firing 1 x e1
         firing 2 x e1 => a1#0 not_sent superseded, b1#0 not_sent superseded
         resolved 3 x e1 => a2#0 not_sent superseded, b2#0 not_sent superseded
         due => a3#1 b3#1",
    );
}

/// The news is worth the tries that it would have of its own; the end's own tries are not used up by them.
#[test]
fn an_end_that_news_waits_for_is_tried_each_time_that_the_news_would_be() {
    play_behind(
        TOLD,
        "resolved 2 x e1
         due => a2#1
         start a2 => a2#1 started
         end a2 unknown => a2#1 unknown next ~5s
         at 6s
         due => a2#2
         start a2 => a2#2 started
         end a2 unknown => a2#2 unknown next ~30s
         at 1m
         due => a2#3
         start a2 => a2#3 started
         end a2 unknown => a2#3 unknown next ~5m
         at 10m
         due => a2#4
         start a2 => a2#4 started
         end a2 unknown => a2#4 unknown next ~30m
         at 1h
         due => a2#5
         start a2 => a2#5 started
         end a2 unknown => a2#5 unknown next ~2h
         // News: not in two hours.
         at 61m
         firing 3 x e3
         due => a2#6
         start a2 => a2#6 started
         end a2 unknown => a2#6 unknown next ~5s of a3
         due
         at 3666s
         due => a2#7
         start a2 => a2#7 started
         end a2 unknown => a2#7 unknown next ~30s of a3
         at 62m
         due => a2#8
         start a2 => a2#8 started
         end a2 unknown => a2#8 unknown next ~5m of a3
         at 69m
         due => a2#9
         start a2 => a2#9 started
         end a2 ok => a2#9 delivered
         due => a3#1",
    );
}

/// What holds its place before news of another episode, or is in the air, makes no room for what comes behind it.
#[test]
fn into_a_full_queue_comes_only_what_takes_anothers_place() {
    let mut planner = Planner::new();
    let line = |seq, state, group: &str, episode| {
        let found = line_of(detection("t", seq, state), group, episode, START_MS);
        DetectionsRecord::Detection(Box::new(found))
    };
    let start = |planner: &mut Planner, seq: u64| {
        let due = planner.due().find(|due| due.detection.seq == seq).unwrap();
        apply(planner, started(&due, planner.wall()));
        due
    };
    let reasons = |rows: Vec<Attempt>| rows.into_iter().map(|row| (row.seq, row.reason)).collect::<Vec<_>>();
    apply(&mut planner, tick(0, START_MS));
    apply(&mut planner, channels("t", &["a"]));
    apply(&mut planner, line(1, DetectionState::Firing, "told", 1));
    let due = start(&mut planner, 1);
    apply(&mut planner, DetectionsRecord::AttemptEnded(answered(&due, AttemptOutcome::Delivered, Some(200))));
    apply(&mut planner, line(2, DetectionState::Resolved, "told", 1));
    apply(&mut planner, line(3, DetectionState::Firing, "telling", 3));
    start(&mut planner, 3);
    let last = DELIVERIES_MAX as u64 + 1;
    for seq in 4..=last {
        assert_eq!(apply(&mut planner, fired("t", seq, DetectionState::Firing)), []);
    }
    assert_eq!(planner.waiting(), DELIVERIES_MAX - 1, "and one is in the air");

    let full = |seq| vec![(seq, "queue_full".to_owned())];
    let to_nobody = |seq| [full(seq), vec![(seq, "nobody_told".to_owned())]].concat();
    let behind_an_end = apply(&mut planner, line(last + 1, DetectionState::Firing, "told", 9));
    assert_eq!(reasons(behind_an_end), to_nobody(last + 1));
    let behind_what_is_in_the_air = apply(&mut planner, line(last + 2, DetectionState::Resolved, "telling", 3));
    assert_eq!(reasons(behind_what_is_in_the_air), full(last + 2));
    let overtaking = apply(&mut planner, line(last + 3, DetectionState::Resolved, "smtp-5", 5));
    assert_eq!(reasons(overtaking), [(5, "superseded".to_owned())]);
    assert_eq!(planner.waiting(), DELIVERIES_MAX - 1);
}

/// The end waits for the morning; the fault's next firing, which is worse, does not. In the morning the end would overtake it, or look as
/// if it were over.
#[test]
fn an_end_that_is_held_back_goes_before_the_next_firing() {
    let held = "
        channels a
        firing 1 x e1 severity=warning
        start a1 => a1#1 started
        end a1 ok => a1#1 delivered
        set a quiet=00:00-08:00 except=critical
        at 5m
        resolved 2 x e1 severity=warning => a2#0 not_sent quiet_hours next 475m
        at 10m
        ";
    play_behind(
        held,
        "firing 3 x e3
         due => a2#1
         start a2 => a2#1 started
         end a2 ok => a2#1 delivered
         due => a3#1
         start a3 => a3#1 started
         end a3 500 => a3#1 failed status_500 next ~5s
         at 8h
         due => a3#2",
    );
    // Another fault's, or one that waits as well, leaves it where it is.
    play_behind(
        held,
        "firing 3 y e3
         due => a3#1
         firing 4 x e4 severity=warning => a4#0 not_sent quiet_hours next 470m
         at 8h
         due => a3#1 a2#1",
    );
    // A silence ends before the quiet hours do.
    play_behind(
        held,
        "silence s1 1h severity=critical
         firing 3 x e3 => a3#0 not_sent silenced next 1h
         due
         at 70m
         due => a2#1",
    );
}
