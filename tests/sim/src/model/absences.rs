//! What absences are counted from (design, section 6, "Absence").

use logystera_processor::core::Rule;
use logystera_schemas::catalogue::SignalTypes;

use super::group::{Group, is_absence};
use super::site::Site;

impl Site {
    /// The watermark has moved: absences that a blindness held are counted from it.
    pub(super) fn end_wait(&mut self, watermark: i64) {
        if self.silence.take_wait() {
            self.each_absence(|group, _| {
                if group.absent_since.is_some() {
                    group.absent_since = group.absent_since.max(Some(watermark));
                }
            });
        }
    }

    /// What is expected but not seen yet counts from the first watermark.
    pub(super) fn settle(&mut self, watermark: i64) {
        let enabled = self.enabled();
        self.each_absence(|group, rule| {
            let is_on = rule.signal.is_some_and(|t| enabled.contains(t));
            if is_on && group.absent_since.is_none() && group.is_expected(rule) {
                group.absent_since = Some(watermark);
            }
        });
    }

    pub(super) fn each_absence(&mut self, change: impl Fn(&mut Group, &Rule)) {
        for ((name, _), group) in &mut self.groups {
            if let Some(rule) = self.rules.rules.iter().find(|r| r.name.as_str() == name && is_absence(r)) {
                change(group, rule);
            }
        }
    }

    /// Absences of a type that was switched off stand still, and their condition is false; of one that was switched on they
    /// are counted from `now`.
    pub(super) fn switched(&mut self, before: SignalTypes, now: i64) {
        let after = self.enabled();
        self.each_absence(|group, rule| {
            let Some(kind) = rule.signal else { return };
            match (before.contains(kind), after.contains(kind)) {
                (true, false) => {
                    group.absent_since = None;
                    if group.condition {
                        group.become_false(rule, now);
                    }
                }
                (false, true) => group.absent_since = (now > i64::MIN && group.is_expected(rule)).then_some(now),
                _ => {}
            }
        });
    }
}
