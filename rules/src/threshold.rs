//! `threshold`: one or several measures over one window.

use logystera_processor::core::{Condition, Filter};
use logystera_schemas::catalogue::SignalType;
use logystera_schemas::limits::{
    EXACT_THRESHOLD_MAX, PANE_MS_DEFAULT_MIN, PANES_DEFAULT, PANES_MAX, RESOLUTION_MS_DEFAULT, RULE_SPAN_MS_MIN,
};

use crate::canonical::Json;
use crate::code::Code;
use crate::condition::SPANS;
use crate::duration::short;
use crate::measure;
use crate::read::{self, Keys};
use crate::report::{Place, Report};
use crate::yaml::Node;

/// What the measures are about.
pub(crate) struct Watched<'r> {
    /// None: it was refused, and only what does not depend on it is checked.
    pub(crate) signal: Option<SignalType>,
    /// `where`. None: it was refused.
    pub(crate) filter: Option<&'r Filter>,
    /// Indexes of the fields of `group_by`.
    pub(crate) group_by: &'r [usize],
}

/// The window of a threshold as it is read.
pub(crate) struct Window {
    /// Its length in milliseconds. None: it was refused.
    within_ms: Option<i64>,
    /// The length of a pane that is asked for. None: it was refused.
    asked_ms: Option<Option<i64>>,
}

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
    let asked_ms = resolution.map(|(_, node)| {
        let ms = read::span(node, "`resolution`", SPANS, report)?;
        check_panes(node.place, within_ms?, ms, false, report)?;
        Some(ms)
    });
    let window = Window { within_ms, asked_ms };
    let read: Vec<Option<Condition>> =
        given.iter().map(|(name, place, node)| measure::read(name, *place, node, watched, &window, report)).collect();
    let mut measures = read.into_iter().collect::<Option<Vec<_>>>()?;
    if measures.len() == 1 { measures.pop() } else { Some(Condition::All(measures)) }
}

impl Window {
    /// The length of the window. None: it was refused.
    pub(crate) fn within_ms(&self) -> Option<i64> {
        self.within_ms
    }

    /// How a count, of which stands at `place`, is counted: in panes of this length, or exactly.
    pub(crate) fn counted(&self, threshold: u32, place: Place, report: &mut Report<'_>) -> Option<Option<i64>> {
        if let Some(asked_ms) = self.asked_ms {
            return asked_ms.map(Some);
        }
        let default_ms = counted_default(threshold);
        if let Some(pane_ms) = default_ms {
            check_panes(place, self.within_ms?, pane_ms, true, report)?;
        }
        Some(default_ms)
    }

    /// The length of a pane of what is always counted in panes.
    pub(crate) fn pane_ms(&self) -> Option<i64> {
        self.asked_ms.unwrap_or_else(|| self.within_ms.map(pane_default))
    }
}

/// The length of the panes in which a count is counted if the rule names none. None: it is exact.
fn counted_default(threshold: u32) -> Option<i64> {
    (threshold > EXACT_THRESHOLD_MAX).then_some(RESOLUTION_MS_DEFAULT)
}

/// The length of a pane of what is always counted in panes, if the rule names none: a thirtieth of the window or, where that is
/// no whole number or too short, the next longer one that divides it.
fn pane_default(within_ms: i64) -> i64 {
    let mut lengths = (1..=PANES_DEFAULT).rev().filter(|panes| within_ms % panes == 0).map(|panes| within_ms / panes);
    lengths.find(|ms| *ms >= PANE_MS_DEFAULT_MIN).unwrap_or(within_ms)
}

/// Checks the length of panes that was asked for, or is the default.
fn check_panes(place: Place, within_ms: i64, pane_ms: i64, is_default: bool, report: &mut Report<'_>) -> Option<()> {
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
    if is_default {
        error.label(format!(
            "over {EXACT_THRESHOLD_MAX}, matches are counted in panes, of {} by default",
            short(RESOLUTION_MS_DEFAULT)
        ));
    }
    None
}

/// The canonical form of one measure, or of several. `resolution` is left out if it is the default, but for a single count,
/// whose form is older.
pub(crate) fn canonical(condition: &Condition, signal: Option<SignalType>) -> Json {
    let (measures, is_alone) = match condition {
        Condition::All(measures) => (measures.as_slice(), false),
        one => (std::slice::from_ref(one), true),
    };
    let mut keys: Vec<(&str, Json)> = measures.iter().map(|measure| measure::canonical(measure, signal)).collect();
    let panes = measures.iter().filter_map(|measure| match measure {
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
    keys.extend(panes.last().map(|ms| ("resolution", Json::text(short(ms)))));
    keys.push(("within", Json::text(short(crate::condition::span_ms(condition)))));
    Json::map(keys)
}
