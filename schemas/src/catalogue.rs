//! The catalogue: which signal types there are and which fields each may carry. Read from `avsc/signals/`, it drives
//! the gateway's allowlist, the rule checker, the batch codec and the documentation.

mod definition;
mod source;

use std::sync::LazyLock;

use crate::limits::SIGNAL_FIELDS_MAX;
use crate::schema::SIGNAL_SOURCES;

pub use definition::{Domain, FieldDef, FieldKind, IdentClass, TypeDef};
pub(crate) use definition::{FieldLayout, Shape};
use source::type_def;

/// Number of signal types.
pub const SIGNAL_TYPES: usize = SIGNAL_SOURCES.len();
/// Most fields that a type has besides `at`.
pub const TYPE_FIELDS_MAX: usize = 12;

const _: () = assert!(TYPE_FIELDS_MAX + 2 <= SIGNAL_FIELDS_MAX, "a signal's JSON carries `type` and `at` besides");

/// A signal type: its place in the catalogue, which is its branch in the batch's union.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignalType(u8);

impl SignalType {
    /// The type at `index` of the catalogue.
    pub fn from_index(index: usize) -> Option<Self> {
        (index < SIGNAL_TYPES).then_some(Self(index as u8))
    }

    /// The type with this name, such as `auth.attempt`.
    pub fn from_name(name: &str) -> Option<Self> {
        CATALOGUE.types.iter().position(|t| t.name == name).and_then(Self::from_index)
    }

    /// The type with this name, if senders may send it.
    pub fn from_sent_name(name: &str) -> Option<Self> {
        Self::from_name(name).filter(|signal| signal.is_sent())
    }

    /// Whether senders may send it; if not, only the engine makes it.
    pub fn is_sent(self) -> bool {
        self.def().is_sent
    }

    /// Every type, in the catalogue's order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..SIGNAL_TYPES).filter_map(Self::from_index)
    }

    /// Place in the catalogue.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// Its name, such as `auth.attempt`.
    pub fn name(self) -> &'static str {
        &self.def().name
    }

    /// What the catalogue says of it.
    pub fn def(self) -> &'static TypeDef {
        &CATALOGUE.types[self.index()]
    }
}

/// A set of signal types, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignalTypes(pub u16);

impl SignalTypes {
    /// Every type.
    pub const ALL: Self = Self((1 << SIGNAL_TYPES) - 1);
    /// The types that only the engine makes: those whose schemas say `made_by`.
    pub const MADE_BY_ENGINE: Self = Self(1 << 11 | 1 << 13);

    /// Whether the set holds the type.
    pub fn contains(self, signal: SignalType) -> bool {
        self.0 & 1 << signal.index() != 0
    }

    /// Adds the type.
    pub fn insert(&mut self, signal: SignalType) {
        self.0 |= 1 << signal.index();
    }

    /// The types in the set, in the catalogue's order.
    pub fn iter(self) -> impl Iterator<Item = SignalType> {
        SignalType::all().filter(move |t| self.contains(*t))
    }
}

impl crate::avro::Datum for SignalTypes {
    fn write(&self, to: &mut crate::avro::Writer) {
        if self.0 != 0 {
            to.long(i64::from(self.0.count_ones()));
            self.iter().for_each(|t| to.long(t.index() as i64));
        }
        to.long(0);
    }

    fn read(from: &mut crate::avro::Reader<'_>) -> Result<Self, crate::avro::DecodeError> {
        let mut types = Self::default();
        loop {
            match from.block()? {
                0 => return Ok(types),
                n => {
                    for _ in 0..n {
                        types.0 |= 1 << from.index(SIGNAL_TYPES)?;
                    }
                }
            }
        }
    }
}

/// All signal types.
#[derive(Debug)]
pub struct Catalogue {
    /// In the order of the batch's union.
    pub types: Vec<TypeDef>,
}

/// The catalogue that is compiled in.
#[expect(clippy::expect_used, reason = "the schemas are compiled in, and a test reads each of them")]
pub static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue {
    types: SIGNAL_SOURCES.iter().map(|source| type_def(source).expect("a compiled-in schema is readable")).collect(),
});

/// What a signal's JSON has for a field whose value was kept as text, such as evidence and groups. The text of an
/// absent value is empty. What is not what the catalogue has under this name stays text.
pub fn json_of(field: &str, text: &str) -> serde_json::Value {
    use serde_json::Value;
    let as_text = || Value::from(text);
    let Some(known) = field_named(field) else { return as_text() };
    match &known.kind {
        FieldKind::EnumList(_) if text.is_empty() && !known.optional => Value::Array(Vec::new()),
        _ if text.is_empty() => Value::Null,
        FieldKind::Int { .. } => text.parse::<i64>().map_or_else(|_| as_text(), Value::from),
        FieldKind::Bool => text.parse::<bool>().map_or_else(|_| as_text(), Value::from),
        FieldKind::EnumList(_) => {
            let parts: Vec<&str> = text.split(',').collect();
            // Lists of two types may have one name.
            let known = |part: &&str| fields_named(field).any(|f| f.kind.symbols().iter().any(|symbol| symbol == part));
            if parts.iter().all(known) { Value::from(parts) } else { as_text() }
        }
        FieldKind::Enum(_) | FieldKind::Hash | FieldKind::Ident { .. } => as_text(),
    }
}

/// The field with this name in whichever type has it; none if its value is another kind of JSON in another type.
fn field_named(name: &str) -> Option<&'static FieldDef> {
    let of_json = |field: &FieldDef| match field.kind {
        FieldKind::Int { .. } => 0,
        FieldKind::Bool => 1,
        FieldKind::EnumList(_) => 2,
        FieldKind::Enum(_) | FieldKind::Hash | FieldKind::Ident { .. } => 3,
    };
    let first = fields_named(name).next()?;
    fields_named(name).all(|other| of_json(other) == of_json(first)).then_some(first)
}

fn fields_named(name: &str) -> impl Iterator<Item = &'static FieldDef> {
    CATALOGUE.types.iter().filter_map(move |def| def.field(name)).map(|(_, field)| field)
}

/// The fields of each type, in the order of the encoding.
pub(crate) type Layouts = [Vec<FieldLayout>; SIGNAL_TYPES];

/// Taken once a batch, because each look at it costs a check that it is initialised.
pub(crate) static LAYOUTS: LazyLock<Layouts> =
    LazyLock::new(|| std::array::from_fn(|i| CATALOGUE.types[i].fields.iter().map(FieldDef::layout).collect()));
