//! When absences are counted, and from where: after a first watermark, a blindness, a switch.

use std::sync::Arc;

use logystera_schemas::catalogue::SignalTypes;
use logystera_schemas::time::SiteMs;

use super::board::Board;
use super::episode::Event;
use super::group::{Group, Watch};
use super::program::Watches;

impl Board {
    /// The site reached `watermark`, `moved` from where it was: absences that waited for that are counted from it.
    pub fn reached(&mut self, watermark: SiteMs, moved: bool) {
        let waits = self.absences_unset || self.absences_wait && moved;
        if !waits {
            return;
        }
        let after_blindness = moved && std::mem::take(&mut self.absences_wait);
        self.absences_unset = false;
        self.each_absence(|group, expected, on| {
            let Watch::Absence(absence) = &mut group.watch else { return false };
            match absence.base {
                Some(base) if after_blindness => absence.base = Some(base.max(watermark)),
                None if on && expected => absence.base = Some(watermark),
                _ => return false,
            }
            true
        });
    }

    /// The types as they were stored; nothing happens.
    pub fn restore_switches(&mut self, said: SignalTypes) {
        self.said = said;
        self.enabled = self.allowed(said);
    }

    pub(super) fn allowed(&self, said: SignalTypes) -> SignalTypes {
        SignalTypes((said.0 | SignalTypes::MADE_BY_ENGINE.0) & !self.program.set.disabled.0)
    }

    /// Other signal types are switched on from `now`: absences of those switched off stand still and their alerts clear,
    /// those switched on are counted anew.
    pub fn switch(&mut self, said: SignalTypes, now: SiteMs) {
        self.said = said;
        let enabled = self.allowed(said);
        let before = std::mem::replace(&mut self.enabled, enabled);
        if before == enabled {
            return;
        }
        let program = Arc::clone(&self.program);
        // Before the first watermark there is no time to count from: `reached` will give one.
        let known = now != SiteMs::MIN;
        self.absences_unset |= !known;
        for (place, plan) in program.plans.iter().enumerate() {
            let Some(signal) = program.set.rules[place].signal else { continue };
            if before.contains(signal) == enabled.contains(signal) {
                continue;
            }
            let (on, Watches::Absence(_, always)) = (enabled.contains(signal), plan.watches) else { continue };
            self.each_group(place as u16, |group| {
                let Watch::Absence(absence) = &mut group.watch else { return false };
                absence.base = (on && known && (always || absence.seen)).then_some(now);
                if !on {
                    // The end of the condition emits nothing by itself.
                    let _ = group.episode.step(Event::False, now, &plan.spans);
                }
                true
            });
        }
    }

    fn each_absence(&mut self, mut change: impl FnMut(&mut Group, bool, bool) -> bool) {
        let program = Arc::clone(&self.program);
        for (place, plan) in program.plans.iter().enumerate() {
            let (Watches::Absence(_, always), Some(signal)) = (plan.watches, program.set.rules[place].signal) else {
                continue;
            };
            let on = self.enabled.contains(signal);
            self.each_group(place as u16, |group| {
                let Watch::Absence(absence) = &group.watch else { return false };
                let expected = always || absence.seen;
                change(group, expected, on)
            });
        }
    }
}
