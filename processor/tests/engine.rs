//! The engine's semantics as timelines. The world restores the engine from its stored state before every record, so that
//! each of these is also a crash at every step.

mod support;
mod timelines;

use support::{Sig, World};

const FAILED: &[(&str, &str)] = &[("outcome", "failed")];
const OK: &[(&str, &str)] = &[("outcome", "ok")];

fn mail_rule(more: &str) -> String {
    format!(
        "format: 1\nrules:\n- name: mail\n  title: Mail fails\n  severity: critical\n  subsystem: mail\n  signal: mail.outcome\n  \
         where: {{ outcome: failed }}\n  threshold: {{ count: 3, within: 10s }}\n  message: \"{{count}} on {{site}}\"\n{more}"
    )
}

fn mails(at: &[f64]) -> Vec<Sig<'static>> {
    at.iter().map(|at| ("mail.outcome", *at, FAILED)).collect()
}

#[test]
fn a_count_fires_clears_and_resolves_at_exact_times() {
    let mut world = World::new(&mail_rule("  suppress: 1m\n  resolve_after: 5s\n"));
    assert_eq!(world.batch(1, 2.0, &mails(&[0.0, 1.0, 1.0])), ["1: mail firing/firing count 3 since 1"]);
    assert_eq!(world.batch(1, 14.999, &[]), [""; 0]);
    // The third newest match leaves at 0 + 10; five seconds later the alert resolves.
    assert_eq!(world.batch(1, 15.0, &[]), ["15: mail resolved/resolved count 3 since 1"]);
    assert_eq!(world.detections[0].message, "3 on Shop");
}

#[test]
fn a_window_is_open_at_its_old_end() {
    let mut world = World::new(&mail_rule("  suppress: 1m\n  resolve_after: 5s\n"));
    assert_eq!(world.batch(1, 10.0, &mails(&[0.0, 5.0, 10.0])), [""; 0], "the match at 0 has just left (0, 10]");
    assert_eq!(world.batch(1, 14.999, &mails(&[14.999])), ["14.999: mail firing/firing count 3 since 14.999"]);
}

#[test]
fn a_suppression_holds_back_and_then_tells() {
    let mut world = World::new(&mail_rule("  suppress: 30s\n  resolve_after: 2s\n"));
    assert_eq!(world.batch(1, 3.0, &mails(&[0.0, 1.0, 2.0])), ["2: mail firing/firing count 3 since 2"]);
    assert_eq!(world.batch(1, 19.0, &[]), ["12: mail resolved/resolved count 3 since 2"]);
    assert_eq!(
        world.batch(1, 27.0, &mails(&[25.0, 26.0, 27.0])),
        ["27: mail suppressed/firing count 3 held 1 since 27"]
    );
    assert_eq!(world.batch(1, 32.0, &[]), ["32: mail firing/suppression_expired count 3 held 1 since 27"]);
    assert_eq!(world.batch(1, 60.0, &[]), ["37: mail resolved/resolved count 3 since 27"]);
}

#[test]
fn a_condition_must_hold_for_as_long_as_the_rule_asks() {
    let mut world = World::new(&mail_rule("  for: 4s\n  suppress: 30s\n  resolve_after: 0s\n"));
    let fired = world.batch(1, 20.0, &mails(&[0.0, 1.0, 2.0, 3.5]));
    assert_eq!(fired, ["6: mail firing/firing count 4 since 2", "11: mail resolved/resolved count 4 since 2"]);
}

#[test]
fn with_two_spools_the_slower_one_is_waited_for() {
    let mut world = World::new(&mail_rule(""));
    world.tick(0.0);
    world.batch(2, 0.0, &[]);
    world.batch(1, 0.0, &[]);
    assert_eq!(world.batch(1, 9.0, &mails(&[1.0, 3.0])), [""; 0], "held: spool 2 has spoken only up to 0");
    assert_eq!(world.batch(2, 2.5, &mails(&[2.0])), [""; 0]);
    assert_eq!(world.batch(2, 9.0, &[]), ["3: mail firing/firing count 3 since 3"]);
}

#[test]
fn a_dead_spool_is_not_waited_for() {
    let mut world = World::new(&mail_rule(""));
    world.tick(0.0);
    world.batch(1, 0.0, &[]);
    world.batch(2, 0.0, &[]);
    world.ticks(1, 10);
    world.batch(1, 10.0, &mails(&[1.0, 2.0, 3.0]));
    // It is silent from 10 on: three flushes of 60 s, and silence must exceed them; it counts while the other is heard.
    for at in [70, 130, 190] {
        world.ticks(at - 59, at);
        assert_eq!(world.batch(1, f64::from(at), &[]), [""; 0], "waited for at {at}");
    }
    world.tick(191.0);
    assert_eq!(world.batch(1, 191.0, &[]), ["3: mail firing/firing count 3 since 3"]);
}

#[test]
fn an_outage_of_the_whole_site_kills_no_spool() {
    let mut world = World::new(&mail_rule(""));
    world.tick(0.0);
    world.batch(1, 0.0, &[]);
    world.batch(2, 0.0, &[]);
    world.ticks(1, 3_000);
    assert_eq!(world.batch(1, 3_000.0, &mails(&[1.0, 2.0])), [""; 0], "spool 2 may take an hour more to come back");
    world.ticks(3_001, 6_000);
    let told = world.batch(2, 3_000.0, &mails(&[3.0]));
    assert_eq!(told, ["3: mail firing/firing count 3 since 3", "911: mail resolved/resolved count 3 since 3"]);
}

#[test]
fn a_late_signal_joins_its_window_or_is_only_counted() {
    let mut world = World::new(&mail_rule(""));
    world.batch(1, 20.0, &mails(&[12.0, 13.0]));
    let outcomes = |world: &World| world.engine().outcomes().next().map(|(_, o)| (o.late, o.signals));
    assert_eq!(world.batch(3, 20.0, &mails(&[10.0])), [""; 0], "(10, 20] does not have it");
    assert_eq!(world.batch(3, 20.0, &mails(&[10.5])), ["20: mail firing/firing count 3 since 20"]);
    assert_eq!(outcomes(&world), Some((2, 4)));
}

#[test]
fn a_batch_counts_once() {
    let mut world = World::new(&mail_rule(""));
    world.batch_numbered(1, 1, 1.0, &mails(&[0.0, 1.0]));
    world.batch_numbered(1, 1, 1.0, &mails(&[0.0, 1.0]));
    world.batch_numbered(1, 1, 1.0, &mails(&[0.5, 1.0]));
    world.batch_numbered(1, 2_000, 2.0, &[]);
    world.batch_numbered(1, 3, 2.0, &mails(&[2.0]));
    let outcomes = world.engine().outcomes().next().map(|(_, o)| o.clone()).expect("one site");
    assert_eq!((outcomes.batches, outcomes.duplicates, outcomes.conflicts, outcomes.below_window), (2, 1, 1, 1));
    assert_eq!(world.detections, []);
}

#[test]
fn a_batch_ahead_of_the_gateway_is_shifted_back_whole() {
    let mut world = World::new(&mail_rule(""));
    world.received_at = Some(100.0);
    assert_eq!(world.batch(1, 205.0, &mails(&[200.0, 201.0, 202.0])), ["102: mail firing/firing count 3 since 102"]);
    let shifted = world.engine().outcomes().next().map(|(_, o)| o.shifted);
    assert_eq!(shifted, Some(1));
}

#[test]
fn clock_offsets_are_added() {
    let mut world = World::new(&mail_rule(""));
    world.clock_offset_ms = -7_000;
    assert_eq!(world.batch(1, 13.0, &mails(&[8.0, 9.0, 10.0])), ["3: mail firing/firing count 3 since 3"]);
}

const BY_SOURCE: &str = "format: 1\nlimits: { rule_groups: 2 }\nrules:\n- name: force\n  title: Force\n  severity: warning\n  subsystem: auth\n  \
    signal: auth.attempt\n  where: { outcome: failure }\n  group_by: [source]\n  threshold: { count: 2, within: 10s }\n  \
    suppress: 20s\n  resolve_after: 5s\n  evidence: [method]\n  message: \"{count} from {source}\"\n";

fn attempt<'a>(at: f64, fields: &'a [(&'a str, &'a str)]) -> Sig<'a> {
    ("auth.attempt", at, fields)
}

#[test]
fn groups_are_apart_and_make_room_in_order() {
    let from = |source: &'static str| [("outcome", "failure"), ("source", source)];
    let (a, b, c, d) = (from("a"), from("b"), from("c"), from("d"));
    let mut world = World::new(BY_SOURCE);
    let told = world.batch(1, 4.0, &[attempt(0.0, &a), attempt(1.0, &b), attempt(2.0, &a), attempt(3.0, &c)]);
    // b, seen last at 1 and idle, makes room for c; a is firing and stays. The rule says once that it overflowed.
    assert_eq!(
        told,
        ["2: force source=6100 firing/firing count 2 since 2", "3: force firing/overflow count 1 since 3",]
    );
    let told = world.batch(1, 6.0, &[attempt(4.0, &c), attempt(5.0, &d)]);
    // Both are firing and were announced: a, seen longer ago, goes, and its alert with it.
    assert_eq!(
        told,
        ["4: force source=6300 firing/firing count 2 since 4", "5: force source=6100 resolved/evicted count 2 since 2",]
    );
    let state = world.stored().keys().filter(|key| key[2] == 4).count();
    assert_eq!(state, 2, "what was evicted is not stored any more");
}

const DISTINCT: &str = "format: 1\nrules:\n- name: spray\n  title: Spray\n  severity: warning\n  subsystem: auth\n  \
    signal: auth.attempt\n  group_by: [source]\n  threshold: { distinct: { field: user_hash, at_least: 3 }, within: 10s }\n  message: m\n";

#[test]
fn different_values_are_counted_once_each() {
    let user = |user: &'static str| [("user_hash", user), ("source", "s")];
    let (a, b, c) = (user("a"), user("b"), user("c"));
    let mut world = World::new(DISTINCT);
    assert_eq!(world.batch(1, 5.0, &[attempt(0.0, &a), attempt(1.0, &b), attempt(2.0, &a), attempt(3.0, &b)]), [""; 0]);
    assert_eq!(
        world.batch(1, 11.5, &[attempt(11.5, &c)]),
        ["11.5: spray source=7300 firing/firing count 3 since 11.5"]
    );
}

fn cron_rule(expected: &str) -> String {
    format!(
        "format: 1\nrules:\n- name: cron\n  title: Cron\n  severity: critical\n  subsystem: cron\n  signal: cron.run\n  where: {{ outcome: ok }}\n  \
         absent: {{ for: 60s, expected: {expected} }}\n  resolve_after: 0s\n  message: m\n- name: silent\n  title: Silent\n  severity: critical\n  \
         subsystem: site\n  absent: {{ blind_after: 1h }}\n  message: m\n"
    )
}

fn runs(at: &[f64]) -> Vec<Sig<'static>> {
    at.iter().map(|at| ("cron.run", *at, OK)).collect()
}

#[test]
fn what_stops_is_told_when_the_watermark_has_passed() {
    let mut world = World::new(&cron_rule("once_seen"));
    assert_eq!(world.batch(1, 500.0, &[]), [""; 0], "nothing was seen yet");
    assert_eq!(world.batch(1, 569.9, &runs(&[510.0])), [""; 0]);
    assert_eq!(world.batch(1, 570.0, &[]), ["570: cron firing/stopped count 0 since 570"]);
    assert_eq!(world.batch(1, 600.0, &runs(&[599.0])), ["599: cron resolved/resolved count 0 since 570"]);
}

#[test]
fn a_match_at_the_deadline_is_in_time() {
    let mut world = World::new(&cron_rule("once_seen"));
    assert_eq!(world.batch(1, 70.0, &runs(&[10.0, 70.0])), [""; 0]);
}

#[test]
fn what_is_always_expected_counts_from_the_first_watermark() {
    let mut world = World::new(&cron_rule("always"));
    assert_eq!(world.batch(1, 100.0, &[]), [""; 0]);
    assert_eq!(world.batch(1, 160.0, &[]), ["160: cron firing/never_seen count 0 since 160"]);
}

#[test]
fn what_is_switched_off_is_not_missed() {
    let mut world = World::new(&cron_rule("always"));
    world.batch(1, 100.0, &runs(&[100.0]));
    world.enabled.0 &= !(1 << 2);
    assert_eq!(world.batch(1, 300.0, &[]), [""; 0]);
    world.enabled.0 |= 1 << 2;
    assert_eq!(world.batch(1, 360.0, &[]), [""; 0], "counted anew from 300.001, where the switch lies");
    assert_eq!(world.batch(1, 361.0, &[]), ["360.001: cron firing/stopped count 0 since 360.001"]);
}

#[test]
fn a_silent_site_is_blind_and_nothing_else() {
    let mut world = World::new(&cron_rule("always"));
    world.tick(0.0);
    world.batch(1, 0.0, &runs(&[0.0]));
    assert_eq!(world.ticks(1, 3_599), [""; 0]);
    assert_eq!(world.tick(3_600.0), ["3600: silent firing/blind count 0 since 0"]);
    assert_eq!(world.ticks(3_601, 4_000), [""; 0], "told once");
    // It speaks again: the cron is counted from the watermark that ended the silence.
    assert_eq!(world.batch(1, 4_000.0, &[]), ["4000: silent resolved/resolved count 0 since 0"]);
    assert_eq!(world.batch(1, 4_059.0, &[]), [""; 0]);
    assert_eq!(world.batch(1, 4_060.0, &[]), ["4060: cron firing/stopped count 0 since 4060"]);
}

#[test]
fn our_own_outage_is_not_a_silence() {
    let mut world = World::new(&cron_rule("always"));
    world.tick(0.0);
    world.batch(1, 0.0, &runs(&[0.0]));
    world.ticks(1, 10);
    assert_eq!(world.tick(100_000.0), [""; 0], "the door was shut: open time stood still");
    assert_eq!(world.ticks(100_001, 103_600), [""; 0], "and a sender may pause for an hour after it");
    // 12 s of open time when the door opened again, and two hours are 7,200: the silence counts, and an hour more.
    assert_eq!(world.ticks(103_601, 107_187), [""; 0]);
    assert_eq!(world.tick(107_188.0), ["107188: silent firing/blind count 0 since 0"]);
}

#[test]
fn a_refusal_after_the_mac_is_a_sign_of_life() {
    for (authenticated, told) in [(true, 0), (false, 1)] {
        let mut world = World::new(&cron_rule("once_seen"));
        world.tick(0.0);
        world.batch(1, 0.0, &[]);
        world.ticks(1, 3_599);
        world.refused(None, authenticated);
        assert_eq!(world.tick(3_600.0).len(), told, "authenticated: {authenticated}");
    }
}

#[test]
fn rules_that_go_or_change_resolve_their_alerts() {
    let changed = mail_rule("").replace("within: 10s", "within: 11s");
    let edited = mail_rule("").replace("Mail fails", "Mail is failing");
    let other = mail_rule("").replace("name: mail", "name: post");
    for (to, told) in [
        (edited, vec![]),
        (changed, vec!["3: mail resolved/rule_changed count 3 since 2".to_owned()]),
        (other, vec!["3: mail resolved/rule_removed count 3 since 2".to_owned()]),
    ] {
        let mut world = World::new(&mail_rule(""));
        world.batch(1, 3.0, &mails(&[0.0, 1.0, 2.0]));
        assert_eq!(world.configure(&to), told);
        let groups = world.stored().keys().filter(|key| key[2] == 4).count();
        assert_eq!(groups, usize::from(told.is_empty()), "the state of a rule goes with it");
    }
}

#[test]
fn a_closed_site_resolves_and_leaves_nothing() {
    let mut world = World::new(&mail_rule(""));
    world.tick(0.0);
    world.batch(1, 3.0, &mails(&[0.0, 1.0, 2.0]));
    assert_eq!(world.close(), ["3: mail resolved/site_closed count 3 since 2"]);
    assert_eq!(world.stored().len(), 1, "only log time is left");
}

#[test]
fn absences_wait_until_the_watermark_moves_after_a_blindness() {
    let mut world = World::new(&cron_rule("always"));
    world.tick(0.0);
    world.batch(1, 0.0, &runs(&[0.0]));
    world.ticks(1, 3_600);
    // A batch that was turned away ends the silence; what it carried comes later and brings the watermark.
    assert_eq!(world.refused(Some(1), true), ["3600: silent resolved/resolved count 0 since 0"]);
    assert_eq!(world.batch(1, 3_605.0, &[]), [""; 0]);
    assert_eq!(world.batch(1, 3_665.0, &[]), ["3665: cron firing/stopped count 0 since 3665"]);
}

#[test]
fn a_disabled_type_is_stored_and_not_judged() {
    let disabled = format!("disabled: [mail.outcome, cron.run]\n{}", mail_rule(""));
    let mut world = World::new(&disabled);
    assert_eq!(world.batch(1, 3.0, &mails(&[0.0, 1.0, 2.0])), [""; 0]);
    world.configure(&mail_rule(""));
    assert_eq!(world.batch(1, 6.0, &mails(&[4.0, 5.0, 6.0])), ["6: mail firing/firing count 3 since 6"]);

    let cron = cron_rule("always");
    let mut world = World::new(&cron);
    world.batch(1, 0.0, &runs(&[0.0]));
    assert_eq!(world.batch(1, 60.0, &[]), ["60: cron firing/stopped count 0 since 60"]);
    let told = world.configure(&format!("disabled: [cron.run]\n{cron}"));
    assert_eq!(told, ["60: cron resolved/resolved count 0 since 60"], "its alert clears");
    assert_eq!(world.batch(1, 200.0, &[]), [""; 0]);
    world.configure(&cron);
    assert_eq!(world.batch(1, 259.0, &[]), [""; 0]);
    assert_eq!(world.batch(1, 260.0, &[]), ["260: cron suppressed/stopped count 0 held 1 since 260"], "counted anew");
}

#[test]
fn what_waits_to_be_stored_is_weighed_as_it_gathers_and_nothing_is_left_of_it() {
    let rule = mail_rule("").replace("mail.outcome", "auth.attempt").replace("failed", "failure");
    let rule = rule.replace("  threshold", "  group_by: [source]\n  threshold");
    let mut world = World::new(&rule);
    world.crashes = false;
    let mut at = 0.0;
    let mut weigh = |world: &mut World, sources: &[&str]| {
        at += 1.0;
        for source in sources {
            let fields: &[(&str, &str)] = &[("outcome", "failure"), ("source", source)];
            world.batch(1, at, &[("auth.attempt", at, fields)]);
        }
        world.engine().dirty_bytes()
    };
    let one = weigh(&mut world, &["a"]);
    assert!(one > 0);
    assert_eq!(weigh(&mut world, &["a"]), one, "the same again");
    let three = weigh(&mut world, &["a", "b", "c"]);
    assert!(three > one);
    assert_eq!(weigh(&mut world, &["d", "e"]) - three, three - one, "two groups more, as before");
    world.store();
    assert_eq!(world.engine().dirty_bytes(), 0);
    assert_eq!(weigh(&mut world, &["b"]), one);
    world.close();
    world.store();
    assert_eq!(world.engine().dirty_bytes(), 0);
}
