//! Errors in rule files, shown as rustc shows its own: where, the line, what is wrong, and the way out.

use std::fmt;

use logystera_schemas::limits::{
    RULE_ERROR_CHARS_MAX, RULE_ERRORS_MAX, RULE_EXCERPT_CHARS_MAX, RULE_EXCERPT_LEAD_CHARS,
};
use logystera_schemas::text::hidden_in;

/// Something wrong in a rule file. Its `Display` is several lines, as a terminal shows them.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RuleError {
    /// Name of the file, as the caller gave it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong, in a sentence without a full stop.
    pub problem: String,
    /// What stands at the place; may be empty.
    pub label: String,
    /// The way out.
    pub help: Option<String>,
    #[serde(skip)]
    excerpt: Box<Excerpt>,
}

impl RuleError {
    /// Says what stands at the place.
    pub(crate) fn label(&mut self, label: impl Into<String>) -> &mut Self {
        self.label = clean(&label.into());
        self
    }

    /// Says the way out.
    pub(crate) fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(clean(&help.into()));
        self
    }
}

impl std::error::Error for RuleError {}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line.to_string();
        let margin = " ".repeat(line.len());
        let Excerpt { text, before, width } = self.excerpt.as_ref();
        writeln!(f, "error: {}", self.problem)?;
        writeln!(f, "{margin}--> {}:{line}:{}", self.file, self.column)?;
        writeln!(f, "{margin} |")?;
        writeln!(f, "{}", format!("{line} | {text}").trim_end())?;
        let carets = format!("{}{} {}", " ".repeat(*before), "^".repeat(*width), self.label);
        write!(f, "{margin} | {}", carets.trim_end())?;
        match &self.help {
            Some(help) => write!(f, "\n{margin} = help: {help}"),
            None => Ok(()),
        }
    }
}

/// The piece of a source line that an error shows.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Excerpt {
    text: String,
    /// Characters before the carets.
    before: usize,
    /// Carets.
    width: usize,
}

impl Excerpt {
    fn of(line: &str, place: Place) -> Self {
        let before = place.column - 1;
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
            width: place.width.clamp(1, room),
        }
    }
}

/// A rule file must not write to the terminal by itself; a tab is one column wide, so that the caret stands right.
fn printable(c: char) -> char {
    match c {
        '\t' => ' ',
        c if hidden_in(c.encode_utf8(&mut [0; 4])).is_some() => '\u{fffd}',
        c => c,
    }
}

/// A sentence that may quote the file: no longer than a person reads, and without control characters.
fn clean(text: &str) -> String {
    let mut clean: String = text.chars().take(RULE_ERROR_CHARS_MAX).map(printable).collect();
    if text.chars().nth(RULE_ERROR_CHARS_MAX).is_some() {
        clean.push('…');
    }
    clean
}

/// A place in a rule file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Line, from 1.
    pub(crate) line: usize,
    /// Column in characters, from 1.
    pub(crate) column: usize,
    /// Characters that it takes; cut to the end of the line when it is shown.
    pub(crate) width: usize,
}

impl Place {
    /// The beginning of the file.
    pub(crate) const START: Self = Self { line: 1, column: 1, width: 1 };
}

/// The errors of one file as they are found.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    /// Name of the file.
    pub(crate) file: &'a str,
    /// Whether the text was published before: what it says must hold on, even if it would be refused today.
    pub(crate) is_published: bool,
    lines: Vec<&'a str>,
    errors: Vec<RuleError>,
    /// The newest of the errors beyond the limit.
    spill: Option<RuleError>,
    /// Number of the errors beyond the limit.
    spilled: usize,
}

impl<'a> Report<'a> {
    pub(crate) fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, is_published: false, lines: text.lines().collect(), errors: Vec::new(), spill: None, spilled: 0 }
    }

    /// Adds an error.
    pub(crate) fn error(&mut self, place: Place, problem: impl Into<String>) -> &mut RuleError {
        let line = self.lines.get(place.line.wrapping_sub(1)).copied().unwrap_or_default();
        let error = RuleError {
            file: self.file.to_owned(),
            line: place.line,
            column: place.column,
            problem: clean(&problem.into()),
            label: String::new(),
            help: None,
            excerpt: Box::new(Excerpt::of(line, place)),
        };
        if self.errors.len() < RULE_ERRORS_MAX {
            let last = self.errors.len();
            self.errors.push(error);
            &mut self.errors[last]
        } else {
            self.spilled += 1;
            self.spill.insert(error)
        }
    }

    /// The place of `part` in the line of `place`, at or after it; `place` itself if the line does not show it.
    pub(crate) fn part(&self, place: Place, part: &str) -> Place {
        let line = self.lines.get(place.line.wrapping_sub(1)).copied().unwrap_or_default();
        let start = line.char_indices().nth(place.column - 1).map_or(line.len(), |(at, _)| at);
        match line[start..].find(part) {
            Some(at) => Place {
                line: place.line,
                column: place.column + line[start..start + at].chars().count(),
                width: part.chars().count(),
            },
            None => place,
        }
    }

    /// Errors so far, those beyond the limit included.
    pub(crate) fn count(&self) -> usize {
        self.errors.len() + self.spilled
    }

    /// The errors in the order of the file, and one that says how many there were besides.
    pub(crate) fn into_errors(self) -> Vec<RuleError> {
        let mut errors = self.errors;
        errors.sort_by_key(|error| (error.line, error.column));
        if let Some(mut last) = self.spill {
            last.help =
                Some(format!("this is the last of {} errors that are not shown: mend the others first", self.spilled));
            errors.push(last);
        }
        errors
    }
}
