//! The replay window: which batches of a spool are in the log already (RFC 6479, with digests to tell a repetition from
//! a conflict). The gateway's is a cache that lets it answer at once; the engine's is the one that counts.
//!
//! A spool has a window for each key that was heard on it: batches under a stolen key use up nobody's numbers. A number
//! is reserved while it is appended: of two tries at the same time only the first goes to the log, and the second is
//! answered as the first turns out. Room for another spool is made when its first number is reserved, and only if the
//! engine, which counts in log time, makes it too.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use logystera_schemas::ids::{BatchId, KeyId, Sha256Digest, SiteId, SpoolId};
use logystera_schemas::limits::{
    KEY_WINDOWS_MAX, REPLAY_SPOOLS_CACHED_MAX, SPOOL_FORGOTTEN_MS, SPOOL_SILENT_MS, SPOOLS_MAX,
};
use logystera_schemas::replay::{self, ReplayWindow};

/// What the cache knows of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It may be new.
    New,
    /// The log has a batch of this number.
    Duplicate {
        /// Whether its bytes were compared, and are the same; else nobody can tell any more.
        same: bool,
    },
    /// The log has other bytes under this number.
    Conflict,
    /// Its number is too far below the highest of its spool to know anything of it.
    BelowWindow,
    /// It would be of one spool more than a site may have.
    TooManySpools,
}

/// How a key stands, for what was heard under it before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStatus {
    /// It was not revoked, or nothing is known of it.
    Good,
    /// It was revoked: a spool that was heard under nothing else makes room for another.
    Revoked,
    /// It was revoked as stolen: batches under it use up nobody's numbers.
    Stolen,
}

/// Tells how a key of the site stands.
pub type Keyring<'a> = &'a dyn Fn(&KeyId) -> KeyStatus;

/// A try to get a batch in.
#[derive(Clone, Copy, Debug)]
pub struct Try<'a> {
    /// Site.
    pub site: &'a SiteId,
    /// The key that signed; it is a live one.
    pub key: &'a KeyId,
    /// Spool and number.
    pub batch: BatchId,
    /// SHA-256 of its bytes.
    pub digest: &'a Sha256Digest,
    /// The gateway's clock, milliseconds since the epoch.
    pub now_ms: i64,
}

/// What a batch that could be appended has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserving {
    /// Its number is reserved for it: append it, then [`Replay::settle`] it.
    Append,
    /// Another try of its number is being appended: wait until [`Replay::is_reserved`] ends, then look again. If the
    /// batch is still new, that try failed.
    Wait,
    /// It was settled in the meantime.
    Known(Seen),
}

/// What was heard of a spool under one key; none: it is not known under which, as in old state.
#[derive(Debug)]
struct KeyWindow {
    key: Option<KeyId>,
    seen: ReplayWindow,
}

/// A spool's windows, the longest unused first, and when its last batch came.
#[derive(Debug, Default)]
struct Spool {
    windows: Vec<KeyWindow>,
    last_ms: i64,
    /// It took its site's last place, or came after one that did. It may have been here before and made room: then the
    /// keys that the engine heard it under are forgotten here, and only its silence makes room. Nor can it be said then
    /// that the log counts the bytes that came last under a number: it may have counted others before.
    doubtful: bool,
}

impl Spool {
    /// The gravest finding of all windows that bind: conflict, then duplicate, then below the window.
    fn look(&self, asked: &Try<'_>, keyring: Keyring<'_>) -> Seen {
        let mut found = Seen::New;
        for window in self.windows.iter().filter(|w| w.binds(asked.key, keyring)) {
            let seen = &window.seen;
            found = match (seen.look(asked.batch.seq, asked.digest), found) {
                (replay::Seen::Conflict, _) => return Seen::Conflict,
                (replay::Seen::Duplicate, Seen::Duplicate { same: true }) => found,
                (replay::Seen::Duplicate, _) => {
                    Seen::Duplicate { same: seen.compares(asked.batch.seq) && !self.doubtful }
                }
                (replay::Seen::BelowWindow, Seen::New) => Seen::BelowWindow,
                (replay::Seen::BelowWindow | replay::Seen::New, found) => found,
            };
        }
        found
    }

    /// The window of a key, as the one that was used last.
    fn window(&mut self, key: Option<&KeyId>) -> &mut ReplayWindow {
        let window = match self.windows.iter().position(|w| w.key.as_ref() == key) {
            Some(place) => self.windows.remove(place),
            None => KeyWindow { key: key.cloned(), seen: ReplayWindow::default() },
        };
        if self.windows.len() >= KEY_WINDOWS_MAX {
            self.windows.remove(0);
        }
        let last = self.windows.len();
        self.windows.push(window);
        &mut self.windows[last].seen
    }

    /// A spool that was heard before the log had a time (0) is not forgotten: nobody knows how long ago that was.
    fn is_forgotten(&self, now_ms: i64) -> bool {
        self.last_ms != 0 && now_ms.saturating_sub(self.last_ms) > SPOOL_FORGOTTEN_MS
    }

    /// Whether it counts no more: it is forgotten, or was heard under stolen keys alone.
    fn is_gone(&self, own: &KeyId, now_ms: i64, keyring: Keyring<'_>) -> bool {
        self.is_forgotten(now_ms) || !self.doubtful && !self.windows.iter().any(|w| w.binds(own, keyring))
    }

    /// Its turn to make room for another, lowest first: 0 if heard under revoked keys alone, 1 if silent. None: it
    /// keeps its place.
    fn makes_room(&self, own: &KeyId, now_ms: i64, keyring: Keyring<'_>) -> Option<u8> {
        let revoked = |w: &KeyWindow| w.standing(own, keyring) != KeyStatus::Good;
        if !self.doubtful && self.windows.iter().all(revoked) {
            return Some(0);
        }
        (now_ms.saturating_sub(self.last_ms) >= SPOOL_SILENT_MS).then_some(1)
    }
}

impl KeyWindow {
    fn standing(&self, own: &KeyId, keyring: Keyring<'_>) -> KeyStatus {
        match &self.key {
            Some(key) if key != own => keyring(key),
            Some(_) | None => KeyStatus::Good,
        }
    }

    fn binds(&self, own: &KeyId, keyring: Keyring<'_>) -> bool {
        self.standing(own, keyring) != KeyStatus::Stolen
    }
}

/// A number that is being appended.
#[derive(Debug)]
struct Reservation {
    key: KeyId,
    digest: Sha256Digest,
    /// Whether another try waits for its end.
    awaited: bool,
}

/// The spools of all sites, and the numbers that are being appended. Of these there are no more than appends under way.
#[derive(Debug, Default)]
pub struct Replay {
    sites: BTreeMap<SiteId, BTreeMap<SpoolId, Spool>>,
    windows: usize,
    reserved: BTreeMap<SiteId, BTreeMap<BatchId, Reservation>>,
}

impl Replay {
    /// No batch was taken yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What is known of this batch.
    pub fn look(&self, asked: &Try<'_>, keyring: Keyring<'_>) -> Seen {
        let Some(spools) = self.sites.get(asked.site) else { return self.look_for_room(asked, keyring) };
        match spools.get(&asked.batch.spool).filter(|s| !s.is_gone(asked.key, asked.now_ms, keyring)) {
            Some(spool) => spool.look(asked, keyring),
            None => self.look_for_room(asked, keyring),
        }
    }

    /// Whether there is room for a spool that is not known.
    fn look_for_room(&self, asked: &Try<'_>, keyring: Keyring<'_>) -> Seen {
        let room = self.occupied(asked, keyring, |makes_room| makes_room.is_none()) < SPOOLS_MAX;
        if room { Seen::New } else { Seen::TooManySpools }
    }

    /// How many other spools of the site hold a place: those whose turn to make room `counts` accepts, and all of which
    /// a number is being appended.
    fn occupied(&self, asked: &Try<'_>, keyring: Keyring<'_>, counts: impl Fn(Option<u8>) -> bool) -> usize {
        let appended = self.appended(asked.site);
        let known = self.sites.get(asked.site);
        // Nearly always there is room without a look at the keys.
        if known.map_or(0, BTreeMap::len) + appended.len() < SPOOLS_MAX {
            return 0;
        }
        let held = known.into_iter().flatten().filter(|(id, spool)| {
            !appended.contains(*id)
                && !spool.is_gone(asked.key, asked.now_ms, keyring)
                && counts(spool.makes_room(asked.key, asked.now_ms, keyring))
        });
        let held = held.filter(|(id, _)| **id != asked.batch.spool).count();
        held + appended.iter().filter(|id| **id != asked.batch.spool).count()
    }

    /// The site's spools of which a number is being appended.
    fn appended(&self, site: &SiteId) -> BTreeSet<SpoolId> {
        self.reserved.get(site).into_iter().flatten().map(|(batch, _)| batch.spool).collect()
    }

    /// Reserves the batch's number, if nobody has it, and room for its spool.
    pub fn reserve(&mut self, asked: &Try<'_>, keyring: Keyring<'_>) -> Reserving {
        match self.look(asked, keyring) {
            Seen::New => {}
            seen => return Reserving::Known(seen),
        }
        if !self.reserved.contains_key(asked.site) {
            self.reserved.insert(asked.site.clone(), BTreeMap::new());
        }
        let reserved = self.reserved.get_mut(asked.site).map(|numbers| numbers.entry(asked.batch));
        match reserved {
            Some(Entry::Occupied(taken)) => {
                taken.into_mut().awaited = true;
                return Reserving::Wait;
            }
            Some(Entry::Vacant(free)) => {
                free.insert(Reservation { key: asked.key.clone(), digest: *asked.digest, awaited: false });
            }
            None => {}
        }
        self.make_room(asked, keyring);
        Reserving::Append
    }

    /// Drops what the batch's spool heard under stolen keys, and if the spool is new and there are too many, one that
    /// makes room.
    fn make_room(&mut self, asked: &Try<'_>, keyring: Keyring<'_>) {
        let Some(spool) = self.sites.get(asked.site).map(|spools| spools.get(&asked.batch.spool)) else { return };
        let alone = |s: &Spool| s.windows.len() == 1 && s.windows[0].key.as_ref() == Some(asked.key);
        if spool.is_some_and(|s| alone(s) && !s.is_forgotten(asked.now_ms)) {
            return;
        }
        let appended = self.appended(asked.site);
        let Some(spools) = self.sites.get_mut(asked.site) else { return };
        let windows = |spools: &BTreeMap<SpoolId, Spool>| spools.values().map(|s| s.windows.len()).sum::<usize>();
        if let Some(spool) = spools.get_mut(&asked.batch.spool).filter(|s| !s.is_forgotten(asked.now_ms)) {
            self.windows -= spool.windows.len();
            spool.windows.retain(|w| w.binds(asked.key, keyring));
            self.windows += spool.windows.len();
            if spool.doubtful || !spool.windows.is_empty() {
                return;
            }
        }
        let before = windows(spools);
        spools.remove(&asked.batch.spool);
        let news = appended.iter().filter(|id| !spools.contains_key(*id)).count();
        if spools.len() + news > SPOOLS_MAX {
            spools.retain(|id, s| appended.contains(id) || !s.is_gone(asked.key, asked.now_ms, keyring));
        }
        if spools.len() + news > SPOOLS_MAX {
            let gladly = |(id, s): (&SpoolId, &Spool)| {
                let class = s.makes_room(asked.key, asked.now_ms, keyring)?;
                (!appended.contains(id)).then_some((class, s.last_ms, *id))
            };
            if let Some((.., id)) = spools.iter().filter_map(gladly).min() {
                spools.remove(&id);
            }
        }
        self.windows -= before - windows(spools);
    }

    /// Whether the number is being appended.
    pub fn is_reserved(&self, site: &SiteId, batch: BatchId) -> bool {
        self.reserved.get(site).is_some_and(|numbers| numbers.contains_key(&batch))
    }

    /// Ends a reservation; the log has the batch if it is `durable`. Returns whether another try waits for it.
    pub fn settle(&mut self, site: &SiteId, batch: BatchId, durable: bool, now_ms: i64) -> bool {
        let Some(numbers) = self.reserved.get_mut(site) else { return false };
        let reservation = numbers.remove(&batch);
        if numbers.is_empty() {
            self.reserved.remove(site);
        }
        let Some(Reservation { key, digest, awaited }) = reservation else { return false };
        if durable {
            self.mark(&Try { site, key: &key, batch, digest: &digest, now_ms });
        }
        awaited
    }

    /// Takes a batch read from the log. If the ones before it make it a duplicate or a conflict, the engine drops it;
    /// then it is not marked, so that its sender is not told that its bytes are there.
    pub fn insert(&mut self, found: &Try<'_>) {
        let spool = self.sites.get(found.site).and_then(|spools| spools.get(&found.batch.spool));
        let known = spool.filter(|spool| !spool.is_forgotten(found.now_ms));
        if known.is_none_or(|spool| spool.look(found, &|_| KeyStatus::Good) == Seen::New) {
            self.mark(found);
        }
    }

    /// Notes that the log has this batch.
    fn mark(&mut self, taken: &Try<'_>) {
        let Try { batch, digest, now_ms, .. } = *taken;
        self.put(taken.site, batch.spool, Some(taken.key), now_ms, |seen| seen.mark(batch.seq, digest));
    }

    /// Takes what is known of a spool under a key from before this process.
    pub fn restore(&mut self, site: &SiteId, spool: SpoolId, key: Option<&KeyId>, seen: ReplayWindow, last_ms: i64) {
        self.put(site, spool, key, last_ms, |window| *window = seen);
    }

    /// The key was stolen: what it signed before binds nobody from here on.
    pub(crate) fn forget_key(&mut self, site: &SiteId, key: &KeyId) {
        let Some(spools) = self.sites.get_mut(site) else { return };
        for spool in spools.values_mut() {
            let known = spool.windows.len();
            spool.windows.retain(|w| w.key.as_ref() != Some(key));
            self.windows -= known - spool.windows.len();
        }
        spools.retain(|_, spool| spool.doubtful || !spool.windows.is_empty());
    }

    /// The site was closed: nothing binds it from here on.
    pub(crate) fn forget_site(&mut self, site: &SiteId) {
        let spools = self.sites.remove(site);
        self.windows -= spools.iter().flat_map(BTreeMap::values).map(|s| s.windows.len()).sum::<usize>();
    }

    /// Changes the window of a spool under a key, if there is room for it.
    fn put(
        &mut self,
        site: &SiteId,
        spool: SpoolId,
        key: Option<&KeyId>,
        now_ms: i64,
        change: impl FnOnce(&mut ReplayWindow),
    ) {
        if !self.sites.contains_key(site) {
            self.sites.insert(site.clone(), BTreeMap::new());
        }
        let Some(spools) = self.sites.get_mut(site) else { return };
        // The log may hold more spools from before this process: the newest are kept.
        if !spools.contains_key(&spool) && spools.len() >= SPOOLS_MAX {
            let oldest = spools.iter().map(|(id, s)| (s.last_ms, *id)).min();
            let Some((_, id)) = oldest.filter(|(last_ms, _)| *last_ms <= now_ms) else { return };
            self.windows -= spools.remove(&id).map_or(0, |s| s.windows.len());
        }
        let has = |s: &Spool| s.windows.iter().any(|w| w.key.as_ref() == key);
        if self.windows >= REPLAY_SPOOLS_CACHED_MAX && !spools.get(&spool).is_some_and(has) {
            return;
        }
        if !spools.contains_key(&spool) {
            let doubtful = spools.len() + 1 >= SPOOLS_MAX || spools.values().any(|s| s.doubtful);
            spools.insert(spool, Spool { doubtful, ..Spool::default() });
        }
        let Some(spool) = spools.get_mut(&spool) else { return };
        spool.last_ms = spool.last_ms.max(now_ms);
        let known = spool.windows.len();
        change(spool.window(key));
        self.windows += spool.windows.len() - known;
    }

    /// Drops the spools that have been silent too long.
    pub fn forget(&mut self, now_ms: i64) {
        for spools in self.sites.values_mut() {
            spools.retain(|_, s| !s.is_forgotten(now_ms));
        }
        self.sites.retain(|_, spools| !spools.is_empty());
        self.windows = self.sites.values().flat_map(BTreeMap::values).map(|s| s.windows.len()).sum();
    }

    /// How many spools are remembered, of all sites together.
    pub fn spools(&self) -> usize {
        self.sites.values().map(BTreeMap::len).sum()
    }
}

#[cfg(test)]
mod tests;
