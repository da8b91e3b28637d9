//! `state.json` of a spool: all that is not a batch or a signal.

use std::collections::BTreeSet;

use logystera_schemas::catalogue::SignalType;
use logystera_schemas::ids::SpoolId;
use serde::{Deserialize, Serialize};

use crate::core::before::Sent;
use crate::core::dropped::Dropped;

/// Version of the spool's files. One of another version is refused.
pub const VERSION: u32 = 1;

/// What a spool belongs to. A change of any of it draws a new spool id, so that a cloned machine or a site that moved
/// does not go on under the old one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpoolOwner {
    /// Address that batches are posted to.
    pub url: String,
    /// Site.
    pub site: String,
    /// The installation's name; none in a spool of an older version, which takes the one that comes first.
    #[serde(default)]
    pub audience: Option<String>,
    /// Name of this machine.
    pub host: String,
}

impl SpoolOwner {
    /// Whether batches of both are for the same site of the same installation.
    pub fn has_address_of(&self, other: &Self) -> bool {
        let installation = self.audience.as_ref().zip(other.audience.as_ref());
        self.url == other.url && self.site == other.site && installation.is_none_or(|(own, others)| own == others)
    }
}

/// How a spool is fed. One is never fed both ways, for a file has its own time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feed {
    /// From whole files.
    File,
    /// From a stream.
    Follow,
}

/// A file that was cut into batches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// SHA-256 of its bytes, in hex, also if only what follows an earlier part was cut.
    pub digest: String,
    /// Whether its times were shifted.
    pub rebased: bool,
    /// Number of its first batch.
    pub first_seq: u64,
    /// Whether it is cut whole; if not, it is cut anew.
    pub cut: bool,
    /// Its signals.
    pub signals: u64,
    /// Its lines that are none.
    pub malformed: u64,
}

/// Signals by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Batches with a final answer.
    pub batches: u64,
    /// Taken.
    pub accepted: u64,
    /// Found in the log already.
    pub duplicate: u64,
    /// Refused one by one.
    pub refused: u64,
    /// Lost with their batch.
    pub dropped: u64,
    /// Lost because the spool was full.
    pub overflow: u64,
}

impl Totals {
    /// Adds what two totals differ by, except overflows.
    pub fn add(&mut self, before: &Self, after: &Self) {
        self.batches += after.batches.saturating_sub(before.batches);
        self.accepted += after.accepted.saturating_sub(before.accepted);
        self.duplicate += after.duplicate.saturating_sub(before.duplicate);
        self.refused += after.refused.saturating_sub(before.refused);
        self.dropped += after.dropped.saturating_sub(before.dropped);
    }

    /// Signals with a final answer.
    pub fn settled(&self) -> u64 {
        self.accepted + self.duplicate + self.refused + self.dropped
    }
}

/// The state of a spool.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    /// [`VERSION`].
    pub version: u32,
    /// Id, drawn at random.
    pub spool: String,
    /// What it belongs to.
    pub owner: SpoolOwner,
    /// How it is fed.
    pub feed: Feed,
    /// Number of the next batch that is claimed.
    pub next_seq: u64,
    /// Number of the last batch that had a final answer.
    pub done_seq: u64,
    /// Number of the last batch that a try was begun of: on disk before its first byte leaves. None in a spool of an
    /// older version, until it is opened.
    #[serde(default)]
    pub tried_seq: Option<u64>,
    /// Number of the file of signals that are not in a batch yet.
    pub open: u64,
    /// Time of the last signal, milliseconds since the epoch.
    pub last_at: i64,
    /// `through` of the last claimed batch.
    pub last_through: i64,
    /// Server minus sender, in milliseconds.
    pub clock_offset_ms: i64,
    /// Signal types that were seen: those that are switched on.
    pub enabled: BTreeSet<String>,
    /// The file that was cut last.
    pub input: Option<Input>,
    /// Files that were cut, the newest last.
    #[serde(default)]
    pub sent: Vec<Sent>,
    /// Batch that is being halved.
    pub splitting: Option<u64>,
    /// Whether the gateway said that the site is closed.
    pub closed: bool,
    /// What was dropped and not told yet.
    pub dropped: Dropped,
    /// What became of the input's signals.
    pub totals: Totals,
}

impl State {
    /// The state of a new spool.
    pub fn new(spool: SpoolId, owner: SpoolOwner, feed: Feed) -> Self {
        Self {
            version: VERSION,
            spool: spool.to_string(),
            owner,
            feed,
            next_seq: 1,
            done_seq: 0,
            tried_seq: Some(0),
            open: 1,
            last_at: 0,
            last_through: -1,
            clock_offset_ms: 0,
            enabled: BTreeSet::new(),
            input: None,
            sent: Vec::new(),
            splitting: None,
            closed: false,
            dropped: Dropped::default(),
            totals: Totals::default(),
        }
    }

    /// Notes that a type is in use, if the catalogue has it: a name that no gateway knows must not spoil a batch's
    /// head.
    pub fn enable(&mut self, kind: &str) {
        if !self.enabled.contains(kind) && SignalType::from_sent_name(kind).is_some() {
            self.enabled.insert(kind.to_owned());
        }
    }
}
