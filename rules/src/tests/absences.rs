//! `absent`: what is refused, what it becomes, and what was published before.

use logystera_processor::core::{Condition, Expected, RuleSet, StateLimits, Test};
use logystera_schemas::limits::{ABSENT_AT_MOST_MAX, WHERE_VALUES_MAX};

use super::accepted::{rule, set};
use crate::{Code, Diagnostic, WorstCase, check, from_canonical, from_yaml};

fn errors(keys: &str) -> Vec<Diagnostic> {
    let keys = keys.lines().map(|line| format!("  {line}\n")).collect::<Vec<_>>().concat();
    let text = format!("format: 1\nrules:\n- name: r\n  title: T\n  subsystem: s\n  message: m\n{keys}");
    from_yaml(&[("t.yaml", &text)]).err().unwrap_or_default()
}

#[test]
fn absences_that_cannot_be_are_refused() {
    let many: Vec<String> = (0..=WHERE_VALUES_MAX).map(|n| format!("j{n}")).collect();
    let too_many = format!("group_by: [job]\nabsent: {{for: 1h, expected: [{}]}}", many.join(", "));
    for (signal, keys, code, problem) in [
        ("cron.run", "absent: {for: 91d, expected: always}", Code::OutOfRange, "`absent.for` is at most 90d"),
        ("cron.run", "absent: {for: 1h, expected: always, at_most: 257}", Code::OutOfRange, "`at_most` is at most 256"),
        ("cron.run", "absent: {for: 1h, expected: always, at_most: -1}", Code::OutOfRange, "`at_most` is at least 0"),
        ("cron.run", "absent: {blind_after: 1h, at_most: 1}", Code::KeyDoesNotFit, "`at_most` beside `blind_after`"),
        (
            "cron.run",
            "absent: {for: 1h, expected: once_seen, forget_after: 181d}",
            Code::OutOfRange,
            "`forget_after` is at most 180d",
        ),
        (
            "cron.run",
            "absent: {for: 1h, expected: once_seen, forget_after: 60m}",
            Code::OutOfRange,
            "`forget_after`, 1h, is no longer than `for`, 1h",
        ),
        (
            "cron.run",
            "absent: {for: 1h, expected: always, forget_after: 2h}",
            Code::KeyDoesNotFit,
            "only what was once seen is forgotten",
        ),
        (
            "cron.run",
            "group_by: [job]\nabsent: {for: 1h, expected: [backup], forget_after: 2h}",
            Code::KeyDoesNotFit,
            "only what was once seen is forgotten",
        ),
        (
            "cron.run",
            "group_by: [job]\nabsent: {for: 1h, expected: once_seen}",
            Code::NeverForgotten,
            "what is gone for good would be missed for ever",
        ),
        (
            "cron.run",
            "absent: {for: 1h, expected: [backup]}",
            Code::KeyDoesNotFit,
            "a list of `expected` needs one field in `group_by`",
        ),
        (
            "cron.run",
            "group_by: [job, outcome]\nabsent: {for: 1h, expected: [backup]}",
            Code::KeyDoesNotFit,
            "a list of `expected` needs one field in `group_by`",
        ),
        (
            "cron.run",
            "group_by: [outcome]\nabsent: {for: 1h, expected: [okay]}",
            Code::UnknownWord,
            "`outcome` cannot be `okay`",
        ),
        (
            "cron.run",
            "group_by: [job]\nabsent: {for: 1h, expected: []}",
            Code::EmptyTest,
            "an empty list matches nothing",
        ),
        ("cron.run", &too_many, Code::TooMany, "a test of `job` has 101 entries; it has at most 100"),
        (
            "file.edit",
            "group_by: [heuristics]\nabsent: {for: 1h, expected: [core_file]}",
            Code::WrongTest,
            "`heuristics` is a list of symbols: its groups cannot be listed",
        ),
    ] {
        let signal = if keys.contains("blind_after") { String::new() } else { format!("signal: {signal}\n") };
        let found = errors(&format!("{signal}{keys}"));
        let said: Vec<_> = found.iter().map(|error| (error.code, error.problem.as_str())).collect();
        assert_eq!(said, [(code, problem)], "{keys}");
        let has_way_out = |error: &Diagnostic| error.help.is_some() || !error.label.is_empty();
        assert!(found.iter().all(|error| has_way_out(error) || error.code == Code::TooMany), "{keys}");
    }
}

#[test]
fn group_by_source_is_refused_for_what_strangers_choose_is_never_expected() {
    let once = "absent: {for: 1h, expected: once_seen, forget_after: 1d}";
    for (signal, keys, code, problem) in [
        (
            "http.request",
            &format!("group_by: [source]\n{once}"),
            Code::StrangersExpected,
            "an absence of each `source`",
        ),
        (
            "http.request",
            &format!("group_by: [network]\n{once}"),
            Code::StrangersExpected,
            "an absence of each `network`",
        ),
        (
            "user.change",
            &format!("group_by: [action, user_hash]\n{once}"),
            Code::StrangersExpected,
            "an absence of each `user_hash`",
        ),
        (
            "http.request",
            &"group_by: [source]\nabsent: {for: 1h, expected: [6a1f0c52e8d94b7fa1c3d5e7f9012345]}".to_owned(),
            Code::StrangersExpected,
            "an absence of each `source`",
        ),
    ] {
        let found = errors(&format!("signal: {signal}\n{keys}"));
        let said: Vec<_> = found.iter().map(|error| (error.code, error.problem.as_str())).collect();
        assert_eq!(said, [(code, problem)], "{keys}");
    }
}

#[test]
fn an_absence_has_one_canonical_form() {
    let of = |group_by: &str, absent: &str| {
        let rule = rule(&format!("signal: cron.run\ngroup_by: {group_by}\nabsent: {absent}"));
        let set = set(&format!(
            "format: 1\nrules:\n- name: r\n  title: T\n  subsystem: s\n  message: m\n  signal: cron.run\n  group_by: {group_by}\n  absent: {absent}\n"
        ));
        let (_, after) = set.body.split_once("\"absent\":").unwrap();
        (after.split_once('}').unwrap().0.to_owned() + "}", rule)
    };
    for (group_by, absent, canonical) in [
        // What was there before has the form that it had.
        ("[]", "{for: 60m, expected: always, at_most: 0}", r#"{"expected":"always","for":"1h"}"#),
        ("[]", "{for: 1h, expected: once_seen}", r#"{"expected":"once_seen","for":"1h"}"#),
        ("[]", "{for: 1h, expected: always, at_most: 10}", r#"{"at_most":10,"expected":"always","for":"1h"}"#),
        (
            "[job]",
            "{for: 1h, expected: once_seen, forget_after: 336h}",
            r#"{"expected":"once_seen","for":"1h","forget_after":"14d"}"#,
        ),
        ("[job]", "{for: 1h, expected: [b, a, b]}", r#"{"expected":["a","b"],"for":"1h"}"#),
        ("[outcome]", "{for: 1h, expected: [missed, ok]}", r#"{"expected":["ok","missed"],"for":"1h"}"#),
    ] {
        let (form, read) = of(group_by, absent);
        assert_eq!(form, canonical, "{absent}");
        let (again, same) = of(group_by, &form);
        assert_eq!((again, same.revision), (form, read.revision), "{absent}");
    }
    let Condition::Absent { expected: Expected::Values(values), .. } =
        of("[job]", "{for: 1h, expected: [b, a]}").1.condition
    else {
        panic!("values are expected")
    };
    assert_eq!(values.test, Test::IdentOneOf(vec!["a".to_owned(), "b".to_owned()]));
}

/// How long it is remembered is no part of what is counted: an edit of it keeps the groups, all else begins anew.
#[test]
fn forget_after_is_not_counted() {
    let of = |absent: &str| rule(&format!("signal: cron.run\ngroup_by: [job]\nabsent: {{for: 1h, {absent}}}"));
    let before = of("expected: once_seen, forget_after: 2h");
    for (absent, counts_anew) in [
        ("expected: once_seen, forget_after: 3h", false),
        ("expected: once_seen, forget_after: 2h, at_most: 1", true),
        ("expected: [a]", true),
        ("expected: [b]", true),
    ] {
        let after = of(absent);
        assert_ne!(before.revision, after.revision, "{absent}");
        assert_eq!(before.counts != after.counts, counts_anew, "{absent}");
    }
    assert_ne!(of("expected: [a]").counts, of("expected: [b]").counts);
}

/// Absences that could be published before they had an end, and by what strangers choose.
#[test]
fn what_was_published_before_goes_on() {
    for (signal, field) in [("cron.run", "job"), ("auth.attempt", "source"), ("user.change", "user_hash")] {
        let body = format!(
            r#"{{"disabled":[],"format":1,"limits":{{"rule_groups":1000,"site_bytes":4194304,"site_groups":5000}},"rules":[{{"absent":{{"expected":"once_seen","for":"1h"}},"evidence":[],"for":"0s","group_by":["{field}"],"message":"m","name":"r","resolve_after":"15m","severity":"warning","signal":"{signal}","subsystem":"s","suppress":"1h","title":"T","where":{{}}}}]}}"#
        );
        let read: RuleSet = from_canonical(&body).unwrap_or_else(|errors| panic!("{errors:#?}"));
        assert_eq!(read.body, body);
        let codes: Vec<Code> = check(&[("body", &body)]).diagnostics.iter().map(|error| error.code).collect();
        assert!(codes.contains(&Code::NeverForgotten), "{field}: what is new must have an end: {codes:?}");
    }
}

#[test]
fn the_cost_of_an_absence_is_its_groups_times_the_matches_that_it_keeps() {
    let of = |group_by: &str, absent: &str| {
        let rule = rule(&format!("signal: cron.run\ngroup_by: [{group_by}]\nabsent: {{for: 90d, {absent}}}"));
        let worst = WorstCase::of(&rule, &StateLimits::default());
        (worst.groups, worst.group_bytes)
    };
    let (_, plain) = of("", "expected: always");
    assert_eq!(of("", &format!("expected: always, at_most: {ABSENT_AT_MOST_MAX}")), (1, plain + 8 * 257));
    assert_eq!(of("job", "expected: [a, b, c]").0, 3);
    assert_eq!(of("outcome", "expected: [ok, failed]").0, 2);
    assert_eq!(of("job", "expected: once_seen, forget_after: 91d").0, 1_000);
}

/// Groups that stand from the start cannot make room: as many as are expected must fit.
#[test]
fn more_expected_groups_than_the_limits_allow_are_refused() {
    let rules = |limits: &str| {
        let rule = |name: &str, values: &str| {
            format!(
                "- {{name: {name}, title: T, subsystem: s, message: m, signal: cron.run, group_by: [job], absent: {{for: 1h, expected: {values}}}}}\n"
            )
        };
        let text = format!("format: 1\nlimits: {limits}\nrules:\n{}{}", rule("a", "[a, b]"), rule("b", "[a, b, c]"));
        let errors = from_yaml(&[("t.yaml", &text)]).err().unwrap_or_default();
        errors.into_iter().map(|error| (error.code, error.problem)).collect::<Vec<_>>()
    };
    let refused = |problem: &str| vec![(Code::TooCostly, problem.to_owned())];
    assert_eq!(rules("{rule_groups: 3, site_groups: 5}"), []);
    assert_eq!(
        rules("{rule_groups: 2, site_groups: 5}"),
        refused("with `b`, 3 groups are expected; `rule_groups` allows 2")
    );
    assert_eq!(
        rules("{rule_groups: 3, site_groups: 4}"),
        refused("with `b`, 5 groups are expected; `site_groups` allows 4")
    );
}
