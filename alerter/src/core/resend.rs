//! A delivery that somebody asked for: the detection again, to one channel, under an id of its own.

use std::sync::Arc;

use logystera_schemas::alert::Merged;
use logystera_schemas::delivery::{Attempt, AttemptState, Resend};

use super::clock::Timer;
use super::delivery::{Delivery, Line, Stage};
use super::key::Key;
use super::planner::Planner;
use super::reason::Reason;
use super::retry;
use super::row::RowOf;
use super::stages::limit::limit;
use super::stages::plan::plan;

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
        let planned = plan(delivery, &detection, &channel, None, tenant.next_order(), wall);
        let first = Timer::after(wall, retry::delay_ms(delivery, 1));
        // If nobody hears it, the channel still knows what it was told before.
        let merged = Merged { untold: tenant.is_news(&detection, &channel), ..planned.lead.merged };
        let lead = Line { lane: None, merged, ..planned.lead.clone() };
        let planned = Delivery { alone: true, lead, gathers: None, stage: Stage::Waiting(first), ..planned };
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
        self.busy.insert(id);
    }
}
