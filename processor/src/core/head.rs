//! What a site keeps besides its rules' groups: its head, what it holds, and what changed since it was put.

use std::collections::BTreeSet;

use logystera_schemas::avro_record;
use logystera_schemas::catalogue::SignalTypes;
use logystera_schemas::ids::{Sha256Digest, SpoolId};
use logystera_schemas::time::{OpenMs, SiteMs, WallMs};

use super::voice::Voice;

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
        /// Batches with the id of another one.
        pub conflicts: u64,
        /// Batches too far below their spool's newest to tell whether they were taken.
        pub below_window: u64,
        /// Batches of one spool more than a site may have.
        pub spool_overflows: u64,
        /// Batches that lay ahead of the gateway's clock and were shifted back.
        pub shifted: u64,
        /// Signals that came after the watermark had passed them.
        pub late: u64,
        /// Signals that were judged before the watermark passed them, because too many were held.
        pub released_early: u64,
        /// Batches and signals that the gateway turned away.
        pub refused: u64,
        /// Groups that were dropped to make room.
        pub evicted: u64,
        /// Signals that lay ahead of the gateway's clock, alone among theirs, and were cut back to it.
        pub cut: u64 where since 2,
        /// Spools that were dropped to make room.
        pub spools_evicted: u64 where since 2,
        /// How often the site's time started anew.
        pub time_resets: u64 where since 2,
    }
}

/// A version of the semantics: what a log means. A site is judged by the one that its newest configuration asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// The first.
    One,
    /// Silence is told again; a site waits for fewer spools, and finds back when its clock was wrong.
    Two,
}

avro_record! {
    /// What is stored of a site besides its spools, rules, groups and held signals.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Head {
        /// Numbering and chain of its detections.
        pub voice: Voice,
        /// Digest of its configuration.
        pub digest: Sha256Digest,
        /// Up to where its signals were judged; none before the first batch.
        pub watermark: Option<SiteMs>,
        /// When it was last heard, or configured first.
        pub heard_open: OpenMs,
        /// The same in wall time.
        pub heard_wall: WallMs,
        /// Signal types that are switched on.
        pub enabled: SignalTypes,
        /// Whether an absence waits for the next watermark.
        pub absences_unset: bool,
        /// Whether absences stand still until the watermark moves.
        pub absences_wait: bool,
        /// What happened to its batches.
        pub outcomes: Outcomes,
        /// Version of the semantics that its configuration asks for; 0 of the first one, which was not stored.
        pub semantics: u32 where since 2,
    }
}

impl Head {
    /// The version that it is judged by.
    pub fn version(&self) -> Version {
        if self.semantics >= 2 { Version::Two } else { Version::One }
    }
}

/// Place of something held: site time, spool, batch, index in the batch. It is judged in this order.
pub type HeldKey = (SiteMs, SpoolId, u64, u32);

/// Something that waits until the watermark passes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// A signal as [`logystera_schemas::batch::Frame::bytes`] has it.
    Signal(Box<[u8]>),
    /// The spool's set of switched-on signal types from here on.
    Enabled(SignalTypes),
}

impl Held {
    /// Bytes that it counts for.
    pub fn cost(&self) -> usize {
        match self {
            Self::Signal(bytes) => bytes.len(),
            Self::Enabled(_) => 2,
        }
    }
}

/// What changed of a site since it was put.
#[derive(Debug, Default)]
pub struct Changes {
    /// Whether the site is in the engine's list of changed ones.
    pub listed: bool,
    /// About how many bytes its puts take, as the engine counts them.
    pub bytes: usize,
    /// The head.
    pub head: bool,
    /// Spools that changed or went.
    pub spools: BTreeSet<SpoolId>,
    /// Held things that came or went.
    pub held: BTreeSet<HeldKey>,
}
