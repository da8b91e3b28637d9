//! Tests of rule files as they are run: what passes, what fails, and what is said of it.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use logystera_rules::{DEFAULT_PACK, RuleTest, TestState, check};
use logystera_rules_test::{RuleResult, junit, run, shown};

/// Runs the tests of one file.
fn results(text: &str) -> Vec<RuleResult> {
    let checked = check(&[("t.yaml", text)]);
    assert!(checked.set.is_some(), "{:#?}", checked.diagnostics);
    checked.tests.iter().map(|tests| run(tests).unwrap()).collect()
}

/// What is said of the tests of one rule, of which the rest is given.
fn said(rule: &str) -> String {
    shown(&results(&format!("format: 1\nrules:\n- name: r\n  title: T\n  subsystem: s\n  message: m\n{rule}")), &[])
}

const MAIL: &str =
    "  signal: mail.outcome\n  where: {outcome: failed}\n  threshold: {count: 5, within: 10m}\n  tests:\n";

#[test]
fn an_expectation_that_fails_says_what_was_seen_and_why() {
    let failing = "signals: [{at: 0s, every: 1m, times: 5, outcome: failed}]";
    insta::assert_snapshot!(said(&format!("{MAIL}  - name: too soon\n    {failing}\n    expect: [{{at: 3m, state: firing}}]\n")), @r#"
    FAILED r: too soon
      --> t.yaml:13:14
          at 3m: expected firing, was inactive: 4 of 5 matches within 10m

    no test makes it fire: r
    1 test of 1 rule: 0 passed, 1 failed
    "#);
    insta::assert_snapshot!(said(&format!("{MAIL}  - name: too late\n    {failing}\n    expect: [{{at: 12m, state: inactive}}]\n")), @r#"
    FAILED r: too late
      --> t.yaml:13:14
          at 12m: expected inactive, was firing (the condition is false again, and
          the alert resolves at 25m): 2 of 5 matches within 10m; the first match, at
          0s, left at 10m

    1 test of 1 rule: 0 passed, 1 failed
    "#);
    insta::assert_snapshot!(said(&format!("{MAIL}  - name: spread\n    signals: [{{at: 0s, every: 3m, times: 5, outcome: failed}}]\n    expect: [{{at: 12m, state: firing}}]\n")), @r#"
    FAILED r: spread
      --> t.yaml:13:14
          at 12m: expected firing, was inactive: 4 of 5 matches within 10m; the
          first match, at 0s, left at 10m

    no test makes it fire: r
    1 test of 1 rule: 0 passed, 1 failed
    "#);
    insta::assert_snapshot!(said(&format!("{MAIL}  - name: others\n    signals: [{{at: 0s, times: 5, outcome: sent}}]\n    expect: [{{at: 1m, state: firing, count: 99}}]\n")), @r#"
    FAILED r: others
      --> t.yaml:13:14
          at 1m: expected firing with a count of 99, was inactive with a count of 0:
          0 of 5 matches within 10m; 5 of 5 signals do not pass `where`, such as
          {outcome: sent}

    no test makes it fire: r
    1 test of 1 rule: 0 passed, 1 failed
    "#);
    insta::assert_snapshot!(said(&format!("{MAIL}  - name: a count\n    {failing}\n    expect: [{{at: 4m, state: firing, count: 6}}, {{at: 4m, state: firing, count: 5}}]\n")), @r#"
    FAILED r: a count
      --> t.yaml:13:14
          at 4m: expected firing with a count of 6, was firing with a count of 5: 5
          of 5 matches within 10m

    1 test of 1 rule: 0 passed, 1 failed
    "#);
}

/// The file passes every check; only a run shows that its test is wrong.
#[test]
fn a_test_that_is_wrong_fails() {
    let text = include_str!("../../rules/tests/silent/test-wrong.yaml");
    insta::assert_snapshot!(shown(&results(text), &["other"]), @r#"
    FAILED test-wrong: wrong on purpose
      --> t.yaml:13:14
          at 1m: expected firing with a count of 99, was inactive with a count of 0:
          0 of 5 matches within 10m; 1 of 1 signal does not pass `where`, such as
          {outcome: sent}

    no test makes it fire: test-wrong
    no tests: other
    1 test of 1 rule: 0 passed, 1 failed
    "#);
}

#[test]
fn groups_and_kinds_of_conditions_have_their_reasons() {
    let spray = "  signal: auth.attempt\n  group_by: [source]\n  threshold: {distinct: {field: user_hash, at_least: 3}, within: 1h}\n  for: 1m\n  tests:\n  - name: two\n    signals:\n    - {at: 0s, outcome: failure, method: form, source: 00000000000000000000000000000001, user_hash: 0000000000000000000000000000000a}\n    - {at: 1s, outcome: failure, method: form, source: 00000000000000000000000000000001, user_hash: 0000000000000000000000000000000b}\n    - {at: 2s, outcome: failure, method: form, source: 00000000000000000000000000000002, user_hash: 0000000000000000000000000000000c}\n    expect:\n    - {at: 3s, state: firing}\n    - {at: 3s, state: pending, group: {source: 00000000000000000000000000000002}}\n";
    insta::assert_snapshot!(said(spray), @r#"
    FAILED r: two
      --> t.yaml:18:7
          at 3s: expected firing, was inactive: 2 of 3 values within 1h in the group
          that has most, {source: 00000000000000000000000000000001}; there are 2
          groups
      --> t.yaml:19:7
          at 3s: expected pending, was inactive: 1 of 3 values within 1h

    no test makes it fire: r
    1 test of 1 rule: 0 passed, 1 failed
    "#);
    let pending = "  signal: cron.run\n  threshold: {count: 2, within: 10m}\n  for: 5m\n  tests:\n  - name: not yet\n    signals: [{at: 0s, times: 2, job: a, outcome: ok}]\n    expect: [{at: 1m, state: firing}]\n";
    insta::assert_snapshot!(said(pending), @r#"
    FAILED r: not yet
      --> t.yaml:13:14
          at 1m: expected firing, was pending (the condition must hold until 5m): 2
          of 2 matches within 10m

    no test makes it fire: r
    1 test of 1 rule: 0 passed, 1 failed
    "#);
    let absent = "  signal: cron.run\n  absent: {for: 1h, expected: once_seen}\n  tests:\n  - name: never came\n    expect: [{at: 2h, state: firing}]\n  - name: came\n    signals: [{at: 10m, job: a, outcome: ok}]\n    expect: [{at: 1h, state: firing}, {at: 70m, state: firing}]\n";
    insta::assert_snapshot!(said(absent), @r#"
    FAILED r: never came
      --> t.yaml:11:14
          at 2h: expected firing, was inactive: no match came, and only what was
          seen once is missed

    FAILED r: came
      --> t.yaml:14:14
          at 1h: expected firing, was inactive: the last match came at 10m; 1h later
          it is missed

    2 tests of 1 rule: 0 passed, 2 failed
    "#);
    let blind = "  absent: {blind_after: 10m}\n  tests:\n  - name: silent\n    signals: [{at: 0s, every: 1m, times: 5}]\n    expect: [{at: 13m, state: firing}, {at: 15m, state: firing}]\n";
    insta::assert_snapshot!(said(blind), @r#"
    FAILED r: silent
      --> t.yaml:11:14
          at 13m: expected firing, was inactive: the site was heard last at 4m;
          silent is 10m

    1 test of 1 rule: 0 passed, 1 failed
    "#);
}

/// What is said of one failing expectation, on one line.
fn reason(threshold: &str, signals: &str) -> String {
    let said = said(&format!(
        "  signal: cron.run\n  threshold: {{{threshold}, within: 10m}}\n  tests:\n  - name: n\n    signals: [{signals}]\n    expect: [{{at: 1m, state: firing}}]\n"
    ));
    let words: Vec<&str> = said.split_whitespace().collect();
    let words = words.join(" ");
    let (_, reason) = words.split_once("expected firing, was inactive: ").expect(&words);
    reason.split_once(" no test makes it fire").unwrap().0.to_owned()
}

#[test]
fn sums_ratios_percentiles_and_several_measures_have_their_reasons() {
    let runs = "{at: 0s, times: 4, job: a, outcome: ok, duration_ms: 10}, {at: 30s, job: a, outcome: failed, duration_ms: 90, repeats: 2}, \
                {at: 50s, job: b, outcome: ok}";
    for (threshold, expected) in [
        ("sum: {field: duration_ms, at_least: 300}", "220 of a sum of 300 within 10m"),
        (
            "ratio: {of: {outcome: failed}, at_least: 50%, min: 5}",
            "judged last at 1m: 2 of 7 (28.57%) within 10m are of the part; 50% of at least 5 are wanted",
        ),
        (
            "percentile: {field: duration_ms, p: 95, at_least: 90, min: 7}",
            "judged last at 1m: 2 of 6 (33.33%) within 10m are 90 or more; more than 5% of at least 7 are wanted",
        ),
        (
            "count: 8, ratio: {of: {outcome: failed}, at_least: 20%, min: 5}",
            "judged last at 1m: 2 of 7 (28.57%) within 10m are of the part; 20% of at least 5 are wanted; 7 of 8 matches within 10m",
        ),
    ] {
        assert_eq!(reason(threshold, runs), expected, "{threshold}");
    }
    // What is asked for is there: the tests run it with the engine.
    let fires = "  signal: cron.run\n  threshold: {ratio: {of: {outcome: failed}, at_least: 25%, min: 5}, within: 10m}\n  tests:\n  - name: n\n    signals: [RUNS]\n    expect: [{at: 39s, state: inactive}, {at: 40s, state: firing, count: 2}]\n";
    assert!(said(&fires.replace("RUNS", runs)).contains("all passed"), "{}", said(&fires.replace("RUNS", runs)));
}

#[test]
fn build_servers_get_junit() {
    let text = format!(
        "format: 1\nrules:\n- name: r\n  title: T\n  subsystem: s\n  message: m\n{MAIL}  - name: 'quiet & \"fine\"'\n    expect: [{{at: 1m, state: inactive}}]\n  - name: <wrong>\n    expect: [{{at: 1m, state: firing}}]\n"
    );
    insta::assert_snapshot!(junit(&results(&text)), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="logystera rules test" tests="2" failures="1">
      <testsuite name="r" file="t.yaml" tests="2" failures="1">
        <testcase classname="r" name="quiet &amp; &quot;fine&quot;" file="t.yaml"/>
        <testcase classname="r" name="&lt;wrong&gt;" file="t.yaml">
          <failure message="at 1m: expected firing, was inactive: 0 of 5 matches within 10m">t.yaml:14:14</failure>
        </testcase>
      </testsuite>
    </testsuites>
    "#);
}

#[test]
fn the_tests_of_the_default_pack_pass_and_show_each_rule_firing_and_silent() {
    let checked = check(&DEFAULT_PACK);
    let names: Vec<&str> = checked.tests.iter().map(|tests| tests.rule.as_str()).collect();
    assert_eq!(names.len(), checked.set.unwrap().rules.len(), "only {names:?} have tests");
    let results: Vec<RuleResult> = checked.tests.iter().map(|tests| run(tests).unwrap()).collect();
    assert!(
        results.iter().all(|result| result.tests.iter().all(|test| test.failures.is_empty())),
        "{}",
        shown(&results, &[])
    );
    for tests in &checked.tests {
        let expects = |state| tests.tests.iter().any(|test| test.expect.iter().any(|expected| expected.state == state));
        let tells = |test: &RuleTest| test.notify.as_ref().map(|notify| !notify.told.is_empty());
        let fires = expects(TestState::Firing) || tests.tests.iter().any(|test| tells(test) == Some(true));
        assert!(fires, "{}: no test makes it fire", tests.rule);
        let is_inactive = |test: &RuleTest| test.expect.iter().all(|e| e.state == TestState::Inactive);
        let silent = tests.tests.iter().any(|test| match tells(test) {
            Some(tells) => !tells,
            None => is_inactive(test),
        });
        assert!(silent, "{}: no test leaves it silent", tests.rule);
    }
}

/// What `suppress` holds back is not told; that it is told later is.
#[test]
fn what_is_told_is_compared_in_order_with_its_times() {
    let each = "  signal: user.change\n  where: {action: created}\n  each: {}\n  tests:\n";
    let three = "signals: [{at: 0s, every: 1m, times: 3, action: created, role: admin, user_hash: 00000000000000000000000000000001}]";
    let right = "notify: [{at: 0s, reason: firing, count: 1}, {at: 10m, reason: suppression_expired, count: 2}]";
    insta::assert_snapshot!(said(&format!("{each}  - name: three\n    {three}\n    {right}\n")), @"1 test of 1 rule: all passed");
    let wrong =
        "notify: [{at: 0s, reason: firing}, {at: 1m, reason: firing}]\n    expect: [{at: 20m, state: inactive}]";
    insta::assert_snapshot!(said(&format!("{each}  - name: each by itself\n    {three}\n    {wrong}\n")), @r#"
    FAILED r: each by itself
      --> t.yaml:13:5
          expected to be told: firing at 0s, firing at 1m; was told: firing at 0s,
          suppression_expired at 10m

    1 test of 1 rule: 0 passed, 1 failed
    "#);
    let counted = "notify: [{at: 0s, reason: firing, count: 3}]";
    insta::assert_snapshot!(said(&format!("{each}  - name: one count\n    {three}\n    {counted}\n")), @r#"
    FAILED r: one count
      --> t.yaml:13:5
          expected to be told: firing at 0s with a count of 3; was told: firing at
          0s with a count of 1

    1 test of 1 rule: 0 passed, 1 failed
    "#);
}

#[test]
fn a_threshold_tells_of_its_end_too_and_a_group_can_be_named() {
    let failing = "signals: [{at: 0s, every: 1m, times: 5, outcome: failed}]\n    expect: [{at: 30m, state: inactive}]";
    let told = "notify: [{at: 4m, reason: firing, count: 5}, {at: 25m, reason: resolved}]";
    insta::assert_snapshot!(said(&format!("{MAIL}  - name: all\n    {failing}\n    {told}\n")), @"1 test of 1 rule: all passed");
    insta::assert_snapshot!(said(&format!("{MAIL}  - name: nothing\n    {failing}\n    notify: []\n")), @r#"
    FAILED r: nothing
      --> t.yaml:14:5
          expected to be told: nothing; was told: firing at 4m, resolved at 25m

    1 test of 1 rule: 0 passed, 1 failed
    "#);
    let grouped = "  signal: auth.attempt\n  group_by: [method]\n  each: {}\n  tests:\n";
    let two = "signals: [{at: 0s, outcome: failure, method: form}, {at: 1s, outcome: failure, method: rest}]";
    let told =
        "notify: [{at: 0s, reason: firing, group: {method: form}}, {at: 1s, reason: firing, group: {method: form}}]";
    insta::assert_snapshot!(said(&format!("{grouped}  - name: groups\n    {two}\n    {told}\n")), @r#"
    FAILED r: groups
      --> t.yaml:13:5
          expected to be told: firing at 0s of {method: form}, firing at 1s of
          {method: form}; was told: firing at 0s of {method: form}, firing at 1s of
          {method: rest}

    1 test of 1 rule: 0 passed, 1 failed
    "#);
}

/// Its state is firing while the suppression runs, and its count what that holds back.
#[test]
fn the_state_of_a_rule_that_tells_each_is_that_of_its_suppression() {
    let each = "  signal: user.change\n  each: {}\n  tests:\n";
    let three = "signals: [{at: 0s, every: 1m, times: 3, action: created, role: admin, user_hash: 00000000000000000000000000000001}]";
    let expect = "expect: [{at: 0s, state: firing, count: 0}, {at: 2m, state: firing, count: 2}, {at: 10m, state: firing, count: 0}, {at: 20m, state: inactive}]";
    insta::assert_snapshot!(said(&format!("{each}  - name: three\n    {three}\n    {expect}\n")), @"1 test of 1 rule: all passed");
}

/// A test of an absence may last for as long as that is remembered, and the reasons say what is missed.
#[test]
fn an_absence_is_tested_over_weeks_and_says_what_is_missed() {
    let job = |expect: &str| {
        format!(
            "  signal: cron.run\n  group_by: [job]\n  absent: {{for: 1h, expected: once_seen, forget_after: 14d}}\n  tests:\n  - name: gone\n    \
             signals: [{{at: 0s, job: a, outcome: ok}}]\n    expect: [{expect}]\n"
        )
    };
    let passes = said(&job("{at: 59m, state: inactive}, {at: 13d, state: firing}, {at: 14d, state: inactive}"));
    assert!(passes.ends_with("1 test of 1 rule: all passed\n"), "{passes}");
    let words = |said: &str| said.split_whitespace().collect::<Vec<_>>().join(" ");
    let forgotten = words(&said(&job("{at: 14d, state: firing}")));
    let reason = "the last match came at 0s; 1h later it is missed; 14d after it, it was forgotten";
    assert!(forgotten.contains(reason), "{forgotten}");
    let few = "  signal: cron.run\n  absent: {for: 1h, expected: always, at_most: 2}\n  tests:\n  - name: few\n    \
               signals: [{at: 30m, times: 2, job: a, outcome: ok}]\n    expect: [{at: 61m, state: inactive}]\n";
    let few = words(&said(few));
    assert!(few.contains("was firing: 2 of 3 matches within 1h"), "{few}");
    let values = "  signal: cron.run\n  group_by: [job]\n  absent: {for: 1h, expected: [a, b]}\n  tests:\n  - name: one\n    \
                  signals: [{at: 30m, job: c, outcome: ok}]\n    expect: [{at: 2h, state: inactive, group: {job: a}}]\n";
    let values = words(&said(values));
    assert!(values.contains("no match came; at 1h it is missed"), "{values}");
    // All else is tested over a week.
    for (condition, at, is_refused) in [
        ("threshold: {count: 1, within: 1m}", "8d", true),
        ("absent: {for: 1h, expected: always}", "181d", false),
        ("absent: {for: 1h, expected: always}", "182d", true),
    ] {
        let text = format!(
            "format: 1\nrules:\n- name: r\n  title: T\n  subsystem: s\n  message: m\n  signal: cron.run\n  {condition}\n  tests:\n  - name: n\n    \
             expect: [{{at: {at}, state: inactive}}]\n"
        );
        assert_eq!(check(&[("t.yaml", &text)]).set.is_none(), is_refused, "{condition} {at}");
    }
}
