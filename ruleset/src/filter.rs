//! A rule's `where`, which a signal must pass to be a match. Every test is two-valued: a field that the signal lacks
//! fails it, so that what is negated holds for it.

use logystera_schemas::batch::{FieldSet, Fields, Value};

/// What must hold, all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter(pub Vec<Clause>);

/// One thing that must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clause {
    /// A test of a field.
    Test(Predicate),
    /// At least one of these.
    Any(Vec<Filter>),
    /// Each of these.
    All(Vec<Filter>),
    /// Not this: its complement.
    Not(Filter),
}

/// A test of one field.
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
    /// The signal has it.
    Present,
    /// An enum's symbol is one of these, a bit each.
    EnumIn(u32),
    /// A list has at least one of these symbols, a bit each.
    ListHas(u32),
    /// A list has each of these symbols, a bit each.
    ListHasAll(u32),
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
    /// Another field has the same value; its index.
    SameAs(usize),
    /// An identifier is one of these; sorted.
    IdentOneOf(Vec<String>),
    /// An identifier has one of these texts in a place of it.
    IdentPart(PartTest),
}

/// A test of a part of an identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartTest {
    /// Which part.
    pub part: Part,
    /// The texts, sorted; in lower case if their case does not matter.
    pub needles: Vec<String>,
    /// Whether upper and lower case of ASCII letters are the same.
    pub nocase: bool,
}

/// A part of an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Its beginning.
    Prefix,
    /// Its end.
    Suffix,
    /// Any.
    Any,
}

impl Filter {
    /// The tests of fields that must all hold, without those that stand in `any`, `all` and `not`.
    pub fn tests(&self) -> impl Iterator<Item = &Predicate> + Clone {
        self.0.iter().filter_map(|clause| match clause {
            Clause::Test(predicate) => Some(predicate),
            Clause::Any(_) | Clause::All(_) | Clause::Not(_) => None,
        })
    }

    /// Whether a signal passes.
    #[inline]
    pub fn holds(&self, fields: &Fields<'_>) -> bool {
        self.0.iter().all(|clause| clause.holds(fields))
    }

    /// Adds the fields that it looks at.
    pub fn read(&self, fields: &mut FieldSet) {
        for clause in &self.0 {
            match clause {
                Clause::Test(predicate) => {
                    fields.insert(predicate.field);
                    if let Test::SameAs(other) = predicate.test {
                        fields.insert(other);
                    }
                }
                Clause::Any(filters) | Clause::All(filters) => filters.iter().for_each(|filter| filter.read(fields)),
                Clause::Not(filter) => filter.read(fields),
            }
        }
    }
}

impl Clause {
    #[inline]
    fn holds(&self, fields: &Fields<'_>) -> bool {
        match self {
            Self::Test(predicate) => predicate.holds(fields),
            Self::Any(filters) => filters.iter().any(|filter| filter.holds(fields)),
            Self::All(filters) => filters.iter().all(|filter| filter.holds(fields)),
            Self::Not(filter) => !filter.holds(fields),
        }
    }
}

impl Predicate {
    /// Whether the predicate holds for a signal.
    #[inline]
    pub fn holds(&self, fields: &Fields<'_>) -> bool {
        self.test.passes(&fields[self.field], fields) != self.negated
    }
}

impl Test {
    /// Whether the test passes for `value`, of a signal with these fields.
    #[inline]
    fn passes(&self, value: &Value<'_>, fields: &Fields<'_>) -> bool {
        match (self, value) {
            (Self::Present, value) => *value != Value::Absent,
            (Self::EnumIn(mask), Value::Enum(symbol)) => mask & 1 << symbol != 0,
            (Self::ListHas(mask), Value::List(bits)) => mask & bits != 0,
            (Self::ListHasAll(mask), Value::List(bits)) => mask & bits == *mask,
            (Self::BoolIs(wanted), Value::Bool(truth)) => wanted == truth,
            (Self::IntIn { min, max }, Value::Int(number)) => (min..=max).contains(&number),
            (Self::IntOneOf(numbers), Value::Int(number)) => numbers.binary_search(number).is_ok(),
            (Self::HashOneOf(hashes), Value::Hash(hash)) => hashes.binary_search(hash).is_ok(),
            (Self::SameAs(other), value) => *value != Value::Absent && *value == fields[*other],
            (Self::IdentOneOf(names), Value::Ident(text)) => names.binary_search_by(|n| n.as_str().cmp(text)).is_ok(),
            (Self::IdentPart(part), Value::Ident(text)) => part.passes(text),
            _ => false,
        }
    }
}

impl PartTest {
    #[inline]
    fn passes(&self, text: &str) -> bool {
        if self.nocase {
            let text = text.to_ascii_lowercase();
            self.needles.iter().any(|needle| self.part.is(&text, needle))
        } else {
            self.needles.iter().any(|needle| self.part.is(text, needle))
        }
    }
}

impl Part {
    #[inline]
    fn is(self, text: &str, needle: &str) -> bool {
        match self {
            Self::Prefix => text.starts_with(needle),
            Self::Suffix => text.ends_with(needle),
            Self::Any => text.contains(needle),
        }
    }
}
