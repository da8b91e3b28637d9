//! What there is room for: in the tenant's state, and in what a channel takes a minute.
//!
//! A channel for people takes so many messages a minute. Of those that could leave now, the worst wait for their turn,
//! of these each site's oldest first; what is beyond is held back, and told in one digest when the next minute begins.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use logystera_schemas::alert::{Digest, Merged};
use logystera_schemas::detection::Detection;
use logystera_schemas::ids::{ChannelId, DeliveryId, EpisodeId, SiteId, TenantId};
use logystera_schemas::limits::{DELIVERIES_KEPT, DELIVERIES_MAX, DIGEST_NAMED_MAX, RATE_WINDOW_MS};
use logystera_schemas::time::WallMs;

use crate::core::clock::Timer;
use crate::core::delivery::{Delivery, DetectionRef, Line, Stage, begins};
use crate::core::digest::{self, rank};
use crate::core::key::{Dirty, Key};
use crate::core::reason::Reason;
use crate::core::retry;
use crate::core::tenant::{LineAt, Tenant};

/// Why there is no room for a planned delivery. None: there is. One that overtakes another needs no room of its own.
pub(in crate::core) fn limit(tenant: &Tenant, planned: &Delivery, detection: &Detection) -> Option<Reason> {
    let takes_a_place = || planned.lanes().any(|lane| tenant.is_overtaken_by(&lane, detection));
    let has_its_own = || tenant.waiting_count_for(&planned.channel) < DELIVERIES_KEPT;
    if tenant.line_count() < DELIVERIES_MAX || has_its_own() || takes_a_place() {
        return None;
    }
    let is_limited = tenant.channels.get(&planned.channel).is_some_and(|channel| channel.per_minute().is_some());
    Some(if is_limited && planned.disabled.is_none() { Reason::RateLimited } else { Reason::QueueFull })
}

impl Tenant {
    /// Channels for which something waits, and which take so many messages a minute.
    pub(in crate::core) fn limited(&self) -> Vec<ChannelId> {
        let limited = |(id, channel): (&ChannelId, &crate::core::channel::Channel)| {
            (channel.per_minute().is_some() && self.waiting_count_for(id) > 0).then(|| id.clone())
        };
        self.channels.iter().filter_map(limited).collect()
    }

    /// Deliveries that could leave now, were not tried, and are more than their channel takes in this minute.
    pub(in crate::core) fn surplus(&self, channel: &ChannelId, wall: WallMs) -> Vec<DeliveryId> {
        let Some(room) = self.channels.get(channel).and_then(|channel| channel.room(wall)) else { return Vec::new() };
        // The digest takes a place too, when its time has come.
        let digest = self.open_digest(channel).and_then(|id| self.deliveries.get(&id)?.waits_for());
        let room = room.saturating_sub(usize::from(digest.is_some_and(|timer| timer.is_over(wall))));
        if self.waiting_count_for(channel) <= room {
            return Vec::new();
        }
        let held = |id: DeliveryId| {
            let delivery = self.deliveries.get(&id)?;
            let is_alert = delivery.digest.is_none() && delivery.disabled.is_none() && !delivery.alone;
            let is_new = delivery.attempts == 0 && is_alert;
            let severity = self.detections.get(&delivery.lead.detection)?.detection.severity;
            is_new.then_some((Reverse(severity), &delivery.lead, id))
        };
        let mut ready: Vec<_> = self.ready(channel, wall).filter_map(held).collect();
        ready.sort_unstable_by_key(|(severity, line, id)| (*severity, line.order, *id));
        // Each site's first before any site's second: one that has a thousand takes no neighbour's place.
        let mut of_site: BTreeMap<_, usize> = BTreeMap::new();
        let mut ranked = Vec::new();
        for (severity, line, id) in ready {
            let nth = of_site.entry((severity, &line.detection.site)).or_default();
            ranked.push((severity, *nth, line.order, id));
            *nth += 1;
        }
        ranked.sort_unstable();
        ranked.into_iter().skip(room).map(|(.., id)| id).collect()
    }

    /// The alert that makes room for one of `site` in a channel that is full: the newest beginning, not tried yet, of the site
    /// that has most there. None: no other site has more than this one would have then, or none of its newest is such.
    pub(in crate::core) fn crowding(&self, channel: &ChannelId, site: &SiteId) -> Option<LineAt> {
        let waiting = self.waiting.get(channel)?;
        let (_, places) = waiting.crowd()?;
        let has_more = places.len() > waiting.count_of(site) + 1;
        let mut newest = places.iter().rev().take(DELIVERIES_KEPT).filter(|_| has_more);
        newest.find_map(|place| self.last_beginning(place.4))
    }

    /// The last line of a delivery, if that was not tried, and tells alerts as they came, and an episode begins with the line.
    fn last_beginning(&self, id: DeliveryId) -> Option<LineAt> {
        let delivery = self.deliveries.get(&id)?;
        let is_plain = !delivery.alone && delivery.disabled.is_none() && delivery.digest.is_none();
        let line = delivery.lines().last().filter(|_| is_plain && delivery.attempts == 0)?;
        let held = self.detections.get(&line.detection)?;
        begins(&held.detection).then_some((line.order, line.detection.seq, id))
    }

    pub(in crate::core) fn open_digest(&self, channel: &ChannelId) -> Option<DeliveryId> {
        let id = self.newest_gathering(&(channel.clone(), digest_key()))?;
        self.deliveries.get(&id)?.waits_for().map(|_| id)
    }

    /// Counts a detection in the channel's digest that waits; without one, in a new one. Gives the digest's delivery.
    pub(in crate::core) fn hold_back(
        &mut self,
        tenant: &TenantId,
        channel: &ChannelId,
        (detection, merged): (&Arc<Detection>, Merged),
        wall: WallMs,
        dirty: &mut Dirty,
    ) -> DeliveryId {
        let line = Line { detection: DetectionRef::of(detection), order: self.next_order(), merged, lane: None };
        let open = self.open_digest(channel);
        let id = open.unwrap_or_else(|| retry::digest_id(detection, channel.as_str()));
        let began = (merged.untold && self.begun_by(detection.id, channel) != Some(id)).then_some(detection.id);
        let mut unnamed = None;
        if open.is_some() {
            unnamed = self.name(tenant, id, line, detection, dirty);
        } else {
            let left = self.channels.get(channel).and_then(|c| c.window?.end(wall)).map(|end| end.since(wall));
            let timer = Timer::after(wall, left.unwrap_or(RATE_WINDOW_MS));
            self.hold(detection, dirty);
            self.insert(id, Delivery::of_digest(channel.clone(), line, digest_key(), wall, Stage::Waiting(timer)));
        }
        if let Some(digest) = self.deliveries.get_mut(&id).and_then(|delivery| delivery.digest.as_mut()) {
            digest::add(digest, detection, began.is_some());
        }
        if began.is_some() {
            self.count_beginning(detection, channel, (id, unnamed != began), dirty);
        }
        if let Some(other) = unnamed.filter(|other| *other != detection.id) {
            self.count_only(tenant, other, channel, id, dirty);
        }
        dirty.mark(Key::Delivery(tenant.clone(), id));
        id
    }

    /// Names a detection in a digest, if there is room, or instead of one that is less worth it. Gives the episode that is
    /// counted only, if that began with it.
    fn name(
        &mut self,
        tenant: &TenantId,
        id: DeliveryId,
        line: Line,
        detection: &Arc<Detection>,
        dirty: &mut Dirty,
    ) -> Option<EpisodeId> {
        let digest = self.deliveries.get(&id)?;
        let mut unnamed = None;
        if digest.lines().count() >= DIGEST_NAMED_MAX {
            let ranked = |line: &Line| Some((rank(&self.detections.get(&line.detection)?.detection), line.clone()));
            let least = digest.lines().filter_map(ranked).min_by_key(|(rank, line)| (*rank, Reverse(line.order)));
            let Some((_, least)) = least.filter(|(least, _)| *least < rank(detection)) else {
                return line.merged.untold.then_some(detection.id);
            };
            let at: LineAt = (least.order, least.detection.seq, id);
            unnamed = self.find_line(at).filter(|(line, _)| line.merged.untold).map(|(_, detection)| detection.id);
            self.take_line(tenant, at, dirty);
        }
        self.hold(detection, dirty);
        self.add_line(id, line);
        unnamed
    }
}

/// What a digest gathers by: no bundle has these bytes.
pub(in crate::core) fn digest_key() -> Arc<[u8]> {
    Arc::from([])
}

impl Delivery {
    fn of_digest(channel: ChannelId, lead: Line, key: Arc<[u8]>, wall: WallMs, stage: Stage) -> Self {
        Self {
            channel,
            lead,
            others: BTreeMap::new(),
            gathers: Some(key),
            digest: Some(Digest { since: wall, counts: Vec::new(), rest: 0 }),
            disabled: None,
            alone: false,
            ordered: false,
            released: false,
            fallback: None,
            frozen: None,
            attempts: 0,
            off_schedule: 0,
            refusals: 0,
            throttled_since: None,
            due: wall,
            stage,
        }
    }
}
