//! What of a line is shown, and sentences in lines for a terminal.

use logystera_schemas::limits::{RULE_EXCERPT_CHARS_MAX, RULE_EXCERPT_LEAD_CHARS};
use logystera_schemas::text::hidden_in;

/// Columns of a terminal that sentences are wrapped for.
pub const WIDTH: usize = 80;

/// Text in lines of at most `width` characters, if its words let it. What stands in backticks is one word, so that it can
/// be copied.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let (mut used, mut quoted) = (0, false);
    for word in text.split_inclusive(|c| {
        quoted ^= c == '`';
        c == ' ' && !quoted
    }) {
        let chars = word.trim_end().chars().count();
        if used > 0 && used + chars > width {
            lines.push(String::new());
            used = 0;
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(word);
        }
        used += word.chars().count();
    }
    for line in &mut lines {
        line.truncate(line.trim_end().len());
    }
    lines
}

/// The piece of a source line that an error shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Excerpt {
    /// The piece.
    pub(crate) text: String,
    /// Characters before the carets.
    pub(crate) before: usize,
    /// Carets.
    pub(crate) width: usize,
}

impl Excerpt {
    /// Of a line, what is around `column` (from 1), with `width` carets if so many fit.
    pub(crate) fn of(line: &str, column: usize, width: usize) -> Self {
        let before = column - 1;
        let start = if line.chars().nth(RULE_EXCERPT_CHARS_MAX).is_some() {
            before.saturating_sub(RULE_EXCERPT_LEAD_CHARS)
        } else {
            0
        };
        let mut text: String = line.chars().skip(start).take(RULE_EXCERPT_CHARS_MAX).map(printable).collect();
        let room = text.chars().count().saturating_sub(before - start).max(1);
        let lead = if start > 0 { "…" } else { "" };
        if line.chars().nth(start + RULE_EXCERPT_CHARS_MAX).is_some() {
            text.push('…');
        }
        Self {
            text: format!("{lead}{text}"),
            before: before - start + lead.chars().count(),
            width: width.clamp(1, room),
        }
    }
}

/// A rule file must not write to the terminal by itself; a tab is one column wide, so that the caret stands right.
pub(crate) fn printable(c: char) -> char {
    match c {
        '\t' => ' ',
        c if hidden_in(c.encode_utf8(&mut [0; 4])).is_some() => '\u{fffd}',
        c => c,
    }
}
