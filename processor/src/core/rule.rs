//! A rule as the engine runs it. A `Rule` that exists is valid: `crate::rules` checks it where it is read.

use std::fmt;

use logystera_schemas::batch::{Fields, Value};
use logystera_schemas::catalogue::{SignalType, SignalTypes};
use logystera_schemas::detection::Severity;
use logystera_schemas::ids::{RuleName, Sha256Digest, write_hex};
use logystera_schemas::limits::{RULE_GROUPS_MAX, SITE_GROUPS_MAX, SITE_STATE_BYTES_MAX};

/// A checked set of rules and limits: what a `SiteConfigured` names.
#[derive(Debug)]
pub struct RuleSet {
    /// SHA-256 of `body`.
    pub digest: Sha256Digest,
    /// Canonical JSON, from which the same set is read again.
    pub body: String,
    /// The rules, sorted by name; names are unique.
    pub rules: Vec<Rule>,
    /// Bounds of a site's state.
    pub limits: StateLimits,
    /// Types that are switched off for the site: their signals are not judged, and none is missed.
    pub disabled: SignalTypes,
}

/// Bounds of a site's state (design, section 6). Part of the digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateLimits {
    /// Groups of one rule.
    pub rule_groups: usize,
    /// Groups of one site.
    pub site_groups: usize,
    /// Bytes of a site's groups.
    pub site_bytes: usize,
}

impl Default for StateLimits {
    fn default() -> Self {
        Self { rule_groups: RULE_GROUPS_MAX, site_groups: SITE_GROUPS_MAX, site_bytes: SITE_STATE_BYTES_MAX }
    }
}

/// One checked rule.
#[derive(Debug)]
pub struct Rule {
    /// Name, unique in the set.
    pub name: RuleName,
    /// 12 hex digits of SHA-256 of the rule's canonical form.
    pub revision: String,
    /// Digest of what the rule counts: signal, where, condition, window, grouping. Groups keep their state across an edit
    /// that leaves it the same.
    pub counts: Sha256Digest,
    /// Title.
    pub title: String,
    /// How bad.
    pub severity: Severity,
    /// Part of the site.
    pub subsystem: String,
    /// The type that it watches; none for `blind`, which watches the site itself.
    pub signal: Option<SignalType>,
    /// All must hold for a signal to match. Cheap tests come first.
    pub filter: Vec<Predicate>,
    /// Places of the fields that tell groups apart, in the rule's order.
    pub group_by: Vec<usize>,
    /// When the rule's condition is true.
    pub condition: Condition,
    /// How long the condition must hold, in milliseconds.
    pub for_ms: i64,
    /// How long after an emitted firing no other is emitted for the group, in milliseconds.
    pub suppress_ms: i64,
    /// How long the condition must be false before the alert resolves, in milliseconds.
    pub resolve_after_ms: i64,
    /// Places of the fields that evidence shows.
    pub evidence: Vec<usize>,
    /// The message, with its places for values.
    pub message: Template,
    /// Why it matters, in a sentence; for people, the engine does not read it.
    pub why: Option<String>,
    /// What to do about it; for people, the engine does not read it.
    pub advice: Option<String>,
}

/// When a rule's condition is true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// At least `threshold` matches in the window `(t - within_ms, t]`.
    Count {
        /// Matches that make it true; at least 1.
        threshold: u32,
        /// Length of the window.
        within_ms: i64,
        /// Length of a pane; `within_ms` is a multiple of it. None: the window is exact.
        resolution_ms: Option<i64>,
    },
    /// At least `at_least` different values of a field in the window. A match without the field does not count.
    Distinct {
        /// Place of the field.
        field: usize,
        /// Values that make it true; at least 2.
        at_least: u32,
        /// Length of the window.
        within_ms: i64,
    },
    /// No match for `for_ms`.
    Absent {
        /// How long.
        for_ms: i64,
        /// Whether it counts before the first match.
        expected: Expected,
    },
    /// The whole site silent for so long, in open time.
    Blind {
        /// How long, in milliseconds.
        after_ms: i64,
    },
}

/// Whether an absence counts before the first match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// From the first watermark after the configuration.
    Always,
    /// Only once a first match was seen.
    OnceSeen,
}

/// A test of one field. A field that the signal lacks fails every test, so that a negated test holds for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Predicate {
    /// Place of the field.
    pub field: usize,
    /// Whether the test must fail instead.
    pub negated: bool,
    /// The test.
    pub test: Test,
}

/// What a field is tested for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// An enum's symbol is one of these, a bit each.
    EnumIn(u32),
    /// A list has at least one of these symbols, a bit each.
    ListHas(u32),
    /// True or false.
    BoolIs(bool),
    /// A number is in this range, both ends included.
    IntIn {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
    },
    /// A number is one of these; sorted.
    IntOneOf(Vec<i64>),
    /// A hash is one of these; sorted.
    HashOneOf(Vec<[u8; 16]>),
    /// An identifier is one of these; sorted.
    IdentOneOf(Vec<String>),
    /// An identifier starts with one of these.
    IdentPrefix(Vec<String>),
}

impl Rule {
    /// Whether a signal of the rule's type passes the filter.
    pub fn matches(&self, fields: &Fields<'_>) -> bool {
        self.filter.iter().all(|p| p.holds(&fields[p.field]))
    }
}

impl Predicate {
    /// Whether the predicate holds for a field's value.
    pub fn holds(&self, value: &Value<'_>) -> bool {
        self.test.passes(value) != self.negated
    }
}

impl Test {
    /// Whether the test passes.
    pub fn passes(&self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Self::EnumIn(mask), Value::Enum(symbol)) => mask & 1 << symbol != 0,
            (Self::ListHas(mask), Value::List(bits)) => mask & bits != 0,
            (Self::BoolIs(wanted), Value::Bool(truth)) => wanted == truth,
            (Self::IntIn { min, max }, Value::Int(number)) => (min..=max).contains(&number),
            (Self::IntOneOf(numbers), Value::Int(number)) => numbers.binary_search(number).is_ok(),
            (Self::HashOneOf(hashes), Value::Hash(hash)) => hashes.binary_search(hash).is_ok(),
            (Self::IdentOneOf(names), Value::Ident(text)) => names.binary_search_by(|n| n.as_str().cmp(text)).is_ok(),
            (Self::IdentPrefix(prefixes), Value::Ident(text)) => prefixes.iter().any(|p| text.starts_with(p.as_str())),
            _ => false,
        }
    }
}

/// A message with places for values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template(pub Vec<Piece>);

/// A piece of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text as it is.
    Text(String),
    /// `{count}`: the matches of the episode.
    Count,
    /// `{site}`: the site's name.
    Site,
    /// `{within}`: the window, or the span of an absence, as people write it; filled in when the rule is read.
    Within(String),
    /// `{<field>}`: value of the `group_by` field at this place of the group.
    Group(usize),
}

impl Template {
    /// The message for these values; `group` as in `Detection::group`.
    pub fn fill(&self, count: u64, site: &str, group: &[logystera_schemas::detection::Label]) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(t) | Piece::Within(t) => text.push_str(t),
                Piece::Count => text.push_str(&count.to_string()),
                Piece::Site => text.push_str(site),
                Piece::Group(place) => text.push_str(group.get(*place).map_or("", |l| l.value.as_str())),
            }
        }
        text
    }
}

/// A field's value as evidence, messages and JSON show it.
pub fn show(signal_type: SignalType, field: usize, value: &Value<'_>, to: &mut impl fmt::Write) -> fmt::Result {
    use logystera_schemas::catalogue::FieldKind;
    let symbols = match &signal_type.def().fields[field].kind {
        FieldKind::Enum(symbols) | FieldKind::EnumList(symbols) => symbols.as_slice(),
        _ => &[],
    };
    match value {
        Value::Absent => Ok(()),
        Value::Enum(symbol) => to.write_str(symbols.get(usize::from(*symbol)).map_or("", String::as_str)),
        Value::List(bits) => {
            let mut separator = "";
            for (i, symbol) in symbols.iter().enumerate() {
                if bits & 1 << i != 0 {
                    write!(to, "{separator}{symbol}")?;
                    separator = ",";
                }
            }
            Ok(())
        }
        Value::Int(number) => write!(to, "{number}"),
        Value::Bool(truth) => write!(to, "{truth}"),
        Value::Hash(hash) => write_hex(*hash, to),
        Value::Ident(text) => to.write_str(text),
    }
}
