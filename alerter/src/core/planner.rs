//! The planner's state and what each record does to it. The transition table stands in `docs/deliveries.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use logystera_schemas::delivery::{
    Attempt, AttemptEnded, AttemptOutcome, AttemptStarted, AttemptState, ChannelEnabled, ChannelsConfigured,
};
use logystera_schemas::detection::Detection;
use logystera_schemas::ids::{ChannelId, DeliveryId, TenantId};
use logystera_schemas::limits::{CHANNEL_GONE_MS, CHANNELS_MAX};
use logystera_schemas::signals_topic::Tick;
use logystera_schemas::time::WallMs;
use logystera_schemas::topic::DetectionsRecord;

use super::channel::{Channel, Heard};
use super::clock::LogClock;
use super::delivery::{Lane, Stage};
use super::key::{Dirty, Key};
use super::reason::Reason;
use super::report::{Counters, Notice};
use super::retry::{self, Verdict};
use super::row::{Head, RowOf};
use super::stages::limit::limit;
use super::stages::plan::plan;
use super::stages::route::{Route, route};
use super::tenant::{Next, Tenant};

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
    /// Derived: attempts started and not ended.
    pub(super) in_flight: usize,
    /// Derived: channels that are switched off.
    pub(super) channels_off: usize,
    counters: Counters,
    notices: Vec<Notice>,
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
            DetectionsRecord::Tick(tick) => self.tick(&tick),
            DetectionsRecord::ChannelsConfigured(configured) => self.configure(configured, rows),
            DetectionsRecord::ChannelEnabled(enabled) => self.enable(enabled),
            DetectionsRecord::Resend(resend) => self.resend(*resend, rows),
            DetectionsRecord::AttemptStarted(started) => self.started(&started, rows),
            DetectionsRecord::AttemptEnded(ended) => self.ended(&ended, rows),
        }
    }

    fn tick(&mut self, tick: &Tick) {
        let before = self.clock.wall();
        self.clock.tick(tick.partition, tick.at);
        self.dirty.mark(Key::Clock);
        let wall = self.clock.wall();
        if wall < before {
            for (id, tenant) in &mut self.tenants {
                tenant.set_back(id, wall, &mut self.dirty);
            }
        }
    }

    fn configure(&mut self, configured: ChannelsConfigured, rows: &mut Vec<Attempt>) {
        let ChannelsConfigured { tenant: id, channels } = configured;
        // The writer of the record keeps the limit too; a record beyond it must not grow the state.
        let wanted: BTreeMap<ChannelId, String> = channels
            .into_iter()
            .map(|c| (c.channel, c.kind))
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
        for (channel, kind) in wanted {
            tenant.channels.entry(channel).or_default().kind = kind;
        }
        self.dirty.mark(Key::Channels(id.clone()));
        for channel in removed {
            self.end_waiting(&id, &channel, &Reason::ChannelRemoved, rows);
        }
        self.forget_if_empty(&id);
    }

    /// Switches a channel on. If it is on already, it forgets its pauses and failures, and is tried at once.
    fn enable(&mut self, enabled: ChannelEnabled) {
        let ChannelEnabled { tenant, channel } = enabled;
        let Some(known) = self.tenants.get_mut(&tenant).and_then(|t| t.channels.get_mut(&channel)) else { return };
        self.channels_off -= usize::from(known.off_since.is_some());
        *known = Channel { kind: std::mem::take(&mut known.kind), ..Channel::default() };
        self.dirty.mark(Key::Channels(tenant.clone()));
        self.notices.push(Notice::ChannelEnabled { tenant, channel });
    }

    fn plan(&mut self, detection: &Arc<Detection>, rows: &mut Vec<Attempt>) {
        match route(detection, self.tenants.get(&detection.tenant)) {
            Route::Nowhere(reason) => {
                let delivery = retry::delivery_id(detection, "", None);
                let row = RowOf { detection, channel: "", delivery, attempt: 0, disabled: None };
                rows.push(row.row(AttemptState::NotSent, &reason, self.clock.wall()));
            }
            Route::To(channels) => {
                for (channel, refused) in channels {
                    self.plan_one(detection, &channel, None, refused, rows);
                }
            }
        }
    }

    /// Plans one delivery, or says in a row why there is none.
    fn plan_one(
        &mut self,
        detection: &Arc<Detection>,
        channel: &ChannelId,
        disabled: Option<ChannelId>,
        refused: Option<Reason>,
        rows: &mut Vec<Attempt>,
    ) {
        let wall = self.clock.wall();
        let id = detection.tenant.clone();
        let delivery = retry::delivery_id(detection, channel.as_str(), disabled.as_ref());
        let tenant = self.tenants.entry(id.clone()).or_default();
        if tenant.deliveries.contains_key(&delivery) {
            return;
        }
        let planned = plan(delivery, detection, channel, disabled, tenant.next_order(), wall);
        if let Some(reason) = refused.or_else(|| limit(tenant, &planned, detection)) {
            let row = RowOf {
                detection,
                channel: channel.as_str(),
                delivery,
                attempt: 0,
                disabled: planned.disabled.as_ref(),
            };
            rows.push(row.row(AttemptState::NotSent, &reason, wall));
            return;
        }
        let lane = planned.lane();
        tenant.hold(detection, &mut self.dirty);
        tenant.insert(delivery, planned);
        self.dirty.mark(Key::Delivery(id.clone(), delivery));
        self.busy.insert(id.clone());
        if let Some(lane) = lane {
            self.overtake(&id, &lane, rows);
        }
    }

    /// Lets newer lines of a lane overtake those that wait before them. Each of these gets its last row.
    fn overtake(&mut self, id: &TenantId, lane: &Lane, rows: &mut Vec<Attempt>) {
        let wall = self.clock.wall();
        let Some(tenant) = self.tenants.get_mut(id) else { return };
        for overtaken in tenant.overtake(id, lane, &mut self.dirty) {
            let of = RowOf {
                detection: &overtaken.detection,
                channel: overtaken.delivery.channel.as_str(),
                delivery: overtaken.id,
                attempt: overtaken.delivery.attempts,
                disabled: overtaken.delivery.disabled.as_ref(),
            };
            rows.push(of.row(unsent(overtaken.delivery.attempts), &Reason::Superseded, wall));
        }
    }

    fn started(&mut self, started: &AttemptStarted, rows: &mut Vec<Attempt>) {
        let Some(tenant) = self.tenants.get_mut(&started.tenant) else { return };
        if !tenant.start(started.delivery, started.attempt) {
            return;
        }
        let wall = self.clock.wall();
        let channel = tenant.deliveries.get(&started.delivery).map(|d| d.channel.clone());
        if let Some(channel) = channel.and_then(|c| tenant.channels.get_mut(&c)) {
            channel.started(wall);
            self.dirty.mark(Key::Channels(started.tenant.clone()));
        }
        self.in_flight += 1;
        self.last_served = Some(started.tenant.clone());
        self.dirty.mark(Key::Clock);
        self.dirty.mark(Key::Delivery(started.tenant.clone(), started.delivery));
        let Some((delivery, detection)) = tenant.find(started.delivery) else { return };
        let row = RowOf {
            detection: &detection,
            channel: delivery.channel.as_str(),
            delivery: started.delivery,
            attempt: started.attempt,
            disabled: delivery.disabled.as_ref(),
        };
        rows.push(row.row(AttemptState::Started, &Reason::Started, started.at));
    }

    fn ended(&mut self, ended: &AttemptEnded, rows: &mut Vec<Attempt>) {
        let found = self.tenants.get_mut(&ended.tenant).and_then(|tenant| {
            let (delivery, detection) = tenant.find(ended.delivery)?;
            let current = delivery.stage == Stage::InFlight && delivery.attempts == ended.attempt;
            current.then_some((tenant, delivery, detection))
        });
        let Some((tenant, delivery, detection)) = found else {
            self.counters.outcomes_ignored += 1;
            return;
        };
        let wall = self.clock.wall();
        let verdict = retry::judge(ended);
        let mut heard = Heard::Nothing;
        if let Some(channel) = tenant.channels.get_mut(&delivery.channel) {
            heard = channel.heard(verdict, wall, &mut self.counters);
            channel.trouble = (verdict != Verdict::Delivered).then(|| Reason::of(ended).to_string());
            self.dirty.mark(Key::Channels(ended.tenant.clone()));
        }
        let is_heard = retry::may_have_arrived(ended);
        let next = tenant.next_attempt(ended.delivery, &delivery, verdict, is_heard, wall);
        self.in_flight -= 1;
        self.dirty.mark(Key::Delivery(ended.tenant.clone(), ended.delivery));

        let of = RowOf {
            detection: &detection,
            channel: delivery.channel.as_str(),
            delivery: ended.delivery,
            attempt: ended.attempt,
            disabled: delivery.disabled.as_ref(),
        };
        let again_at = if let Next::Again(at) = next { Some(at) } else { None };
        let (state, reason) = match next {
            _ if verdict == Verdict::Delivered => (AttemptState::Delivered, Reason::Delivered),
            Next::Again(_) if ended.outcome == AttemptOutcome::Unknown => (AttemptState::Unknown, Reason::of(ended)),
            Next::Again(_) => (AttemptState::Failed, Reason::of(ended)),
            Next::Over(reason) => (AttemptState::Dead, reason.unwrap_or_else(|| Reason::of(ended))),
        };
        if again_at.is_none() {
            self.remove(&ended.tenant, ended.delivery);
        }
        let mut overtaken = Vec::new();
        if let Some(lane) = delivery.lane() {
            if let Some(tenant) =
                self.tenants.get_mut(&ended.tenant).filter(|_| again_at.is_some() && verdict.is_step())
            {
                tenant.put_off_news(&ended.tenant, ended.delivery, &lane, wall, &mut self.dirty);
            }
            self.overtake(&ended.tenant, &lane, &mut overtaken);
        }
        let again_at = again_at.map(|at| self.not_before(&ended.tenant, ended.delivery).unwrap_or(at));
        let (status, outcome, next_attempt_at) = (ended.status, Some(ended.outcome), again_at);
        rows.push(Attempt { status, outcome, next_attempt_at, ..of.row(state, &reason, wall) });
        rows.append(&mut overtaken);
        self.tell_of(heard, &detection, &delivery.channel, rows);
    }

    /// When a delivery that waits is tried next, as far as is known now.
    fn not_before(&self, tenant: &TenantId, delivery: DeliveryId) -> Option<WallMs> {
        let tenant = self.tenants.get(tenant)?;
        let delivery = tenant.deliveries.get(&delivery)?;
        let due = delivery.waits_for()?.at.max(self.clock.wall());
        Some(tenant.channels.get(&delivery.channel)?.not_before(due))
    }

    /// Tells the operator, and after a second 410 another channel, of a channel that answered 410.
    fn tell_of(&mut self, heard: Heard, detection: &Arc<Detection>, channel: &ChannelId, rows: &mut Vec<Attempt>) {
        let tenant = detection.tenant.clone();
        match heard {
            Heard::Nothing => {}
            Heard::Gone => {
                let until = self.clock.wall().plus(CHANNEL_GONE_MS);
                self.notices.push(Notice::ChannelGone { tenant, channel: channel.clone(), until });
            }
            Heard::SwitchedOff => {
                self.channels_off += 1;
                let before = rows.len();
                self.disable(detection, channel, rows);
                let given_up = rows.len() - before;
                self.notices.push(Notice::ChannelSwitchedOff { tenant, channel: channel.clone(), given_up });
            }
        }
    }

    /// A second 410 said that `channel` is no more: nothing else goes there, and another channel of the tenant is told.
    fn disable(&mut self, detection: &Arc<Detection>, channel: &ChannelId, rows: &mut Vec<Attempt>) {
        self.end_waiting(&detection.tenant, channel, &Reason::ChannelDisabled, rows);
        let enabled = |(id, c): (&ChannelId, &Channel)| c.off_since.is_none().then(|| id.clone());
        let other = self.tenants.get(&detection.tenant).and_then(|t| t.channels.iter().find_map(enabled));
        if let Some(other) = other {
            self.plan_one(detection, &other, Some(channel.clone()), None, rows);
        } else {
            let delivery = retry::delivery_id(detection, "", Some(channel));
            let of = RowOf { detection, channel: "", delivery, attempt: 0, disabled: Some(channel) };
            rows.push(of.row(AttemptState::NotSent, &Reason::NoChannel, self.clock.wall()));
        }
    }

    /// Ends the deliveries that wait for `channel`, each with a row. Those in the air end by their outcomes.
    fn end_waiting(&mut self, id: &TenantId, channel: &ChannelId, reason: &Reason, rows: &mut Vec<Attempt>) {
        let wall = self.clock.wall();
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
            self.remove(id, delivery_id);
        }
    }

    fn remove(&mut self, id: &TenantId, delivery: DeliveryId) {
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
        if self.tenants.get(id).is_some_and(|t| t.channels.is_empty() && t.deliveries.is_empty()) {
            self.tenants.remove(id);
        }
    }
}

/// The last state of a delivery that ends while it waits.
const fn unsent(attempts: u32) -> AttemptState {
    if attempts == 0 { AttemptState::NotSent } else { AttemptState::Dead }
}
