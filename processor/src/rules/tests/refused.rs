//! What is refused, and how that reads.

use crate::core::rule::RuleSet;
use crate::rules::RuleError;

/// The errors of one file as a terminal shows them.
fn errors(text: &str) -> String {
    errors_of(&[("t.yaml", text)])
}

fn errors_of(sources: &[(&str, &str)]) -> String {
    match RuleSet::from_yaml(sources) {
        Ok(set) => panic!("accepted: {}", set.body),
        Err(errors) => errors.iter().map(RuleError::to_string).collect::<Vec<_>>().join("\n\n"),
    }
}

/// The errors of a file with one rule that has these lines, two spaces in, besides name, title, subsystem and message.
fn rule_errors(keys: &str) -> String {
    errors(&format!("format: 1\nrules:\n- name: r\n  title: T\n  subsystem: s\n  message: m\n{keys}"))
}

#[test]
fn the_example_of_the_manual() {
    insta::assert_snapshot!(errors("format: 1
rules:
- name: mail-delivery-failing
  title: Mail delivery is failing
  sevrity: critical
  subsystem: mail
  signal: mail.outcom
  threshold: {count: 5, within: 10 minutes}
  message: \"{count} mails failed on {sit} within {within}\"
- name: Mail Failing
  title: \"\"
  subsystem: mail
  signal: mail.outcome
  where: {outcom: failed, transport: smpt}
  group_by: [site]
  threshold: {count: 0, within: 8d}
  message: \"{count mails\"
"), @"");
}
