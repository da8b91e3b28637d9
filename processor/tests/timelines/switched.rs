//! What is watched is watched itself: a sender that switches types says so by the head of its batch.

use logystera_schemas::catalogue::{SignalType, SignalTypes};

use crate::support::World;

const OFF: &str = "format: 1\nrules:\n- name: off\n  title: Off\n  severity: critical\n  subsystem: integration\n  \
    signal: integration.changed\n  where: { action: disabled }\n  group_by: [changed_type]\n  \
    threshold: { count: 1, within: 10s }\n  suppress: 0s\n  resolve_after: 0s\n  message: m\n";

fn types(names: &[&str]) -> SignalTypes {
    let mut types = SignalTypes::default();
    for name in names {
        types.insert(SignalType::from_name(name).expect("a signal type"));
    }
    types
}

fn world(semantics: u32) -> World {
    let mut world = World::of(semantics, OFF);
    world.tick(0.0);
    world.enabled = types(&["auth.attempt", "cron.run"]);
    world.batch(1, 10.0, &[]);
    world
}

#[test]
fn a_type_that_is_switched_off_fires_from_the_spools_last_word_on() {
    for (semantics, told) in
        [(1, vec![]), (2, vec!["10.001: off changed_type=auth firing/firing count 1 since 10.001"])]
    {
        let mut world = world(semantics);
        world.enabled = types(&["cron.run"]);
        assert_eq!(world.batch(1, 20.0, &[]), told, "version {semantics}");
        // The same word again is no news.
        let told: Vec<_> = world.batch(1, 30.0, &[]);
        assert!(told.iter().all(|line| line.contains("resolved")), "{told:?}");
    }
}

#[test]
fn all_that_a_deactivated_plugin_watched_is_told() {
    let mut world = world(2);
    world.enabled = SignalTypes::default();
    let told = world.batch(1, 20.0, &[]);
    assert_eq!(told.iter().filter(|line| line.contains("off changed_type") && line.contains("firing/")).count(), 2);
}

#[test]
fn a_type_is_off_when_no_live_spool_has_it_on() {
    let mut world = world(2);
    assert_eq!(world.batch(2, 10.0, &[]), [""; 0]);
    world.enabled = types(&["cron.run"]);
    assert_eq!(world.batch(1, 20.0, &[]), [""; 0], "the other one still watches");
    assert_eq!(world.batch(2, 20.0, &[]), ["10.001: off changed_type=auth firing/firing count 1 since 10.001"]);
}

/// A sender that is done, one that falls silent and a new one that has less to say have switched nothing off.
#[test]
fn who_comes_and_goes_switches_nothing() {
    let mut world = world(2);
    world.ends = true;
    assert_eq!(world.batch(1, 20.0, &[]), [""; 0]);
    world.ends = false;
    world.enabled = types(&["http.request"]);
    assert_eq!(world.batch(2, 30.0, &[]), [""; 0]);
    world.enabled = types(&["cron.run"]);
    assert_eq!(world.batch(3, 30.0, &[]), [""; 0]);
    for minute in 1..10 {
        world.ticks(60 * minute, 60 * minute + 59);
        assert_eq!(world.batch(3, f64::from(60 * minute), &[]), [""; 0], "minute {minute}");
    }
}

#[test]
fn one_that_stands_for_many_counts_as_many() {
    const MAIL: &str = "format: 1\nrules:\n- name: mail\n  title: Mail fails\n  severity: critical\n  subsystem: mail\n  \
        signal: mail.outcome\n  where: { outcome: failed }\n  threshold: { count: 30, within: 10s }\n  message: m\n";
    let mut world = World::new(MAIL);
    world.tick(0.0);
    world.batch(1, 0.0, &[]);
    let failed = |repeats| [("outcome", "failed"), ("repeats", repeats)];
    assert_eq!(world.batch(1, 1.0, &[("mail.outcome", 1.0, &failed("29"))]), [""; 0]);
    let told = world.batch(1, 2.0, &[("mail.outcome", 2.0, &[("outcome", "failed")])]);
    assert_eq!(told, ["2: mail firing/firing count 30 since 2"]);
    world.batch(1, 3.0, &[("mail.outcome", 3.0, &failed("70"))]);
    assert_eq!(world.batch(1, 3_700.0, &[]), ["913: mail resolved/resolved count 100 since 2"]);
}
