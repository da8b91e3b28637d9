//! `threshold` and `absent`: when a rule's condition is true.

use logystera_processor::core::{Condition, Expected};
use logystera_schemas::catalogue::{FieldKind, SignalType};
use logystera_schemas::limits::{
    BLIND_AFTER_MS_MIN, EXACT_THRESHOLD_MAX, PANES_MAX, RESOLUTION_MS_DEFAULT, RULE_SPAN_MS_MAX, RULE_SPAN_MS_MIN,
    THRESHOLD_MAX,
};

use crate::canonical::Json;
use crate::code::Code;
use crate::duration::short;
use crate::filter;
use crate::read::{self, Keys, Later};
use crate::report::{Place, Report};
use crate::yaml::Node;

const SPANS: std::ops::RangeInclusive<i64> = RULE_SPAN_MS_MIN..=RULE_SPAN_MS_MAX;
const LATER: [Later; 1] = [("ratio", "ratios come in a later version; count the bad outcomes alone until then")];

/// Reads `threshold`, whose key stands at `key`. `signal` is none if the signal type was refused: then only what does
/// not depend on it is checked.
pub(crate) fn threshold(
    key: Place,
    node: &Node,
    signal: Option<SignalType>,
    group_by: &[usize],
    report: &mut Report<'_>,
) -> Option<Condition> {
    let known = ["count", "distinct", "within", "resolution"];
    let keys = Keys::of(node, "`threshold`", &known, &LATER, report)?;
    let within =
        keys.need("within", "the window: `within: 10m`", report).and_then(|n| read::span(n, "`within`", SPANS, report));
    match (keys.get("count"), keys.entry("distinct")) {
        (Some(count), None) => {
            let threshold = read::int(count, "`count`", 1..=i64::from(THRESHOLD_MAX), report);
            let asked = keys.get("resolution").map(|n| read::span(n, "`resolution`", SPANS, report));
            let (within_ms, threshold) = (within?, threshold? as u32);
            let chosen = (threshold > EXACT_THRESHOLD_MAX).then_some(RESOLUTION_MS_DEFAULT);
            let resolution_ms = match asked {
                Some(resolution) => Some(resolution?),
                None => chosen,
            };
            let condition = Condition::Count { threshold, within_ms, resolution_ms };
            let place = keys.get("resolution").map_or(count.place, |node| node.place);
            check_panes(place, &condition, report)?;
            Some(condition)
        }
        (None, Some((_, node))) => {
            if let Some((place, _)) = keys.entry("resolution") {
                report.error(Code::KeyDoesNotFit, place, "`distinct` counts exactly").help("take `resolution` away");
            }
            let (field, at_least) = distinct(node, signal, group_by, report)?;
            Some(Condition::Distinct { field, at_least, within_ms: within? })
        }
        (Some(_), Some((place, _))) => {
            report
                .error(Code::TwoConditions, place, "`count` and `distinct` in one threshold")
                .help("a rule has one condition: make two rules");
            None
        }
        (None, None) => {
            if !keys.has_later() {
                report
                    .error(Code::NoCondition, key, "`threshold` needs `count` or `distinct`")
                    .help("such as `{count: 5, within: 10m}`");
            }
            None
        }
    }
}

/// Checks how a window is counted: exactly, or in panes of the length that was asked for or is the default.
fn check_panes(place: Place, condition: &Condition, report: &mut Report<'_>) -> Option<()> {
    let Condition::Count { threshold, within_ms, resolution_ms: Some(pane_ms) } = *condition else { return Some(()) };
    let fits = |ms: i64| within_ms % ms == 0 && within_ms / ms <= i64::from(PANES_MAX);
    if fits(pane_ms) {
        return Some(());
    }
    let problem = if within_ms % pane_ms != 0 {
        format!("`within`, {}, is no multiple of `resolution`, {}", short(within_ms), short(pane_ms))
    } else {
        format!("a window of {} panes; it has at most {PANES_MAX}", within_ms / pane_ms)
    };
    // The whole window is a pane that always fits.
    let lengths = (1..=i64::from(PANES_MAX)).rev().map(|panes| within_ms / panes);
    let finest = lengths.into_iter().find(|ms| *ms >= RULE_SPAN_MS_MIN && fits(*ms)).unwrap_or(within_ms);
    let error = report
        .error(Code::BadPanes, place, problem)
        .help(format!("`resolution: {}` is the finest that will do", short(finest)));
    if threshold > EXACT_THRESHOLD_MAX {
        error.label(format!(
            "over {EXACT_THRESHOLD_MAX}, matches are counted in panes, of {} by default",
            short(RESOLUTION_MS_DEFAULT)
        ));
    }
    None
}

fn distinct(
    node: &Node,
    signal: Option<SignalType>,
    group_by: &[usize],
    report: &mut Report<'_>,
) -> Option<(usize, u32)> {
    let keys = Keys::of(node, "`distinct`", &["field", "at_least"], &[], report)?;
    let help = "such as `distinct: {field: user_hash, at_least: 5}`";
    let at_least = keys.need("at_least", help, report);
    let name = keys.need("field", help, report)?;
    let (place, def) = filter::field(read::text(name, "`field`", report)?, name.place, signal?, report)?;
    if group_by.contains(&place) {
        report
            .error(Code::NotCountable, name.place, format!("within a group there is one `{}` only", def.name))
            .help("take it out of `group_by`, or count another field");
        return None;
    }
    let values_max = match &def.kind {
        FieldKind::Enum(symbols) => symbols.len() as i64,
        FieldKind::Int { .. } | FieldKind::Hash | FieldKind::Ident { .. } => i64::from(EXACT_THRESHOLD_MAX),
        kind @ (FieldKind::EnumList(_) | FieldKind::Bool) => {
            report.error(
                Code::NotCountable,
                name.place,
                format!("`{}` is {}: its values are not counted", def.name, filter::describe(kind)),
            );
            return None;
        }
    };
    let at_least = read::int(at_least?, "`at_least`", 2..=values_max, report)?;
    Some((place, at_least as u32))
}

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

/// The canonical form of the condition, and the key that it stands under.
pub(crate) fn canonical(condition: &Condition, signal: Option<SignalType>) -> (&'static str, Json) {
    let span = |ms: i64| Json::text(short(ms));
    match condition {
        Condition::Count { threshold, within_ms, resolution_ms } => {
            let resolution = resolution_ms.map(|ms| ("resolution", span(ms)));
            let keys = [("count", Json::Int(i64::from(*threshold))), ("within", span(*within_ms))];
            ("threshold", Json::map(keys.into_iter().chain(resolution)))
        }
        Condition::Distinct { field, at_least, within_ms } => {
            let name = signal.map_or("", |s| s.def().fields[*field].name.as_str());
            let distinct = Json::map([("field", Json::text(name)), ("at_least", Json::Int(i64::from(*at_least)))]);
            ("threshold", Json::map([("distinct", distinct), ("within", span(*within_ms))]))
        }
        Condition::Absent { for_ms, expected } => {
            let expected = if *expected == Expected::Always { "always" } else { "once_seen" };
            ("absent", Json::map([("for", span(*for_ms)), ("expected", Json::text(expected))]))
        }
        Condition::Blind { after_ms } => ("absent", Json::map([("blind_after", span(*after_ms))])),
    }
}

/// The span that `{within}` stands for, in milliseconds.
pub(crate) fn span_ms(condition: &Condition) -> i64 {
    match condition {
        Condition::Count { within_ms, .. } | Condition::Distinct { within_ms, .. } => *within_ms,
        Condition::Absent { for_ms, .. } => *for_ms,
        Condition::Blind { after_ms } => *after_ms,
    }
}
