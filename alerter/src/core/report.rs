//! What the planner tells besides its rows: for metrics and for operators. No part of the state.

use logystera_schemas::ids::{ChannelId, TenantId};
use logystera_schemas::time::WallMs;

/// What an operator should hear of. No part of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A channel answered 410. It is tried once more.
    ChannelGone {
        /// Tenant.
        tenant: TenantId,
        /// Channel.
        channel: ChannelId,
        /// When it is tried again.
        until: WallMs,
    },
    /// A channel answered 410 again, and is switched off.
    ChannelSwitchedOff {
        /// Tenant.
        tenant: TenantId,
        /// Channel.
        channel: ChannelId,
        /// Alerts that waited for it and are not sent.
        given_up: usize,
    },
    /// Somebody switched a channel on.
    ChannelEnabled {
        /// Tenant.
        tenant: TenantId,
        /// Channel.
        channel: ChannelId,
    },
}

/// What happened since this planner was made, for metrics. No part of the state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Times that a channel asked to be left alone (429, or 503 with a time).
    pub channel_pauses: u64,
    /// Breakers that opened, or opened again after a probe.
    pub breaker_opens: u64,
    /// Channels that answered 410 and are tried once more.
    pub channels_gone: u64,
    /// Channels that were switched off by a second 410.
    pub channels_disabled: u64,
    /// Outcomes that came late or twice and changed nothing.
    pub outcomes_ignored: u64,
}
