//! YAML as a tree with places. Only what a rule needs: one document of maps, lists and scalars.

use std::collections::BTreeMap;

use logystera_schemas::limits::{RULE_DEPTH_MAX, RULE_FILE_BYTES_MAX, RULE_FILE_NODES_MAX};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};

use crate::code::Code;
use crate::report::{Place, Report};

/// A value and its place.
#[derive(Debug)]
pub(crate) struct Node {
    /// Where it stands.
    pub(crate) place: Place,
    /// What it is.
    pub(crate) yaml: Yaml,
}

/// A value.
#[derive(Debug)]
pub(crate) enum Yaml {
    /// A word, a number, true or false, or nothing: what it means depends on where it stands.
    Scalar {
        /// As it reads, without quotes.
        text: String,
        /// Whether it had no quotes: only then can it be a number, true, false or nothing.
        plain: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// A map; its keys are unique.
    Map(Vec<(Key, Node)>),
}

/// A key of a map.
#[derive(Debug)]
pub(crate) struct Key {
    /// Where it stands.
    pub(crate) place: Place,
    /// The key.
    pub(crate) name: String,
}

impl Node {
    /// What it is, with its article.
    pub(crate) fn describe(&self) -> &'static str {
        match &self.yaml {
            Yaml::Scalar { .. } if self.is_nothing() => "nothing",
            Yaml::Scalar { plain: true, text } if text.parse::<f64>().is_ok() => "a number",
            Yaml::Scalar { plain: true, text } if text == "true" || text == "false" => "true or false",
            Yaml::Scalar { .. } => "text",
            Yaml::List(_) => "a list",
            Yaml::Map(_) => "a map",
        }
    }

    /// A key of a map and its value.
    pub(crate) fn entry(&self, name: &str) -> Option<(&Key, &Self)> {
        match &self.yaml {
            Yaml::Map(entries) => entries.iter().find(|(key, _)| key.name == name).map(|(key, node)| (key, node)),
            _ => None,
        }
    }

    /// The value of a key of a map.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        self.entry(name).map(|(_, node)| node)
    }

    /// The items of a list; none of anything else.
    pub(crate) fn items(&self) -> &[Self] {
        match &self.yaml {
            Yaml::List(items) => items,
            _ => &[],
        }
    }

    /// Visits the scalars of the value, whatever they stand in.
    pub(crate) fn each_scalar<'n>(&'n self, visit: &mut impl FnMut(&'n Self)) {
        match &self.yaml {
            Yaml::Scalar { .. } => visit(self),
            Yaml::List(items) => items.iter().for_each(|item| item.each_scalar(visit)),
            Yaml::Map(entries) => entries.iter().for_each(|(_, node)| node.each_scalar(visit)),
        }
    }

    /// A scalar's text.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.yaml {
            Yaml::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Whether it is YAML's null.
    pub(crate) fn is_nothing(&self) -> bool {
        matches!(&self.yaml, Yaml::Scalar { text, plain: true } if ["", "~", "null", "Null", "NULL"].contains(&text.as_str()))
    }
}

/// A list or map that is not closed yet.
struct Open {
    place: Place,
    into: Into,
}

enum Into {
    List(Vec<Node>),
    Map { entries: Vec<(Key, Node)>, names: BTreeMap<String, usize>, key: Option<Key> },
}

/// Reads the one document of `text`. None: an error was reported, and there is nothing to check further.
pub(crate) fn read(text: &str, report: &mut Report<'_>) -> Option<Node> {
    check_text(text, report)?;
    let mut tree = Tree { open: Vec::new(), root: None, nodes: 0, documents: 0 };
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => tree.take(event, place_of(span), report)?,
            Err(error) => {
                let place = place_at(*error.marker());
                let tab = text.lines().nth(place.line.wrapping_sub(1)).is_some_and(|line| line.contains('\t'));
                let error = report.error(Code::NotYaml, place, format!("this is not YAML: {}", error.info()));
                if tab {
                    error.help("YAML indents with spaces: replace the tabs");
                }
                return None;
            }
        }
    }
    if tree.root.is_none() {
        report.error(Code::EmptyFile, Place::START, "the file is empty").help("begin with `format: 1`, then `rules:`");
    }
    tree.root
}

/// Refuses what no rule file needs and what would confuse lines and columns.
fn check_text(text: &str, report: &mut Report<'_>) -> Option<()> {
    if text.len() > RULE_FILE_BYTES_MAX {
        let problem = format!("the file has {} bytes; a rule file has at most {RULE_FILE_BYTES_MAX}", text.len());
        report.error(Code::FileTooBig, Place::START, problem).help("split it into several files");
        return None;
    }
    for (number, line) in text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if let Some((column, c)) = line.chars().enumerate().find(|(_, c)| c.is_control() && *c != '\t') {
            let place = Place { line: number + 1, column: column + 1, width: 1 };
            report
                .error(Code::ControlCharacter, place, format!("a control character, U+{:04X}", u32::from(c)))
                .help("remove it");
            return None;
        }
    }
    Some(())
}

struct Tree {
    open: Vec<Open>,
    root: Option<Node>,
    nodes: usize,
    documents: usize,
}

impl Tree {
    fn take(&mut self, event: Event<'_>, place: Place, report: &mut Report<'_>) -> Option<()> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Some(()),
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    report
                        .error(Code::SecondDocument, place, "a second document")
                        .help("put its rules under the first `rules:`, or into a file of their own");
                    return None;
                }
                Some(())
            }
            Event::Alias(_) => {
                report
                    .error(Code::AnchorOrTag, place, "an alias")
                    .label("not followed")
                    .help("write the value out: a rule should be readable where it stands");
                self.add(Node { place, yaml: Yaml::Scalar { text: String::new(), plain: true } }, report)
            }
            Event::Scalar(text, style, anchor, tag) => {
                refuse_properties(place, anchor, tag.is_some(), report);
                let yaml = Yaml::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain };
                self.add(Node { place, yaml }, report)
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_properties(place, anchor, tag.is_some(), report);
                self.begin(Open { place, into: Into::List(Vec::new()) }, report)
            }
            Event::MappingStart(anchor, tag) => {
                refuse_properties(place, anchor, tag.is_some(), report);
                self.begin(
                    Open { place, into: Into::Map { entries: Vec::new(), names: BTreeMap::new(), key: None } },
                    report,
                )
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Open { place, into } = self.open.pop()?;
                let yaml = match into {
                    Into::List(items) => Yaml::List(items),
                    Into::Map { entries, .. } => Yaml::Map(entries),
                };
                self.add(Node { place, yaml }, report)
            }
        }
    }

    fn begin(&mut self, open: Open, report: &mut Report<'_>) -> Option<()> {
        if self.open.len() == RULE_DEPTH_MAX {
            report
                .error(Code::TooDeep, open.place, format!("more than {RULE_DEPTH_MAX} levels"))
                .help("no rule is so deep: look for a bracket or an indent too many");
            return None;
        }
        self.open.push(open);
        Some(())
    }

    fn add(&mut self, node: Node, report: &mut Report<'_>) -> Option<()> {
        self.nodes += 1;
        if self.nodes > RULE_FILE_NODES_MAX {
            report
                .error(Code::TooDeep, node.place, format!("more than {RULE_FILE_NODES_MAX} values"))
                .help("split the file");
            return None;
        }
        match self.open.last_mut().map(|open| &mut open.into) {
            None => self.root = Some(node),
            Some(Into::List(items)) => items.push(node),
            Some(Into::Map { entries, names, key }) => match key.take() {
                None => *key = Some(key_of(node, report)?),
                Some(key) => {
                    if let Some(line) = names.insert(key.name.clone(), key.place.line) {
                        report
                            .error(Code::KeyTwice, key.place, format!("`{}` stands here twice", key.name))
                            .label(format!("first on line {line}"))
                            .help("keep one of them");
                    } else {
                        entries.push((key, node));
                    }
                }
            },
        }
        Some(())
    }
}

fn key_of(node: Node, report: &mut Report<'_>) -> Option<Key> {
    let Yaml::Scalar { text, .. } = node.yaml else {
        report.error(Code::KeyNotWord, node.place, "a key that is a list or a map").help("keys are words");
        return None;
    };
    Some(Key { place: node.place, name: text })
}

fn refuse_properties(place: Place, anchor: usize, tagged: bool, report: &mut Report<'_>) {
    if anchor != 0 {
        report
            .error(Code::AnchorOrTag, place, "an anchor")
            .help("take the `&name` away: a rule should be readable where it stands");
    }
    if tagged {
        report.error(Code::AnchorOrTag, place, "a tag").help("take the `!name` away: the key says what a value is");
    }
}

fn place_at(marker: Marker) -> Place {
    Place { line: marker.line().max(1), column: marker.col() + 1, width: 1 }
}

fn place_of(span: Span) -> Place {
    let width =
        if span.end.line() == span.start.line() { span.end.col().saturating_sub(span.start.col()) } else { usize::MAX };
    Place { width: width.max(1), ..place_at(span.start) }
}
