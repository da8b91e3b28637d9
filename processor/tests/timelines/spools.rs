//! Spools: which of them are waited for, and what they have on.

use super::{MAIL, mails};
use crate::support::World;

#[test]
fn a_spool_behind_the_watermark_does_not_hold_it() {
    for (semantics, told) in [(1, 0), (2, 1)] {
        let mut world = World::of(semantics, MAIL);
        world.tick(0.0);
        world.batch(1, 100.0, &[]);
        // A backlog: it is late anyway.
        world.batch(2, 10.0, &mails(&[5.0]));
        let live = world.batch(1, 110.0, &mails(&[101.0, 102.0, 103.0]));
        assert_eq!(live.len(), told, "version {semantics}: {live:?}");
    }
}

#[test]
fn a_spool_that_reaches_the_watermark_is_waited_for() {
    let mut world = World::of(2, MAIL);
    world.tick(0.0);
    world.batch(1, 100.0, &[]);
    world.batch(2, 100.0, &[]);
    assert_eq!(world.batch(1, 110.0, &mails(&[101.0, 102.0, 103.0])), [""; 0]);
    assert_eq!(world.batch(2, 103.0, &[]), ["103: mail firing/firing count 3 since 103"]);
}

#[test]
fn a_spool_that_ended_is_not_waited_for() {
    for (semantics, told) in [(1, vec![]), (2, vec!["13: mail firing/firing count 3 since 13"])] {
        let mut world = World::of(semantics, MAIL);
        world.tick(0.0);
        world.ends = true;
        world.batch(1, 0.0, &[]);
        world.ticks(1, 10);
        world.batch(2, 13.0, &mails(&[11.0, 12.0, 13.0]));
        let lines: Vec<String> = world.detections.iter().map(|d| d.rule.to_string()).collect();
        assert_eq!(lines.len(), told.len(), "version {semantics}");
    }
}

#[test]
fn a_spool_that_ended_and_speaks_again_is_waited_for_again() {
    let mut world = World::of(2, MAIL);
    world.tick(0.0);
    world.ends = true;
    world.batch(1, 10.0, &[]);
    world.ends = false;
    world.batch(1, 10.0, &[]);
    world.batch(2, 20.0, &mails(&[11.0, 12.0, 13.0]));
    assert_eq!(world.detections, [], "held: the first spool goes on");
    world.ends = true;
    assert_eq!(world.batch(1, 12.0, &[]), ["13: mail firing/firing count 3 since 13"], "and is no more");
}

fn outage(semantics: u32) -> World {
    let mut world = World::of(semantics, MAIL);
    world.tick(0.0);
    world.batch(1, 0.0, &[]);
    world.batch(2, 0.0, &[]);
    world.ticks(1, 300);
    world
}

/// A sender pauses for hardly longer than twice the outage, and is then given its three flushes.
#[test]
fn after_an_outage_a_spool_is_waited_for_as_long_as_its_senders_pause() {
    // 300 s of silence, 660 s of pause, three flushes of 60 s.
    for (semantics, until) in [(1, 300 + 3_600 + 180), (2, 300 + 660 + 180)] {
        let mut world = outage(semantics);
        world.batch(1, 300.0, &mails(&[1.0, 2.0, 3.0]));
        world.ticks(301, until);
        assert_eq!(world.batch(1, 400.0, &[]), [""; 0], "version {semantics}");
        world.tick(f64::from(until + 1));
        assert!(!world.batch(1, 400.0, &[]).is_empty(), "version {semantics}");
    }
}

/// A new spool mostly means that its site's sender was set up anew.
#[test]
fn after_a_long_outage_a_new_spool_waits_ten_minutes_for_the_old_one() {
    for (semantics, until) in [(1, 2_000 + 3_600 + 180), (2, 2_000 + 600 + 180)] {
        let mut world = World::of(semantics, MAIL);
        world.tick(0.0);
        world.batch(1, 0.0, &[]);
        world.ticks(1, 2_000);
        world.batch(2, 2_000.0, &mails(&[1.0, 2.0, 3.0]));
        world.ticks(2_001, until);
        assert_eq!(world.batch(2, 2_001.0, &[]), [""; 0], "version {semantics}");
        world.tick(f64::from(until + 1));
        assert!(!world.batch(2, 2_001.0, &[]).is_empty(), "version {semantics}");
    }
}

/// What waits under the first version waits an hour, also once the second holds.
#[test]
fn a_wait_that_the_first_version_began_goes_on() {
    let mut world = outage(1);
    world.batch(1, 300.0, &mails(&[1.0, 2.0, 3.0]));
    world.semantics = 2;
    world.configure(MAIL);
    world.ticks(301, 4_080);
    assert_eq!(world.batch(1, 400.0, &[]), [""; 0]);
    world.tick(4_081.0);
    assert!(!world.batch(1, 400.0, &[]).is_empty());
}

const CRON: &str = "format: 1\nrules:\n- name: cron\n  title: Cron\n  severity: critical\n  subsystem: cron\n  signal: cron.run\n  \
    absent: { for: 60s, expected: always }\n  resolve_after: 0s\n  message: m\n";
const CRON_BIT: u16 = 1 << 2;

#[test]
fn what_a_dead_spool_had_on_is_not_missed() {
    for (semantics, told) in [(1, 1), (2, 0)] {
        let mut world = World::of(semantics, CRON);
        world.tick(0.0);
        world.batch(1, 0.0, &[("cron.run", 0.0, &[])]);
        world.enabled.0 &= !CRON_BIT;
        world.batch(2, 0.0, &[]);
        for at in (10..=250).step_by(10) {
            world.ticks(at - 9, at);
            world.batch(2, f64::from(at), &[]);
        }
        assert_eq!(world.detections.len(), told, "version {semantics}: {:?}", world.detections);
    }
}

/// It is on again with the spool: counted anew from there.
#[test]
fn what_a_dead_spool_had_on_is_on_again_when_it_speaks() {
    let mut world = World::of(2, CRON);
    world.tick(0.0);
    world.batch(1, 0.0, &[("cron.run", 0.0, &[])]);
    world.enabled.0 &= !CRON_BIT;
    world.batch(2, 0.0, &[]);
    for at in (10..=400).step_by(10) {
        world.ticks(at - 9, at);
        world.batch(2, f64::from(at), &[]);
    }
    world.enabled.0 |= CRON_BIT;
    world.batch(1, 400.0, &[]);
    world.batch(1, 470.0, &[]);
    world.enabled.0 &= !CRON_BIT;
    assert_eq!(world.batch(2, 470.0, &[]), ["460: cron firing/stopped count 0 since 460"]);
}

#[test]
fn what_an_ended_spool_had_on_is_on_only_while_none_is_live() {
    let mut world = World::of(2, CRON);
    world.tick(0.0);
    world.ends = true;
    world.batch(1, 0.0, &[("cron.run", 0.0, &[])]);
    world.ends = false;
    world.enabled.0 &= !CRON_BIT;
    world.batch(2, 0.0, &[]);
    assert_eq!(world.batch(2, 300.0, &[]), [""; 0]);
}

/// What is on is derived: whatever a record did, the next engine has on what this one had.
#[test]
fn a_duplicate_that_forgets_a_spool_leaves_the_same_on() {
    for semantics in [1, 2] {
        let told = [true, false].map(|crashes| {
            let mut world = World::of(semantics, CRON);
            world.crashes = crashes;
            world.tick(0.0);
            world.batch(1, 0.0, &[("cron.run", 0.0, &[])]);
            world.enabled.0 &= !CRON_BIT;
            world.tick(7.0 * 86_400.0);
            world.batch_numbered(2, 1, 0.0, &[]);
            // The first spool is forgotten by a batch that was there already.
            world.tick(8.5 * 86_400.0);
            world.batch_numbered(2, 1, 0.0, &[]);
            world.batch(2, 8.5 * 86_400.0, &[]);
            world.detections.len()
        });
        assert_eq!(told[0], told[1], "version {semantics}");
    }
}

#[test]
fn one_signal_ahead_is_cut_and_the_others_stay() {
    for (semantics, told, cut, shifted) in [(1, 0, 0, 1), (2, 1, 1, 0)] {
        let mut world = World::of(semantics, MAIL);
        world.batch(1, 96.0, &[]);
        world.received_at = Some(100.0);
        let lines = world.batch(1, 100.0, &mails(&[97.0, 98.0, 99.0, 7_300.0]));
        assert_eq!(lines.len(), told, "version {semantics}");
        assert_eq!((world.outcomes().cut, world.outcomes().shifted), (cut, shifted), "version {semantics}");
    }
}

#[test]
fn what_is_cut_takes_its_place_at_the_gateways_time() {
    let mut world = World::of(2, MAIL);
    world.received_at = Some(100.0);
    let lines = world.batch(1, 104.0, &mails(&[106.0, 101.0, 99.0, 98.0]));
    assert_eq!(lines, ["100: mail firing/firing count 3 since 100"]);
    // Half of them is not most; what lies within five seconds is not ahead.
    let mut world = World::of(2, MAIL);
    world.received_at = Some(100.0);
    world.batch(1, 104.0, &mails(&[105.1, 105.0]));
    assert_eq!((world.outcomes().cut, world.outcomes().shifted), (1, 0));
}

#[test]
fn a_batch_is_shifted_whole_when_most_of_it_or_its_watermark_is_ahead() {
    for (through, at) in [(100.0, [106.0, 106.0, 99.0]), (106.0, [99.0, 98.0, 97.0])] {
        let mut world = World::of(2, MAIL);
        world.received_at = Some(100.0);
        world.batch(1, through, &mails(&at));
        assert_eq!((world.outcomes().cut, world.outcomes().shifted), (0, 1), "{through} {at:?}");
    }
}
