//! `absent` and `each`, and what a condition is in its canonical form.

use logystera_processor::core::{Condition, Expected};
use logystera_schemas::catalogue::SignalType;
use logystera_schemas::limits::{BLIND_AFTER_MS_MIN, RULE_SPAN_MS_MAX};

use crate::canonical::Json;
use crate::code::Code;
use crate::duration::short;
use crate::measure;
use crate::read::{self, Keys};
use crate::report::{Place, Report};
use crate::threshold::{self, SPANS};
use crate::yaml::Node;

/// Reads `absent` in either of its forms: a missing signal, or (`blind_after`) a silent site.
pub(crate) fn absent(node: &Node, group_by: Option<Place>, report: &mut Report<'_>) -> Option<Condition> {
    let keys = Keys::of(node, "`absent`", &["for", "expected", "blind_after"], &[], report)?;
    if let Some(blind) = keys.get("blind_after") {
        for key in ["for", "expected"] {
            if let Some((place, _)) = keys.entry(key) {
                report
                    .error(Code::KeyDoesNotFit, place, format!("`{key}` beside `blind_after`"))
                    .help("a silent site and a missing signal are two rules");
            }
        }
        let range = BLIND_AFTER_MS_MIN..=RULE_SPAN_MS_MAX;
        return Some(Condition::Blind { after_ms: read::span(blind, "`blind_after`", range, report)? });
    }
    let for_ms = keys
        .need("for", "such as `{for: 45m, expected: once_seen}`", report)
        .and_then(|n| read::span(n, "`absent.for`", SPANS, report));
    let help = "`always` waits from the configuration on, `once_seen` from the first match on";
    let node = keys.need("expected", help, report)?;
    let expected = match read::one_of(node, "`expected`", &["always", "once_seen"], report)? {
        0 => Expected::Always,
        _ => Expected::OnceSeen,
    };
    if let (Expected::Always, Some(place)) = (expected, group_by) {
        report
            .error(Code::KeyDoesNotFit, place, "`expected: always` has no groups")
            .help("nobody knows which groups should come: take `group_by` away, or write `expected: once_seen`");
        return None;
    }
    Some(Condition::Absent { for_ms: for_ms?, expected })
}

/// Reads `each`, which says nothing more.
pub(crate) fn each(node: &Node, report: &mut Report<'_>) -> Option<Condition> {
    let keys = Keys::of(node, "`each`", &[], &[], report)?;
    keys.entries().is_empty().then_some(Condition::Each)
}

/// The canonical form of the condition, and the key that it stands under.
pub(crate) fn canonical(condition: &Condition, signal: Option<SignalType>) -> (&'static str, Json) {
    let span = |ms: i64| Json::text(short(ms));
    match condition {
        Condition::Absent { for_ms, expected } => {
            let expected = if *expected == Expected::Always { "always" } else { "once_seen" };
            ("absent", Json::map([("for", span(*for_ms)), ("expected", Json::text(expected))]))
        }
        Condition::Blind { after_ms } => ("absent", Json::map([("blind_after", span(*after_ms))])),
        Condition::Each => ("each", Json::map([])),
        measures => ("threshold", threshold::canonical(measures, signal)),
    }
}

/// The span that `{within}` stands for, in milliseconds. None: the condition has none.
pub(crate) fn span_ms(condition: &Condition) -> Option<i64> {
    match condition {
        Condition::Absent { for_ms, .. } => Some(*for_ms),
        Condition::Blind { after_ms } => Some(*after_ms),
        Condition::Each => None,
        measures => Some(measure::within_ms(measures)),
    }
}
