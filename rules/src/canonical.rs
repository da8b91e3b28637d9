//! The canonical form: JSON with sorted keys, no spaces, every default filled in. Digests and revisions are computed
//! from it.
//!
//! A key that a later version adds must be left out if it has its default, so that the digests of rules that do not use
//! it stay the same.

use std::collections::BTreeMap;
use std::fmt;

/// A value of the canonical form. Its `Display` is the form itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Json {
    /// A whole number.
    Int(i64),
    /// True or false.
    Bool(bool),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Json>),
    /// A map.
    Map(BTreeMap<String, Json>),
}

impl Json {
    /// The value of a key of a map.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(entries) => entries.get(key),
            _ => None,
        }
    }

    /// A map with a key more, if there is one.
    pub(crate) fn with(self, entry: Option<(&str, Self)>) -> Self {
        match (self, entry) {
            (Self::Map(mut entries), Some((key, value))) => {
                entries.insert(key.to_owned(), value);
                Self::Map(entries)
            }
            (other, _) => other,
        }
    }

    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn list(items: impl IntoIterator<Item = Self>) -> Self {
        Self::List(items.into_iter().collect())
    }

    pub(crate) fn map<'k>(entries: impl IntoIterator<Item = (&'k str, Self)>) -> Self {
        Self::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => write!(f, "{number}"),
            Self::Bool(truth) => write!(f, "{truth}"),
            Self::Text(text) => quote(text, f),
            Self::List(items) => {
                f.write_str("[")?;
                let mut separator = "";
                for item in items {
                    write!(f, "{separator}{item}")?;
                    separator = ",";
                }
                f.write_str("]")
            }
            Self::Map(entries) => {
                f.write_str("{")?;
                let mut separator = "";
                for (key, value) in entries {
                    f.write_str(separator)?;
                    quote(key, f)?;
                    write!(f, ":{value}")?;
                    separator = ",";
                }
                f.write_str("}")
            }
        }
    }
}

/// Text with its quotes. There are no control characters in it: the reader refuses them.
fn quote(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
