//! `threshold`: one or several measures over one window.

use logystera_processor::core::Condition;
use logystera_schemas::catalogue::SignalType;
use logystera_schemas::limits::{RULE_SPAN_MS_MAX, RULE_SPAN_MS_MIN};

use crate::canonical::Json;
use crate::code::Code;
use crate::duration::short;
use crate::measure;
use crate::read::{self, Keys};
use crate::report::{Place, Report};
use crate::window::{Resolution, Watched, Window, check_panes, counted_default, pane_default};
use crate::yaml::Node;

pub(crate) const SPANS: std::ops::RangeInclusive<i64> = RULE_SPAN_MS_MIN..=RULE_SPAN_MS_MAX;

/// Reads `threshold`, whose key stands at `key`.
pub(crate) fn read(key: Place, node: &Node, watched: &Watched<'_>, report: &mut Report<'_>) -> Option<Condition> {
    let known: Vec<&str> = measure::NAMES.into_iter().chain(["within", "resolution"]).collect();
    let keys = Keys::of(node, "`threshold`", &known, &[], report)?;
    let within_ms =
        keys.need("within", "the window: `within: 10m`", report).and_then(|n| read::span(n, "`within`", SPANS, report));
    let given: Vec<(&str, Place, &Node)> = measure::NAMES
        .into_iter()
        .filter_map(|name| keys.entry(name).map(|(place, node)| (name, place, node)))
        .collect();
    if given.is_empty() {
        report
            .error(Code::NoCondition, key, "`threshold` needs `count`, `distinct`, `sum`, `ratio` or `percentile`")
            .help("such as `{count: 5, within: 10m}`");
        return None;
    }
    let resolution = keys.entry("resolution");
    if let ([("distinct", ..)], Some((place, _))) = (given.as_slice(), resolution) {
        report.error(Code::KeyDoesNotFit, place, "`distinct` counts exactly").help("take `resolution` away");
        return None;
    }
    let asked = |(_, node): (Place, &Node)| {
        let ms = read::span(node, "`resolution`", SPANS, report)?;
        check_panes(node.place, within_ms?, ms, false, report)?;
        Some(ms)
    };
    let resolution = match resolution.map(asked) {
        None => Resolution::Default,
        Some(Some(ms)) => Resolution::Asked(ms),
        Some(None) => Resolution::Refused,
    };
    let window = Window { within_ms, resolution };
    let read: Vec<Option<Condition>> =
        given.iter().map(|(name, place, node)| measure::read(name, *place, node, watched, &window, report)).collect();
    let mut measures = read.into_iter().collect::<Option<Vec<_>>>()?;
    if measures.len() == 1 { measures.pop() } else { Some(Condition::All(measures)) }
}

/// The canonical form of one measure, or of several. `resolution` is left out if it is the default, but for a single count,
/// whose form is older.
pub(crate) fn canonical(condition: &Condition, signal: Option<SignalType>) -> Json {
    let (measures, is_alone) = match condition {
        Condition::All(measures) => (measures.as_slice(), false),
        one => (std::slice::from_ref(one), true),
    };
    let mut keys: Vec<(&str, Json)> = measures.iter().map(|measure| measure::canonical(measure, signal)).collect();
    let resolution = measures.iter().find_map(|measure| match measure {
        Condition::Count { resolution_ms, .. } if is_alone => *resolution_ms,
        Condition::Count { threshold, resolution_ms, .. } => {
            resolution_ms.filter(|_| *resolution_ms != counted_default(*threshold))
        }
        Condition::Sum { within_ms, pane_ms, .. }
        | Condition::Ratio { within_ms, pane_ms, .. }
        | Condition::Percentile { within_ms, pane_ms, .. } => {
            Some(*pane_ms).filter(|pane_ms| *pane_ms != pane_default(*within_ms))
        }
        _ => None,
    });
    keys.extend(resolution.map(|ms| ("resolution", Json::text(short(ms)))));
    keys.push(("within", Json::text(short(condition.span_ms().unwrap_or_default()))));
    Json::map(keys)
}
