//! What people write who know the language of a later version, or that of another tool.

use crate::code::Code;
use crate::report::{Place, Report};
use crate::yaml::{Node, Yaml};

/// Keys that a later version will know: what they stand in, the key, and what to do until then.
const LATER: [(&str, &str, &str); 16] = [
    ("a rule file", "snapshots", "snapshots come in a later version"),
    ("a rule file", "vars", "variables come in a later version; write the values out until then"),
    ("a rule file", "overrides", "all sites have the same rules until then"),
    ("a rule file", "fleet", "rules over several sites come in a later version"),
    ("a rule", "metric", "rules over metrics come in a later version; watch a signal"),
    ("a rule", "snapshot", "rules over snapshots come in a later version; watch a signal"),
    ("a rule", "sequence", "until then a rule counts signals of one type; watch the last step alone"),
    ("a rule", "new_value", "until then list the values that are known: `source: {not: [...]}`"),
    ("a rule", "inhibited_by", "until then give the rule a `for`, so that the other one is told first"),
    ("a rule", "resolved_message", "an alert that resolves has the rule's title until then"),
    ("a rule", "vars", "variables come in a later version; write the values out until then"),
    ("a test", "suffix", "until then only the beginning of a text can be tested: `prefix`"),
    ("a test", "contains", "until then only the beginning of a text can be tested: `prefix`"),
    ("a test", "all", "until then `[one, two]` asks for any of them"),
    ("a test", "present", "until then name the values that the field can have"),
    ("a test", "same_as", "until then two fields of a signal cannot be compared"),
];

/// What other tools call things: the key, and what is written here.
const ELSEWHERE: [(&[&str], &str); 16] = [
    (&["within", "count", "distinct", "sum", "ratio", "percentile", "resolution"], "it stands under `threshold`"),
    (&["at_least", "field"], "it stands under `distinct`: `distinct: {field: source, at_least: 10}`"),
    (&["enabled", "disable"], "a rule that stands in a file is on: put `#` before its lines to switch it off"),
    (&["labels", "tags", "references", "author", "id"], "alerts go by `severity` and `subsystem`: take it away"),
    (&["description", "comment"], "why it matters is `why`, what to do is `do`"),
    (&["annotations", "summary"], "what the alert says is `message`; `why` and `do` are for people, too"),
    (&["level", "priority"], "it is called `severity`"),
    (&["alert", "rule"], "it is called `name`"),
    (&["expr", "query", "condition"], "say it with `signal`, `where` and `threshold`"),
    (
        &["active", "schedule", "hours", "days", "time", "timezone"],
        "rules know no hours of the day: `logystera silence` holds alerts back for a time",
    ),
    (&["timeframe", "window", "interval", "period"], "it is `within`, under `threshold`"),
    (
        &["regex", "regexp", "re", "match", "matches", "glob"],
        "there are no patterns: list the values, or give a `prefix`",
    ),
    (&["startswith", "starts_with"], "it is called `prefix`"),
    (&["endswith", "ends_with"], "the end of a text cannot be tested in this version"),
    (&["exists", "is_null"], "whether a field is there cannot be tested by itself in this version"),
    (&["eq", "equals", "is", "in", "ne", "neq"], "write the value itself, a list `[one, two]`, or `{not: value}`"),
];

/// What to do until a later version, if it is to know `key` in `what`.
pub(crate) fn later(what: &str, key: &str) -> Option<&'static str> {
    LATER.iter().find(|(place, name, _)| *place == what && *name == key).map(|(.., until)| *until)
}

/// What is written here for what another tool calls `key`.
pub(crate) fn elsewhere(key: &str) -> Option<&'static str> {
    ELSEWHERE.iter().find(|(names, _)| names.contains(&key)).map(|(_, here)| *here)
}

/// Help for a name of a field that is none: a modifier of Sigma behind it, or a word of a later version.
pub(crate) fn field(name: &str) -> Option<String> {
    if let Some((field, modifier)) = name.split_once('|') {
        return Some(match elsewhere(modifier) {
            Some(here) => format!("`|{modifier}` is Sigma's: write `{field}: …`; {here}"),
            None => format!("`|{modifier}` is Sigma's: a test stands under its field, `{field}: {{prefix: …}}`"),
        });
    }
    match name {
        "any" | "all" | "not" | "or" | "and" => Some(
            "all tests of a rule must hold, in this version: list the values of one field, or make two rules"
                .to_owned(),
        ),
        _ => None,
    }
}

/// Reports a file that was written for another tool, once, and with the way from there.
pub(crate) fn recognise(root: &Node, report: &mut Report<'_>) -> bool {
    let Yaml::Map(entries) = &root.yaml else { return false };
    let key = |name: &str| entries.iter().find(|(key, _)| key.name == name);
    if key("format").is_some() {
        return false;
    }
    let (code, place, what, heading) = if let Some((key, _)) = key("detection").or_else(|| key("logsource")) {
        (Code::SigmaRule, key.place, "a Sigma rule", "From Sigma")
    } else if let Some(place) = prometheus(entries.as_slice()) {
        (Code::PrometheusRules, place, "a Prometheus rule file", "From Prometheus")
    } else {
        return false;
    };
    report
        .error(code, place, format!("this is {what}, and has to be written anew"))
        .help(format!("docs/rules.md says what becomes of each part: \"{heading}\""));
    true
}

fn prometheus(entries: &[(crate::yaml::Key, Node)]) -> Option<Place> {
    let find = |name: &str| entries.iter().find(|(key, _)| key.name == name);
    if let Some((key, node)) = find("kind")
        && node.as_text() == Some("PrometheusRule")
    {
        return Some(key.place);
    }
    if let (Some((key, _)), Some(_)) = (find("expr"), find("alert").or_else(|| find("record"))) {
        return Some(key.place);
    }
    let (key, node) = find("groups")?;
    let Yaml::List(groups) = &node.yaml else { return None };
    let has_rules =
        |group: &Node| matches!(&group.yaml, Yaml::Map(keys) if keys.iter().any(|(key, _)| key.name == "rules"));
    groups.iter().any(has_rules).then_some(key.place)
}
