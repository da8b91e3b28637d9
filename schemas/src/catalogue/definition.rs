//! What a type of signal is, and what its fields may hold.

use serde::Deserialize;

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
    /// Version of the batch's schema that added it; 1 for one that its type always had. Signals of batches before lack
    /// it.
    pub since: u8,
    /// What its values stand for. None: they are compared with no other field's.
    pub domain: Option<Domain>,
    /// What it may hold.
    pub kind: FieldKind,
}

/// What the values of a field stand for: only fields of one domain may be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Domain {
    /// A user of the site.
    User,
    /// An address that something came from.
    Address,
    /// The network of an address.
    Network,
    /// A plugin, theme, module or the core.
    Component,
    /// A path.
    Path,
    /// A role.
    Role,
    /// A scheduled job.
    Job,
    /// A setting.
    Key,
    /// A file.
    File,
    /// An error's message.
    Message,
    /// A query of the database.
    Query,
}

impl Domain {
    /// What one of its values is, with its article.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::User => "a user",
            Self::Address => "an address",
            Self::Network => "a network",
            Self::Component => "a component",
            Self::Path => "a path",
            Self::Role => "a role",
            Self::Job => "a job",
            Self::Key => "a setting",
            Self::File => "a file",
            Self::Message => "a message",
            Self::Query => "a query",
        }
    }
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

impl FieldDef {
    pub(super) fn layout(&self) -> FieldLayout {
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
