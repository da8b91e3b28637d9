//! Sets that are refused as a whole.

use super::{errors, errors_of};
use crate::from_yaml;

#[test]
fn sets_are_checked_as_a_whole() {
    let rule = |name: &str| {
        format!(
            "- {{name: {name}, title: T, subsystem: s, message: m, signal: cron.run, threshold: {{count: 1, within: 1m}}}}\n"
        )
    };
    let blind =
        |name: &str| format!("- {{name: {name}, title: T, subsystem: s, message: m, absent: {{blind_after: 1h}}}}\n");
    let file = |rules: &str| format!("format: 1\nrules:\n{rules}");
    insta::assert_snapshot!(errors_of(&[("a.yaml", &file(&rule("one"))), ("b.yaml", &file(&(rule("two") + &rule("one"))))]), @r#"
    error[E601]: two rules are called `one`
     --> b.yaml:4:10
      |
    4 | - {name: one, title: T, subsystem: s, message: m, signal: cron.run, threshold: {count: 1, within: 1m}}
      |          ^^^ the first is at a.yaml:3:10
      = help: give one of them another name
    "#);
    insta::assert_snapshot!(errors_of(&[("a.yaml", &file(&blind("one"))), ("b.yaml", &file(&blind("two")))]), @r#"
    error[E602]: two rules with `blind_after`
     --> b.yaml:3:10
      |
    3 | - {name: two, title: T, subsystem: s, message: m, absent: {blind_after: 1h}}
      |          ^^^ the first is at a.yaml:3:10
      = help: a silent site is one alert: keep one of them
    "#);
    insta::assert_snapshot!(errors_of(&[("a.yaml", "format: 1\nlimits: {}\ndisabled: []"), ("b.yaml", "format: 1\nlimits: {}\ndisabled: []")]), @r#"
    error[E603]: `limits` stands in two files
     --> b.yaml:2:1
      |
    2 | limits: {}
      | ^^^^^^ first in a.yaml
      = help: a rule set has one: keep one of them

    error[E603]: `disabled` stands in two files
     --> b.yaml:3:1
      |
    3 | disabled: []
      | ^^^^^^^^ first in a.yaml
      = help: a rule set has one: keep one of them
    "#);
    insta::assert_snapshot!(errors_of(&[("a.yaml", "format: 1\nrulez: []"), ("b.yaml", "fromat: 1")]), @r#"
    error[E201]: a rule file has no `rulez`
     --> a.yaml:2:1
      |
    2 | rulez: []
      | ^^^^^ unknown key
      = help: did you mean `rules`?

    error[E201]: a rule file has no `fromat`
     --> b.yaml:1:1
      |
    1 | fromat: 1
      | ^^^^^^ unknown key
      = help: did you mean `format`?

    error[E202]: a rule file needs `format`
     --> b.yaml:1:1
      |
    1 | fromat: 1
      | ^^^^^^
      = help: begin with `format: 1`
    "#);
    insta::assert_snapshot!(errors("format: 1\nlimits: {rule_groups: 100, site_groups: 10}\ndisabled: [cron.runs, cron.run]\n"), @r#"
    error[E606]: `rule_groups`, 100, is more than `site_groups`, 10
     --> t.yaml:2:23
      |
    2 | limits: {rule_groups: 100, site_groups: 10}
      |                       ^^^
      = help: one rule must fit its site

    error[E204]: a disabled type cannot be `cron.runs`
     --> t.yaml:3:12
      |
    3 | disabled: [cron.runs, cron.run]
      |            ^^^^^^^^^
      = help: did you mean `cron.run`?
    "#);
    insta::assert_snapshot!(errors("format: 1\nlimits: {rule_groups: 0, site_groups: 100001, site_bytes: 1, sites: 1}\n"), @r#"
    error[E205]: `rule_groups` is at least 1
     --> t.yaml:2:23
      |
    2 | limits: {rule_groups: 0, site_groups: 100001, site_bytes: 1, sites: 1}
      |                       ^ from 1 to 100000

    error[E205]: `site_groups` is at most 100000
     --> t.yaml:2:39
      |
    2 | limits: {rule_groups: 0, site_groups: 100001, site_bytes: 1, sites: 1}
      |                                       ^^^^^^ from 1 to 100000

    error[E205]: `site_bytes` is at least 65536
     --> t.yaml:2:59
      |
    2 | limits: {rule_groups: 0, site_groups: 100001, site_bytes: 1, sites: 1}
      |                                                           ^ from 65536 to 67108864

    error[E201]: `limits` has no `sites`
     --> t.yaml:2:62
      |
    2 | limits: {rule_groups: 0, site_groups: 100001, site_bytes: 1, sites: 1}
      |                                                              ^^^^^ unknown key
      = help: it can be `rule_groups`, `site_groups` or `site_bytes`
    "#);
}

#[test]
fn a_rule_that_could_exceed_its_site_is_refused() {
    let set = |limits: &str| {
        format!(
            "format: 1\nlimits: {limits}\nrules:\n- name: visitors\n  title: T\n  subsystem: s\n  message: m\n  signal: http.request\n  group_by: [path, user_agent]\n  threshold: {{count: 256, within: 1h}}\n  evidence: [path]\n"
        )
    };
    insta::assert_snapshot!(errors(&set("{site_bytes: 1000000}")), @r#"
    error[E605]: `visitors` can take 3364000 bytes, 1000 groups of 3364; `limits` gives the site 1000000
     --> t.yaml:4:9
      |
    4 | - name: visitors
      |         ^^^^^^^^
      = help: at most `rule_groups: 297`, or at least `site_bytes: 3364000`
    "#);
    // The same under the defaults: groups are evicted before the site's bound is passed.
    assert!(from_yaml(&[("t.yaml", &set("{}").replace("limits: {}\n", ""))]).is_ok());
}
