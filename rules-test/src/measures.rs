//! How far each measure of a threshold is from being true, counted by hand.

use std::collections::{BTreeMap, BTreeSet};

use logystera_processor::core::{Condition, Rule};
use logystera_schemas::batch::Value;
use logystera_schemas::text::counted;

use crate::groups::{Labels, group_of, in_window, label, span};
use crate::timeline::Signal;
use crate::world::START_MS;

/// How far a measure is, of the matches that came until `now`.
pub(crate) fn said(rule: &Rule, measure: &Condition, matches: &[&Signal<'_>], now: i64) -> String {
    match measure {
        Condition::Count { threshold, within_ms, .. } => {
            let groups = added_up(rule, matches, now - within_ms, |_| Some(1));
            let wanted = counted(u64::from(*threshold), "match", "matches");
            in_window(rule, &groups, &wanted, *within_ms, matches, now)
        }
        Condition::Sum { field, at_least, within_ms, .. } => {
            let groups = added_up(rule, matches, now - within_ms, |signal| number(signal, *field));
            in_window(rule, &groups, &format!("a sum of {at_least}"), *within_ms, matches, now)
        }
        Condition::Distinct { field, at_least, within_ms } => {
            let mut groups = BTreeMap::<Labels, BTreeSet<String>>::new();
            for signal in matches.iter().filter(|signal| signal.at_ms > now - within_ms) {
                let value = &signal.line.fields[*field];
                if let Some((_, text)) = label(rule, *field, value).filter(|_| *value != Value::Absent) {
                    groups.entry(group_of(rule, signal)).or_default().insert(text);
                }
            }
            let groups = groups.into_iter().map(|(group, values)| (group, values.len() as u64)).collect();
            in_window(rule, &groups, &format!("{at_least} values"), *within_ms, matches, now)
        }
        Condition::Ratio { of, at_least, min, within_ms, pane_ms } => {
            let is_part = |signal: &Signal<'_>| Some(of.holds(&signal.line.fields));
            let part = part(rule, matches, (*within_ms, *pane_ms), now, is_part);
            format!("{part} are of the part; {} of at least {min} are wanted", percent(u64::from(*at_least)))
        }
        Condition::Percentile { field, thousandths, at_least, min, within_ms, pane_ms } => {
            let is_large = |signal: &Signal<'_>| match signal.line.fields[*field] {
                Value::Int(value) => Some(value >= *at_least),
                _ => None,
            };
            let part = part(rule, matches, (*within_ms, *pane_ms), now, is_large);
            let wanted = percent(u64::from(1_000 - thousandths) * 10);
            format!("{part} are {at_least} or more; more than {wanted} of at least {min} are wanted")
        }
        Condition::All(_) | Condition::Each | Condition::Absent { .. } | Condition::Blind { .. } => String::new(),
    }
}

fn number(signal: &Signal<'_>, field: usize) -> Option<u64> {
    match signal.line.fields[field] {
        Value::Int(value) => Some(u64::try_from(value).unwrap_or(0)),
        _ => None,
    }
}

/// How many signals one stands for.
fn repeats(rule: &Rule, signal: &Signal<'_>) -> u64 {
    let place = rule.signal.and_then(|s| s.def().field("repeats")).map(|(place, _)| place);
    place.and_then(|place| number(signal, place)).unwrap_or(1)
}

/// What the matches of each group after `after` add up to.
pub(crate) fn added_up(
    rule: &Rule,
    matches: &[&Signal<'_>],
    after: i64,
    value: impl Fn(&Signal<'_>) -> Option<u64>,
) -> BTreeMap<Labels, u64> {
    let mut groups = BTreeMap::new();
    for signal in matches.iter().filter(|signal| signal.at_ms > after) {
        if let Some(value) = value(signal) {
            *groups.entry(group_of(rule, signal)).or_default() += value * repeats(rule, signal);
        }
    }
    groups
}

/// The part at the end of the last pane, in the group that has the largest. `is_part`: none of a signal that does not count.
fn part(
    rule: &Rule,
    matches: &[&Signal<'_>],
    (within_ms, pane_ms): (i64, i64),
    now: i64,
    is_part: impl Fn(&Signal<'_>) -> Option<bool>,
) -> String {
    let end = (START_MS + now).div_euclid(pane_ms) * pane_ms - START_MS;
    let mut groups = BTreeMap::<Labels, (u64, u64)>::new();
    for signal in matches.iter().filter(|signal| (end - within_ms..end).contains(&signal.at_ms)) {
        if let Some(is_part) = is_part(signal) {
            let (part, all) = groups.entry(group_of(rule, signal)).or_default();
            *all += repeats(rule, signal);
            *part += if is_part { repeats(rule, signal) } else { 0 };
        }
    }
    // The largest part; of equal ones that of more signals.
    let largest = groups.values().copied().max_by(|(a, m), (b, n)| (a * n).cmp(&(b * m)).then(m.cmp(n)));
    let (part, all) = largest.unwrap_or((0, 0));
    let groups = if groups.len() > 1 { format!(" in the worst of {} groups", groups.len()) } else { String::new() };
    let shown = (part * 10_000).checked_div(all).map(|share| format!(" ({})", percent(share))).unwrap_or_default();
    format!("judged last at {}: {part} of {all}{shown} within {}{groups}", span(end), span(within_ms))
}

/// Hundredths of a percent.
fn percent(hundredths: u64) -> String {
    let (whole, rest) = (hundredths / 100, hundredths % 100);
    if rest == 0 { format!("{whole}%") } else { format!("{}%", format!("{whole}.{rest:02}").trim_end_matches('0')) }
}
