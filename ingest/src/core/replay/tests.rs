use proptest::prelude::*;

use super::*;

const MINUTE: i64 = 60_000;

fn site() -> SiteId {
    "s".parse().unwrap()
}

fn key(name: &str) -> KeyId {
    name.parse().unwrap()
}

fn digest(n: u8) -> Sha256Digest {
    Sha256Digest([n; 32])
}

fn batch(spool: u8, seq: u64) -> BatchId {
    BatchId { spool: SpoolId([spool; 8]), seq }
}

/// No key was revoked.
fn good(_: &KeyId) -> KeyStatus {
    KeyStatus::Good
}

/// Calls `run` with a try.
fn trying<R>(key_name: &str, batch: BatchId, body: u8, now_ms: i64, run: impl FnOnce(&Try<'_>) -> R) -> R {
    run(&Try { site: &site(), key: &key(key_name), batch, digest: &digest(body), now_ms })
}

impl Replay {
    fn seen(&self, key: &str, batch: BatchId, body: u8, now_ms: i64, keyring: Keyring<'_>) -> Seen {
        trying(key, batch, body, now_ms, |asked| self.look(asked, keyring))
    }

    fn reserved(&mut self, key: &str, batch: BatchId, body: u8, now_ms: i64, keyring: Keyring<'_>) -> Reserving {
        trying(key, batch, body, now_ms, |asked| self.reserve(asked, keyring))
    }

    fn taken(&mut self, key: &str, batch: BatchId, body: u8, now_ms: i64) {
        trying(key, batch, body, now_ms, |asked| self.insert(asked));
    }
}

#[test]
fn a_batch_is_known_by_site_spool_and_number() {
    let mut replay = Replay::new();
    replay.taken("k", batch(1, 7), 1, 0);
    let mut seen = ReplayWindow::default();
    seen.mark(9, &digest(3));
    replay.restore(&site(), SpoolId([2; 8]), None, seen, 0);
    for (spool, seq, body, expected) in [
        (1, 7, 1, Seen::Duplicate { same: true }),
        (1, 7, 2, Seen::Conflict),
        (1, 8, 1, Seen::New),
        (2, 9, 3, Seen::Duplicate { same: true }),
        (3, 7, 1, Seen::New),
    ] {
        assert_eq!(replay.seen("k", batch(spool, seq), body, 0, &good), expected, "{spool}.{seq}");
    }
    let other = "other".parse().unwrap();
    let asked = Try { site: &other, key: &key("k"), batch: batch(1, 7), digest: &digest(1), now_ms: 0 };
    assert_eq!(replay.look(&asked, &good), Seen::New);
}

/// Of two batches with one number, as two gateways can let in or a backup can have them, the engine takes the first.
#[test]
fn what_the_engine_drops_is_not_called_a_duplicate() {
    let mut replay = Replay::new();
    replay.taken("k1", batch(1, 7), 1, 0);
    replay.taken("k1", batch(1, 7), 2, 1);
    replay.taken("k2", batch(1, 7), 3, 2);
    for (body, expected) in [(1, Seen::Duplicate { same: true }), (2, Seen::Conflict), (3, Seen::Conflict)] {
        for asking in ["k1", "k2"] {
            assert_eq!(replay.seen(asking, batch(1, 7), body, 3, &good), expected, "{body} under {asking}");
        }
    }
    replay.taken("k1", batch(1, 3_000), 1, 3);
    replay.taken("k2", batch(1, 8), 1, 4);
    assert_eq!(replay.seen("k2", batch(1, 8), 1, 5, &good), Seen::BelowWindow);
}

/// A spool that was restored from a backup: nothing that it sends under old numbers is called the same unless it was compared.
#[test]
fn what_cannot_be_compared_is_not_called_the_same() {
    let mut replay = Replay::new();
    (1..=2_000).for_each(|seq| replay.taken("k", batch(1, seq), 1, 0));
    for (seq, body, expected) in [
        (2_000, 1, Seen::Duplicate { same: true }),
        (2_000 - 63, 2, Seen::Conflict),
        (2_000 - 64, 1, Seen::Duplicate { same: false }),
        (2_000 - 1_024, 2, Seen::Duplicate { same: false }),
        (2_000 - 1_025, 1, Seen::BelowWindow),
        (1, 1, Seen::BelowWindow),
    ] {
        assert_eq!(replay.seen("k", batch(1, seq), body, 0, &good), expected, "{seq}");
        let reserving = replay.reserved("k", batch(1, seq), body, 0, &good);
        assert_eq!(reserving, Reserving::Known(expected), "{seq}");
    }
}

#[test]
fn the_windows_of_all_keys_of_a_spool_bind() {
    let mut replay = Replay::new();
    replay.taken("k1", batch(1, 5_000), 1, 0);
    replay.taken("k2", batch(1, 5_001), 2, 0);
    for (seq, body, expected) in [
        (5_000, 1, Seen::Duplicate { same: true }),
        (5_000, 9, Seen::Conflict),
        (5_001, 2, Seen::Duplicate { same: true }),
        (5_001, 9, Seen::Conflict),
        (4_999, 9, Seen::New),
        (3_975, 9, Seen::BelowWindow),
        (5_002, 9, Seen::New),
    ] {
        for asking in ["k1", "k2", "k3"] {
            assert_eq!(replay.seen(asking, batch(1, seq), body, 0, &good), expected, "{seq} under {asking}");
        }
    }
}

/// A stolen key's batch burns nobody's numbers, also not those of the same spool, once it is known as stolen.
#[test]
fn what_came_under_a_stolen_key_binds_nobody() {
    let mut replay = Replay::new();
    replay.taken("k1", batch(1, 7), 1, 0);
    replay.taken("stolen", batch(1, 999_999_999_999_999_999), 2, 0);
    assert_eq!(replay.seen("k2", batch(1, 8), 1, 0, &good), Seen::BelowWindow);
    let stands = |standing| move |key: &KeyId| if key.as_str() == "stolen" { standing } else { KeyStatus::Good };
    let (revoked, stolen) = (stands(KeyStatus::Revoked), stands(KeyStatus::Stolen));
    assert_eq!(replay.seen("k2", batch(1, 8), 1, 0, &revoked), Seen::BelowWindow, "a rotation forgets nothing");
    assert_eq!(replay.seen("k2", batch(1, 8), 1, 0, &stolen), Seen::New);
    assert_eq!(replay.seen("k2", batch(1, 7), 1, 0, &stolen), Seen::Duplicate { same: true }, "the good key's stay");
    assert_eq!(replay.reserved("k2", batch(1, 8), 1, 0, &stolen), Reserving::Append);
    replay.settle(&site(), batch(1, 8), true, 0);
    // It is gone for good, also for whoever does not know the key.
    assert_eq!(replay.seen("k2", batch(1, 8), 1, 0, &good), Seen::Duplicate { same: true });
    assert_eq!(replay.seen("k2", batch(1, 9), 1, 0, &good), Seen::New);
    // A spool that only the thief used is free from its first number on.
    replay.taken("stolen", batch(2, 50), 2, 0);
    assert_eq!(replay.seen("k2", batch(2, 50), 1, 0, &stolen), Seen::New);
    assert_eq!(replay.reserved("k2", batch(2, 50), 1, 0, &stolen), Reserving::Append);
    replay.settle(&site(), batch(2, 50), true, 0);
    assert_eq!((replay.spools(), replay.windows), (2, 3));
}

#[test]
fn a_fifth_key_forgets_the_window_that_was_used_longest_ago() {
    let mut replay = Replay::new();
    for (seq, key) in [(1, "k1"), (2, "k2"), (3, "k3"), (4, "k4"), (5, "k1"), (6, "k5")] {
        replay.taken(key, batch(1, seq), 1, 0);
    }
    assert_eq!(replay.windows, KEY_WINDOWS_MAX);
    for (seq, expected) in [(1, true), (2, false), (3, true), (4, true), (5, true), (6, true)] {
        let seen = replay.seen("k5", batch(1, seq), 1, 0, &good);
        assert_eq!(seen == Seen::Duplicate { same: true }, expected, "{seq}");
    }
}

enum Step {
    /// A try with these bytes.
    Try(u8, Reserving),
    /// The try that appends ends: whether it is durable, whether another one waits.
    Ends(bool, bool),
}
use Step::{Ends, Try as Tries};

/// One number from reserving to reserving: what happens, and what comes of it.
#[test]
fn a_number_is_appended_by_one_try_at_a_time() {
    let duplicate = Reserving::Known(Seen::Duplicate { same: true });
    let conflict = Reserving::Known(Seen::Conflict);
    for (name, steps) in [
        ("alone", &[Tries(1, Reserving::Append), Ends(true, false), Tries(1, duplicate)][..]),
        ("failed", &[Tries(1, Reserving::Append), Ends(false, false), Tries(2, Reserving::Append), Ends(true, false)]),
        ("again", &[Tries(1, Reserving::Append), Tries(1, Reserving::Wait), Ends(true, true), Tries(1, duplicate)]),
        (
            "other bytes",
            &[Tries(1, Reserving::Append), Tries(2, Reserving::Wait), Ends(true, true), Tries(2, conflict)],
        ),
        (
            "again, failed",
            &[Tries(1, Reserving::Append), Tries(1, Reserving::Wait), Ends(false, true), Tries(1, Reserving::Append)],
        ),
        (
            "other bytes, failed",
            &[Tries(1, Reserving::Append), Tries(2, Reserving::Wait), Ends(false, true), Tries(2, Reserving::Append)],
        ),
        (
            "ended twice",
            &[Tries(1, Reserving::Append), Ends(false, false), Ends(true, false), Tries(2, Reserving::Append)],
        ),
    ] {
        let mut replay = Replay::new();
        for (i, step) in steps.iter().enumerate() {
            match *step {
                Tries(body, expected) => {
                    let reserving = replay.reserved("k", batch(1, 7), body, 0, &good);
                    assert_eq!(reserving, expected, "{name}, step {i}");
                    let reserved = matches!(reserving, Reserving::Append | Reserving::Wait);
                    assert_eq!(replay.is_reserved(&site(), batch(1, 7)), reserved, "{name}, step {i}");
                }
                Ends(durable, waits) => {
                    assert_eq!(replay.settle(&site(), batch(1, 7), durable, 0), waits, "{name}, step {i}");
                    assert!(!replay.is_reserved(&site(), batch(1, 7)), "{name}, step {i}");
                }
            }
        }
        // Other numbers, spools and sites are not concerned.
        let other = "other".parse().unwrap();
        for (site, batch) in [(site(), batch(1, 8)), (site(), batch(2, 7)), (other, batch(1, 7))] {
            let asked = Try { site: &site, key: &key("k"), batch, digest: &digest(1), now_ms: 0 };
            assert_eq!(replay.reserve(&asked, &good), Reserving::Append, "{name}");
        }
    }
}

#[test]
fn sixty_four_spools_then_no_more_until_one_is_silent_or_was_only_heard_under_revoked_keys() {
    let mut replay = Replay::new();
    for spool in 0..64 {
        assert_eq!(replay.seen("k", batch(spool, 1), 1, 0, &good), Seen::New);
        replay.taken(if spool == 9 { "old" } else { "k" }, batch(spool, 1), 1, i64::from(spool));
    }
    assert_eq!(replay.seen("k", batch(64, 1), 1, 100, &good), Seen::TooManySpools);
    assert_eq!(replay.seen("k", batch(63, 2), 1, 100, &good), Seen::New);
    let other = "other".parse().unwrap();
    let asked = Try { site: &other, key: &key("k"), batch: batch(64, 1), digest: &digest(1), now_ms: 100 };
    assert_eq!(replay.look(&asked, &good), Seen::New, "another site has its own");

    // Under revoked keys alone: it makes room at once, and is then none any more.
    let revoked = |key: &KeyId| if key.as_str() == "old" { KeyStatus::Revoked } else { KeyStatus::Good };
    assert_eq!(replay.reserved("k", batch(64, 1), 1, 100, &revoked), Reserving::Append);
    assert_eq!(replay.reserved("k", batch(65, 1), 1, 100, &revoked), Reserving::Known(Seen::TooManySpools));
    assert_eq!(replay.seen("k", batch(9, 1), 1, 100, &revoked), Seen::TooManySpools);
    replay.settle(&site(), batch(64, 1), true, 100);
    assert_eq!(replay.spools(), 64);

    // Silent for 65 minutes: the longest silent first.
    let at = SPOOL_SILENT_MS;
    assert_eq!(replay.seen("k", batch(65, 1), 1, at - 1, &good), Seen::TooManySpools);
    assert_eq!(replay.reserved("k", batch(65, 1), 1, at, &good), Reserving::Append);
    replay.settle(&site(), batch(65, 1), true, at);
    assert_eq!(replay.seen("k", batch(1, 1), 1, at, &good), Seen::Duplicate { same: true });
    assert_eq!(replay.seen("k", batch(0, 1), 1, at, &good), Seen::TooManySpools, "it was the longest silent");
    assert_eq!((replay.spools(), replay.windows), (64, 64));
    replay.forget(SPOOL_FORGOTTEN_MS + 40);
    assert_eq!((replay.spools(), replay.windows), (26, 26));
    replay.forget(2 * SPOOL_FORGOTTEN_MS);
    assert_eq!((replay.spools(), replay.windows, replay.sites.len()), (0, 0, 0));
}

/// Two batches of new spools are appended at once, and the one that would make room is heard meanwhile.
#[test]
fn room_is_made_when_a_number_is_reserved() {
    let mut replay = Replay::new();
    (0..63).for_each(|spool| replay.taken("k", batch(spool, 1), 1, SPOOL_SILENT_MS));
    replay.taken("k", batch(63, 1), 1, 0);
    let now = SPOOL_SILENT_MS;
    assert_eq!(replay.reserved("k", batch(64, 1), 1, now, &good), Reserving::Append);
    assert_eq!(replay.reserved("k", batch(65, 1), 1, now, &good), Reserving::Known(Seen::TooManySpools));
    assert_eq!(replay.reserved("k", batch(63, 2), 1, now, &good), Reserving::Known(Seen::TooManySpools));
    assert_eq!(replay.reserved("k", batch(64, 2), 1, now, &good), Reserving::Append, "the same spool's next");
    // One that is being appended does not make room.
    let mut replay = Replay::new();
    (0..64).for_each(|spool| replay.taken("k", batch(spool, 1), 1, 0));
    (0..64).for_each(|spool| assert_eq!(replay.reserved("k", batch(spool, 2), 1, now, &good), Reserving::Append));
    assert_eq!(replay.reserved("k", batch(64, 1), 1, now, &good), Reserving::Known(Seen::TooManySpools));
}

#[test]
fn the_cache_is_bounded_over_all_sites() {
    let mut replay = Replay::new();
    replay.windows = REPLAY_SPOOLS_CACHED_MAX;
    replay.taken("k", batch(1, 1), 1, 0);
    assert_eq!(replay.seen("k", batch(1, 1), 1, 0, &good), Seen::New);
    assert_eq!(replay.spools(), 0);
}

/// The engine's room for spools, from its rule's text: those of revoked keys, then those without a batch for an hour of log
/// time, make room; else the batch is dropped.
#[derive(Default)]
struct Engine(BTreeMap<u8, (BTreeSet<u8>, i64)>);

impl Engine {
    fn takes(&mut self, spool: u8, key: u8, revoked: &BTreeSet<u8>, wall: i64) -> bool {
        if !self.0.contains_key(&spool) && self.0.len() >= SPOOLS_MAX {
            let class = |(keys, last): &(BTreeSet<u8>, i64)| {
                let silent = (wall - last >= 60 * MINUTE).then_some(1);
                if keys.is_subset(revoked) { Some(0) } else { silent }
            };
            let gladly = self.0.iter().filter_map(|(id, s)| class(s).map(|class| (class, s.1, *id))).min();
            let Some((.., id)) = gladly else { return false };
            self.0.remove(&id);
        }
        let spool = self.0.entry(spool).or_default();
        spool.0.insert(key);
        spool.1 = spool.1.max(wall);
        true
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Whatever is let in finds room in the engine, whose clock runs up to five minutes apart.
    #[test]
    fn the_engine_has_room_for_what_was_let_in(
        steps in proptest::collection::vec((0_u8..90, 0_u8..4, 0_i64..4 * MINUTE, 0_i64..5 * MINUTE), 200..900),
        revoked_at in 0_usize..900,
        stolen in any::<bool>(),
    ) {
        let (mut replay, mut engine) = (Replay::new(), Engine::default());
        let (mut revoked, mut now, mut refused) = (BTreeSet::new(), 10_000_000, 0);
        for (i, (spool, by, pause, behind)) in steps.into_iter().enumerate() {
            now += pause / 4;
            if i == revoked_at {
                revoked.insert(3);
                if stolen {
                    // What is left of it in the engine are the spools that other keys used too.
                    engine.0.retain(|_, (keys, _)| { keys.remove(&3); !keys.is_empty() });
                }
            }
            let by = if revoked.contains(&by) { 0 } else { by };
            let standing = if stolen { KeyStatus::Stolen } else { KeyStatus::Revoked };
            let keyring = |key: &KeyId| if key.as_str() == "k3" && revoked.contains(&3) { standing } else { KeyStatus::Good };
            let name = format!("k{by}");
            match replay.reserved(&name, batch(spool, i as u64 + 1), 1, now, &keyring) {
                Reserving::Append => {
                    replay.settle(&site(), batch(spool, i as u64 + 1), true, now);
                    prop_assert!(engine.takes(spool, by, &revoked, now - behind), "step {}: spool {}", i, spool);
                }
                Reserving::Known(Seen::TooManySpools) => refused += 1,
                other => prop_assert!(false, "{:?}", other),
            }
            prop_assert!(replay.spools() <= SPOOLS_MAX);
        }
        let windows: usize = replay.sites.values().flat_map(BTreeMap::values).map(|s| s.windows.len()).sum();
        prop_assert_eq!(replay.windows, windows);
        let _ = refused;
    }
}
