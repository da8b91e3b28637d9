//! The open episodes of a tenant: which channels were told of each, and what is held back of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use logystera_schemas::detection::{Detection, DetectionState};
use logystera_schemas::ids::{ChannelId, DeliveryId, EpisodeId, SiteId};
use logystera_schemas::limits::{DELIVERIES_KEPT, EPISODES_MAX, HELD_BACK_MAX};
use logystera_schemas::time::WallMs;
use logystera_schemas::{avro_enum, avro_record};

use super::counted::Counted;
use super::crowds::Crowds;
use super::delivery::{begins, lane_of};
use super::reason::Reason;

avro_enum! {
    /// What holds a line back.
    pub(super) enum HoldReason {
        /// A silence.
        Silenced = "silenced",
        /// The channel's quiet hours.
        QuietHours = "quiet_hours",
    }
}

impl From<HoldReason> for Reason {
    fn from(reason: HoldReason) -> Self {
        match reason {
            HoldReason::Silenced => Self::Silenced,
            HoldReason::QuietHours => Self::QuietHours,
        }
    }
}

avro_record! {
    /// How long a line is held back.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Hold {
        /// What does it now.
        pub(super) reason: HoldReason,
        /// First time at which nothing does, as far as is known.
        pub(super) until: WallMs,
    }
}

/// An episode of which a firing was told or held back, until its end was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Episode {
    /// Its place among the tenant's, in the order in which they began.
    pub(super) order: u64,
    /// The channels that a delivery of a firing was planned to, unless that ended before they could know.
    pub(super) told: BTreeSet<ChannelId>,
    /// Its newest line, while that is held back.
    pub(super) line: Option<Arc<Detection>>,
    /// The channels that the line is held back from.
    pub(super) held: BTreeMap<ChannelId, Hold>,
    /// The channels to which a digest tells that it began, until that has ended.
    pub(super) counted: BTreeMap<ChannelId, Counted>,
    /// It is over, and kept only because a digest counts its beginning.
    pub(super) over: bool,
}

impl Episode {
    /// The fault that its line ends, while that is held back.
    fn end_held(&self) -> Option<Arc<[u8]>> {
        let line = self.line.as_ref().filter(|line| line.state == DetectionState::Resolved)?;
        (!self.held.is_empty()).then(|| lane_of(line))
    }
}

/// Whether a channel was told of an episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Knows {
    /// It was.
    Yes,
    /// It was not.
    No,
    /// The episode is not known here: it began before this was kept, or too many were open.
    Unsure,
}

/// A tenant's open episodes.
#[derive(Clone, Debug, Default)]
pub(super) struct Episodes {
    open: BTreeMap<EpisodeId, Episode>,
    /// Derived: all of them, in their order.
    orders: BTreeMap<u64, EpisodeId>,
    /// Derived: those of which nothing is held back.
    idle: BTreeSet<u64>,
    /// Derived: what is held back, by its time.
    held: BTreeSet<(WallMs, u64, ChannelId)>,
    /// Derived: those whose end is held back, by its fault. No empty set.
    ends: BTreeMap<Arc<[u8]>, BTreeSet<u64>>,
    /// Derived: those of which a line is held back, by its site.
    crowds: Crowds,
    /// Derived: the time that the planner knows as the first of those.
    pub(super) wake_at: Option<WallMs>,
}

impl Episodes {
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub(super) fn get(&self, id: EpisodeId) -> Option<&Episode> {
        self.open.get(&id)
    }

    pub(super) fn knows(&self, id: EpisodeId, channel: &ChannelId) -> Knows {
        match self.open.get(&id).filter(|episode| !episode.over) {
            None => Knows::Unsure,
            Some(episode) if episode.told.contains(channel) => Knows::Yes,
            Some(_) => Knows::No,
        }
    }

    pub(super) fn is_held(&self, id: EpisodeId, channel: &ChannelId) -> bool {
        self.open.get(&id).is_some_and(|episode| episode.held.contains_key(channel))
    }

    /// Whether the end of any is held back.
    pub(super) fn has_ends_held(&self) -> bool {
        !self.ends.is_empty()
    }

    /// The episodes of a fault whose end is held back from a channel, in their order.
    pub(super) fn ends_held(&self, fault: &[u8], channel: &ChannelId) -> Vec<EpisodeId> {
        let orders = self.ends.get(fault).into_iter().flatten();
        orders.filter_map(|order| self.orders.get(order).copied()).filter(|id| self.is_held(*id, channel)).collect()
    }

    /// The episodes of whose beginning a digest tells a channel.
    pub(super) fn counted_by(&self, digest: DeliveryId, channel: &ChannelId) -> Vec<EpisodeId> {
        let is_counted =
            |episode: &Episode| episode.counted.get(channel).is_some_and(|counted| counted.digest == digest);
        self.open.iter().filter(|(_, episode)| is_counted(episode)).map(|(id, _)| *id).collect()
    }

    /// Whether one more episode may have its line held back.
    pub(super) fn has_room(&self) -> bool {
        self.open.len() - self.idle.len() < HELD_BACK_MAX
    }

    /// The episode that makes room for one more of `site`: the newest of the site that has most held back, of which the
    /// beginning is. None: no other site has more than this one would have then, or none of its newest is such.
    pub(super) fn crowding(&self, site: &SiteId) -> Option<EpisodeId> {
        let newest = self.crowds.crowding(site).take(DELIVERIES_KEPT);
        let mut newest = newest.filter_map(|order| self.orders.get(&order).copied());
        newest.find(|id| self.open.get(id).and_then(|known| known.line.as_ref()).is_some_and(|line| begins(line)))
    }

    /// When the first line that is held back may be told.
    pub(super) fn next_due(&self) -> Option<WallMs> {
        self.held.first().map(|(until, ..)| *until)
    }

    /// What is held back until `wall` at most, in the order of the episodes. None: all that is held back.
    pub(super) fn due(&self, wall: Option<WallMs>) -> Vec<(EpisodeId, ChannelId)> {
        let is_due = |until: WallMs| wall.is_none_or(|wall| until <= wall);
        let due: BTreeSet<_> =
            self.held.iter().take_while(|held| is_due(held.0)).map(|(_, order, channel)| (order, channel)).collect();
        due.into_iter().filter_map(|(order, channel)| Some((*self.orders.get(order)?, channel.clone()))).collect()
    }

    /// Episodes that know of a channel which is not among these.
    pub(super) fn with_others_than<V>(&self, channels: &BTreeMap<ChannelId, V>) -> Vec<EpisodeId> {
        let has_other = |episode: &Episode| episode.told.iter().any(|channel| !channels.contains_key(channel));
        self.open.iter().filter(|(_, episode)| has_other(episode)).map(|(id, _)| *id).collect()
    }

    /// Adds an episode as the newest, unless it is open. Gives the oldest if there is no room for both.
    pub(super) fn begin(&mut self, id: EpisodeId) -> Option<EpisodeId> {
        if self.open.contains_key(&id) {
            return None;
        }
        let surplus = if self.open.len() < EPISODES_MAX { None } else { self.idle.first().copied() };
        let forgotten = surplus.and_then(|order| self.orders.get(&order).copied());
        if let Some(oldest) = forgotten {
            self.remove(oldest);
        }
        let order = self.orders.last_key_value().map_or(0, |(last, _)| last.saturating_add(1));
        self.put(id, Episode { order, ..Episode::default() });
        forgotten
    }

    /// Changes an episode, if it is open.
    pub(super) fn change(&mut self, id: EpisodeId, change: impl FnOnce(&mut Episode)) {
        let Some(mut episode) = self.remove(id) else { return };
        change(&mut episode);
        if episode.held.is_empty() {
            episode.line = None;
        }
        self.put(id, episode);
    }

    /// Adds an episode as it is.
    pub(super) fn put(&mut self, id: EpisodeId, episode: Episode) {
        self.orders.insert(episode.order, id);
        match &episode.line {
            Some(line) if !episode.held.is_empty() => self.crowds.insert(&line.site, episode.order),
            _ => drop(self.idle.insert(episode.order)),
        }
        if let Some(fault) = episode.end_held() {
            self.ends.entry(fault).or_default().insert(episode.order);
        }
        self.held.extend(episode.held.iter().map(|(channel, hold)| (hold.until, episode.order, channel.clone())));
        self.open.insert(id, episode);
    }

    /// Removes an episode.
    pub(super) fn remove(&mut self, id: EpisodeId) -> Option<Episode> {
        let episode = self.open.remove(&id)?;
        self.orders.remove(&episode.order);
        self.idle.remove(&episode.order);
        if let Some(line) = &episode.line {
            self.crowds.remove(&line.site, episode.order);
        }
        if let Some(fault) = episode.end_held()
            && let Some(orders) = self.ends.get_mut(&fault)
        {
            orders.remove(&episode.order);
            if orders.is_empty() {
                self.ends.remove(&fault);
            }
        }
        for (channel, hold) in &episode.held {
            self.held.remove(&(hold.until, episode.order, channel.clone()));
        }
        Some(episode)
    }
}
