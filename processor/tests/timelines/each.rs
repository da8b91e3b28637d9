//! Rules that tell each match: each row of the language's table of edge cases.

use super::FAILED;
use crate::support::{Sig, World};
use logystera_schemas::ids::EpisodeId;

/// A rule with these other keys.
fn rule(keys: &str) -> String {
    named("r", keys)
}

fn named(name: &str, keys: &str) -> String {
    format!("format: 1\nrules:\n{}", of_name(name, keys))
}

fn of_name(name: &str, keys: &str) -> String {
    format!(
        "- name: {name}\n  title: T\n  subsystem: s\n  signal: mail.outcome\n  where: {{ outcome: failed }}\n  each: {{}}\n  \
         evidence: [outcome]\n  message: \"{{count}} failed\"\n{keys}"
    )
}

const MINUTE: f64 = 60.0;

fn mails(minutes: &[f64]) -> Vec<Sig<'static>> {
    minutes.iter().map(|at| ("mail.outcome", at * MINUTE, FAILED)).collect()
}

/// What is told, in minutes: the lines of the world, of which the times are in seconds.
fn told(world: &mut World, through: f64, minutes: &[f64]) -> Vec<String> {
    world.batch(1, through * MINUTE, &mails(minutes))
}

/// Times of the newest detection's evidence, in minutes from the start.
fn evidence(world: &World) -> Vec<i64> {
    let start = crate::support::T0_MS;
    let newest = world.detections.last().expect("one");
    newest.evidence.iter().map(|one| (one.at - start) / 60_000).collect()
}

fn groups(world: &World) -> usize {
    world.stored().keys().filter(|key| key[2] == 4).count()
}

#[test]
fn a_match_at_0_and_one_at_30m_are_two_firings() {
    let mut world = World::new(&rule(""));
    let firings = ["60: r firing/firing count 1 since 60", "1860: r firing/firing count 1 since 1860"];
    assert_eq!(told(&mut world, 60.0, &[1.0, 31.0]), firings);
    assert!(world.detections.iter().all(|one| one.once && one.held == 0));
    assert_ne!(world.detections[0].id, world.detections[1].id, "each is an episode of its own");
    assert_eq!(evidence(&world), [31], "what was told before is no evidence of this one");
}

#[test]
fn matches_at_0_1m_and_2m_are_a_firing_two_suppressed_and_a_firing_at_10m_and_at_20m_the_group_goes() {
    let mut world = World::new(&rule(""));
    let first = [
        "0: r firing/firing count 1 since 0",
        "60: r suppressed/firing count 1 held 1 since 60",
        "120: r suppressed/firing count 1 held 2 since 120",
    ];
    assert_eq!(told(&mut world, 9.999, &[0.0, 1.0, 2.0]), first);
    assert_eq!(world.detections.iter().map(|one| one.held).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(told(&mut world, 10.0, &[]), ["600: r firing/suppression_expired count 2 held 2 since 60"]);
    assert_eq!((world.detections[3].held, evidence(&world)), (2, vec![1, 2]));
    assert_eq!(told(&mut world, 19.999, &[]), [""; 0]);
    assert_eq!(groups(&world), 1, "its suppression runs");
    assert_eq!(told(&mut world, 20.0, &[]), [""; 0], "nothing is over, since nothing was open");
    assert_eq!(groups(&world), 0);
}

#[test]
fn with_suppress_0s_each_is_told_and_nothing_is_kept() {
    let mut world = World::new(&rule("  suppress: 0s\n"));
    // Two of one moment, too: each has a name of its own.
    let firings = ["60: r firing/firing count 1 since 60"; 2];
    assert_eq!(told(&mut world, 1.0, &[1.0, 1.0]), firings);
    assert_eq!(groups(&world), 0);
    let ids: Vec<EpisodeId> = world.detections.iter().map(|one| one.id).collect();
    assert_ne!(ids[0], ids[1]);
    assert_eq!(evidence(&world), [1]);
}

#[test]
fn with_suppress_0s_no_other_group_makes_room() {
    let other = "- name: full\n  title: T\n  subsystem: s\n  signal: mail.outcome\n  threshold: { count: 9, within: 1h }\n  message: m\n";
    let limits = "limits: { rule_groups: 1, site_groups: 1 }\n";
    let mut world = World::new(&format!("{}{other}{limits}", rule("  suppress: 0s\n")));
    assert_eq!(told(&mut world, 3.0, &[1.0, 2.0]).len(), 2, "no overflow is told");
    assert_eq!(groups(&world), 1);
}

#[test]
fn a_late_match_is_told_with_its_own_time_if_it_is_younger_than_7d() {
    let week = 7.0 * 24.0 * 60.0;
    for (late, is_told) in [(0.0, false), (0.001, true), (week - 1.0, true)] {
        let mut world = World::new(&rule(""));
        told(&mut world, week, &[]);
        let lines = told(&mut world, week, &[late]);
        let expected = format!("604800: r firing/firing count 1 since {}", late * MINUTE);
        assert_eq!(lines, if is_told { vec![expected] } else { vec![] }, "{late}");
    }
}

#[test]
fn a_late_match_within_the_suppression_is_the_first_that_its_end_tells_of() {
    let mut world = World::new(&rule(""));
    told(&mut world, 8.0, &[5.0, 7.0]);
    assert_eq!(told(&mut world, 8.0, &[2.0]), ["480: r suppressed/firing count 1 held 2 since 120"]);
    assert_eq!(told(&mut world, 15.0, &[]), ["900: r firing/suppression_expired count 2 held 2 since 120"]);
}

#[test]
fn its_type_switched_off_while_matches_are_held_they_are_told_at_the_end_of_the_suppression_all_the_same() {
    let mut world = World::new(&rule(""));
    told(&mut world, 2.0, &[0.0, 1.0]);
    world.enabled.0 = 0;
    assert_eq!(told(&mut world, 9.0, &[]), [""; 0]);
    assert_eq!(told(&mut world, 10.0, &[]), ["600: r firing/suppression_expired count 1 held 1 since 60"]);
}

#[test]
fn two_rules_on_one_signal_both_tell() {
    let mut world = World::new(&format!("{}{}", named("a", ""), of_name("b", "  suppress: 0s\n")));
    let both = ["60: a firing/firing count 1 since 60", "60: b firing/firing count 1 since 60"];
    assert_eq!(told(&mut world, 1.0, &[1.0]), both);
}

#[test]
fn a_rule_edited_while_matches_are_held_goes_on_if_it_counts_the_same() {
    let mut world = World::new(&rule(""));
    told(&mut world, 2.0, &[0.0, 1.0]);
    assert_eq!(world.configure(&rule("  severity: info\n  suppress: 5m\n")), [""; 0]);
    assert_eq!(told(&mut world, 10.0, &[]), ["600: r firing/suppression_expired count 1 held 1 since 60"]);
    assert_eq!(told(&mut world, 16.0, &[14.0]).len(), 2, "from here on it holds back for five minutes");
}

#[test]
fn a_rule_edited_while_matches_are_held_tells_them_with_rule_changed_if_it_counts_others() {
    let mut world = World::new(&rule(""));
    told(&mut world, 3.0, &[0.0, 1.0, 2.0]);
    let changed = rule("  group_by: [transport]\n");
    assert_eq!(world.configure(&changed), ["180: r firing/rule_changed count 2 held 2 since 60"]);
    assert!(world.detections.last().is_some_and(|one| one.once && one.held == 2));
    assert_eq!(evidence(&world), [1, 2]);
    assert_eq!(told(&mut world, 30.0, &[]), [""; 0]);
}

/// Nobody was told of what is held back: whatever ends the rule, or its group, tells it.
#[test]
fn a_rule_removed_a_site_closed_or_a_group_evicted_while_matches_are_held_tells_them_with_that_reason() {
    let mut world = World::new(&rule(""));
    told(&mut world, 2.0, &[0.0, 1.0]);
    assert_eq!(world.configure(&named("other", "")), ["120: r firing/rule_removed count 1 held 1 since 60"]);
    told(&mut world, 3.0, &[2.5, 2.75]);
    assert_eq!(world.close(), ["180: other firing/site_closed count 1 held 1 since 165"]);

    let mut world = World::new(&format!("{}limits: {{ rule_groups: 1 }}\n", rule("  group_by: [transport]\n")));
    told(&mut world, 2.0, &[0.0, 1.0]);
    let smtp: &[(&str, &str)] = &[("outcome", "failed"), ("transport", "smtp")];
    let lines = world.batch(1, 180.0, &[("mail.outcome", 180.0, smtp)]);
    assert_eq!(lines[0], "180: r transport= firing/evicted count 1 held 1 since 60");
    assert_eq!(lines.len(), 3, "the overflow, and the new one: {lines:?}");
}

#[test]
fn with_nothing_held_back_none_of_these_tells_anything() {
    let mut world = World::new(&rule(""));
    told(&mut world, 2.0, &[0.0]);
    assert_eq!(world.configure(&named("other", "")), [""; 0]);
    told(&mut world, 3.0, &[2.5]);
    assert_eq!(world.close(), [""; 0]);
}

#[test]
fn a_signal_that_stands_for_many_counts_as_many_and_is_held_as_one() {
    let five: &[(&str, &str)] = &[("outcome", "failed"), ("repeats", "5")];
    let mut world = World::new(&rule(""));
    let lines = world.batch(1, 600.0, &[("mail.outcome", 0.0, five), ("mail.outcome", 1.0, five)]);
    let expected = [
        "0: r firing/firing count 5 since 0",
        "1: r suppressed/firing count 5 held 1 since 1",
        "600: r firing/suppression_expired count 5 held 1 since 1",
    ];
    assert_eq!(lines, expected);
    assert_eq!(world.detections[2].held, 1);
}
