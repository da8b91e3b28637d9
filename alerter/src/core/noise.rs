//! What silences, settings and quiet hours make the planner do: each channel hears of a detection, or a row says why it
//! does not; and what was held back is looked at again when its time has come, or what held it back has changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use logystera_schemas::delivery::{Attempt, AttemptState};
use logystera_schemas::detection::{Detection, DetectionReason, DetectionState};
use logystera_schemas::ids::{ChannelId, EpisodeId, SilenceId, TenantId};
use logystera_schemas::limits::SILENCES_MAX;
use logystera_schemas::noise::Silence;
use logystera_schemas::time::WallMs;

use super::delivery::{Delivery, begins, lane_of};
use super::episodes::{Hold, Knows};
use super::key::Key;
use super::lost::{Standing, Untold};
use super::planner::Planner;
use super::reason::Reason;
use super::retry;
use super::row::not_sent;
use super::stages::hold::{Fate, fate};
use super::stages::plan::PlannedFor;

/// Whether no end ever follows: what it says is said once.
fn has_no_end(detection: &Detection) -> bool {
    detection.once || detection.reason == DetectionReason::Overflow
}

/// The last row of what was held back and is told with others now: the rows behind it name the delivery that does that.
fn told_by_another(line: &Detection, channel: &ChannelId, rows: &[Attempt]) -> Option<Attempt> {
    let own = retry::delivery_id(line, channel.as_str(), None);
    let is_of_line =
        |row: &&Attempt| (&row.site, row.seq, row.channel.as_str()) == (&line.site, line.seq, channel.as_str());
    let has_its_last = rows.iter().any(|row| row.delivery == own && row.next_attempt_at.is_none());
    let row = rows.iter().find(is_of_line).filter(|row| row.delivery != own && row.state == AttemptState::NotSent)?;
    (!has_its_last).then(|| Attempt { delivery: own, next_attempt_at: None, ..row.clone() })
}

impl Planner {
    /// Takes a silence in: a new one, or one that has changed or is ended. What it holds back no more is told.
    pub(super) fn silence(&mut self, silence: Silence, rows: &mut Vec<Attempt>) {
        let (id, wall) = (silence.tenant.clone(), self.clock.wall());
        let tenant = self.tenants.entry(id.clone()).or_default();
        let own = silence.silence.clone();
        let gone = |known: &Silence| known.silence == own || known.is_over(wall);
        let over: Vec<SilenceId> =
            tenant.silences.values().filter(|known| gone(known)).map(|known| known.silence.clone()).collect();
        for silence in over {
            tenant.silences.remove(&silence);
            self.dirty.mark(Key::Silence(id.clone(), silence));
        }
        // The writer of the record keeps the limits too; a record beyond them must not grow the state, nor hold for
        // ever.
        if !silence.is_over(wall) && silence.is_bounded() && tenant.silences.len() < SILENCES_MAX {
            self.dirty.mark(Key::Silence(id.clone(), own.clone()));
            tenant.silences.insert(own, silence);
        }
        self.look_again(&id, None, rows);
        self.forget_if_empty(&id);
    }

    /// Tells a detection to the channels that get it now, and keeps what they get later. `fates` is empty if the tenant
    /// has no channel, or none but the fallback.
    pub(super) fn hear(&mut self, detection: &Arc<Detection>, fates: Vec<(ChannelId, Fate)>, rows: &mut Vec<Attempt>) {
        let (id, wall) = (detection.tenant.clone(), self.clock.wall());
        let falls_back = begins(detection) && self.tenants.get(&id).is_some_and(|tenant| tenant.fallback().is_some());
        let is_alone = fates.is_empty();
        if is_alone && !falls_back {
            rows.push(not_sent(detection, "", &Reason::NoChannel, None, wall));
        } else if !is_alone && fates.iter().all(|(_, fate)| *fate == Fate::Unwanted) {
            rows.push(not_sent(detection, "", &Reason::NoRoute, None, wall));
        }
        self.supersede_held(&id, detection.id, rows);
        self.open_episode(detection);
        let wants_room = fates.iter().any(|(_, fate)| matches!(fate, Fate::Later(_)));
        let has_room = !wants_room || self.room_to_hold(detection, rows);
        let (mut told, mut later, mut failed) = (Vec::new(), BTreeMap::new(), is_alone && falls_back);
        for (channel, fate) in fates {
            failed |= matches!(fate, Fate::Not(Reason::ChannelDisabled)) || matches!(fate, Fate::Later(_) if !has_room);
            match fate {
                Fate::Unwanted => {}
                Fate::Not(reason) => rows.push(not_sent(detection, channel.as_str(), &reason, None, wall)),
                Fate::Later(_) if !has_room => {
                    rows.push(not_sent(detection, channel.as_str(), &Reason::QueueFull, None, wall));
                }
                Fate::Later(hold) => {
                    rows.push(not_sent(detection, channel.as_str(), &hold.reason.into(), Some(hold.until), wall));
                    later.insert(channel, hold);
                }
                Fate::Told => {
                    self.tell_ends_before(detection, &channel, rows);
                    if self.plan_one(detection, &channel, PlannedFor::Detection, rows) {
                        told.push(channel);
                    } else {
                        failed = true;
                    }
                }
            }
        }
        let standing = Standing { failed, reached: !told.is_empty(), pending: !later.is_empty() };
        self.keep_episode(detection, told, later);
        if begins(detection) && standing.is_lost() {
            self.fall_back(Untold::one(detection), rows);
        }
        self.forget_if_empty(&id);
    }

    /// An episode that fires is open from here on.
    fn open_episode(&mut self, detection: &Detection) {
        let id = &detection.tenant;
        if detection.state != DetectionState::Firing || has_no_end(detection) {
            return;
        }
        let tenant = self.tenants.entry(id.clone()).or_default();
        if let Some(forgotten) = tenant.episodes.begin(detection.id) {
            self.dirty.mark(Key::Episode(id.clone(), forgotten));
        }
        self.dirty.mark(Key::Episode(id.clone(), detection.id));
    }

    /// A channel is about to hear that a fault fires: the ends of its earlier episodes, which are held back, go first.
    /// Later they would look as if it were over, or overtake it.
    pub(super) fn tell_ends_before(&mut self, detection: &Detection, channel: &ChannelId, rows: &mut Vec<Attempt>) {
        let Some(tenant) = self.tenants.get(&detection.tenant) else { return };
        if detection.state == DetectionState::Resolved || !tenant.episodes.has_ends_held() {
            return;
        }
        for episode in tenant.episodes.ends_held(&lane_of(detection), channel) {
            let Some(tenant) = self.tenants.get_mut(&detection.tenant) else { return };
            let Some(line) = tenant.episodes.get(episode).and_then(|known| known.line.clone()) else { continue };
            tenant.episodes.change(episode, |known| {
                known.held.remove(channel);
            });
            self.tell_held(&line, channel, rows);
            self.close_episode(&line);
        }
        self.wake(&detection.tenant);
    }

    /// Keeps what a detection's episode has become.
    fn keep_episode(&mut self, detection: &Arc<Detection>, told: Vec<ChannelId>, held: BTreeMap<ChannelId, Hold>) {
        let (id, episode) = (detection.tenant.clone(), detection.id);
        let tenant = self.tenants.entry(id.clone()).or_default();
        let is_over = detection.state == DetectionState::Resolved;
        if (is_over || has_no_end(detection)) && held.is_empty() {
            tenant.close(&id, episode, &mut self.dirty);
            return self.wake(&id);
        }
        // What is said once and held back opens no episode before.
        if let Some(forgotten) = tenant.episodes.begin(episode) {
            self.dirty.mark(Key::Episode(id.clone(), forgotten));
        }
        tenant.episodes.change(episode, |known| {
            known.told.extend(told);
            // Its end is held back only from those that know of it.
            known.told.extend(held.keys().filter(|_| is_over).cloned());
            known.line = Some(Arc::clone(detection));
            known.held = held;
            known.over = false;
        });
        self.dirty.mark(Key::Episode(id.clone(), episode));
        self.wake(&id);
    }

    /// A newer line of an episode came: what is held back of it is not told any more.
    fn supersede_held(&mut self, id: &TenantId, episode: EpisodeId, rows: &mut Vec<Attempt>) {
        let wall = self.clock.wall();
        let Some(tenant) = self.tenants.get_mut(id) else { return };
        let Some(known) = tenant.episodes.get(episode) else { return };
        let Some(line) = known.line.clone() else { return };
        let channels = known.held.keys();
        rows.extend(channels.map(|c| not_sent(&line, c.as_str(), &Reason::Superseded, None, wall)));
        tenant.episodes.change(episode, |known| known.held.clear());
        self.dirty.mark(Key::Episode(id.clone(), episode));
    }

    /// Time has passed: what was held back until now is looked at again.
    pub(super) fn release(&mut self, rows: &mut Vec<Attempt>) {
        let wall = self.clock.wall();
        while let Some((_, id)) = self.waking.first().filter(|(at, _)| *at <= wall).cloned() {
            self.look_again(&id, Some(wall), rows);
        }
    }

    /// Looks at what is held back until `upto`, or at all of it: it is told, or held back for longer, or has a row that
    /// says why not.
    pub(super) fn look_again(&mut self, id: &TenantId, upto: Option<WallMs>, rows: &mut Vec<Attempt>) {
        let due = self.tenants.get(id).map_or_else(Vec::new, |tenant| tenant.episodes.due(upto));
        for (episode, channel) in due {
            self.look_again_at(id, episode, &channel, rows);
        }
        self.wake(id);
    }

    fn look_again_at(&mut self, id: &TenantId, episode: EpisodeId, channel: &ChannelId, rows: &mut Vec<Attempt>) {
        let wall = self.clock.wall();
        let Some(tenant) = self.tenants.get_mut(id) else { return };
        let Some(known) = tenant.episodes.get(episode) else { return };
        let (Some(line), Some(hold)) = (known.line.clone(), known.held.get(channel).copied()) else { return };
        let fate = match tenant.channels.get(channel) {
            None => Fate::Not(Reason::ChannelRemoved),
            Some(now) => match fate(tenant, channel, now, &line, wall) {
                Fate::Later(same) if same == hold => return,
                fate => fate,
            },
        };
        self.dirty.mark(Key::Episode(id.clone(), episode));
        tenant.episodes.change(episode, |known| match &fate {
            Fate::Later(longer) => drop(known.held.insert(channel.clone(), *longer)),
            _ => drop(known.held.remove(channel)),
        });
        let (reason, next) = match fate {
            Fate::Told => {
                self.tell_ends_before(&line, channel, rows);
                self.tell_held(&line, channel, rows);
                (None, None)
            }
            Fate::Later(longer) => (Some(longer.reason.into()), Some(longer.until)),
            Fate::Not(reason) => (Some(reason), None),
            Fate::Unwanted => (Some(Reason::NoRoute), None),
        };
        rows.extend(reason.map(|reason| not_sent(&line, channel.as_str(), &reason, next, wall)));
        self.close_episode(&line);
    }

    /// Tells a channel a line that was held back from it until now.
    fn tell_held(&mut self, line: &Arc<Detection>, channel: &ChannelId, rows: &mut Vec<Attempt>) {
        let before = rows.len();
        let is_told = self.plan_one(line, channel, PlannedFor::Release, rows);
        rows.extend(told_by_another(line, channel, &rows[before..]));
        if let Some(tenant) = self.tenants.get_mut(&line.tenant).filter(|_| is_told) {
            tenant.episodes.change(line.id, |known| known.told.extend([channel.clone()]));
        }
    }

    /// An episode whose last line is not held back from any channel any more is over.
    fn close_episode(&mut self, line: &Detection) {
        self.dirty.mark(Key::Episode(line.tenant.clone(), line.id));
        let Some(tenant) = self.tenants.get_mut(&line.tenant) else { return };
        let is_last = line.state == DetectionState::Resolved || has_no_end(line);
        if is_last && tenant.episodes.get(line.id).is_some_and(|e| e.held.is_empty()) {
            tenant.close(&line.tenant, line.id, &mut self.dirty);
        }
    }

    /// A delivery ended before its channel could know of the episodes that it tells. `told` are their detections, in the
    /// order of its lines.
    pub(super) fn untell(&mut self, id: &TenantId, delivery: &Delivery, told: &[Arc<Detection>]) {
        // The fallback channel is told once, whatever becomes of it.
        let Some(tenant) = self.tenants.get_mut(id).filter(|_| delivery.fallback.is_none()) else { return };
        for (line, detection) in delivery.lines().zip(told).filter(|(line, _)| line.merged.untold) {
            debug_assert_eq!(line.detection.seq, detection.seq, "the lines and what they tell go together");
            let lane = (delivery.channel.clone(), lane_of(detection));
            if tenant.pass_on(id, &lane, detection.id, &mut self.dirty) {
                continue;
            }
            if tenant.episodes.knows(detection.id, &delivery.channel) == Knows::Yes {
                tenant.episodes.change(detection.id, |known| known.told.retain(|c| *c != delivery.channel));
                self.dirty.mark(Key::Episode(id.clone(), detection.id));
            }
        }
    }

    /// A channel may have heard what a delivery tells: it hears of the ends of those episodes, too. `told` are the
    /// detections of the delivery.
    pub(super) fn heard(&mut self, id: &TenantId, channel: &ChannelId, told: &[Arc<Detection>]) {
        let Some(tenant) = self.tenants.get_mut(id) else { return };
        for detection in told.iter().filter(|one| one.state != DetectionState::Resolved) {
            if tenant.episodes.knows(detection.id, channel) == Knows::No {
                tenant.episodes.change(detection.id, |known| known.told.extend([channel.clone()]));
                self.dirty.mark(Key::Episode(id.clone(), detection.id));
            }
        }
    }

    /// Channels were removed or set anew: none that is gone was told of anything.
    pub(super) fn channels_changed(&mut self, id: &TenantId, rows: &mut Vec<Attempt>) {
        let Some(tenant) = self.tenants.get_mut(id) else { return };
        let channels = &tenant.channels;
        for episode in tenant.episodes.with_others_than(channels) {
            tenant.episodes.change(episode, |known| known.told.retain(|channel| channels.contains_key(channel)));
            self.dirty.mark(Key::Episode(id.clone(), episode));
        }
        self.look_again(id, None, rows);
    }

    /// Has the tenant looked at again when the first of its lines is due.
    pub(super) fn wake(&mut self, id: &TenantId) {
        let Some(tenant) = self.tenants.get_mut(id) else { return };
        let next = tenant.episodes.next_due();
        let before = std::mem::replace(&mut tenant.episodes.wake_at, next);
        if before != next {
            before.map(|at| self.waking.remove(&(at, id.clone())));
            next.map(|at| self.waking.insert((at, id.clone())));
        }
    }
}
