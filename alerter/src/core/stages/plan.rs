//! Makes the delivery of a detection, and says when it is tried first.

use std::collections::BTreeMap;

use logystera_schemas::alert::Merged;
use logystera_schemas::detection::Detection;
use logystera_schemas::ids::{ChannelId, DeliveryId};
use logystera_schemas::limits::{BACKLOG_AGE_MS, BACKLOG_WAIT_MS};
use logystera_schemas::time::WallMs;

use crate::core::clock::Timer;
use crate::core::delivery::{Delivery, DetectionRef, Line, Stage, own_lane};
use crate::core::retry;
use crate::core::stages::gather::gathers;

/// What a delivery is planned for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::core) enum PlannedFor {
    /// A detection that came now.
    Detection,
    /// One that was held back until now: it waits for no others of its backlog.
    Release,
    /// The news that this channel was switched off.
    ChannelDisabled(ChannelId),
}

/// A delivery that has not been tried; whether it is news to the channel is for the caller to say. An old detection comes with others, out of a backlog: it waits a little for
/// them. One of a rule that bundles waits for others as long as the rule says.
pub(in crate::core) fn plan(
    id: DeliveryId,
    detection: &Detection,
    channel: &ChannelId,
    disabled: Option<ChannelId>,
    order: u64,
    wall: WallMs,
) -> Delivery {
    let gathers = gathers(detection).filter(|_| disabled.is_none());
    let is_late = disabled.is_none() && wall.0.saturating_sub(detection.last_evaluated_at) >= BACKLOG_AGE_MS;
    let alone_ms = if is_late { BACKLOG_WAIT_MS } else { retry::delay_ms(id, 1) };
    let bundle_ms = detection.bundle.as_ref().filter(|_| gathers.is_some()).map_or(0, |spec| spec.wait_ms);
    Delivery {
        channel: channel.clone(),
        lead: Line {
            detection: DetectionRef::of(detection),
            order,
            merged: Merged::default(),
            lane: own_lane(detection).filter(|_| disabled.is_none()),
        },
        others: BTreeMap::new(),
        gathers,
        digest: None,
        disabled,
        alone: false,
        ordered: false,
        released: false,
        fallback: None,
        frozen: None,
        attempts: 0,
        off_schedule: 0,
        refusals: 0,
        throttled_since: None,
        due: wall,
        stage: Stage::Waiting(Timer::after(wall, alone_ms.max(bundle_ms))),
    }
}
