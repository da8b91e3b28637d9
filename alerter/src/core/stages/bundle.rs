//! Bundling of the lines of one lane: they tell one channel of one fault (a rule and a group of a site). One line of a lane is in the air at a time, the oldest first, so that nobody hears of a firing after its
//! end. A line that waits is overtaken by a newer one, which tells both. But the end of an episode that the channel may
//! know of is not overtaken by news of another episode: it is told first. So that news need not wait for hours behind
//! it, such an end is tried whenever the news would be; that uses none of its own steps of the schedule. A bundle of
//! several faults that was tried keeps its lines likewise: its next try says the same.

use std::sync::Arc;

use logystera_schemas::alert::Merged;
use logystera_schemas::detection::{Detection, DetectionState};
use logystera_schemas::ids::{ChannelId, DeliveryId, EpisodeId, TenantId};
use logystera_schemas::time::WallMs;

use crate::core::clock::Timer;
use crate::core::delivery::{Delivery, DetectionRef, Lane, Stage};
use crate::core::key::{Dirty, Key};
use crate::core::retry;
use crate::core::tenant::{LineAt, Tenant};

/// A line that was overtaken and is gone.
pub(in crate::core) struct Overtaken {
    /// The delivery that it was of.
    pub(in crate::core) id: DeliveryId,
    pub(in crate::core) channel: ChannelId,
    pub(in crate::core) attempts: u32,
    pub(in crate::core) detection: Arc<Detection>,
}

impl Tenant {
    /// Whether `news` would overtake the newest line of the lane that waits.
    pub(in crate::core) fn is_overtaken_by(&self, lane: &Lane, news: &Detection) -> bool {
        self.lane(lane).filter(|at| !self.is_in_flight(at.2)).last().is_some_and(|newest| !self.stays(newest, news))
    }

    /// Whether this detection is the newest line of its lane already.
    pub(in crate::core) fn is_newest(&self, lane: &Lane, detection: &DetectionRef) -> bool {
        let newest = self.lane(lane).last().and_then(|at| self.find_line(at));
        newest.is_some_and(|(newest, _)| newest.detection == *detection)
    }

    /// Whether a lane has this line of its fault, or a newer one.
    pub(in crate::core) fn has_newer(&self, lane: &Lane, seq: u64) -> bool {
        self.lane(lane).any(|at| at.1 >= seq)
    }

    /// What told an episode is gone unheard: a line of it behind that is news then. False: there is none.
    pub(in crate::core) fn pass_on(
        &mut self,
        tenant: &TenantId,
        lane: &Lane,
        of: EpisodeId,
        dirty: &mut Dirty,
    ) -> bool {
        let tells = |at: &LineAt| {
            self.find_line(*at).is_some_and(|(_, told)| told.id == of && told.state != DetectionState::Resolved)
        };
        let Some(at) = self.lane(lane).find(tells) else { return false };
        self.change_line(at, |line| line.merged.untold = true);
        dirty.mark(Key::Delivery(tenant.clone(), at.2));
        true
    }

    /// Lets newer lines of a lane overtake those that wait before them, and gives those.
    pub(in crate::core) fn overtake(&mut self, tenant: &TenantId, lane: &Lane, dirty: &mut Dirty) -> Vec<Overtaken> {
        let waiting: Vec<LineAt> = self.lane(lane).filter(|at| !self.is_in_flight(at.2)).collect();
        let mut overtaken = Vec::new();
        for pair in waiting.windows(2) {
            let (Some((older, told)), Some((newer, news))) = (self.find_line(pair[0]), self.find_line(pair[1])) else {
                continue;
            };
            if self.stays(pair[0], &news) {
                self.hasten(tenant, pair[0].2, pair[1].2, dirty);
                continue;
            }
            let same_episode = told.id == news.id;
            let Some(before) = self.deliveries.get(&pair[0].2).and_then(|before| before.only(pair[0].0)) else {
                continue;
            };
            // The newer one tells it. What was asked for was told to others, if to nobody here, when it ended before.
            for told in [&older, &newer].into_iter().take(1 + usize::from(before.alone)) {
                if let Some(held) = self.detections.get_mut(&told.detection) {
                    held.reached = true;
                    dirty.mark(Key::Detection(tenant.clone(), told.detection.clone()));
                }
            }
            self.take_line(tenant, pair[0], dirty);
            self.merge(pair[1], merged(&older.merged, &told, &newer.merged, same_episode), &before);
            dirty.mark(Key::Delivery(tenant.clone(), pair[1].2));
            let Delivery { channel, attempts, .. } = before;
            overtaken.push(Overtaken { id: pair[0].2, channel, attempts, detection: told });
        }
        overtaken
    }

    /// News that waits behind a line must not wait for hours: what tells the line is tried when the news would be.
    fn hasten(&mut self, tenant: &TenantId, older: DeliveryId, newer: DeliveryId, dirty: &mut Dirty) {
        let timer = |id| self.deliveries.get(&id).and_then(Delivery::waits_for);
        let (Some(before), Some(own)) = (timer(older), timer(newer)) else { return };
        if own.at < before.at {
            self.change(older, |delivery| hastened(older, delivery, before, own));
            dirty.mark(Key::Delivery(tenant.clone(), older));
        }
    }

    /// Lets a line tell more, what `before` told. If neither was tried yet nor waits for others, it is tried at the
    /// earlier of their times.
    fn merge(&mut self, at: LineAt, merged: Merged, before: &Delivery) {
        self.change_line(at, |line| line.merged = merged);
        let Some(newer) = self.deliveries.get(&at.2) else { return };
        let is_alone = before.gathers.is_none() && newer.gathers.is_none();
        if let (Stage::Waiting(theirs), Stage::Waiting(own)) = (before.stage, newer.stage)
            && is_alone
            && before.attempts == 0
            && newer.attempts == 0
            && theirs.at < own.at
        {
            self.change(at.2, |newer| Delivery { stage: Stage::Waiting(theirs), ..newer });
        }
    }

    /// A delivery failed: the news that waits behind a line of it, if it would have been tried by now, is put off by a
    /// step of its own schedule.
    pub(in crate::core) fn put_off_news(
        &mut self,
        tenant: &TenantId,
        failed: DeliveryId,
        lane: &Lane,
        wall: WallMs,
        dirty: &mut Dirty,
    ) {
        let pair: Vec<LineAt> = self.lane(lane).skip_while(|at| at.2 != failed).take(2).collect();
        let [older, behind] = pair[..] else { return };
        let Some((_, news)) = self.find_line(behind) else { return };
        if behind.2 == failed || !self.stays(older, &news) {
            return;
        }
        let id = behind.2;
        let timer = self.deliveries.get(&id).and_then(Delivery::waits_for).filter(|timer| timer.is_over(wall));
        let Some(timer) = timer else { return };
        let delay_ms = retry::delay_ms(id, retry::step_of(timer.delay_ms) + 1);
        self.change(id, |next| Delivery { stage: Stage::Waiting(Timer::after(wall, delay_ms)), ..next });
        dirty.mark(Key::Delivery(tenant.clone(), id));
    }

    /// Whether a line is told before `news` of its lane, not overtaken by it: its bundle was tried already; or it ends
    /// another episode, which the channel may know of, and would else never hear the end of.
    fn stays(&self, older: LineAt, news: &Detection) -> bool {
        let is_fixed = self.deliveries.get(&older.2).is_some_and(Delivery::is_fixed);
        is_fixed
            || self.find_line(older).is_some_and(|(line, told)| {
                told.id != news.id && told.state == DetectionState::Resolved && !line.merged.untold
            })
    }

    fn is_in_flight(&self, id: DeliveryId) -> bool {
        self.deliveries.get(&id).is_some_and(|d| d.stage == Stage::InFlight)
    }
}

/// A delivery that was to be tried at `own` and is tried at `news` instead. The try uses no step of the schedule,
/// unless it is the first, which it had anyway. A delivery that was hastened before waits for no step of its own: that
/// try is counted already.
fn hastened(id: DeliveryId, delivery: Delivery, own: Timer, news: Timer) -> Delivery {
    let is_step = delivery.attempts > 0 && own.delay_ms == retry::delay_ms(id, delivery.steps() + 1);
    Delivery { stage: Stage::Waiting(news), off_schedule: delivery.off_schedule + u32::from(is_step), ..delivery }
}

/// What the newer line tells besides its own detection, with the older one and what that told.
fn merged(older: &Merged, told: &Detection, newer: &Merged, same_episode: bool) -> Merged {
    let firing = u32::from(told.state == DetectionState::Firing);
    let oldest = if older.lines > 0 { older.since.min(told.started_at) } else { told.started_at };
    Merged {
        lines: newer.lines.saturating_add(older.lines).saturating_add(1),
        firings: newer.firings.saturating_add(older.firings).saturating_add(firing),
        since: if newer.lines > 0 { newer.since.min(oldest) } else { oldest },
        untold: if same_episode { older.untold } else { newer.untold },
    }
}
