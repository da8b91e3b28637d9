//! `bundle`, which the alerter goes by, and `tests`, which are checked here and kept in the canonical form.

use logystera_processor::core::Condition;
use logystera_schemas::catalogue::{FieldDef, FieldKind, SignalType};
use logystera_schemas::detection::{BundleBy, BundleSpec, DetectionReason};
use logystera_schemas::limits::{
    BUNDLE_ALERTS_MAX, BUNDLE_WAIT_MS_MAX, FORGET_AFTER_MS_MAX, MESSAGE_CHARS_MAX, RULE_TEST_MS_MAX,
    RULE_TEST_TIMES_MAX, RULE_TESTS_MAX, WHERE_VALUES_MAX,
};

use crate::canonical::Json;
use crate::code::Code;
use crate::duration::short;
use crate::filter;
use crate::read::{self, Keys};
use crate::report::Report;
use crate::suggest;
use crate::yaml::{Key, Node, Yaml};

/// States that a test can expect.
const STATES: [&str; 3] = ["inactive", "pending", "firing"];
const DAY_MS: i64 = 86_400_000;

/// Reads `bundle`.
pub(crate) fn bundle(node: &Node, report: &mut Report<'_>) -> Option<BundleSpec> {
    let names: Vec<&str> = BundleBy::ALL.iter().map(|by| by.as_str()).collect();
    let keys = Keys::of(node, "`bundle`", &["by", "wait", "max"], &[], report)?;
    let by = keys.need("by", "such as `by: [site]`", report).and_then(|node| {
        let items = read::list(node, "`bundle.by`", names.len(), report)?;
        let read: Vec<_> = items.iter().map(|item| read::one_of(item, "`bundle.by`", &names, report)).collect();
        let mut places = read.into_iter().collect::<Option<Vec<_>>>()?;
        places.sort_unstable();
        places.dedup();
        Some(places)
    });
    let wait = keys
        .need("wait", "such as `wait: 30s`", report)
        .and_then(|n| read::span(n, "`bundle.wait`", 0..=BUNDLE_WAIT_MS_MAX, report));
    let max = keys
        .need("max", "such as `max: 20`", report)
        .and_then(|n| read::int(n, "`bundle.max`", 1..=BUNDLE_ALERTS_MAX, report));
    let by = by?.into_iter().map(|place| BundleBy::ALL[place]).collect();
    Some(BundleSpec { by, wait_ms: wait?, max: u32::try_from(max?).ok()? })
}

/// The canonical form of `bundle`.
pub(crate) fn canonical_bundle(bundle: &BundleSpec) -> Json {
    let by = Json::list(bundle.by.iter().map(|by| Json::text(by.as_str())));
    let (wait, max) = (Json::text(short(bundle.wait_ms)), Json::Int(i64::from(bundle.max)));
    Json::map([("by", by), ("wait", wait), ("max", max)])
}

/// What the tests of a rule refer to.
pub(crate) struct Subject<'r> {
    pub(crate) signal: Option<SignalType>,
    /// Names of the fields of `group_by`.
    pub(crate) group_by: &'r [&'r str],
    /// How long a test may last, in milliseconds.
    pub(crate) ms_max: i64,
}

/// How long a test of a rule with this condition may last, in milliseconds.
pub(crate) fn test_ms_max(condition: &Condition) -> i64 {
    match condition {
        Condition::Absent { .. } => FORGET_AFTER_MS_MAX + DAY_MS,
        _ => RULE_TEST_MS_MAX,
    }
}

/// Reads `tests` into their canonical form.
pub(crate) fn tests(node: &Node, subject: &Subject<'_>, report: &mut Report<'_>) -> Option<Json> {
    let items = read::list(node, "`tests`", RULE_TESTS_MAX, report)?;
    let read: Vec<_> = items.iter().map(|item| test(item, subject, report)).collect();
    Some(Json::List(read.into_iter().collect::<Option<Vec<_>>>()?))
}

fn test(node: &Node, subject: &Subject<'_>, report: &mut Report<'_>) -> Option<Json> {
    let keys = Keys::of(node, "a test", &["name", "signals", "expect", "notify"], &[], report)?;
    let name = keys
        .need("name", "say what it shows: `name: five failures in ten minutes`", report)
        .and_then(|n| read::line(n, "`name`", MESSAGE_CHARS_MAX, report));
    let signals = match keys.get("signals") {
        Some(node) => lines(node, "`signals`", report, |item, report| signal(item, subject, report)),
        None => Some(Json::list([])),
    };
    let notify = match keys.get("notify") {
        Some(node) => Some(("notify", lines(node, "`notify`", report, |item, report| told(item, subject, report))?)),
        None => None,
    };
    // Who says what is told need not say how the rule stands.
    let expect = match keys.get("expect") {
        None if notify.is_some() => Some(Json::list([])),
        _ => keys
            .need(
                "expect",
                "such as `expect: [{at: 4m, state: firing}]`, or `notify: [{at: 4m, reason: firing}]`",
                report,
            )
            .and_then(|node| lines(node, "`expect`", report, |item, report| expectation(item, subject, report))),
    };
    let test = [("name", Json::text(name?)), ("signals", signals?), ("expect", expect?)];
    Some(Json::map(test.into_iter().chain(notify)))
}

fn lines<'a>(
    node: &Node,
    what: &str,
    report: &mut Report<'a>,
    mut one: impl FnMut(&Node, &mut Report<'a>) -> Option<Json>,
) -> Option<Json> {
    let items = read::list(node, what, RULE_TESTS_MAX, report)?;
    let read: Vec<_> = items.iter().map(|item| one(item, report)).collect();
    Some(Json::List(read.into_iter().collect::<Option<Vec<_>>>()?))
}

fn signal(node: &Node, subject: &Subject<'_>, report: &mut Report<'_>) -> Option<Json> {
    let keys = Keys::any(node, "a test's signal", report)?;
    keys.need("at", "when it comes, from the start of the test: `at: 0s`", report)?;
    let read: Vec<_> = keys
        .entries()
        .iter()
        .map(|(key, node)| Some((key.name.as_str(), signal_key(key, node, subject, report)?)))
        .collect();
    Some(Json::map(read.into_iter().collect::<Option<Vec<_>>>()?))
}

fn signal_key(key: &Key, node: &Node, subject: &Subject<'_>, report: &mut Report<'_>) -> Option<Json> {
    match (key.name.as_str(), subject.signal) {
        ("at", _) => Some(Json::text(short(read::span(node, "`at`", 0..=subject.ms_max, report)?))),
        ("every", _) => Some(Json::text(short(read::span(node, "`every`", 0..=subject.ms_max, report)?))),
        ("times", _) => Some(Json::Int(read::int(node, "`times`", 1..=RULE_TEST_TIMES_MAX, report)?)),
        (name, Some(signal)) => {
            let (_, def) = filter::field(name, key.place, signal, report)?;
            value(node, def, report)
        }
        (name, None) => {
            report
                .error(Code::SignOfLife, key.place, format!("a sign of life has no `{name}`"))
                .help("it has `at`, `every` and `times`");
            None
        }
    }
}

/// A field's value in a test.
fn value(node: &Node, def: &FieldDef, report: &mut Report<'_>) -> Option<Json> {
    let what = format!("`{}`", def.name);
    Some(match &def.kind {
        FieldKind::Enum(symbols) => symbol(node, &what, symbols, report)?,
        FieldKind::EnumList(symbols) => {
            let items = match &node.yaml {
                Yaml::List(_) => read::list(node, &what, WHERE_VALUES_MAX, report)?,
                _ => std::slice::from_ref(node),
            };
            let read: Vec<_> = items.iter().map(|item| symbol(item, &what, symbols, report)).collect();
            Json::List(read.into_iter().collect::<Option<Vec<_>>>()?)
        }
        FieldKind::Int { min, max } => Json::Int(read::int(node, &what, *min..=*max, report)?),
        FieldKind::Bool => Json::Bool(read::boolean(node, &what, report)?),
        FieldKind::Hash => {
            filter::hash(node, &what, report)?;
            Json::text(read::text(node, &what, report)?)
        }
        FieldKind::Ident { class, max } => Json::text(filter::ident(node, def, *class, *max, report)?),
    })
}

fn symbol(node: &Node, what: &str, symbols: &[String], report: &mut Report<'_>) -> Option<Json> {
    let known: Vec<&str> = symbols.iter().map(String::as_str).collect();
    Some(Json::text(known[read::one_of(node, what, &known, report)?]))
}

/// Something that is told.
fn told(node: &Node, subject: &Subject<'_>, report: &mut Report<'_>) -> Option<Json> {
    let keys = Keys::of(node, "what is told", &["at", "reason", "count", "group"], &[], report)?;
    let at = keys
        .need("at", "when it is told: `at: 4m`", report)
        .and_then(|n| read::span(n, "`at`", 0..=subject.ms_max, report));
    let reasons: Vec<&str> = DetectionReason::ALL.iter().map(|reason| reason.as_str()).collect();
    let reason = keys
        .need("reason", "such as `firing`, `suppression_expired` or `resolved`", report)
        .and_then(|n| read::one_of(n, "`reason`", &reasons, report));
    let (count, group) = (count(&keys, report)?, group_of(&keys, subject, report)?);
    let keys = [("at", Json::text(short(at?))), ("reason", Json::text(reasons[reason?]))];
    Some(Json::map(keys.into_iter().chain(count).chain(group)))
}

type Entry = Option<(&'static str, Json)>;

fn count(keys: &Keys<'_>, report: &mut Report<'_>) -> Option<Entry> {
    let Some(node) = keys.get("count") else { return Some(None) };
    Some(Some(("count", Json::Int(read::int(node, "`count`", 0..=i64::MAX, report)?))))
}

fn group_of(keys: &Keys<'_>, subject: &Subject<'_>, report: &mut Report<'_>) -> Option<Entry> {
    let Some(node) = keys.get("group") else { return Some(None) };
    Some(Some(("group", group(node, subject, report)?)))
}

fn expectation(node: &Node, subject: &Subject<'_>, report: &mut Report<'_>) -> Option<Json> {
    let keys = Keys::of(node, "an expectation", &["at", "state", "count", "group"], &[], report)?;
    let at = keys
        .need("at", "when it is looked at: `at: 4m`", report)
        .and_then(|n| read::span(n, "`at`", 0..=subject.ms_max, report));
    let state =
        keys.need("state", &suggest::list(&STATES), report).and_then(|n| read::one_of(n, "`state`", &STATES, report));
    let (count, group) = (count(&keys, report)?, group_of(&keys, subject, report)?);
    let keys = [("at", Json::text(short(at?))), ("state", Json::text(STATES[state?]))];
    Some(Json::map(keys.into_iter().chain(count).chain(group)))
}

fn group(node: &Node, subject: &Subject<'_>, report: &mut Report<'_>) -> Option<Json> {
    let keys = Keys::of(node, "`group`", subject.group_by, &[], report)?;
    let read: Vec<_> = keys
        .entries()
        .iter()
        .map(|(key, node)| {
            let (_, def) = filter::field(&key.name, key.place, subject.signal?, report)?;
            Some((key.name.as_str(), value(node, def, report)?))
        })
        .collect();
    Some(Json::map(read.into_iter().collect::<Option<Vec<_>>>()?))
}
