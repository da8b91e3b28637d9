//! The planner's state and what each record does to it. The transition table stands in `docs/deliveries.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use logystera_schemas::delivery::{Attempt, AttemptState, ChannelEnabled, ChannelRef, ChannelsConfigured};
use logystera_schemas::detection::Detection;
use logystera_schemas::ids::{ChannelId, DeliveryId, TenantId};
use logystera_schemas::limits::CHANNELS_MAX;
use logystera_schemas::signals_topic::Tick;
use logystera_schemas::time::WallMs;
use logystera_schemas::topic::DetectionsRecord;

use super::channel::Channel;
use super::clock::{LogClock, Timer};
use super::delivery::{Lane, Stage};
use super::key::{Dirty, Key};
use super::lost::Untold;
use super::reason::Reason;
use super::report::{Counters, Notice};
use super::retry;
use super::row::{Head, RowOf, not_sent};
use super::stages::limit::limit;
use super::stages::plan::{PlannedFor, plan};
use super::stages::route::{Route, route};
use super::tenant::Tenant;

/// Plans deliveries. State and rows are a function of the records, in order.
#[derive(Debug, Default)]
pub struct Planner {
    pub(super) clock: LogClock,
    pub(super) tenants: BTreeMap<TenantId, Tenant>,
    pub(super) chains: BTreeMap<TenantId, Head>,
    /// The tenant whose attempt was started last: the next round begins after it.
    pub(super) last_served: Option<TenantId>,
    pub(super) dirty: Dirty,
    /// Derived: tenants with deliveries. The others need no look.
    pub(super) busy: BTreeSet<TenantId>,
    /// Derived: tenants with something held back, by when the first of it is due.
    pub(super) waking: BTreeSet<(WallMs, TenantId)>,
    /// Derived: attempts started and not ended.
    pub(super) in_flight: usize,
    /// Derived: channels that are switched off.
    pub(super) channels_off: usize,
    pub(super) counters: Counters,
    pub(super) notices: Vec<Notice>,
    sealed: bool,
}

impl Planner {
    /// A planner before the first record.
    pub fn new() -> Self {
        Self::default()
    }

    /// Wall time: the highest of the live partitions' newest ticks. 0 before the first one.
    pub fn wall(&self) -> WallMs {
        self.clock.wall()
    }

    /// What happened since this planner was made.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// What an operator should hear of since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// How many channels are switched off.
    pub fn channels_off(&self) -> usize {
        self.channels_off
    }

    /// Whether the partition has ended: what follows is ignored, and its tenants go on in the topic's next generation.
    pub fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// Applies one record and appends the rows it brings about to `rows`.
    pub fn apply(&mut self, record: DetectionsRecord, rows: &mut Vec<Attempt>) {
        if self.sealed {
            return;
        }
        let before = rows.len();
        self.bring_about(record, rows);
        self.link(&mut rows[before..]);
    }

    fn bring_about(&mut self, record: DetectionsRecord, rows: &mut Vec<Attempt>) {
        match record {
            DetectionsRecord::Seal(_) => self.sealed = true,
            DetectionsRecord::Detection(detection) => self.plan(&Arc::from(detection), rows),
            DetectionsRecord::Tick(tick) => {
                self.tick(&tick, rows);
                self.release(rows);
            }
            DetectionsRecord::Silence(silence) => self.silence(silence, rows),
            DetectionsRecord::SiteLabelled(labelled) => self.labelled(labelled, rows),
            DetectionsRecord::ChannelsConfigured(configured) => self.configure(configured, rows),
            DetectionsRecord::ChannelEnabled(enabled) => self.enable(enabled),
            DetectionsRecord::Resend(resend) => self.resend(*resend, rows),
            DetectionsRecord::AttemptStarted(started) => self.started(&started, rows),
            DetectionsRecord::AttemptEnded(ended) => self.ended(&ended, rows),
        }
    }

    fn tick(&mut self, tick: &Tick, rows: &mut Vec<Attempt>) {
        let before = self.clock.wall();
        self.clock.tick(tick.partition, tick.at);
        self.dirty.mark(Key::Clock);
        let wall = self.clock.wall();
        if wall < before {
            for (id, tenant) in &mut self.tenants {
                tenant.set_back(id, wall, &mut self.dirty);
            }
        }
        self.hold_back_all(rows);
    }

    fn configure(&mut self, configured: ChannelsConfigured, rows: &mut Vec<Attempt>) {
        let ChannelsConfigured { tenant: id, channels } = configured;
        // The writer of the record keeps the limit too; a record beyond it must not grow the state.
        let wanted: BTreeMap<ChannelId, ChannelRef> = channels
            .into_iter()
            .map(|c| (c.channel.clone(), c))
            .collect::<BTreeMap<_, _>>()
            .into_iter()
            .take(CHANNELS_MAX)
            .collect();
        let tenant = self.tenants.entry(id.clone()).or_default();
        let removed: Vec<ChannelId> = tenant.channels.keys().filter(|c| !wanted.contains_key(*c)).cloned().collect();
        let off = removed.iter().filter(|c| tenant.channels.get(*c).is_some_and(|c| c.off_since.is_some())).count();
        self.channels_off -= off;
        tenant.channels.retain(|channel, _| wanted.contains_key(channel));
        tenant.turns.retain(|channel, _| wanted.contains_key(channel));
        for (channel, ChannelRef { kind, settings, fallback, labels, .. }) in wanted {
            let known = tenant.channels.entry(channel).or_default();
            (known.kind, known.settings, known.fallback, known.labels) = (kind, settings, fallback, labels);
        }
        self.dirty.mark(Key::Channels(id.clone()));
        for channel in removed {
            self.end_waiting(&id, &channel, &Reason::ChannelRemoved, rows);
        }
        self.channels_changed(&id, rows);
        self.forget_if_empty(&id);
    }

    /// Switches a channel on. If it is on already, it forgets its pauses and failures, and is tried at once.
    fn enable(&mut self, enabled: ChannelEnabled) {
        let ChannelEnabled { tenant, channel } = enabled;
        let Some(known) = self.tenants.get_mut(&tenant).and_then(|t| t.channels.get_mut(&channel)) else { return };
        self.channels_off -= usize::from(known.off_since.is_some());
        // What it took in this minute it took.
        let Channel { kind, settings, fallback, labels, window, .. } = std::mem::take(known);
        *known = Channel { kind, settings, fallback, labels, window, ..Channel::default() };
        self.dirty.mark(Key::Channels(tenant.clone()));
        self.notices.push(Notice::ChannelEnabled { tenant, channel });
    }

    fn plan(&mut self, detection: &Arc<Detection>, rows: &mut Vec<Attempt>) {
        match route(detection, self.tenants.get(&detection.tenant), self.clock.wall()) {
            Route::Nowhere(Reason::NoChannel) => self.hear(detection, Vec::new(), rows),
            Route::Nowhere(reason) => rows.push(not_sent(detection, "", &reason, None, self.clock.wall())),
            Route::To(fates) => self.hear(detection, fates, rows),
        }
    }

    /// Plans one delivery, or says in a row why there is none. Gives whether there is one.
    pub(super) fn plan_one(
        &mut self,
        detection: &Arc<Detection>,
        channel: &ChannelId,
        why: PlannedFor,
        rows: &mut Vec<Attempt>,
    ) -> bool {
        let wall = self.clock.wall();
        let (disabled, is_released) = match why {
            PlannedFor::Detection => (None, false),
            PlannedFor::Release => (None, true),
            PlannedFor::ChannelDisabled(disabled) => (Some(disabled), false),
        };
        let id = detection.tenant.clone();
        let delivery = retry::delivery_id(detection, channel.as_str(), disabled.as_ref());
        let tenant = self.tenants.entry(id.clone()).or_default();
        if tenant.deliveries.contains_key(&delivery) {
            return true;
        }
        let mut planned = plan(delivery, detection, channel, disabled, tenant.next_order(), wall);
        if is_released {
            planned.stage = Stage::Waiting(Timer::after(wall, retry::delay_ms(delivery, 1)));
            planned.released = true;
        }
        planned.lead.merged.untold = planned.disabled.is_none() && tenant.is_news(detection, channel);
        let lane = planned.lanes().next();
        if lane.as_ref().is_some_and(|lane| tenant.is_newest(lane, &planned.lead.detection)) {
            // Somebody asked for what was held back until now.
            rows.extend(is_released.then(|| not_sent(detection, channel.as_str(), &Reason::Superseded, None, wall)));
            return true;
        }
        if planned.disabled.is_none() && self.end_of_counted(&mut planned, detection, rows) {
            return true;
        }
        let tenant = self.tenants.entry(id.clone()).or_default();
        let refused = limit(tenant, &planned, detection);
        if refused == Some(Reason::RateLimited) {
            self.busy.insert(id.clone());
            let merged = planned.lead.merged;
            self.hold_one(&id, channel, detection, merged, rows);
            return true;
        }
        let mut shed = Untold::default();
        if let Some(reason) = refused
            && !(reason == Reason::QueueFull && self.make_room(detection, channel, &mut shed, rows))
        {
            let row = RowOf {
                detection,
                channel: channel.as_str(),
                delivery,
                attempt: 0,
                disabled: planned.disabled.as_ref(),
            };
            rows.push(row.row(AttemptState::NotSent, &reason, wall));
            return false;
        }
        let tenant = self.tenants.entry(id.clone()).or_default();
        tenant.hold(detection, &mut self.dirty);
        let (delivery, gathers_until) = tenant.gather(delivery, planned, detection, wall);
        self.dirty.mark(Key::Delivery(id.clone(), delivery));
        self.busy.insert(id.clone());
        if gathers_until.is_some() {
            self.tell_of_held(detection, channel, delivery, &Reason::Bundled, rows);
        }
        // A bundle that is full leaves at once, and so does what its other lines wait for.
        let is_full = gathers_until == Some(wall);
        let bundle = self.tenants.get(&id).and_then(|tenant| tenant.deliveries.get(&delivery)).filter(|_| is_full);
        let lanes: Vec<Lane> = bundle.map_or_else(|| lane.into_iter().collect(), |bundle| bundle.lanes().collect());
        for lane in lanes {
            self.overtake(&id, &lane, rows);
        }
        self.hold_back(&id, channel, rows);
        self.fall_back(shed, rows);
        true
    }

    /// Lets newer lines of a lane overtake those that wait before them. Each of these gets its last row.
    pub(super) fn overtake(&mut self, id: &TenantId, lane: &Lane, rows: &mut Vec<Attempt>) {
        let wall = self.clock.wall();
        let Some(tenant) = self.tenants.get_mut(id) else { return };
        for overtaken in tenant.overtake(id, lane, &mut self.dirty) {
            let of = RowOf {
                detection: &overtaken.detection,
                channel: overtaken.channel.as_str(),
                delivery: overtaken.id,
                attempt: overtaken.attempts,
                disabled: None,
            };
            rows.push(of.row(unsent(overtaken.attempts), &Reason::Superseded, wall));
        }
    }

    /// Ends the deliveries that wait for `channel`, each with a row. Those in the air end by their outcomes.
    pub(super) fn end_waiting(&mut self, id: &TenantId, channel: &ChannelId, reason: &Reason, rows: &mut Vec<Attempt>) {
        let wall = self.clock.wall();
        let mut untold = Untold::default();
        let Some(tenant) = self.tenants.get(id) else { return };
        for delivery_id in tenant.waiting_for(channel) {
            let Some((delivery, detection)) = self.tenants.get(id).and_then(|t| t.find(delivery_id)) else { continue };
            let of = RowOf {
                detection: &detection,
                channel: channel.as_str(),
                delivery: delivery_id,
                attempt: delivery.attempts,
                disabled: delivery.disabled.as_ref(),
            };
            rows.push(of.row(unsent(delivery.attempts), reason, wall));
            let told = self.tenants.get(id).map(|tenant| tenant.detections_of(&delivery)).unwrap_or_default();
            self.settle(id, (delivery_id, &delivery), false, &mut untold);
            self.remove(id, delivery_id);
            self.untell(id, &delivery, &told);
            if delivery.fallback.is_some() {
                self.fell_through(id, (delivery_id, &delivery), &told, rows);
            }
        }
        self.fall_back(untold, rows);
    }

    pub(super) fn remove(&mut self, id: &TenantId, delivery: DeliveryId) {
        if let Some(tenant) = self.tenants.get_mut(id) {
            tenant.remove(id, delivery, &mut self.dirty);
            self.dirty.mark(Key::Delivery(id.clone(), delivery));
            if tenant.deliveries.is_empty() {
                self.busy.remove(id);
            }
        }
        self.forget_if_empty(id);
    }

    pub(super) fn forget_if_empty(&mut self, id: &TenantId) {
        if self.tenants.get(id).is_some_and(Tenant::is_empty) {
            self.tenants.remove(id);
        }
    }
}

/// The last state of a delivery that ends while it waits.
const fn unsent(attempts: u32) -> AttemptState {
    if attempts == 0 { AttemptState::NotSent } else { AttemptState::Dead }
}
