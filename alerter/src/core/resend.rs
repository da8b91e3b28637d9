//! A delivery that somebody asked for: the detection again, to one channel, under an id of its own.

use std::sync::Arc;

use logystera_schemas::alert::Merged;
use logystera_schemas::delivery::{Attempt, AttemptState, Resend};
use logystera_schemas::detection::{Detection, DetectionState};
use logystera_schemas::ids::ChannelId;

use super::clock::Timer;
use super::delivery::{Delivery, Lane, Line, Stage, own_lane};
use super::episodes::Knows;
use super::key::Key;
use super::planner::Planner;
use super::reason::Reason;
use super::retry;
use super::row::RowOf;
use super::stages::limit::limit;
use super::stages::plan::plan;
use super::tenant::Tenant;

impl Tenant {
    /// Whether a detection that is not the end of its episode tells a channel of that what it cannot know.
    fn is_untold(&self, detection: &Detection, channel: &ChannelId) -> bool {
        detection.state != DetectionState::Resolved && self.episodes.knows(detection.id, channel) != Knows::Yes
    }

    /// The lane in which a detection that somebody asks for has its place: it tells the channel what it cannot know, and
    /// what comes behind it, such as the end, must not be read first. None: it goes beside what waits, since the channel
    /// knows of the episode; or newer lines of the fault wait already or are held back.
    fn place_of_resent(&self, detection: &Detection, channel: &ChannelId) -> Option<Lane> {
        let known = self.channels.get(channel).filter(|known| known.off_since.is_none());
        // One that says what happened stands in no lane, asked for or not.
        let fault = known.filter(|_| self.is_untold(detection, channel)).and_then(|_| own_lane(detection))?;
        let lane = (channel.clone(), fault);
        let held = self.episodes.ends_held(&lane.1, channel);
        let mut held = held.into_iter().filter_map(|episode| self.episodes.get(episode)?.line.as_ref());
        (!self.has_newer(&lane, detection.seq) && held.all(|end| end.seq < detection.seq)).then_some(lane)
    }
}

impl Planner {
    /// Plans it, whatever became of the deliveries before, and says so in a row; or says in a row why it does not.
    pub(super) fn resend(&mut self, resend: Resend, rows: &mut Vec<Attempt>) {
        let Resend { tenant: id, resend, channel, detection, .. } = resend;
        // The writer of the record sees to that too.
        if detection.tenant != id {
            return;
        }
        let (wall, detection) = (self.clock.wall(), Arc::new(detection));
        let delivery = retry::resent_id(&detection, &channel, &resend);
        let tenant = self.tenants.entry(id.clone()).or_default();
        if tenant.deliveries.contains_key(&delivery) {
            return;
        }
        let of = RowOf { detection: &detection, channel: channel.as_str(), delivery, attempt: 0, disabled: None };
        let lane = tenant.place_of_resent(&detection, &channel);
        if lane.is_some() {
            self.tell_ends_before(&detection, &channel, rows);
        }
        let tenant = self.tenants.entry(id.clone()).or_default();
        let planned = plan(delivery, &detection, &channel, None, tenant.next_order(), wall);
        // If nobody hears it, the channel still knows what it was told before.
        let merged = Merged { untold: tenant.is_untold(&detection, &channel), ..planned.lead.merged };
        let lead = Line { lane: lane.as_ref().map(|(_, fault)| Arc::clone(fault)), merged, ..planned.lead.clone() };
        let (ordered, stage) = (lane.is_some(), Stage::Waiting(Timer::after(wall, retry::delay_ms(delivery, 1))));
        let planned = Delivery { alone: true, ordered, lead, gathers: None, stage, ..planned };
        let refused = match tenant.channels.get(&channel) {
            None => Some(Reason::ChannelRemoved),
            Some(known) if known.off_since.is_some() => Some(Reason::ChannelDisabled),
            // A digest would tell it with others; it was asked for by itself.
            Some(_) => limit(tenant, &planned, &detection).map(|_| Reason::QueueFull),
        };
        if let Some(reason) = refused {
            rows.push(of.row(AttemptState::NotSent, &reason, wall));
            self.forget_if_empty(&id);
            return;
        }
        tenant.hold(&detection, &mut self.dirty);
        tenant.insert(delivery, planned);
        // From here on it hears of the end, too.
        if tenant.episodes.get(detection.id).is_some() {
            tenant.episodes.change(detection.id, |known| known.told.extend([channel.clone()]));
            self.dirty.mark(Key::Episode(id.clone(), detection.id));
        }
        self.dirty.mark(Key::Delivery(id.clone(), delivery));
        let next_attempt_at = self.not_before(&id, delivery);
        rows.push(Attempt { next_attempt_at, ..of.row(AttemptState::Waiting, &Reason::Resent, wall) });
        self.busy.insert(id.clone());
        if let Some(lane) = lane {
            self.overtake(&id, &lane, rows);
        }
    }
}
