//! An alert that grows worse: by what its measure reaches, or by how long it fires (rules.md, "escalate").

use logystera_processor::core::{Rule, Worse};
use logystera_schemas::detection::{DetectionReason, Severity};

use super::group::{Group, Said};
use super::measures;

/// How long it fires until it is worse by so many steps and one more.
fn after(rule: &Rule, level: usize) -> Option<i64> {
    match rule.escalate.get(level)?.when {
        Worse::After(span) => Some(span),
        Worse::At(_) => None,
    }
}

/// The most that a step asks for.
pub(super) fn most(rule: &Rule) -> usize {
    let numbers = rule.escalate.iter().map(|step| if let Worse::At(at) = step.when { at } else { 0 });
    numbers.max().map_or(0, |most| usize::try_from(most).unwrap_or(usize::MAX))
}

/// How bad a rule is after so many steps.
pub(super) fn severity(rule: &Rule, level: usize) -> Severity {
    match level {
        0 => rule.severity,
        level => {
            rule.escalate.get(level.min(rule.escalate.len()).wrapping_sub(1)).map_or(rule.severity, |s| s.severity)
        }
    }
}

impl Group {
    /// How long it fires until the first step.
    pub(super) fn worse_after(rule: &Rule) -> Option<i64> {
        after(rule, 0)
    }

    /// Takes the steps that are reached at `now`, if it fires. Whether there was any.
    pub(super) fn grows_worse(&mut self, rule: &Rule, now: i64) -> bool {
        if rule.escalate.is_empty() {
            return false;
        }
        let reached = self.levels_reached(rule, now);
        let Some(episode) = self.episode.as_mut().filter(|episode| episode.firing && self.condition) else {
            return false;
        };
        let before = episode.level;
        episode.level = before.max(reached);
        while episode.worse_at.is_some_and(|due| due <= now) {
            let (this, next) = (after(rule, episode.level), after(rule, episode.level + 1));
            episode.worse_at = episode.worse_at.zip(this).zip(next).map(|((due, this), next)| due + next - this);
            episode.level += usize::from(this.is_some());
        }
        episode.level > before
    }

    /// The same, said aloud.
    pub(super) fn grow_worse(&mut self, rule: &Rule, now: i64, otherwise: Vec<Said>) -> Vec<Said> {
        if self.grows_worse(rule, now) { self.announce(rule, DetectionReason::Escalated, now) } else { otherwise }
    }

    /// It begins to fire, and is worse already: it is told though a suppression runs.
    pub(super) fn begin_worse(&mut self, rule: &Rule, reason: DetectionReason, now: i64) -> Vec<Said> {
        let reason = if self.suppressed_until.is_some() { DetectionReason::Escalated } else { reason };
        self.announce(rule, reason, now)
    }

    /// How many steps what lies in the window reaches, counted from all matches.
    fn levels_reached(&self, rule: &Rule, now: i64) -> usize {
        let reaches = |when: Worse| match when {
            Worse::At(at) => measures::of(rule).len() == 1 && self.measured(&measures::of(rule)[0], now) >= at,
            Worse::After(_) => false,
        };
        rule.escalate.iter().take_while(|step| reaches(step.when)).count()
    }
}
