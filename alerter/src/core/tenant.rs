//! One tenant's channels and deliveries.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use logystera_schemas::detection::Detection;
use logystera_schemas::ids::{ChannelId, DeliveryId, SiteId, TenantId};
use logystera_schemas::limits::ATTEMPTS_IN_FLIGHT_TENANT_MAX;
use logystera_schemas::time::WallMs;

use super::channel::Channel;
use super::clock::Timer;
use super::retry::{self, Verdict};
use super::state::{Dirty, Key};

/// Where a delivery stands. One that ended is gone: its rows tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// For its next attempt.
    Waiting(Timer),
    /// Its attempt was started and has not ended.
    InFlight,
}

/// One alert to one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Delivery {
    pub(super) channel: ChannelId,
    /// The detection's site.
    pub(super) site: SiteId,
    /// The detection's number there.
    pub(super) seq: u64,
    /// The delivery is the news that this channel was disabled, by the detection's delivery.
    pub(super) disabled: Option<ChannelId>,
    /// Attempts started so far: also the number of the one in the air.
    pub(super) attempts: u32,
    /// How many of them were refused for good.
    pub(super) refusals: u32,
    pub(super) stage: Stage,
}

/// A detection that deliveries rest on.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) detection: Arc<Detection>,
    pub(super) deliveries: usize,
}

/// The order within a channel: by time, then as the site's detections came.
type Place = (WallMs, SiteId, u64, DeliveryId);

/// One tenant.
#[derive(Clone, Debug, Default)]
pub(super) struct Tenant {
    pub(super) channels: BTreeMap<ChannelId, Channel>,
    pub(super) detections: BTreeMap<(SiteId, u64), Held>,
    pub(super) deliveries: BTreeMap<DeliveryId, Delivery>,
    /// Derived: what waits, by channel. No empty set.
    waiting: BTreeMap<ChannelId, BTreeSet<Place>>,
    /// Derived: attempts in the air, by channel. No zero.
    in_flight: BTreeMap<ChannelId, usize>,
}

impl Delivery {
    fn place(&self, id: DeliveryId) -> Option<Place> {
        match self.stage {
            Stage::Waiting(timer) => Some((timer.at, self.site.clone(), self.seq, id)),
            Stage::InFlight => None,
        }
    }
}

impl Tenant {
    /// Keeps the detection for one more delivery.
    pub(super) fn hold(&mut self, detection: &Arc<Detection>, dirty: &mut Dirty) {
        let key = (detection.site.clone(), detection.seq);
        let held = self.detections.entry(key).or_insert_with(|| {
            dirty.mark(Key::Detection(detection.tenant.clone(), detection.site.clone(), detection.seq));
            Held { detection: Arc::clone(detection), deliveries: 0 }
        });
        held.deliveries += 1;
    }

    /// Adds a delivery whose detection is held.
    pub(super) fn insert(&mut self, id: DeliveryId, delivery: Delivery) {
        self.index(id, &delivery);
        self.deliveries.insert(id, delivery);
    }

    /// The delivery and its detection.
    pub(super) fn find(&self, id: DeliveryId) -> Option<(Delivery, Arc<Detection>)> {
        let delivery = self.deliveries.get(&id)?;
        let held = self.detections.get(&(delivery.site.clone(), delivery.seq))?;
        Some((delivery.clone(), Arc::clone(&held.detection)))
    }

    /// Puts a waiting delivery in the air. False where it does not wait for this attempt.
    pub(super) fn start(&mut self, id: DeliveryId, attempt: u32) -> bool {
        let Some(delivery) = self.deliveries.get(&id).cloned() else { return false };
        if delivery.stage == Stage::InFlight || attempt != delivery.attempts + 1 {
            return false;
        }
        self.unindex(id, &delivery);
        self.insert(id, Delivery { attempts: attempt, stage: Stage::InFlight, ..delivery });
        true
    }

    /// Plans what follows an attempt that ended, and gives the time at which the next one can be made. None: it is over, and
    /// the delivery has to be removed.
    pub(super) fn next_attempt(
        &mut self,
        id: DeliveryId,
        delivery: &Delivery,
        verdict: Verdict,
        wall: WallMs,
    ) -> Option<WallMs> {
        let refused = matches!(verdict, Verdict::Refusal | Verdict::Forbidden);
        let refusals = delivery.refusals + u32::from(refused);
        let channel = self.channels.get(&delivery.channel).filter(|c| !c.disabled)?;
        if !retry::goes_on(verdict, delivery.attempts, refusals) {
            return None;
        }
        let timer = Timer::after(wall, retry::delay_ms(id, delivery.attempts + 1));
        let next = channel.not_before(timer.at);
        self.unindex(id, delivery);
        self.insert(id, Delivery { refusals, stage: Stage::Waiting(timer), ..delivery.clone() });
        Some(next)
    }

    /// Removes a delivery, and its detection with the last one of it.
    pub(super) fn remove(&mut self, tenant: &TenantId, id: DeliveryId, dirty: &mut Dirty) {
        let Some(delivery) = self.deliveries.remove(&id) else { return };
        self.unindex(id, &delivery);
        let key = (delivery.site, delivery.seq);
        if let Some(held) = self.detections.get_mut(&key) {
            held.deliveries -= 1;
            if held.deliveries == 0 {
                self.detections.remove(&key);
                dirty.mark(Key::Detection(tenant.clone(), key.0, key.1));
            }
        }
    }

    /// Deliveries that wait for a channel, in their order.
    pub(super) fn waiting_for(&self, channel: &ChannelId) -> Vec<DeliveryId> {
        self.waiting.get(channel).into_iter().flatten().map(|place| place.3).collect()
    }

    /// How many deliveries wait.
    pub(super) fn waiting_count(&self) -> usize {
        self.waiting.values().map(BTreeSet::len).sum()
    }

    /// Deliveries whose attempt should start now: those of the channels with the fewest attempts in the air first, then by
    /// time. Never more than the tenant and each channel may have.
    pub(super) fn due(&self, wall: WallMs) -> Vec<DeliveryId> {
        let in_flight: usize = self.in_flight.values().sum();
        let room = ATTEMPTS_IN_FLIGHT_TENANT_MAX.saturating_sub(in_flight);
        let mut places = Vec::new();
        for (id, queue) in self.waiting.iter().filter(|_| room > 0) {
            let busy = self.in_flight.get(id).copied().unwrap_or(0);
            let free = self.channels.get(id).map_or(0, |c| c.places(wall)).saturating_sub(busy);
            let ready = queue.iter().take_while(|place| place.0 <= wall).take(free);
            places.extend(
                ready.enumerate().map(|(i, (at, site, seq, delivery))| (busy + i, at, site, seq, id, delivery)),
            );
        }
        places.sort_unstable();
        places.into_iter().take(room).map(|(.., delivery)| *delivery).collect()
    }

    /// Wall time was set back: no timer lies further off than its own delay.
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
        match delivery.place(id) {
            Some(place) => {
                self.waiting.entry(delivery.channel.clone()).or_default().insert(place);
            }
            None => *self.in_flight.entry(delivery.channel.clone()).or_default() += 1,
        }
    }

    fn unindex(&mut self, id: DeliveryId, delivery: &Delivery) {
        match delivery.place(id) {
            Some(place) => {
                if let Some(queue) = self.waiting.get_mut(&delivery.channel) {
                    queue.remove(&place);
                    if queue.is_empty() {
                        self.waiting.remove(&delivery.channel);
                    }
                }
            }
            None => {
                if let Some(count) = self.in_flight.get_mut(&delivery.channel) {
                    *count -= 1;
                    if *count == 0 {
                        self.in_flight.remove(&delivery.channel);
                    }
                }
            }
        }
    }
}
