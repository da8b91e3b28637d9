//! The catalogue: which signal types there are and which fields each may carry. Read from `avsc/signals/`, it drives the
//! gateway's allowlist, the rule checker, the batch codec and the documentation.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::limits::SIGNAL_FIELDS_MAX;
use crate::schema::SIGNAL_SOURCES;

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

    /// The type with this name, where senders may send it.
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

/// What the catalogue says of a signal type.
#[derive(Debug)]
pub struct TypeDef {
    /// Its name, such as `auth.attempt`.
    pub name: String,
    /// What it means.
    pub doc: String,
    /// Whether senders may send it; if not, only the engine makes it.
    pub is_sent: bool,
    /// Its fields besides `at`, in the order of the encoding.
    pub fields: Vec<FieldDef>,
}

impl TypeDef {
    /// The field with this name and its place.
    pub fn field(&self, name: &str) -> Option<(usize, &FieldDef)> {
        self.fields.iter().enumerate().find(|(_, f)| f.name == name)
    }
}

/// What the catalogue says of a field.
#[derive(Debug)]
pub struct FieldDef {
    /// Its name.
    pub name: String,
    /// What it means.
    pub doc: String,
    /// Whether a signal may lack it.
    pub optional: bool,
    /// Version of the batch's schema that added it; 1 for one that its type always had. Signals of batches before lack it.
    pub since: u8,
    /// What it may hold.
    pub kind: FieldKind,
}

/// What a field may hold.
#[derive(Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// One of these symbols.
    Enum(Vec<String>),
    /// Any of these symbols, each at most once.
    EnumList(Vec<String>),
    /// A whole number in this range.
    Int {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
    },
    /// True or false.
    Bool,
    /// A keyed hash: 16 bytes, 32 hex digits in JSON.
    Hash,
    /// An identifier.
    Ident {
        /// The characters that it may have.
        class: IdentClass,
        /// Most characters.
        max: usize,
    },
}

/// The characters of an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentClass {
    /// Letters, digits and `_ . : / \ -`: names of hooks and settings.
    Name,
    /// Letters, digits and `_ . -`: slugs, roles, error codes.
    Slug,
    /// Letters, digits and `. _ + ~ -`: versions.
    Version,
    /// A path: a slash, then visible ASCII without `? # @`.
    Path,
    /// Visible ASCII and spaces.
    Printable,
    /// Lowercase letters, digits and `_ : -`: names that code registered for what is asked of it.
    Action,
}

impl IdentClass {
    /// Whether `text` is a non-empty identifier of this class.
    #[inline]
    pub fn admits(self, text: &str) -> bool {
        let starts = if self == Self::Path { text.starts_with('/') } else { !text.is_empty() };
        starts && text.bytes().all(|b| CLASSES[usize::from(b)] & self.bit() != 0)
    }

    /// Its bit in [`CLASSES`].
    const fn bit(self) -> u8 {
        1 << self as u8
    }

    /// Whether the byte may stand in an identifier of this class.
    const fn has(self, byte: u8) -> bool {
        let word = byte.is_ascii_alphanumeric();
        match self {
            Self::Name => word || matches!(byte, b'_' | b'.' | b':' | b'/' | b'\\' | b'-'),
            Self::Slug => word || matches!(byte, b'_' | b'.' | b'-'),
            Self::Version => word || matches!(byte, b'.' | b'_' | b'+' | b'~' | b'-'),
            Self::Path => byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'@'),
            Self::Printable => byte.is_ascii_graphic() || byte == b' ',
            Self::Action => byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b':' | b'-'),
        }
    }

    /// What it looks like, for an error.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Name => "letters, digits and _ . : / \\ -",
            Self::Slug => "letters, digits and _ . -",
            Self::Version => "letters, digits and . _ + ~ -",
            Self::Path => "a path that starts with / and has no query, fragment, @ or space",
            Self::Printable => "visible ASCII characters and spaces",
            Self::Action => "lowercase letters, digits and _ : -",
        }
    }
}

/// For each byte, a bit for each class that has it: a check is one look for each byte.
static CLASSES: [u8; 256] = {
    use IdentClass::{Action, Name, Path, Printable, Slug, Version};
    let classes = [Name, Slug, Version, Path, Printable, Action];
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        let mut class = 0;
        while class < classes.len() {
            if classes[class].has(byte as u8) {
                table[byte] |= classes[class].bit();
            }
            class += 1;
        }
        byte += 1;
    }
    table
};

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

/// What a signal's JSON has for a field whose value was kept as text, such as evidence and groups. The text of an absent
/// value is empty. What is not what the catalogue has under this name stays text.
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

/// What the batch codec needs of a field, without the pointers of [`FieldDef`]: decoding is the engine's hot path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FieldLayout {
    pub(crate) shape: Shape,
    pub(crate) optional: bool,
    /// Symbols of an enum or a list.
    pub(crate) symbols: u8,
    /// See [`FieldDef::since`].
    pub(crate) since: u8,
}

/// A [`FieldKind`] without its bounds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    Enum,
    EnumList,
    Int,
    Bool,
    Hash,
    Ident,
}

/// The fields of each type, in the order of the encoding.
pub(crate) type Layouts = [Vec<FieldLayout>; SIGNAL_TYPES];

/// Taken once a batch, because each look at it costs a check that it is initialised.
pub(crate) static LAYOUTS: LazyLock<Layouts> =
    LazyLock::new(|| std::array::from_fn(|i| CATALOGUE.types[i].fields.iter().map(FieldDef::layout).collect()));

impl FieldDef {
    fn layout(&self) -> FieldLayout {
        let symbols = self.kind.symbols().len() as u8;
        FieldLayout { shape: self.kind.shape(), optional: self.optional, symbols, since: self.since }
    }
}

impl FieldKind {
    /// The symbols of an enum or a list, in order; none of another kind.
    pub fn symbols(&self) -> &[String] {
        match self {
            Self::Enum(symbols) | Self::EnumList(symbols) => symbols,
            _ => &[],
        }
    }

    pub(crate) fn shape(&self) -> Shape {
        match self {
            Self::Enum(_) => Shape::Enum,
            Self::EnumList(_) => Shape::EnumList,
            Self::Int { .. } => Shape::Int,
            Self::Bool => Shape::Bool,
            Self::Hash => Shape::Hash,
            Self::Ident { .. } => Shape::Ident,
        }
    }
}

#[derive(Deserialize)]
struct RecordSchema {
    signal: String,
    made_by: Option<Maker>,
    doc: String,
    fields: Vec<FieldSchema>,
}

/// Who alone makes signals of a type.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Maker {
    Engine,
}

#[derive(Deserialize)]
struct FieldSchema {
    name: String,
    doc: String,
    r#type: serde_json::Value,
    #[serde(default = "first_version")]
    since: u8,
}

fn first_version() -> u8 {
    1
}

#[derive(Deserialize)]
struct TypeSchema {
    r#type: String,
    #[serde(default)]
    symbols: Vec<String>,
    items: Option<Box<TypeSchema>>,
    minimum: Option<i64>,
    maximum: Option<i64>,
    class: Option<IdentClass>,
    max_length: Option<usize>,
}

fn type_def(source: &str) -> Result<TypeDef, serde_json::Error> {
    let schema: RecordSchema = serde_json::from_str(source)?;
    let fields = schema.fields.into_iter().filter(|f| f.name != "at").map(field_def).collect::<Result<_, _>>()?;
    let is_sent = !matches!(schema.made_by, Some(Maker::Engine));
    Ok(TypeDef { name: schema.signal, doc: schema.doc, is_sent, fields })
}

fn field_def(field: FieldSchema) -> Result<FieldDef, serde_json::Error> {
    let (optional, schema) = match field.r#type {
        serde_json::Value::Array(mut branches) if branches.len() == 2 => (true, branches.remove(1)),
        other => (false, other),
    };
    let kind = match schema.as_str() {
        Some("boolean") => FieldKind::Bool,
        Some(_) => FieldKind::Hash,
        None => field_kind(serde_json::from_value(schema)?)?,
    };
    Ok(FieldDef { name: field.name, doc: field.doc, optional, since: field.since, kind })
}

fn field_kind(schema: TypeSchema) -> Result<FieldKind, serde_json::Error> {
    let missing = |what| serde::de::Error::custom(format!("a {} needs {what}", schema.r#type));
    Ok(match schema.r#type.as_str() {
        "enum" => FieldKind::Enum(schema.symbols),
        "array" => FieldKind::EnumList(schema.items.ok_or_else(|| missing("items"))?.symbols),
        "long" => FieldKind::Int {
            min: schema.minimum.ok_or_else(|| missing("minimum"))?,
            max: schema.maximum.ok_or_else(|| missing("maximum"))?,
        },
        _ => FieldKind::Ident {
            class: schema.class.ok_or_else(|| missing("class"))?,
            max: schema.max_length.ok_or_else(|| missing("max_length"))?,
        },
    })
}
