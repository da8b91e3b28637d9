//! Whose turn it is: the attempts of a tenant that should start now.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use logystera_schemas::delivery::{AttemptEnded, AttemptOutcome};
use logystera_schemas::ids::{ChannelId, DeliveryId, SiteId};
use logystera_schemas::limits::{ATTEMPTS_IN_FLIGHT_FAILING_MAX, ATTEMPTS_IN_FLIGHT_TENANT_MAX};
use logystera_schemas::time::WallMs;

use super::delivery::{Delivery, Line, Stage};
use super::tenant::Tenant;
use super::waiting::{Place, Waiting};

/// What attempts leave that have ended, while their ends are not applied yet.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Places of those that were delivered, by channel and site.
    places: BTreeMap<ChannelId, BTreeMap<SiteId, usize>>,
    /// The channels of the others: nothing starts there before it is known what follows.
    closed: BTreeSet<ChannelId>,
}

impl Left {
    /// How many places.
    pub(super) fn count(&self) -> usize {
        self.places.values().flat_map(BTreeMap::values).sum()
    }

    fn of(&self, channel: &ChannelId) -> usize {
        self.places.get(channel).into_iter().flat_map(BTreeMap::values).sum()
    }

    fn of_site(&self, channel: &ChannelId, site: &SiteId) -> usize {
        self.places.get(channel).and_then(|sites| sites.get(site)).copied().unwrap_or(0)
    }
}

impl Tenant {
    /// Whether another delivery with an older line of one of its lanes has not ended yet.
    fn is_behind(&self, id: DeliveryId) -> bool {
        let Some(delivery) = self.deliveries.get(&id) else { return false };
        let older = |line: &Line| {
            let lane = (delivery.channel.clone(), Arc::clone(line.lane.as_ref()?));
            self.lane(&lane).take_while(|at| at.0 < line.order).find(|at| at.2 != id)
        };
        delivery.lines().any(|line| older(line).is_some())
    }

    /// Deliveries whose time has come, and which are behind nothing; site after site.
    pub(super) fn ready(&self, channel: &ChannelId, wall: WallMs) -> impl Iterator<Item = DeliveryId> {
        let queues = self.waiting.get(channel).into_iter().flat_map(Waiting::sites);
        let over = queues.flat_map(move |(_, queue)| queue.iter().take_while(move |place| place.0 <= wall));
        over.map(|place| place.4).filter(|id| !self.is_behind(*id))
    }

    /// What these attempts leave, of those that are in the air.
    pub(super) fn left_by<'a>(&self, ended: impl Iterator<Item = &'a AttemptEnded>) -> Left {
        let (mut left, mut known) = (Left::default(), BTreeSet::new());
        for end in ended {
            let in_the_air = |d: &&Delivery| d.stage == Stage::InFlight && d.attempts == end.attempt;
            let Some(delivery) = self.deliveries.get(&end.delivery).filter(in_the_air) else { continue };
            if end.outcome != AttemptOutcome::Delivered {
                left.closed.insert(delivery.channel.clone());
            } else if known.insert(end.delivery) {
                let sites = left.places.entry(delivery.channel.clone()).or_default();
                *sites.entry(delivery.lead.detection.site.clone()).or_default() += 1;
            }
        }
        left
    }

    /// Deliveries whose attempt should start now: those of the channels with the fewest attempts in the air first, then by
    /// time. In a channel the sites take turns. Never more than the tenant and each channel may have; channels that
    /// failed last have one each, and leave places to those that answer.
    pub(super) fn due(&self, wall: WallMs, left: &Left) -> Vec<DeliveryId> {
        let in_the_air = |id| self.in_flight.get(id).into_iter().flat_map(BTreeMap::values).sum::<usize>();
        let busy_of = |id| in_the_air(id).saturating_sub(left.of(id));
        let is_failing = |id: &ChannelId| self.channels.get(id).is_some_and(|c| c.failures > 0);
        let room = ATTEMPTS_IN_FLIGHT_TENANT_MAX.saturating_sub(self.in_flight.keys().map(busy_of).sum());
        let failing: usize = self.in_flight.keys().filter(|id| is_failing(id)).map(busy_of).sum();
        let mut room_of_failing = ATTEMPTS_IN_FLIGHT_FAILING_MAX.saturating_sub(failing);
        let mut places = Vec::new();
        for id in self.waiting.keys().filter(|id| room > 0 && !left.closed.contains(*id)) {
            let (busy, is_failing) = (busy_of(id), is_failing(id));
            let Some(channel) = self.channels.get(id) else { continue };
            let places_max = channel.places(wall).min(if is_failing { 1 } else { room });
            let free = places_max.saturating_sub(busy).min(channel.room(wall).unwrap_or(usize::MAX));
            let ready = self.in_turn(id, wall, free, left);
            places.extend(ready.into_iter().enumerate().map(|(i, place)| (busy + i, place, is_failing)));
        }
        places.sort_unstable();
        places.retain(|(_, _, is_failing)| {
            let has_room = !is_failing || room_of_failing > 0;
            room_of_failing -= usize::from(has_room && *is_failing);
            has_room
        });
        places.into_iter().take(room).map(|(_, place, _)| place.4).collect()
    }

    /// At most `free` places of a channel whose time has come: those of the sites with the fewest attempts in the air
    /// there first, beginning after the site that was served last. A site that has a thousand keeps nobody waiting.
    fn in_turn(&self, channel: &ChannelId, wall: WallMs, free: usize, left: &Left) -> Vec<&Place> {
        let last = self.turns.get(channel);
        let mut ready = Vec::new();
        for (site, queue) in self.waiting.get(channel).into_iter().flat_map(Waiting::sites).filter(|_| free > 0) {
            let in_the_air = self.in_flight.get(channel).and_then(|sites| sites.get(site)).copied().unwrap_or(0);
            let in_the_air = in_the_air.saturating_sub(left.of_site(channel, site));
            let had_its_turn = last.is_some_and(|last| site <= last);
            let due = queue.iter().take_while(|place| place.0 <= wall).filter(|place| !self.is_behind(place.4));
            ready.extend(due.take(free).enumerate().map(|(i, place)| (in_the_air + i, had_its_turn, site, place)));
        }
        ready.sort_unstable();
        ready.into_iter().take(free).map(|(.., place)| place).collect()
    }
}
