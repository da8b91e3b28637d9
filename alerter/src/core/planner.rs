//! The planner's state and what each record does to it. The transition table stands in `docs/deliveries.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use logystera_schemas::delivery::{
    Attempt, AttemptEnded, AttemptOutcome, AttemptStarted, AttemptState, ChannelsConfigured,
};
use logystera_schemas::detection::{Detection, DetectionState};
use logystera_schemas::ids::{ChannelId, DeliveryId, TenantId};
use logystera_schemas::limits::{CHANNELS_MAX, DELIVERIES_MAX};
use logystera_schemas::signals_topic::Tick;
use logystera_schemas::time::WallMs;
use logystera_schemas::topic::DetectionsRecord;

use super::channel::Channel;
use super::clock::{LogClock, Timer};
use super::reason::Reason;
use super::retry::{self, Verdict};
use super::state::{Dirty, Key};
use super::tenant::{Delivery, Stage, Tenant};

/// Plans deliveries. State and rows are a function of the records, in order.
#[derive(Debug, Default)]
pub struct Planner {
    pub(super) clock: LogClock,
    pub(super) tenants: BTreeMap<TenantId, Tenant>,
    /// The tenant whose attempt was started last: the next round begins after it.
    pub(super) last_served: Option<TenantId>,
    pub(super) dirty: Dirty,
    /// Derived: tenants with deliveries. The others need no look.
    pub(super) busy: BTreeSet<TenantId>,
    /// Derived: attempts started and not ended.
    pub(super) in_flight: usize,
    counters: Counters,
    sealed: bool,
}

/// What happened since this planner was made, for metrics. No part of the state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Channels that were paused by a 429 or 503.
    pub channel_pauses: u64,
    /// Breakers that opened, or opened again after a probe.
    pub breaker_opens: u64,
    /// Channels that were disabled by a 410.
    pub channels_disabled: u64,
    /// Outcomes that came late or twice and changed nothing.
    pub outcomes_ignored: u64,
}

/// One delivery about to get a row.
struct RowOf<'a> {
    detection: &'a Detection,
    channel: &'a str,
    delivery: DeliveryId,
    attempt: u32,
}

impl RowOf<'_> {
    fn row(&self, state: AttemptState, reason: Reason, at: WallMs) -> Attempt {
        Attempt {
            tenant: self.detection.tenant.clone(),
            site: self.detection.site.clone(),
            encryption_key: self.detection.encryption_key.clone(),
            detection: self.detection.id,
            seq: self.detection.seq,
            rule: self.detection.rule.clone(),
            channel: self.channel.to_owned(),
            delivery: self.delivery,
            attempt: self.attempt,
            state,
            reason: reason.to_string(),
            status: None,
            at,
            next_attempt_at: None,
        }
    }
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

    /// Whether the partition has ended: what follows is ignored, and its tenants go on in the topic's next generation.
    pub fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// Applies one record and appends the rows it brings about to `rows`.
    pub fn apply(&mut self, record: DetectionsRecord, rows: &mut Vec<Attempt>) {
        if self.sealed {
            return;
        }
        match record {
            DetectionsRecord::Seal(_) => self.sealed = true,
            DetectionsRecord::Detection(detection) => self.plan(&Arc::from(detection), rows),
            DetectionsRecord::Tick(tick) => self.tick(&tick),
            DetectionsRecord::ChannelsConfigured(configured) => self.configure(configured, rows),
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
        // Whoever writes the record holds the limit too; a record beyond it must not grow the state.
        let wanted: BTreeMap<ChannelId, String> = channels
            .into_iter()
            .map(|c| (c.channel, c.kind))
            .collect::<BTreeMap<_, _>>()
            .into_iter()
            .take(CHANNELS_MAX)
            .collect();
        let tenant = self.tenants.entry(id.clone()).or_default();
        let removed: Vec<ChannelId> = tenant.channels.keys().filter(|c| !wanted.contains_key(*c)).cloned().collect();
        tenant.channels.retain(|channel, _| wanted.contains_key(channel));
        for (channel, kind) in wanted {
            tenant.channels.entry(channel).or_default().kind = kind;
        }
        self.dirty.mark(Key::Channels(id.clone()));
        for channel in removed {
            self.end_waiting(&id, &channel, Reason::ChannelRemoved, rows);
        }
        self.forget_if_empty(&id);
    }

    fn plan(&mut self, detection: &Arc<Detection>, rows: &mut Vec<Attempt>) {
        let id = detection.tenant.clone();
        let channels: Vec<(ChannelId, bool)> = self
            .tenants
            .get(&id)
            .map(|t| t.channels.iter().map(|(channel, c)| (channel.clone(), c.disabled)).collect())
            .unwrap_or_default();
        let nowhere = match detection.state {
            DetectionState::Suppressed => Some(Reason::Suppressed),
            DetectionState::Firing | DetectionState::Resolved => channels.is_empty().then_some(Reason::NoChannel),
        };
        if let Some(reason) = nowhere {
            let delivery = retry::delivery_id(detection, "", None);
            let row = RowOf { detection, channel: "", delivery, attempt: 0 };
            rows.push(row.row(AttemptState::NotSent, reason, self.clock.wall()));
            return;
        }
        for (channel, disabled) in channels {
            let refused = disabled.then_some(Reason::ChannelDisabled);
            self.plan_one(detection, &channel, None, refused, rows);
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
        let full = (tenant.deliveries.len() >= DELIVERIES_MAX).then_some(Reason::QueueFull);
        if let Some(reason) = refused.or(full) {
            let row = RowOf { detection, channel: channel.as_str(), delivery, attempt: 0 };
            rows.push(row.row(AttemptState::NotSent, reason, wall));
            return;
        }
        let planned = Delivery {
            channel: channel.clone(),
            site: detection.site.clone(),
            seq: detection.seq,
            disabled,
            attempts: 0,
            refusals: 0,
            stage: Stage::Waiting(Timer::after(wall, retry::delay_ms(delivery, 1))),
        };
        tenant.hold(detection, &mut self.dirty);
        tenant.insert(delivery, planned);
        self.dirty.mark(Key::Delivery(id.clone(), delivery));
        self.busy.insert(id);
    }

    fn started(&mut self, started: &AttemptStarted, rows: &mut Vec<Attempt>) {
        let Some(tenant) = self.tenants.get_mut(&started.tenant) else { return };
        if !tenant.start(started.delivery, started.attempt) {
            return;
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
        };
        rows.push(row.row(AttemptState::Started, Reason::Started, started.at));
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
        let channel = tenant.channels.get_mut(&delivery.channel);
        let gone = verdict == Verdict::Gone && channel.as_ref().is_some_and(|c| !c.disabled);
        if let Some(channel) = channel {
            channel.heard(verdict, wall, &mut self.counters);
            self.dirty.mark(Key::Channels(ended.tenant.clone()));
        }
        let next = tenant.next_attempt(ended.delivery, &delivery, verdict, wall);
        self.in_flight -= 1;
        self.dirty.mark(Key::Delivery(ended.tenant.clone(), ended.delivery));

        let of = RowOf {
            detection: &detection,
            channel: delivery.channel.as_str(),
            delivery: ended.delivery,
            attempt: ended.attempt,
        };
        let (state, reason) = match next {
            _ if verdict == Verdict::Delivered => (AttemptState::Delivered, Reason::Delivered),
            Some(_) if ended.outcome == AttemptOutcome::Unknown => (AttemptState::Unknown, Reason::of(ended)),
            Some(_) => (AttemptState::Failed, Reason::of(ended)),
            None => (AttemptState::Dead, Reason::of(ended)),
        };
        let row = Attempt { status: ended.status, next_attempt_at: next, ..of.row(state, reason, wall) };
        rows.push(row);
        if next.is_none() {
            self.remove(&ended.tenant, ended.delivery);
        }
        if gone {
            self.disable(&detection, &delivery.channel, rows);
        }
    }

    /// A 410 said that `channel` is no more: nothing else goes there, and another channel of the tenant is told.
    fn disable(&mut self, detection: &Arc<Detection>, channel: &ChannelId, rows: &mut Vec<Attempt>) {
        self.counters.channels_disabled += 1;
        self.end_waiting(&detection.tenant, channel, Reason::ChannelDisabled, rows);
        let enabled = |(id, c): (&ChannelId, &Channel)| (!c.disabled).then(|| id.clone());
        let other = self.tenants.get(&detection.tenant).and_then(|t| t.channels.iter().find_map(enabled));
        if let Some(other) = other {
            self.plan_one(detection, &other, Some(channel.clone()), None, rows);
        } else {
            let delivery = retry::delivery_id(detection, "", Some(channel));
            let of = RowOf { detection, channel: "", delivery, attempt: 0 };
            rows.push(of.row(AttemptState::NotSent, Reason::NoChannel, self.clock.wall()));
        }
    }

    /// Ends what waits for `channel`. What is in the air ends by its outcome.
    fn end_waiting(&mut self, id: &TenantId, channel: &ChannelId, reason: Reason, rows: &mut Vec<Attempt>) {
        let wall = self.clock.wall();
        let Some(tenant) = self.tenants.get(id) else { return };
        for delivery_id in tenant.waiting_for(channel) {
            let Some((delivery, detection)) = self.tenants.get(id).and_then(|t| t.find(delivery_id)) else { continue };
            let of = RowOf {
                detection: &detection,
                channel: channel.as_str(),
                delivery: delivery_id,
                attempt: delivery.attempts,
            };
            let state = if delivery.attempts == 0 { AttemptState::NotSent } else { AttemptState::Dead };
            rows.push(of.row(state, reason, wall));
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

    fn forget_if_empty(&mut self, id: &TenantId) {
        if self.tenants.get(id).is_some_and(|t| t.channels.is_empty() && t.deliveries.is_empty()) {
            self.tenants.remove(id);
        }
    }
}
