//! The replay window: which batches of a spool are in the log already (RFC 6479, with digests to tell a repetition from a
//! conflict). The gateway's is a cache that lets it answer at once; the engine's is the one that counts.

use std::collections::BTreeMap;

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

/// It may be new.
const NEW: Seen = Seen::Window(replay::Seen::New);

/// The window of one spool, and when its last batch came.
#[derive(Debug, Default)]
struct Window {
    seen: ReplayWindow,
    last_ms: i64,
}

/// The windows of all sites.
#[derive(Debug, Default)]
pub struct Replay {
    sites: BTreeMap<SiteId, BTreeMap<SpoolId, Window>>,
    spools: usize,
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
