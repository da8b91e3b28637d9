//! Files made to hurt, and every limit of the reader: reached, and passed by one.

use logystera_schemas::limits::{
    RULE_ERRORS_MAX, RULE_FILE_BYTES_MAX, RULE_FILE_NODES_MAX, RULE_SET_BYTES_MAX, RULE_TESTS_MAX, RULES_MAX,
    WHERE_VALUES_MAX,
};

use super::errors;
use crate::from_yaml;

/// The first line of each error.
fn problems(text: &str) -> Vec<String> {
    match from_yaml(&[("t.yaml", text)]) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.into_iter().map(|error| error.problem).collect(),
    }
}

#[test]
fn files_made_to_hurt_are_refused_at_once() {
    let laughs = (1..40).map(|i| format!("l{i}: &l{i} [*l{0}, *l{0}, *l{0}, *l{0}]\n", i - 1));
    let laughs = laughs.collect::<Vec<_>>().concat();
    let many = |text: &str| text.repeat(RULE_FILE_BYTES_MAX / text.len());
    for (text, problem) in [
        (format!("l0: &l0 [lol]\n{laughs}"), "an anchor"),
        (many("["), "this is not YAML: recursion limit exceeded"),
        (many("{"), "this is not YAML: recursion limit exceeded"),
        (many("- "), "more than 16 levels"),
        (many("? "), "more than 16 levels"),
        (many("a: "), "this is not YAML: mapping values are not allowed in this context"),
        (many("\t"), "the file is empty"),
        (many("\0"), "a control character, U+0000"),
        (many("\n"), "the file is empty"),
        (many("#"), "the file is empty"),
        (many("---\n"), "a second document"),
        (many("!a "), "a tag"),
        (many("&a "), "an anchor"),
        (many("a\n"), "a rule file is a map of keys and values, not text"),
        (
            format!("format: 1\nrules: [{{threshold: {{}}, signal: {}}}]", "k".repeat(1_000_000)),
            "there is no signal type `kkk",
        ),
        ("format: 1\n\"\\e[31m\": 1".to_owned(), "a rule file has no `\u{fffd}[31m`"),
        (many("'"), "a rule file is a map of keys and values, not text"),
        (many("\""), "this is not YAML: invalid trailing content after double-quoted scalar"),
        (many("|\n "), "a rule file is a map of keys and values, not text"),
        (many("%YAML 1.2\n"), "this is not YAML: duplicate version directive"),
        (
            "format: 1\u{feff}\nrules: []".to_owned(),
            "this is not YAML: a byte order mark must not appear inside a document",
        ),
        ("format: 1\rrules: []".to_owned(), "a control character, U+000D"),
    ] {
        let found = problems(&text);
        let head: String = text.chars().take(20).collect();
        assert!(found.iter().any(|p| p.starts_with(problem)), "{head:?}: {:?}", found.first());
        assert!(found.iter().all(|p| p.chars().count() < 500), "{head:?}");
    }
}

/// Reaching a limit is accepted, one more is refused.
/// Any megabyte is answered soon: nothing is done for each error that is only counted, however long the line is.
#[test]
#[expect(clippy::disallowed_methods, reason = "a test measures")]
fn a_megabyte_of_anything_is_answered_soon() {
    let keys = |n: usize| (0..n).map(|i| format!("k{i}: 1, ")).collect::<Vec<_>>().concat();
    let rule = |rest: &str| {
        format!("format: 1\nrules: [{{name: r, title: T, subsystem: s, message: m, signal: cron.run, {rest}}}]")
    };
    let lists = |list: &str, n: usize| format!("[{}]", vec![list; n].join(", "));
    for (what, text) in [
        ("unknown fields", rule(&format!("threshold: {{count: 1, within: 1m}}, where: {{{}}}", keys(40_000)))),
        ("unknown keys", rule(&keys(40_000))),
        ("rules", format!("format: 1\nrules: {}", lists("{a: 1, b: 2}", 199))),
        ("tests", rule(&format!("threshold: {{count: 1, within: 1m}}, tests: {}", lists("{signals: [{x: 1}]}", 50)))),
        (
            "long words",
            rule(&format!("threshold: {{count: 1, within: 1m}}, where: {{job: [{}]}}", "'é ', ".repeat(90_000))),
        ),
        ("braces", rule(&format!("threshold: {{count: 1, within: 1m}}, why: '{}'", "{{".repeat(400_000)))),
        ("not closed", "[a, ".repeat(250_000)),
        ("one word", "a".repeat(1_048_576)),
        ("quotes", rule(&"'`', ".repeat(190_000))),
    ] {
        let started = std::time::Instant::now();
        let errors = from_yaml(&[("t.yaml", &text)]).err().map_or(0, |errors| errors.len());
        assert!((1..=RULE_ERRORS_MAX + 1).contains(&errors), "{what}: {errors} errors");
        assert!(started.elapsed().as_secs() < 20, "{what}: {:?}", started.elapsed());
    }
}

#[test]
fn limits_are_reached_and_not_passed() {
    let rules = |n: usize| {
        let rule = |i| {
            format!(
                "- {{name: r{i}, title: T, subsystem: s, message: m, signal: cron.run, threshold: {{count: 1, within: 1m}}}}\n"
            )
        };
        format!("format: 1\nrules:\n{}", (0..n).map(rule).collect::<Vec<_>>().concat())
    };
    let one = |keys: &str| {
        format!(
            "format: 1\nrules:\n- name: r\n  title: T\n  subsystem: s\n  message: m\n  signal: http.request\n  threshold: {{count: 1, within: 1m}}\n{keys}"
        )
    };
    let values = |n: usize| {
        one(&format!("  where: {{duration_ms: [{}]}}\n", (0..n).map(|i| format!("{i},")).collect::<Vec<_>>().concat()))
    };
    let tests = |n: usize| one(&format!("  tests: [{}]\n", "{name: n, expect: []},".repeat(n)));
    let padded = |n: usize| {
        let text = one("#");
        format!("{text}{}", "x".repeat(n - text.len()))
    };
    // The list's items, and around them the list, its key's map, `format` and the keys.
    let nodes = |n: usize| format!("format: 1\nrules: [{}]", "a,".repeat(n - 5));
    for (name, file, max, problem) in [
        ("rules", &rules as &dyn Fn(usize) -> String, RULES_MAX, "`rules` has 201 entries; it has at most 200"),
        ("values", &values, WHERE_VALUES_MAX, "a test of `duration_ms` has 101 entries; it has at most 100"),
        ("tests", &tests, RULE_TESTS_MAX, "`tests` has 51 entries; it has at most 50"),
        ("bytes", &padded, RULE_FILE_BYTES_MAX, "the file has 1048577 bytes; a rule file has at most 1048576"),
    ] {
        assert_eq!(problems(&file(max)), Vec::<String>::new(), "{name}");
        assert_eq!(problems(&file(max + 1)), [problem], "{name}");
    }
    let too_many = format!("more than {RULE_FILE_NODES_MAX} values");
    assert!(!problems(&nodes(RULE_FILE_NODES_MAX)).contains(&too_many));
    assert_eq!(problems(&nodes(RULE_FILE_NODES_MAX + 1)), [too_many]);
}

#[test]
fn the_rules_of_all_files_count_together() {
    let rule = |i: usize| {
        format!(
            "- {{name: r{i}, title: T, subsystem: s, message: m, signal: cron.run, threshold: {{count: 1, within: 1m}}}}\n"
        )
    };
    let file =
        |range: std::ops::Range<usize>| format!("format: 1\nrules:\n{}", range.map(rule).collect::<Vec<_>>().concat());
    let read = |n: usize| from_yaml(&[("a.yaml", &file(0..100)), ("b.yaml", &file(100..n))]);
    assert_eq!(read(RULES_MAX).unwrap().rules.len(), RULES_MAX);
    let errors = read(RULES_MAX + 1).unwrap_err();
    assert_eq!((errors.len(), errors[0].problem.as_str()), (1, "the set has more than 200 rules"));
}

#[test]
fn a_set_fits_its_record() {
    let paths = |n: usize| (0..n).map(|i| format!("/{}{i},", "p".repeat(240))).collect::<Vec<_>>().concat();
    let rule = |i: usize, n: usize| {
        format!(
            "- {{name: r{i}, title: T, subsystem: s, message: m, signal: http.request, where: {{path: [{}]}}, threshold: {{count: 1, within: 1m}}}}\n",
            paths(n)
        )
    };
    let file = |from: usize| {
        format!(
            "format: 1\nrules:\n{}",
            (from..from + 20).map(|i| rule(i, WHERE_VALUES_MAX)).collect::<Vec<_>>().concat()
        )
    };
    let (one, two, three) = (file(0), file(20), file(40));
    assert!(from_yaml(&[("a", &one)]).unwrap().body.len() < RULE_SET_BYTES_MAX);
    let errors = from_yaml(&[("a", &one), ("b", &two), ("c", &three)]).unwrap_err();
    assert!(errors[0].problem.ends_with("it has at most 1000000"), "{}", errors[0]);
}

#[test]
fn errors_beyond_the_limit_are_counted() {
    let text = format!("format: 1\nrules: [{}]", "a,".repeat(150));
    let found = from_yaml(&[("t.yaml", &text)]).unwrap_err();
    assert_eq!(found.len(), RULE_ERRORS_MAX + 1);
    assert_eq!(
        found[RULE_ERRORS_MAX].help.as_deref(),
        Some("this is the last of 50 errors that are not shown: mend the others first")
    );
}

/// One line of a megabyte, as canonical JSON is: the error shows the piece around the place.
#[test]
fn a_long_line_is_cut_around_the_error() {
    let text = format!(
        "{{format: 1, rules: [], pad: \"{}\", rulez: [], more: \"{}\"}}",
        "é".repeat(10_000),
        "x".repeat(10_000)
    );
    let shown = errors(&text);
    insta::assert_snapshot!(shown, @r#"
    error[E201]: a rule file has no `pad`
     --> t.yaml:1:24
      |
    1 | {format: 1, rules: [], pad: "ééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééé…
      |                        ^^^ unknown key
      = help: it can be `format`, `rules`, `metrics`, `limits` or `disabled`

    error[E201]: a rule file has no `rulez`
     --> t.yaml:1:10033
      |
    1 | …ééééééééééééééééééééééééééééééééééééé", rulez: [], more: "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
      |                                          ^^^^^ unknown key
      = help: did you mean `rules`?

    error[E201]: a rule file has no `more`
     --> t.yaml:1:10044
      |
    1 | …éééééééééééééééééééééééééé", rulez: [], more: "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
      |                                          ^^^^ unknown key
      = help: it can be `format`, `rules`, `metrics`, `limits` or `disabled`
    "#);
}
