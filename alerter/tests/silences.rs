//! What a silence holds back, and what is told at its end, as timelines. `common::play` explains the lines.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

mod common;

use common::{START_MS, Store, apply, channels, commit, detection, line_of, play, restored, silence_of, tick};
use logystera_alerter::core::Planner;
use logystera_schemas::detection::{Detection, DetectionState};
use logystera_schemas::ids::EpisodeId;
use logystera_schemas::limits::{EPISODES_MAX, HELD_BACK_MAX, SILENCE_MS_MAX, SILENCES_MAX};
use logystera_schemas::noise::Silence;
use logystera_schemas::time::WallMs;
use logystera_schemas::topic::DetectionsRecord;

/// Alertmanager's users: no word when a silence ends (#730, #3367).
#[test]
fn at_the_end_of_a_silence_what_still_fires_is_told_once() {
    play(
        "channels a b
         silence s1 2h
         firing 1 => a1#0 not_sent silenced next 2h, b1#0 not_sent silenced next 2h
         due
         at 1h
         firing 2 x e2 => a2#0 not_sent silenced next 1h, b2#0 not_sent silenced next 1h
         // A newer line of an episode takes the older one's place.
         firing 3 x e2 => a2#0 not_sent superseded, b2#0 not_sent superseded, \
                          a3#0 not_sent silenced next 1h, b3#0 not_sent silenced next 1h
         at 7199s
         due
         at 2h
         due => a1#1 b1#1 a3#1 b3#1
         start a1 => a1#1 started
         end a1 ok => a1#1 delivered
         at 3h
         due => b1#1 a3#1 b3#1",
    );
}

#[test]
fn ended_by_hand_it_is_over_at_once_whatever_the_time() {
    play(
        "channels a
         silence s1 2h
         firing 1 => a1#0 not_sent silenced next 2h
         unsilence s1
         due => a1#1
         firing 2
         due => a1#1 a2#1",
    );
}

/// What begins and ends in a silence is not told, and a row says so.
#[test]
fn what_is_over_before_the_silence_is_never_told() {
    play(
        "channels a
         silence s1 2h
         firing 1 x e1 => a1#0 not_sent silenced next 2h
         at 1h
         resolved 2 x e1 => a1#0 not_sent superseded, a2#0 not_sent never_told
         at 3h
         due
         // The next one is told, end and all.
         firing 3 x e3
         due => a3#1
         start a3 => a3#1 started
         end a3 ok => a3#1 delivered
         resolved 4 x e3
         due => a4#1",
    );
}

/// Alertmanager's users: no resolve while silenced (#226). Who heard that it began hears that it is over.
#[test]
fn the_end_of_what_was_told_is_told_at_once_in_a_silence() {
    play(
        "channels a b
         firing 1 x e1
         due => a1#1 b1#1
         start a1 => a1#1 started
         end a1 ok => a1#1 delivered
         start b1 => b1#1 started
         end b1 ok => b1#1 delivered
         silence s1 2h
         // A repeat of it is held back, and goes with its end.
         firing 2 x e1 => a2#0 not_sent silenced next 2h, b2#0 not_sent silenced next 2h
         resolved 3 x e1 => a2#0 not_sent superseded, b2#0 not_sent superseded
         due => a3#1 b3#1
         at 3h
         due => a3#1 b3#1",
    );
}

#[test]
fn what_waits_when_a_silence_begins_goes_on() {
    play(
        "channels a
         firing 1
         due => a1#1
         start a1 => a1#1 started
         end a1 500 => a1#1 failed status_500 next ~5s
         silence s1 2h
         at 10s
         due => a1#2",
    );
}

#[test]
fn a_silence_holds_from_its_first_moment_and_not_at_its_end() {
    play(
        "channels a
         silence s1 1h..2h
         at 3599s
         firing 1
         due => a1#1
         start a1 => a1#1 started
         end a1 ok => a1#1 delivered
         at 1h
         firing 2 => a2#0 not_sent silenced next 1h
         at 7199s
         firing 3 => a3#0 not_sent silenced next 1s
         at 2h
         firing 4
         due => a2#1 a3#1 a4#1",
    );
}

#[test]
fn every_matcher_must_match() {
    play(
        "channels a
         silence s1 1h rule=mail-delivery-failing severity=warning
         silence s2 1h site=blog
         silence s3 1h subsystem=db
         firing 1
         firing 2 severity=warning => a2#0 not_sent silenced next 1h
         firing 3 severity=warning rule=other
         firing 4 site=blog rule=other => a4#0 not_sent silenced next 1h
         firing 5 subsystem=db => a5#0 not_sent silenced next 1h
         due => a1#1 a3#1",
    );
}

#[test]
fn silences_that_follow_each_other_hold_back_to_the_last_ones_end() {
    play(
        "channels a
         silence s1 1h
         silence s2 1h..2h
         firing 1 => a1#0 not_sent silenced next 2h
         // Another end is said anew: a later one, an earlier one, and none.
         silence s3 3h => a1#0 not_sent silenced next 3h
         unsilence s3 => a1#0 not_sent silenced next 2h
         unsilence s2 => a1#0 not_sent silenced next 1h
         unsilence s1
         due => a1#1",
    );
}

#[test]
fn a_silence_that_is_said_again_has_its_new_end() {
    play(
        "channels a
         silence s1 1h
         firing 1 => a1#0 not_sent silenced next 1h
         silence s1 3h => a1#0 not_sent silenced next 3h
         silence s1 1h severity=info
         due => a1#1",
    );
}

#[test]
fn a_channel_that_goes_takes_what_is_held_back_with_it() {
    play(
        "channels a b
         silence s1 1h
         firing 1 => a1#0 not_sent silenced next 1h, b1#0 not_sent silenced next 1h
         channels b => a1#0 not_sent channel_removed
         at 1h
         due => b1#1
         // One that was added since, also under the old name, was told of nothing.
         channels a b
         resolved 2 smtp e1 => a2#0 not_sent never_told, b1#0 not_sent superseded
         due => b2#1",
    );
}

#[test]
fn a_channel_that_is_off_when_the_silence_ends_is_not_told() {
    play(
        "channels a
         firing 9
         due => a9#1
         start a9 => a9#1 started
         end a9 410 => a9#1 failed status_410 next 1h
         silence s1 3h
         firing 1 => a1#0 not_sent silenced next 3h
         at 1h
         start a9 => a9#2 started
         end a9 410 => a9#2 dead status_410, -9#0 not_sent nobody_told, -9(no-more-a)#0 not_sent no_channel
         at 3h => a1#0 not_sent channel_disabled
         enable a
         due",
    );
}

/// A clock that was wrong and is set back: a silence has its times in the log, and keeps them.
#[test]
fn a_clock_that_is_set_back_does_not_move_a_silence() {
    let steps: Vec<String> = (0..60).map(|s| format!("at {}s", 600 + s)).collect();
    play(&format!(
        "channels a
         at 2h
         silence s1 1h
         firing 1 => a1#0 not_sent silenced next 1h
         {}
         at 10799s
         due
         at 3h
         due => a1#1",
        steps.join("\n")
    ));
}

#[test]
fn nobody_hears_the_end_of_what_nobody_was_told() {
    play(
        "firing 1 x e1 => -1#0 not_sent no_channel
         channels a
         resolved 2 x e1 => a2#0 not_sent never_told
         // Given up before it could arrive.
         firing 3 y e3
         due => a3#1
         start a3 => a3#1 started
         end a3 404 => a3#1 failed status_404 next ~5s
         at 10s
         start a3 => a3#2 started
         end a3 404 => a3#2 dead status_404, -3#0 not_sent nobody_told
         resolved 4 y e3 => a4#0 not_sent never_told",
    );
}

fn record(detection: Detection) -> DetectionsRecord {
    DetectionsRecord::Detection(Box::new(detection))
}

/// A firing or the end of episode `n`.
fn line(n: usize, seq: u64, state: DetectionState) -> DetectionsRecord {
    let mut found = line_of(detection("t", seq, state), &format!("g{n}"), 0, START_MS);
    found.id = EpisodeId((n as u128).to_be_bytes());
    record(found)
}

#[test]
fn more_than_may_be_held_back_is_not_told_later() {
    let mut planner = Planner::new();
    apply(&mut planner, tick(0, START_MS));
    apply(&mut planner, channels("t", &["a"]));
    apply(&mut planner, DetectionsRecord::Silence(silence_of("t", "s1", &[])));
    for n in 0..=HELD_BACK_MAX {
        let rows = apply(&mut planner, line(n, n as u64 + 1, DetectionState::Firing));
        let expected = if n < HELD_BACK_MAX { "silenced" } else { "queue_full" };
        let told = if n < HELD_BACK_MAX { 1 } else { 2 };
        assert_eq!((rows.len(), rows[0].reason.as_str()), (told, expected), "{n}");
        assert_eq!(rows[0].next_attempt_at.is_some(), n < HELD_BACK_MAX);
    }
    // A newer line of one that is held back takes its place.
    let rows = apply(&mut planner, line(0, 20_000, DetectionState::Firing));
    assert_eq!(rows.iter().map(|r| r.reason.as_str()).collect::<Vec<_>>(), ["superseded", "silenced"]);
    // So does the first of another, once one is over.
    apply(&mut planner, line(1, 20_001, DetectionState::Resolved));
    let rows = apply(&mut planner, line(HELD_BACK_MAX + 1, 20_002, DetectionState::Firing));
    assert_eq!(rows[0].reason, "silenced");
}

/// A site that fills the room leaves its neighbours theirs: its newest gives way, with a row.
#[test]
fn a_neighbour_is_held_back_in_the_place_of_the_newest_of_the_site_that_has_most() {
    let mut planner = Planner::new();
    apply(&mut planner, tick(0, START_MS));
    apply(&mut planner, channels("t", &["a"]));
    apply(&mut planner, DetectionsRecord::Silence(silence_of("t", "s1", &[])));
    for n in 0..HELD_BACK_MAX {
        apply(&mut planner, line(n, n as u64 + 1, DetectionState::Firing));
    }
    let neighbours = |n: usize| {
        let DetectionsRecord::Detection(mut found) = line(n, n as u64 + 1, DetectionState::Firing) else { panic!() };
        found.site = "quiet-site".parse().unwrap();
        DetectionsRecord::Detection(found)
    };
    let rows = apply(&mut planner, neighbours(HELD_BACK_MAX));
    let said: Vec<_> = rows.iter().map(|row| (row.site.as_str(), row.seq, row.reason.as_str())).collect();
    let (newest, seq) = (HELD_BACK_MAX as u64, HELD_BACK_MAX as u64 + 1);
    let given_way = ("t-site", newest, "queue_full");
    assert_eq!(said, [given_way, ("t-site", newest, "nobody_told"), ("quiet-site", seq, "silenced")]);
    // The site that has most is refused one more, as before.
    let rows = apply(&mut planner, line(HELD_BACK_MAX + 1, 30_000, DetectionState::Firing));
    assert_eq!(rows[0].reason, "queue_full");
    assert_eq!(rows[0].seq, 30_000);
}

#[test]
fn of_more_episodes_than_are_kept_the_oldest_is_forgotten_and_its_end_told() {
    let (mut planner, mut store) = (Planner::new(), Store::new());
    apply(&mut planner, tick(0, START_MS));
    for n in 0..=EPISODES_MAX {
        apply(&mut planner, line(n, n as u64 + 1, DetectionState::Firing));
    }
    commit(&mut planner, &mut store);
    let kept = |store: &Store| store.keys().filter(|key| key[2] == b'e').count();
    assert_eq!(kept(&store), EPISODES_MAX);
    apply(&mut planner, channels("t", &["a"]));
    commit(&mut planner, &mut store);
    for mut planner in [restored(&store), planner] {
        for (n, told) in [(1, false), (0, true), (EPISODES_MAX, false)] {
            let rows = apply(&mut planner, line(n, 30_000 + n as u64, DetectionState::Resolved));
            assert_eq!(rows.is_empty(), told, "{n}: {rows:?}");
        }
        assert_eq!(planner.waiting(), 1);
    }
}

#[test]
fn no_more_silences_and_no_longer_ones_are_kept_than_there_may_be() {
    let mut planner = Planner::new();
    apply(&mut planner, tick(0, START_MS));
    apply(&mut planner, channels("t", &["a"]));
    let too_long = Silence { until: WallMs(START_MS + SILENCE_MS_MAX + 1), ..silence_of("t", "long", &[]) };
    apply(&mut planner, DetectionsRecord::Silence(too_long));
    for n in 0..=SILENCES_MAX {
        let id = format!("s{n}");
        let one = silence_of("t", &id, &[&format!("rule=r{n}")]);
        apply(&mut planner, DetectionsRecord::Silence(one));
    }
    let reasons = |planner: &mut Planner, n: usize, seq: u64| {
        let found = Detection { rule: format!("r{n}").parse().unwrap(), ..detection("t", seq, DetectionState::Firing) };
        apply(planner, record(found)).iter().map(|row| row.reason.clone()).collect::<Vec<_>>()
    };
    assert_eq!(reasons(&mut planner, SILENCES_MAX - 1, 1), ["silenced"]);
    assert_eq!(reasons(&mut planner, SILENCES_MAX, 2), [""; 0]);
    // Those that are over make room.
    apply(&mut planner, tick(0, START_MS + 3_600_000));
    let next = Silence { until: WallMs(START_MS + 7_200_000), ..silence_of("t", "next", &["rule=r100"]) };
    apply(&mut planner, DetectionsRecord::Silence(next));
    assert_eq!(reasons(&mut planner, SILENCES_MAX, 3), ["silenced"]);
}
