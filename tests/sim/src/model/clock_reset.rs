//! Log time that is set back: a site whose own time lies ahead of it starts that anew.

use logystera_processor::core::{Condition, Filter, Piece, Rule, Template};
use logystera_schemas::detection::{DetectionReason, DetectionState, Severity};
use logystera_schemas::ids::Sha256Digest;

use super::group::{Group, Said};
use super::site::{AHEAD, Site};

impl Site {
    /// The first tick came: whatever was heard before it, when no one could say the time, was heard now.
    pub fn heard_at_the_first_tick(&mut self, now: i64) {
        if self.is_second() {
            self.silence.first_told(now);
            self.spools.values_mut().for_each(|spool| spool.last_batch_wall = now);
        }
    }

    /// Log time was set back from `old` to `new`.
    pub fn set_back(&mut self, old: i64, new: i64) {
        if !self.is_second() {
            return;
        }
        self.silence.set_back(old, new);
        for spool in self.spools.values_mut() {
            spool.last_batch_wall = spool.last_batch_wall.min(new);
        }
        if self.watermark.is_some_and(|now| now > new + AHEAD) {
            self.start_anew(new);
        }
        self.settle_switches();
    }

    /// Everything that is held comes first; then all of the site's times move back together.
    fn start_anew(&mut self, new: i64) {
        if let Some(last) = self.held.keys().next_back().map(|place| place.0) {
            self.go_on_to(last);
        }
        let Some(reached) = self.watermark.replace(new) else { return };
        let by = reached - new;
        for spool in self.spools.values_mut() {
            spool.through = spool.through.saturating_sub(by).min(new);
        }
        for ((name, _), group) in &mut self.groups {
            if let Some(rule) = self.rules.rules.iter().find(|r| r.name.as_str() == name) {
                group.move_back(rule, reached, by);
            }
        }
        for (until, _) in self.overflows.values_mut() {
            *until = until.map(|until| until - by);
        }
        self.silence.hold_absences();
        self.measured.iter_mut().for_each(|measured| measured.at = new + 1);
        self.counts.time_resets += 1;
        let (state, reason) = (DetectionState::Suppressed, DetectionReason::ClockReset);
        let said = Said { state, reason, at: reached, started_at: new, count: 0, held: 0, level: 0 };
        if let Some(rule) = its_rule() {
            self.emit(&rule, &[], &Group::default(), said);
        }
    }
}

/// The detection has no rule; what it says is laid down.
fn its_rule() -> Option<Rule> {
    Some(Rule {
        name: "site-time".parse().ok()?,
        revision: "000000000000".to_owned(),
        counts: Sha256Digest([0; 32]),
        title: "The site's time starts anew".to_owned(),
        severity: Severity::Info,
        subsystem: "integration".to_owned(),
        signal: None,
        filter: Filter::default(),
        group_by: Vec::new(),
        condition: Condition::Blind { after_ms: 0 },
        for_ms: 0,
        suppress_ms: 0,
        resolve_after_ms: 0,
        evidence: Vec::new(),
        message: Template(vec![Piece::Text("The clock ran ahead; judging goes on at the right time".to_owned())]),
        why: None,
        advice: None,
        escalate: Vec::new(),
        bundle: None,
    })
}
