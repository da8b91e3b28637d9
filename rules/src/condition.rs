//! `absent` and `each`, and what a condition is in its canonical form.

use std::ops::RangeInclusive;

use logystera_processor::core::{Clause, Condition, Expected, Filter, Predicate};
use logystera_schemas::catalogue::{Domain, FieldDef, FieldKind, SignalType};
use logystera_schemas::limits::{
    ABSENT_AT_MOST_MAX, ABSENT_MS_MAX, BLIND_AFTER_MS_MIN, FORGET_AFTER_MS_MAX, RULE_SPAN_MS_MAX, RULE_SPAN_MS_MIN,
};

use crate::canonical::Json;
use crate::clauses;
use crate::code::Code;
use crate::duration::short;
use crate::filter;
use crate::read::{self, Keys};
use crate::report::{Place, Report};
use crate::threshold;
use crate::yaml::{Node, Yaml};

const SPANS: RangeInclusive<i64> = RULE_SPAN_MS_MIN..=ABSENT_MS_MAX;
const KEYS: [&str; 5] = ["for", "expected", "at_most", "forget_after", "blind_after"];

/// What an absence is told apart by.
pub(crate) struct Groups<'r> {
    /// None: it was refused, and only what does not depend on it is checked.
    pub(crate) signal: Option<SignalType>,
    /// Where `group_by` stands. None: the rule has none.
    pub(crate) place: Option<Place>,
    /// Indexes of its fields. None: they were refused.
    pub(crate) fields: Option<&'r [usize]>,
}

/// Whether `absent` is about the site's own silence.
pub(crate) fn is_blind(node: &Node) -> bool {
    matches!(&node.yaml, Yaml::Map(entries) if entries.iter().any(|(key, _)| key.name == "blind_after"))
}

/// Reads `absent` as the rule about the site's own silence.
pub(crate) fn blind(node: &Node, report: &mut Report<'_>) -> Option<Condition> {
    let keys = Keys::of(node, "`absent`", &KEYS, &[], report)?;
    for key in KEYS.iter().filter(|key| **key != "blind_after") {
        if let Some((place, _)) = keys.entry(key) {
            report
                .error(Code::KeyDoesNotFit, place, format!("`{key}` beside `blind_after`"))
                .help("a silent site and a missing signal are two rules");
        }
    }
    let range = BLIND_AFTER_MS_MIN..=RULE_SPAN_MS_MAX;
    Some(Condition::Blind { after_ms: read::span(keys.get("blind_after")?, "`blind_after`", range, report)? })
}

/// Reads `absent` as the wait for a signal.
pub(crate) fn absent(node: &Node, groups: &Groups<'_>, report: &mut Report<'_>) -> Option<Condition> {
    let keys = Keys::of(node, "`absent`", &KEYS, &[], report)?;
    let for_ms = keys
        .need("for", "such as `{for: 45m, expected: once_seen}`", report)
        .and_then(|n| read::span(n, "`absent.for`", SPANS, report));
    let at_most = match keys.get("at_most") {
        Some(node) => read::int(node, "`at_most`", 0..=ABSENT_AT_MOST_MAX, report),
        None => Some(0),
    };
    let help =
        "`always` waits from the configuration on, `once_seen` from the first match on, a list for each of its values";
    let expected = keys.need("expected", help, report).and_then(|node| expected(node, groups, report));
    if expected == Some(Expected::OnceSeen) {
        strangers(node, groups, report);
    }
    let forget_after_ms = forget_after(&keys, node, for_ms, expected.as_ref(), groups, report);
    Some(Condition::Absent {
        for_ms: for_ms?,
        expected: expected?,
        at_most: u32::try_from(at_most?).ok()?,
        forget_after_ms: forget_after_ms.ok()?,
    })
}

/// `always`, `once_seen`, or the values of the field of `group_by` that are expected.
fn expected(node: &Node, groups: &Groups<'_>, report: &mut Report<'_>) -> Option<Expected> {
    if matches!(node.yaml, Yaml::List(_)) {
        return values(node, groups, report);
    }
    match read::one_of(node, "`expected`", &["always", "once_seen"], report)? {
        0 => {}
        _ => return Some(Expected::OnceSeen),
    }
    let Some(place) = groups.place else { return Some(Expected::Always) };
    report
        .error(Code::KeyDoesNotFit, place, "`expected: always` has no groups")
        .help("nobody knows which groups should come: list them, take `group_by` away, or write `expected: once_seen`");
    None
}

fn values(node: &Node, groups: &Groups<'_>, report: &mut Report<'_>) -> Option<Expected> {
    let fields = match groups.place {
        Some(_) => groups.fields?,
        None => &[],
    };
    let [field] = fields else {
        report
            .error(Code::KeyDoesNotFit, node.place, "a list of `expected` needs one field in `group_by`")
            .help("the list has the values of that field: `group_by: [job]`, `expected: [backup, newsletter]`");
        return None;
    };
    let def = groups.signal?.def().fields.get(*field)?;
    if is_of_strangers(def) {
        refuse_strangers(groups.place?, def, report);
        return None;
    }
    if let FieldKind::EnumList(_) = def.kind {
        report
            .error(
                Code::WrongTest,
                node.place,
                format!("`{}` is a list of symbols: its groups cannot be listed", def.name),
            )
            .help("write `expected: once_seen`");
        return None;
    }
    let test = filter::values(node, def, report)?;
    Some(Expected::Values(Predicate { field: *field, negated: false, test }))
}

/// Whoever comes from outside chooses the address, and so the network, and the name that they come with.
fn is_of_strangers(def: &FieldDef) -> bool {
    matches!(def.domain, Some(Domain::Address | Domain::Network | Domain::User))
}

/// Nobody is missed that strangers sent. Sets that were published before go on.
fn strangers(node: &Node, groups: &Groups<'_>, report: &mut Report<'_>) {
    let (Some(signal), Some(fields)) = (groups.signal, groups.fields) else { return };
    if report.is_published {
        return;
    }
    let mut defs = fields.iter().filter_map(|field| signal.def().fields.get(*field));
    if let Some(def) = defs.find(|def| is_of_strangers(def)) {
        refuse_strangers(groups.place.unwrap_or(node.place), def, report);
    }
}

fn refuse_strangers(place: Place, def: &FieldDef, report: &mut Report<'_>) {
    report
        .error(Code::StrangersExpected, place, format!("an absence of each `{}`", def.name))
        .label("strangers choose it")
        .help("what strangers choose is never expected: group by what the site itself has, such as a job");
}

/// It was refused.
struct Refused;

fn forget_after(
    keys: &Keys<'_>,
    node: &Node,
    for_ms: Option<i64>,
    expected: Option<&Expected>,
    groups: &Groups<'_>,
    report: &mut Report<'_>,
) -> Result<Option<i64>, Refused> {
    let Some((place, given)) = keys.entry("forget_after") else {
        // Sets that were published before there was an end go on without one.
        if let (Some(Expected::OnceSeen), Some(_), false) = (expected, groups.place, report.is_published) {
            report
                .error(Code::NeverForgotten, node.place, "what is gone for good would be missed for ever")
                .help("say for how long: `forget_after: 14d`");
            return Err(Refused);
        }
        return Ok(None);
    };
    let span = read::span(given, "`forget_after`", RULE_SPAN_MS_MIN..=FORGET_AFTER_MS_MAX, report);
    if let Some(Expected::Always | Expected::Values(_)) = expected {
        report
            .error(Code::KeyDoesNotFit, place, "only what was once seen is forgotten")
            .help("take `forget_after` away, or write `expected: once_seen`");
        return Err(Refused);
    }
    let (Some(for_ms), Some(span)) = (for_ms, span) else { return Err(Refused) };
    if span <= for_ms {
        let problem = format!("`forget_after`, {}, is no longer than `for`, {}", short(span), short(for_ms));
        report.error(Code::OutOfRange, given.place, problem).help("it is told after `for`, and forgotten later");
        return Err(Refused);
    }
    Ok(Some(span))
}

/// Reads `each`, which says nothing more.
pub(crate) fn each(node: &Node, report: &mut Report<'_>) -> Option<Condition> {
    let keys = Keys::of(node, "`each`", &[], &[], report)?;
    keys.entries().is_empty().then_some(Condition::Each)
}

/// The canonical form of the condition, and the key that it stands under.
pub(crate) fn canonical(condition: &Condition, signal: Option<SignalType>) -> (&'static str, Json) {
    match condition {
        Condition::Absent { forget_after_ms, .. } => {
            let (key, counted) = counted(condition, signal);
            let forget = forget_after_ms.map(|ms| ("forget_after", Json::text(short(ms))));
            (key, counted.with(forget))
        }
        other => counted(other, signal),
    }
}

/// The same without what is no part of what is counted: how long it is remembered.
pub(crate) fn counted(condition: &Condition, signal: Option<SignalType>) -> (&'static str, Json) {
    let span = |ms: i64| Json::text(short(ms));
    match condition {
        Condition::Absent { for_ms, expected, at_most, forget_after_ms: _ } => {
            let at_most = (*at_most > 0).then_some(("at_most", Json::Int(i64::from(*at_most))));
            let keys = [("for", span(*for_ms)), ("expected", canonical_expected(expected, signal))];
            ("absent", Json::map(keys.into_iter().chain(at_most)))
        }
        Condition::Blind { after_ms } => ("absent", Json::map([("blind_after", span(*after_ms))])),
        Condition::Each => ("each", Json::map([])),
        measures => ("threshold", threshold::canonical(measures, signal)),
    }
}

fn canonical_expected(expected: &Expected, signal: Option<SignalType>) -> Json {
    match (expected, signal) {
        (Expected::OnceSeen, _) => Json::text("once_seen"),
        (Expected::Values(test), Some(signal)) => {
            let filter = Filter(vec![Clause::Test(test.clone())]);
            let values = clauses::canonical(&filter, signal).get(&signal.def().fields[test.field].name).cloned();
            match values {
                Some(Json::Bool(truth)) => Json::list([Json::Bool(truth)]),
                values => values.unwrap_or_else(|| Json::list([])),
            }
        }
        _ => Json::text("always"),
    }
}
