//! One tenant's channels and deliveries.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use logystera_schemas::detection::Detection;
use logystera_schemas::ids::{ChannelId, DeliveryId, SiteId, TenantId};
use logystera_schemas::limits::{ATTEMPTS_IN_FLIGHT_FAILING_MAX, ATTEMPTS_IN_FLIGHT_TENANT_MAX, THROTTLED_MS_MAX};
use logystera_schemas::time::WallMs;

use super::channel::Channel;
use super::clock::Timer;
use super::delivery::{Delivery, DetectionRef, Lane, Stage};
use super::key::{Dirty, Key};
use super::reason::Reason;
use super::retry::{self, Verdict};

/// A detection, and how many deliveries tell it.
#[derive(Clone, Debug)]
pub(super) struct HeldDetection {
    pub(super) detection: Arc<Detection>,
    pub(super) deliveries: usize,
}

/// The order within a channel: by time, then as the deliveries were planned.
type Place = (WallMs, u64, SiteId, u64, DeliveryId);

/// One tenant.
#[derive(Clone, Debug, Default)]
pub(super) struct Tenant {
    pub(super) channels: BTreeMap<ChannelId, Channel>,
    pub(super) detections: BTreeMap<DetectionRef, HeldDetection>,
    pub(super) deliveries: BTreeMap<DeliveryId, Delivery>,
    /// The site whose attempt was started last in each channel: its turn is over.
    pub(super) turns: BTreeMap<ChannelId, SiteId>,
    /// Derived: what waits, by channel and site. No empty set.
    waiting: BTreeMap<ChannelId, BTreeMap<SiteId, BTreeSet<Place>>>,
    /// Derived: attempts in the air, by channel and site. No zero.
    in_flight: BTreeMap<ChannelId, BTreeMap<SiteId, usize>>,
    /// Derived: the deliveries of each lane, in the order in which they were planned. No empty set.
    lanes: BTreeMap<Lane, BTreeSet<(u64, u64, DeliveryId)>>,
    /// Derived: the places of all deliveries in the order in which they were planned.
    orders: BTreeSet<(u64, DeliveryId)>,
}

/// What follows an attempt that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Another one, not before this time.
    Again(WallMs),
    /// No other one: the delivery has to be removed. The reason of its row, if that is not the outcome's.
    Over(Option<Reason>),
}

impl Delivery {
    fn place(&self, id: DeliveryId) -> Option<Place> {
        let timer = self.waits_for()?;
        Some((timer.at, self.order, self.detection.site.clone(), self.detection.seq, id))
    }

    /// Its lane in its channel.
    pub(super) fn lane(&self) -> Option<Lane> {
        Some((self.channel.clone(), Arc::clone(self.lane.as_ref()?)))
    }
}

impl Tenant {
    /// Keeps the detection for one more delivery.
    pub(super) fn hold(&mut self, detection: &Arc<Detection>, dirty: &mut Dirty) {
        let key = DetectionRef::of(detection);
        let held = self.detections.entry(key.clone()).or_insert_with(|| {
            dirty.mark(Key::Detection(detection.tenant.clone(), key));
            HeldDetection { detection: Arc::clone(detection), deliveries: 0 }
        });
        held.deliveries += 1;
    }

    /// Place of the next delivery in the order in which they are planned.
    pub(super) fn next_order(&self) -> u64 {
        self.orders.last().map_or(0, |(last, _)| last.saturating_add(1))
    }

    /// Adds a delivery whose detection is held.
    pub(super) fn insert(&mut self, id: DeliveryId, delivery: Delivery) {
        self.index(id, &delivery);
        self.deliveries.insert(id, delivery);
    }

    /// The delivery and its detection.
    pub(super) fn find(&self, id: DeliveryId) -> Option<(Delivery, Arc<Detection>)> {
        let delivery = self.deliveries.get(&id)?;
        let held = self.detections.get(&delivery.detection)?;
        Some((delivery.clone(), Arc::clone(&held.detection)))
    }

    /// Puts a waiting delivery in the air. False: it does not wait for attempt number `attempt`.
    pub(super) fn start(&mut self, id: DeliveryId, attempt: u32) -> bool {
        let Some(delivery) = self.deliveries.get(&id).cloned() else { return false };
        let Some(timer) = delivery.waits_for().filter(|_| attempt == delivery.attempts + 1) else { return false };
        self.unindex(id, &delivery);
        self.turns.insert(delivery.channel.clone(), delivery.detection.site.clone());
        self.insert(id, Delivery { attempts: attempt, due: timer.at, stage: Stage::InFlight, ..delivery });
        true
    }

    /// Plans what follows an attempt that ended. `is_heard`: the channel may know now what the attempt told.
    pub(super) fn next_attempt(
        &mut self,
        id: DeliveryId,
        delivery: &Delivery,
        verdict: Verdict,
        is_heard: bool,
        wall: WallMs,
    ) -> Next {
        let refused = matches!(verdict, Verdict::Refusal | Verdict::Forbidden);
        let is_free = !verdict.is_step();
        let mut next = delivery.clone();
        next.refusals += u32::from(refused);
        next.off_schedule += u32::from(is_free);
        next.merged.untold &= !is_heard;
        let Some(channel) = self.channels.get(&delivery.channel).filter(|c| c.off_since.is_none()) else {
            return Next::Over(None);
        };
        if !retry::goes_on(verdict, next.steps(), next.refusals) {
            return Next::Over(None);
        }
        if matches!(verdict, Verdict::Throttle { .. }) {
            let since = delivery.throttled_since.map_or(wall, |since| since.min(wall));
            if wall.since(since) >= THROTTLED_MS_MAX {
                return Next::Over(Some(Reason::Throttled));
            }
            next.throttled_since = Some(since);
        }
        // An attempt that used no step keeps its place before the deliveries that were due after it.
        let timer = if is_free {
            Timer { at: delivery.due.min(wall), delay_ms: 0 }
        } else {
            Timer::after(wall, retry::delay_ms(id, next.steps() + 1))
        };
        let not_before = channel.not_before(timer.at.max(wall));
        self.unindex(id, delivery);
        self.insert(id, Delivery { stage: Stage::Waiting(timer), ..next });
        Next::Again(not_before)
    }

    /// Removes a delivery, and its detection if no other delivery tells that.
    pub(super) fn remove(&mut self, tenant: &TenantId, id: DeliveryId, dirty: &mut Dirty) {
        let Some(delivery) = self.deliveries.remove(&id) else { return };
        self.unindex(id, &delivery);
        let key = delivery.detection;
        if let Some(held) = self.detections.get_mut(&key) {
            held.deliveries -= 1;
            if held.deliveries == 0 {
                self.detections.remove(&key);
                dirty.mark(Key::Detection(tenant.clone(), key));
            }
        }
    }

    /// Deliveries that wait for a channel, in their order.
    pub(super) fn waiting_for(&self, channel: &ChannelId) -> Vec<DeliveryId> {
        let mut places: Vec<&Place> =
            self.waiting.get(channel).into_iter().flat_map(BTreeMap::values).flatten().collect();
        places.sort_unstable();
        places.into_iter().map(|place| place.4).collect()
    }

    /// How many deliveries wait.
    pub(super) fn waiting_count(&self) -> usize {
        self.waiting.values().flat_map(BTreeMap::values).map(BTreeSet::len).sum()
    }

    /// How many deliveries wait for a channel.
    pub(super) fn waiting_count_for(&self, channel: &ChannelId) -> usize {
        self.waiting.get(channel).into_iter().flat_map(BTreeMap::values).map(BTreeSet::len).sum()
    }

    /// Deliveries of a lane, the oldest first.
    pub(super) fn lane(&self, lane: &Lane) -> impl Iterator<Item = DeliveryId> {
        self.lanes.get(lane).into_iter().flatten().map(|(.., id)| *id)
    }

    /// Whether an older line of its lane has not ended yet.
    fn is_behind(&self, id: DeliveryId) -> bool {
        let lane = self.deliveries.get(&id).and_then(Delivery::lane);
        lane.is_some_and(|lane| self.lane(&lane).next() != Some(id))
    }

    /// Deliveries whose attempt should start now: those of the channels with the fewest attempts in the air first, then by
    /// time. In a channel the sites take turns. Never more than the tenant and each channel may have; channels that
    /// failed last have one each, and leave places to those that answer.
    pub(super) fn due(&self, wall: WallMs) -> Vec<DeliveryId> {
        let busy_of = |id| self.in_flight.get(id).into_iter().flat_map(BTreeMap::values).sum::<usize>();
        let is_failing = |id: &ChannelId| self.channels.get(id).is_some_and(|c| c.failures > 0);
        let room = ATTEMPTS_IN_FLIGHT_TENANT_MAX.saturating_sub(self.in_flight.keys().map(busy_of).sum());
        let failing: usize = self.in_flight.keys().filter(|id| is_failing(id)).map(busy_of).sum();
        let mut room_of_failing = ATTEMPTS_IN_FLIGHT_FAILING_MAX.saturating_sub(failing);
        let mut places = Vec::new();
        for id in self.waiting.keys().filter(|_| room > 0) {
            let (busy, is_failing) = (busy_of(id), is_failing(id));
            let places_max = self.channels.get(id).map_or(0, |c| c.places(wall)).min(if is_failing { 1 } else { room });
            let ready = self.in_turn(id, wall, places_max.saturating_sub(busy));
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
    fn in_turn(&self, channel: &ChannelId, wall: WallMs, free: usize) -> Vec<&Place> {
        let last = self.turns.get(channel);
        let mut ready = Vec::new();
        for (site, queue) in self.waiting.get(channel).into_iter().flatten().filter(|_| free > 0) {
            let in_the_air = self.in_flight.get(channel).and_then(|sites| sites.get(site)).copied().unwrap_or(0);
            let had_its_turn = last.is_some_and(|last| site <= last);
            let due = queue.iter().take_while(|place| place.0 <= wall).filter(|place| !self.is_behind(place.4));
            ready.extend(due.take(free).enumerate().map(|(i, place)| (in_the_air + i, had_its_turn, site, place)));
        }
        ready.sort_unstable();
        ready.into_iter().take(free).map(|(.., place)| place).collect()
    }

    /// Wall time was set back: no timer may lie further off than its own delay.
    pub(super) fn set_back(&mut self, tenant: &TenantId, wall: WallMs, dirty: &mut Dirty) {
        let mut changed = false;
        for channel in self.channels.values_mut() {
            changed |= channel.set_back(wall);
        }
        if changed {
            dirty.mark(Key::Channels(tenant.clone()));
        }
        let late: Vec<(DeliveryId, Delivery, Timer)> = self
            .deliveries
            .iter()
            .filter_map(|(id, delivery)| match delivery.stage {
                Stage::Waiting(timer) if timer.set_back(wall) != timer => Some((*id, delivery.clone(), timer)),
                _ => None,
            })
            .collect();
        for (id, delivery, timer) in late {
            self.unindex(id, &delivery);
            self.insert(id, Delivery { stage: Stage::Waiting(timer.set_back(wall)), ..delivery });
            dirty.mark(Key::Delivery(tenant.clone(), id));
        }
    }

    fn index(&mut self, id: DeliveryId, delivery: &Delivery) {
        self.orders.insert((delivery.order, id));
        if let Some(lane) = delivery.lane() {
            self.lanes.entry(lane).or_default().insert((delivery.order, delivery.detection.seq, id));
        }
        let (channel, site) = (delivery.channel.clone(), delivery.detection.site.clone());
        if let Some(place) = delivery.place(id) {
            self.waiting.entry(channel).or_default().entry(site).or_default().insert(place);
        } else {
            *self.in_flight.entry(channel).or_default().entry(site).or_default() += 1;
        }
    }

    /// Takes a delivery out of what is derived, before it changes.
    pub(super) fn unindex(&mut self, id: DeliveryId, delivery: &Delivery) {
        self.orders.remove(&(delivery.order, id));
        if let Some(lane) = delivery.lane() {
            drop_from(&mut self.lanes, &lane, &(delivery.order, delivery.detection.seq, id));
        }
        let (channel, site) = (&delivery.channel, &delivery.detection.site);
        if let Some(place) = delivery.place(id) {
            let Some(sites) = self.waiting.get_mut(channel) else { return };
            drop_from(sites, site, &place);
            if sites.is_empty() {
                self.waiting.remove(channel);
            }
        } else if let Some(sites) = self.in_flight.get_mut(channel) {
            sites.entry(site.clone()).and_modify(|count| *count -= 1);
            sites.retain(|_, count| *count > 0);
            if sites.is_empty() {
                self.in_flight.remove(channel);
            }
        }
    }
}

/// Removes an item of a set, and the set with its last one.
fn drop_from<K: Ord, V: Ord>(sets: &mut BTreeMap<K, BTreeSet<V>>, key: &K, item: &V) {
    if let Some(set) = sets.get_mut(key) {
        set.remove(item);
        if set.is_empty() {
            sets.remove(key);
        }
    }
}
