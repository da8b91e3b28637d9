//! How a channel fares, for people.

use logystera_schemas::ids::{ChannelId, TenantId};
use logystera_schemas::time::WallMs;

use super::channel::Channel;
use super::planner::Planner;

/// How a channel fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelStatus {
    /// Its condition.
    pub condition: Condition,
    /// Code of the newest outcome, unless that was a delivery.
    pub trouble: Option<String>,
    /// Deliveries that wait for it, if that is known.
    pub waiting: Option<usize>,
}

/// How a channel takes its deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nothing is known against it.
    Working,
    /// It asked for less: one attempt at a time, some time apart.
    Paced,
    /// It is left alone until then, because it asked for it.
    Paused {
        /// Until when.
        until: WallMs,
    },
    /// It failed, and is tried again then.
    Failing {
        /// When.
        until: WallMs,
        /// Failures in a row; 0 if that is not known.
        failures: u32,
    },
    /// It answered 410. It is tried once more then, and switched off if it answers the same.
    Gone {
        /// Since when.
        since: WallMs,
        /// When it is tried again.
        until: WallMs,
    },
    /// It answered 410 again and gets nothing until somebody switches it on.
    SwitchedOff {
        /// Since when; 0 if that is not known any more.
        since: WallMs,
    },
}

impl Planner {
    /// How a channel fares at `now`. None: the planner does not know it.
    pub fn channel_status(&self, tenant: &TenantId, channel: &ChannelId, now: WallMs) -> Option<ChannelStatus> {
        let tenant = self.tenants.get(tenant)?;
        let known = tenant.channels.get(channel)?;
        let waiting = Some(tenant.waiting_count_for(channel));
        Some(ChannelStatus { condition: known.condition(now), trouble: known.trouble.clone(), waiting })
    }
}

impl Channel {
    fn condition(&self, now: WallMs) -> Condition {
        let paused = self.pause.filter(|p| !p.is_over(now)).map(|p| p.at);
        if let Some(since) = self.off_since {
            return Condition::SwitchedOff { since };
        }
        if let Some(since) = self.gone_since {
            return Condition::Gone { since, until: paused.unwrap_or(now) };
        }
        match (paused, self.open) {
            (Some(until), _) => Condition::Paused { until },
            (None, Some(open)) => Condition::Failing { until: open.at.max(now), failures: self.failures },
            (None, None) if self.failures > 0 => Condition::Failing { until: now, failures: self.failures },
            (None, None) if self.is_slowed(now) => Condition::Paced,
            (None, None) => Condition::Working,
        }
    }
}
