//! Keys that are revoked, and room for spools.

use logystera_schemas::limits::{KEY_WINDOWS_MAX, SPOOLS_MAX, STOLEN_KEYS_MAX};

use super::{MAIL, mails};
use crate::support::World;

const ROOM_S: u32 = 3_600;

#[test]
fn what_came_under_a_stolen_key_binds_nobody() {
    for (semantics, stolen, taken) in [(1, true, 1), (2, false, 2), (2, true, 3)] {
        let mut world = World::of(semantics, MAIL);
        world.tick(0.0);
        world.batch_numbered(1, 1, 1.0, &[]);
        world.key = "thief";
        world.batch_numbered(1, 999_999_999_999_999_999, 1.0, &[]);
        world.key = "k1";
        world.batch_numbered(1, 2, 2.0, &[]);
        assert_eq!(world.outcomes().below_window, 1);
        world.key_revoked("thief", stolen);
        world.batch_numbered(1, 2, 3.0, &[]);
        let below = world.outcomes().below_window;
        assert_eq!(below, if taken == 3 { 1 } else { 2 }, "version {semantics}, stolen: {stolen}");
        // What the owner's key has said stays said.
        world.batch_numbered(1, 1, 1.0, &[]);
        let outcomes = world.outcomes();
        assert_eq!(outcomes.duplicates + outcomes.below_window, 1 + below, "version {semantics}, stolen: {stolen}");
    }
}

/// Gateways hear of a revocation within seconds: batches that they took meanwhile stand behind it.
#[test]
fn what_stands_behind_its_keys_revocation_as_stolen_is_dropped() {
    for (semantics, stolen, heard_before, taken) in
        [(1, true, true, 2), (2, false, true, 2), (2, true, true, 2), (2, true, false, 2)]
    {
        let mut world = World::of(semantics, MAIL);
        let is_dropped = semantics == 2 && stolen;
        world.tick(0.0);
        world.batch_numbered(1, 1, 1.0, &[]);
        world.key = "thief";
        if heard_before {
            world.batch_numbered(2, 1, 1.0, &[]);
        }
        world.key_revoked("thief", stolen);
        let before = world.outcomes();
        let told = world.batch_numbered(1, 999_999_999_999_999_999, 20.0, &mails(&[2.0, 3.0, 4.0]));
        world.batch_numbered(3, 1, 1.0, &[]);
        let outcomes = world.outcomes();
        assert_eq!(
            outcomes.batches - before.batches,
            if is_dropped { 0 } else { taken },
            "version {semantics}, {stolen}"
        );
        assert_eq!(outcomes.stolen, if is_dropped { taken } else { 0 }, "version {semantics}, stolen: {stolen}");
        assert_eq!((told.len(), world.engine().held().signals), (0, if is_dropped { 0 } else { 3 }));
        world.key = "k1";
        world.batch_numbered(1, 2, 2.0, &[]);
        assert_eq!(world.outcomes().below_window, u64::from(!is_dropped), "version {semantics}, stolen: {stolen}");
    }
}

/// What a thief's batches behind the revocation would take is room that the gateway promised to others.
#[test]
fn a_stolen_key_takes_no_room_after_its_revocation() {
    let mut world = World::of(2, MAIL);
    world.crashes = false;
    world.tick(0.0);
    world.batch(0, 0.0, &[]);
    world.key_revoked("thief", true);
    world.key = "thief";
    for spool in 1..=SPOOLS_MAX as u8 {
        world.batch(spool, 0.0, &[]);
    }
    world.key = "k1";
    world.batch(100, 0.0, &[]);
    let outcomes = world.outcomes();
    assert_eq!((outcomes.stolen, outcomes.batches, outcomes.spool_overflows), (SPOOLS_MAX as u64, 2, 0));
}

/// No more stolen keys are remembered than a site has in flight; one that is named again is the newest.
#[test]
fn the_key_stolen_longest_ago_is_no_longer_looked_for() {
    let mut world = World::of(2, MAIL);
    let names: Vec<String> = (0..=STOLEN_KEYS_MAX).map(|nth| format!("t{nth}")).collect();
    world.tick(0.0);
    names[..STOLEN_KEYS_MAX].iter().for_each(|key| drop(world.key_revoked(key, true)));
    world.key_revoked("t0", true);
    world.key_revoked(&names[STOLEN_KEYS_MAX], true);
    for (seq, (key, dropped)) in [("t0", 1), ("t1", 1), ("t2", 2), ("t8", 3)].into_iter().enumerate() {
        world.key = key;
        world.batch_numbered(1, seq as u64 + 1, 1.0, &[]);
        assert_eq!(world.outcomes().stolen, dropped, "{key}");
    }
    assert_eq!(STOLEN_KEYS_MAX, 8);
}

#[test]
fn a_batch_is_one_under_whichever_key() {
    let mut world = World::of(2, MAIL);
    world.batch_numbered(1, 5, 1.0, &mails(&[0.5]));
    world.key = "k2";
    world.batch_numbered(1, 5, 1.0, &mails(&[0.5]));
    world.batch_numbered(1, 5, 1.0, &mails(&[0.6]));
    world.batch_numbered(1, 4, 1.0, &mails(&[0.6]));
    world.key = "k1";
    world.batch_numbered(1, 4, 1.0, &mails(&[0.7]));
    let outcomes = world.outcomes();
    assert_eq!((outcomes.batches, outcomes.duplicates, outcomes.conflicts), (2, 1, 2));
}

#[test]
fn a_stolen_key_takes_its_spools_and_what_waits_of_them_along() {
    let mut world = World::of(2, MAIL);
    world.tick(0.0);
    world.batch(1, 0.0, &[]);
    world.key = "thief";
    world.batch(2, 20.0, &mails(&[1.0, 2.0, 3.0]));
    world.key = "k1";
    assert_eq!(world.engine().held().signals, 3);
    world.key_revoked("another", true);
    world.key_revoked("thief", true);
    assert_eq!(world.engine().held().signals, 0);
    assert_eq!(world.batch(1, 20.0, &[]), [""; 0]);
    assert_eq!(world.outcomes().spools_evicted, 0);
    world.batch_numbered(2, 1, 20.0, &[]);
    assert_eq!((world.outcomes().batches, world.outcomes().duplicates), (4, 0), "its numbers are free");
}

#[test]
fn the_key_that_was_used_longest_ago_is_forgotten() {
    let mut world = World::of(1, MAIL);
    world.batch_numbered(1, 1, 1.0, &[]);
    world.semantics = 2;
    world.configure(MAIL);
    for (key, seq) in [("a", 2), ("b", 3), ("c", 4), ("a", 5)] {
        world.key = key;
        world.batch_numbered(1, seq, 1.0, &[]);
    }
    world.batch_numbered(1, 1, 1.0, &[]);
    assert_eq!(world.outcomes().duplicates, 1, "what was heard before keys were told apart");
    world.key = "d";
    world.batch_numbered(1, 6, 1.0, &[]);
    world.batch_numbered(1, 1, 1.0, &[]);
    assert_eq!((world.outcomes().batches, world.outcomes().duplicates), (7, 1), "it was used longest ago");
    world.key = "e";
    world.batch_numbered(1, 7, 1.0, &[]);
    world.batch_numbered(1, 3, 1.0, &[]);
    assert_eq!(world.outcomes().batches, 9, "then b; a was used again");
    world.batch_numbered(1, 2, 1.0, &[]);
    assert_eq!(world.outcomes().duplicates, 2);
    assert_eq!(KEY_WINDOWS_MAX, 4);
}

/// A site with as many spools as it may have, each heard a second after the one before.
fn full(semantics: u32) -> World {
    let mut world = World::of(semantics, MAIL);
    world.crashes = false;
    for spool in 0..SPOOLS_MAX as u8 {
        world.tick(f64::from(spool));
        world.batch(spool, f64::from(spool), &[]);
    }
    world.store();
    world.crashes = true;
    world
}

#[test]
fn spools_that_are_silent_for_long_make_room() {
    for (semantics, evicted, overflows) in [(1, 0, 3), (2, 1, 2)] {
        let mut world = full(semantics);
        world.tick(f64::from(ROOM_S - 1));
        world.batch(100, 0.0, &[]);
        world.tick(f64::from(ROOM_S));
        world.batch(101, 0.0, &[]);
        world.batch(102, 0.0, &[]);
        let outcomes = world.outcomes();
        assert_eq!((outcomes.spools_evicted, outcomes.spool_overflows), (evicted, overflows), "version {semantics}");
    }
    // The first one went: it is new again, and would need room itself.
    let mut world = full(2);
    world.tick(f64::from(ROOM_S));
    world.batch(100, 0.0, &[]);
    world.batch_numbered(1, 1, 1.0, &[]);
    world.batch_numbered(0, 1, 0.0, &[]);
    let outcomes = world.outcomes();
    assert_eq!((outcomes.duplicates, outcomes.spool_overflows), (1, 1));
}

#[test]
fn spools_of_revoked_keys_make_room_first_then_those_that_ended() {
    let mut world = full(2);
    world.tick(70.0);
    world.ends = true;
    world.batch(10, 70.0, &[]);
    world.ends = false;
    world.key = "k2";
    world.batch(20, 70.0, &[]);
    world.key = "k1";
    world.key_revoked("k2", false);
    world.batch(100, 70.0, &[]);
    world.batch_numbered(20, 1, 20.0, &[]);
    assert_eq!(world.outcomes().duplicates, 1, "it was heard under another key too");
    world.batch_numbered(10, 1, 10.0, &[]);
    assert_eq!(world.outcomes().spool_overflows, 1, "the one that ended went");
    world.key_revoked("k1", false);
    world.batch(101, 70.0, &[]);
    assert_eq!(world.outcomes().spools_evicted, 2);
    world.batch_numbered(0, 1, 0.0, &[]);
    assert_eq!((world.outcomes().spools_evicted, world.outcomes().duplicates), (3, 1), "0 had gone, 1 goes for it");
}

#[test]
fn what_waits_of_a_spool_that_makes_room_is_judged_in_its_place() {
    let mut world = World::of(2, MAIL);
    world.crashes = false;
    world.tick(0.0);
    world.batch(200, 0.0, &[]);
    world.ends = true;
    world.batch(201, 20.0, &mails(&[1.0, 2.0, 3.0]));
    world.ends = false;
    world.enabled.0 &= !1;
    for spool in 0..SPOOLS_MAX as u8 - 1 {
        world.batch(spool, 1.0, &[]);
    }
    assert_eq!(world.outcomes().spools_evicted, 1);
    assert_eq!(world.engine().held().signals, 3);
    world.batch(200, 3.0, &[]);
    (0..SPOOLS_MAX as u8 - 1).for_each(|spool| drop(world.batch(spool, 3.0, &[])));
    let told: Vec<_> = world.detections.iter().map(|d| d.rule.as_str()).collect();
    assert_eq!(told, ["mail"]);
}

/// Whoever is turned away speaks, though not on a spool that is known: the others are silent meanwhile.
#[test]
fn a_refusal_of_an_unknown_spool_is_another_spool() {
    for (spool, told) in [(None, 0), (Some(3), 1)] {
        let mut world = World::of(2, MAIL);
        world.tick(0.0);
        world.batch(1, 0.0, &[]);
        world.batch(2, 0.0, &[]);
        world.batch(1, 20.0, &mails(&[1.0, 2.0, 3.0]));
        world.batch(2, 0.0, &[]);
        for at in 1..=200 {
            world.tick(f64::from(at));
            world.refused(spool, true);
        }
        assert_eq!(world.batch(1, 20.0, &[]).len(), told, "{spool:?}");
    }
}
