//! What a test says that is told, beside what was.

use logystera_processor::core::Rule;
use logystera_rules::{Notify, ToldAt};
use logystera_schemas::detection::{Detection, DetectionReason, DetectionState};

use crate::groups::span;
use crate::why;
use crate::world::START_MS;

/// What is said if something else was told than the test says. None: it is as it says.
pub(crate) fn compare(rule: &Rule, wanted: &Notify, found: &[Detection]) -> Option<String> {
    let told: Vec<&Detection> = found.iter().filter(|one| one.state != DetectionState::Suppressed).collect();
    let is_right = told.len() == wanted.told.len() && wanted.told.iter().zip(&told).all(|(w, one)| is(rule, w, one));
    if is_right {
        return None;
    }
    let has_counts = wanted.told.iter().any(|wanted| wanted.count.is_some());
    let has_groups = wanted.told.iter().any(|wanted| !wanted.group.is_empty());
    let line = |at_ms: i64, reason: DetectionReason, count: Option<u64>, group: &[(String, String)]| {
        let count = count.map(|count| format!(" with a count of {count}")).unwrap_or_default();
        let group: Vec<String> = group.iter().map(|(field, value)| format!("{field}: {value}")).collect();
        let group = if group.is_empty() { String::new() } else { format!(" of {{{}}}", group.join(", ")) };
        format!("{reason} at {}{count}{group}", span(at_ms))
    };
    let expected = wanted.told.iter().map(|w| line(w.at_ms, w.reason, w.count, &why::labels(rule, &w.group)));
    let expected: Vec<String> = expected.collect();
    let seen = told.iter().map(|one| {
        let group = one.group.iter().filter(|_| has_groups);
        let group: Vec<_> = group.map(|label| (label.field.clone(), label.value.clone())).collect();
        line(one.last_evaluated_at - START_MS, one.reason, has_counts.then_some(one.count), &group)
    });
    let seen: Vec<String> = seen.collect();
    Some(format!("expected to be told: {}; was told: {}", all(&expected), all(&seen)))
}

fn is(rule: &Rule, wanted: &ToldAt, told: &Detection) -> bool {
    let has = |(field, value): &(String, String)| told.group.iter().any(|l| l.field == *field && l.value == *value);
    wanted.at_ms == told.last_evaluated_at - START_MS
        && wanted.reason == told.reason
        && wanted.count.is_none_or(|count| count == told.count)
        && why::labels(rule, &wanted.group).iter().all(has)
}

fn all(lines: &[String]) -> String {
    if lines.is_empty() { "nothing".to_owned() } else { lines.join(", ") }
}
