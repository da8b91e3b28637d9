//! `state.json` of a spool: all that is not a batch or a signal.

use std::collections::BTreeSet;

use logystera_schemas::catalogue::SignalType;
use logystera_schemas::ids::SpoolId;
use serde::{Deserialize, Serialize};

use super::core::before::Sent;
use super::core::dropped::Dropped;

/// Version of the spool's files. One of another version is refused.
pub(super) const VERSION: u32 = 1;

/// What a spool belongs to. A change of any of it draws a new spool id, so that a cloned machine or a site that moved does
/// not go on under the old one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owner {
    /// Address that batches are posted to.
    pub(super) url: String,
    /// Site.
    pub(super) site: String,
    /// The installation's name; none in a spool of an older version, which takes the one that comes first.
    #[serde(default)]
    pub(super) audience: Option<String>,
    /// Name of this machine.
    pub(super) host: String,
}

impl Owner {
    /// Whether batches of both are for the same site of the same installation.
    pub(super) fn has_address_of(&self, other: &Self) -> bool {
        let installation = self.audience.as_ref().zip(other.audience.as_ref());
        self.url == other.url && self.site == other.site && installation.is_none_or(|(own, others)| own == others)
    }
}

/// How a spool is fed. One is never fed both ways, for a file has its own time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Feed {
    /// From whole files.
    File,
    /// From a stream.
    Follow,
}

/// A file that was cut into batches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Input {
    /// SHA-256 of its bytes, in hex, also where only what follows an earlier part was cut.
    pub(super) digest: String,
    /// Whether its times were shifted.
    pub(super) rebased: bool,
    /// Number of its first batch.
    pub(super) first_seq: u64,
    /// Whether it is cut whole; if not, it is cut anew.
    pub(super) cut: bool,
    /// Its signals.
    pub(super) signals: u64,
    /// Its lines that are none.
    pub(super) malformed: u64,
}

/// Signals by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Totals {
    /// Batches with a final answer.
    pub(super) batches: u64,
    /// Taken.
    pub(super) accepted: u64,
    /// Found in the log already.
    pub(super) duplicate: u64,
    /// Refused one by one.
    pub(super) refused: u64,
    /// Lost with their batch.
    pub(super) dropped: u64,
    /// Lost because the spool was full.
    pub(super) overflow: u64,
}

impl Totals {
    /// Adds what has become of signals between two states of others, but for overflows.
    pub(super) fn add(&mut self, before: &Self, after: &Self) {
        self.batches += after.batches.saturating_sub(before.batches);
        self.accepted += after.accepted.saturating_sub(before.accepted);
        self.duplicate += after.duplicate.saturating_sub(before.duplicate);
        self.refused += after.refused.saturating_sub(before.refused);
        self.dropped += after.dropped.saturating_sub(before.dropped);
    }

    /// Signals with a final answer.
    pub(super) fn settled(&self) -> u64 {
        self.accepted + self.duplicate + self.refused + self.dropped
    }
}

/// The state of a spool.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct State {
    /// [`VERSION`].
    pub(super) version: u32,
    /// Id, drawn at random.
    pub(super) spool: String,
    /// What it belongs to.
    pub(super) owner: Owner,
    /// How it is fed.
    pub(super) feed: Feed,
    /// Number of the next batch that is claimed.
    pub(super) next_seq: u64,
    /// Number of the last batch that had a final answer.
    pub(super) done_seq: u64,
    /// Number of the last batch that a try was begun of: on disk before its first byte leaves. None in a spool of an older
    /// version, until it is opened.
    #[serde(default)]
    pub(super) tried_seq: Option<u64>,
    /// Number of the file of signals that are not in a batch yet.
    pub(super) open: u64,
    /// Time of the last signal.
    pub(super) last_at: i64,
    /// `through` of the last claimed batch.
    pub(super) last_through: i64,
    /// Server minus sender.
    pub(super) clock_offset_ms: i64,
    /// Signal types that were seen: those that are switched on.
    pub(super) enabled: BTreeSet<String>,
    /// The file that was cut last.
    pub(super) input: Option<Input>,
    /// Files that were cut, the newest last.
    #[serde(default)]
    pub(super) sent: Vec<Sent>,
    /// Batch that is being halved.
    pub(super) splitting: Option<u64>,
    /// Whether the gateway said that the site is closed.
    pub(super) closed: bool,
    /// What was dropped and not told yet.
    pub(super) dropped: Dropped,
    /// What became of the input's signals.
    pub(super) totals: Totals,
}

impl State {
    /// The state of a new spool.
    pub(super) fn new(spool: SpoolId, owner: Owner, feed: Feed) -> Self {
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

    /// Notes that a type is in use, if the catalogue has it: a name that no gateway knows must not spoil a batch's head.
    pub(super) fn enable(&mut self, kind: &str) {
        if !self.enabled.contains(kind) && SignalType::from_sent_name(kind).is_some() {
            self.enabled.insert(kind.to_owned());
        }
    }
}
