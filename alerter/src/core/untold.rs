//! What follows when every delivery of an alert ended and no channel took one: the tenant's fallback channel is told, once; without
//! one, or if it fails too, a row says that nobody was told. Nothing follows from that.
//!
//! A digest names a few of its alerts and counts the others. Of those it is known by their open episodes whether another channel was
//! told. If nobody was told of any of its alerts, the fallback gets the digest as it is; else those that nobody was told of, by name or as
//! a number.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use logystera_schemas::alert::{Digest, Failed, Merged};
use logystera_schemas::delivery::{Attempt, AttemptState};
use logystera_schemas::detection::{Detection, DetectionState};
use logystera_schemas::ids::{ChannelId, DeliveryId, EpisodeId, TenantId};

use super::channel::Channel;
use super::clock::Timer;
use super::counted::{AlertRef, Counted};
use super::delivery::{Delivery, DetectionRef, Line, Stage, begins};
use super::digest;
use super::episodes::Knows;
use super::key::Key;
use super::lost::{Standing, Untold, UntoldDigest};
use super::planner::Planner;
use super::reason::Reason;
use super::retry;
use super::row::{RowOf, nobody_told};
use super::stages::limit::limit;
use super::stages::plan::plan;
use super::tenant::{LineAt, Tenant};

impl Tenant {
    /// Whether a channel cannot know yet of what this tells. An episode that is not known is new, as far as anybody can tell.
    pub(super) fn is_news(&self, detection: &Detection, channel: &ChannelId) -> bool {
        detection.state == DetectionState::Firing && self.episodes.knows(detection.id, channel) != Knows::Yes
    }

    /// The channels that take a detection.
    fn who_takes(&self, detection: &Detection) -> Vec<Failed> {
        let labels = self.labels_of(&detection.site);
        let takes = |(_, other): &(_, &Channel)| !other.fallback && other.takes(detection, labels);
        let failed = self.channels.iter().filter(takes);
        failed.map(|(id, other)| Failed { channel: id.clone(), kind: other.kind.clone() }).collect()
    }

    /// The channel that is told when all others failed, if it is on.
    pub(super) fn fallback(&self) -> Option<&ChannelId> {
        self.channels.iter().find(|(_, channel)| channel.fallback && channel.off_since.is_none()).map(|(id, _)| id)
    }
}

impl Planner {
    /// Notes at its detections how a delivery ends, before it is removed. Adds those that nobody was told of: this was the last
    /// delivery of each, and none got through.
    pub(super) fn settle(
        &mut self,
        id: &TenantId,
        (delivery_id, delivery): (DeliveryId, &Delivery),
        is_delivered: bool,
        untold: &mut Untold,
    ) {
        let before = untold.alerts.len();
        let Some(tenant) = self.tenants.get_mut(id) else { return };
        if delivery.fallback.is_some() && is_delivered {
            let told = tenant.take_counted(id, delivery_id, &delivery.channel, &mut self.dirty);
            tenant.forget_over(told.into_iter().map(|(episode, _)| episode));
        }
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
            let may_know =
                tenant.episodes.get(held.detection.id).filter(|episode| !episode.over).is_some_and(|episode| {
                    !episode.held.is_empty() || episode.told.iter().any(|channel| !held.failed.contains(channel))
                });
            let (failed, reached) = (!held.failed.is_empty(), held.reached);
            if (Standing { failed, reached, pending: may_know }).is_lost() {
                untold.alerts.push((Arc::clone(&held.detection), line.merged));
            }
        }
        if let Some(digest) = &delivery.digest {
            let counted = tenant.take_counted(id, delivery_id, &delivery.channel, &mut self.dirty);
            let episodes: Vec<EpisodeId> = counted.iter().map(|(episode, _)| *episode).collect();
            if !is_delivered {
                self.settle_digest(id, (delivery, digest), counted, before, untold);
            }
            // What falls back is counted anew by what tells the fallback.
            let falls_back = untold.digests.last().map(|digest| digest.counted.clone()).unwrap_or_default();
            let falls_back: BTreeSet<EpisodeId> = falls_back.into_iter().map(|(episode, _)| episode).collect();
            if let Some(tenant) = self.tenants.get_mut(id) {
                tenant.forget_over(episodes.into_iter().filter(|episode| !falls_back.contains(episode)));
            }
        }
    }

    /// Notes that a digest ends undelivered, which told these beginnings. Of those that it names, nobody was told of the ones in
    /// `untold` from `before` on.
    fn settle_digest(
        &mut self,
        id: &TenantId,
        (delivery, whole): (&Delivery, &Digest),
        taken: Vec<(EpisodeId, Counted)>,
        before: usize,
        untold: &mut Untold,
    ) {
        let Some(tenant) = self.tenants.get_mut(id) else { return };
        let lines = delivery.lines().count();
        if whole.alerts() <= lines as u64 {
            return;
        }
        let (mut counted, mut is_none_told) = (Vec::new(), untold.alerts.len() - before == lines);
        for (episode, Counted { alert, .. }) in taken.into_iter().filter(|(_, counted)| !counted.named) {
            tenant.episodes.change(episode, |known| known.told.retain(|c| *c != delivery.channel));
            let Some(known) = tenant.episodes.get(episode) else { continue };
            let (reached, pending) = (!known.told.is_empty(), !known.held.is_empty());
            if (Standing { failed: true, reached, pending }).is_lost() {
                counted.push((episode, alert));
            } else {
                is_none_told = false;
            }
        }
        if !is_none_told && counted.is_empty() {
            return;
        }
        let named: Vec<_> = untold.alerts.drain(before..).collect();
        let mut digest = Digest { since: whole.since, counts: Vec::new(), rest: counted.len() as u64 };
        for (detection, merged) in &named {
            digest::add(&mut digest, detection, merged.untold);
        }
        if is_none_told {
            digest = whole.clone();
        }
        // A message is about some detection.
        let Some(first) = tenant.detections.get(&delivery.lead.detection) else { return };
        let about = (Arc::clone(&first.detection), delivery.lead.merged);
        let kind = tenant.channels.get(&delivery.channel).map(|channel| channel.kind.clone()).unwrap_or_default();
        let failed = Failed { channel: delivery.channel.clone(), kind };
        untold.digests.push(UntoldDigest { digest, failed, about, named, counted });
    }

    /// The lines behind one that ended unheard: an end whose beginning was never told is not told, and a firing tells it.
    pub(super) fn tell_behind(
        &mut self,
        id: &TenantId,
        delivery: &Delivery,
        told: &[Arc<Detection>],
        untold: &mut Untold,
        rows: &mut Vec<Attempt>,
    ) {
        // What was asked for was told to others when it ended before.
        let mut told_before = Untold::default();
        let untold = if delivery.alone { &mut told_before } else { untold };
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
        untold: &mut Untold,
        rows: &mut Vec<Attempt>,
    ) {
        let Some(tenant) = self.tenants.get_mut(id) else { return };
        let Some((line, detection)) = tenant.find_line(at) else { return };
        if detection.id != before.id || line.merged.untold {
            return;
        }
        tenant.change_line(at, |line| line.merged.untold = true);
        self.dirty.mark(Key::Delivery(id.clone(), at.2));
        let Some(one) = tenant.deliveries.get(&at.2).and_then(|whole| whole.only(at.0)) else { return };
        if detection.state != DetectionState::Resolved || one.waits_for().is_none() {
            return;
        }
        let (channel, attempts) = (one.channel.clone(), one.attempts);
        self.settle(id, (at.2, &one), false, untold);
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
    pub(super) fn fall_back(&mut self, untold: Untold, rows: &mut Vec<Attempt>) {
        let newest: BTreeMap<EpisodeId, usize> =
            untold.alerts.iter().enumerate().map(|(at, (detection, _))| (detection.id, at)).collect();
        for (at, told) in untold.alerts.iter().enumerate() {
            if newest.get(&told.0.id) == Some(&at) {
                self.fall_back_for(std::slice::from_ref(told), None, rows);
            }
        }
        for mut digest in untold.digests {
            let named = std::mem::take(&mut digest.named);
            self.fall_back_for(&named, Some(digest), rows);
        }
    }

    /// Plans a message to the fallback channel, about one detection or a digest, or says in a row of each alert that nobody was told.
    fn fall_back_for(
        &mut self,
        told: &[(Arc<Detection>, Merged)],
        digest: Option<UntoldDigest>,
        rows: &mut Vec<Attempt>,
    ) {
        let (digest, about, failed, counted) = match digest {
            None => (None, None, None, Vec::new()),
            Some(UntoldDigest { digest, about, failed, counted, .. }) => {
                (Some(digest), Some(about), Some(failed), counted)
            }
        };
        let lines = if told.is_empty() { about.as_slice() } else { told };
        let Some((detection, _)) = lines.first() else { return };
        let (id, wall) = (detection.tenant.clone(), self.wall());
        let tenant = self.tenants.entry(id.clone()).or_default();
        let Some(channel) = tenant.fallback().cloned() else { return self.nobody_told(&id, told, counted, rows) };
        let delivery = match &digest {
            Some(_) => retry::fallback_digest_id(detection, &channel),
            None => retry::fallback_id(detection, &channel),
        };
        if tenant.deliveries.contains_key(&delivery) {
            return;
        }
        let failed = failed.map_or_else(|| tenant.who_takes(detection), |failed| vec![failed]);
        let planned = plan(delivery, detection, &channel, None, tenant.next_order(), wall);
        let order = planned.lead.order;
        let line = |(order, (detection, merged)): (u64, &(Arc<Detection>, Merged))| {
            let (detection, merged) = (DetectionRef::of(detection), Merged { untold: true, ..*merged });
            (order, Line { detection, order, merged, lane: None })
        };
        let (_, lead) = line((order, &lines[0]));
        let others = (order + 1..).zip(&lines[1..]).map(line).collect();
        let stage = Stage::Waiting(Timer::after(wall, retry::delay_ms(delivery, 1)));
        let fallback = Some(failed);
        let planned = Delivery { alone: true, fallback, lead, others, digest, gathers: None, stage, ..planned };
        if limit(tenant, &planned, detection).is_some() {
            return self.nobody_told(&id, told, counted, rows);
        }
        for (one, _) in lines {
            tenant.hold(one, &mut self.dirty);
        }
        tenant.insert(delivery, planned);
        // Once of each alert: it counts as told, whatever becomes of it.
        let named = told.iter().map(|(one, _)| (one.id, None));
        let counted = counted.into_iter().map(|(episode, alert)| (episode, Some(alert)));
        for (episode, alert) in named.chain(counted) {
            if tenant.episodes.get(episode).is_none() {
                continue;
            }
            tenant.episodes.change(episode, |known| {
                known.told.insert(channel.clone());
                let counted = alert.map(|alert| Counted { digest: delivery, named: false, alert });
                known.counted.extend(counted.map(|counted| (channel.clone(), counted)));
            });
            self.dirty.mark(Key::Episode(id.clone(), episode));
        }
        self.dirty.mark(Key::Delivery(id.clone(), delivery));
        let next_attempt_at = self.not_before(&id, delivery);
        let of = RowOf { detection, channel: channel.as_str(), delivery, attempt: 0, disabled: None };
        rows.push(Attempt { next_attempt_at, ..of.row(AttemptState::Waiting, &Reason::Fallback, wall) });
        self.busy.insert(id);
    }

    /// The fallback channel did not take a delivery of these detections either: nobody is told, and nothing follows.
    pub(super) fn fell_through(
        &mut self,
        id: &TenantId,
        (delivery_id, delivery): (DeliveryId, &Delivery),
        told: &[Arc<Detection>],
        rows: &mut Vec<Attempt>,
    ) {
        let Some(tenant) = self.tenants.get_mut(id) else { return };
        let counted = tenant.take_counted(id, delivery_id, &delivery.channel, &mut self.dirty);
        let counted = counted.into_iter().map(|(episode, counted)| (episode, counted.alert)).collect();
        // A digest that names none of its own is about one that others were told of.
        let names_none = delivery.digest.as_ref().is_some_and(|digest| digest.counts.is_empty());
        let told = told.iter().filter(|_| !names_none).map(|one| (Arc::clone(one), Merged::default()));
        self.nobody_told(id, &told.collect::<Vec<_>>(), counted, rows);
    }

    /// The rows of alerts that reached nobody: those with names, and those that were counted only.
    fn nobody_told(
        &mut self,
        id: &TenantId,
        named: &[(Arc<Detection>, Merged)],
        counted: Vec<(EpisodeId, Option<AlertRef>)>,
        rows: &mut Vec<Attempt>,
    ) {
        let wall = self.wall();
        let named = named.iter().map(|(one, _)| (one.id, Some(AlertRef::of(one))));
        let episodes: Vec<EpisodeId> = counted.iter().map(|(episode, _)| *episode).collect();
        for (episode, alert) in named.chain(counted) {
            rows.extend(alert.map(|alert| nobody_told(id, episode, &alert, wall)));
        }
        if let Some(tenant) = self.tenants.get_mut(id) {
            tenant.forget_over(episodes);
        }
    }
}
