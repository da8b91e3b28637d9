//! What came until an expectation, counted by hand and not by the engine: the reason that is given where it fails.

use logystera_processor::core::{Condition, Rule};
use logystera_rules::{Expectation, TestValue};
use logystera_schemas::text::counted;

use crate::groups::{Labels, label, span};
use crate::timeline::{Line, Signal};
use crate::{absences, measures};

/// The fields of a group and their values.
pub(crate) fn labels(rule: &Rule, group: &[(usize, TestValue)]) -> Labels {
    group.iter().filter_map(|(field, value)| label(rule, *field, &value.as_value())).collect()
}

/// Why the rule stands as it does at the time of the expectation, of the signals that came until then.
pub(crate) fn why(rule: &Rule, expected: &Expectation, came: &[Signal<'_>]) -> String {
    let wanted = labels(rule, &expected.group);
    let of_group = |signal: &&Signal<'_>| {
        let has = |(field, value): &(String, String)| {
            let place = rule.signal.and_then(|s| s.def().field(field)).map(|(place, _)| place);
            place.and_then(|place| label(rule, place, &signal.line.fields[place])).is_some_and(|(_, v)| v == *value)
        };
        wanted.iter().all(has)
    };
    let matches: Vec<&Signal<'_>> = came.iter().filter(|signal| signal.line.matches).filter(of_group).collect();
    let now = expected.at_ms;
    let said = match &rule.condition {
        Condition::All(measures) => {
            let said: Vec<String> = measures.iter().map(|one| measures::said(rule, one, &matches, now)).collect();
            said.join("; ")
        }
        Condition::Each => match matches.last() {
            Some(last) => {
                let until = span(last.at_ms + rule.suppress_ms);
                format!("the last match came at {}; a suppression that it began ends at {until}", span(last.at_ms))
            }
            None => "no match came".to_owned(),
        },
        Condition::Absent { .. } => absences::said(rule, &matches, now),
        Condition::Blind { after_ms } => match came.last() {
            Some(last) => format!("the site was heard last at {}; silent is {}", span(last.at_ms), span(*after_ms)),
            None => format!("the site was never heard; silent is {}", span(*after_ms)),
        },
        one => measures::said(rule, one, &matches, now),
    };
    let others = came.iter().filter(|signal| !signal.line.matches).count();
    match came.iter().find(|signal| !signal.line.matches) {
        Some(other) => format!(
            "{said}; {} of {} not pass `where`, such as {{{}}}",
            others,
            counted(came.len() as u64, "signal does", "signals do"),
            given(rule, other.line)
        ),
        None => said,
    }
}

/// The fields that a line gives, which tell it from a match.
fn given(rule: &Rule, line: &Line<'_>) -> String {
    let fields = rule.signal.map_or(0, |signal| signal.def().fields.len());
    let shown =
        (0..fields).filter(|place| line.gives(*place)).filter_map(|place| label(rule, place, &line.fields[place]));
    shown.map(|(field, value)| format!("{field}: {value}")).collect::<Vec<_>>().join(", ")
}
