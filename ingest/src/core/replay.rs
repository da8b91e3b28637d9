//! The replay window: which batches of a spool are in the log already (RFC 6479, with digests to tell a repetition from a
//! conflict). The gateway's is a cache that lets it answer at once; the engine's is the one that counts.
//!
//! A number is reserved while it is appended: of two tries at the same time only the first goes to the log, and the
//! second is answered as the first turns out.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use logystera_schemas::ids::{BatchId, Sha256Digest, SiteId, SpoolId};
use logystera_schemas::limits::{REPLAY_SPOOLS_CACHED_MAX, SPOOL_FORGOTTEN_MS, SPOOLS_MAX};
use logystera_schemas::replay::{self, ReplayWindow};

/// What the cache knows of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// What the window of its spool says.
    Window(replay::Seen),
    /// It would be of one spool more than a site may have.
    TooManySpools,
}

/// What a batch that could be appended has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Its number is reserved for it: append it, then [`Replay::settle`] it.
    Append,
    /// Another try of its number is being appended: wait until [`Replay::is_reserved`] ends, then look again. What is new
    /// then failed.
    Wait,
    /// It was settled in the meantime.
    Known(Seen),
}

/// It may be new.
const NEW: Seen = Seen::Window(replay::Seen::New);

/// The window of one spool, and when its last batch came.
#[derive(Debug, Default)]
struct Window {
    seen: ReplayWindow,
    last_ms: i64,
}

/// A number that is being appended.
#[derive(Debug)]
struct Reservation {
    digest: Sha256Digest,
    /// Whether another try waits for its end.
    awaited: bool,
}

/// The windows of all sites, and the numbers that are being appended. Of these there are no more than appends under way.
#[derive(Debug, Default)]
pub struct Replay {
    sites: BTreeMap<SiteId, BTreeMap<SpoolId, Window>>,
    spools: usize,
    reserved: BTreeMap<(SiteId, BatchId), Reservation>,
}

impl Replay {
    /// No batch was taken yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What is known of this batch at `now_ms`.
    pub fn look(&self, site: &SiteId, batch: BatchId, digest: &Sha256Digest, now_ms: i64) -> Seen {
        let Some(spools) = self.sites.get(site) else { return NEW };
        match spools.get(&batch.spool).filter(|w| !forgotten(w, now_ms)) {
            Some(window) => Seen::Window(window.seen.look(batch.seq, digest)),
            None if spools.values().filter(|w| !forgotten(w, now_ms)).count() >= SPOOLS_MAX => Seen::TooManySpools,
            None => NEW,
        }
    }

    /// Reserves the batch's number, where nobody has it.
    pub fn claim(&mut self, site: &SiteId, batch: BatchId, digest: &Sha256Digest, now_ms: i64) -> Claim {
        match self.look(site, batch, digest, now_ms) {
            NEW => {}
            seen => return Claim::Known(seen),
        }
        match self.reserved.entry((site.clone(), batch)) {
            Entry::Vacant(free) => {
                free.insert(Reservation { digest: *digest, awaited: false });
                Claim::Append
            }
            Entry::Occupied(taken) => {
                taken.into_mut().awaited = true;
                Claim::Wait
            }
        }
    }

    /// Whether the number is being appended.
    pub fn is_reserved(&self, site: &SiteId, batch: BatchId) -> bool {
        self.reserved.contains_key(&(site.clone(), batch))
    }

    /// Ends a reservation; the log has the batch if it is `durable`. Returns whether another try waits for it.
    pub fn settle(&mut self, site: &SiteId, batch: BatchId, durable: bool, now_ms: i64) -> bool {
        let Some(reservation) = self.reserved.remove(&(site.clone(), batch)) else { return false };
        if durable {
            self.insert(site, batch, &reservation.digest, now_ms);
        }
        reservation.awaited
    }

    /// Notes that the log has this batch.
    pub fn insert(&mut self, site: &SiteId, batch: BatchId, digest: &Sha256Digest, now_ms: i64) {
        if let Some(window) = self.window(site, batch.spool, now_ms) {
            window.seen.mark(batch.seq, digest);
            window.last_ms = window.last_ms.max(now_ms);
        }
    }

    /// Takes what is known of a spool from before this process.
    pub fn restore(&mut self, site: &SiteId, spool: SpoolId, seen: ReplayWindow, last_ms: i64) {
        if let Some(window) = self.window(site, spool, last_ms) {
            *window = Window { seen, last_ms };
        }
    }

    /// The window of a spool, a new one where there is room for it.
    fn window(&mut self, site: &SiteId, spool: SpoolId, now_ms: i64) -> Option<&mut Window> {
        if !self.sites.contains_key(site) {
            self.sites.insert(site.clone(), BTreeMap::new());
        }
        let spools = self.sites.get_mut(site)?;
        if !spools.contains_key(&spool) {
            let before = spools.len();
            spools.retain(|_, w| !forgotten(w, now_ms));
            self.spools -= before - spools.len();
            // Two batches of new spools can pass the look-up at the same time; the engine refuses the one too many.
            if spools.len() >= SPOOLS_MAX || self.spools >= REPLAY_SPOOLS_CACHED_MAX {
                return None;
            }
            self.spools += 1;
        }
        Some(spools.entry(spool).or_default())
    }

    /// Drops the spools that have been silent too long.
    pub fn forget(&mut self, now_ms: i64) {
        for spools in self.sites.values_mut() {
            spools.retain(|_, w| !forgotten(w, now_ms));
        }
        self.sites.retain(|_, spools| !spools.is_empty());
        self.spools = self.sites.values().map(BTreeMap::len).sum();
    }

    /// How many spools are remembered, of all sites together.
    pub fn spools(&self) -> usize {
        self.spools
    }
}

fn forgotten(window: &Window, now_ms: i64) -> bool {
    now_ms.saturating_sub(window.last_ms) > SPOOL_FORGOTTEN_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> SiteId {
        "s".parse().unwrap()
    }

    fn digest(n: u8) -> Sha256Digest {
        Sha256Digest([n; 32])
    }

    fn batch(spool: u8, seq: u64) -> BatchId {
        BatchId { spool: SpoolId([spool; 8]), seq }
    }

    #[test]
    fn a_batch_is_known_by_site_spool_and_number() {
        let mut replay = Replay::new();
        replay.insert(&site(), batch(1, 7), &digest(1), 0);
        let mut seen = ReplayWindow::default();
        seen.mark(9, &digest(3));
        replay.restore(&site(), SpoolId([2; 8]), seen, 0);
        for (spool, seq, body, expected) in [
            (1, 7, 1, replay::Seen::Duplicate),
            (1, 7, 2, replay::Seen::Conflict),
            (1, 8, 1, replay::Seen::New),
            (2, 9, 3, replay::Seen::Duplicate),
            (3, 7, 1, replay::Seen::New),
        ] {
            let seen = replay.look(&site(), batch(spool, seq), &digest(body), 0);
            assert_eq!(seen, Seen::Window(expected), "{spool}.{seq}");
        }
        assert_eq!(replay.look(&"other".parse().unwrap(), batch(1, 7), &digest(1), 0), NEW);
    }

    enum Step {
        /// A try with these bytes.
        Try(u8, Claim),
        /// The try that appends ends: whether it is durable, whether another one waits.
        Ends(bool, bool),
    }
    use Step::{Ends, Try};

    /// One number from claim to claim: what happens, and what comes of it.
    #[test]
    fn a_number_is_appended_by_one_try_at_a_time() {
        use replay::Seen::{Conflict, Duplicate};
        let known = |seen| Claim::Known(Seen::Window(seen));
        for (name, steps) in [
            ("alone", &[Try(1, Claim::Append), Ends(true, false), Try(1, known(Duplicate))][..]),
            ("failed", &[Try(1, Claim::Append), Ends(false, false), Try(2, Claim::Append), Ends(true, false)]),
            ("again", &[Try(1, Claim::Append), Try(1, Claim::Wait), Ends(true, true), Try(1, known(Duplicate))]),
            ("other bytes", &[Try(1, Claim::Append), Try(2, Claim::Wait), Ends(true, true), Try(2, known(Conflict))]),
            ("again, failed", &[Try(1, Claim::Append), Try(1, Claim::Wait), Ends(false, true), Try(1, Claim::Append)]),
            (
                "other bytes, failed",
                &[Try(1, Claim::Append), Try(2, Claim::Wait), Ends(false, true), Try(2, Claim::Append)],
            ),
            ("ended twice", &[Try(1, Claim::Append), Ends(false, false), Ends(true, false), Try(2, Claim::Append)]),
        ] {
            let mut replay = Replay::new();
            for (i, step) in steps.iter().enumerate() {
                match *step {
                    Try(body, expected) => {
                        let claim = replay.claim(&site(), batch(1, 7), &digest(body), 0);
                        assert_eq!(claim, expected, "{name}, step {i}");
                        let reserved = matches!(claim, Claim::Append | Claim::Wait);
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
                assert_eq!(replay.claim(&site, batch, &digest(1), 0), Claim::Append, "{name}");
            }
        }
    }

    #[test]
    fn sixty_four_spools_then_no_more_until_one_is_forgotten() {
        let mut replay = Replay::new();
        for spool in 0..64 {
            assert_eq!(replay.look(&site(), batch(spool, 1), &digest(1), 0), NEW);
            replay.insert(&site(), batch(spool, 1), &digest(1), i64::from(spool));
        }
        assert_eq!(replay.look(&site(), batch(64, 1), &digest(1), 100), Seen::TooManySpools);
        assert_eq!(replay.look(&site(), batch(63, 2), &digest(1), 100), NEW);
        assert_eq!(replay.look(&"other".parse().unwrap(), batch(64, 1), &digest(1), 100), NEW);
        replay.insert(&site(), batch(64, 1), &digest(1), 100);
        assert_eq!(replay.spools(), 64);

        let at = SPOOL_FORGOTTEN_MS;
        assert_eq!(replay.look(&site(), batch(64, 1), &digest(1), at), Seen::TooManySpools);
        assert_eq!(replay.look(&site(), batch(64, 1), &digest(1), at + 1), NEW);
        assert_eq!(replay.look(&site(), batch(0, 1), &digest(1), at + 1), NEW);
        replay.insert(&site(), batch(64, 1), &digest(1), at + 1);
        assert_eq!(replay.spools(), 64);
        replay.forget(at + 40);
        assert_eq!(replay.spools(), 25);
        replay.forget(2 * at + 2);
        assert_eq!((replay.spools(), replay.sites.len()), (0, 0));
    }

    #[test]
    fn the_cache_is_bounded_over_all_sites() {
        let mut replay = Replay::new();
        replay.spools = REPLAY_SPOOLS_CACHED_MAX;
        replay.insert(&site(), batch(1, 1), &digest(1), 0);
        assert_eq!(replay.look(&site(), batch(1, 1), &digest(1), 0), NEW);
    }
}
