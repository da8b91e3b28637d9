//! What is held to be told with others: each has its row, which names the delivery that tells it.

use std::sync::Arc;

use logystera_schemas::alert::Merged;
use logystera_schemas::delivery::{Attempt, AttemptState};
use logystera_schemas::detection::Detection;
use logystera_schemas::ids::{ChannelId, DeliveryId, TenantId};

use super::key::Key;
use super::lost::Untold;
use super::planner::Planner;
use super::reason::Reason;
use super::row::RowOf;

impl Planner {
    /// Holds back what any channel has no room for in this minute.
    pub(super) fn hold_back_all(&mut self, rows: &mut Vec<Attempt>) {
        let tenants = self.busy.iter().filter_map(|id| Some((id, self.tenants.get(id)?)));
        let limited: Vec<(TenantId, ChannelId)> = tenants
            .flat_map(|(id, tenant)| tenant.limited().into_iter().map(|channel| (id.clone(), channel)))
            .collect();
        for (id, channel) in limited {
            self.hold_back(&id, &channel, rows);
        }
    }

    /// Holds back what a channel has no room for in this minute: a digest tells it.
    pub(super) fn hold_back(&mut self, id: &TenantId, channel: &ChannelId, rows: &mut Vec<Attempt>) {
        let wall = self.clock.wall();
        let surplus = self.tenants.get(id).map(|tenant| tenant.surplus(channel, wall)).unwrap_or_default();
        for surplus in surplus {
            let Some(tenant) = self.tenants.get_mut(id) else { return };
            let Some((delivery, first)) = tenant.find(surplus) else { continue };
            let detections = tenant.detections_of(&delivery);
            tenant.remove(id, surplus, &mut self.dirty);
            self.dirty.mark(Key::Delivery(id.clone(), surplus));
            for (line, detection) in delivery.lines().zip(&detections) {
                self.hold_one(id, channel, detection, line.merged, rows);
            }
            if delivery.gathers.is_some() || delivery.released {
                // Rows named this delivery already: its last one.
                let of = RowOf {
                    detection: &first,
                    channel: channel.as_str(),
                    delivery: surplus,
                    attempt: 0,
                    disabled: None,
                };
                rows.push(of.row(AttemptState::NotSent, &Reason::RateLimited, wall));
            }
        }
    }

    /// Holds back one detection, which would have told so much besides.
    pub(super) fn hold_one(
        &mut self,
        id: &TenantId,
        channel: &ChannelId,
        detection: &Arc<Detection>,
        merged: Merged,
        rows: &mut Vec<Attempt>,
    ) {
        let wall = self.clock.wall();
        let Some(tenant) = self.tenants.get_mut(id) else { return };
        let delivery = tenant.hold_back(id, channel, (detection, merged), wall, &mut self.dirty);
        self.tell_of_held(detection, channel, delivery, &Reason::RateLimited, rows);
    }

    /// Makes room for a detection in a channel that is full, if another site has more waiting there: the newest alert of
    /// the one that has most goes. Gives whether there is room; and adds what nobody is told of then.
    pub(super) fn make_room(
        &mut self,
        detection: &Detection,
        channel: &ChannelId,
        untold: &mut Untold,
        rows: &mut Vec<Attempt>,
    ) -> bool {
        let (id, wall) = (&detection.tenant, self.clock.wall());
        let Some(tenant) = self.tenants.get(id) else { return false };
        let Some(at) = tenant.crowding(channel, &detection.site) else { return false };
        let Some((_, lost)) = tenant.find_line(at) else { return false };
        let Some(one) = tenant.deliveries.get(&at.2).and_then(|whole| whole.only(at.0)) else { return false };
        self.settle(id, (at.2, &one), false, untold);
        if let Some(tenant) = self.tenants.get_mut(id) {
            tenant.take_line(id, at, &mut self.dirty);
        }
        let of = RowOf { detection: &lost, channel: channel.as_str(), delivery: at.2, attempt: 0, disabled: None };
        rows.push(of.row(AttemptState::NotSent, &Reason::QueueFull, wall));
        self.untell(id, &one, &[lost]);
        true
    }

    /// A row of a detection that waits to be told with others, by this delivery.
    pub(super) fn tell_of_held(
        &self,
        detection: &Detection,
        channel: &ChannelId,
        delivery: DeliveryId,
        reason: &Reason,
        rows: &mut Vec<Attempt>,
    ) {
        let of = RowOf { detection, channel: channel.as_str(), delivery, attempt: 0, disabled: None };
        let next_attempt_at = self.not_before(&detection.tenant, delivery);
        rows.push(Attempt { next_attempt_at, ..of.row(AttemptState::NotSent, reason, self.wall()) });
    }
}
