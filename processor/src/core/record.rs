//! What is stored of a site at every log record that concerns it: its detections' chain, its watermark, and what
//! happened to its batches.

use logystera_schemas::avro_record;
use logystera_schemas::catalogue::SignalTypes;
use logystera_schemas::ids::{KeyId, Sha256Digest};
use logystera_schemas::limits::STOLEN_KEYS_MAX;
use logystera_schemas::time::{OpenMs, SiteMs, WallMs};

use super::chain::DetectionChain;
use super::version::Version;

avro_record! {
    /// What is stored of a site besides its spools, its rules' groups, and what it holds.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SiteRecord {
        /// Its detections.
        pub chain: DetectionChain,
        /// Digest of its configuration.
        pub digest: Sha256Digest,
        /// Up to where its signals were judged. None: no batch came yet.
        pub watermark: Option<SiteMs>,
        /// Open time at which it was last heard; before that, at which it was configured first.
        pub heard_open: OpenMs,
        /// The same as wall time.
        pub heard_wall: WallMs,
        /// Signal types that its senders say are switched on.
        pub declared_types: SignalTypes,
        /// Whether an absence waits for the next watermark to be counted from.
        pub absences_unset: bool,
        /// Whether absences stand still until the watermark moves.
        pub absences_wait: bool,
        /// What happened to its batches.
        pub outcomes: Outcomes,
        /// Version of the semantics that its configuration asks for. 0 was stored before there were versions, and means
        /// the first.
        pub semantics: u32 where since 2,
        /// Keys that were revoked as stolen, the newest last: gateways may take batches under them until they hear of it.
        pub stolen_keys: Vec<KeyId> where since 2,
    }
}

impl SiteRecord {
    /// The version that it is judged by.
    pub fn version(&self) -> Version {
        if self.semantics >= 2 { Version::Two } else { Version::One }
    }

    /// Whether a key was revoked as stolen before, so that what comes under it is not taken.
    pub(crate) fn is_stolen(&self, key: &KeyId) -> bool {
        self.version() >= Version::Two && self.stolen_keys.contains(key)
    }

    /// Remembers that a key was stolen.
    pub(crate) fn remember_stolen(&mut self, key: &KeyId) {
        self.stolen_keys.retain(|known| known != key);
        if self.stolen_keys.len() == STOLEN_KEYS_MAX {
            self.stolen_keys.remove(0);
        }
        self.stolen_keys.push(key.clone());
    }
}

avro_record! {
    /// What happened to a site's batches and signals, counted from the site's start.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Outcomes {
        /// Batches that were taken.
        pub batches: u64,
        /// Signals in them.
        pub signals: u64,
        /// Batches that had been taken before.
        pub duplicates: u64,
        /// Batches with the number of another batch of their spool, but other bytes.
        pub conflicts: u64,
        /// Batches too far below their spool's newest to tell whether they were taken.
        pub below_window: u64,
        /// Batches of a new spool for which the site had no room.
        pub spool_overflows: u64,
        /// Batches that lay ahead of the gateway's clock and were shifted back.
        pub shifted: u64,
        /// Signals that came after the watermark had passed them.
        pub late: u64,
        /// Signals, and switches of types, that were judged before the watermark passed them, because too many were
        /// held.
        pub released_early: u64,
        /// Batches and signals that the gateway turned away.
        pub refused: u64,
        /// Groups that were dropped to make room.
        pub evicted: u64,
        /// Signals that lay ahead of the gateway's clock while at most half of their batch did, and were cut back to
        /// it.
        pub cut: u64 where since 2,
        /// Spools that were dropped to make room.
        pub spools_evicted: u64 where since 2,
        /// How often the site's time started anew.
        pub time_resets: u64 where since 2,
        /// Batches under a key that had been revoked as stolen before.
        pub stolen: u64 where since 2,
    }
}

impl Outcomes {
    /// All of them, by the names that metrics have for them.
    pub const fn counts(&self) -> [(&'static str, u64); 15] {
        [
            ("batches", self.batches),
            ("signals", self.signals),
            ("refused", self.refused),
            ("duplicates", self.duplicates),
            ("conflicts", self.conflicts),
            ("below_window", self.below_window),
            ("spool_overflows", self.spool_overflows),
            ("spools_evicted", self.spools_evicted),
            ("shifted", self.shifted),
            ("cut", self.cut),
            ("late", self.late),
            ("released_early", self.released_early),
            ("evicted", self.evicted),
            ("time_resets", self.time_resets),
            ("stolen", self.stolen),
        ]
    }
}
