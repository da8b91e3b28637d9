//! What a rule tells that tells each match: it happened, nothing is open, and nothing follows. `common::play` explains the lines.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

mod common;

use common::{START_MS, Store, answered, apply, channels, commit, detection, play, restored, started, tick};
use logystera_alerter::core::Planner;
use logystera_schemas::delivery::AttemptOutcome;
use logystera_schemas::detection::{Detection, DetectionState};
use logystera_schemas::ids::EpisodeId;
use logystera_schemas::topic::DetectionsRecord;

/// A second one of the same group does not take the place of the first, which tells something else.
#[test]
fn each_is_told_by_itself_though_the_one_before_waits() {
    play(
        "channels a
         firing 1 x e1 once=yes
         due => a1#1
         start a1 => a1#1 started
         end a1 500 => a1#1 failed status_500 next ~5s
         firing 2 x e2 once=yes
         due => a2#1
         start a2 => a2#1 started
         end a2 ok => a2#1 delivered
         at 10s
         due => a1#2",
    );
}

/// Others of the fault, such as an overflow of the same rule, are overtaken as ever.
#[test]
fn what_is_not_marked_is_overtaken() {
    play(
        "channels a
         firing 1 x e1
         firing 2 x e2 => a1#0 not_sent superseded
         due => a2#1",
    );
}

#[test]
fn they_gather_where_their_rule_bundles() {
    play(
        "channels a
         bundle 30s 3 site
         firing 1 x e1 once=yes => a1#0 not_sent bundled next 30s
         firing 2 x e2 once=yes => a1[2]#0 not_sent bundled next 30s
         at 30s
         due => a1[1 2]#1",
    );
}

/// It was over before the silence was: as what begins and ends in a silence, it is not told.
#[test]
fn what_happens_in_a_silence_has_its_row_and_is_never_told() {
    play(
        "channels a
         silence s1 2h
         firing 1 once=yes => a1#0 not_sent silenced
         at 3h
         due",
    );
}

#[test]
fn what_happens_in_quiet_hours_is_told_at_their_end() {
    play(
        "channels a
         set a quiet=23:00-01:00
         firing 1 x e1 once=yes => a1#0 not_sent quiet_hours next 1h
         // A second one does not take its place.
         firing 2 x e2 once=yes => a2#0 not_sent quiet_hours next 1h
         at 1h
         due => a1#1 a2#1
         start a1 => a1#1 started
         end a1 ok => a1#1 delivered
         at 24h
         due => a2#1",
    );
}

/// Nobody was told of what a suppression held back: what tells it is news, though its reason is the suppression's end.
#[test]
fn what_was_held_back_falls_back_as_news_does() {
    play(
        "channels fallback
         firing 1 once=yes reason=suppression_expired => fallback1#0 waiting fallback next 0s
         due => fallback1(for )#1",
    );
    // A reminder of an episode, of which somebody was told before, does not.
    play(
        "channels fallback
         firing 1 reason=suppression_expired => -1#0 not_sent no_channel",
    );
}

fn marked(n: u64) -> Detection {
    let found = detection("t", n, DetectionState::Firing);
    Detection { once: true, id: EpisodeId(u128::from(n).to_be_bytes()), ..found }
}

#[test]
fn ten_thousand_leave_nothing_behind() {
    let (mut planner, mut store) = (Planner::new(), Store::new());
    apply(&mut planner, tick(0, START_MS));
    apply(&mut planner, channels("t", &["a"]));
    commit(&mut planner, &mut store);
    let mut entries = Vec::new();
    for n in 1..=10_000 {
        apply(&mut planner, DetectionsRecord::Detection(Box::new(marked(n))));
        let due = planner.due().next().expect("each is told");
        let wall = planner.wall();
        apply(&mut planner, started(&due, wall));
        let ended = answered(&due, AttemptOutcome::Delivered, Some(200));
        apply(&mut planner, DetectionsRecord::AttemptEnded(ended));
        if n % 1_000 == 1 {
            commit(&mut planner, &mut store);
            entries.push((store.len(), store.values().map(Vec::len).sum::<usize>()));
        }
    }
    let (first, last) = (entries[0], entries[entries.len() - 1]);
    assert_eq!(first.0, last.0, "{entries:?}");
    assert!(last.1 <= first.1 + 8, "numbers take a few bytes more, and nothing else does: {entries:?}");
}

/// It is still one after a takeover, as a delivery that waits and as a line that quiet hours hold back: nothing overtakes it.
#[test]
fn the_mark_is_stored() {
    let (mut planner, mut store) = (Planner::new(), Store::new());
    apply(&mut planner, tick(0, START_MS));
    apply(&mut planner, channels("t", &["a"]));
    apply(&mut planner, DetectionsRecord::Detection(Box::new(marked(1))));
    commit(&mut planner, &mut store);
    let again = restored(&store);
    let told: Vec<_> = again.due().map(|due| due.detection.as_ref().clone()).collect();
    assert_eq!(told, [marked(1)]);
}
