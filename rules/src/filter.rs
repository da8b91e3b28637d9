//! `where`: tests of fields, checked against the catalogue.

use logystera_processor::core::{Predicate, Test};
use logystera_schemas::catalogue::{FieldDef, FieldKind, IdentClass, SignalType};
use logystera_schemas::ids::{EpisodeId, from_hex};
use logystera_schemas::limits::WHERE_VALUES_MAX;

use crate::canonical::Json;
use crate::code::Code;
use crate::foreign;
use crate::read::{self, Keys};
use crate::report::Report;
use crate::suggest;
use crate::yaml::{Key, Node, Yaml};

const RANGE_KEYS: [&str; 4] = ["gte", "gt", "lte", "lt"];
const TEST_KEYS: [&str; 6] = ["gte", "gt", "lte", "lt", "prefix", "not"];

/// Reads `where`. The predicates come in the order of their cost, then of their fields.
pub(crate) fn read(node: &Node, signal: SignalType, report: &mut Report<'_>) -> Option<Vec<Predicate>> {
    let keys = Keys::any(node, "`where`", report)?;
    let read: Vec<Option<Predicate>> =
        keys.entries().iter().map(|(key, node)| predicate(key, node, signal, report)).collect();
    let mut predicates = read.into_iter().collect::<Option<Vec<_>>>()?;
    predicates.sort_by_key(|p| (cost(&p.test), p.field));
    Some(predicates)
}

/// Rank by the time that a test takes.
fn cost(test: &Test) -> u8 {
    match test {
        Test::EnumIn(_) | Test::ListHas(_) | Test::BoolIs(_) => 0,
        Test::IntIn { .. } => 1,
        Test::IntOneOf(_) => 2,
        Test::HashOneOf(_) => 3,
        Test::IdentOneOf(_) => 4,
        Test::IdentPrefix(_) => 5,
    }
}

/// The field that a rule names, and its place.
pub(crate) fn field<'t>(
    name: &str,
    place: crate::report::Place,
    signal: SignalType,
    report: &mut Report<'_>,
) -> Option<(usize, &'t FieldDef)> {
    let found = signal.def().field(name);
    if found.is_none() {
        let names = signal.def().fields.iter().map(|f| f.name.as_str());
        let help = match name {
            "at" => "a signal's time is what windows are made of; it cannot be tested or grouped".to_owned(),
            _ => foreign::field(name).unwrap_or_else(|| suggest::help(name, names)),
        };
        report
            .error(Code::UnknownField, place, format!("{} has no field `{name}`", signal.name()))
            .label("unknown field")
            .help(help);
    }
    found
}

fn predicate(key: &Key, node: &Node, signal: SignalType, report: &mut Report<'_>) -> Option<Predicate> {
    let (place, def) = field(&key.name, key.place, signal, report)?;
    let (negated, node) = match &node.yaml {
        Yaml::Map(entries) if entries.iter().any(|(k, _)| k.name == "not") => {
            let [(_, inner)] = entries.as_slice() else {
                report
                    .error(Code::TestsApart, node.place, "`not` stands alone")
                    .help("put everything that is negated under it: `{not: {gte: 500}}`");
                return None;
            };
            if let Yaml::Map(inner_entries) = &inner.yaml
                && let Some((again, _)) = inner_entries.iter().find(|(k, _)| k.name == "not")
            {
                report.error(Code::TestsApart, again.place, "`not` of `not`").help("take both away");
                return None;
            }
            (true, inner)
        }
        _ => (false, node),
    };
    let test = match &node.yaml {
        Yaml::Map(_) => map_test(node, def, report)?,
        _ => values_test(node, def, report)?,
    };
    Some(Predicate { field: place, negated, test })
}

fn map_test(node: &Node, def: &FieldDef, report: &mut Report<'_>) -> Option<Test> {
    let keys = Keys::of(node, "a test", &TEST_KEYS, &[], report)?;
    if keys.entries().iter().any(|(key, _)| !TEST_KEYS.contains(&key.name.as_str())) {
        return None;
    }
    match keys.entries() {
        [] => {
            report.error(Code::EmptyTest, node.place, "a test is empty").help(suggest::list(&TEST_KEYS));
            None
        }
        [(key, values)] if key.name == "prefix" => prefix(key, values, def, report),
        entries => match entries.iter().find(|(key, _)| key.name == "prefix") {
            Some((key, _)) => {
                report
                    .error(Code::TestsApart, key.place, "a prefix and a range in one test")
                    .help("a number has a range, text a prefix: keep one");
                None
            }
            None => range(&keys, def, report),
        },
    }
}

fn prefix(key: &Key, node: &Node, def: &FieldDef, report: &mut Report<'_>) -> Option<Test> {
    let FieldKind::Ident { class, max } = def.kind else {
        report
            .error(Code::WrongTest, key.place, format!("`{}` is {}; it has no prefix", def.name, describe(&def.kind)))
            .help(match def.kind {
                FieldKind::Hash => "a hash says nothing of how its text began: list whole hashes",
                FieldKind::Int { .. } => "use a range: `{gte: 500, lt: 600}`",
                _ => "list the values: `[one, two]`",
            });
        return None;
    };
    let read: Vec<Option<String>> =
        items(node, def, report)?.iter().map(|item| ident(item, def, class, max, report)).collect();
    let mut prefixes = read.into_iter().collect::<Option<Vec<_>>>()?;
    prefixes.sort();
    prefixes.dedup();
    Some(Test::IdentPrefix(prefixes))
}

fn range(keys: &Keys<'_>, def: &FieldDef, report: &mut Report<'_>) -> Option<Test> {
    let FieldKind::Int { min, max } = def.kind else {
        let problem = format!("`{}` is {}; it has no range", def.name, describe(&def.kind));
        report.error(Code::WrongTest, keys.place, problem).help("list the values: `[one, two]`");
        return None;
    };
    for (one, other) in [("gte", "gt"), ("lte", "lt")] {
        if let (Some(_), Some((place, _))) = (keys.get(one), keys.entry(other)) {
            report
                .error(Code::TestsApart, place, format!("`{one}` and `{other}` in one range"))
                .help("keep one of them");
            return None;
        }
    }
    let what = format!("`{}`", def.name);
    let ends = RANGE_KEYS.map(|key| {
        // `gt` and `lt` may lie one outside the range of the field.
        let legal = match key {
            "gt" => min - 1..=max - 1,
            "lt" => min + 1..=max + 1,
            _ => min..=max,
        };
        keys.get(key).map(|node| read::int(node, &what, legal, report))
    });
    if ends.contains(&Some(None)) {
        return None;
    }
    let [gte, gt, lte, lt] = ends.map(Option::flatten);
    let (low, high) = (gte.or(gt.map(|n| n + 1)).unwrap_or(i64::MIN), lte.or(lt.map(|n| n - 1)).unwrap_or(i64::MAX));
    if low > high {
        report
            .error(Code::EmptyRange, keys.place, format!("no {what} is in this range"))
            .label(format!("a signal's is from {min} to {max}"));
        return None;
    }
    Some(Test::IntIn { min: low, max: high })
}

/// One value, or a list of which any will do.
fn values_test(node: &Node, def: &FieldDef, report: &mut Report<'_>) -> Option<Test> {
    let items = items(node, def, report)?;
    let what = format!("`{}`", def.name);
    match &def.kind {
        FieldKind::Enum(symbols) => Some(Test::EnumIn(mask(items, &what, symbols, report)?)),
        FieldKind::EnumList(symbols) => Some(Test::ListHas(mask(items, &what, symbols, report)?)),
        FieldKind::Bool => {
            let [item] = items else {
                report
                    .error(Code::WrongTest, node.place, format!("{what} is true or false"))
                    .help("a list of both would only say that the field is there");
                return None;
            };
            Some(Test::BoolIs(boolean(item, &what, report)?))
        }
        FieldKind::Int { min, max } => {
            let read: Vec<_> = items.iter().map(|item| read::int(item, &what, *min..=*max, report)).collect();
            Some(Test::IntOneOf(sorted(read)?))
        }
        FieldKind::Hash => {
            let read: Vec<_> = items.iter().map(|item| hash(item, &what, report)).collect();
            Some(Test::HashOneOf(sorted(read)?))
        }
        FieldKind::Ident { class, max } => {
            let read: Vec<_> = items.iter().map(|item| ident(item, def, *class, *max, report)).collect();
            Some(Test::IdentOneOf(sorted(read)?))
        }
    }
}

fn sorted<T: Ord>(read: Vec<Option<T>>) -> Option<Vec<T>> {
    let mut values = read.into_iter().collect::<Option<Vec<_>>>()?;
    values.sort();
    values.dedup();
    Some(values)
}

/// A list's items, or the one value itself.
fn items<'n>(node: &'n Node, def: &FieldDef, report: &mut Report<'_>) -> Option<&'n [Node]> {
    match &node.yaml {
        Yaml::List(items) if items.is_empty() => {
            report
                .error(Code::EmptyTest, node.place, "an empty list matches nothing")
                .help("name a value, or take the field out of `where`");
            None
        }
        Yaml::List(_) => read::list(node, &format!("a test of `{}`", def.name), WHERE_VALUES_MAX, report),
        _ => Some(std::slice::from_ref(node)),
    }
}

fn mask(items: &[Node], what: &str, symbols: &[String], report: &mut Report<'_>) -> Option<u32> {
    let known: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let read: Vec<_> = items.iter().map(|item| read::one_of(item, what, &known, report)).collect();
    read.into_iter().try_fold(0, |mask, place| Some(mask | 1 << place?))
}

/// Reads true or false.
pub(crate) fn boolean(node: &Node, what: &str, report: &mut Report<'_>) -> Option<bool> {
    match &node.yaml {
        Yaml::Scalar { text, plain: true } if text == "true" => Some(true),
        Yaml::Scalar { text, plain: true } if text == "false" => Some(false),
        _ => {
            report.error(Code::WrongKind, node.place, format!("{what} is true or false, not {}", node.describe()));
            None
        }
    }
}

/// Reads a hash.
pub(crate) fn hash(node: &Node, what: &str, report: &mut Report<'_>) -> Option<[u8; 16]> {
    let digits = read::text(node, what, report)?;
    let hash = from_hex(digits);
    if hash.is_none() {
        report.error(Code::NotAHash, node.place, format!("{what} is a keyed hash, 32 lowercase hex digits")).help(
            "look it up in the integration's own page on the site: only the site knows what its hashes stand for",
        );
    }
    hash
}

/// Reads an identifier, or the beginning of one.
pub(crate) fn ident(
    node: &Node,
    def: &FieldDef,
    class: IdentClass,
    max: usize,
    report: &mut Report<'_>,
) -> Option<String> {
    let what = format!("`{}`", def.name);
    let text = read::text(node, &what, report)?;
    if text.len() > max {
        report.error(
            Code::ImpossibleValue,
            node.place,
            format!("{what} has at most {max} characters, this has {}", text.chars().count()),
        );
        return None;
    }
    if !class.admits(text) {
        report
            .error(Code::ImpossibleValue, node.place, format!("no {what} is `{text}`"))
            .label("never matches")
            .help(format!("a `{}` is {}", def.name, class.describe()));
        return None;
    }
    Some(text.to_owned())
}

/// What a field holds, with its article.
pub(crate) fn describe(kind: &FieldKind) -> &'static str {
    match kind {
        FieldKind::Enum(_) => "a symbol",
        FieldKind::EnumList(_) => "a list of symbols",
        FieldKind::Int { .. } => "a number",
        FieldKind::Bool => "true or false",
        FieldKind::Hash => "a hash",
        FieldKind::Ident { .. } => "an identifier",
    }
}

/// The canonical form of `where`.
pub(crate) fn canonical(filter: &[Predicate], signal: SignalType) -> Json {
    let fields = &signal.def().fields;
    Json::map(filter.iter().map(|p| {
        let test = canonical_test(&p.test, &fields[p.field].kind);
        let test = if p.negated { Json::map([("not", test)]) } else { test };
        (fields[p.field].name.as_str(), test)
    }))
}

fn canonical_test(test: &Test, kind: &FieldKind) -> Json {
    let texts = |texts: &[String]| Json::list(texts.iter().map(Json::text));
    match (test, kind) {
        (Test::EnumIn(mask) | Test::ListHas(mask), FieldKind::Enum(symbols) | FieldKind::EnumList(symbols)) => {
            Json::list(symbols.iter().enumerate().filter(|(i, _)| mask & 1 << i != 0).map(|(_, s)| Json::text(s)))
        }
        (Test::EnumIn(_) | Test::ListHas(_), _) => Json::list([]),
        (Test::BoolIs(truth), _) => Json::Bool(*truth),
        (Test::IntOneOf(numbers), _) => Json::list(numbers.iter().map(|n| Json::Int(*n))),
        (Test::IntIn { min, max }, _) => {
            let ends = [("gte", *min, i64::MIN), ("lte", *max, i64::MAX)];
            Json::map(ends.into_iter().filter(|(_, end, open)| end != open).map(|(key, end, _)| (key, Json::Int(end))))
        }
        (Test::HashOneOf(hashes), _) => {
            // An episode's id is shown as a hash is: 32 lowercase hex digits.
            Json::list(hashes.iter().map(|hash| Json::text(EpisodeId(*hash).to_string())))
        }
        (Test::IdentOneOf(names), _) => texts(names),
        (Test::IdentPrefix(prefixes), _) => Json::map([("prefix", texts(prefixes))]),
    }
}
