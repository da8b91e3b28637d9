//! `docs/rules.md` shows what the code does.

use logystera_schemas::detection::Severity;

use super::accepted::set;
use crate::{default_pack, from_yaml};

const MANUAL: &str = include_str!("../../../docs/rules.md");

/// The first example: a whole rule file.
fn example() -> &'static str {
    beginning_with("format: 1\nrules:")
}

/// The example that begins so.
fn beginning_with(head: &str) -> &'static str {
    let start = MANUAL.find(&format!("```yaml\n{head}")).unwrap() + "```yaml\n".len();
    let rest = &MANUAL[start..];
    &rest[..rest.find("```").unwrap()]
}

fn shown(file: &str, text: &str) -> String {
    from_yaml(&[(file, text)]).unwrap_err()[0].to_string()
}

#[test]
fn the_example_is_a_rule() {
    assert_eq!(set(example()).rules.len(), 1);
    let (_, more) = MANUAL.split_once("```yaml\n  bundle:").unwrap();
    let more = &more[..more.find("```").unwrap()];
    assert_eq!(set(&format!("{}  bundle:{more}", example())).rules.len(), 1);
}

#[test]
fn the_example_of_metrics_has_two() {
    assert_eq!(set(beginning_with("format: 1\nmetrics:")).metrics.len(), 2);
}

#[test]
fn the_errors_are_the_ones_that_are_shown() {
    let typo = shown("mail.yaml", &example().replace("outcome: failed", "outcom: failed"));
    assert!(MANUAL.contains(&typo), "{typo}");
    let costly = "format: 1\nlimits: {site_bytes: 1000000}\nrules:\n- name: visitors\n  title: T\n  subsystem: s\n  message: m\n  signal: http.request\n  group_by: [path, user_agent]\n  threshold: {count: 256, within: 1h}\n  evidence: [path]\n";
    let costly = shown("visitors.yaml", costly);
    assert!(MANUAL.contains(&costly), "{costly}");
}

#[test]
fn the_default_pack_is_listed() {
    for rule in default_pack().map_err(|errors| errors[0].to_string()).unwrap().rules {
        let severity = match rule.severity {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        };
        let row = format!("| `{}` | {severity} | {} | {} |\n", rule.name, rule.title, rule.why.unwrap_or_default());
        assert!(MANUAL.contains(&row), "{row}");
    }
}

#[test]
fn the_output_is_the_one_that_is_shown() {
    let set = set(include_str!("../../cron.yaml"));
    for line in [
        format!("cron-stopped  {}       1             96          96\n", set.rules[0].revision),
        format!("1 rule, no errors; digest {}\n", set.digest),
        format!("  do:  {}\n", set.rules[0].advice.as_deref().unwrap_or_default()),
    ] {
        assert!(MANUAL.contains(&line), "{line}");
    }
}
