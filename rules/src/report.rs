//! What is wrong in rule files, or doubtful, shown as rustc shows its own: where, the line, what it is, the way out.

use std::fmt;

use logystera_schemas::limits::{RULE_ERROR_CHARS_MAX, RULE_ERRORS_MAX};
use logystera_schemas::text::counted;

use crate::code::Code;
use crate::excerpt::{Excerpt, WIDTH, printable, wrapped};

/// Something wrong in a rule file, or doubtful. Its `Display` is several lines, as a terminal shows them.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Diagnostic {
    /// Which kind of fault it is.
    pub code: Code,
    /// Whether the rules cannot be used.
    pub level: Level,
    /// Name of the file, as the caller gave it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// How many characters from there on it is about; cut to what is shown of the line.
    pub width: usize,
    /// The line, or the piece of it around the place.
    pub text: String,
    /// What is wrong, in a sentence without a full stop.
    pub problem: String,
    /// What stands at the place; may be empty.
    pub label: String,
    /// The way out.
    pub help: Option<String>,
    /// Characters of `text` before the carets.
    #[serde(skip)]
    before: usize,
}

/// How bad a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The rules cannot be used.
    Error,
    /// The rules can be used, and may not do what is meant.
    Warning,
}

impl Level {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

impl Diagnostic {
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

/// How many errors and warnings, and where their codes are explained.
pub fn summary(diagnostics: &[Diagnostic]) -> String {
    let of = |level: Level| diagnostics.iter().filter(|d| d.level == level).count();
    let counts = [(of(Level::Error), "error", "errors"), (of(Level::Warning), "warning", "warnings")];
    let said: Vec<String> =
        counts.into_iter().filter(|(n, ..)| *n > 0).map(|(n, one, many)| counted(n as u64, one, many)).collect();
    match diagnostics.first() {
        Some(first) => format!("{}: `logystera rules explain {}` says more", said.join(" and "), first.code),
        None => "no errors".to_owned(),
    }
}

impl std::error::Error for Diagnostic {}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rendered(false))
    }
}

impl Diagnostic {
    /// The lines that a terminal shows; `in_colour` with escapes that read on light and on dark.
    pub fn rendered(&self, in_colour: bool) -> String {
        let styled = |style: &str, text: &str| {
            if in_colour && !text.is_empty() { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
        };
        let colour = match self.level {
            Level::Error => "1;31",
            Level::Warning => "1;35",
        };
        let line = self.line.to_string();
        let margin = " ".repeat(line.len());
        let bar = styled("2", "|");
        let head = styled(colour, &format!("{}[{}]", self.level.as_str(), self.code));
        let arrow = styled("2", "-->");
        let carets = format!("{} {}", "^".repeat(self.width), self.label);
        let mut text = format!(
            "{head}: {}\n{margin}{arrow} {}:{line}:{}\n{margin} {bar}\n{}\n{margin} {bar} {}{}",
            styled("1", &self.problem),
            self.file,
            self.column,
            format!("{} {bar} {}", styled("2", &line), self.text).trim_end(),
            " ".repeat(self.before),
            styled(colour, carets.trim_end()),
        );
        if let Some(help) = &self.help {
            let lead = format!("{margin} = help: ");
            let hanging = format!("\n{}", " ".repeat(lead.len()));
            let lines = wrapped(help, WIDTH - lead.len()).join(&hanging);
            text.extend(["\n", &margin, " = ", &styled("1", "help"), ": ", &lines]);
        }
        text
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
    errors: Vec<Diagnostic>,
    /// The newest of the errors beyond the limit.
    spill: Option<Diagnostic>,
    /// Number of the errors beyond the limit.
    spilled: usize,
    warnings: Vec<Diagnostic>,
    /// Number of the warnings beyond the limit.
    warnings_spilled: usize,
}

impl<'a> Report<'a> {
    pub(crate) fn new(file: &'a str, text: &'a str) -> Self {
        Self {
            file,
            is_published: false,
            lines: text.lines().collect(),
            errors: Vec::new(),
            spill: None,
            spilled: 0,
            warnings: Vec::new(),
            warnings_spilled: 0,
        }
    }

    /// Adds an error.
    pub(crate) fn error(&mut self, code: Code, place: Place, problem: impl Into<String>) -> &mut Diagnostic {
        let error = self.diagnostic(code, Level::Error, place, &problem.into());
        if self.errors.len() < RULE_ERRORS_MAX {
            let last = self.errors.len();
            self.errors.push(error);
            &mut self.errors[last]
        } else {
            self.spilled += 1;
            self.spill.insert(error)
        }
    }

    /// Adds a warning; those beyond the limit are only counted.
    pub(crate) fn warn(&mut self, code: Code, place: Place, problem: impl Into<String>, help: impl Into<String>) {
        if self.warnings.len() < RULE_ERRORS_MAX {
            let mut warning = self.diagnostic(code, Level::Warning, place, &problem.into());
            warning.help(help);
            self.warnings.push(warning);
        } else {
            self.warnings_spilled += 1;
        }
    }

    fn diagnostic(&self, code: Code, level: Level, place: Place, problem: &str) -> Diagnostic {
        Diagnostic {
            code,
            level,
            file: self.file.to_owned(),
            line: place.line,
            column: place.column,
            width: place.width,
            text: String::new(),
            problem: clean(problem),
            label: String::new(),
            help: None,
            before: 0,
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

    /// Errors and warnings in the order of the file, and for each, one that says how many there were besides.
    pub(crate) fn into_diagnostics(self) -> Vec<Diagnostic> {
        let (mut all, mut warnings) = (self.errors, self.warnings);
        if let (Some(last), 1..) = (warnings.last_mut(), self.warnings_spilled) {
            last.help =
                Some(format!("{} warnings more are not shown: look at the others first", self.warnings_spilled));
        }
        all.append(&mut warnings);
        all.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
        if let Some(mut last) = self.spill {
            last.help =
                Some(format!("this is the last of {} errors that are not shown: mend the others first", self.spilled));
            all.push(last);
        }
        // Only now: a line can have a megabyte, and as many errors as it has room for.
        for diagnostic in &mut all {
            let line = self.lines.get(diagnostic.line.wrapping_sub(1)).copied().unwrap_or_default();
            let Excerpt { text, before, width } = Excerpt::of(line, diagnostic.column, diagnostic.width);
            (diagnostic.text, diagnostic.before, diagnostic.width) = (text, before, width);
        }
        all
    }
}
