//! One rule of a file.

use logystera_processor::core::{Condition, Expected, Rule, Test};
use logystera_schemas::catalogue::{FieldKind, SignalType};
use logystera_schemas::detection::Severity;
use logystera_schemas::ids::{RuleName, Sha256Digest, is_slug};
use logystera_schemas::limits::{
    EACH_SUPPRESS_MS_DEFAULT, MESSAGE_CHARS_MAX, RESOLVE_AFTER_MS_DEFAULT, RULE_SPAN_MS_MAX, SUPPRESS_MS_DEFAULT,
};

use crate::canonical::Json;
use crate::code::Code;
use crate::duration::short;
use crate::extras::{self, Subject};
use crate::message::{self, Names};
use crate::read::{self, Keys, Later};
use crate::report::{Place, Report};
use crate::watch::{self, Watch};
use crate::yaml::{Node, Yaml};
use crate::{clauses, condition, escalate};

const KEYS: [&str; 20] = [
    "name",
    "title",
    "severity",
    "subsystem",
    "signal",
    "where",
    "group_by",
    "threshold",
    "absent",
    "each",
    "escalate",
    "for",
    "suppress",
    "resolve_after",
    "bundle",
    "tests",
    "evidence",
    "message",
    "why",
    "do",
];
const LATER: [Later; 2] = [
    ("metric", "rules over metrics come in a later version; watch a signal"),
    ("snapshot", "rules over snapshots come in a later version; watch a signal"),
];
const SEVERITIES: [(&str, Severity); 3] =
    [("info", Severity::Info), ("warning", Severity::Warning), ("critical", Severity::Critical)];
/// Hex digits of a revision.
pub(crate) const REVISION_DIGITS: usize = 12;
const SPANS: std::ops::RangeInclusive<i64> = 0..=RULE_SPAN_MS_MAX;

/// A rule, the place of its name, and its canonical form.
pub(crate) struct Defined {
    pub(crate) rule: Rule,
    pub(crate) place: Place,
    pub(crate) json: Json,
}

/// Reads one rule.
pub(crate) fn read(node: &Node, report: &mut Report<'_>) -> Option<Defined> {
    let keys = Keys::of(node, "a rule", &KEYS, &LATER, report)?;
    let errors_before = report.count();
    let name_node = keys.need("name", "such as `name: mail-delivery-failing`", report);
    let name = name_node.and_then(|node| rule_name(node, report));
    let title = keys.need("title", "a few words for people: `title: Mail delivery is failing`", report);
    let title = title.and_then(|node| read::line(node, "`title`", MESSAGE_CHARS_MAX, report));
    let severity = severity(&keys, report);
    let subsystem = keys.need("subsystem", "the part of the site: `subsystem: mail`", report);
    let subsystem = subsystem.and_then(|node| slug(node, "`subsystem`", report));
    let spans = spans(&keys, report);
    let why = advice(&keys, "why", report);
    let advice = advice(&keys, "do", report);
    let bundle = keys.get("bundle").map(|node| extras::bundle(node, report));
    let message = keys.need("message", "such as `message: \"{count} mails failed on {site} within {within}\"`", report);
    let watch = watch::read(&keys, report);
    let message = message.and_then(|node| message::read(node, &message_names(&keys, watch.as_ref()), report));
    let subject = escalate::Subject { condition: watch.as_ref().map(|watch| &watch.condition), severity };
    let escalate = keys.get("escalate").map(|node| escalate::read(node, &subject, report));
    let watch = watch?;
    let names: Vec<&str> = watch.group_by.iter().filter_map(|place| field_name(watch.signal, *place)).collect();
    let subject = Subject { signal: watch.signal, group_by: &names, ms_max: extras::test_ms_max(&watch.condition) };
    let tests = keys.get("tests").map(|node| extras::tests(node, &subject, report));
    if report.count() != errors_before {
        return None;
    }
    let [for_ms, suppress_ms, resolve_after_ms] = spans?;
    let mut rule = Rule {
        name: name?,
        revision: String::new(),
        counts: Sha256Digest([0; 32]),
        title: title?.to_owned(),
        severity: severity?,
        subsystem: subsystem?.to_owned(),
        signal: watch.signal,
        filter: watch.filter,
        group_by: watch.group_by,
        condition: watch.condition,
        escalate: escalate.flatten().unwrap_or_default(),
        for_ms,
        suppress_ms,
        resolve_after_ms,
        evidence: watch.evidence,
        message: message?,
        why,
        advice,
        bundle: bundle.flatten(),
    };
    let json = canonical(&rule, tests.flatten());
    rule.revision = Sha256Digest::of(json.to_string().as_bytes()).to_string();
    rule.revision.truncate(REVISION_DIGITS);
    rule.counts = counts(&rule);
    Some(Defined { rule, place: name_node?.place, json })
}

/// What the message may name: if other parts of the rule were refused, as far as the rest tells.
fn message_names<'n>(keys: &Keys<'n>, watch: Option<&Watch>) -> Names<'n> {
    let group_by = match keys.get("group_by").map(|node| &node.yaml) {
        Some(Yaml::List(items)) => items.iter().filter_map(Node::as_text).collect(),
        _ => Vec::new(),
    };
    Names {
        counts: keys.get("absent").is_none(),
        span_ms: match watch {
            Some(watch) => watch.condition.span_ms(),
            None => keys.get("each").is_none().then_some(0),
        },
        group_by,
    }
}

fn rule_name(node: &Node, report: &mut Report<'_>) -> Option<RuleName> {
    slug(node, "`name`", report)?.parse().ok()
}

fn slug<'n>(node: &'n Node, what: &str, report: &mut Report<'_>) -> Option<&'n str> {
    let text = read::text(node, what, report)?;
    if is_slug(text) {
        return Some(text);
    }
    let fixed: String =
        text.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect();
    let error = report.error(Code::BadName, node.place, format!("{what} is 1 to 64 of a-z 0-9 _ -"));
    if is_slug(&fixed) {
        error.help(format!("write `{fixed}`"));
    }
    None
}

fn severity(keys: &Keys<'_>, report: &mut Report<'_>) -> Option<Severity> {
    match keys.get("severity") {
        None => Some(Severity::Warning),
        Some(node) => {
            read::one_of(node, "`severity`", &SEVERITIES.map(|(name, _)| name), report).map(|place| SEVERITIES[place].1)
        }
    }
}

/// `for`, `suppress` and `resolve_after`.
fn spans(keys: &Keys<'_>, report: &mut Report<'_>) -> Option<[i64; 3]> {
    if keys.get("each").is_some() {
        return each_spans(keys, report);
    }
    let defaults = [("for", 0), ("suppress", SUPPRESS_MS_DEFAULT), ("resolve_after", RESOLVE_AFTER_MS_DEFAULT)];
    let read = defaults.map(|(key, default)| match keys.get(key) {
        Some(node) => read::span(node, &format!("`{key}`"), SPANS, report),
        None => Some(default),
    });
    let [for_ms, suppress_ms, resolve_after_ms] = read;
    if let (Some(1..), Some((place, _)), Some(_)) = (for_ms, keys.entry("for"), keys.get("absent")) {
        report.error(Code::KeyDoesNotFit, place, "`for` beside `absent`").help("say the whole span in `absent`");
    }
    Some([for_ms?, suppress_ms?, resolve_after_ms?])
}

/// The same of a rule that tells each match: it waits for nothing, and nothing is open that could resolve.
fn each_spans(keys: &Keys<'_>, report: &mut Report<'_>) -> Option<[i64; 3]> {
    for (key, help) in [
        ("for", "a match is told at once: take it away, or count with `threshold`"),
        ("resolve_after", "what is told has happened, and nothing is open: take it away"),
    ] {
        if let Some((place, _)) = keys.entry(key) {
            report.error(Code::KeyDoesNotFit, place, format!("`{key}` beside `each`")).help(help);
        }
    }
    let suppress_ms = match keys.get("suppress") {
        Some(node) => read::span(node, "`suppress`", SPANS, report)?,
        None => EACH_SUPPRESS_MS_DEFAULT,
    };
    Some([0, suppress_ms, 0])
}

fn advice(keys: &Keys<'_>, key: &str, report: &mut Report<'_>) -> Option<String> {
    read::line(keys.get(key)?, &format!("`{key}`"), MESSAGE_CHARS_MAX, report).map(str::to_owned)
}

/// Name of a rule's field.
pub(crate) fn field_name(signal: Option<SignalType>, place: usize) -> Option<&'static str> {
    signal.and_then(|s| s.def().fields.get(place)).map(|f| f.name.as_str())
}

/// How many groups a rule can have. None: as many as its limit allows.
pub(crate) fn groups_max(rule: &Rule) -> Option<usize> {
    // A silent site is one group.
    let Some(signal) = rule.signal else { return Some(1) };
    if let Some(expected) = expected_groups(rule) {
        return Some(expected);
    }
    let fields = &signal.def().fields;
    rule.group_by.iter().try_fold(1, |groups: usize, place| {
        let field = &fields[*place];
        let values = match &field.kind {
            FieldKind::Enum(symbols) => symbols.len(),
            FieldKind::Bool => 2,
            _ => return None,
        };
        groups.checked_mul(values + usize::from(field.optional))
    })
}

/// How many groups of a rule stand from the start. None: it makes its groups from signals.
pub(crate) fn expected_groups(rule: &Rule) -> Option<usize> {
    let Condition::Absent { expected: Expected::Values(predicate), .. } = &rule.condition else { return None };
    Some(match &predicate.test {
        Test::EnumIn(mask) => mask.count_ones() as usize,
        Test::IntOneOf(numbers) => numbers.len(),
        Test::HashOneOf(hashes) => hashes.len(),
        Test::IdentOneOf(names) => names.len(),
        _ => 1,
    })
}

fn names(rule: &Rule, places: &[usize]) -> Json {
    Json::list(places.iter().filter_map(|place| field_name(rule.signal, *place)).map(Json::text))
}

/// The canonical form of what a rule counts: an edit that leaves it the same leaves the groups as they are.
fn counting(rule: &Rule) -> Vec<(&'static str, Json)> {
    let mut keys = vec![condition::counted(&rule.condition, rule.signal), ("group_by", names(rule, &rule.group_by))];
    if let Some(signal) = rule.signal {
        keys.push(("signal", Json::text(signal.name())));
        keys.push(("where", clauses::canonical(&rule.filter, signal)));
    }
    keys.extend(escalate::counted(&rule.escalate).map(|numbers| ("escalate", numbers)));
    keys
}

fn counts(rule: &Rule) -> Sha256Digest {
    Sha256Digest::of(Json::map(counting(rule)).to_string().as_bytes())
}

fn canonical(rule: &Rule, tests: Option<Json>) -> Json {
    let severity = SEVERITIES.iter().find(|(_, s)| *s == rule.severity).map_or("", |(name, _)| name);
    let mut keys = counting(rule);
    keys[0] = condition::canonical(&rule.condition, rule.signal);
    keys.extend([
        ("name", Json::text(rule.name.as_str())),
        ("title", Json::text(&rule.title)),
        ("severity", Json::text(severity)),
        ("subsystem", Json::text(&rule.subsystem)),
        ("suppress", Json::text(short(rule.suppress_ms))),
        ("evidence", names(rule, &rule.evidence)),
        ("message", Json::text(message::canonical(&rule.message, &rule.group_by, rule.signal))),
    ]);
    if !rule.condition.tells_each() {
        keys.push(("for", Json::text(short(rule.for_ms))));
        keys.push(("resolve_after", Json::text(short(rule.resolve_after_ms))));
    }
    keys.extend((!rule.escalate.is_empty()).then(|| ("escalate", escalate::canonical(&rule.escalate))));
    keys.extend(rule.bundle.as_ref().map(|bundle| ("bundle", extras::canonical_bundle(bundle))));
    keys.extend(tests.filter(|json| *json != Json::list([])).map(|json| ("tests", json)));
    keys.extend(rule.why.as_ref().map(|text| ("why", Json::text(text))));
    keys.extend(rule.advice.as_ref().map(|text| ("do", Json::text(text))));
    Json::map(keys)
}
