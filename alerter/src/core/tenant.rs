//! One tenant's channels and deliveries.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use logystera_schemas::alert::Frozen;
use logystera_schemas::detection::Detection;
use logystera_schemas::ids::{ChannelId, DeliveryId, SilenceId, SiteId, TenantId};
use logystera_schemas::labels::SiteLabel;
use logystera_schemas::limits::THROTTLED_MS_MAX;
use logystera_schemas::noise::Silence;
use logystera_schemas::time::WallMs;

use super::channel::Channel;
use super::clock::Timer;
use super::delivery::{Delivery, DetectionRef, Lane, Line, Stage};
use super::episodes::Episodes;
use super::key::{Dirty, Key};
use super::reason::Reason;
use super::retry::{self, Verdict};
use super::waiting::{Place, Waiting};

/// A detection, and how many deliveries tell it.
#[derive(Clone, Debug)]
pub(super) struct HeldDetection {
    pub(super) detection: Arc<Detection>,
    pub(super) deliveries: usize,
    /// Whether a channel took one of them or knew of the episode, or a newer line tells it.
    pub(super) reached: bool,
    /// The channels whose deliveries of it ended undelivered.
    pub(super) failed: BTreeSet<ChannelId>,
}

/// A line of a lane: its place among the tenant's lines, the number of its detection, and the delivery that tells it.
pub(super) type LineAt = (u64, u64, DeliveryId);

/// What gathers in a channel.
pub(super) type Gathering = (ChannelId, Arc<[u8]>);

/// One tenant.
#[derive(Clone, Debug, Default)]
pub(super) struct Tenant {
    pub(super) channels: BTreeMap<ChannelId, Channel>,
    pub(super) detections: BTreeMap<DetectionRef, HeldDetection>,
    pub(super) deliveries: BTreeMap<DeliveryId, Delivery>,
    /// Silences that are not over, or were not when the last of them came.
    pub(super) silences: BTreeMap<SilenceId, Silence>,
    pub(super) episodes: Episodes,
    /// The labels of its sites. No empty list.
    pub(super) labels: BTreeMap<SiteId, Vec<SiteLabel>>,
    /// The site whose attempt was started last in each channel: its turn is over.
    pub(super) turns: BTreeMap<ChannelId, SiteId>,
    /// Derived: what waits, by channel. No empty one.
    pub(super) waiting: BTreeMap<ChannelId, Waiting>,
    /// Derived: attempts in the air, by channel and site. No zero.
    pub(super) in_flight: BTreeMap<ChannelId, BTreeMap<SiteId, usize>>,
    /// Derived: the lines of each lane, in the order in which they were planned. No empty set.
    lanes: BTreeMap<Lane, BTreeSet<LineAt>>,
    /// Derived: the places of all lines in the order in which they were planned.
    orders: BTreeSet<(u64, DeliveryId)>,
    /// Derived: the bundles that were not tried, by what they gather, in the order in which they were planned. No empty
    /// set.
    gathering: BTreeMap<Gathering, BTreeSet<(u64, DeliveryId)>>,
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
        let Line { detection, order, .. } = &self.lead;
        Some((timer.at, *order, detection.site.clone(), detection.seq, id))
    }

    /// The lanes of its lines in its channel.
    pub(super) fn lanes(&self) -> impl Iterator<Item = Lane> {
        self.lines().filter_map(|line| Some((self.channel.clone(), Arc::clone(line.lane.as_ref()?))))
    }

    fn gathering(&self) -> Option<Gathering> {
        let key = self.gathers.as_ref().filter(|_| self.attempts == 0)?;
        Some((self.channel.clone(), Arc::clone(key)))
    }
}

impl Tenant {
    /// Whether nothing is known of it.
    pub(super) fn is_empty(&self) -> bool {
        let is_idle = self.deliveries.is_empty() && self.silences.is_empty() && self.episodes.is_empty();
        is_idle && self.channels.is_empty() && self.labels.is_empty()
    }

    /// Keeps the detection for one more delivery.
    pub(super) fn hold(&mut self, detection: &Arc<Detection>, dirty: &mut Dirty) {
        let key = DetectionRef::of(detection);
        let held = self.detections.entry(key.clone()).or_insert_with(|| {
            dirty.mark(Key::Detection(detection.tenant.clone(), key));
            HeldDetection { detection: Arc::clone(detection), deliveries: 0, reached: false, failed: BTreeSet::new() }
        });
        held.deliveries += 1;
    }

    /// Place of the next line in the order in which they are planned.
    pub(super) fn next_order(&self) -> u64 {
        self.orders.last().map_or(0, |(last, _)| last.saturating_add(1))
    }

    /// How many lines its deliveries have.
    pub(super) fn line_count(&self) -> usize {
        self.orders.len()
    }

    /// Adds a delivery whose detections are held.
    pub(super) fn insert(&mut self, id: DeliveryId, delivery: Delivery) {
        self.index(id, &delivery);
        self.deliveries.insert(id, delivery);
    }

    /// The delivery and its first detection.
    pub(super) fn find(&self, id: DeliveryId) -> Option<(Delivery, Arc<Detection>)> {
        let delivery = self.deliveries.get(&id)?;
        let held = self.detections.get(&delivery.lead.detection)?;
        Some((delivery.clone(), Arc::clone(&held.detection)))
    }

    /// Every detection that a delivery tells by itself.
    pub(super) fn detections_of(&self, delivery: &Delivery) -> Vec<Arc<Detection>> {
        let detection = |line: &Line| Some(Arc::clone(&self.detections.get(&line.detection)?.detection));
        delivery.lines().filter_map(detection).collect()
    }

    /// A line and its detection.
    pub(super) fn find_line(&self, at: LineAt) -> Option<(Line, Arc<Detection>)> {
        let line = self.deliveries.get(&at.2)?.line(at.0)?;
        let held = self.detections.get(&line.detection)?;
        Some((line.clone(), Arc::clone(&held.detection)))
    }

    /// The newest bundle that gathers this.
    pub(super) fn newest_gathering(&self, what: &Gathering) -> Option<DeliveryId> {
        self.gathering.get(what)?.last().map(|(_, id)| *id)
    }

    /// Adds a line, whose detection is held, to a bundle.
    pub(super) fn add_line(&mut self, id: DeliveryId, line: Line) {
        let Some(channel) = self.deliveries.get(&id).map(|delivery| delivery.channel.clone()) else { return };
        self.index_line(id, &channel, &line);
        if let Some(delivery) = self.deliveries.get_mut(&id) {
            delivery.others.insert(line.order, line);
        }
    }

    /// Changes a line where it is.
    pub(super) fn change_line(&mut self, at: LineAt, change: impl FnOnce(&mut Line)) {
        if let Some(line) = self.deliveries.get_mut(&at.2).and_then(|delivery| delivery.line_mut(at.0)) {
            change(line);
        }
    }

    /// Takes a line out of its delivery, and removes that with its last line.
    pub(super) fn take_line(&mut self, tenant: &TenantId, at: LineAt, dirty: &mut Dirty) {
        let (order, _, id) = at;
        let Some(whole) = self.deliveries.get(&id) else { return };
        dirty.mark(Key::Delivery(tenant.clone(), id));
        if whole.others.is_empty() {
            return self.remove(tenant, id, dirty);
        }
        // A bundle has a thousand lines: what is done for one of them must not touch the others.
        let Some(mut delivery) = self.deliveries.remove(&id) else { return };
        let taken = if delivery.lead.order == order {
            self.unindex_whole(id, &delivery);
            let next = delivery.others.pop_first().map(|(_, next)| std::mem::replace(&mut delivery.lead, next));
            self.index_whole(id, &delivery);
            next
        } else {
            delivery.others.remove(&order)
        };
        if let Some(line) = taken {
            self.unindex_line(id, &delivery.channel, &line);
            self.release(tenant, &line.detection, dirty);
        }
        self.deliveries.insert(id, delivery);
    }

    /// Changes a delivery where it is, but for its lines.
    pub(super) fn change(&mut self, id: DeliveryId, change: impl FnOnce(Delivery) -> Delivery) {
        let Some(delivery) = self.deliveries.remove(&id) else { return };
        self.unindex_whole(id, &delivery);
        let delivery = change(delivery);
        self.index_whole(id, &delivery);
        self.deliveries.insert(id, delivery);
    }

    /// Puts a waiting delivery in the air, which says `frozen` besides its detections from now on, if nothing was said
    /// before. False: it does not wait for attempt number `attempt`.
    pub(super) fn start(&mut self, id: DeliveryId, attempt: u32, frozen: Option<&Frozen>) -> bool {
        let Some(delivery) = self.deliveries.get(&id) else { return false };
        let Some(timer) = delivery.waits_for().filter(|_| attempt == delivery.attempts + 1) else { return false };
        self.turns.insert(delivery.channel.clone(), delivery.lead.detection.site.clone());
        let frozen = delivery.frozen.clone().or_else(|| frozen.cloned().map(Arc::new));
        self.change(id, |delivery| Delivery {
            attempts: attempt,
            due: timer.at,
            stage: Stage::InFlight,
            frozen,
            ..delivery
        });
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
        for line in std::iter::once(&mut next.lead).chain(next.others.values_mut()) {
            line.merged.untold &= !is_heard;
        }
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

    /// Removes a delivery, and those of its detections that no other delivery tells.
    pub(super) fn remove(&mut self, tenant: &TenantId, id: DeliveryId, dirty: &mut Dirty) {
        let Some(delivery) = self.deliveries.remove(&id) else { return };
        self.unindex(id, &delivery);
        for line in delivery.lines() {
            self.release(tenant, &line.detection, dirty);
        }
    }

    fn release(&mut self, tenant: &TenantId, key: &DetectionRef, dirty: &mut Dirty) {
        if let Some(held) = self.detections.get_mut(key) {
            held.deliveries -= 1;
            if held.deliveries == 0 {
                self.detections.remove(key);
                dirty.mark(Key::Detection(tenant.clone(), key.clone()));
            }
        }
    }

    /// Deliveries that wait for a channel, in their order.
    pub(super) fn waiting_for(&self, channel: &ChannelId) -> Vec<DeliveryId> {
        let sites = self.waiting.get(channel).into_iter().flat_map(Waiting::sites);
        let mut places: Vec<&Place> = sites.flat_map(|(_, places)| places).collect();
        places.sort_unstable();
        places.into_iter().map(|place| place.4).collect()
    }

    /// How many deliveries wait.
    pub(super) fn waiting_count(&self) -> usize {
        self.waiting.values().map(Waiting::count).sum()
    }

    /// How many deliveries wait for a channel.
    pub(super) fn waiting_count_for(&self, channel: &ChannelId) -> usize {
        self.waiting.get(channel).map_or(0, Waiting::count)
    }

    /// Lines of a lane, the oldest first.
    pub(super) fn lane(&self, lane: &Lane) -> impl Iterator<Item = LineAt> {
        self.lanes.get(lane).into_iter().flatten().copied()
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
        let set_back = |delivery: &Delivery| {
            let (timer, earlier) = delivery.waits_for().map(|timer| (timer, timer.set_back(wall)))?;
            (earlier != timer).then_some(earlier)
        };
        let late = self.deliveries.iter().filter_map(|(id, delivery)| Some((*id, set_back(delivery)?)));
        for (id, timer) in late.collect::<Vec<_>>() {
            self.change(id, |delivery| Delivery { stage: Stage::Waiting(timer), ..delivery });
            dirty.mark(Key::Delivery(tenant.clone(), id));
        }
    }

    fn index(&mut self, id: DeliveryId, delivery: &Delivery) {
        for line in delivery.lines() {
            self.index_line(id, &delivery.channel, line);
        }
        self.index_whole(id, delivery);
    }

    /// What is derived of a delivery without its lines.
    fn index_whole(&mut self, id: DeliveryId, delivery: &Delivery) {
        if let Some(what) = delivery.gathering() {
            self.gathering.entry(what).or_default().insert((delivery.lead.order, id));
        }
        let (channel, site) = (delivery.channel.clone(), delivery.lead.detection.site.clone());
        if let Some(place) = delivery.place(id) {
            self.waiting.entry(channel).or_default().insert(place);
        } else {
            *self.in_flight.entry(channel).or_default().entry(site).or_default() += 1;
        }
    }

    fn index_line(&mut self, id: DeliveryId, channel: &ChannelId, line: &Line) {
        self.orders.insert((line.order, id));
        if let Some(fault) = &line.lane {
            let of = (channel.clone(), Arc::clone(fault));
            self.lanes.entry(of).or_default().insert((line.order, line.detection.seq, id));
        }
    }

    /// Takes a delivery out of what is derived, before it changes.
    pub(super) fn unindex(&mut self, id: DeliveryId, delivery: &Delivery) {
        for line in delivery.lines() {
            self.unindex_line(id, &delivery.channel, line);
        }
        self.unindex_whole(id, delivery);
    }

    fn unindex_line(&mut self, id: DeliveryId, channel: &ChannelId, line: &Line) {
        self.orders.remove(&(line.order, id));
        if let Some(fault) = &line.lane {
            let of = (channel.clone(), Arc::clone(fault));
            drop_from(&mut self.lanes, &of, &(line.order, line.detection.seq, id));
        }
    }

    fn unindex_whole(&mut self, id: DeliveryId, delivery: &Delivery) {
        if let Some(what) = delivery.gathering() {
            drop_from(&mut self.gathering, &what, &(delivery.lead.order, id));
        }
        let (channel, site) = (&delivery.channel, &delivery.lead.detection.site);
        if let Some(place) = delivery.place(id) {
            let Some(waiting) = self.waiting.get_mut(channel) else { return };
            waiting.remove(&place);
            if waiting.count() == 0 {
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
