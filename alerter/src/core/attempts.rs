//! What the start and the end of an attempt bring about.

use std::sync::Arc;

use logystera_schemas::delivery::{Attempt, AttemptEnded, AttemptOutcome, AttemptStarted, AttemptState};
use logystera_schemas::detection::Detection;
use logystera_schemas::ids::{ChannelId, DeliveryId, TenantId};
use logystera_schemas::limits::CHANNEL_GONE_MS;
use logystera_schemas::time::WallMs;

use super::channel::{Channel, Heard};
use super::delivery::Stage;
use super::key::Key;
use super::lost::Untold;
use super::planner::Planner;
use super::reason::Reason;
use super::report::Notice;
use super::retry::{self, Verdict};
use super::row::RowOf;
use super::stages::plan::PlannedFor;
use super::tenant::Next;

impl Planner {
    pub(super) fn started(&mut self, started: &AttemptStarted, rows: &mut Vec<Attempt>) {
        let Some(tenant) = self.tenants.get_mut(&started.tenant) else { return };
        if !tenant.start(started.delivery, started.attempt, started.frozen.as_ref()) {
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

    pub(super) fn ended(&mut self, ended: &AttemptEnded, rows: &mut Vec<Attempt>) {
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
        let told = self.tenants.get(&ended.tenant).map(|tenant| tenant.detections_of(&delivery)).unwrap_or_default();
        let (mut untold, mut behind) = (Untold::default(), Vec::new());
        if again_at.is_none() {
            self.settle(&ended.tenant, (ended.delivery, &delivery), verdict == Verdict::Delivered, &mut untold);
            self.remove(&ended.tenant, ended.delivery);
            if !is_heard {
                self.untell(&ended.tenant, &delivery, &told);
                self.tell_behind(&ended.tenant, &delivery, &told, &mut untold, &mut behind);
            }
        }
        if is_heard && delivery.disabled.is_none() {
            self.heard(&ended.tenant, &delivery.channel, &told);
        }
        let mut overtaken = Vec::new();
        for lane in delivery.lanes() {
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
        rows.append(&mut behind);
        rows.append(&mut overtaken);
        if state == AttemptState::Dead && delivery.fallback.is_some() {
            self.fell_through(&ended.tenant, (ended.delivery, &delivery), &told, rows);
        }
        self.fall_back(untold, rows);
        self.tell_of(heard, &detection, &delivery.channel, rows);
    }

    /// When a delivery that waits is tried next, as far as is known now.
    pub(super) fn not_before(&self, tenant: &TenantId, delivery: DeliveryId) -> Option<WallMs> {
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
        let enabled = |(id, c): (&ChannelId, &Channel)| (c.off_since.is_none() && !c.fallback).then(|| id.clone());
        let other = self.tenants.get(&detection.tenant).and_then(|t| t.channels.iter().find_map(enabled));
        if let Some(other) = other {
            self.plan_one(detection, &other, PlannedFor::ChannelDisabled(channel.clone()), rows);
        } else {
            let delivery = retry::delivery_id(detection, "", Some(channel));
            let of = RowOf { detection, channel: "", delivery, attempt: 0, disabled: Some(channel) };
            rows.push(of.row(AttemptState::NotSent, &Reason::NoChannel, self.clock.wall()));
        }
    }
}
