//! Alerts whose beginning a digest tells: until it is known whether the channel has taken that, the end of each must not
//! come first, and each that reaches nobody must have a row.

use logystera_schemas::alert::Merged;
use logystera_schemas::detection::{Detection, DetectionState};
use logystera_schemas::ids::{ChannelId, DeliveryId, EpisodeId, TenantId};

use super::counted::{AlertRef, Counted};
use super::delivery::lane_of;
use super::key::{Dirty, Key};
use super::tenant::Tenant;

/// How the end of an episode is told whose beginning a digest tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndOfCounted {
    /// The digest waits and tells it too.
    Counted,
    /// By itself, with the beginning: the digest was tried and may yet be heard, or not.
    Whole(Merged),
}

impl Tenant {
    /// The digest that tells a channel of an episode's beginning, if that digest has not ended.
    pub(super) fn begun_by(&self, episode: EpisodeId, channel: &ChannelId) -> Option<DeliveryId> {
        let counted = self.episodes.get(episode)?.counted.get(channel)?;
        self.deliveries.contains_key(&counted.digest).then_some(counted.digest)
    }

    /// How a detection is told that ends an episode whose beginning a digest tells. None: it does not, or the channel has
    /// taken the digest. Whatever is behind older lines of its fault waits for those, and goes into no digest.
    pub(super) fn end_of_counted(
        &mut self,
        detection: &Detection,
        channel: &ChannelId,
        dirty: &mut Dirty,
    ) -> Option<EndOfCounted> {
        if detection.state != DetectionState::Resolved {
            return None;
        }
        let digest = self.begun_by(detection.id, channel)?;
        if self.open_digest(channel) == Some(digest)
            && self.lane(&(channel.clone(), lane_of(detection))).next().is_none()
        {
            return Some(EndOfCounted::Counted);
        }
        let lines = self.deliveries.get(&digest)?.lines();
        let (named, heard): (Vec<_>, Vec<_>) = lines.map(|line| (line.detection.clone(), !line.merged.untold)).unzip();
        // The end tells it too, and is what counts if nobody hears of either.
        for line in named {
            if let Some(held) = self.detections.get_mut(&line).filter(|held| held.detection.id == detection.id) {
                held.reached = true;
                dirty.mark(Key::Detection(detection.tenant.clone(), line));
            }
        }
        self.episodes.change(detection.id, |known| drop(known.counted.remove(channel)));
        dirty.mark(Key::Episode(detection.tenant.clone(), detection.id));
        let untold = heard.contains(&false);
        Some(EndOfCounted::Whole(Merged { lines: 1, firings: 1, since: detection.started_at, untold }))
    }

    /// A digest tells a channel of an episode's beginning; whether it names it. What is over by then, or said once, is kept
    /// for it.
    pub(super) fn count_beginning(
        &mut self,
        detection: &Detection,
        channel: &ChannelId,
        (digest, named): (DeliveryId, bool),
        dirty: &mut Dirty,
    ) {
        let (tenant, episode) = (&detection.tenant, detection.id);
        let is_known = self.episodes.get(episode).is_some();
        if let Some(forgotten) = self.episodes.begin(episode) {
            dirty.mark(Key::Episode(tenant.clone(), forgotten));
        }
        let counted = Counted { digest, named, alert: Some(AlertRef::of(detection)) };
        self.episodes.change(episode, |known| {
            known.over |= !is_known;
            known.counted.insert(channel.clone(), counted);
        });
        dirty.mark(Key::Episode(tenant.clone(), episode));
    }

    /// A digest that named an alert only counts it from here on.
    pub(super) fn count_only(
        &mut self,
        tenant: &TenantId,
        episode: EpisodeId,
        channel: &ChannelId,
        digest: DeliveryId,
        dirty: &mut Dirty,
    ) {
        self.episodes.change(episode, |known| {
            let counted = known.counted.remove(channel).filter(|counted| counted.digest == digest);
            let counted = counted.unwrap_or(Counted { digest, named: false, alert: None });
            known.counted.insert(channel.clone(), Counted { named: false, ..counted });
        });
        dirty.mark(Key::Episode(tenant.clone(), episode));
    }

    /// An episode is over. It is kept while a digest counts its beginning, so that it has a row if nobody is told.
    pub(super) fn close(&mut self, tenant: &TenantId, episode: EpisodeId, dirty: &mut Dirty) {
        let Some(known) = self.episodes.get(episode) else { return };
        dirty.mark(Key::Episode(tenant.clone(), episode));
        if known.counted.values().any(|counted| self.deliveries.contains_key(&counted.digest)) {
            self.episodes.change(episode, |known| known.over = true);
        } else {
            self.episodes.remove(episode);
        }
    }

    /// A digest has ended: it tells nobody anything any more. Gives the episodes of whose beginning it told; those of them that
    /// are over are kept until [`Self::forget_over`].
    pub(super) fn take_counted(
        &mut self,
        tenant: &TenantId,
        digest: DeliveryId,
        channel: &ChannelId,
        dirty: &mut Dirty,
    ) -> Vec<(EpisodeId, Counted)> {
        let mut taken = Vec::new();
        for episode in self.episodes.counted_by(digest, channel) {
            self.episodes.change(episode, |known| {
                taken.extend(known.counted.remove(channel).map(|counted| (episode, counted)));
            });
            dirty.mark(Key::Episode(tenant.clone(), episode));
        }
        taken
    }

    /// Forgets episodes that are over, and that nothing counts any more.
    pub(super) fn forget_over(&mut self, episodes: impl IntoIterator<Item = EpisodeId>) {
        for episode in episodes {
            if self.episodes.get(episode).is_some_and(|known| known.over && known.counted.is_empty()) {
                self.episodes.remove(episode);
            }
        }
    }
}
