//! The tests that stand beside a rule, as they are run: signals, and what is expected when. They are read from the
//! canonical form, which was checked; from the file they have their places.

use logystera_processor::core::Rule;
use logystera_schemas::batch::Value;
use logystera_schemas::catalogue::{FieldKind, SignalType};
use logystera_schemas::detection::DetectionReason;
use logystera_schemas::ids::{RuleName, from_hex};

use crate::canonical::Json;
use crate::duration;
use crate::yaml::{Key, Node};

/// A rule and its tests.
#[derive(Clone, Debug)]
pub struct RuleTests {
    /// Name of the rule.
    pub rule: RuleName,
    /// Name of the file.
    pub file: String,
    /// The canonical form of a rule set of this rule alone.
    pub body: String,
    /// Its tests, in the order of the file.
    pub tests: Vec<RuleTest>,
}

/// One test.
#[derive(Clone, Debug)]
pub struct RuleTest {
    /// What it shows.
    pub name: String,
    /// The signals, line by line.
    pub signals: Vec<TestSignal>,
    /// What is expected.
    pub expect: Vec<Expectation>,
    /// All that is told, in order. None: the test does not say.
    pub notify: Option<Notify>,
}

/// All that is told until the last time that the test names.
#[derive(Clone, Debug)]
pub struct Notify {
    /// What is told, in order.
    pub told: Vec<ToldAt>,
    /// Line of the file, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// Something that is told.
#[derive(Clone, Debug)]
pub struct ToldAt {
    /// When, from the test's start.
    pub at_ms: i64,
    /// Why.
    pub reason: DetectionReason,
    /// How many matches it is about, if that is asked for.
    pub count: Option<u64>,
    /// The group that it is about. Empty: any.
    pub group: Vec<(usize, TestValue)>,
}

/// A line of a test's signals: the first at `at_ms` from the test's start, `times` in all, each `every_ms` after the
/// one before.
#[derive(Clone, Debug)]
pub struct TestSignal {
    /// When the first comes.
    pub at_ms: i64,
    /// Time between two of them.
    pub every_ms: i64,
    /// How many.
    pub times: i64,
    /// Fields that the line gives, each with its place in the type.
    pub fields: Vec<(usize, TestValue)>,
}

/// A field's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TestValue {
    /// A symbol of an enum.
    Symbol(u8),
    /// Symbols of a list, a bit each.
    Symbols(u32),
    /// A number.
    Int(i64),
    /// True or false.
    Bool(bool),
    /// A hash.
    Hash([u8; 16]),
    /// An identifier.
    Ident(String),
}

/// What is expected at a time.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// When, from the test's start.
    pub at_ms: i64,
    /// The state of the alert.
    pub state: TestState,
    /// Matches of its episode, if they are asked for.
    pub count: Option<u64>,
    /// The group that is meant. Empty: whichever stands worst.
    pub group: Vec<(usize, TestValue)>,
    /// Line of the file, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// A state that a test can expect, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TestState {
    /// Nothing is open.
    Inactive,
    /// The condition is true, for less than `for`.
    Pending,
    /// The alert is open.
    Firing,
}

impl TestState {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

impl TestValue {
    /// The value as a signal has it.
    pub fn as_value(&self) -> Value<'_> {
        match self {
            Self::Symbol(symbol) => Value::Enum(*symbol),
            Self::Symbols(bits) => Value::List(*bits),
            Self::Int(number) => Value::Int(*number),
            Self::Bool(truth) => Value::Bool(*truth),
            Self::Hash(hash) => Value::Hash(hash),
            Self::Ident(text) => Value::Ident(text),
        }
    }

    fn of(json: &Json, kind: &FieldKind) -> Option<Self> {
        let symbol = |json: &Json| match json {
            Json::Text(text) => kind.symbols().iter().position(|symbol| symbol == text),
            _ => None,
        };
        Some(match (kind, json) {
            (FieldKind::Enum(_), symbol_of) => Self::Symbol(u8::try_from(symbol(symbol_of)?).ok()?),
            (FieldKind::EnumList(_), Json::List(items)) => {
                Self::Symbols(items.iter().filter_map(symbol).fold(0, |bits, place| bits | 1 << place))
            }
            (FieldKind::Int { .. }, Json::Int(number)) => Self::Int(*number),
            (FieldKind::Bool, Json::Bool(truth)) => Self::Bool(*truth),
            (FieldKind::Hash, Json::Text(digits)) => Self::Hash(from_hex(digits)?),
            (FieldKind::Ident { .. }, Json::Text(text)) => Self::Ident(text.clone()),
            _ => return None,
        })
    }
}

/// The tests of a rule: `json` is its canonical form, `node` the rule as the file has it; `body` makes a set of it. None:
/// it has none.
pub(crate) fn tests_of(
    node: &Node,
    json: &Json,
    rule: &Rule,
    file: &str,
    body: impl Fn(Json) -> String,
) -> Option<RuleTests> {
    let Json::List(tests) = json.get("tests")? else { return None };
    let body = body(json.clone());
    let nodes = node.get("tests").map(Node::items).unwrap_or_default();
    let read = |(place, json): (usize, &Json)| {
        let node = nodes.get(place);
        let expect = node.and_then(|node| node.get("expect")).map(Node::items).unwrap_or_default();
        let notify = json.get("notify").zip(node.and_then(|node| node.entry("notify")));
        let notify = notify.and_then(|(json, (key, _))| told(json, key, rule.signal));
        Some(RuleTest { notify, ..test(json, expect, rule.signal)? })
    };
    let tests = tests.iter().enumerate().filter_map(read).collect();
    Some(RuleTests { rule: rule.name.clone(), file: file.to_owned(), body, tests })
}

fn test(json: &Json, places: &[Node], signal: Option<SignalType>) -> Option<RuleTest> {
    let (Json::Text(name), Json::List(signals), Json::List(expect)) =
        (json.get("name")?, json.get("signals")?, json.get("expect")?)
    else {
        return None;
    };
    let expect = expect.iter().enumerate().filter_map(|(n, json)| expectation(json, places.get(n)?, signal)).collect();
    Some(RuleTest {
        name: name.clone(),
        signals: signals.iter().filter_map(|json| test_signal(json, signal)).collect(),
        expect,
        notify: None,
    })
}

fn told(json: &Json, key: &Key, signal: Option<SignalType>) -> Option<Notify> {
    let Json::List(items) = json else { return None };
    let told = |json: &Json| {
        let Json::Text(reason) = json.get("reason")? else { return None };
        let reason = DetectionReason::from_symbol(reason)?;
        let group = json.get("group").map(|group| fields(group, signal)).unwrap_or_default();
        Some(ToldAt { at_ms: span(json, "at")?, reason, count: count(json), group })
    };
    let told = items.iter().map(told).collect::<Option<_>>()?;
    Some(Notify { told, line: key.place.line, column: key.place.column })
}

fn count(json: &Json) -> Option<u64> {
    match json.get("count") {
        Some(Json::Int(count)) => u64::try_from(*count).ok(),
        _ => None,
    }
}

fn test_signal(json: &Json, signal: Option<SignalType>) -> Option<TestSignal> {
    let times = match json.get("times") {
        Some(Json::Int(times)) => *times,
        _ => 1,
    };
    let fields = fields(json, signal);
    Some(TestSignal { at_ms: span(json, "at")?, every_ms: span(json, "every").unwrap_or(0), times, fields })
}

fn expectation(json: &Json, place: &Node, signal: Option<SignalType>) -> Option<Expectation> {
    let Json::Text(state) = json.get("state")? else { return None };
    let states = [TestState::Inactive, TestState::Pending, TestState::Firing];
    Some(Expectation {
        at_ms: span(json, "at")?,
        state: states.into_iter().find(|known| known.as_str() == state)?,
        count: count(json),
        group: json.get("group").map(|group| fields(group, signal)).unwrap_or_default(),
        line: place.place.line,
        column: place.place.column,
    })
}

fn span(json: &Json, key: &str) -> Option<i64> {
    match json.get(key)? {
        Json::Text(text) => duration::parse(text),
        _ => None,
    }
}

/// The fields of a signal, or of a group, that a map gives.
fn fields(json: &Json, signal: Option<SignalType>) -> Vec<(usize, TestValue)> {
    let (Json::Map(entries), Some(signal)) = (json, signal) else { return Vec::new() };
    let field = |(name, json): (&String, &Json)| {
        let (place, def) = signal.def().field(name)?;
        Some((place, TestValue::of(json, &def.kind)?))
    };
    entries.iter().filter_map(field).collect()
}
