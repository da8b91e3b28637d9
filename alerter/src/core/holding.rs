//! What is held to be told with others: each has its row, which names the delivery that tells it.

use std::sync::Arc;

use logystera_schemas::alert::Merged;
use logystera_schemas::delivery::{Attempt, AttemptState};
use logystera_schemas::detection::Detection;
use logystera_schemas::ids::{ChannelId, DeliveryId, TenantId};

use super::beginnings::EndOfCounted;
use super::delivery::Delivery;
use super::key::Key;
use super::lost::{Standing, Untold};
use super::planner::Planner;
use super::reason::Reason;
use super::row::{RowOf, not_sent};

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

    /// The end of an episode whose beginning a digest tells: that digest takes it if it waits, which this gives; else the end
    /// tells the beginning too, since it may be read first.
    pub(super) fn end_of_counted(
        &mut self,
        planned: &mut Delivery,
        detection: &Arc<Detection>,
        rows: &mut Vec<Attempt>,
    ) -> bool {
        let (id, channel) = (&detection.tenant, planned.channel.clone());
        let Some(tenant) = self.tenants.get_mut(id) else { return false };
        match tenant.end_of_counted(detection, &channel, &mut self.dirty) {
            None => false,
            Some(EndOfCounted::Whole(merged)) => {
                planned.lead.merged = merged;
                false
            }
            Some(EndOfCounted::Counted) => {
                let merged = Merged { untold: true, ..planned.lead.merged };
                self.hold_one(id, &channel, detection, merged, rows);
                true
            }
        }
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

    /// Whether one more line may be held back: if there is no room, the site that has most held back makes it for one that has
    /// less. What it held is not told later, and a row says so.
    pub(super) fn room_to_hold(&mut self, detection: &Detection, rows: &mut Vec<Attempt>) -> bool {
        let (id, wall) = (&detection.tenant, self.clock.wall());
        let Some(tenant) = self.tenants.get_mut(id).filter(|tenant| !tenant.episodes.has_room()) else { return true };
        let Some(episode) = tenant.episodes.crowding(&detection.site) else { return false };
        let Some(known) = tenant.episodes.get(episode) else { return false };
        let Some(line) = known.line.clone() else { return false };
        let standing = Standing { failed: true, reached: !known.told.is_empty(), pending: false };
        let channels = known.held.keys();
        rows.extend(channels.map(|c| not_sent(&line, c.as_str(), &Reason::QueueFull, None, wall)));
        tenant.episodes.change(episode, |known| known.held.clear());
        self.dirty.mark(Key::Episode(id.clone(), episode));
        self.wake(id);
        if standing.is_lost() {
            self.fall_back(Untold::one(&line), rows);
        }
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
