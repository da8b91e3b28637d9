//! What follows when every delivery of an alert ended and no channel took one: the tenant's fallback channel is told, once; without
//! one, or if it fails too, a row says that nobody was told. Nothing follows from that.

use std::sync::Arc;

use logystera_schemas::alert::{Failed, Merged};
use logystera_schemas::delivery::{Attempt, AttemptState};
use logystera_schemas::detection::{Detection, DetectionState};
use logystera_schemas::ids::{ChannelId, TenantId};

use super::clock::Timer;
use super::delivery::{Delivery, Line, Stage, begins};
use super::episodes::Knows;
use super::key::Key;
use super::planner::Planner;
use super::reason::Reason;
use super::retry;
use super::row::RowOf;
use super::stages::limit::limit;
use super::stages::plan::plan;
use super::tenant::{LineAt, Tenant};

/// A detection that no channel was told of, and what it would have told besides.
pub(super) type Untold = (Arc<Detection>, Merged);

impl Tenant {
    /// Whether a channel cannot know yet of what this tells. An episode that is not known is new, as far as anybody can tell.
    pub(super) fn is_news(&self, detection: &Detection, channel: &ChannelId) -> bool {
        detection.state == DetectionState::Firing && self.episodes.knows(detection.id, channel) != Knows::Yes
    }

    /// The channel that is told when all others failed, if it is on.
    pub(super) fn fallback(&self) -> Option<&ChannelId> {
        self.channels.iter().find(|(_, channel)| channel.fallback && channel.off_since.is_none()).map(|(id, _)| id)
    }
}

impl Planner {
    /// Notes at its detections how a delivery ends, before it is removed. Adds those that nobody was told of: this was the last
    /// delivery of each, and none got through.
    pub(super) fn settle(&mut self, id: &TenantId, delivery: &Delivery, is_delivered: bool, untold: &mut Vec<Untold>) {
        let Some(tenant) = self.tenants.get_mut(id) else { return };
        if delivery.disabled.is_some() || delivery.fallback.is_some() {
            return;
        }
        for line in delivery.lines() {
            let Some(held) = tenant.detections.get_mut(&line.detection) else { continue };
            // Who knows of the episode already was told, whatever becomes of this line of it.
            let is_news = begins(&held.detection) || line.merged.untold;
            held.reached |= is_delivered || !is_news;
            if !held.reached && !delivery.alone {
                held.failed.insert(delivery.channel.clone());
            }
            if held.deliveries > 1 {
                self.dirty.mark(Key::Detection(id.clone(), line.detection.clone()));
                continue;
            }
            let may_know = tenant.episodes.get(held.detection.id).is_some_and(|episode| {
                !episode.held.is_empty() || episode.told.iter().any(|channel| !held.failed.contains(channel))
            });
            if !held.reached && !held.failed.is_empty() && !may_know {
                untold.push((Arc::clone(&held.detection), line.merged));
            }
        }
    }

    /// The lines behind one that ended unheard: an end whose beginning was never told is not told, and a firing tells it.
    pub(super) fn tell_behind(
        &mut self,
        id: &TenantId,
        delivery: &Delivery,
        told: &[Arc<Detection>],
        untold: &mut Vec<Untold>,
        rows: &mut Vec<Attempt>,
    ) {
        for (line, detection) in delivery.lines().zip(told).filter(|(line, _)| line.merged.untold) {
            let Some(lane) = line.lane.as_ref().map(|lane| (delivery.channel.clone(), Arc::clone(lane))) else {
                continue;
            };
            let behind: Vec<LineAt> = self.tenants.get(id).map(|t| t.lane(&lane).collect()).unwrap_or_default();
            for at in behind {
                self.tell_one_behind(id, at, detection, untold, rows);
            }
        }
    }

    fn tell_one_behind(
        &mut self,
        id: &TenantId,
        at: LineAt,
        before: &Detection,
        untold: &mut Vec<Untold>,
        rows: &mut Vec<Attempt>,
    ) {
        let Some(tenant) = self.tenants.get_mut(id) else { return };
        let Some((line, detection)) = tenant.find_line(at) else { return };
        if detection.id != before.id || line.merged.untold {
            return;
        }
        tenant.change_line(at, |line| line.merged.untold = true);
        self.dirty.mark(Key::Delivery(id.clone(), at.2));
        let Some(whole) = tenant.deliveries.get(&at.2).cloned() else { return };
        if detection.state != DetectionState::Resolved || whole.waits_for().is_none() {
            return;
        }
        let lead = whole.lines().find(|line| line.order == at.0).cloned().unwrap_or_else(|| whole.lead.clone());
        let (channel, attempts) = (whole.channel.clone(), whole.attempts);
        let one = Delivery { lead, others: Vec::new(), ..whole };
        self.settle(id, &one, false, untold);
        if let Some(tenant) = self.tenants.get_mut(id) {
            tenant.take_line(id, at, &mut self.dirty);
            if tenant.deliveries.is_empty() {
                self.busy.remove(id);
            }
        }
        let of = RowOf {
            detection: &detection,
            channel: channel.as_str(),
            delivery: at.2,
            attempt: attempts,
            disabled: None,
        };
        let state = if attempts == 0 { AttemptState::NotSent } else { AttemptState::Dead };
        rows.push(of.row(state, &Reason::NeverTold, self.wall()));
    }

    /// Tells the fallback channel of what nobody was told of: of each episode its newest line.
    pub(super) fn fall_back(&mut self, untold: &[Untold], rows: &mut Vec<Attempt>) {
        for (at, (detection, merged)) in untold.iter().enumerate() {
            if untold[at + 1..].iter().all(|(newer, _)| newer.id != detection.id) {
                self.fall_back_for(detection, *merged, rows);
            }
        }
    }

    fn fall_back_for(&mut self, detection: &Arc<Detection>, merged: Merged, rows: &mut Vec<Attempt>) {
        let (id, wall) = (detection.tenant.clone(), self.wall());
        let tenant = self.tenants.entry(id.clone()).or_default();
        let Some(channel) = tenant.fallback().cloned() else { return self.nobody_told(detection, rows) };
        let delivery = retry::fallback_id(detection, &channel);
        if tenant.deliveries.contains_key(&delivery) {
            return;
        }
        let labels = tenant.labels_of(&detection.site);
        let failed = tenant.channels.iter().filter(|(_, other)| !other.fallback && other.takes(detection, labels));
        let failed = failed.map(|(id, other)| Failed { channel: id.clone(), kind: other.kind.clone() }).collect();
        let planned = plan(delivery, detection, &channel, None, tenant.next_order(), wall);
        let lead = Line { lane: None, merged: Merged { untold: true, ..merged }, ..planned.lead.clone() };
        let stage = Stage::Waiting(Timer::after(wall, retry::delay_ms(delivery, 1)));
        let planned = Delivery { alone: true, fallback: Some(failed), lead, gathers: None, stage, ..planned };
        if limit(tenant, &planned, detection).is_some() {
            return self.nobody_told(detection, rows);
        }
        tenant.hold(detection, &mut self.dirty);
        tenant.insert(delivery, planned);
        // Once of each alert: it counts as told, whatever becomes of it.
        if tenant.episodes.get(detection.id).is_some() {
            tenant.episodes.change(detection.id, |known| known.told.extend([channel.clone()]));
            self.dirty.mark(Key::Episode(id.clone(), detection.id));
        }
        self.dirty.mark(Key::Delivery(id.clone(), delivery));
        let next_attempt_at = self.not_before(&id, delivery);
        let of = RowOf { detection, channel: channel.as_str(), delivery, attempt: 0, disabled: None };
        rows.push(Attempt { next_attempt_at, ..of.row(AttemptState::Waiting, &Reason::Fallback, wall) });
        self.busy.insert(id);
    }

    /// The row of an alert that reached nobody.
    pub(super) fn nobody_told(&self, detection: &Detection, rows: &mut Vec<Attempt>) {
        let delivery = retry::delivery_id(detection, "", None);
        let of = RowOf { detection, channel: "", delivery, attempt: 0, disabled: None };
        rows.push(of.row(AttemptState::NotSent, &Reason::NobodyTold, self.wall()));
    }
}
