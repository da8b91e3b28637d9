//! Steps at which an alert grows worse.

use logystera_processor::core::{Condition, Escalation, Rule, Worse};
use logystera_schemas::detection::Severity;

use crate::rng::Rng;

/// One step or two, or none. Severities are drawn, not sorted: whoever reads files sorts that out.
pub(super) fn draw(condition: &Condition, step: i64, rng: &mut Rng) -> Vec<Escalation> {
    let asked = match condition {
        _ if !rng.chance(35) => return Vec::new(),
        Condition::Blind { .. } => return Vec::new(),
        Condition::Count { threshold, .. } => Some(u64::from(*threshold)),
        Condition::Distinct { at_least, .. } => Some(u64::from(*at_least)),
        Condition::Sum { at_least, .. } => Some(*at_least),
        _ => None,
    };
    let mut steps = Vec::new();
    let asked = asked.filter(|_| rng.chance(70));
    let (mut at, mut after) = (asked.unwrap_or(0), 0);
    for _ in 0..rng.range(1, 2) {
        at += rng.range(1, 3) as u64;
        after += step * *rng.pick(&[1, 2, 5, 20]);
        let when = if asked.is_some() { Worse::At(at) } else { Worse::After(after) };
        steps.push(Escalation { when, severity: *rng.pick(Severity::ALL) });
    }
    steps
}

/// The numbers that are part of what is counted.
pub(super) fn counted(rule: &Rule) -> Vec<u64> {
    rule.escalate.iter().filter_map(|step| if let Worse::At(at) = step.when { Some(at) } else { None }).collect()
}

/// Other severities, and another time.
pub(super) fn edit(rule: &mut Rule, rng: &mut Rng) {
    for step in &mut rule.escalate {
        step.severity = *rng.pick(Severity::ALL);
        if let Worse::After(ms) = &mut step.when {
            *ms *= 2;
        }
    }
}
