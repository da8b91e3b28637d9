//! Bundling, so far of the lines of one lane: the deliveries that tell one channel of one fault (a rule and a group of
//! a site). One line of a lane is in the air at a time, the oldest first, so that nobody hears of a firing after its
//! end. A line that waits is overtaken by a newer one, which tells both. But the end of an episode that the channel may
//! know of is not overtaken by news of another episode: it is told first. So that news need not wait for hours behind
//! it, such an end is tried whenever the news would be; that uses none of its own steps of the schedule.

use std::sync::Arc;

use logystera_schemas::detection::{Detection, DetectionState};
use logystera_schemas::ids::{DeliveryId, TenantId};
use logystera_schemas::time::WallMs;

use crate::core::clock::Timer;
use crate::core::delivery::{Delivery, Lane, Merged, Stage};
use crate::core::key::{Dirty, Key};
use crate::core::retry;
use crate::core::tenant::Tenant;

/// A delivery that was overtaken and is gone.
pub(in crate::core) struct Overtaken {
    pub(in crate::core) id: DeliveryId,
    pub(in crate::core) delivery: Delivery,
    pub(in crate::core) detection: Arc<Detection>,
}

impl Tenant {
    /// Whether `news` would overtake the newest line of the lane that waits.
    pub(in crate::core) fn is_overtaken_by(&self, lane: &Lane, news: &Detection) -> bool {
        let newest = self.lane(lane).filter(|id| !self.is_in_flight(*id)).last().and_then(|id| self.find(id));
        newest.is_some_and(|(waiting, told)| !holds_up(&waiting, &told, news))
    }

    /// Lets newer lines of a lane overtake those that wait before them, and gives those.
    pub(in crate::core) fn overtake(&mut self, tenant: &TenantId, lane: &Lane, dirty: &mut Dirty) -> Vec<Overtaken> {
        let waiting: Vec<DeliveryId> = self.lane(lane).filter(|id| !self.is_in_flight(*id)).collect();
        let mut overtaken = Vec::new();
        for pair in waiting.windows(2) {
            let (Some((older, told)), Some((newer, news))) = (self.find(pair[0]), self.find(pair[1])) else { continue };
            let same_episode = told.id == news.id;
            if holds_up(&older, &told, &news) {
                // But news must not wait for hours behind it.
                if let (Stage::Waiting(before), Stage::Waiting(own)) = (older.stage, newer.stage)
                    && own.at < before.at
                {
                    self.unindex(pair[0], &older);
                    self.insert(pair[0], hastened(pair[0], older, before, own));
                    dirty.mark(Key::Delivery(tenant.clone(), pair[0]));
                }
                continue;
            }
            self.remove(tenant, pair[0], dirty);
            self.unindex(pair[1], &newer);
            self.insert(pair[1], merged(&older, &told, newer, same_episode));
            dirty.mark(Key::Delivery(tenant.clone(), pair[0]));
            dirty.mark(Key::Delivery(tenant.clone(), pair[1]));
            overtaken.push(Overtaken { id: pair[0], delivery: older, detection: told });
        }
        overtaken
    }

    /// A line failed: the news that waits behind it, if it would have been tried by now, is put off by a step of its
    /// own schedule.
    pub(in crate::core) fn put_off_news(
        &mut self,
        tenant: &TenantId,
        failed: DeliveryId,
        lane: &Lane,
        wall: WallMs,
        dirty: &mut Dirty,
    ) {
        let Some(id) = self.lane(lane).skip_while(|id| *id != failed).nth(1) else { return };
        let (Some((older, told)), Some((next, news))) = (self.find(failed), self.find(id)) else { return };
        if !holds_up(&older, &told, &news) {
            return;
        }
        let Some(timer) = next.waits_for().filter(|timer| timer.is_over(wall)) else { return };
        let delay_ms = retry::delay_ms(id, retry::step_of(timer.delay_ms) + 1);
        self.unindex(id, &next);
        self.insert(id, Delivery { stage: Stage::Waiting(Timer::after(wall, delay_ms)), ..next });
        dirty.mark(Key::Delivery(tenant.clone(), id));
    }

    fn is_in_flight(&self, id: DeliveryId) -> bool {
        self.deliveries.get(&id).is_some_and(|d| d.stage == Stage::InFlight)
    }
}

/// Whether the older line is told before the newer one, not overtaken by it: it ends another episode, which the channel
/// may know of, and would else never hear the end of.
fn holds_up(older: &Delivery, told: &Detection, news: &Detection) -> bool {
    told.id != news.id && told.state == DetectionState::Resolved && !older.merged.untold
}

/// A delivery that was to be tried at `own` and is tried at `news` instead. The try uses no step of the schedule,
/// unless it is the first, which it had anyway. A delivery that was hastened before waits for no step of its own: that
/// try is counted already.
fn hastened(id: DeliveryId, delivery: Delivery, own: Timer, news: Timer) -> Delivery {
    let is_step = delivery.attempts > 0 && own.delay_ms == retry::delay_ms(id, delivery.steps() + 1);
    Delivery { stage: Stage::Waiting(news), off_schedule: delivery.off_schedule + u32::from(is_step), ..delivery }
}

/// The newer delivery, which tells the older one's lines too. If neither was tried yet, it is tried at the earlier of
/// their times.
fn merged(older: &Delivery, told: &Detection, newer: Delivery, same_episode: bool) -> Delivery {
    let firing = u32::from(told.state == DetectionState::Firing);
    let oldest = if older.merged.lines > 0 { older.merged.since.min(told.started_at) } else { told.started_at };
    let merged = Merged {
        lines: newer.merged.lines.saturating_add(older.merged.lines).saturating_add(1),
        firings: newer.merged.firings.saturating_add(older.merged.firings).saturating_add(firing),
        since: if newer.merged.lines > 0 { newer.merged.since.min(oldest) } else { oldest },
        untold: if same_episode { older.merged.untold } else { newer.merged.untold },
    };
    let stage = match (older.stage, newer.stage) {
        (Stage::Waiting(before), Stage::Waiting(own)) if older.attempts == 0 && newer.attempts == 0 => {
            Stage::Waiting(if before.at < own.at { before } else { own })
        }
        (_, own) => own,
    };
    Delivery { merged, stage, ..newer }
}
