//! `escalate`: what is refused, and what it becomes.

use logystera_processor::core::{Escalation, StateLimits, Worse};
use logystera_schemas::detection::Severity;

use super::accepted::rule;
use crate::{Code, WorstCase, from_yaml};

const COUNT: &str = "signal: auth.attempt\nthreshold: {count: 20, within: 10m}";

#[test]
fn escalations_that_cannot_be_are_refused() {
    let sum = "signal: http.request\nthreshold: {sum: {field: duration_ms, at_least: 20}, within: 10m}";
    let ratio =
        "signal: auth.attempt\nthreshold: {ratio: {of: {outcome: failure}, at_least: 5%, min: 20}, within: 10m}";
    let both = "signal: auth.attempt\nthreshold: {count: 20, distinct: {field: user_hash, at_least: 2}, within: 10m}";
    let absent = "signal: cron.run\nabsent: {for: 1h, expected: always}";
    let step = |at: &str| format!("[{{at: {at}, severity: critical}}]");
    for (condition, escalate, code, problem) in [
        (COUNT, step("20"), Code::NotWorse, "`at`, 20, is no more than the `count` that the rule asks for, 20"),
        (sum, step("20"), Code::NotWorse, "`at`, 20, is no more than the `sum` that the rule asks for, 20"),
        (COUNT, step("257"), Code::OutOfRange, "`at` is at most 256"),
        (COUNT, step("many"), Code::NotANumber, "`at` is a whole number, not `many`"),
        (ratio, step("9"), Code::KeyDoesNotFit, "`at` needs a single `count`, `distinct` or `sum`"),
        (both, step("30"), Code::KeyDoesNotFit, "`at` needs a single `count`, `distinct` or `sum`"),
        (absent, step("9"), Code::KeyDoesNotFit, "`at` needs a single `count`, `distinct` or `sum`"),
        (
            "absent: {blind_after: 1h}",
            "[{after: 1h, severity: critical}]".to_owned(),
            Code::KeyDoesNotFit,
            "`escalate` beside `blind_after`",
        ),
        (
            COUNT,
            "[{at: 30, severity: warning}]".to_owned(),
            Code::NotWorse,
            "it is `warning` before, and `warning` from here on",
        ),
        (
            COUNT,
            "[{at: 30, severity: critical}, {at: 40, severity: critical}]".to_owned(),
            Code::NotWorse,
            "it is `critical` before, and `critical` from here on",
        ),
        (
            COUNT,
            "[{at: 30, after: 1h, severity: critical}]".to_owned(),
            Code::KeyDoesNotFit,
            "`at` and `after` in one step",
        ),
        (COUNT, "[{severity: critical}]".to_owned(), Code::MissingKey, "a step of `escalate` needs `at`"),
        (COUNT, "[{at: 30}]".to_owned(), Code::MissingKey, "a step of `escalate` needs `severity`"),
        (COUNT, "[{after: 8d, severity: critical}]".to_owned(), Code::OutOfRange, "`after` is at most 7d"),
        (
            COUNT,
            "[{at: 30, severity: critical}, {at: 40, severity: critical}, {at: 50, severity: critical}]".to_owned(),
            Code::TooMany,
            "`escalate` has 3 entries; it has at most 2",
        ),
    ] {
        assert_eq!(refused("warning", condition, &escalate), [(code, problem.to_owned())], "{escalate}");
    }
    for (escalate, code) in [
        ("[{at: 40, severity: warning}, {at: 30, severity: critical}]", Code::NotWorse),
        ("[{after: 2h, severity: warning}, {after: 2h, severity: critical}]", Code::NotWorse),
        ("[{at: 40, severity: warning}, {after: 2h, severity: critical}]", Code::KeyDoesNotFit),
    ] {
        let codes: Vec<Code> = refused("info", COUNT, escalate).into_iter().map(|(code, _)| code).collect();
        assert_eq!(codes, [code], "{escalate}");
    }
}

fn refused(severity: &str, condition: &str, escalate: &str) -> Vec<(Code, String)> {
    let keys = format!("severity: {severity}\n{condition}\nescalate: {escalate}");
    let keys = keys.lines().map(|line| format!("  {line}\n")).collect::<Vec<_>>().concat();
    let text = format!("format: 1\nrules:\n- name: r\n  title: T\n  subsystem: s\n  message: m\n{keys}");
    let errors = from_yaml(&[("t.yaml", &text)]).err().unwrap_or_default();
    errors.into_iter().map(|error| (error.code, error.problem)).collect()
}

#[test]
fn steps_are_read_as_they_are_written() {
    let read = rule(&format!(
        "severity: info\n{COUNT}\nescalate: [{{at: 50, severity: warning}}, {{severity: critical, at: 100}}]"
    ));
    let step = |at, severity| Escalation { when: Worse::At(at), severity };
    assert_eq!(read.escalate, [step(50, Severity::Warning), step(100, Severity::Critical)]);
    let severities = [0, 1, 2, 3].map(|level| read.severity_at(level));
    assert_eq!(severities, [Severity::Info, Severity::Warning, Severity::Critical, Severity::Critical]);
    let by_time = rule(&format!("{COUNT}\nescalate: [{{after: 60m, severity: critical}}]"));
    assert_eq!(by_time.escalate, [Escalation { when: Worse::After(3_600_000), severity: Severity::Critical }]);
}

/// A rule without steps is what it was; with steps, what must be counted for them is counted.
#[test]
fn numbers_are_counted_and_severities_and_times_are_not() {
    let of = |escalate: &str| rule(&format!("severity: info\n{COUNT}\nescalate: {escalate}"));
    let plain = rule(&format!("severity: info\n{COUNT}"));
    assert_eq!((of("[]").revision, of("[]").counts), (plain.revision.clone(), plain.counts));
    for (escalate, counts_anew) in
        [("[{after: 1h, severity: warning}]", false), ("[{at: 30, severity: warning}]", true)]
    {
        let read = of(escalate);
        assert_ne!(read.revision, plain.revision, "{escalate}");
        assert_eq!(read.counts != plain.counts, counts_anew, "{escalate}");
    }
    assert_eq!(of("[{at: 30, severity: warning}]").counts, of("[{at: 30, severity: critical}]").counts);
    assert_ne!(of("[{at: 30, severity: warning}]").counts, of("[{at: 31, severity: warning}]").counts);
}

#[test]
fn the_ring_is_as_large_as_the_highest_step() {
    let bytes =
        |more: &str| WorstCase::of(&rule(&format!("severity: info\n{more}")), &StateLimits::default()).group_bytes;
    let plain = bytes(COUNT);
    assert_eq!(bytes(&format!("{COUNT}\nescalate: [{{at: 100, severity: critical}}]")), plain + 8 * 80);
    assert_eq!(bytes(&format!("{COUNT}\nescalate: [{{after: 1h, severity: critical}}]")), plain);
    let distinct = "signal: auth.attempt\nthreshold: {distinct: {field: user_hash, at_least: 20}, within: 10m}";
    let steps = "escalate: [{at: 40, severity: warning}, {at: 100, severity: critical}]";
    assert_eq!(bytes(&format!("{distinct}\n{steps}")), bytes(distinct) + 24 * 80);
}
