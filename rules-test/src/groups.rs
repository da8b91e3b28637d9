//! Groups as text, and how far their windows are filled.

use std::collections::BTreeMap;
use std::fmt::Write;

use logystera_processor::core::{Rule, show_value};
pub(crate) use logystera_rules::span;
use logystera_schemas::batch::Value;

use crate::timeline::Signal;

/// Fields and values as text.
pub(crate) type Labels = Vec<(String, String)>;

/// A field of a signal and its value.
pub(crate) fn label(rule: &Rule, field: usize, value: &Value<'_>) -> Option<(String, String)> {
    let signal = rule.signal?;
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = show_value(signal, field, value, &mut text);
    Some((signal.def().fields.get(field)?.name.clone(), text))
}

/// The group of a signal.
pub(crate) fn group_of(rule: &Rule, signal: &Signal<'_>) -> Labels {
    rule.group_by.iter().filter_map(|field| label(rule, *field, &signal.line.fields[*field])).collect()
}

/// How far a window is filled, of the group that has most in it.
pub(crate) fn in_window(
    rule: &Rule,
    groups: &BTreeMap<Labels, u64>,
    wanted: &str,
    within_ms: i64,
    matches: &[&Signal<'_>],
    now: i64,
) -> String {
    let most = groups.iter().max_by_key(|(_, count)| **count);
    let count = most.map_or(0, |(_, count)| *count);
    let mut said = format!("{count} of {wanted} within {}", span(within_ms));
    if let Some((group, _)) = most.filter(|_| !rule.group_by.is_empty() && groups.len() > 1) {
        let group: Vec<String> = group.iter().map(|(field, value)| format!("{field}: {value}")).collect();
        // Writing to a string does not fail.
        let _ =
            write!(said, " in the group that has most, {{{}}}; there are {} groups", group.join(", "), groups.len());
    }
    match matches.first().filter(|first| first.at_ms <= now - within_ms) {
        Some(first) => {
            format!("{said}; the first match, at {}, left at {}", span(first.at_ms), span(first.at_ms + within_ms))
        }
        None => said,
    }
}
