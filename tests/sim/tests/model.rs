//! The model's own tables: what a person can check against the design by hand.

use logystera_schemas::ids::{KeyId, Sha256Digest};
use logystera_sim::model::log_time::LogTime;
use logystera_sim::model::spool::{Spool, Verdict, pause_after};

fn spool_with(numbers: impl IntoIterator<Item = u64>) -> Spool {
    let mut spool = Spool::unheard();
    numbers.into_iter().for_each(|n| spool.accept(None, n, digest(n)));
    spool
}

fn digest(n: u64) -> Sha256Digest {
    Sha256Digest::of(&n.to_be_bytes())
}

#[test]
fn a_batch_is_told_from_its_like() {
    let seen = spool_with(1_000..=2_100);
    for (seq, body, expected) in [
        (2_101, 2_101, Verdict::New),
        (2_100, 2_100, Verdict::Duplicate),
        (2_100, 1, Verdict::Conflict),
        (2_037, 1, Verdict::Conflict),
        // The 65th newest: its digest is forgotten.
        (2_036, 1, Verdict::Duplicate),
        (1_076, 1_076, Verdict::Duplicate),
        (1_075, 1_075, Verdict::BelowWindow),
    ] {
        assert_eq!(seen.judge(seq, digest(body)), expected, "{seq}");
    }
    assert_eq!(spool_with([5, 7]).judge(6, digest(6)), Verdict::New, "a gap in the numbers");
}

fn key(id: &str) -> Option<KeyId> {
    id.parse().ok()
}

#[test]
fn each_key_has_numbers_of_its_own() {
    let mut spool = spool_with([5]);
    spool.accept(key("honest"), 6, digest(6));
    spool.accept(key("thief"), 9_000, digest(0));
    assert_eq!(spool.judge(6, digest(1)), Verdict::Conflict, "of all that the keys say the worst holds");
    assert_eq!(spool.judge(6, digest(6)), Verdict::Duplicate);
    assert_eq!(spool.judge(7, digest(7)), Verdict::BelowWindow);
    for stolen in [false, true] {
        assert!(!spool.revoke(&"thief".parse().unwrap(), stolen), "others are known");
        assert_eq!(spool.judge(7, digest(7)), if stolen { Verdict::New } else { Verdict::BelowWindow });
    }
    assert!(!spool.is_revoked());
    for n in 0..4 {
        spool.accept(key(&format!("k{n}")), 10 + n, digest(n));
    }
    assert_eq!(spool.judge(6, digest(6)), Verdict::New, "four keys later nobody knows");
}

#[test]
fn a_spool_is_waited_for_as_long_as_its_sender_may_pause() {
    let minute = 60_000;
    for (outage, is_new, expected) in [
        (0, false, minute),
        (2 * minute, false, 5 * minute),
        (20 * minute, false, 41 * minute),
        (9_000 * minute, false, 60 * minute),
        (2 * minute, true, 5 * minute),
        (20 * minute, true, 10 * minute),
        (-minute, false, minute),
    ] {
        assert_eq!(pause_after(outage, is_new), expected, "{outage} {is_new}");
    }
}

#[test]
fn a_spool_is_live_until_its_silence_exceeds_its_limit() {
    let minute = 60_000;
    for (flush_every_s, after_outage, silence, expected) in [
        (1, false, 2 * minute, true),
        (1, false, 2 * minute + 1, false),
        (60, false, 3 * minute, true),
        (60, false, 3 * minute + 1, false),
        (86_400, false, 60 * minute, true),
        (86_400, false, 60 * minute + 1, false),
        (1, true, 62 * minute, true),
        (1, true, 62 * minute + 1, false),
    ] {
        let mut spool = Spool::unheard();
        (spool.flush_every_s, spool.after_outage, spool.silent_from) = (flush_every_s, after_outage, Some(1_000));
        assert_eq!(spool.is_live(1_000 + silence, true), expected, "{flush_every_s} {after_outage} {silence}");
    }
    assert!(Spool::unheard().is_live(i64::MAX, true), "nobody was heard after it");
}

#[test]
fn ticks_move_the_clocks() {
    for (ticks, wall, open, gap_end) in [
        (vec![], 0, 0, None),
        (vec![5_000, 6_000, 6_000, 8_000], 8_000, 3_000, None),
        (vec![0, 60_000], 60_000, 2_000, None),
        (vec![0, 60_001], 60_001, 2_000, Some(2_000)),
        (vec![9_000, 1_000, 2_000, 10_000], 10_000, 1_000, None),
        (std::iter::once(900_000).chain(1..=59).collect(), 900_000, 0, None),
        (std::iter::once(900_000).chain(1..=60).collect(), 60, 0, None),
    ] {
        let mut clock = LogTime::default();
        for at in &ticks {
            clock.tick(*at, 0);
        }
        assert_eq!((clock.wall(), clock.open, clock.gap_end), (wall, open, gap_end), "{ticks:?}");
    }
}

#[test]
fn a_tick_can_tell_more_open_time() {
    for (passed, told, open) in
        [(10_000, 0, 2_000), (10_000, 9_000, 9_000), (10_000, 20_000, 10_000), (50_000, 40_000, 30_000), (900, -5, 900)]
    {
        let mut clock = LogTime::default();
        clock.tick(0, 7_000);
        clock.tick(passed, told);
        assert_eq!((clock.open, clock.gap_end), (open, None), "{told} of {passed}");
    }
}
