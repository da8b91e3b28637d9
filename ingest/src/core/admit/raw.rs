//! A JSON value as it stands in the body.

use std::ops::Range;

/// A value. Text that had escapes stands in the walk's scratch, the items of a list in the walk's items.
#[derive(Clone, Debug)]
pub(super) enum Raw<'de> {
    Null,
    Bool(bool),
    Int(i64),
    Text(&'de str),
    Scratch(Range<u32>),
    List(Range<u32>),
    /// A number that is not an `i64`, an object, a list that is too long, is nested or was not to be kept.
    Other,
}

/// The text of a value, if it is one.
pub(super) fn text<'a>(scratch: &'a str, raw: &'a Raw<'_>) -> Option<&'a str> {
    match raw {
        Raw::Text(text) => Some(text),
        Raw::Scratch(range) => scratch.get(range.start as usize..range.end as usize),
        _ => None,
    }
}

/// Keeps a text that had escapes.
pub(super) fn scratch<'de>(to: &mut String, value: &str) -> Raw<'de> {
    let start = to.len() as u32;
    to.push_str(value);
    Raw::Scratch(start..to.len() as u32)
}
