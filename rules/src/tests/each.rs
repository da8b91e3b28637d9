//! Rules that tell each match: what they may say, what is refused, and what their canonical form leaves out.

use crate::{check, from_canonical, from_yaml};

fn file(rule: &str) -> String {
    format!(
        "format: 1\nrules:\n- name: r\n  title: T\n  severity: info\n  subsystem: s\n  signal: user.change\n  evidence: [action]\n{rule}"
    )
}

/// The codes and problems of such a rule.
fn said(rule: &str) -> Vec<String> {
    let checked = check(&[("t.yaml", &file(rule))]);
    assert!(
        checked.diagnostics.iter().all(|one| one.help.is_some()),
        "each says the way out: {:#?}",
        checked.diagnostics
    );
    checked.diagnostics.iter().map(|one| format!("{} {}", one.code, one.problem)).collect()
}

#[test]
fn what_goes_with_each_and_what_does_not() {
    for (rule, expected) in [
        ("  each: {}\n  message: m\n", vec![]),
        ("  each: {}\n  suppress: 0s\n  group_by: [role]\n  message: '{count} {role} {site}'\n", vec![]),
        ("  each: {}\n  for: 5m\n  message: m\n", vec!["E403 `for` beside `each`"]),
        ("  each: {}\n  for: 0s\n  message: m\n", vec!["E403 `for` beside `each`"]),
        ("  each: {}\n  resolve_after: 0s\n  message: m\n", vec!["E403 `resolve_after` beside `each`"]),
        ("  each: {}\n  message: '{count} within {within}'\n", vec!["E504 `each` has no window"]),
        (
            "  each: {}\n  threshold: {count: 1, within: 1m}\n  message: m\n",
            vec!["E401 `threshold` and `each` in one rule"],
        ),
        (
            "  each: {}\n  absent: {for: 1h, expected: once_seen}\n  message: m\n",
            vec!["E401 `absent` and `each` in one rule"],
        ),
        ("  each: {count: 5}\n  message: m\n", vec!["E201 `each` has no `count`"]),
        ("  message: m\n", vec!["E402 a rule needs `threshold`, `absent` or `each`"]),
        ("  each: {}\n  message: '{withn}'\n", vec!["E501 `message` has nothing called `withn`"]),
    ] {
        assert_eq!(said(rule), expected, "{rule}");
    }
    let nothing = check(&[("t.yaml", &file("  each:\n  message: m\n"))]).diagnostics;
    assert_eq!(nothing[0].problem, "`each` is a map of keys and values, not nothing");
}

#[test]
fn the_default_of_suppress_is_ten_minutes_and_what_it_lacks_is_left_out() {
    let set = from_yaml(&[("t.yaml", &file("  each: {}\n  message: m\n"))]).unwrap();
    let rule = &set.rules[0];
    assert_eq!((rule.for_ms, rule.suppress_ms, rule.resolve_after_ms), (0, 600_000, 0));
    assert!(set.body.contains("\"each\":{}") && set.body.contains("\"suppress\":\"10m\""), "{}", set.body);
    assert!(!set.body.contains("\"for\"") && !set.body.contains("\"resolve_after\""), "{}", set.body);
    assert_eq!(from_canonical(&set.body).unwrap().digest, set.digest);
    let named = from_yaml(&[("t.yaml", &file("  each: {}\n  suppress: 600s\n  message: m\n"))]).unwrap();
    assert_eq!(named.digest, set.digest);
}

/// What they count is what they were when they were published: a change would start every group anew.
#[test]
fn an_edit_of_suppress_leaves_what_is_counted() {
    let counts = |rule: &str| from_yaml(&[("t.yaml", &file(rule))]).unwrap().rules[0].counts;
    let ten = counts("  each: {}\n  message: m\n");
    assert_eq!(counts("  each: {}\n  suppress: 0s\n  message: other\n"), ten);
    assert_ne!(counts("  each: {}\n  group_by: [action]\n  message: m\n"), ten);
}

#[test]
fn what_a_test_says_that_is_told() {
    let notify = |told: &str| said(&format!("  each: {{}}\n  message: m\n  tests:\n  - name: t\n    notify: {told}\n"));
    for (told, expected) in [
        ("[]", vec![]),
        ("[{at: 0s, reason: firing}, {at: 10m, reason: suppression_expired, count: 2}]", vec![]),
        ("[{at: 0s}]", vec!["E202 what is told needs `reason`"]),
        ("[{reason: firing}]", vec!["E202 what is told needs `at`"]),
        ("[{at: 0s, reason: fired}]", vec!["E204 `reason` cannot be `fired`"]),
        ("[{at: 0s, reason: firing, state: firing}]", vec!["E201 what is told has no `state`"]),
    ] {
        assert_eq!(notify(told), expected, "{told}");
    }
    let neither = said("  each: {}\n  message: m\n  tests:\n  - name: t\n");
    assert_eq!(neither, ["E202 a test needs `expect`"]);
}
