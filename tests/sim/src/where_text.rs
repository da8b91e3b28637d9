//! A drawn filter and a drawn condition as a rule file has them.

use std::collections::BTreeMap;

use logystera_processor::core::{Clause, Condition, Expected, Filter, Part, Rule, Test, Worse};
use logystera_schemas::catalogue::{FieldDef, FieldKind};
use logystera_schemas::limits::FORGET_AFTER_MS_MAX;

/// The filter; of several clauses under one key the first, and no test that no value passes.
pub(crate) fn filter(filter: &Filter, fields: &[FieldDef]) -> String {
    let mut clauses = BTreeMap::new();
    for clause in &filter.0 {
        let (key, text) = match clause {
            Clause::Any(filters) => ("any", list(filters, fields)),
            Clause::All(filters) => ("all", list(filters, fields)),
            Clause::Not(filter) => ("not", Some(self::filter(filter, fields)).filter(|text| text != "{}")),
            Clause::Test(predicate) => {
                let def = &fields[predicate.field];
                let text = test(&predicate.test, def, fields);
                let text = text.map(|text| if predicate.negated { format!("{{\"not\":{text}}}") } else { text });
                (def.name.as_str(), text)
            }
        };
        if let Some(text) = text {
            clauses.entry(key).or_insert(text);
        }
    }
    let clauses: Vec<String> = clauses.iter().map(|(key, text)| format!("\"{key}\":{text}")).collect();
    format!("{{{}}}", clauses.join(","))
}

fn list(filters: &[Filter], fields: &[FieldDef]) -> Option<String> {
    let texts: Vec<String> = filters.iter().map(|one| filter(one, fields)).filter(|text| text != "{}").collect();
    (!texts.is_empty()).then(|| format!("[{}]", texts.join(",")))
}

fn quoted<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> String {
    let quoted: Vec<String> = items.into_iter().map(|item| format!("\"{}\"", item.as_ref())).collect();
    format!("[{}]", quoted.join(","))
}

fn test(test: &Test, def: &FieldDef, fields: &[FieldDef]) -> Option<String> {
    let some = |text: String| (text != "[]").then_some(text);
    let chosen = |mask: &u32| {
        let symbols = def.kind.symbols().iter().enumerate();
        some(quoted(symbols.filter(|(place, _)| mask & 1 << place != 0).map(|(_, symbol)| symbol)))
    };
    match (test, &def.kind) {
        (Test::Present, _) => (def.optional || def.since > 1).then(|| "{\"present\":true}".to_owned()),
        (Test::EnumIn(mask) | Test::ListHas(mask), _) => chosen(mask),
        (Test::ListHasAll(mask), _) => chosen(mask).map(|text| format!("{{\"all\":{text}}}")),
        (Test::BoolIs(truth), _) => Some(truth.to_string()),
        (Test::IntIn { min, max }, FieldKind::Int { min: lowest, max: highest }) => {
            let (min, max) = (min.max(lowest), max.min(highest));
            (min <= max).then(|| format!("{{\"gte\":{min},\"lte\":{max}}}"))
        }
        (Test::IntOneOf(numbers), FieldKind::Int { min, max }) => {
            let numbers: Vec<String> =
                numbers.iter().filter(|n| (min..=max).contains(n)).map(ToString::to_string).collect();
            some(format!("[{}]", numbers.join(",")))
        }
        (Test::HashOneOf(hashes), _) => {
            let hex = |hash: &[u8; 16]| hash.map(|b| format!("{b:02x}")).concat();
            some(quoted(hashes.iter().map(hex)))
        }
        (Test::SameAs(other), _) => {
            let other = &fields[*other];
            let fits = def.domain.is_some() && def.domain == other.domain && def.name != other.name;
            fits.then(|| format!("{{\"same_as\":\"{}\"}}", other.name))
        }
        (Test::IdentOneOf(names), _) => some(quoted(names)),
        (Test::IdentPart(test), _) => {
            let (key, least) = match test.part {
                Part::Prefix => ("prefix", 1),
                Part::Suffix => ("suffix", 2),
                Part::Any => ("contains", 2),
            };
            let needles = some(quoted(test.needles.iter().filter(|needle| needle.len() >= least)))?;
            let nocase = if test.nocase { ",\"nocase\":true" } else { "" };
            Some(format!("{{\"{key}\":{needles}{nocase}}}"))
        }
        (Test::IntIn { .. } | Test::IntOneOf(_), _) => None,
    }
}

/// An absence. One of groups that is drawn without an end gets one, which a file must name.
pub(crate) fn absent(rule: &Rule, fields: &[FieldDef]) -> String {
    let Condition::Absent { for_ms, expected, at_most, forget_after_ms } = &rule.condition else {
        return String::new();
    };
    let (expected, forget) = match expected {
        Expected::Always => ("\"always\"".to_owned(), None),
        Expected::OnceSeen => {
            let end = (!rule.group_by.is_empty()).then_some(FORGET_AFTER_MS_MAX);
            ("\"once_seen\"".to_owned(), forget_after_ms.or(end))
        }
        Expected::Values(predicate) => {
            let listed = test(&predicate.test, &fields[predicate.field], fields).unwrap_or_default();
            (if listed.starts_with('[') { listed } else { format!("[{listed}]") }, None)
        }
    };
    let forget = forget.map(|ms| format!(",\"forget_after\":\"{ms}ms\"")).unwrap_or_default();
    format!("{{\"for\":\"{for_ms}ms\",\"expected\":{expected},\"at_most\":{at_most}{forget}}}")
}

/// The steps at which a rule's alert grows worse, as far as each is more severe than what was before.
pub(crate) fn escalate(rule: &Rule) -> String {
    let mut severity = rule.severity;
    let mut steps = Vec::new();
    for step in &rule.escalate {
        if step.severity > severity {
            let when = match step.when {
                Worse::At(at) => format!("\"at\":{at}"),
                Worse::After(ms) => format!("\"after\":\"{ms}ms\""),
            };
            steps.push(format!("{{{when},\"severity\":\"{}\"}}", step.severity));
            severity = step.severity;
        }
    }
    if steps.is_empty() { String::new() } else { format!(",\"escalate\":[{}]", steps.join(",")) }
}

/// A threshold: its measures, and their window.
pub(crate) fn threshold(condition: &Condition, fields: &[FieldDef]) -> String {
    let measures = match condition {
        Condition::All(measures) => measures.as_slice(),
        one => std::slice::from_ref(one),
    };
    let name = |field: &usize| &fields[*field].name;
    let (mut keys, mut window) = (Vec::new(), (0, None));
    for measure in measures {
        let (key, within_ms, pane_ms) = match measure {
            Condition::Count { threshold, within_ms, resolution_ms } => {
                (format!("\"count\":{threshold}"), within_ms, *resolution_ms)
            }
            Condition::Distinct { field, at_least, within_ms } => {
                let distinct = format!("\"distinct\":{{\"field\":\"{}\",\"at_least\":{at_least}}}", name(field));
                (distinct, within_ms, None)
            }
            Condition::Sum { field, at_least, within_ms, pane_ms } => {
                let sum = format!("\"sum\":{{\"field\":\"{}\",\"at_least\":{at_least}}}", name(field));
                (sum, within_ms, Some(*pane_ms))
            }
            Condition::Ratio { of, at_least, min, within_ms, pane_ms } => {
                let part = format!("{}.{:02}%", at_least / 100, at_least % 100);
                let of = filter(of, fields);
                let ratio = format!("\"ratio\":{{\"of\":{of},\"at_least\":\"{part}\",\"min\":{min}}}");
                (ratio, within_ms, Some(*pane_ms))
            }
            Condition::Percentile { field, thousandths, at_least, min, within_ms, pane_ms } => {
                let rank = format!("{}.{}", thousandths / 10, thousandths % 10);
                let of = format!("\"field\":\"{}\",\"p\":{rank},\"at_least\":{at_least},\"min\":{min}", name(field));
                (format!("\"percentile\":{{{of}}}"), within_ms, Some(*pane_ms))
            }
            Condition::All(_) | Condition::Each | Condition::Absent { .. } | Condition::Blind { .. } => continue,
        };
        keys.push(key);
        window = (*within_ms, window.1.or(pane_ms));
    }
    let (within_ms, resolution_ms) = window;
    // What is asked for is asked for all of them.
    let resolution = resolution_ms.map(|ms| format!(",\"resolution\":\"{ms}ms\"")).unwrap_or_default();
    format!("{{{},\"within\":\"{within_ms}ms\"{resolution}}}", keys.join(","))
}
