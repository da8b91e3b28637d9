//! Thresholds of sums, ratios and percentiles, and of several measures: what is read, and what is refused.

use logystera_processor::core::Condition::{self, Count, Distinct, Percentile, Ratio, Sum};

use super::accepted::rule;
use crate::{from_canonical, from_yaml};

fn text(threshold: &str) -> String {
    format!(
        "format: 1\nrules:\n- name: r\n  title: T\n  subsystem: s\n  message: m\n  signal: http.request\n  \
         where: {{status: {{gte: 200}}}}\n  group_by: [method]\n  threshold: {threshold}\n"
    )
}

/// The canonical form of a threshold.
fn canonical(threshold: &str) -> String {
    let body = from_yaml(&[("t.yaml", &text(threshold))]).unwrap_or_else(|e| panic!("{threshold}: {e:#?}")).body;
    let again = from_canonical(&body).unwrap();
    assert_eq!(again.rules[0].condition, from_yaml(&[("t.yaml", &text(threshold))]).unwrap().rules[0].condition);
    let start = body.find("\"threshold\":").unwrap() + 12;
    body[start..body.find(",\"title\"").unwrap()].to_owned()
}

/// The code and the column of each error.
fn refused(threshold: &str) -> Vec<String> {
    let errors = from_yaml(&[("t.yaml", &text(threshold))]).unwrap_err();
    errors.iter().map(|e| format!("{} {}", e.code, e.problem)).collect()
}

#[test]
fn each_measure_has_one_canonical_form() {
    for (threshold, expected) in [
        (
            "{sum: {field: duration_ms, at_least: 600000}, within: 10m}",
            r#"{"sum":{"at_least":600000,"field":"duration_ms"},"within":"10m"}"#,
        ),
        (
            "{within: 10m, ratio: {min: 20, at_least: 2.50%, of: {status: {gte: 500}}}, resolution: 20s}",
            r#"{"ratio":{"at_least":"2.5%","min":20,"of":{"status":{"gte":500}}},"within":"10m"}"#,
        ),
        (
            "{ratio: {of: {status: {gte: 500}}, at_least: 100%, min: 1}, within: 10m, resolution: 1m}",
            r#"{"ratio":{"at_least":"100%","min":1,"of":{"status":{"gte":500}}},"resolution":"1m","within":"10m"}"#,
        ),
        (
            "{percentile: {field: duration_ms, p: 99.9, at_least: 3000, min: 50}, within: 1h}",
            r#"{"percentile":{"at_least":3000,"field":"duration_ms","min":50,"p":"99.9"},"within":"1h"}"#,
        ),
        (
            "{distinct: {field: source, at_least: 3}, count: 300, percentile: {field: duration_ms, p: 95.0, at_least: 3000, min: 5}, within: 10m}",
            r#"{"count":300,"distinct":{"at_least":3,"field":"source"},"percentile":{"at_least":3000,"field":"duration_ms","min":5,"p":"95"},"within":"10m"}"#,
        ),
        (
            "{count: 3, sum: {field: duration_ms, at_least: 5}, within: 10m, resolution: 10s}",
            r#"{"count":3,"resolution":"10s","sum":{"at_least":5,"field":"duration_ms"},"within":"10m"}"#,
        ),
    ] {
        assert_eq!(canonical(threshold), expected, "{threshold}");
    }
}

#[test]
fn a_pane_is_a_thirtieth_of_the_window_but_a_second_at_least_and_a_whole_part() {
    for (within, pane_ms) in [
        ("15m", 30_000),
        ("1m", 2_000),
        ("20s", 1_000),
        ("1s", 1_000),
        ("500ms", 500),
        ("100s", 4_000),
        ("1009ms", 1_009),
    ] {
        let rule = rule(&format!(
            "signal: mail.outcome\nthreshold: {{ratio: {{of: {{outcome: failed}}, at_least: 5%, min: 20}}, within: {within}}}"
        ));
        let Condition::Ratio { pane_ms: pane, .. } = rule.condition else { panic!("{within}") };
        assert_eq!(pane, pane_ms, "{within}");
    }
}

#[test]
fn the_count_of_an_episode_is_that_of_the_first_measure() {
    let rule = rule(
        "signal: mail.outcome\nthreshold: {count: 9, distinct: {field: recipients, at_least: 2}, sum: {field: recipients, at_least: 5}, \
         ratio: {of: {outcome: failed}, at_least: 5%, min: 20}, percentile: {field: recipients, p: 50, at_least: 9, min: 1}, within: 1m}",
    );
    let Condition::All(measures) = rule.condition else { panic!("{:?}", rule.condition) };
    let [Ratio { .. }, Percentile { .. }, Count { .. }, Sum { .. }, Distinct { .. }] = measures.as_slice() else {
        panic!("{measures:?}")
    };
}

#[test]
fn a_part_that_where_makes_always_true_or_never_is_refused() {
    let ratio = |of: &str| format!("{{ratio: {{of: {of}, at_least: 5%, min: 20}}, within: 1m}}");
    for (threshold, expected) in [
        (ratio("{status: {gte: 200}}"), "E406 `of` is true of every signal that passes `where`"),
        (ratio("{status: {gte: 150}}"), "E406 `of` is true of every signal that passes `where`"),
        (ratio("{status: {lt: 200}}"), "E406 `of` is true of no signal that passes `where`"),
        (ratio("{}"), "E306 an empty `of` is every match"),
        (ratio("{status: {lt: 200}, method: GET}"), "E406 `of` is true of no signal that passes `where`"),
        (
            "{percentile: {field: status, p: 50, at_least: 200, min: 20}, within: 1m}".to_owned(),
            "E406 `at_least` is true of every signal that passes `where`",
        ),
    ] {
        assert_eq!(refused(&threshold), [expected], "{threshold}");
    }
    // A set that was published before the checker knew stays readable.
    let body = from_yaml(&[("t.yaml", &text(&ratio("{status: {gte: 500}}")))]).unwrap().body;
    assert!(from_canonical(&body.replace(r#""of":{"status":{"gte":500}}"#, r#""of":{"status":{"gte":200}}"#)).is_ok());
}

#[test]
fn numbers_that_cannot_be_are_refused() {
    let ratio =
        |at_least: &str| format!("{{ratio: {{of: {{status: 500}}, at_least: {at_least}, min: 20}}, within: 1m}}");
    let percentile = |rest: &str| format!("{{percentile: {{{rest}}}, within: 1m}}");
    for (threshold, expected) in [
        (ratio("0.05"), "E213 `at_least` of a ratio is a percentage"),
        (ratio("5"), "E213 `at_least` of a ratio is a percentage"),
        (ratio("[5%]"), "E213 `at_least` of a ratio is a percentage"),
        (ratio("2.555%"), "E213 `at_least` of a ratio is a percentage"),
        (ratio("-5%"), "E213 `at_least` of a ratio is a percentage"),
        (ratio("0.5%"), "E205 `at_least` is from 1% to 100%"),
        (ratio("100.01%"), "E205 `at_least` is from 1% to 100%"),
        ("{ratio: {of: {status: 500}, at_least: 5%, min: 0}, within: 1m}".to_owned(), "E205 `min` is at least 1"),
        ("{ratio: {of: {status: 500}, at_least: 5%}, within: 1m}".to_owned(), "E202 `ratio` needs `min`"),
        (percentile("field: duration_ms, p: 49.9, at_least: 9, min: 1"), "E205 `p` is from 50 to 99.9"),
        (percentile("field: duration_ms, p: 100, at_least: 9, min: 1"), "E205 `p` is from 50 to 99.9"),
        (
            percentile("field: duration_ms, p: 99.99, at_least: 9, min: 1"),
            "E212 `p` is a number with at most one decimal, not a number",
        ),
        (percentile("field: duration_ms, p: 95, at_least: 0, min: 1"), "E205 `at_least` is at least 1"),
        (percentile("field: path, p: 95, at_least: 9, min: 1"), "E405 `path` is an identifier, and no number"),
        ("{sum: {field: source, at_least: 5}, within: 1m}".to_owned(), "E405 `source` is a hash, and no number"),
        (
            "{sum: {field: repeats, at_least: 5}, within: 1m}".to_owned(),
            "E405 `repeats` is how many signals one stands for",
        ),
        ("{sum: {field: duration_ms, at_least: 0}, within: 1m}".to_owned(), "E205 `at_least` is at least 1"),
        (
            "{sum: {field: duration_ms, at_least: 1000000000000001}, within: 1m}".to_owned(),
            "E205 `at_least` is at most 1000000000000000",
        ),
        (
            "{sum: {field: duration_ms, at_least: 5}, within: 1m, resolution: 7s}".to_owned(),
            "E404 `within`, 1m, is no multiple of `resolution`, 7s",
        ),
        (
            "{count: 5, sum: {field: duration_ms, at_least: 5}, within: 7d, resolution: 1m}".to_owned(),
            "E404 a window of 10080 panes; it has at most 720",
        ),
    ] {
        assert_eq!(refused(&threshold), [expected], "{threshold}");
    }
}
