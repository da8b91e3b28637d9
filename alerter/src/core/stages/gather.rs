//! Gathering: alerts of a rule that says `bundle` wait for each other and leave as one message.
//!
//! The first one waits as long as its rule says, the others with it; the message leaves when that time is over, or at
//! once when as many have come as may go together. Firings gather with firings and resolutions with resolutions, each
//! of one rule and with the same values of what it bundles by. Alerts of a rule without `bundle` never wait for others.

use std::sync::Arc;

use logystera_schemas::avro::{Datum as _, Writer};
use logystera_schemas::detection::{BundleBy, Detection, DetectionState};
use logystera_schemas::ids::DeliveryId;
use logystera_schemas::limits::BUNDLE_ALERTS_MAX;
use logystera_schemas::time::WallMs;

use crate::core::clock::Timer;
use crate::core::delivery::{Delivery, Stage};
use crate::core::tenant::Tenant;

/// The bytes of what the alerts of a bundle have in common. None: this one goes alone.
pub(in crate::core) fn gathers(detection: &Detection) -> Option<Arc<[u8]>> {
    let spec = detection.bundle.as_ref().filter(|spec| spec.max > 1 && spec.wait_ms > 0)?;
    let mut bytes = Writer::new();
    detection.rule.write(&mut bytes);
    (detection.state == DetectionState::Resolved).write(&mut bytes);
    spec.write(&mut bytes);
    for by in &spec.by {
        match by {
            // All of a channel is of one tenant, and all of a bundle of one rule.
            BundleBy::Tenant | BundleBy::Rule => {}
            BundleBy::Site => detection.site.write(&mut bytes),
            BundleBy::Severity => detection.severity.write(&mut bytes),
            BundleBy::Subsystem => detection.subsystem.write(&mut bytes),
        }
    }
    Some(bytes.into_bytes().into())
}

/// The most that go together.
fn alerts_max(detection: &Detection) -> usize {
    detection.bundle.as_ref().map_or(1, |spec| (spec.max as usize).min(BUNDLE_ALERTS_MAX as usize))
}

impl Tenant {
    /// Adds a planned delivery, whose detection is held; or its line to the bundle that gathers such. Gives the delivery
    /// that tells the detection, and when that is tried if it gathers.
    pub(in crate::core) fn gather(
        &mut self,
        id: DeliveryId,
        planned: Delivery,
        detection: &Detection,
        wall: WallMs,
    ) -> (DeliveryId, Option<WallMs>) {
        let gathers = planned.gathers.clone().map(|key| (planned.channel.clone(), key));
        let until = planned.waits_for().map(|timer| timer.at).filter(|_| gathers.is_some());
        let open = gathers.and_then(|what| self.newest_gathering(&what)).and_then(|open| {
            let bundle = self.deliveries.get(&open)?;
            let timer = bundle.waits_for()?;
            (!timer.is_over(wall) && bundle.lines().count() < alerts_max(detection)).then_some((open, timer))
        });
        let Some((open, timer)) = open else {
            self.insert(id, planned);
            return (id, until);
        };
        self.add_line(open, planned.lead);
        let is_full = self.deliveries.get(&open).is_some_and(|bundle| bundle.lines().count() >= alerts_max(detection));
        if !is_full {
            return (open, Some(timer.at));
        }
        let now = Stage::Waiting(Timer { at: wall, delay_ms: 0 });
        self.change(open, |bundle| Delivery { stage: now, ..bundle });
        (open, Some(wall))
    }
}
