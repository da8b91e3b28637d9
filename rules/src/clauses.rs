//! `where` as a whole: tests of fields that must all hold, and `any`, `all` and `not` over such maps.

use logystera_processor::core::{Clause, Filter, Part, PartTest, Predicate, Test};
use logystera_schemas::catalogue::{FieldKind, SignalType};
use logystera_schemas::ids::EpisodeId;
use logystera_schemas::limits::{WHERE_LEVELS_MAX, WHERE_TESTS_MAX, WHERE_VALUES_MAX};

use crate::canonical::Json;
use crate::code::Code;
use crate::filter;
use crate::read::{self, Keys};
use crate::report::Report;
use crate::vanity;
use crate::yaml::{Key, Node, Yaml};

/// What a filter is read with.
struct Reading<'r, 'a> {
    signal: SignalType,
    /// Tests so far.
    tests: usize,
    report: &'r mut Report<'a>,
}

/// Reads a filter, which stands under the key that `what` names. Its tests come in the order of their cost, then of their
/// fields.
pub(crate) fn read(node: &Node, what: &'static str, signal: SignalType, report: &mut Report<'_>) -> Option<Filter> {
    let mut reading = Reading { signal, tests: 0, report };
    let filter = reading.map(node, what, 1)?;
    let tests = reading.tests;
    if tests > WHERE_TESTS_MAX {
        report
            .error(Code::TooMany, node.place, format!("{what} has {tests} tests; it has at most {WHERE_TESTS_MAX}"))
            .help("make two rules, or list the values of a field in one test");
        return None;
    }
    if !report.is_published && !vanity::can_hold(&filter, signal) {
        let place = Keys::any(node, what, report)?.place;
        report.error(Code::NeverHolds, place, format!("no signal passes {what}")).label("never holds");
        return None;
    }
    Some(filter)
}

impl Reading<'_, '_> {
    /// A map, all of which must hold.
    fn map(&mut self, node: &Node, what: &'static str, level: usize) -> Option<Filter> {
        if level > WHERE_LEVELS_MAX {
            self.report
                .error(
                    Code::TooMany,
                    node.place,
                    format!("more than {WHERE_LEVELS_MAX} levels of `any`, `all` and `not`"),
                )
                .help("say it with fewer, or make two rules");
            return None;
        }
        let keys = Keys::any(node, what, self.report)?;
        if level > 1 && keys.entries().is_empty() {
            self.report
                .error(Code::EmptyTest, node.place, "an empty filter holds always")
                .help("name a field, or take it away");
            return None;
        }
        let read: Vec<Option<Clause>> =
            keys.entries().iter().map(|(key, node)| self.clause(key, node, level)).collect();
        let mut clauses = read.into_iter().collect::<Option<Vec<_>>>()?;
        clauses.sort_by_key(cost);
        Some(Filter(clauses))
    }

    fn clause(&mut self, key: &Key, node: &Node, level: usize) -> Option<Clause> {
        match key.name.as_str() {
            "any" => Some(Clause::Any(self.maps(key, node, level)?)),
            "all" => Some(Clause::All(self.maps(key, node, level)?)),
            "not" => {
                if let Yaml::Map(entries) = &node.yaml
                    && let [(again, _)] = entries.as_slice()
                    && again.name == "not"
                {
                    self.report.error(Code::TestsApart, again.place, "`not` of `not`").help("take both away");
                    return None;
                }
                Some(Clause::Not(self.map(node, "`not`", level + 1)?))
            }
            _ => {
                self.tests += 1;
                let predicate = filter::predicate(key, node, self.signal, self.report)?;
                let alone = Filter(vec![Clause::Test(predicate)]);
                if !self.report.is_published && !vanity::can_hold(&alone, self.signal) {
                    let problem = format!("no `{}` passes this test", key.name);
                    self.report.error(Code::NeverHolds, node.place, problem).label("never holds");
                    return None;
                }
                alone.0.into_iter().next()
            }
        }
    }

    /// The list of `any` or `all`, in the order of its canonical form: it says the same in any order.
    fn maps(&mut self, key: &Key, node: &Node, level: usize) -> Option<Vec<Filter>> {
        let items = read::list(node, &format!("`{}`", key.name), WHERE_VALUES_MAX, self.report)?;
        if items.is_empty() {
            let says = if key.name == "any" { "an empty `any` matches nothing" } else { "an empty `all` says nothing" };
            self.report
                .error(Code::EmptyTest, node.place, says)
                .help("list filters under it: `[{outcome: failure}, {status: 404}]`");
            return None;
        }
        let what = if key.name == "any" { "each of `any`" } else { "each of `all`" };
        let read: Vec<Option<Filter>> = items.iter().map(|item| self.map(item, what, level + 1)).collect();
        let mut filters = read.into_iter().collect::<Option<Vec<_>>>()?;
        let signal = self.signal;
        filters.sort_by_cached_key(|filter| canonical(filter, signal).to_string());
        filters.dedup();
        Some(filters)
    }
}

/// Rank by the time that a clause takes, then the field.
fn cost(clause: &Clause) -> (u8, usize) {
    match clause {
        Clause::Test(predicate) => (test_cost(&predicate.test), predicate.field),
        Clause::All(_) => (7, 0),
        Clause::Any(_) => (8, 0),
        Clause::Not(_) => (9, 0),
    }
}

/// Rank by the time that a test takes.
fn test_cost(test: &Test) -> u8 {
    match test {
        Test::EnumIn(_) | Test::ListHas(_) | Test::ListHasAll(_) | Test::BoolIs(_) | Test::Present => 0,
        Test::IntIn { .. } => 1,
        Test::IntOneOf(_) => 2,
        Test::HashOneOf(_) | Test::SameAs(_) => 3,
        Test::IdentOneOf(_) => 4,
        Test::IdentPart(test) if test.part != Part::Any && !test.nocase => 5,
        Test::IdentPart(_) => 6,
    }
}

/// The canonical form of a filter.
pub(crate) fn canonical(filter: &Filter, signal: SignalType) -> Json {
    let list = |filters: &[Filter]| Json::list(filters.iter().map(|filter| canonical(filter, signal)));
    Json::map(filter.0.iter().map(|clause| match clause {
        Clause::Test(predicate) => canonical_predicate(predicate, signal),
        Clause::Any(filters) => ("any", list(filters)),
        Clause::All(filters) => ("all", list(filters)),
        Clause::Not(filter) => ("not", canonical(filter, signal)),
    }))
}

/// The canonical form of a test, and the field that it stands under.
fn canonical_predicate(predicate: &Predicate, signal: SignalType) -> (&'static str, Json) {
    let fields = &signal.def().fields;
    let def = &fields[predicate.field];
    let test = match &predicate.test {
        Test::Present => Json::map([("present", Json::Bool(!predicate.negated))]),
        test => {
            let test = canonical_test(test, signal, &def.kind);
            if predicate.negated { Json::map([("not", test)]) } else { test }
        }
    };
    (def.name.as_str(), test)
}

fn canonical_test(test: &Test, signal: SignalType, kind: &FieldKind) -> Json {
    let texts = |texts: &[String]| Json::list(texts.iter().map(Json::text));
    match (test, kind) {
        (Test::EnumIn(mask) | Test::ListHas(mask), FieldKind::Enum(symbols) | FieldKind::EnumList(symbols)) => {
            chosen(*mask, symbols)
        }
        (Test::ListHasAll(mask), _) => Json::map([("all", chosen(*mask, kind.symbols()))]),
        (Test::Present, _) => Json::map([("present", Json::Bool(true))]),
        (Test::SameAs(other), _) => Json::map([("same_as", Json::text(&signal.def().fields[*other].name))]),
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
        (Test::IdentPart(PartTest { part, needles, nocase }), _) => {
            let key = match part {
                Part::Prefix => "prefix",
                Part::Suffix => "suffix",
                Part::Any => "contains",
            };
            let nocase = nocase.then_some(("nocase", Json::Bool(true)));
            Json::map([(key, texts(needles))].into_iter().chain(nocase))
        }
    }
}

/// The symbols of a mask, in the catalogue's order.
fn chosen(mask: u32, symbols: &[String]) -> Json {
    Json::list(symbols.iter().enumerate().filter(|(i, _)| mask & 1 << i != 0).map(|(_, s)| Json::text(s)))
}
