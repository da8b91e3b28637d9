//! What goes wrong with clocks, doors and networks, and what is done to a site.

use std::sync::Arc;

use logystera_schemas::ids::SpoolId;
use logystera_schemas::signals_topic::{Refused, SiteClosed};

use super::rules;
use super::world::{SiteState, Stray, World};
use crate::input::Input;

/// Reasons of refusals, as the gateway writes them, and one that it may have some day.
const REASONS: [&str; 24] = [
    "conflict",
    "below_window",
    "too_many_spools",
    "quota_exceeded",
    "rate_limited",
    "body_too_large",
    "inflated_too_large",
    "too_many_signals",
    "content_type_unsupported",
    "content_encoding_unsupported",
    "gzip_malformed",
    "not_utf8",
    "json_malformed",
    "json_too_deep",
    "head_invalid",
    "through_invalid",
    "nothing_acceptable",
    "clock_skew",
    "duplicate",
    "type_unknown",
    "value_invalid",
    "too_old",
    "busy",
    "of_another_time",
];

impl World {
    /// Doors and clocks.
    pub(super) fn trouble_time(&mut self) {
        let weather = self.weather.clone();
        let is_slow = self.palette.is_slow();
        if self.rng.rarely(weather.door_shut) {
            let long = if is_slow { 4 * 3_600_000 } else { 300_000 };
            self.now += *self.rng.pick(&[3_000, 30_000, 59_000, 60_000, 61_000, long]);
        }
        if self.rng.rarely(weather.idle) {
            let ticks = *self.rng.pick(&[10, 40, 61, 130, 200]);
            self.idle(ticks);
        }
        if self.rng.rarely(weather.rest) {
            let ticks = *self.rng.pick(&[1, 7, 20, 60]);
            self.rest(ticks);
        }
        if is_slow && self.rng.rarely(weather.idle / 4) {
            self.idle(1_900);
        }
        if is_slow && self.rng.rarely(weather.days) {
            self.pass_days();
        }
        self.stray();
    }

    /// So many days that spools are forgotten, all of them or those that say nothing between.
    fn pass_days(&mut self) {
        let (first, second) = *self.rng.pick(&[(9, 0), (5, 4), (8, 1), (7, 2)]);
        self.now += first * 86_400_000;
        self.tick();
        let site = self.rng.index(self.sites.len());
        let place = self.rng.index(self.sites[site].senders.len());
        let now = self.now;
        if second > 0 {
            self.sites[site].senders[place].next_flush = now;
            self.act(site, place);
            self.now += second * 86_400_000;
            self.tick();
        }
        // The first that comes then may be one that came before.
        let sender = &self.sites[site].senders[place];
        if let (true, Some(old)) = (self.rng.chance(50), sender.answered.last()) {
            let again = crate::input::BatchIn { received_at: self.now, ..old.clone() };
            self.log.inputs.push(Input::Batch(Box::new(again)));
        }
    }

    /// A gateway's clock runs ahead for a while and is set right; then the ticks say so.
    fn stray(&mut self) {
        match &mut self.stray {
            Some(stray) if stray.steps > 0 => stray.steps -= 1,
            Some(stray) => {
                self.gateway_skews[stray.gateway] -= stray.by;
                self.stray = None;
                if self.rng.chance(60) {
                    let ticks = *self.rng.pick(&[58, 61, 70]);
                    self.idle(ticks);
                }
            }
            None if self.rng.rarely(self.weather.stray_clock) => {
                let hours = if self.palette.is_slow() { 2 * 3_600_000 } else { 400_000 };
                let by = *self.rng.pick(&[4_000, 6_000, 100_000, hours, hours]);
                let (gateway, steps) = (self.rng.index(self.gateway_skews.len()), *self.rng.pick(&[0, 1, 5, 60]));
                self.gateway_skews[gateway] += by;
                self.stray = Some(Stray { gateway, by, steps });
            }
            None => {}
        }
    }

    /// Networks, settings and refusals.
    pub(super) fn trouble_site(&mut self, site: usize) {
        let weather = self.weather.clone();
        if self.rng.rarely(weather.cut_off) {
            self.cut_off(site);
        }
        if self.rng.rarely(weather.clock_jump) {
            self.jump(site);
        }
        if self.rng.rarely(weather.switch) {
            let sender = self.rng.index(self.sites[site].senders.len());
            let kind = *self.rng.pick(&self.palette.types);
            self.sites[site].senders[sender].enabled.0 ^= 1 << kind.index();
        }
        if self.rng.rarely(weather.refused) {
            let times = *self.rng.pick(&[1, 1, 2, 4]);
            (0..times).for_each(|_| self.refuse(site));
        }
        if self.rng.rarely(weather.configure) {
            self.reconfigure(site);
        }
    }

    fn cut_off(&mut self, site: usize) {
        let sender = self.rng.index(self.sites[site].senders.len());
        let whole = self.rng.chance(40);
        let until = self.now + 1_000 * *self.rng.pick(&[5, 20, 100, 200, 4_000]);
        for (n, s) in self.sites[site].senders.iter_mut().enumerate() {
            if whole || n == sender {
                s.cut_off_until = until;
            }
        }
    }

    fn jump(&mut self, site: usize) {
        let far = if self.palette.is_slow() { 3_600_000 } else { 300_000 };
        let by = *self.rng.pick(&[-far, -30_000, -1_000, 1_000, 30_000, 100_000, far]);
        if self.rng.chance(50) {
            let gateway = self.rng.index(self.gateway_skews.len());
            self.gateway_skews[gateway] += by;
            if self.rng.chance(50) {
                self.tick();
                self.gateway_skews[gateway] -= by;
            }
        } else {
            let place = self.rng.index(self.sites[site].senders.len());
            let sender = &mut self.sites[site].senders[place];
            sender.skew_ms += by;
            if self.rng.chance(50) {
                sender.clock_offset_ms = -sender.skew_ms;
            }
        }
    }

    fn refuse(&mut self, site: usize) {
        let site = &self.sites[site];
        let spool = match self.rng.below(4) {
            0 => None,
            1 => Some(SpoolId(self.rng.word().to_be_bytes())),
            _ => Some(self.rng.pick(&site.senders).spool),
        };
        let reason = if self.rng.chance(50) { REASONS[0] } else { *self.rng.pick(&REASONS) };
        let authenticated = self.rng.chance(70);
        self.log.inputs.push(Input::Refused(Refused {
            site: site.id.clone(),
            spool,
            reason: reason.to_owned(),
            count: *self.rng.pick(&[1, 1, 2, 1 << 40]),
            authenticated,
        }));
    }

    fn reconfigure(&mut self, site: usize) {
        if self.rng.chance(10) {
            let SiteState { id, tenant, .. } = &self.sites[site];
            self.log.inputs.push(Input::Closed(SiteClosed { site: id.clone(), tenant: tenant.clone() }));
            if self.rng.chance(30) {
                return;
            }
            if self.rng.chance(30) {
                self.configure(site);
                let closed = SiteClosed { site: self.sites[site].id.clone(), tenant: self.sites[site].tenant.clone() };
                self.log.inputs.push(Input::Closed(closed));
            }
        } else if self.rng.chance(80) {
            let old = Arc::clone(&self.sites[site].rules);
            self.sites[site].rules = rules::edit_set(&old, &self.palette, &mut self.rng);
        }
        self.configure(site);
    }
}
