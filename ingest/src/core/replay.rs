//! The replay window: which batches of a spool are in the log already (RFC 6479, with digests to tell a repetition from a
//! conflict). The gateway's is a cache that lets it answer at once; the engine's is the one that counts.

use std::collections::BTreeMap;

use logystera_schemas::ids::{BatchId, Sha256Digest, SiteId, SpoolId};
use logystera_schemas::limits::{
    REPLAY_DIGESTS, REPLAY_SPOOLS_CACHED_MAX, REPLAY_WINDOW, SPOOL_FORGOTTEN_MS, SPOOLS_MAX,
};

/// Words of the bitmap: one more than the window needs, so that advancing clears whole words (RFC 6479, section 2).
const WORDS: usize = REPLAY_WINDOW as usize / 64 + 1;
const BITS: u64 = WORDS as u64 * 64;

/// What the window knows of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing: it may be new.
    New,
    /// It was taken, with these bytes as far as is known.
    Same,
    /// It was taken with other bytes.
    Conflict,
    /// It lies so far below the highest that it must have been taken or given up.
    Below,
    /// It would be of one spool more than a site may have.
    TooManySpools,
}

/// The window of one spool.
#[derive(Debug)]
struct Window {
    highest: u64,
    words: [u64; WORDS],
    /// Digests of the newest numbers, each at its number mod [`REPLAY_DIGESTS`].
    digests: Vec<(u64, Sha256Digest)>,
    last_ms: i64,
}

impl Window {
    fn new() -> Self {
        Self { highest: 0, words: [0; WORDS], digests: Vec::new(), last_ms: i64::MIN }
    }

    fn look(&self, seq: u64, digest: &Sha256Digest) -> Seen {
        if seq > self.highest {
            return Seen::New;
        }
        if self.highest - seq > REPLAY_WINDOW {
            return Seen::Below;
        }
        if self.words[word(seq)] & bit(seq) == 0 {
            return Seen::New;
        }
        match self.digests.get(slot(seq)) {
            Some((known, other)) if *known == seq && other != digest => Seen::Conflict,
            _ => Seen::Same,
        }
    }

    fn insert(&mut self, seq: u64, digest: Sha256Digest, now_ms: i64) {
        self.last_ms = self.last_ms.max(now_ms);
        if seq > self.highest {
            let (from, to) = (self.highest / 64, seq / 64);
            for block in (from + 1..=to).take(WORDS) {
                self.words[block as usize % WORDS] = 0;
            }
            self.highest = seq;
        } else if self.highest - seq > REPLAY_WINDOW {
            return;
        }
        self.words[word(seq)] |= bit(seq);
        if self.digests.is_empty() {
            self.digests.resize(REPLAY_DIGESTS, (0, Sha256Digest([0; 32])));
        }
        let place = &mut self.digests[slot(seq)];
        if seq > place.0 {
            *place = (seq, digest);
        }
    }
}

fn word(seq: u64) -> usize {
    (seq % BITS / 64) as usize
}

fn bit(seq: u64) -> u64 {
    1 << (seq % 64)
}

fn slot(seq: u64) -> usize {
    (seq % REPLAY_DIGESTS as u64) as usize
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
        let Some(spools) = self.sites.get(site) else { return Seen::New };
        match spools.get(&batch.spool).filter(|w| !forgotten(w, now_ms)) {
            Some(window) => window.look(batch.seq, digest),
            None if spools.values().filter(|w| !forgotten(w, now_ms)).count() >= SPOOLS_MAX => Seen::TooManySpools,
            None => Seen::New,
        }
    }

    /// Notes that the log has this batch.
    pub fn insert(&mut self, site: &SiteId, batch: BatchId, digest: Sha256Digest, now_ms: i64) {
        if !self.sites.contains_key(site) {
            self.sites.insert(site.clone(), BTreeMap::new());
        }
        let Some(spools) = self.sites.get_mut(site) else { return };
        if !spools.contains_key(&batch.spool) {
            let before = spools.len();
            spools.retain(|_, w| !forgotten(w, now_ms));
            self.spools -= before - spools.len();
            // Two batches of new spools can pass the look-up at the same time; the engine refuses the one too many.
            if spools.len() >= SPOOLS_MAX || self.spools >= REPLAY_SPOOLS_CACHED_MAX {
                return;
            }
            self.spools += 1;
        }
        spools.entry(batch.spool).or_insert_with(Window::new).insert(batch.seq, digest, now_ms);
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
    use std::collections::BTreeMap;

    use proptest::prelude::*;

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

    /// All that was taken, kept for ever; the window is read off it as the design words it.
    #[derive(Default)]
    struct Naive(BTreeMap<u64, u8>);

    impl Naive {
        fn look(&self, seq: u64, digest: u8) -> Seen {
            let highest = self.0.keys().max().copied().unwrap_or(0);
            match self.0.get(&seq) {
                _ if highest > seq && highest - seq > REPLAY_WINDOW => Seen::Below,
                None => Seen::New,
                Some(known) if *known != digest && highest - seq < REPLAY_DIGESTS as u64 => Seen::Conflict,
                Some(_) => Seen::Same,
            }
        }
    }

    proptest! {
        #[test]
        fn the_window_agrees_with_a_set(steps in proptest::collection::vec(
            (prop_oneof![4 => 0_u64..200, 2 => 0_u64..3_000, 1 => 0_u64..200_000], any::<bool>(), 1_u8..3), 1..400)) {
            let mut replay = Replay::new();
            let mut naive = Naive::default();
            let mut highest = 0_u64;
            for (distance, up, body) in steps {
                let seq = if up { highest + distance % 1_200 } else { highest.saturating_sub(distance) }.max(1);
                let seen = replay.look(&site(), batch(1, seq), &digest(body), 0);
                let expected = naive.look(seq, body);
                // Beyond the newest 64 a lingering digest may still tell a conflict; nothing else may differ.
                if seen != Seen::Conflict || expected != Seen::Same {
                    prop_assert_eq!(seen, expected, "seq {} highest {}", seq, highest);
                }
                if expected == Seen::New {
                    replay.insert(&site(), batch(1, seq), digest(body), 0);
                    naive.0.insert(seq, body);
                    highest = highest.max(seq);
                }
            }
        }
    }

    #[test]
    fn the_windows_edges() {
        let mut replay = Replay::new();
        let taken = |replay: &mut Replay, seq| replay.insert(&site(), batch(1, seq), digest(1), 0);
        let look = |replay: &Replay, seq, body| replay.look(&site(), batch(1, seq), &digest(body), 0);
        taken(&mut replay, 1);
        taken(&mut replay, 1_025);
        assert_eq!(look(&replay, 1, 1), Seen::Same);
        assert_eq!(look(&replay, 1_025, 2), Seen::Conflict);
        taken(&mut replay, 1_026);
        assert_eq!(look(&replay, 1, 1), Seen::Below);
        assert_eq!(look(&replay, 2, 1), Seen::New);
        taken(&mut replay, u64::MAX);
        assert_eq!(look(&replay, 1_026, 1), Seen::Below);
        assert_eq!(look(&replay, u64::MAX, 1), Seen::Same);
        assert_eq!(look(&replay, u64::MAX - 64, 1), Seen::New);
    }

    #[test]
    fn sixty_four_spools_then_no_more_until_one_is_forgotten() {
        let mut replay = Replay::new();
        for spool in 0..64 {
            assert_eq!(replay.look(&site(), batch(spool, 1), &digest(1), 0), Seen::New);
            replay.insert(&site(), batch(spool, 1), digest(1), i64::from(spool));
        }
        assert_eq!(replay.look(&site(), batch(64, 1), &digest(1), 100), Seen::TooManySpools);
        assert_eq!(replay.look(&site(), batch(63, 2), &digest(1), 100), Seen::New);
        assert_eq!(replay.look(&"other".parse().unwrap(), batch(64, 1), &digest(1), 100), Seen::New);
        replay.insert(&site(), batch(64, 1), digest(1), 100);
        assert_eq!(replay.spools(), 64);

        let at = SPOOL_FORGOTTEN_MS;
        assert_eq!(replay.look(&site(), batch(64, 1), &digest(1), at), Seen::TooManySpools);
        assert_eq!(replay.look(&site(), batch(64, 1), &digest(1), at + 1), Seen::New);
        assert_eq!(replay.look(&site(), batch(0, 1), &digest(1), at + 1), Seen::New);
        replay.insert(&site(), batch(64, 1), digest(1), at + 1);
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
        replay.insert(&site(), batch(1, 1), digest(1), 0);
        assert_eq!(replay.look(&site(), batch(1, 1), &digest(1), 0), Seen::New);
    }
}
