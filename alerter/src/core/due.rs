//! What the shell asks of the planner: which attempts to start, and which started ones have not ended.

use std::ops::Bound;
use std::sync::Arc;

use logystera_schemas::alert::{About, Due, Told};
use logystera_schemas::delivery::AttemptEnded;
use logystera_schemas::ids::{DeliveryId, TenantId};
use logystera_schemas::limits::{ATTEMPTS_IN_FLIGHT_MAX, ATTEMPTS_IN_FLIGHT_TENANT_MAX};

use super::delivery::{Delivery, Line, Stage};
use super::planner::Planner;
use super::tenant::Tenant;

/// The name of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttemptRef {
    /// Tenant.
    pub tenant: TenantId,
    /// Idempotency key.
    pub delivery: DeliveryId,
    /// Number of the attempt, from 1.
    pub attempt: u32,
}

impl Tenant {
    fn about(&self, delivery: &Delivery) -> About {
        if let Some(channel) = &delivery.disabled {
            return About::ChannelDisabled(channel.clone());
        }
        if let Some(digest) = delivery.digest.as_ref().filter(|digest| digest.alerts() > 1) {
            return About::Digest(digest.clone(), self.detections_of(delivery));
        }
        if delivery.others.is_empty() {
            return About::Detection;
        }
        let told = |line: &Line| {
            let detection = Arc::clone(&self.detections.get(&line.detection)?.detection);
            Some(Told { detection, merged: line.merged })
        };
        About::Bundle(delivery.lines().filter_map(told).collect())
    }
}

impl Planner {
    /// Attempts to start now, one of each tenant in turn, beginning after the tenant that was served last. With those
    /// in the air there are never more than the limits for all, a tenant and a channel allow. The answer stays the same
    /// until a record is applied.
    pub fn due(&self) -> impl Iterator<Item = Due> + use<> {
        self.due_after(&[])
    }

    /// The same when these attempts have ended and their ends stand in the log before the starts, but are not applied:
    /// one that was delivered leaves its place to another, and to a channel where one was not nothing goes yet.
    pub fn due_after(&self, ended: &[AttemptEnded]) -> impl Iterator<Item = Due> + use<> {
        let wall = self.wall();
        let (mut tenants, mut busy) = (Vec::new(), self.in_flight);
        for (id, tenant) in self.round().filter_map(|id| Some((id, self.tenants.get(id)?))) {
            let left = tenant.left_by(ended.iter().filter(|end| end.tenant == *id));
            busy -= left.count();
            tenants.push((id, tenant, left));
        }
        let room = ATTEMPTS_IN_FLIGHT_MAX.saturating_sub(busy);
        let mut queues = Vec::new();
        for (id, tenant, left) in tenants.iter().filter(|_| room > 0) {
            queues.push((*id, *tenant, tenant.due(wall, left)));
        }
        let mut due = Vec::new();
        for turn in 0..ATTEMPTS_IN_FLIGHT_TENANT_MAX {
            for (id, tenant, queue) in &queues {
                let Some((delivery_id, (delivery, detection))) =
                    queue.get(turn).and_then(|d| tenant.find(*d).map(|found| (*d, found)))
                else {
                    continue;
                };
                let one = Due {
                    tenant: (*id).clone(),
                    delivery: delivery_id,
                    attempt: delivery.attempts + 1,
                    about: tenant.about(&delivery),
                    channel: delivery.channel,
                    detection,
                    merged: delivery.lead.merged,
                    fallback: delivery.fallback,
                    frozen: None,
                };
                due.push(match delivery.frozen {
                    Some(frozen) => one.as_frozen(frozen),
                    None => one,
                });
                if due.len() == room {
                    return due.into_iter();
                }
            }
        }
        due.into_iter()
    }

    /// Started attempts that have not ended, by tenant and delivery.
    pub fn unfinished(&self) -> impl Iterator<Item = AttemptRef> {
        self.busy.iter().filter_map(|id| self.tenants.get(id).map(|t| (id, t))).flat_map(|(id, tenant)| {
            tenant.deliveries.iter().filter(|(_, d)| d.stage == Stage::InFlight).map(|(delivery, d)| AttemptRef {
                tenant: id.clone(),
                delivery: *delivery,
                attempt: d.attempts,
            })
        })
    }

    /// Whether this attempt is in the air: its start was applied, its end was not.
    pub fn is_in_flight(&self, attempt: &AttemptRef) -> bool {
        self.tenants
            .get(&attempt.tenant)
            .and_then(|t| t.deliveries.get(&attempt.delivery))
            .is_some_and(|d| d.stage == Stage::InFlight && d.attempts == attempt.attempt)
    }

    /// How many attempts are in the air.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether there is a delivery, waiting or in the air, or something is held back: nothing else waits for time.
    pub fn has_deliveries(&self) -> bool {
        !self.busy.is_empty() || !self.waking.is_empty()
    }

    /// How many deliveries wait.
    pub fn waiting(&self) -> usize {
        self.busy.iter().filter_map(|id| self.tenants.get(id)).map(Tenant::waiting_count).sum()
    }

    /// The tenants with deliveries, beginning after the one served last.
    fn round(&self) -> impl Iterator<Item = &TenantId> {
        let (after, upto) = match &self.last_served {
            Some(last) => ((Bound::Excluded(last), Bound::Unbounded), Bound::Included(last)),
            None => ((Bound::Unbounded, Bound::Unbounded), Bound::Unbounded),
        };
        let head = self.busy.range::<TenantId, _>(after);
        let wrapped = self.last_served.is_some().then(|| self.busy.range::<TenantId, _>((Bound::Unbounded, upto)));
        head.chain(wrapped.into_iter().flatten())
    }
}
