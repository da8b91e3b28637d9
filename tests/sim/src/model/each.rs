//! A rule that tells each match by itself (rules.md, "Each"): at once, or with others at the end of a suppression.

use logystera_processor::core::Rule;
use logystera_schemas::detection::{DetectionReason, DetectionState};

use super::group::{Group, Said, Untold};
use super::measures::{self, tells_each};
use super::show;
use super::site::Site;
use crate::input::SignalIn;

impl Group {
    /// A match of such a rule that is judged at `now`.
    pub(super) fn tell_or_keep(&mut self, rule: &Rule, at: i64, signal: &SignalIn, now: i64) -> Vec<Said> {
        let times = measures::times(signal);
        let is_told = self.suppressed_until.is_none();
        let state = if is_told { DetectionState::Firing } else { DetectionState::Suppressed };
        if is_told {
            self.suppress_from(rule, now);
        } else {
            self.untold.push(Untold { at, times });
        }
        let held = self.untold.len() as u64;
        vec![Said { state, reason: DetectionReason::Firing, at: now, started_at: at, count: times, held, level: 0 }]
    }

    /// The suppression ended at `now`: what it kept is told, and the next one runs.
    pub(super) fn suppression_over(&mut self, rule: &Rule, now: i64) -> Vec<Said> {
        self.suppressed_until = None;
        let said = self.tell_kept(DetectionReason::SuppressionExpired, now);
        if !said.is_empty() {
            self.suppress_from(rule, now);
        }
        said
    }

    /// Tells what was kept, if anything was.
    pub(super) fn tell_kept(&mut self, reason: DetectionReason, now: i64) -> Vec<Said> {
        let kept = std::mem::take(&mut self.untold);
        let first = kept.iter().map(|one| one.at).min();
        let count = kept.iter().map(|one| one.times).sum();
        let said = |started_at| Said {
            level: 0,
            state: DetectionState::Firing,
            reason,
            at: now,
            started_at,
            count,
            held: kept.len() as u64,
        };
        first.map(said).into_iter().collect()
    }

    fn suppress_from(&mut self, rule: &Rule, now: i64) {
        self.suppressed_until = (rule.suppress_ms > 0).then_some(now + rule.suppress_ms);
    }

    /// What was told is evidence no more of what is told later.
    pub(super) fn was_told(&mut self, rule: &Rule, said: &[Said]) {
        if tells_each(rule) && said.iter().any(|said| said.state == DetectionState::Firing) {
            self.evidence_from = self.matches.len();
        }
    }
}

impl Site {
    /// Tells a match of which nothing is kept.
    pub(super) fn tell_only(&mut self, rule: &Rule, at: i64, signal: &SignalIn, now: i64) {
        let mut group = Group { labels: show::labels(rule, signal), ..Group::default() };
        for said in group.add(rule, at, signal, now) {
            self.emit(rule, &show::key(rule, signal), &group, said);
        }
    }
}
