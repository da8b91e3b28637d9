//! Reads maps, lists and scalars as what a rule says they are. A reader that gives `None` has reported an error.

use std::ops::RangeInclusive;

use logystera_schemas::text::hidden_in;

use crate::code::Code;
use crate::duration;
use crate::foreign;
use crate::report::{Place, Report};
use crate::suggest;
use crate::yaml::{Key, Node, Yaml};

/// A key that a later version will know, and what to do until then.
pub(crate) type Later = (&'static str, &'static str);

/// A map and what it is called in errors, with its article.
pub(crate) struct Keys<'n> {
    /// Where errors about the whole map point.
    pub(crate) place: Place,
    what: &'static str,
    entries: &'n [(Key, Node)],
    /// Whether one of the keys belongs to a later version: then others may be missing because of it.
    has_later: bool,
}

impl<'n> Keys<'n> {
    /// Reads `node` as a map that has only `known` keys.
    pub(crate) fn of(
        node: &'n Node,
        what: &'static str,
        known: &[&str],
        later: &[Later],
        report: &mut Report<'_>,
    ) -> Option<Self> {
        let mut keys = Self::any(node, what, report)?;
        for (key, _) in keys.entries {
            if known.contains(&key.name.as_str()) {
                continue;
            }
            let own = later.iter().find(|(name, _)| *name == key.name).map(|(_, reason)| *reason);
            if let Some(until) = own.or_else(|| foreign::later(what, &key.name)) {
                keys.has_later = true;
                report
                    .error(Code::NotInThisVersion, key.place, format!("`{}` is not in this version", key.name))
                    .help(until);
            } else {
                let help = foreign::elsewhere(&key.name)
                    .map_or_else(|| suggest::help(&key.name, known.iter().copied()), str::to_owned);
                report
                    .error(Code::UnknownKey, key.place, format!("{what} has no `{}`", key.name))
                    .label("unknown key")
                    .help(help);
            }
        }
        Some(keys)
    }

    /// Reads `node` as a map, whatever its keys.
    pub(crate) fn any(node: &'n Node, what: &'static str, report: &mut Report<'_>) -> Option<Self> {
        let Yaml::Map(entries) = &node.yaml else {
            let problem = format!("{what} is a map of keys and values, not {}", node.describe());
            let error = report.error(Code::WrongKind, node.place, problem);
            if let (Some(text), "`distinct`") = (node.as_text(), what) {
                error.help(format!("write `distinct: {{field: {text}, at_least: 10}}`"));
            }
            return None;
        };
        let place = entries.first().map_or(node.place, |(key, _)| key.place);
        Some(Self { place, what, entries, has_later: false })
    }

    /// Whether one of the keys belongs to a later version, which was reported.
    pub(crate) fn has_later(&self) -> bool {
        self.has_later
    }

    /// The keys and their values, in the order of the file.
    pub(crate) fn entries(&self) -> &'n [(Key, Node)] {
        self.entries
    }

    /// A key's value. None: the key is not there.
    pub(crate) fn get(&self, name: &str) -> Option<&'n Node> {
        self.entry(name).map(|(_, node)| node)
    }

    /// A key's place and its value. None: the key is not there.
    pub(crate) fn entry(&self, name: &str) -> Option<(Place, &'n Node)> {
        self.entries.iter().find(|(key, _)| key.name == name).map(|(key, node)| (key.place, node))
    }

    /// The value of a key that must be there.
    pub(crate) fn need(&self, name: &str, help: &str, report: &mut Report<'_>) -> Option<&'n Node> {
        let found = self.get(name);
        if found.is_none() && !self.has_later {
            report.error(Code::MissingKey, self.place, format!("{} needs `{name}`", self.what)).help(help);
        }
        found
    }
}

/// Reads a scalar other than YAML's null.
pub(crate) fn text<'n>(node: &'n Node, what: &str, report: &mut Report<'_>) -> Option<&'n str> {
    match &node.yaml {
        Yaml::Scalar { text, .. } if !node.is_nothing() => Some(text),
        _ => {
            let error = report.error(Code::WrongKind, node.place, format!("{what} is text, not {}", node.describe()));
            if what == "`signal`" && matches!(node.yaml, Yaml::List(_)) {
                error.help("a rule watches one type: make two rules");
            } else if node.is_nothing() {
                error.help("in quotes it would be text; a field that is not there has no value");
            }
            None
        }
    }
}

/// Reads text for people: one line, no control characters, not blank, at most `max` characters.
pub(crate) fn line<'n>(node: &'n Node, what: &str, max: usize, report: &mut Report<'_>) -> Option<&'n str> {
    let text = text(node, what, report)?;
    let chars = text.chars().count();
    if text.trim().is_empty() {
        report.error(Code::BadText, node.place, format!("{what} is empty"));
        None
    } else if chars > max {
        report.error(Code::BadText, node.place, format!("{what} has {chars} characters; it has at most {max}"));
        None
    } else if let Some(hidden) = hidden_in(text) {
        let error = report.error(
            Code::BadText,
            node.place,
            format!("{what} is one line of characters that can be seen; it has {hidden}"),
        );
        error.help(if hidden.character == '\n' { "`>-` folds several lines into one" } else { "take it out" });
        None
    } else {
        Some(text)
    }
}

/// Reads one of `known`, and returns its place among them.
pub(crate) fn one_of(node: &Node, what: &str, known: &[&str], report: &mut Report<'_>) -> Option<usize> {
    let word = text(node, what, report)?;
    let found = known.iter().position(|k| *k == word);
    if found.is_none() {
        report
            .error(Code::UnknownWord, node.place, format!("{what} cannot be `{word}`"))
            .help(suggest::help(word, known.iter().copied()));
    }
    found
}

/// Reads a whole number in a range.
pub(crate) fn int(node: &Node, what: &str, range: RangeInclusive<i64>, report: &mut Report<'_>) -> Option<i64> {
    let (min, max) = (range.start(), range.end());
    let Yaml::Scalar { text, plain } = &node.yaml else {
        let problem = format!("{what} is a whole number, not {}", node.describe());
        let error = report.error(Code::NotANumber, node.place, problem);
        if matches!(&node.yaml, Yaml::Map(keys) if keys.iter().any(|(key, _)| key.name == "at_most")) {
            error.help("`threshold` is for too many; too few is `absent: {for: 1h, expected: always, at_most: 10}`");
        }
        return None;
    };
    match text.parse::<i64>() {
        Ok(number) if *plain && range.contains(&number) => return Some(number),
        Ok(_) if *plain => {
            let problem = if number_is_below(text, *min) {
                format!("{what} is at least {min}")
            } else {
                format!("{what} is at most {max}")
            };
            report.error(Code::OutOfRange, node.place, problem).label(format!("from {min} to {max}"));
        }
        Ok(_) => {
            report
                .error(Code::NotANumber, node.place, format!("{what} is a whole number, not text"))
                .help("take the quotes away");
        }
        Err(_) if *plain && is_digits(text) => {
            report.error(Code::OutOfRange, node.place, format!("{what} is from {min} to {max}"));
        }
        Err(_) => {
            report
                .error(Code::NotANumber, node.place, format!("{what} is a whole number, not {}", shown(node, text)))
                .help(suggest::number(text).unwrap_or_else(|| format!("from {min} to {max}, digits only")));
        }
    }
    None
}

fn number_is_below(text: &str, min: i64) -> bool {
    text.parse::<i64>().is_ok_and(|n| n < min)
}

fn is_digits(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// Reads a duration in a range of milliseconds.
pub(crate) fn span(node: &Node, what: &str, range: RangeInclusive<i64>, report: &mut Report<'_>) -> Option<i64> {
    let (min, max) = (duration::short(*range.start()), duration::short(*range.end()));
    let Yaml::Scalar { text, .. } = &node.yaml else {
        report
            .error(Code::NotADuration, node.place, format!("{what} is a duration, not {}", node.describe()))
            .help("such as `90s`, `10m`, `1h` or `7d`");
        return None;
    };
    match duration::parse(text) {
        Some(ms) if range.contains(&ms) => return Some(ms),
        Some(ms) => {
            let problem = if ms < *range.start() {
                format!("{what} is at least {min}")
            } else {
                format!("{what} is at most {max}")
            };
            report.error(Code::OutOfRange, node.place, problem).label(format!("from {min} to {max}"));
        }
        None => {
            let help = match text.parse::<u32>() {
                Ok(number) => format!("give it a unit: `{number}s`, `{number}m`, `{number}h`"),
                Err(_) => match duration::guess(text) {
                    Some(ms) if range.contains(&ms) => format!("write `{}`", duration::short(ms)),
                    Some(ms) => format!("that is `{}`, and it is from {min} to {max}", duration::short(ms)),
                    None => "a whole number and one of ms, s, m, h, d: `500ms`, `90s`, `10m`, `1h`, `7d`".to_owned(),
                },
            };
            report
                .error(Code::NotADuration, node.place, format!("{what} is a duration, not {}", shown(node, text)))
                .help(help);
        }
    }
    None
}

/// What stands there, for an error: a short text itself, of anything else its kind.
fn shown(node: &Node, text: &str) -> String {
    if node.is_nothing() || text.chars().count() > 40 { node.describe().to_owned() } else { format!("`{text}`") }
}

/// Reads a list of at most `max` items.
pub(crate) fn list<'n>(node: &'n Node, what: &str, max: usize, report: &mut Report<'_>) -> Option<&'n [Node]> {
    match &node.yaml {
        Yaml::List(items) if items.len() <= max => Some(items),
        Yaml::List(items) => {
            report.error(
                Code::TooMany,
                node.place,
                format!("{what} has {} entries; it has at most {max}", items.len()),
            );
            None
        }
        Yaml::Scalar { text, .. } if !node.is_nothing() => {
            report.error(Code::WrongKind, node.place, format!("{what} is a list")).help(format!("write `[{text}]`"));
            None
        }
        _ => {
            report.error(Code::WrongKind, node.place, format!("{what} is a list, not {}", node.describe()));
            None
        }
    }
}

/// Reads true or false.
pub(crate) fn boolean(node: &Node, what: &str, report: &mut Report<'_>) -> Option<bool> {
    match &node.yaml {
        Yaml::Scalar { text, plain: true } if text == "true" => Some(true),
        Yaml::Scalar { text, plain: true } if text == "false" => Some(false),
        _ => {
            report.error(Code::WrongKind, node.place, format!("{what} is true or false, not {}", node.describe()));
            None
        }
    }
}
