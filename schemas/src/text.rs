//! Texts that people read: which characters a name may have, and how a text is shown that may have others.
//!
//! A name stands in lists, alerts and logs beside other names. Characters that nobody sees, or that change how the text
//! around them is laid out (Unicode UAX #9, Trojan Source), let one name look like another, or a line like two.

use std::fmt::{self, Write};

use crate::limits::NAME_CHARS_MAX;

/// A number of things, in words that agree with it.
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// A character that a text for people may not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hidden {
    /// The character.
    pub character: char,
    /// Its place in the text, in characters from 1.
    pub place: usize,
}

impl fmt::Display for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = kind(self.character).unwrap_or("a character");
        write!(f, "U+{:04X}, {kind}, as character {}", u32::from(self.character), self.place)
    }
}

/// Why a text cannot be a name for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It is blank, or too long.
    #[error("has 1 to {NAME_CHARS_MAX} characters, and not only spaces")]
    Length,
    /// It has a character that cannot be seen, or that changes how others are shown.
    #[error("has only characters that can be seen; this one has {0}")]
    Hidden(Hidden),
}

/// Whether a text can be a name for people, or why not.
pub fn check_name(text: &str) -> Result<(), NameError> {
    if text.trim().is_empty() || text.chars().count() > NAME_CHARS_MAX {
        return Err(NameError::Length);
    }
    hidden_in(text).map_or(Ok(()), |hidden| Err(NameError::Hidden(hidden)))
}

/// The first character of a text that nobody sees or that changes how others are shown.
pub fn hidden_in(text: &str) -> Option<Hidden> {
    let found = text.chars().zip(1..).find(|(c, _)| kind(*c).is_some());
    found.map(|(character, place)| Hidden { character, place })
}

/// What is wrong with a character; none if it can be seen, or is a space.
const fn kind(c: char) -> Option<&'static str> {
    Some(match c {
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' => "a control character",
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            "which changes the direction of the text"
        }
        '\u{2028}' => "a line separator",
        '\u{2029}' => "a paragraph separator",
        '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{feff}' | '\u{180b}'..='\u{180f}' => {
            "which has no width"
        }
        // Soft hyphen, grapheme joiner, fillers, deprecated and annotation controls, shorthand and musical controls,
        // tags.
        '\u{ad}'
        | '\u{34f}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{206a}'..='\u{206f}'
        | '\u{2800}'
        | '\u{3164}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}' => "which cannot be seen",
        _ => return None,
    })
}

/// A text on one line, with each hidden character written as `\u{202e}`. Shows what is stored from before names were
/// checked, and what others wrote.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a>(pub &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(self.0, |_| false, f)
    }
}

/// As [`Shown`], of several lines: line feeds and tabs stay.
#[derive(Clone, Copy, Debug)]
pub struct ShownLines<'a>(pub &'a str);

impl fmt::Display for ShownLines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(self.0, |c| matches!(c, '\n' | '\t'), f)
    }
}

fn escape(text: &str, stays: fn(char) -> bool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut rest = text;
    while let Some((at, c)) = rest.char_indices().find(|(_, c)| kind(*c).is_some() && !stays(*c)) {
        f.write_str(&rest[..at])?;
        write!(f, "{}", c.escape_unicode())?;
        rest = &rest[at + c.len_utf8()..];
    }
    f.write_str(rest)
}

/// JSON with each hidden character as its `\uXXXX`, which means the same. A serializer leaves those beyond ASCII as
/// they are, and they stand in strings only.
pub fn escape_json(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() || kind(c).is_none() {
            escaped.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_only_characters_that_can_be_seen() {
        for (text, expected) in [
            ("My shop", None),
            ("Магазин № 1", None),
            ("Müller & Söhne GmbH", None),
            ("商店 🛒", None),
            ("café (staging)", None),
            ("", Some("has 1 to 128 characters, and not only spaces")),
            (" \u{a0} ", Some("has 1 to 128 characters, and not only spaces")),
            ("a\tb", Some("U+0009, a control character, as character 2")),
            ("a\u{1b}[31mb", Some("U+001B, a control character, as character 2")),
            ("a\u{85}b", Some("U+0085, a control character, as character 2")),
            ("shop\u{202e}pohs", Some("U+202E, which changes the direction of the text, as character 5")),
            ("a\u{2066}b\u{2069}", Some("U+2066, which changes the direction of the text, as character 2")),
            ("\u{200f}a", Some("U+200F, which changes the direction of the text, as character 1")),
            ("sh\u{200b}op", Some("U+200B, which has no width, as character 3")),
            ("sh\u{200d}op", Some("U+200D, which has no width, as character 3")),
            ("\u{feff}shop", Some("U+FEFF, which has no width, as character 1")),
            ("a\u{2028}b", Some("U+2028, a line separator, as character 2")),
            ("a\u{2029}b", Some("U+2029, a paragraph separator, as character 2")),
            ("a\u{ad}b", Some("U+00AD, which cannot be seen, as character 2")),
            ("\u{3164}", Some("U+3164, which cannot be seen, as character 1")),
            ("a\u{e0041}", Some("U+E0041, which cannot be seen, as character 2")),
        ] {
            match (check_name(text), expected) {
                (Ok(()), None) => {}
                (Err(error), Some(says)) => assert!(error.to_string().ends_with(says), "{text:?}: {error}"),
                (checked, _) => unreachable!("{text:?}: {checked:?}"),
            }
        }
        assert_eq!(check_name(&"ä".repeat(NAME_CHARS_MAX)), Ok(()));
        assert_eq!(check_name(&"ä".repeat(NAME_CHARS_MAX + 1)), Err(NameError::Length));
    }

    #[test]
    fn what_is_hidden_is_shown_as_its_number() {
        let text = "a\u{202e}b\u{2028}c\nd\te\u{1b}[2J";
        assert_eq!(Shown(text).to_string(), r"a\u{202e}b\u{2028}c\u{a}d\u{9}e\u{1b}[2J");
        assert_eq!(ShownLines(text).to_string(), "a\\u{202e}b\\u{2028}c\nd\te\\u{1b}[2J");
        assert_eq!(Shown("Магазин 🛒").to_string(), "Магазин 🛒");
    }

    #[test]
    fn escaped_json_means_the_same() {
        let value = serde_json::json!({"name": "a\u{202e}b\u{e0041}\u{9}ä"});
        let escaped = escape_json(&value.to_string());
        assert_eq!(escaped, "{\"name\":\"a\\u202eb\\udb40\\udc41\\tä\"}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), value);
    }
}
