//! Which channels a detection goes to.

use logystera_schemas::detection::{Detection, DetectionState};
use logystera_schemas::ids::ChannelId;

use crate::core::reason::Reason;
use crate::core::tenant::Tenant;

/// Where a detection goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::core) enum Route {
    /// To no channel.
    Nowhere(Reason),
    /// To these channels, in their order. A channel with a reason gets nothing.
    To(Vec<(ChannelId, Option<Reason>)>),
}

/// To all channels of its tenant, unless a suppression holds it back. `tenant` is none if nothing is known of it.
pub(in crate::core) fn route(detection: &Detection, tenant: Option<&Tenant>) -> Route {
    if detection.state == DetectionState::Suppressed {
        return Route::Nowhere(Reason::Suppressed);
    }
    let channels: Vec<_> = tenant
        .iter()
        .flat_map(|tenant| &tenant.channels)
        .map(|(id, channel)| (id.clone(), channel.off_since.is_some().then_some(Reason::ChannelDisabled)))
        .collect();
    if channels.is_empty() { Route::Nowhere(Reason::NoChannel) } else { Route::To(channels) }
}
