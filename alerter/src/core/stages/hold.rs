//! What becomes of a detection at one channel: whether it takes it, whether it can know what the detection ends, and
//! whether a silence or its quiet hours hold it back.
//!
//! A silence holds firings back and no end: whoever heard that it began hears that it is over, at once. Quiet hours
//! hold both back. What only says that something happened is not told after a silence.

use logystera_schemas::detection::{Detection, DetectionState};
use logystera_schemas::ids::ChannelId;
use logystera_schemas::time::WallMs;

use crate::core::channel::Channel;
use crate::core::episodes::{Hold, HoldReason, Knows};
use crate::core::reason::Reason;
use crate::core::tenant::Tenant;

/// What becomes of a detection at one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::core) enum Fate {
    /// It is told.
    Told,
    /// It is told later, if it still holds then.
    Later(Hold),
    /// It is not told, for this reason.
    Not(Reason),
    /// It is none of those that the channel takes.
    Unwanted,
}

/// What becomes of a detection that is firing or resolved.
pub(in crate::core) fn fate(
    tenant: &Tenant,
    id: &ChannelId,
    channel: &Channel,
    detection: &Detection,
    wall: WallMs,
) -> Fate {
    if channel.fallback {
        return Fate::Unwanted;
    }
    let takes = channel.takes(detection, tenant.labels_of(&detection.site));
    if is_over(detection) {
        match tenant.episodes.knows(detection.id, id) {
            Knows::No if takes || tenant.episodes.is_held(detection.id, id) => return Fate::Not(Reason::NeverTold),
            Knows::No => return Fate::Unwanted,
            Knows::Unsure if !takes => return Fate::Unwanted,
            Knows::Yes | Knows::Unsure if !channel.settings.resolved => return Fate::Not(Reason::ResolvedNotWanted),
            Knows::Yes | Knows::Unsure => {}
        }
    } else if !takes {
        return Fate::Unwanted;
    }
    if channel.off_since.is_some() {
        return Fate::Not(Reason::ChannelDisabled);
    }
    hold(tenant, channel, detection, wall).map_or(Fate::Told, Fate::Later)
}

/// The same for one that has just come. What happens in a silence is over before the silence is: nobody hears of it later.
pub(in crate::core) fn silenced_once(detection: &Detection, fate: Fate) -> Fate {
    match fate {
        Fate::Later(hold) if detection.once && hold.reason == HoldReason::Silenced => Fate::Not(Reason::Silenced),
        fate => fate,
    }
}

fn is_over(detection: &Detection) -> bool {
    detection.state == DetectionState::Resolved
}

/// What holds a line back at `wall`, and until when one thing after the other does. Each step goes to the end of a
/// silence, which does not hold after it, or of quiet hours, which do not follow each other.
fn hold(tenant: &Tenant, channel: &Channel, detection: &Detection, wall: WallMs) -> Option<Hold> {
    let silenced = |at: WallMs| {
        let live = tenant.silences.values().filter(|s| !is_over(detection) && s.is_live(at));
        let meant = live.filter(|s| s.matches(detection, tenant.labels_of(&detection.site)));
        meant.map(|silence| silence.until).max()
    };
    let quiet = |at: WallMs| {
        let quiet = channel.settings.quiet.filter(|quiet| !quiet.lets_through(detection.severity));
        quiet.and_then(|quiet| quiet.over_at(at))
    };
    let step = |at: WallMs| {
        let silenced = silenced(at).map(|until| Hold { reason: HoldReason::Silenced, until });
        silenced.or_else(|| quiet(at).map(|until| Hold { reason: HoldReason::QuietHours, until }))
    };
    let mut held = step(wall)?;
    while let Some(further) = step(held.until) {
        held.until = further.until;
    }
    Some(held)
}
