//! What the measures of a threshold are, one by one, counted from nothing but the matches (rules.md, "Threshold").

use logystera_processor::core::{Condition, Expected, Rule};

use super::show;
use crate::input::{Field, SignalIn};

/// The measures of a rule, the first of which gives the count of an episode. What is no threshold is one by itself.
pub(super) fn of(rule: &Rule) -> &[Condition] {
    match &rule.condition {
        Condition::All(measures) => measures,
        one => std::slice::from_ref(one),
    }
}

/// Whether the rule tells each match by itself.
pub(super) fn tells_each(rule: &Rule) -> bool {
    matches!(rule.condition, Condition::Each)
}

/// Whether a measure is judged at the ends of panes only.
pub(super) fn is_judged(measure: &Condition) -> bool {
    matches!(measure, Condition::Ratio { .. } | Condition::Percentile { .. })
}

/// Whether a signal that passes the filter is one that the measure counts: it may lack what that is about.
pub(super) fn takes(measure: &Condition, signal: &SignalIn) -> bool {
    match measure {
        Condition::Distinct { field, .. } | Condition::Sum { field, .. } | Condition::Percentile { field, .. } => {
            signal.fields[*field] != Field::Absent
        }
        Condition::Absent { expected, .. } => is_awaited(expected, signal),
        _ => true,
    }
}

/// Whether a signal is one that the rule waits for.
fn is_awaited(expected: &Expected, signal: &SignalIn) -> bool {
    match expected {
        Expected::Values(predicate) => show::holds(predicate, &signal.fields),
        Expected::Always | Expected::OnceSeen => true,
    }
}

/// Whether a signal is of the part that a measure is about. None: it is about all of them.
pub(super) fn is_part(measure: &Condition, signal: &SignalIn) -> Option<bool> {
    match measure {
        Condition::Ratio { of, .. } => Some(show::passes(of, &signal.fields)),
        Condition::Percentile { field, at_least, .. } => {
            Some(matches!(signal.fields[*field], Field::Int(value) if value >= *at_least))
        }
        _ => None,
    }
}

/// How many signals one stands for: a sender may have merged several into one, which says so.
pub(super) fn times(signal: &SignalIn) -> u64 {
    let repeats = signal.kind.def().fields.iter().position(|field| field.name == "repeats");
    match repeats.map(|place| &signal.fields[place]) {
        Some(Field::Int(times)) => (*times).try_into().unwrap_or(1).max(1),
        _ => 1,
    }
}

/// What a match adds to a count or to a sum.
pub(super) fn weight(measure: &Condition, signal: &SignalIn) -> u64 {
    match measure {
        Condition::Sum { field, .. } => match signal.fields[*field] {
            Field::Int(value) => times(signal) * u64::try_from(value).unwrap_or(0),
            _ => 0,
        },
        Condition::Distinct { .. } | Condition::Absent { at_most: 0, .. } => 1,
        _ => times(signal),
    }
}

/// Length of the panes in which a measure counts; 1 where it is exact.
pub(super) fn pane(measure: &Condition) -> i64 {
    match measure {
        Condition::Count { resolution_ms: Some(pane), .. } => *pane,
        Condition::Sum { pane_ms, .. } | Condition::Ratio { pane_ms, .. } | Condition::Percentile { pane_ms, .. } => {
            *pane_ms
        }
        _ => 1,
    }
}

/// When a match at `at` leaves the window `(t - W, t]`, or the panes of which that is made; of a measure that is judged, the
/// last end at which it is counted. An absence's window is its span.
pub(super) fn leaves_at(measure: &Condition, at: i64) -> i64 {
    let length = match measure {
        Condition::Count { within_ms, .. }
        | Condition::Distinct { within_ms, .. }
        | Condition::Sum { within_ms, .. }
        | Condition::Ratio { within_ms, .. }
        | Condition::Percentile { within_ms, .. } => *within_ms,
        Condition::Absent { for_ms, .. } => *for_ms,
        // Older than that, a match is told no more.
        Condition::Each => 7 * 86_400_000,
        Condition::Blind { .. } | Condition::All(_) => return i64::MAX,
    };
    let pane = pane(measure);
    at.div_euclid(pane) * pane + length
}

/// Whether a signal joins the window of a measure at `now`.
pub(super) fn joins(measure: &Condition, at: i64, signal: &SignalIn, now: i64) -> bool {
    takes(measure, signal) && leaves_at(measure, at) > now
}

/// How much, or how many, a measure asks for.
pub(super) fn threshold(measure: &Condition) -> u64 {
    match measure {
        Condition::Count { threshold, .. } => u64::from(*threshold),
        Condition::Distinct { at_least, .. } => u64::from(*at_least),
        Condition::Sum { at_least, .. } => *at_least,
        _ => 0,
    }
}

/// Whether the matches of a window, as (signal, whether it is of the part), make a ratio or a percentile true.
pub(super) fn verdict(measure: &Condition, inside: &[&SignalIn]) -> bool {
    let total: u64 = inside.iter().map(|signal| times(signal)).sum();
    match measure {
        Condition::Ratio { at_least, min, .. } => {
            let part = inside.iter().filter(|signal| is_part(measure, signal) == Some(true));
            let part: u64 = part.map(|signal| times(signal)).sum();
            total > 0 && total >= u64::from(*min) && part * 10_000 / total >= u64::from(*at_least)
        }
        Condition::Percentile { field, thousandths, at_least, min, .. } => {
            let each = |signal: &&SignalIn| match signal.fields[*field] {
                Field::Int(value) => vec![value; times(signal) as usize],
                _ => Vec::new(),
            };
            let mut values: Vec<i64> = inside.iter().flat_map(each).collect();
            values.sort_unstable();
            // By nearest rank: the value at place ceil(p * n), from 1.
            let rank = (u64::from(*thousandths) * total).div_ceil(1_000) as usize;
            total > 0 && total >= u64::from(*min) && values[rank - 1] >= *at_least
        }
        _ => false,
    }
}
