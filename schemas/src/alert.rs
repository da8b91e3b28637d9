//! What a message to a channel tells, as the planner hands it to whoever writes and sends it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::avro_record;
use crate::detection::{Detection, Severity};
use crate::ids::{ChannelId, DeliveryId, RuleName, SiteId, TenantId};
use crate::labels::SiteLabel;
use crate::limits::SITES_NAMED_MAX;
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
    /// What its message said besides when it was first tried. None: it was not tried yet, or by a version before.
    pub frozen: Option<Arc<Frozen>>,
}

impl Due {
    /// The detections that its message names, in their order.
    pub fn detections(&self) -> Vec<&Detection> {
        match &self.about {
            About::Bundle(told) => told.iter().map(|one| one.detection.as_ref()).collect(),
            About::Digest(_, named) => named.iter().map(AsRef::as_ref).collect(),
            About::Detection | About::ChannelDisabled(_) => vec![self.detection.as_ref()],
        }
    }

    /// The sites that its message names, each once: the first [`SITES_NAMED_MAX`].
    pub fn sites(&self) -> Vec<&SiteId> {
        let mut seen = BTreeSet::new();
        let each = self.detections().into_iter().map(|detection| &detection.site);
        each.filter(|site| seen.insert(*site)).take(SITES_NAMED_MAX).collect()
    }

    /// What each of its lines tells besides its own detection.
    pub fn merged(&self) -> Vec<Merged> {
        match &self.about {
            About::Bundle(told) => told.iter().map(|one| one.merged).collect(),
            About::Detection | About::Digest(..) | About::ChannelDisabled(_) => vec![self.merged],
        }
    }

    /// Says the same as when it was first tried.
    #[must_use]
    pub fn as_frozen(mut self, frozen: Arc<Frozen>) -> Self {
        if let Some(first) = frozen.merged.first() {
            self.merged = *first;
        }
        if let About::Bundle(told) = &mut self.about {
            for (one, merged) in told.iter_mut().zip(&frozen.merged) {
                one.merged = *merged;
            }
        }
        Self { frozen: Some(frozen), ..self }
    }

    /// What is known of a site that its message names.
    pub fn site(&self, site: &SiteId) -> Option<&NamedSite> {
        self.frozen.as_ref()?.sites.iter().find(|named| named.site == *site)
    }
}

avro_record! {
    /// What a message says besides its detections, as it was when the message was first tried. Each later try says the same,
    /// whatever was changed since: a receiver that knows an id need not look whether the text is another.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Frozen {
        /// Address of the deployment, before the paths of alerts.
        pub public_url: String,
        /// Its sites that were known, in the order in which it names them: at most
        /// [`SITES_NAMED_MAX`](crate::limits::SITES_NAMED_MAX).
        pub sites: Vec<NamedSite>,
        /// What each of its lines told besides its own detection.
        pub merged: Vec<Merged>,
        /// Whether it said what the rule says to a person. The text itself goes by the rule's revision.
        pub advised: bool,
    }
}

avro_record! {
    /// A site as its owner knows it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct NamedSite {
        /// Id.
        pub site: SiteId,
        /// Name for people.
        pub name: String,
        /// Its address on the web.
        pub url: Option<String>,
        /// Its labels, by key.
        pub labels: Vec<SiteLabel>,
    }
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
