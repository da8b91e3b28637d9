//! The clock of the log, set back.

use super::{MAIL, mails};
use crate::support::{Sig, World};

const HOURS: f64 = 7_200.0;

/// A world in which the clock ran two hours ahead for a moment, after which it takes a minute to believe the right one. What
/// the site sent meanwhile was taken as two hours later.
fn two_hours_ahead(semantics: u32, rules: &str, signals: &[Sig<'_>]) -> World {
    let mut world = World::of(semantics, rules);
    world.tick(0.0);
    world.batch(1, 0.0, &[]);
    world.ticks(1, 10);
    world.tick(HOURS + 11.0);
    world.batch(1, HOURS + 11.0, signals);
    world
}

/// The sixty ticks that set it back.
fn set_back(world: &mut World) -> Vec<String> {
    let told = world.ticks(12, 71);
    assert_eq!(world.engine().time().wall().0 - crate::support::T0_MS, 71_000);
    told
}

#[test]
fn rules_work_again_within_a_minute() {
    for (semantics, later) in [(1, vec![]), (2, vec!["74: mail firing/firing count 3 since 74"])] {
        let mut world = two_hours_ahead(semantics, MAIL, &[]);
        let told = set_back(&mut world);
        let resets = usize::from(semantics == 2);
        assert_eq!((told.len(), world.outcomes().time_resets), (resets, resets as u64), "version {semantics}");
        assert_eq!(world.batch(1, 75.0, &mails(&[72.0, 73.0, 74.0])), later, "version {semantics}");
    }
}

#[test]
fn it_is_on_record_and_told_to_nobody() {
    let mut world = two_hours_ahead(2, MAIL, &[]);
    assert_eq!(set_back(&mut world), ["7211: site-time suppressed/clock_reset count 0 since 71"]);
    let detection = &world.detections[0];
    assert_eq!((detection.revision.as_str(), detection.subsystem.as_str()), ("000000000000", "integration"));
    assert_eq!(detection.url, format!("/sites/shop/alerts/{}", detection.id));
    assert_eq!(detection.message, "The clock ran ahead; judging goes on at the right time");
}

#[test]
fn a_watermark_within_five_seconds_stays() {
    for (through, resets) in [(76.0, 0), (76.001, 1)] {
        let mut world = World::of(2, MAIL);
        world.tick(HOURS);
        world.batch(1, through, &[]);
        world.ticks(12, 71);
        assert_eq!(world.outcomes().time_resets, resets, "{through}");
    }
}

#[test]
fn what_waits_is_judged_first() {
    let mut world = two_hours_ahead(2, MAIL, &[]);
    world.batch(2, HOURS + 11.0, &[]);
    world.batch(1, HOURS + 20.0, &mails(&[HOURS + 12.0, HOURS + 13.0, HOURS + 14.0]));
    assert_eq!(
        set_back(&mut world),
        ["7214: mail firing/firing count 3 since 7214", "7214: site-time suppressed/clock_reset count 0 since 71"]
    );
    assert_eq!(world.engine().held().signals, 0);
    // The window goes on where it was: its third match leaves after eight of its ten seconds.
    assert_eq!(world.batch(1, 78.999, &[]), [""; 0]);
    let told = world.batch(2, 71.0, &[]);
    assert_eq!(told, [""; 0], "both spools stand at the new watermark at most");
    world.batch(2, 78.999, &[]);
    world.batch(1, 5_000.0, &[]);
    assert_eq!(world.batch(2, 5_000.0, &[]).len(), 1);
    // The alert that ends is the one that was told.
    let (fired, resolved) = (&world.detections[0], &world.detections[2]);
    assert_eq!((fired.id, fired.started_at), (resolved.id, resolved.started_at));
}

#[test]
fn windows_deadlines_and_suppressions_go_back_with_the_watermark() {
    let rules = MAIL.replace("message: m", "suppress: 100s\n  resolve_after: 20s\n  message: m");
    let at = HOURS + 11.0;
    let mut world = two_hours_ahead(2, &rules, &mails(&[at - 2.0, at - 1.0, at]));
    assert_eq!(world.detections.len(), 1);
    set_back(&mut world);
    // At 71: two of three matches stay in the window until 79, the condition clears at 79 and resolves at 99.
    assert_eq!(world.batch(1, 98.999, &[]), [""; 0]);
    assert_eq!(world.batch(1, 99.0, &[]), ["99: mail resolved/resolved count 3 since 7211"]);
    let told = world.batch(1, 171.0, &mails(&[168.0, 169.0, 170.0]));
    assert_eq!(
        told,
        [
            "170: mail suppressed/firing count 3 held 1 since 170",
            "171: mail firing/suppression_expired count 3 held 1 since 170"
        ]
    );
}

#[test]
fn panes_go_back_by_whole_ones() {
    let rules = MAIL.replace("within: 10s", "within: 10s, resolution: 5s");
    let at = HOURS + 11.0;
    let mut world = two_hours_ahead(2, &rules, &mails(&[at - 8.0, at - 1.0]));
    set_back(&mut world);
    // Two hours less a minute are 1,428 panes: the match at 7203 is in the pane of 60, which has left at 71; the one at 7210
    // in that of 70.
    assert_eq!(world.batch(1, 74.0, &mails(&[73.0])), [""; 0]);
    assert_eq!(world.batch(1, 75.0, &mails(&[74.5])), ["74.5: mail firing/firing count 3 since 74.5"]);
}

#[test]
fn an_absence_is_counted_anew() {
    let rules = "format: 1\nrules:\n- name: cron\n  title: Cron\n  severity: critical\n  subsystem: cron\n  signal: cron.run\n  \
        absent: { for: 60s, expected: always }\n  resolve_after: 0s\n  message: m\n";
    let mut world = two_hours_ahead(2, rules, &[("cron.run", HOURS + 11.0, &[])]);
    let before = world.detections.len();
    set_back(&mut world);
    assert_eq!(world.batch(1, 140.0, &[]), [""; 0], "from 140 on, not from 71");
    assert_eq!(world.batch(1, 200.0, &[]), ["200: cron firing/stopped count 0 since 200"]);
    assert!(before > 0);
}

#[test]
fn what_is_of_wall_time_goes_back_too() {
    let rules = "format: 1\nrules:\n- name: silent\n  title: Silent\n  severity: critical\n  subsystem: site\n  \
        absent: { blind_after: 2m }\n  suppress: 10m\n  message: m\n";
    let mut world = World::of(2, rules);
    world.tick(HOURS);
    world.batch(1, 0.0, &[]);
    let ahead = HOURS as u32;
    assert_eq!(world.ticks(ahead + 1, ahead + 180), ["7380: silent firing/blind count 0 since 7200"]);
    // Set back by 7,320 s while 600 s of suppression run: 600 of the new clock are left.
    assert_eq!(world.ticks(1, 60), [""; 0]);
    assert_eq!(world.ticks(61, 659), [""; 0]);
    let told = world.tick(660.0);
    assert_eq!(told, ["660: silent firing/suppression_expired count 0 since 7200"]);
    assert_eq!(world.batch(1, 660.0, &[]), ["660: silent resolved/resolved count 0 since 7200"]);
}

/// A spool that was heard while the clock was ahead is not young for years.
#[test]
fn a_spool_of_the_future_is_forgotten_in_its_time() {
    let mut world = World::of(2, MAIL);
    world.tick(400.0 * 86_400.0);
    world.batch_numbered(1, 7, 0.0, &[]);
    world.ticks(1, 60);
    world.tick(9.0 * 86_400.0);
    world.batch_numbered(1, 7, 0.0, &[]);
    assert_eq!(world.outcomes().duplicates, 0);
}

#[test]
fn what_came_before_the_first_tick_was_heard_at_it() {
    for (semantics, counts) in [(1, (2, 0)), (2, (1, 1))] {
        let mut world = World::of(semantics, MAIL);
        world.batch_numbered(1, 7, 0.0, &[]);
        world.tick(0.0);
        world.batch_numbered(1, 7, 0.0, &[]);
        let outcomes = world.outcomes();
        assert_eq!((outcomes.batches, outcomes.duplicates), counts, "version {semantics}");
    }
}
