//! How far an absence is from being told, counted by hand.

use logystera_processor::core::{Condition, Expected, Rule};
use logystera_schemas::text::counted;

use crate::groups::{in_window, span};
use crate::measures::added_up;
use crate::timeline::Signal;

/// What is missed, of the matches that came until `now`.
pub(crate) fn said(rule: &Rule, matches: &[&Signal<'_>], now: i64) -> String {
    let Condition::Absent { for_ms, expected, at_most, forget_after_ms } = &rule.condition else {
        return String::new();
    };
    let (for_ms, at_most) = (*for_ms, u64::from(*at_most));
    let is_expected = |signal: &Signal<'_>| match expected {
        Expected::Values(test) => test.holds(&signal.line.fields),
        Expected::Always | Expected::OnceSeen => true,
    };
    let matches: Vec<&Signal<'_>> = matches.iter().copied().filter(|signal| is_expected(signal)).collect();
    let said = match (matches.last(), at_most) {
        (Some(last), 0) => format!("the last match came at {}; {} later it is missed", span(last.at_ms), span(for_ms)),
        (Some(_), at_most) => {
            let groups = added_up(rule, &matches, now - for_ms, |_| Some(1));
            let wanted = counted(at_most + 1, "match", "matches");
            in_window(rule, &groups, &wanted, for_ms, &matches, now)
        }
        (None, _) if *expected == Expected::OnceSeen => {
            "no match came, and only what was seen once is missed".to_owned()
        }
        (None, _) => format!("no match came; at {} it is missed", span(for_ms)),
    };
    match (forget_after_ms, matches.last()) {
        (Some(forget), Some(last)) if last.at_ms + forget <= now => {
            format!("{said}; {} after it, it was forgotten", span(*forget))
        }
        _ => said,
    }
}
