//! Which channels a detection goes to, and what becomes of it there.

use logystera_schemas::detection::{Detection, DetectionState};
use logystera_schemas::ids::ChannelId;
use logystera_schemas::time::WallMs;

use super::hold::{Fate, fate, silenced_once};
use crate::core::reason::Reason;
use crate::core::tenant::Tenant;

/// Where a detection goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::core) enum Route {
    /// To no channel.
    Nowhere(Reason),
    /// To these channels, in their order.
    To(Vec<(ChannelId, Fate)>),
}

/// To the channels of its tenant that take it, unless a suppression holds it back. `tenant` is none if nothing is known
/// of it.
pub(in crate::core) fn route(detection: &Detection, tenant: Option<&Tenant>, wall: WallMs) -> Route {
    if detection.state == DetectionState::Suppressed {
        return Route::Nowhere(Reason::Suppressed);
    }
    let fates: Vec<_> = tenant
        .iter()
        .flat_map(|tenant| tenant.channels.iter().map(move |(id, channel)| (tenant, id, channel)))
        .filter(|(.., channel)| !channel.fallback)
        .map(|(tenant, id, channel)| (id.clone(), silenced_once(detection, fate(tenant, id, channel, detection, wall))))
        .collect();
    if fates.is_empty() { Route::Nowhere(Reason::NoChannel) } else { Route::To(fates) }
}
