//! What is refused, and how that reads.

#![expect(clippy::too_many_lines, reason = "tables of cases with their whole answers")]

mod conditions;
mod files;
mod filters;
mod hostile;
mod keys;
mod sets;

use crate::{Diagnostic, from_yaml};

/// The errors of one file as a terminal shows them.
fn errors(text: &str) -> String {
    errors_of(&[("t.yaml", text)])
}

fn errors_of(sources: &[(&str, &str)]) -> String {
    match from_yaml(sources) {
        Ok(set) => panic!("accepted: {}", set.body),
        Err(errors) => errors.iter().map(Diagnostic::to_string).collect::<Vec<_>>().join("\n\n"),
    }
}

/// The errors of a file with one rule that has these lines, two spaces in, besides name, title, subsystem and message.
pub(super) fn rule_errors(keys: &str) -> String {
    errors(&format!("format: 1\nrules:\n- name: r\n  title: T\n  subsystem: s\n  message: m\n{keys}"))
}

/// The keys of `rule_errors` that most rules share.
const COUNT: &str = "  signal: http.request\n  threshold: {count: 5, within: 10m}\n";

fn filter_errors(filter: &str) -> String {
    rule_errors(&format!("{COUNT}  where: {filter}\n"))
}
