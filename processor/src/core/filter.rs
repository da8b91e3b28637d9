//! The tests of a rule's `where`, which a signal must pass to be a match.

use logystera_schemas::batch::Value;

/// A test of one field. A field that the signal lacks fails every test, so that a negated test holds for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Predicate {
    /// Index of the field.
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

impl Predicate {
    /// Whether the predicate holds for a field's value.
    #[inline]
    pub fn holds(&self, value: &Value<'_>) -> bool {
        self.test.passes(value) != self.negated
    }
}

impl Test {
    /// Whether the test passes.
    #[inline]
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
