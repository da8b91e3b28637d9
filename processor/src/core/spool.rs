//! A spool of a site: which of its batches were seen, up to which site time it has sent everything, and whether the
//! watermark waits for it.

use logystera_schemas::avro_record;
use logystera_schemas::catalogue::SignalTypes;
use logystera_schemas::ids::{KeyId, Sha256Digest};
use logystera_schemas::limits::{
    FLUSHES_WAITED, KEY_WINDOWS_MAX, PAUSE_MARGIN_MS, REPLACED_PAUSE_MS_MAX, SENDER_PAUSE_MS_MAX, SITE_CUT_OFF_MS,
    SPOOL_FORGOTTEN_MS, SPOOL_WAIT_MS_MAX, SPOOL_WAIT_MS_MIN,
};
use logystera_schemas::replay::{ReplayWindow, Seen};
use logystera_schemas::time::{OpenMs, SiteMs, WallMs};

use super::version::Version;

avro_record! {
    /// Since when a spool is silent while others are heard.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct SilentSince {
        /// Open time at which another spool was first heard after it.
        pub at: OpenMs,
        /// Whether the whole site had been cut off before.
        pub after_outage: bool,
        /// How much longer it is waited for because of that, in milliseconds. None: set under the first version of the
        /// semantics, which waits for the longest pause of a sender.
        pub pause_ms: Option<i64> where since 2,
    }
}

avro_record! {
    /// The batches seen under one signing key.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct KeyWindow {
        /// The key. None: the batches came under the first version of the semantics, which does not tell keys apart.
        pub key: Option<KeyId>,
        /// Whether the key was revoked.
        pub revoked: bool,
        /// The batches seen.
        pub window: ReplayWindow,
    }
}

avro_record! {
    /// What is known of one spool. Lives until 8 days after its last batch, or until another one needs its room.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Spool {
        /// The batches seen under the key that was heard last: see `key`.
        pub window: ReplayWindow,
        /// Its watermark in site time.
        pub through: SiteMs,
        /// Its flush interval, in seconds: how often it promises a batch.
        pub flush_every_s: u32,
        /// Signal types that it has on at the watermark.
        pub enabled: SignalTypes,
        /// Signal types that its newest batch says it has on: from the end of the batch before.
        pub declared_types: SignalTypes,
        /// Wall time of its last batch.
        pub last_batch: WallMs,
        /// Set while another spool has been heard since this one was last.
        pub silent_since: Option<SilentSince>,
        /// Whether its newest batch said that it is the last one.
        pub ended: bool where since 2,
        /// The key of `window`. None: as in [`KeyWindow`].
        pub key: Option<KeyId> where since 2,
        /// Whether that key was revoked.
        pub revoked: bool where since 2,
        /// Windows of the spool's other keys, the most recently used first.
        pub others: Vec<KeyWindow> where since 2,
    }
}

/// What a revocation did to a spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Revocation {
    /// The key was not heard on it.
    Unconcerned,
    /// It goes on.
    Changed,
    /// It was heard under no other key: nothing that was seen of it counts any more.
    Emptied,
}

impl Spool {
    /// Whether the watermark waits for it, if the site was last heard at `heard`. It does until the spool was silent
    /// for three of its flush intervals (at least 2 minutes, at most 1 hour), and for a sender's pause more after an
    /// outage of the whole site. Its silence is counted from the moment at which another spool is heard. A spool that
    /// has ended is not waited for.
    pub(crate) fn is_live(&self, heard: OpenMs, version: Version) -> bool {
        if self.ended && version >= Version::Two {
            return false;
        }
        self.waited_until(version).is_none_or(|until| heard <= until)
    }

    /// Open time up to which it is waited for: once the site is heard after that, it no longer is. None: no other spool
    /// was heard since this one was.
    pub(crate) fn waited_until(&self, version: Version) -> Option<OpenMs> {
        self.silent_since.map(|silent_since| silent_since.at.plus(self.patience_ms(version)))
    }

    /// How long its silence may last before it is no longer waited for, in milliseconds of open time.
    pub(crate) fn patience_ms(&self, version: Version) -> i64 {
        let flushes_ms = FLUSHES_WAITED * 1_000 * i64::from(self.flush_every_s);
        let pause_ms = self.silent_since.map_or(0, |silent_since| {
            let longest_ms = if silent_since.after_outage { SENDER_PAUSE_MS_MAX } else { 0 };
            silent_since.pause_ms.filter(|_| version >= Version::Two).unwrap_or(longest_ms)
        });
        flushes_ms.clamp(SPOOL_WAIT_MS_MIN, SPOOL_WAIT_MS_MAX) + pause_ms
    }

    /// Whether its last batch is so long ago that it can be forgotten.
    pub(crate) fn is_forgotten(&self, wall: WallMs) -> bool {
        wall.since(self.last_batch) > SPOOL_FORGOTTEN_MS
    }

    /// Another spool was heard. Starts to count the silence of this one, if it is not counted yet; starts anew, once,
    /// after an outage of the whole site, if this one was live until then. Gives whether anything changed.
    pub(crate) fn other_heard(&mut self, heard: &Heard, version: Version) -> bool {
        let starts = match self.silent_since {
            None => true,
            Some(before) => heard.after_outage && !before.after_outage && self.is_live(heard.last, version),
        };
        if starts {
            let pause_ms = (version >= Version::Two).then_some(heard.pause_ms);
            self.silent_since = Some(SilentSince { at: heard.now, after_outage: heard.after_outage, pause_ms });
        }
        starts
    }

    /// What is known of a batch, under whichever of the spool's keys it came: of several answers the first of conflict,
    /// duplicate, below the window, new.
    pub(crate) fn look(&self, seq: u64, digest: &Sha256Digest) -> Seen {
        let rank = |seen: &Seen| match seen {
            Seen::Conflict => 0,
            Seen::Duplicate => 1,
            Seen::BelowWindow => 2,
            Seen::New => 3,
        };
        let windows = std::iter::once(&self.window).chain(self.others.iter().map(|other| &other.window));
        windows.map(|window| window.look(seq, digest)).min_by_key(rank).unwrap_or(Seen::New)
    }

    /// Marks a batch as seen under this key. None: the version of the semantics does not tell keys apart.
    pub(crate) fn mark(&mut self, key: Option<&KeyId>, seq: u64, digest: &Sha256Digest) {
        if self.key.as_ref() != key {
            self.turn_to(key);
        }
        self.window.mark(seq, digest);
    }

    /// Makes the window of `key` the first. If there are too many windows, the one used longest ago goes.
    fn turn_to(&mut self, key: Option<&KeyId>) {
        let next = match self.others.iter().position(|other| other.key.as_ref() == key) {
            Some(place) => self.others.remove(place),
            None => KeyWindow { key: key.cloned(), revoked: false, window: ReplayWindow::default() },
        };
        let last = self.take_up(next);
        self.others.insert(0, last);
        self.others.truncate(KEY_WINDOWS_MAX - 1);
    }

    /// Puts this window in the first place; gives the one that stood there.
    fn take_up(&mut self, next: KeyWindow) -> KeyWindow {
        KeyWindow {
            key: std::mem::replace(&mut self.key, next.key),
            revoked: std::mem::replace(&mut self.revoked, next.revoked),
            window: std::mem::replace(&mut self.window, next.window),
        }
    }

    /// A key was revoked. What was seen under a stolen one counts no more.
    pub(crate) fn revoke(&mut self, key: &KeyId, stolen: bool) -> Revocation {
        let is_first = self.key.as_ref() == Some(key);
        let among_others = self.others.iter().position(|other| other.key.as_ref() == Some(key));
        match (is_first, among_others) {
            (false, None) => return Revocation::Unconcerned,
            (true, _) if !stolen => self.revoked = true,
            (true, _) if self.others.is_empty() => return Revocation::Emptied,
            (true, _) => {
                let next = self.others.remove(0);
                self.take_up(next);
            }
            (false, Some(place)) if stolen => drop(self.others.remove(place)),
            (false, Some(place)) => self.others[place].revoked = true,
        }
        Revocation::Changed
    }

    /// Whether it was heard only under keys that were revoked since.
    pub(crate) fn is_revoked(&self) -> bool {
        self.revoked && self.others.iter().all(|other| other.revoked)
    }
}

/// A sign of life of a site, and the time since the one before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard {
    /// Open time of this sign of life.
    pub(crate) now: OpenMs,
    /// Open time of the one before.
    pub(crate) last: OpenMs,
    /// Whether the whole site was cut off between the two.
    after_outage: bool,
    /// How much longer spools are waited for because of that, in milliseconds.
    pause_ms: i64,
}

impl Heard {
    /// The site was last heard at `last` and is heard at `now`, `silent_ms` of wall time later. The newest gap in the
    /// ticks ended at `gap_end`. `is_new`: a spool is heard for the first time.
    ///
    /// After an outage, spools are waited for twice its length and a margin more: a sender's pauses double from 30 s
    /// on, with full jitter, so that its next one is hardly longer.
    pub(crate) fn new(last: OpenMs, now: OpenMs, gap_end: Option<OpenMs>, silent_ms: i64, is_new: bool) -> Self {
        let after_outage = now.since(last) > SITE_CUT_OFF_MS || gap_end.is_some_and(|end| end > last);
        let longest_ms = if is_new { REPLACED_PAUSE_MS_MAX } else { SENDER_PAUSE_MS_MAX };
        let pause_ms = silent_ms.max(0).saturating_mul(2).saturating_add(PAUSE_MARGIN_MS).min(longest_ms);
        Self { now, last, after_outage, pause_ms: if after_outage { pause_ms } else { 0 } }
    }
}
