//! The tests of fields in `where`, checked against the catalogue.

use logystera_processor::core::{Part, PartTest, Predicate, Test};
use logystera_schemas::catalogue::{FieldDef, FieldKind, IdentClass, SignalType};
use logystera_schemas::ids::from_hex;
use logystera_schemas::limits::{WHERE_NEEDLE_CHARS_MIN, WHERE_VALUES_MAX};

use crate::code::Code;
use crate::foreign;
use crate::read::{self, Keys};
use crate::report::Report;
use crate::suggest;
use crate::yaml::{Key, Node, Yaml};

const RANGE_KEYS: [&str; 4] = ["gte", "gt", "lte", "lt"];
const TEST_KEYS: [&str; 12] =
    ["gte", "gt", "lte", "lt", "prefix", "suffix", "contains", "nocase", "all", "present", "same_as", "not"];
/// Keys of a test that stand with none of another kind.
const KINDS: [&str; 6] = ["prefix", "suffix", "contains", "all", "present", "same_as"];

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

/// Reads the test of the field that the key names.
pub(crate) fn predicate(key: &Key, node: &Node, signal: SignalType, report: &mut Report<'_>) -> Option<Predicate> {
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
        Yaml::Map(_) => map_test(node, def, signal, report)?,
        _ => Tested::of(values(node, def, report)?),
    };
    Some(Predicate { field: place, negated: negated != test.negated, test: test.test })
}

/// A test, and whether it must fail: `{present: false}`.
struct Tested {
    negated: bool,
    test: Test,
}

impl Tested {
    fn of(test: Test) -> Self {
        Self { negated: false, test }
    }
}

fn map_test(node: &Node, def: &FieldDef, signal: SignalType, report: &mut Report<'_>) -> Option<Tested> {
    let keys = Keys::of(node, "a test", &TEST_KEYS, &[], report)?;
    if keys.entries().iter().any(|(key, _)| !TEST_KEYS.contains(&key.name.as_str())) {
        return None;
    }
    let nocase = match keys.entry("nocase") {
        Some((_, node)) => read::boolean(node, "`nocase`", report)?,
        None => false,
    };
    let of_text = |name: &str| ["prefix", "suffix", "contains"].contains(&name);
    let others: Vec<&(Key, Node)> = keys.entries().iter().filter(|(key, _)| key.name != "nocase").collect();
    if let Some((place, _)) = keys.entry("nocase")
        && !others.iter().any(|(key, _)| of_text(&key.name))
    {
        report
            .error(Code::TestsApart, place, "`nocase` without text")
            .help("it goes with `prefix`, `suffix` or `contains`");
        return None;
    }
    match others.as_slice() {
        [] => {
            report.error(Code::EmptyTest, node.place, "a test is empty").help(suggest::list(&TEST_KEYS));
            None
        }
        [(key, value)] if of_text(&key.name) => part(key, value, nocase, def, report).map(Tested::of),
        [(key, value)] if key.name == "all" => {
            let FieldKind::EnumList(symbols) = &def.kind else {
                let problem = format!("`{}` is {}; only a list has all of several", def.name, describe(&def.kind));
                report
                    .error(Code::WrongTest, key.place, problem)
                    .help("list the values of which any will do: `[one, two]`");
                return None;
            };
            let items = items(value, def, report)?;
            Some(Tested::of(Test::ListHasAll(mask(items, &format!("`{}`", def.name), symbols, report)?)))
        }
        [(key, value)] if key.name == "present" => present(key, value, def, report),
        [(key, value)] if key.name == "same_as" => same_as(value, def, signal, report).map(Tested::of),
        entries => match entries.iter().find(|(key, _)| KINDS.contains(&key.name.as_str())) {
            Some((key, _)) => {
                let is_range = entries.iter().any(|(key, _)| RANGE_KEYS.contains(&key.name.as_str()));
                let (problem, help) = if key.name == "prefix" && is_range {
                    ("a prefix and a range in one test".to_owned(), "a number has a range, text a prefix: keep one")
                } else {
                    (format!("`{}` and more in one test", key.name), "put each into a map of its own under `all`")
                };
                report.error(Code::TestsApart, key.place, problem).help(help);
                None
            }
            None => range(&keys, def, report).map(Tested::of),
        },
    }
}

/// `{present: true}` or `{present: false}`.
fn present(key: &Key, node: &Node, def: &FieldDef, report: &mut Report<'_>) -> Option<Tested> {
    let wanted = read::boolean(node, "`present`", report)?;
    if !def.optional && def.since == 1 {
        let says = if wanted { "always holds" } else { "never holds" };
        report
            .error(Code::WrongTest, key.place, format!("every signal has a `{}`", def.name))
            .label(says)
            .help("take the test away");
        return None;
    }
    Some(Tested { negated: !wanted, test: Test::Present })
}

/// `{same_as: other}`: only fields of one domain are compared.
fn same_as(node: &Node, def: &FieldDef, signal: SignalType, report: &mut Report<'_>) -> Option<Test> {
    let (place, other) = field(read::text(node, "`same_as`", report)?, node.place, signal, report)?;
    let problem = if other.name == def.name {
        format!("`{}` is always the same as itself", def.name)
    } else {
        match (def.domain, other.domain) {
            (Some(one), Some(two)) if one == two => return Some(Test::SameAs(place)),
            (Some(one), Some(two)) => {
                format!("`{}` is {}, `{}` is {}", def.name, one.describe(), other.name, two.describe())
            }
            (None, _) => format!("`{}` is compared with no other field", def.name),
            (_, None) => format!("`{}` is compared with no other field", other.name),
        }
    };
    let partners: Vec<&str> = signal
        .def()
        .fields
        .iter()
        .filter(|f| f.name != def.name && f.domain.is_some() && f.domain == def.domain)
        .map(|f| f.name.as_str())
        .collect();
    let error = report.error(Code::WrongTest, node.place, problem);
    if !partners.is_empty() {
        error.help(suggest::list(&partners));
    }
    None
}

/// `prefix`, `suffix` or `contains`.
fn part(key: &Key, node: &Node, nocase: bool, def: &FieldDef, report: &mut Report<'_>) -> Option<Test> {
    let FieldKind::Ident { class, max } = def.kind else {
        report
            .error(
                Code::WrongTest,
                key.place,
                format!(
                    "`{}` is {}; it has no {}",
                    def.name,
                    describe(&def.kind),
                    if key.name == "contains" { "parts" } else { &key.name }
                ),
            )
            .help(match def.kind {
                FieldKind::Hash => "a hash says nothing of how its text began: list whole hashes",
                FieldKind::Int { .. } => "use a range: `{gte: 500, lt: 600}`",
                _ => "list the values: `[one, two]`",
            });
        return None;
    };
    let part = match key.name.as_str() {
        "prefix" => Part::Prefix,
        "suffix" => Part::Suffix,
        _ => Part::Any,
    };
    let read: Vec<Option<String>> = items(node, def, report)?
        .iter()
        .map(|item| {
            if part == Part::Prefix {
                ident(item, def, class, max, report)
            } else {
                needle(item, def, class, max, report)
            }
        })
        .collect();
    let mut needles = read.into_iter().collect::<Option<Vec<_>>>()?;
    if nocase {
        for needle in &mut needles {
            needle.make_ascii_lowercase();
        }
    }
    needles.sort();
    needles.dedup();
    Some(Test::IdentPart(PartTest { part, needles, nocase }))
}

/// Reads the end of an identifier, or a piece of it.
fn needle(node: &Node, def: &FieldDef, class: IdentClass, max: usize, report: &mut Report<'_>) -> Option<String> {
    let what = format!("`{}`", def.name);
    let text = read::text(node, &what, report)?;
    let chars = text.chars().count();
    if chars < WHERE_NEEDLE_CHARS_MIN {
        report.error(
            Code::ImpossibleValue,
            node.place,
            format!("a piece of a {what} has at least {WHERE_NEEDLE_CHARS_MIN} characters"),
        );
        return None;
    }
    // A piece of a path need not begin with a slash.
    if text.len() > max || !(class.admits(text) || class == IdentClass::Path && class.admits(&format!("/{text}"))) {
        report
            .error(Code::ImpossibleValue, node.place, format!("no {what} has `{text}` in it"))
            .label("never matches")
            .help(format!("a `{}` is {}, and at most {max} long", def.name, class.describe()));
        return None;
    }
    Some(text.to_owned())
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
pub(crate) fn values(node: &Node, def: &FieldDef, report: &mut Report<'_>) -> Option<Test> {
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
            Some(Test::BoolIs(read::boolean(item, &what, report)?))
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
