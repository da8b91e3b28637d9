//! Makes the delivery of a detection, and says when it is tried first.

use logystera_schemas::detection::{Detection, DetectionReason, DetectionState};
use logystera_schemas::ids::{ChannelId, DeliveryId};
use logystera_schemas::limits::{BACKLOG_AGE_MS, BACKLOG_WAIT_MS};
use logystera_schemas::time::WallMs;

use crate::core::clock::Timer;
use crate::core::delivery::{Delivery, DetectionRef, Merged, Stage, lane_of};
use crate::core::retry;

/// A delivery that has not been tried. An old detection comes with others, out of a backlog: it waits a little for
/// them.
pub(in crate::core) fn plan(
    id: DeliveryId,
    detection: &Detection,
    channel: &ChannelId,
    disabled: Option<ChannelId>,
    order: u64,
    wall: WallMs,
) -> Delivery {
    let is_late = disabled.is_none() && wall.0.saturating_sub(detection.last_evaluated_at) >= BACKLOG_AGE_MS;
    let delay_ms = if is_late { BACKLOG_WAIT_MS } else { retry::delay_ms(id, 1) };
    let begins = detection.state == DetectionState::Firing && detection.reason != DetectionReason::SuppressionExpired;
    Delivery {
        channel: channel.clone(),
        detection: DetectionRef::of(detection),
        lane: lane_of(detection, disabled.as_ref()),
        disabled,
        alone: false,
        attempts: 0,
        off_schedule: 0,
        refusals: 0,
        throttled_since: None,
        order,
        due: wall,
        merged: Merged { untold: begins, ..Merged::default() },
        stage: Stage::Waiting(Timer::after(wall, delay_ms)),
    }
}
