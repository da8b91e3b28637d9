//! Each kind of warning as a table: what is warned of, and what stands close to it and is not.

use crate::{Code, check};

/// The codes of the warnings about a rule of these lines; of what it lacks, the rest is given.
fn codes(rule: &str) -> Vec<&'static str> {
    let head = "format: 1\nrules:\n- name: r\n  title: T\n  severity: info\n  subsystem: s\n  message: m\n";
    let checked = check(&[("t.yaml", &format!("{head}{rule}"))]);
    assert!(checked.set.is_some(), "{rule}: {:#?}", checked.diagnostics);
    checked.diagnostics.iter().map(|d| d.code.as_str()).collect()
}

/// A rule on a signal with this test.
fn tested(signal: &str, tests: &str) -> String {
    format!("  signal: {signal}\n  where: {{{tests}}}\n  threshold: {{count: 1, within: 1m}}\n")
}

#[test]
fn values_that_no_signal_has() {
    for (signal, tests, wanted) in [
        ("http.request", "path: /a/*.sql", vec!["W101"]),
        ("http.request", "path: {not: {prefix: /a/**}}", vec!["W101"]),
        ("http.request", "path: [/reset/*, /a/*/b]", vec![]),
        ("http.request", "user_agent: a*b", vec![]),
        ("http.request", "path: {prefix: /%2E}", vec!["W102"]),
        ("http.request", "path: /a%20b%2fc%", vec![]),
        ("user.change", "role: editr", vec!["W103"]),
        ("user.change", "role: Editor", vec!["W103"]),
        ("user.change", "role: [editor, wholesale_buyer]", vec![]),
        ("component.lifecycle", "slug: WooCommerce", vec!["W103"]),
        ("component.lifecycle", "slug: woocommerce", vec![]),
        ("component.lifecycle", "to_version: [6.8, 6.8.1]", vec!["W104"]),
        ("component.lifecycle", "to_version: ['6.8', 6.8.1]", vec![]),
        ("integration.dropped", "since: {lt: 1767225600000}", vec!["W105"]),
        ("integration.dropped", "count: {gte: 1000000000}", vec![]),
    ] {
        assert_eq!(codes(&tested(signal, tests)), wanted, "{tests}");
    }
}

#[test]
fn tests_that_nothing_or_everything_passes() {
    for (signal, tests, wanted) in [
        ("http.request", "status: {not: {gte: 101}}", vec![]),
        ("http.request", "status: {gte: 100, lte: 599}", vec!["W202"]),
        ("http.request", "status: {gte: 100, lte: 598}", vec![]),
        ("cron.run", "outcome: [ok, failed, missed]", vec!["W202"]),
        ("cron.run", "outcome: {not: [ok, failed]}", vec![]),
        // Whether a field is there is a test, too.
        ("mail.outcome", "error_class: [auth, connect, rejected, timeout, other]", vec![]),
        ("mail.outcome", "error_class: {not: [auth, connect, rejected, timeout, other]}", vec![]),
        (
            "file.edit",
            "heuristics: [php_in_uploads, obfuscated, encoded_payload, permission_change, core_file]",
            vec![],
        ),
        ("auth.attempt", "source: {not: 6a1f0c52e8d94b7fa1c3d5e7f9012345}", vec![]),
    ] {
        assert_eq!(codes(&tested(signal, tests)), wanted, "{tests}");
    }
}

#[test]
fn conditions_that_are_seldom_or_never_true() {
    let distinct = |tests: &str, at_least: u32| {
        format!(
            "  signal: auth.attempt\n  where: {{{tests}}}\n  threshold: {{distinct: {{field: method, at_least: {at_least}}}, within: 1h}}\n"
        )
    };
    for (rule, wanted) in [
        (distinct("method: [form, rest]", 3), vec!["W203"]),
        (distinct("method: [form, rest]", 2), vec![]),
        (distinct("method: {not: [form, rest]}", 7), vec!["W203"]),
        (distinct("method: {not: [form, rest]}", 6), vec![]),
        ("  signal: cron.run\n  threshold: {count: 20001, within: 1s, resolution: 1s}\n".to_owned(), vec!["W204"]),
        ("  signal: cron.run\n  threshold: {count: 20000, within: 1s, resolution: 1s}\n".to_owned(), vec![]),
        ("  signal: cron.run\n  threshold: {count: 2, within: 5m}\n  for: 5m\n".to_owned(), vec!["W205"]),
        ("  signal: cron.run\n  threshold: {count: 2, within: 5m}\n  for: 6m\n".to_owned(), vec![]),
        ("  signal: cron.run\n  threshold: {count: 1, within: 5m}\n  suppress: 0s\n".to_owned(), vec!["W212"]),
        ("  signal: cron.run\n  threshold: {count: 2, within: 5m}\n  suppress: 0s\n".to_owned(), vec![]),
    ] {
        assert_eq!(codes(&rule), wanted, "{rule}");
    }
}

#[test]
fn groups_that_are_none() {
    let grouped = |signal: &str, tests: &str, by: &str| {
        format!("  signal: {signal}\n  where: {{{tests}}}\n  group_by: [{by}]\n  threshold: {{count: 9, within: 1m}}\n")
    };
    for (signal, tests, by, wanted) in [
        ("auth.attempt", "outcome: failure", "outcome", vec!["W207"]),
        ("auth.attempt", "outcome: {not: success}", "outcome", vec![]),
        ("auth.attempt", "reason: blocked", "reason", vec!["W207"]),
        ("auth.attempt", "reason: {not: [blocked, other]}", "reason", vec!["W208"]),
        ("auth.attempt", "reason: [blocked, other]", "reason", vec![]),
        ("http.request", "status: 404", "source", vec!["W208"]),
        ("auth.attempt", "outcome: failure", "source", vec![]),
        ("http.request", "path: /a", "path", vec!["W207"]),
        ("http.request", "path: {prefix: /a}", "path", vec![]),
    ] {
        assert_eq!(codes(&grouped(signal, tests, by)), wanted, "{tests} by {by}");
    }
}

#[test]
fn absences_that_are_none() {
    for (rule, wanted) in [
        ("  signal: mail.outcome\n  where: {outcome: failed}\n  absent: {for: 1h, expected: always}\n", vec!["W209"]),
        (
            "  signal: mail.outcome\n  where: {outcome: {not: sent}}\n  absent: {for: 1h, expected: always}\n",
            vec!["W209"],
        ),
        ("  signal: mail.outcome\n  where: {outcome: {not: failed}}\n  absent: {for: 1h, expected: always}\n", vec![]),
        ("  signal: mail.outcome\n  absent: {for: 1h, expected: always}\n", vec![]),
        (
            "  signal: php.error\n  group_by: [message_hash]\n  absent: {for: 1h, expected: once_seen, forget_after: 1d}\n",
            vec!["W210"],
        ),
        ("  signal: cron.run\n  group_by: [job]\n  absent: {for: 1h, expected: once_seen, forget_after: 1d}\n", vec![]),
        ("  signal: cron.run\n  where: {job: a}\n  absent: {for: 1h, expected: once_seen}\n", vec!["W211"]),
        ("  signal: cron.run\n  where: {job: {not: a}}\n  absent: {for: 1h, expected: once_seen}\n", vec![]),
        ("  signal: cron.run\n  where: {job: a}\n  absent: {for: 1h, expected: always}\n", vec![]),
    ] {
        assert_eq!(codes(rule), wanted, "{rule}");
    }
}

#[test]
fn two_rules_that_say_the_same() {
    let rule = |name: &str, rest: &str| {
        format!("- {{name: {name}, title: T, subsystem: s, message: m, signal: cron.run, {rest}}}\n")
    };
    let base = "severity: info, threshold: {count: 2, within: 1m}";
    for (rest, warned) in [
        (base, true),
        // The same in other words, and told otherwise.
        ("severity: info, threshold: {within: 60s, count: 2}, where: {}, suppress: 2h", true),
        ("severity: critical, threshold: {count: 2, within: 1m}", false),
        ("severity: info, threshold: {count: 3, within: 1m}", false),
        ("severity: info, threshold: {count: 2, within: 1m}, for: 2m", false),
        ("severity: info, threshold: {count: 2, within: 1m}, where: {outcome: ok}", false),
    ] {
        let one = format!("format: 1\nrules:\n{}", rule("one", base));
        let two = format!("format: 1\nrules:\n{}", rule("two", rest));
        let checked = check(&[("a.yaml", &one), ("b.yaml", &two)]);
        let found: Vec<(Code, &str)> = checked.diagnostics.iter().map(|d| (d.code, d.file.as_str())).collect();
        let wanted = if warned { vec![(Code::SameAsAnother, "b.yaml")] } else { vec![] };
        assert_eq!(found, wanted, "{rest}");
    }
}

/// What was published once can be read for ever: no warning keeps a set from its sites.
#[test]
fn warnings_are_no_errors() {
    let text = include_str!("../../tests/silent/same-as-other.yaml");
    let checked = check(&[("t.yaml", text)]);
    assert!(checked.diagnostics.iter().all(|d| d.code.is_warning()) && !checked.diagnostics.is_empty());
    let body = checked.set.map(|set| set.body).unwrap_or_default();
    assert_eq!(crate::from_canonical(&body).map_or(0, |set| set.rules.len()), 2);
}
