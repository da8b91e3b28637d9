//! What a threshold measures: matches, values, their sum, a part of them, a percentile.

use logystera_processor::core::{Clause, Condition, Filter, Predicate, Test};
use logystera_schemas::catalogue::{FieldDef, FieldKind, SignalType};
use logystera_schemas::limits::{
    EXACT_THRESHOLD_MAX, PERCENTILE_MAX, PERCENTILE_MIN, RATIO_MAX, RATIO_MIN, SUM_MAX, THRESHOLD_MAX,
};

use crate::canonical::Json;
use crate::code::Code;
use crate::read::{self, Keys};
use crate::report::{Place, Report};
use crate::window::{Counted, Watched, Window};
use crate::yaml::Node;
use crate::{clauses, filter, vanity};

/// The measures, in the order in which the count of an episode is taken of them.
pub(crate) const NAMES: [&str; 5] = ["ratio", "percentile", "count", "sum", "distinct"];

const RATIO_HELP: &str = "such as `ratio: {of: {outcome: failed}, at_least: 5%, min: 20}`";
const PERCENTILE_HELP: &str = "such as `percentile: {field: duration_ms, p: 95, at_least: 3000, min: 20}`";

/// Reads one measure, whose key stands at `key`.
pub(crate) fn read(
    name: &str,
    key: Place,
    node: &Node,
    watched: &Watched<'_>,
    window: &Window,
    report: &mut Report<'_>,
) -> Option<Condition> {
    match name {
        "ratio" => ratio(key, node, watched, window, report),
        "percentile" => percentile(node, watched, window, report),
        "count" => {
            let threshold = read::int(node, "`count`", 1..=i64::from(THRESHOLD_MAX), report)? as u32;
            let resolution_ms = match window.counted(threshold, node.place, report)? {
                Counted::Exactly => None,
                Counted::InPanes(ms) => Some(ms),
            };
            Some(Condition::Count { threshold, within_ms: window.within_ms?, resolution_ms })
        }
        "sum" => sum(node, watched, window, report),
        _ => distinct(node, watched, window, report),
    }
}

fn distinct(node: &Node, watched: &Watched<'_>, window: &Window, report: &mut Report<'_>) -> Option<Condition> {
    let keys = Keys::of(node, "`distinct`", &["field", "at_least"], &[], report)?;
    let help = "such as `distinct: {field: user_hash, at_least: 5}`";
    let at_least = keys.need("at_least", help, report);
    let name = keys.need("field", help, report)?;
    let (field, def) = filter::field(read::text(name, "`field`", report)?, name.place, watched.signal?, report)?;
    if watched.group_by.contains(&field) {
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
    let at_least = read::int(at_least?, "`at_least`", 2..=values_max, report)? as u32;
    Some(Condition::Distinct { field, at_least, within_ms: window.within_ms? })
}

fn sum(node: &Node, watched: &Watched<'_>, window: &Window, report: &mut Report<'_>) -> Option<Condition> {
    let keys = Keys::of(node, "`sum`", &["field", "at_least"], &[], report)?;
    let help = "such as `sum: {field: duration_ms, at_least: 600000}`";
    let at_least = keys.need("at_least", help, report).and_then(|n| read::int(n, "`at_least`", 1..=SUM_MAX, report));
    let name = keys.need("field", help, report)?;
    let (field, def) = number(name, watched.signal?, report)?;
    let FieldKind::Int { min, .. } = def.kind else { return None };
    if def.name == "repeats" {
        report
            .error(Code::NotCountable, name.place, "`repeats` is how many signals one stands for")
            .help("`count` counts each as that many: `count: 20`");
        return None;
    }
    if min < 0 {
        let problem = format!("`{}` can be negative: a sum that falls is not counted", def.name);
        report.error(Code::NotCountable, name.place, problem);
        return None;
    }
    let at_least = u64::try_from(at_least?).ok()?;
    Some(Condition::Sum { field, at_least, within_ms: window.within_ms?, pane_ms: window.pane_ms()? })
}

fn ratio(
    key: Place,
    node: &Node,
    watched: &Watched<'_>,
    window: &Window,
    report: &mut Report<'_>,
) -> Option<Condition> {
    let keys = Keys::of(node, "`ratio`", &["of", "at_least", "min"], &[], report)?;
    let at_least = keys.need("at_least", RATIO_HELP, report).and_then(|node| percent(node, report));
    let min = min(&keys, RATIO_HELP, report);
    let node = keys.need("of", RATIO_HELP, report)?;
    let of = clauses::read(node, "`of`", watched.signal?, report)?;
    if of.0.is_empty() {
        report.error(Code::EmptyTest, node.place, "an empty `of` is every match").help(RATIO_HELP);
        return None;
    }
    check_part(key, "`of`", &of, watched, report)?;
    let (within_ms, pane_ms) = (window.within_ms?, window.pane_ms()?);
    Some(Condition::Ratio { of, at_least: at_least?, min: min?, within_ms, pane_ms })
}

fn percentile(node: &Node, watched: &Watched<'_>, window: &Window, report: &mut Report<'_>) -> Option<Condition> {
    let keys = Keys::of(node, "`percentile`", &["field", "p", "at_least", "min"], &[], report)?;
    let thousandths = keys.need("p", PERCENTILE_HELP, report).and_then(|node| rank(node, report));
    let min = min(&keys, PERCENTILE_HELP, report);
    let at_least = keys.need("at_least", PERCENTILE_HELP, report);
    let name = keys.need("field", PERCENTILE_HELP, report)?;
    let (field, def) = number(name, watched.signal?, report)?;
    let (FieldKind::Int { min: least, max }, Some(node)) = (&def.kind, at_least) else { return None };
    let at_least = read::int(node, "`at_least`", least + 1..=*max, report)?;
    let test = Test::IntIn { min: at_least, max: i64::MAX };
    let of = Filter(vec![Clause::Test(Predicate { field, negated: false, test })]);
    // Whoever lacks the field does not count.
    let has = Clause::Test(Predicate { field, negated: false, test: Test::Present });
    let all = watched.filter.cloned().unwrap_or_default().0.into_iter().chain([has]).collect();
    let counted = Watched { filter: Some(&Filter(all)), ..*watched };
    check_part(node.place, "`at_least`", &of, &counted, report)?;
    let (within_ms, pane_ms) = (window.within_ms?, window.pane_ms()?);
    Some(Condition::Percentile { field, thousandths: thousandths?, at_least, min: min?, within_ms, pane_ms })
}

/// Reads `field` as a number of the signal.
pub(crate) fn number(node: &Node, signal: SignalType, report: &mut Report<'_>) -> Option<(usize, &'static FieldDef)> {
    let (field, def) = filter::field(read::text(node, "`field`", report)?, node.place, signal, report)?;
    if matches!(def.kind, FieldKind::Int { .. }) {
        return Some((field, def));
    }
    let problem = format!("`{}` is {}, and no number", def.name, filter::describe(&def.kind));
    let error = report.error(Code::NotCountable, node.place, problem);
    let numbers = signal.def().fields.iter().filter(|f| matches!(f.kind, FieldKind::Int { .. }) && f.name != "repeats");
    let numbers: Vec<&str> = numbers.map(|f| f.name.as_str()).collect();
    if !numbers.is_empty() {
        error.help(crate::suggest::list(&numbers));
    }
    None
}

/// Reads the matches below which nothing is said.
fn min(keys: &Keys<'_>, help: &str, report: &mut Report<'_>) -> Option<u32> {
    let node = keys.need("min", help, report)?;
    read::int(node, "`min`", 1..=i64::from(THRESHOLD_MAX), report).map(|min| min as u32)
}

/// A part that is all of what `where` leaves, or none of it, says nothing. Sets that were published stay as they are.
fn check_part(place: Place, what: &str, of: &Filter, watched: &Watched<'_>, report: &mut Report<'_>) -> Option<()> {
    let (Some(signal), Some(all)) = (watched.signal, watched.filter) else { return Some(()) };
    let inside = Filter(vec![Clause::All(vec![all.clone(), of.clone()])]);
    let outside = Filter(vec![Clause::All(vec![all.clone()]), Clause::Not(of.clone())]);
    let is_all = of.0.iter().all(|clause| all.0.contains(clause)) || !vanity::can_hold(&outside, signal);
    let says = if is_all {
        "is true of every signal that passes `where`"
    } else if vanity::can_hold(&inside, signal) {
        return Some(());
    } else {
        "is true of no signal that passes `where`"
    };
    if report.is_published {
        return Some(());
    }
    report
        .error(Code::PartIsWhole, place, format!("{what} {says}"))
        .help("`where` is what is counted, the part is what is bad among it");
    None
}

/// Reads a part, in hundredths of a percent.
fn percent(node: &Node, report: &mut Report<'_>) -> Option<u32> {
    let range = RATIO_MIN..=RATIO_MAX;
    let text = node.as_text().unwrap_or_default();
    match text.strip_suffix('%').map(|number| decimal(number, 2)) {
        Some(Some(hundredths)) if range.contains(&hundredths) => return u32::try_from(hundredths).ok(),
        Some(Some(_)) => {
            let problem = "`at_least` is from 1% to 100%";
            report.error(Code::OutOfRange, node.place, problem);
        }
        _ => {
            let error = report.error(Code::NotAPercentage, node.place, "`at_least` of a ratio is a percentage");
            // Whoever writes 0.05 means a part, whoever writes 5 means percent.
            let meant = if text.starts_with('0') { decimal(text, 4) } else { decimal(text, 2) };
            error.help(match meant.filter(|hundredths| range.contains(hundredths)) {
                Some(hundredths) => format!("write `{}%`", shown(hundredths, 100)),
                None => "with at most two decimals and its sign: `5%`, `2.5%`".to_owned(),
            });
        }
    }
    None
}

/// Reads which percentile, in thousandths.
fn rank(node: &Node, report: &mut Report<'_>) -> Option<u32> {
    let range = PERCENTILE_MIN..=PERCENTILE_MAX;
    match decimal(node.as_text().unwrap_or_default(), 1) {
        Some(thousandths) if range.contains(&thousandths) => u32::try_from(thousandths).ok(),
        Some(_) => {
            let error = report.error(Code::OutOfRange, node.place, "`p` is from 50 to 99.9");
            error.help("for the largest value, count what is so large: `where: {duration_ms: {gte: 3000}}`");
            None
        }
        None => {
            let problem = format!("`p` is a number with at most one decimal, not {}", node.describe());
            report.error(Code::NotANumber, node.place, problem).help("such as `p: 95` or `p: 99.9`");
            None
        }
    }
}

/// A number of digits with at most so many decimals, times ten to the power of them.
fn decimal(text: &str, decimals: usize) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |text: &str| (1..=9).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if !is_digits(whole) || !is_digits(part) || part.len() > decimals {
        return None;
    }
    format!("{whole}{part:0<decimals$}").parse().ok()
}

/// A number that was read with decimals, as short as it can be written.
fn shown(number: i64, unit: i64) -> String {
    let (whole, part) = (number / unit, number % unit);
    if part == 0 {
        return whole.to_string();
    }
    let digits = unit.ilog10() as usize;
    format!("{whole}.{}", format!("{part:0>digits$}").trim_end_matches('0'))
}

/// The canonical form of a measure, and the key that it stands under.
pub(crate) fn canonical(measure: &Condition, signal: Option<SignalType>) -> (&'static str, Json) {
    let name = |field: &usize| ("field", Json::text(signal.map_or("", |s| s.def().fields[*field].name.as_str())));
    let number = |key: &'static str, number: i64| (key, Json::Int(number));
    match measure {
        Condition::Count { threshold, .. } => ("count", Json::Int(i64::from(*threshold))),
        Condition::Distinct { field, at_least, .. } => {
            ("distinct", Json::map([name(field), number("at_least", i64::from(*at_least))]))
        }
        Condition::Sum { field, at_least, .. } => {
            ("sum", Json::map([name(field), number("at_least", i64::try_from(*at_least).unwrap_or(i64::MAX))]))
        }
        Condition::Ratio { of, at_least, min, .. } => {
            let of = signal.map_or_else(|| Json::map([]), |signal| clauses::canonical(of, signal));
            let part = format!("{}%", shown(i64::from(*at_least), 100));
            ("ratio", Json::map([("of", of), ("at_least", Json::text(part)), number("min", i64::from(*min))]))
        }
        Condition::Percentile { field, thousandths, at_least, min, .. } => {
            let rank = ("p", Json::text(shown(i64::from(*thousandths), 10)));
            let keys = [name(field), rank, number("at_least", *at_least), number("min", i64::from(*min))];
            ("percentile", Json::map(keys))
        }
        // Not a measure: it has a form of its own.
        Condition::All(_) | Condition::Each | Condition::Absent { .. } | Condition::Blind { .. } => ("", Json::map([])),
    }
}
