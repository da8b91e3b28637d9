//! Message templates: `{count} mails failed on {site} within {within}`.

use logystera_processor::core::{Piece, Template};
use logystera_schemas::catalogue::SignalType;
use logystera_schemas::limits::MESSAGE_CHARS_MAX;

use crate::code::Code;
use crate::duration;
use crate::read;
use crate::report::Report;
use crate::suggest;
use crate::yaml::Node;

/// What a message may name.
pub(crate) struct Names<'r> {
    /// Whether the rule counts anything.
    pub(crate) counts: bool,
    /// What `{within}` stands for, in milliseconds. None: the rule has no window.
    pub(crate) span_ms: Option<i64>,
    /// Names of the fields of `group_by`.
    pub(crate) group_by: Vec<&'r str>,
}

/// Reads `message`.
pub(crate) fn read(node: &Node, names: &Names<'_>, report: &mut Report<'_>) -> Option<Template> {
    let text = read::line(node, "`message`", MESSAGE_CHARS_MAX, report)?;
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        plain.push_str(&rest[..at]);
        let found = &rest[at..];
        if let Some(after) = found.strip_prefix("{{").or_else(|| found.strip_prefix("}}")) {
            plain.push_str(&found[..1]);
            rest = after;
            continue;
        }
        let Some(end) = found.find('}').filter(|_| found.starts_with('{')) else {
            let brace = &found[..1];
            let place = report.part(node.place, found);
            report
                .error(Code::LoneBrace, crate::report::Place { width: 1, ..place }, format!("a `{brace}` alone"))
                .help(format!("write `{brace}{brace}` for the character itself"));
            return None;
        };
        let piece = piece(&found[1..end], &found[..=end], node, names, report)?;
        if !plain.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
        }
        pieces.push(piece);
        rest = &found[end + 1..];
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Some(Template(pieces))
}

fn piece(name: &str, shown: &str, node: &Node, names: &Names<'_>, report: &mut Report<'_>) -> Option<Piece> {
    let counts = names.counts;
    match name {
        "count" if counts => Some(Piece::Count),
        "count" => {
            let place = report.part(node.place, shown);
            report
                .error(Code::AbsenceCountsNothing, place, "an absence counts nothing")
                .help("take `{count}` away; `{within}` is how long nothing came");
            None
        }
        "site" => Some(Piece::Site),
        "within" => {
            let Some(span_ms) = names.span_ms else {
                let place = report.part(node.place, shown);
                report
                    .error(Code::NoWindow, place, "`each` has no window")
                    .help("take `{within}` away; `{count}` is how many are told at once");
                return None;
            };
            Some(Piece::Within(duration::long(span_ms)))
        }
        _ => {
            let place = names.group_by.iter().position(|field| *field == name);
            if place.is_none() {
                let has = |name: &&str| {
                    counts && *name == "count" || names.span_ms.is_some() && *name == "within" || *name == "site"
                };
                let known = ["count", "site", "within"].into_iter().filter(has);
                let help = suggest::help(name, known.chain(names.group_by.iter().copied()));
                report
                    .error(
                        Code::UnknownPlaceholder,
                        report.part(node.place, shown),
                        format!("`message` has nothing called `{name}`"),
                    )
                    .help(format!("{help} (fields of `group_by` can be named too)"));
            }
            place.map(Piece::Group)
        }
    }
}

/// The message as a rule file writes it.
pub(crate) fn canonical(template: &Template, group_by: &[usize], signal: Option<SignalType>) -> String {
    let mut text = String::new();
    for piece in &template.0 {
        match piece {
            Piece::Text(plain) => text.push_str(&plain.replace('{', "{{").replace('}', "}}")),
            Piece::Count => text.push_str("{count}"),
            Piece::Site => text.push_str("{site}"),
            Piece::Within(_) => text.push_str("{within}"),
            Piece::Group(place) => {
                let name =
                    signal.and_then(|s| s.def().fields.get(*group_by.get(*place)?)).map_or("", |f| f.name.as_str());
                text.extend(["{", name, "}"]);
            }
        }
    }
    text
}
