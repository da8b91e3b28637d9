//! The labels of a metric, each with the values that it can take.

use logystera_processor::core::{LabelValues, MetricLabel, NamedRange, Predicate, Test};
use logystera_schemas::catalogue::{FieldDef, FieldKind, SignalType};
use logystera_schemas::ids::is_slug;
use logystera_schemas::limits::{METRIC_LABELS_MAX, WHERE_VALUES_MAX};
use logystera_schemas::series::{NONE, OTHER};

use crate::canonical::Json;
use crate::code::Code;
use crate::filter;
use crate::read::Keys;
use crate::report::Report;
use crate::yaml::{Key, Node, Yaml};

/// Every symbol of an enum.
const ALL: &str = "all";

/// Reads `labels`. They come in the order of the fields.
pub(super) fn read(node: &Node, signal: SignalType, report: &mut Report<'_>) -> Option<Vec<MetricLabel>> {
    let keys = Keys::any(node, "`labels`", report)?;
    let entries = keys.entries();
    if entries.len() > METRIC_LABELS_MAX {
        let problem = format!("`labels` has {} entries; it has at most {METRIC_LABELS_MAX}", entries.len());
        report.error(Code::TooMany, keys.place, problem).help("make two metrics");
        return None;
    }
    let read: Vec<Option<MetricLabel>> = entries.iter().map(|(key, node)| label(key, node, signal, report)).collect();
    let mut labels = read.into_iter().collect::<Option<Vec<_>>>()?;
    labels.sort_by_key(|label| label.field);
    Some(labels)
}

fn label(key: &Key, node: &Node, signal: SignalType, report: &mut Report<'_>) -> Option<MetricLabel> {
    let (field, def) = filter::field(&key.name, key.place, signal, report)?;
    let refused = match &def.kind {
        FieldKind::Hash => Some("its values are not known before: count them in a rule, with `distinct`"),
        FieldKind::EnumList(_) => Some("a signal can have several of them: make a metric of each, with `where`"),
        _ => None,
    };
    if let Some(help) = refused {
        let problem = format!("`{}` is {}, and no label", def.name, filter::describe(&def.kind));
        report.error(Code::NotALabel, key.place, problem).help(help);
        return None;
    }
    let values = match &node.yaml {
        Yaml::Scalar { text, .. } if text == ALL => all(node, def, report)?,
        Yaml::List(items) => listed(key, node, items, def, signal, report)?,
        Yaml::Map(entries) => ranges(key, node, entries, def, signal, report)?,
        Yaml::Scalar { .. } => {
            let problem = format!("the values of `{}` are a list, named ranges, or `{ALL}`", def.name);
            let error = report.error(Code::WrongKind, node.place, problem);
            error.help(node.as_text().map_or_else(String::new, |text| format!("write `[{text}]`")));
            return None;
        }
    };
    Some(MetricLabel { field, values })
}

fn all(node: &Node, def: &FieldDef, report: &mut Report<'_>) -> Option<LabelValues> {
    if matches!(def.kind, FieldKind::Enum(_) | FieldKind::Bool) {
        return Some(LabelValues::All);
    }
    let problem =
        format!("`{ALL}` of `{}`, which is {}: nobody knows how many that are", def.name, filter::describe(&def.kind));
    let help = match def.kind {
        FieldKind::Int { .. } => "name ranges: `{small: {lt: 10}, large: {gte: 10}}`",
        _ => "list the values that matter: `[login, checkout]`; the rest is `other`",
    };
    report.error(Code::NotALabel, node.place, problem).help(help);
    None
}

/// A list of values; those that it leaves out are `other`.
fn listed(
    key: &Key,
    node: &Node,
    items: &[Node],
    def: &FieldDef,
    signal: SignalType,
    report: &mut Report<'_>,
) -> Option<LabelValues> {
    for item in items {
        reserved(item.as_text().unwrap_or_default(), item, report)?;
    }
    if def.kind == FieldKind::Bool && items.len() > 1 {
        report
            .error(Code::NotALabel, node.place, format!("`{}` is true or false", def.name))
            .help(format!("both of them are `{ALL}`"));
        return None;
    }
    match test(key, node, signal, report)? {
        Test::EnumIn(mask) => Some(LabelValues::Symbols(mask)),
        Test::BoolIs(truth) => Some(LabelValues::Truth(truth)),
        Test::IntOneOf(numbers) => Some(LabelValues::Numbers(numbers)),
        Test::IdentOneOf(idents) => Some(LabelValues::Idents(idents)),
        _ => None,
    }
}

/// Values that are called `other` and `none` would be taken for what is not declared, and for what is not there.
fn reserved(name: &str, node: &Node, report: &mut Report<'_>) -> Option<()> {
    let stands_for = match name {
        OTHER => "what is not declared",
        NONE => "a signal that lacks the field",
        _ => return Some(()),
    };
    report
        .error(Code::ReservedValue, node.place, format!("`{name}` stands for {stands_for}"))
        .label("it is there by itself")
        .help(if name == OTHER {
            format!("take it away; every symbol of a field, one that is called so among them, is `{ALL}`")
        } else {
            "take it away, or give the range another name".to_owned()
        });
    None
}

/// Named ranges of a number; what lies in none of them is `other`.
fn ranges(
    key: &Key,
    node: &Node,
    entries: &[(Key, Node)],
    def: &FieldDef,
    signal: SignalType,
    report: &mut Report<'_>,
) -> Option<LabelValues> {
    if !matches!(def.kind, FieldKind::Int { .. }) {
        let problem = format!("`{}` is {}; it has no ranges", def.name, filter::describe(&def.kind));
        report.error(Code::NotALabel, node.place, problem).help("list the values: `[one, two]`");
        return None;
    }
    if entries.is_empty() || entries.len() > WHERE_VALUES_MAX {
        let problem = format!("a label has from 1 to {WHERE_VALUES_MAX} ranges");
        report.error(Code::NotALabel, node.place, problem).help("such as `{2xx: {gte: 200, lt: 300}}`");
        return None;
    }
    let read: Vec<Option<NamedRange>> =
        entries.iter().map(|(name, node)| range(key, name, node, signal, report)).collect();
    let mut ranges = read.into_iter().collect::<Option<Vec<_>>>()?;
    ranges.sort_by_key(|range| range.min);
    if let Some(pair) = ranges.windows(2).find(|pair| pair[1].min <= pair[0].max) {
        let problem = format!("the ranges `{}` and `{}` overlap", pair[0].name, pair[1].name);
        let place =
            entries.iter().find(|(name, _)| name.name == pair[1].name).map_or(node.place, |(name, _)| name.place);
        report
            .error(Code::RangesOverlap, place, problem)
            .label(format!("{} lies in both", pair[1].min.max(pair[0].min)))
            .help("a value has one place: end the one where the other begins, with `lt`");
        return None;
    }
    Some(LabelValues::Ranges(ranges))
}

fn range(key: &Key, name: &Key, node: &Node, signal: SignalType, report: &mut Report<'_>) -> Option<NamedRange> {
    if !is_slug(&name.name) {
        report.error(Code::BadName, name.place, "the name of a range is 1 to 64 of a-z 0-9 _ -");
        return None;
    }
    let at = Node { place: name.place, yaml: Yaml::Scalar { text: name.name.clone(), plain: false } };
    reserved(&name.name, &at, report)?;
    let found = if matches!(node.yaml, Yaml::Map(_)) { test(key, node, signal, report)? } else { Test::Present };
    let Test::IntIn { min, max } = found else {
        report
            .error(Code::NotALabel, node.place, format!("`{}` is a range", name.name))
            .help("such as `{gte: 200, lt: 300}`");
        return None;
    };
    Some(NamedRange { name: name.name.clone(), min, max })
}

/// What a test of the field would test for: the values are checked as those of `where`.
fn test(key: &Key, node: &Node, signal: SignalType, report: &mut Report<'_>) -> Option<Test> {
    let Predicate { negated, test, .. } = filter::predicate(key, node, signal, report)?;
    if negated {
        report
            .error(Code::NotALabel, node.place, "a label has values, and no `not`")
            .help("what is left out is `other`");
        return None;
    }
    Some(test)
}

/// The canonical form.
pub(super) fn canonical(labels: &[MetricLabel], signal: SignalType) -> Json {
    let fields = &signal.def().fields;
    Json::map(labels.iter().map(|label| {
        let def = &fields[label.field];
        let values = match &label.values {
            LabelValues::All => Json::text(ALL),
            LabelValues::Symbols(mask) => {
                let chosen = def.kind.symbols().iter().enumerate().filter(|(place, _)| mask & 1 << place != 0);
                Json::list(chosen.map(|(_, symbol)| Json::text(symbol)))
            }
            LabelValues::Truth(truth) => Json::list([Json::Bool(*truth)]),
            LabelValues::Numbers(numbers) => Json::list(numbers.iter().map(|number| Json::Int(*number))),
            LabelValues::Ranges(ranges) => Json::map(ranges.iter().map(|range| (range.name.as_str(), ends(range)))),
            LabelValues::Idents(idents) => Json::list(idents.iter().map(Json::text)),
        };
        (def.name.as_str(), values)
    }))
}

/// The ends of a range that has them.
fn ends(range: &NamedRange) -> Json {
    let (low, high) = (("gte", range.min, i64::MIN), ("lte", range.max, i64::MAX));
    let there = [low, high].into_iter().filter(|(_, end, open)| end != open);
    Json::map(there.map(|(key, end, _)| (key, Json::Int(end))))
}
