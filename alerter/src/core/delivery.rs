//! One message to one channel: about one detection, or about a bundle of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use logystera_schemas::alert::{Digest, Failed, Frozen, Merged};
use logystera_schemas::avro::{Datum, Writer};
use logystera_schemas::detection::{Detection, DetectionReason, DetectionState};
use logystera_schemas::ids::{ChannelId, Sha256Digest, SiteId};
use logystera_schemas::time::WallMs;

use super::clock::Timer;

/// Where a delivery stands. One that ended is no longer in the state: its rows tell of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It waits for its next attempt.
    Waiting(Timer),
    /// Its attempt was started and has not ended.
    InFlight,
}

/// One message to one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Delivery {
    pub(super) channel: ChannelId,
    /// The detection that it tells; of a bundle the first one. Its rows name it.
    pub(super) lead: Line,
    /// The others that it tells, by their place: all were planned after the first. None: it is no bundle, or not yet.
    pub(super) others: BTreeMap<u64, Line>,
    /// Derived: what a bundle's detections have in common. None: it takes no others.
    pub(super) gathers: Option<Arc<[u8]>>,
    /// What it counts besides those that it names, if it is a digest.
    pub(super) digest: Option<Digest>,
    /// Set if the delivery is the news that this channel was switched off, when it answered 410 to the detection.
    pub(super) disabled: Option<ChannelId>,
    /// Attempts started so far: also the number of the one in the air.
    pub(super) attempts: u32,
    /// How many of them use no step of the schedule: those that were throttled or answered 410, and those that news
    /// behind the delivery brought about.
    pub(super) off_schedule: u32,
    /// How many of them were refused for good.
    pub(super) refusals: u32,
    /// When the channel first throttled it.
    pub(super) throttled_since: Option<WallMs>,
    /// When the newest attempt was due. If that attempt uses no step, the next one is due then too, and so keeps its
    /// place.
    pub(super) due: WallMs,
    pub(super) stage: Stage,
    /// It tells its detection by itself, because somebody asked for that: it waits for no others, and no digest tells it.
    pub(super) alone: bool,
    /// What somebody asked for has its place among the lines of its fault all the same, because the channel could not
    /// know of it: its end must not leave before it.
    pub(super) ordered: bool,
    /// It was held back before, and rows say so: if another delivery tells it after all, a last row says that.
    pub(super) released: bool,
    /// Set if it goes to the fallback channel: the channels that did not take it.
    pub(super) fallback: Option<Vec<Failed>>,
    /// What its message says besides its detections, since it was first tried.
    pub(super) frozen: Option<Arc<Frozen>>,
}

/// One detection that a delivery tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) detection: DetectionRef,
    /// Place among the tenant's lines, in the order in which they were planned.
    pub(super) order: u64,
    /// What it tells besides its own detection.
    pub(super) merged: Merged,
    /// Derived: the fault that it is about. None: it is the news that a channel was switched off, or of a digest, or
    /// tells by itself, or says what happened, or was asked for and has no place among the others.
    pub(super) lane: Option<Arc<[u8]>>,
}

/// Names a lane: a channel and the bytes of a fault. The lines of a lane tell of one fault to one channel.
pub(super) type Lane = (ChannelId, Arc<[u8]>);

/// Names a detection among those that are held. The number alone is not enough: the numbers of a site that was closed
/// begin anew.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DetectionRef {
    /// The detection's site.
    pub(super) site: SiteId,
    /// Its number there.
    pub(super) seq: u64,
    /// Its chain value.
    pub(super) chain: Sha256Digest,
}

impl DetectionRef {
    pub(super) fn of(detection: &Detection) -> Self {
        Self { site: detection.site.clone(), seq: detection.seq, chain: detection.chain }
    }
}

impl Delivery {
    /// Every detection that it tells.
    pub(super) fn lines(&self) -> impl Iterator<Item = &Line> {
        std::iter::once(&self.lead).chain(self.others.values())
    }

    /// The line with this place.
    pub(super) fn line(&self, order: u64) -> Option<&Line> {
        if self.lead.order == order { Some(&self.lead) } else { self.others.get(&order) }
    }

    /// The line with this place, to be changed.
    pub(super) fn line_mut(&mut self, order: u64) -> Option<&mut Line> {
        if self.lead.order == order { Some(&mut self.lead) } else { self.others.get_mut(&order) }
    }

    /// The same with one of its lines alone.
    pub(super) fn only(&self, order: u64) -> Option<Self> {
        let lead = self.line(order)?.clone();
        let (channel, gathers, digest) = (self.channel.clone(), self.gathers.clone(), self.digest.clone());
        let (disabled, fallback, frozen) = (self.disabled.clone(), self.fallback.clone(), self.frozen.clone());
        let others = BTreeMap::new();
        Some(Self { channel, lead, others, gathers, digest, disabled, fallback, frozen, ..*self })
    }

    /// Whether it goes on to tell what it told: a bundle that was tried may have been heard, and the next try says the
    /// same.
    pub(super) fn is_fixed(&self) -> bool {
        !self.others.is_empty() && (self.attempts > 0 || self.stage == Stage::InFlight)
    }

    /// Attempts that used a step of the schedule.
    pub(super) fn steps(&self) -> u32 {
        self.attempts.saturating_sub(self.off_schedule)
    }

    /// When it is due, while it waits.
    pub(super) fn waits_for(&self) -> Option<Timer> {
        match self.stage {
            Stage::Waiting(timer) => Some(timer),
            Stage::InFlight => None,
        }
    }
}

/// Whether an episode begins with it. What is told once is one by itself.
pub(super) fn begins(detection: &Detection) -> bool {
    let is_new = detection.once || detection.reason != DetectionReason::SuppressionExpired;
    detection.state == DetectionState::Firing && is_new
}

/// The lane of a detection that is told as others of its fault are. None: it says what happened, which no other one says.
pub(super) fn own_lane(detection: &Detection) -> Option<Arc<[u8]>> {
    (!detection.once).then(|| lane_of(detection))
}

/// The bytes that tell one fault from another: site, rule and group.
pub(super) fn lane_of(detection: &Detection) -> Arc<[u8]> {
    let mut bytes = Writer::new();
    detection.site.write(&mut bytes);
    detection.rule.write(&mut bytes);
    detection.group.write(&mut bytes);
    bytes.into_bytes().into()
}
