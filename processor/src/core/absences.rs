//! Sets the time from which absences are counted: at a first watermark, at the end of a blindness, when a type is
//! switched on.

use std::sync::Arc;

use logystera_schemas::catalogue::SignalTypes;
use logystera_schemas::time::SiteMs;

use super::episode::Event;
use super::rule_groups::RuleGroups;

impl RuleGroups {
    /// The watermark is at `watermark`; `moved`: it was lower before. Absences that waited for it are counted from it.
    pub(crate) fn reached(&mut self, watermark: SiteMs, moved: bool) {
        let waits = self.absences_unset || self.absences_wait && moved;
        if !waits {
            return;
        }
        let after_blindness = moved && std::mem::take(&mut self.absences_wait);
        self.absences_unset = false;
        let program = Arc::clone(&self.program);
        for (index, rule, plan) in program.iter() {
            let (Some(plan), Some(signal)) = (plan.condition.absence(), rule.signal) else { continue };
            let is_on = self.enabled.contains(signal);
            self.each_group(index, |group| {
                let Some(absence) = group.condition.absence_mut() else { return false };
                match absence.base {
                    Some(base) if after_blindness => absence.base = Some(base.max(watermark)),
                    None if is_on && absence.is_expected(plan) => absence.base = Some(watermark),
                    _ => return false,
                }
                true
            });
        }
    }

    /// Sets the declared types as they were stored. No condition turns.
    pub(crate) fn restore_switches(&mut self, declared: SignalTypes) {
        self.declared_types = declared;
        self.enabled = self.program.set.allowed(declared);
    }

    /// The site's senders declare other types from `now` on: absences of those switched off stand still and their alerts clear,
    /// those switched on are counted anew.
    pub(crate) fn declare_types(&mut self, declared: SignalTypes, now: SiteMs) {
        self.declared_types = declared;
        let enabled = self.program.set.allowed(declared);
        let before = std::mem::replace(&mut self.enabled, enabled);
        if before == enabled {
            return;
        }
        // Before the first watermark there is no time to count from: `reached` will give one.
        let is_known = now != SiteMs::MIN;
        self.absences_unset |= !is_known;
        let program = Arc::clone(&self.program);
        for (index, rule, plan) in program.iter() {
            let (Some(absence_plan), Some(signal)) = (plan.condition.absence(), rule.signal) else { continue };
            let is_on = enabled.contains(signal);
            if before.contains(signal) == is_on {
                continue;
            }
            self.each_group(index, |group| {
                let Some(absence) = group.condition.absence_mut() else { return false };
                absence.base = (is_on && is_known && absence.is_expected(absence_plan)).then_some(now);
                if !is_on {
                    // The end of the condition emits nothing by itself.
                    let _ = group.episode.step(Event::Unmet, now, &plan.spans);
                }
                true
            });
        }
    }
}
