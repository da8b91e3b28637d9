//! Metrics: what is refused and how that reads, and what is accepted and what it becomes.

use logystera_processor::core::{Metric, RuleSet};
use logystera_schemas::catalogue::SignalType;
use logystera_schemas::limits::{
    METRIC_BUCKETS_MAX, METRIC_LABELS_MAX, METRIC_NAME_CHARS_MAX, METRICS_MAX, SITE_SERIES_MAX,
};
use logystera_schemas::series::NONE;

use super::accepted::set;
use crate::{Code, check, from_canonical};

/// The codes and problems that a file with these metrics gives.
fn said(metrics: &str) -> Vec<(Code, String)> {
    let text = format!("format: 1\nmetrics:\n{metrics}");
    check(&[("t.yaml", &text)]).diagnostics.into_iter().map(|d| (d.code, d.problem)).collect()
}

/// A counter of http.request with these labels.
fn labelled(labels: &str) -> String {
    format!("- {{name: m, signal: http.request, type: counter, labels: {{{labels}}}}}\n")
}

#[test]
fn error_class_auth_other_is_refused_and_all_is_fine() {
    let mails = |values: &str| {
        format!("- {{name: m, signal: mail.outcome, type: counter, labels: {{error_class: {values}}}}}\n")
    };
    assert_eq!(
        said(&mails("[auth, other]")),
        [(Code::ReservedValue, "`other` stands for what is not declared".to_owned())]
    );
    assert_eq!(
        said(&mails("[none]")),
        [(Code::ReservedValue, "`none` stands for a signal that lacks the field".to_owned())]
    );
    let set = set(&format!("format: 1\nmetrics:\n{}", mails("all")));
    let names = set.metrics[0].labels[0].names(set.metrics[0].signal);
    assert_eq!(names, ["auth", "connect", "rejected", "timeout", "other", "none"], "the symbol, and no bucket");
}

#[test]
fn three_labels_of_20_10_and_10_are_refused_and_the_product_is_shown() {
    let list =
        |prefix: &str, n: usize| format!("[{}]", (0..n).map(|i| format!("{prefix}{i}")).collect::<Vec<_>>().join(", "));
    let labels = format!("path: {}, route_group: {}, status: [{}]", list("/", 20), list("g", 10), numbers(200, 10));
    let problem = "`m` can have 21 × 11 × 11 = 2541 series; a metric has at most 1000";
    assert_eq!(said(&labelled(&labels)), [(Code::TooManySeries, problem.to_owned())]);
}

fn numbers(from: usize, count: usize) -> String {
    (from..from + count).map(|n| n.to_string()).collect::<Vec<_>>().join(", ")
}

#[test]
fn a_site_has_so_many_series_and_the_sum_is_shown() {
    let of = |n: usize, values: usize| {
        format!(
            "- {{name: m{n}, signal: http.request, type: counter, labels: {{status: [{}], method: all}}}}\n",
            numbers(200, values)
        )
    };
    // 8 × (99 + 1) and 8 × (24 + 1).
    let fits: String = (0..6).map(|n| of(n, 99)).chain([of(6, 24)]).collect();
    assert_eq!(said(&fits), []);
    assert_eq!(
        set(&format!("format: 1\nmetrics:\n{fits}")).metrics.iter().map(Metric::series_max).sum::<usize>(),
        SITE_SERIES_MAX
    );
    let problem = "with `m7` the metrics can have 800 + 800 + 800 + 800 + 800 + 800 + 200 + 1 = 5001 series; a site has at most 5000";
    let more = format!("{fits}- {{name: m7, signal: http.request, type: counter}}\n");
    assert_eq!(said(&more), [(Code::TooManySeries, problem.to_owned())]);
}

#[test]
fn overlapping_ranges_and_unsorted_buckets_are_errors() {
    let times = |buckets: &str| {
        format!("- {{name: m, signal: http.request, type: distribution, field: duration_ms, buckets: {buckets}}}\n")
    };
    for (metric, code, problem) in [
        (labelled("status: {a: {lt: 300}, b: {gte: 299}}"), Code::RangesOverlap, "the ranges `a` and `b` overlap"),
        (
            labelled("status: {b: {gte: 200}, a: {gte: 250, lt: 260}}"),
            Code::RangesOverlap,
            "the ranges `b` and `a` overlap",
        ),
        (times("[300, 100]"), Code::BadBuckets, "100 stands behind 300"),
        (times("[100, 100]"), Code::BadBuckets, "100 stands behind 100"),
        (times("[]"), Code::BadBuckets, "a distribution has at least one bucket"),
        (
            times(&format!("[{}]", numbers(1, METRIC_BUCKETS_MAX + 1))),
            Code::TooMany,
            "`buckets` has 21 entries; it has at most 20",
        ),
    ] {
        assert_eq!(said(&metric), [(code, problem.to_owned())], "{metric}");
    }
    assert_eq!(said(&times(&format!("[{}]", numbers(1, METRIC_BUCKETS_MAX)))), []);
}

#[test]
fn what_makes_no_label_is_refused() {
    for (labels, code, problem) in [
        ("source: all", Code::NotALabel, "`source` is a hash, and no label"),
        ("flags: all", Code::NotALabel, "`flags` is a list of symbols, and no label"),
        (
            "route_group: all",
            Code::NotALabel,
            "`all` of `route_group`, which is an identifier: nobody knows how many that are",
        ),
        ("status: all", Code::NotALabel, "`all` of `status`, which is a number: nobody knows how many that are"),
        ("method: {a: {gte: 1}}", Code::NotALabel, "`method` is a symbol; it has no ranges"),
        ("status: {}", Code::NotALabel, "a label has from 1 to 100 ranges"),
        ("status: {a: 200}", Code::NotALabel, "`a` is a range"),
        ("status: {a: {not: {gte: 200}}}", Code::NotALabel, "a label has values, and no `not`"),
        ("status: {other: {gte: 200}}", Code::ReservedValue, "`other` stands for what is not declared"),
        ("status: {A: {gte: 200}}", Code::BadName, "the name of a range is 1 to 64 of a-z 0-9 _ -"),
        ("method: GET", Code::WrongKind, "the values of `method` are a list, named ranges, or `all`"),
        ("method: [GETT]", Code::UnknownWord, "`method` cannot be `GETT`"),
        ("colour: [red]", Code::UnknownField, "http.request has no field `colour`"),
        ("status: [99]", Code::OutOfRange, "`status` is at least 100"),
        ("method: []", Code::EmptyTest, "an empty list matches nothing"),
    ] {
        assert_eq!(said(&labelled(labels)), [(code, problem.to_owned())], "{labels}");
    }
    let five = "method: all, bot: all, status: [200], action: [a], route_group: [b]";
    let problem = format!("`labels` has 5 entries; it has at most {METRIC_LABELS_MAX}");
    assert_eq!(said(&labelled(five)), [(Code::TooMany, problem)]);
    let both = "- {name: m, signal: auth.attempt, type: counter, labels: {privileged: [true, false]}}\n";
    assert_eq!(said(both), [(Code::NotALabel, "`privileged` is true or false".to_owned())]);
}

#[test]
fn what_is_no_metric_is_refused() {
    for (keys, codes) in [
        ("name: m, signal: http.request", &[Code::MissingKey][..]),
        ("name: M-1, signal: http.request, type: counter", &[Code::BadName]),
        ("name: 1m, signal: http.request, type: counter", &[Code::BadName]),
        ("name: m, signal: http.requests, type: counter", &[Code::UnknownSignal]),
        ("name: m, signal: http.request, type: gauge", &[Code::UnknownWord]),
        (
            "name: m, signal: http.request, type: counter, buckets: [1], field: status",
            &[Code::KeyDoesNotFit, Code::KeyDoesNotFit],
        ),
        ("name: m, signal: http.request, type: distribution", &[Code::MissingKey, Code::MissingKey]),
        ("name: m, signal: http.request, type: distribution, field: method, buckets: [1]", &[Code::NotCountable]),
        ("name: m, signal: http.request, type: distribution, field: repeats, buckets: [1]", &[Code::NotCountable]),
        ("name: m, signal: http.request, type: counter, where: {not: {status: {gte: 100}}}", &[Code::NeverHolds]),
        ("name: m, signal: http.request, type: counter, help: x", &[Code::UnknownKey]),
    ] {
        let said: Vec<Code> = said(&format!("- {{{keys}}}\n")).into_iter().map(|(code, _)| code).collect();
        assert_eq!(said, codes, "{keys}");
    }
    let named = |n: usize| format!("- {{name: {}, signal: cron.run, type: counter}}\n", "m".repeat(n));
    assert_eq!(said(&named(METRIC_NAME_CHARS_MAX)), []);
    assert_eq!(said(&named(METRIC_NAME_CHARS_MAX + 1)).len(), 1);
    assert_eq!(said(&[named(3), named(3)].concat())[0].0, Code::SameName);
    let many = |n: usize| {
        (0..n).map(|n| format!("- {{name: m{n}, signal: cron.run, type: counter}}\n")).collect::<Vec<_>>().concat()
    };
    assert_eq!(said(&many(METRICS_MAX)), []);
    assert_eq!(said(&many(METRICS_MAX + 1))[0].0, Code::TooMany);
}

#[test]
fn what_metrics_can_take_is_no_rules_and_bounded() {
    let text = |site_bytes: usize, ends: usize| {
        format!(
            "format: 1\nlimits: {{site_bytes: {site_bytes}}}\nmetrics:\n- {{name: m, signal: http.request, type: distribution, \
             field: duration_ms, buckets: [{}], labels: {{method: all, status: [{}]}}}}\n",
            numbers(1, ends),
            numbers(200, 99)
        )
    };
    // 800 series of 24 numbers of 8 bytes, in two minutes; and what a site's rules have at least.
    let least = 800 * 24 * 8 * 2 + 65_536;
    assert_eq!(set(&text(least, 20)).metrics[0].bytes_max(), 307_200);
    let problem = format!(
        "with `m` the metrics can take 307200 bytes; of `site_bytes: {}` that leaves rules less than 65536",
        least - 1
    );
    let said: Vec<_> =
        check(&[("t", &text(least - 1, 20))]).diagnostics.into_iter().map(|d| (d.code, d.problem)).collect();
    assert_eq!(said, [(Code::TooCostly, problem)]);
}

#[test]
fn the_canonical_form_of_metrics_reads_back_as_itself() {
    let text = "format: 1\nmetrics:\n\
        - {name: b, signal: http.request, where: {path: /}, type: distribution, field: duration_ms, buckets: [1, 20], \
           labels: {status: {4xx: {gte: 400, lt: 500}, 2xx: {gte: 200, lt: 300}, low: {lt: 200}}, method: [POST, GET], route_group: [b, a]}}\n\
        - {name: a, signal: auth.attempt, type: counter, labels: {privileged: [true], outcome: all, user_length: [3, 2]}}\n";
    let set = set(text);
    let again = from_canonical(&set.body).unwrap();
    assert_eq!(again.body, set.body);
    let shown = |set: &RuleSet| format!("{:?}", set.metrics);
    assert_eq!(shown(&again), shown(&set));
    insta::assert_snapshot!(set.body, @r#"{"disabled":[],"format":1,"limits":{"rule_groups":1000,"site_bytes":4194304,"site_groups":5000},"metrics":[{"labels":{"outcome":"all","privileged":[true],"user_length":[2,3]},"name":"a","signal":"auth.attempt","type":"counter"},{"buckets":[1,20],"field":"duration_ms","labels":{"method":["GET","POST"],"route_group":["a","b"],"status":{"2xx":{"gte":200,"lte":299},"4xx":{"gte":400,"lte":499},"low":{"lte":199}}},"name":"b","signal":"http.request","type":"distribution","where":{"path":["/"]}}],"rules":[]}"#);
    // A set without metrics is what it was.
    assert!(!super::accepted::set("format: 1\nrules: []\n").body.contains("metrics"));
}

/// Else a label of such a symbol could not be told from what is not there.
#[test]
fn no_symbol_is_called_none() {
    for signal in SignalType::all() {
        for field in &signal.def().fields {
            assert!(!field.kind.symbols().iter().any(|symbol| symbol == NONE), "{}", field.name);
        }
    }
}
