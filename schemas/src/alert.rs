//! What a message to a channel tells, as the planner hands it to whoever writes and sends it.

use std::sync::Arc;

use crate::avro_record;
use crate::detection::{Detection, Severity};
use crate::ids::{ChannelId, DeliveryId, RuleName, TenantId};
use crate::time::WallMs;

/// What a delivery tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// The detection.
    Detection,
    /// These detections, of which [`Due::detection`] is the first: one rule's, all firing or all over.
    Bundle(Vec<Told>),
    /// What the channel had no room for; of these detections, of which [`Due::detection`] is the first, by name.
    Digest(Digest, Vec<Arc<Detection>>),
    /// This channel of the tenant answered 410 to the detection, is switched off and gets nothing more.
    ChannelDisabled(ChannelId),
}

/// A detection of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The detection.
    pub detection: Arc<Detection>,
    /// What to tell besides, as in [`Due::merged`].
    pub merged: Merged,
}

/// An attempt that should start now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Tenant.
    pub tenant: TenantId,
    /// Idempotency key.
    pub delivery: DeliveryId,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// Where to.
    pub channel: ChannelId,
    /// What to tell.
    pub about: About,
    /// The detection that it is about.
    pub detection: Arc<Detection>,
    /// What to tell besides: older lines of the same fault that it has overtaken. `lines` is 0 if there are none.
    pub merged: Merged,
    /// Set if no other channel took it, and this is the fallback channel: those that failed.
    pub fallback: Option<Vec<Failed>>,
}

avro_record! {
    /// A channel that could not be told.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Failed {
        /// Id.
        pub channel: ChannelId,
        /// What it speaks, such as `slack`.
        pub kind: String,
    }
}

avro_record! {
    /// What a message tells besides its own detection: lines of the same fault that it has overtaken.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Merged {
        /// How many lines.
        pub lines: u32,
        /// How many of them were firings.
        pub firings: u32,
        /// Time at which the condition of the oldest of them became true, in milliseconds; 0 if there is none.
        pub since: i64,
        /// Whether the channel cannot know of the episode yet: then a resolution tells of the firing too.
        pub untold: bool,
    }
}

avro_record! {
    /// Alerts of a rule in a digest.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct DigestCount {
        /// The rule.
        pub rule: RuleName,
        /// Its title.
        pub title: String,
        /// How bad.
        pub severity: Severity,
        /// Whether they are over.
        pub is_over: bool,
        /// How many.
        pub alerts: u64,
    }
}

avro_record! {
    /// Alerts that a channel had no room for.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Digest {
        /// When the first was held back.
        pub since: WallMs,
        /// By rule, the worst first: at most [`DIGEST_COUNTS_MAX`](crate::limits::DIGEST_COUNTS_MAX).
        pub counts: Vec<DigestCount>,
        /// Alerts of rules for which that has no room.
        pub rest: u64,
    }
}

impl Digest {
    /// All alerts that it tells.
    pub fn alerts(&self) -> u64 {
        self.counts.iter().map(|count| count.alerts).sum::<u64>() + self.rest
    }
}
