//! Keys of a rule that are refused.

use super::{COUNT, errors, rule_errors};

#[test]
fn keys_that_are_missing_or_do_not_go_together() {
    insta::assert_snapshot!(errors("format: 1\nrules:\n- {}\n- severity: bad\n"), @r#"
    error[E202]: a rule needs `name`
     --> t.yaml:3:3
      |
    3 | - {}
      |   ^
      = help: such as `name: mail-delivery-failing`

    error[E202]: a rule needs `title`
     --> t.yaml:3:3
      |
    3 | - {}
      |   ^
      = help: a few words for people: `title: Mail delivery is failing`

    error[E202]: a rule needs `subsystem`
     --> t.yaml:3:3
      |
    3 | - {}
      |   ^
      = help: the part of the site: `subsystem: mail`

    error[E202]: a rule needs `message`
     --> t.yaml:3:3
      |
    3 | - {}
      |   ^
      = help: such as `message: "{count} mails failed on {site} within {within}"`

    error[E402]: a rule needs `threshold`, `absent` or `each`
     --> t.yaml:3:3
      |
    3 | - {}
      |   ^
      = help: such as `threshold: {count: 5, within: 10m}`

    error[E202]: a rule needs `name`
     --> t.yaml:4:3
      |
    4 | - severity: bad
      |   ^^^^^^^^
      = help: such as `name: mail-delivery-failing`

    error[E202]: a rule needs `title`
     --> t.yaml:4:3
      |
    4 | - severity: bad
      |   ^^^^^^^^
      = help: a few words for people: `title: Mail delivery is failing`

    error[E202]: a rule needs `subsystem`
     --> t.yaml:4:3
      |
    4 | - severity: bad
      |   ^^^^^^^^
      = help: the part of the site: `subsystem: mail`

    error[E202]: a rule needs `message`
     --> t.yaml:4:3
      |
    4 | - severity: bad
      |   ^^^^^^^^
      = help: such as `message: "{count} mails failed on {site} within {within}"`

    error[E402]: a rule needs `threshold`, `absent` or `each`
     --> t.yaml:4:3
      |
    4 | - severity: bad
      |   ^^^^^^^^
      = help: such as `threshold: {count: 5, within: 10m}`

    error[E204]: `severity` cannot be `bad`
     --> t.yaml:4:13
      |
    4 | - severity: bad
      |             ^^^
      = help: it can be `info`, `warning` or `critical`
    "#);
    insta::assert_snapshot!(rule_errors("  signal: cron.run\n  threshold: {within: 10m}\n  absent: {for: 1h, expected: always}\n"), @r#"
    error[E401]: `threshold` and `absent` in one rule
     --> t.yaml:9:3
      |
    9 |   absent: {for: 1h, expected: always}
      |   ^^^^^^
      = help: a rule has one condition: make two rules
    "#);
    insta::assert_snapshot!(rule_errors("  threshold: {}\n  metric: m\n"), @r#"
    error[E402]: `threshold` needs `count`, `distinct`, `sum`, `ratio` or `percentile`
     --> t.yaml:7:3
      |
    7 |   threshold: {}
      |   ^^^^^^^^^
      = help: such as `{count: 5, within: 10m}`

    error[E202]: `threshold` needs `within`
     --> t.yaml:7:14
      |
    7 |   threshold: {}
      |              ^
      = help: the window: `within: 10m`

    error[E210]: `metric` is not in this version
     --> t.yaml:8:3
      |
    8 |   metric: m
      |   ^^^^^^
      = help: rules over metrics come in a later version; watch a signal
    "#);
    insta::assert_snapshot!(rule_errors("  signal: cron.run\n  where: {outcome: ok}\n  group_by: [job]\n  absent: {blind_after: 1m, for: 1h}\n"), @r#"
    error[E205]: `blind_after` is at least 2m
      --> t.yaml:10:25
       |
    10 |   absent: {blind_after: 1m, for: 1h}
       |                         ^^ from 2m to 7d

    error[E403]: `for` beside `blind_after`
      --> t.yaml:10:29
       |
    10 |   absent: {blind_after: 1m, for: 1h}
       |                             ^^^
       = help: a silent site and a missing signal are two rules
    "#);
    insta::assert_snapshot!(rule_errors("  signal: cron.run\n  group_by: [job]\n  absent: {for: 45m, expected: always}\n"), @r#"
    error[E403]: `expected: always` has no groups
     --> t.yaml:8:13
      |
    8 |   group_by: [job]
      |             ^
      = help: nobody knows which groups should come: list them, take `group_by`
              away, or write `expected: once_seen`
    "#);
    insta::assert_snapshot!(rule_errors("  signal: cron.run\n  for: 5m\n  absent: {for: 45m, expected: sometimes}\n"), @r#"
    error[E403]: `for` beside `absent`
     --> t.yaml:8:3
      |
    8 |   for: 5m
      |   ^^^
      = help: say the whole span in `absent`

    error[E204]: `expected` cannot be `sometimes`
     --> t.yaml:9:32
      |
    9 |   absent: {for: 45m, expected: sometimes}
      |                                ^^^^^^^^^
      = help: it can be `always` or `once_seen`
    "#);
    insta::assert_snapshot!(rule_errors("  signal: cron.run\n  absent: {}\n"), @r#"
    error[E202]: `absent` needs `for`
     --> t.yaml:8:11
      |
    8 |   absent: {}
      |           ^
      = help: such as `{for: 45m, expected: once_seen}`

    error[E202]: `absent` needs `expected`
     --> t.yaml:8:11
      |
    8 |   absent: {}
      |           ^
      = help: `always` waits from the configuration on, `once_seen` from the first
              match on, a list for each of its values
    "#);
}

#[test]
fn fields_groups_and_evidence() {
    insta::assert_snapshot!(rule_errors(&format!("{COUNT}  group_by: source\n  evidence: [status, status, at, ip]\n")), @r#"
    error[E203]: `group_by` is a list
     --> t.yaml:9:13
      |
    9 |   group_by: source
      |             ^^^^^^
      = help: write `[source]`

    error[E209]: `evidence` names it twice
      --> t.yaml:10:22
       |
    10 |   evidence: [status, status, at, ip]
       |                      ^^^^^^
       = help: keep one of them

    error[E209]: evidence always has the time
      --> t.yaml:10:30
       |
    10 |   evidence: [status, status, at, ip]
       |                              ^^
       = help: take `at` away

    error[E302]: http.request has no field `ip`
      --> t.yaml:10:34
       |
    10 |   evidence: [status, status, at, ip]
       |                                  ^^ unknown field
       = help: it can be `method`, `path`, `status`, `route_group`, `user_agent`,
               `duration_ms`, `source`, `action`, `flags`, `bot`, `network` or
               `repeats`
    "#);
    insta::assert_snapshot!(rule_errors(&format!("{COUNT}  group_by: [source, method, status, path, route_group]\n")), @r#"
    error[E207]: `group_by` has 5 entries; it has at most 4
     --> t.yaml:9:13
      |
    9 |   group_by: [source, method, status, path, route_group]
      |             ^
    "#);
    insta::assert_snapshot!(rule_errors(&format!("{COUNT}  severity: hihg\n  for: -1s\n  suppress: 8d\n  resolve_after: 0\n  why: ' '\n  do: \"a\\nb\"\n")), @r#"
    error[E204]: `severity` cannot be `hihg`
     --> t.yaml:9:13
      |
    9 |   severity: hihg
      |             ^^^^
      = help: it can be `info`, `warning` or `critical`

    error[E211]: `for` is a duration, not `-1s`
      --> t.yaml:10:8
       |
    10 |   for: -1s
       |        ^^^
       = help: a whole number and one of ms, s, m, h, d: `500ms`, `90s`, `10m`,
               `1h`, `7d`

    error[E205]: `suppress` is at most 7d
      --> t.yaml:11:13
       |
    11 |   suppress: 8d
       |             ^^ from 0s to 7d

    error[E211]: `resolve_after` is a duration, not `0`
      --> t.yaml:12:18
       |
    12 |   resolve_after: 0
       |                  ^
       = help: give it a unit: `0s`, `0m`, `0h`

    error[E206]: `why` is empty
      --> t.yaml:13:8
       |
    13 |   why: ' '
       |        ^^^

    error[E206]: `do` is one line of characters that can be seen; it has U+000A, a control character, as character 2
      --> t.yaml:14:7
       |
    14 |   do: "a\nb"
       |       ^^^^^^
       = help: `>-` folds several lines into one
    "#);
}

#[test]
fn messages_that_cannot_be_filled() {
    let message = |text: &str| {
        errors(&format!(
            "format: 1\nrules:\n- name: r\n  title: T\n  subsystem: s\n{COUNT}  group_by: [source]\n  message: {text}\n"
        ))
    };
    insta::assert_snapshot!(message("'{conut} from {source}'"), @r#"
    error[E501]: `message` has nothing called `conut`
     --> t.yaml:9:13
      |
    9 |   message: '{conut} from {source}'
      |             ^^^^^^^
      = help: did you mean `count`? (fields of `group_by` can be named too)
    "#);
    insta::assert_snapshot!(message("'{count} on {method}'"), @r#"
    error[E501]: `message` has nothing called `method`
     --> t.yaml:9:24
      |
    9 |   message: '{count} on {method}'
      |                        ^^^^^^^^
      = help: it can be `count`, `site`, `within` or `source` (fields of `group_by`
              can be named too)
    "#);
    insta::assert_snapshot!(message("'{count'"), @r#"
    error[E502]: a `{` alone
     --> t.yaml:9:13
      |
    9 |   message: '{count'
      |             ^
      = help: write `{{` for the character itself
    "#);
    insta::assert_snapshot!(message("'count}'"), @r#"
    error[E502]: a `}` alone
     --> t.yaml:9:18
      |
    9 |   message: 'count}'
      |                  ^
      = help: write `}}` for the character itself
    "#);
    insta::assert_snapshot!(message("'é {} x'"), @r#"
    error[E501]: `message` has nothing called ``
     --> t.yaml:9:15
      |
    9 |   message: 'é {} x'
      |               ^^
      = help: it can be `count`, `site`, `within` or `source` (fields of `group_by`
              can be named too)
    "#);
    insta::assert_snapshot!(message(&"x".repeat(501)), @r#"
    error[E206]: `message` has 501 characters; it has at most 500
     --> t.yaml:9:12
      |
    9 |   message: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
      |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
    insta::assert_snapshot!(errors("format: 1\nrules:\n- name: r\n  title: T\n  subsystem: s\n  signal: cron.run\n  absent: {for: 1h, expected: always}\n  message: '{count} jobs'\n"), @r#"
    error[E503]: an absence counts nothing
     --> t.yaml:8:13
      |
    8 |   message: '{count} jobs'
      |             ^^^^^^^
      = help: take `{count}` away; `{within}` is how long nothing came
    "#);
}

#[test]
fn bundles_and_tests_are_checked_for_their_shape() {
    insta::assert_snapshot!(rule_errors(&format!("{COUNT}  bundle: {{by: [user], wait: 2h, max: 0}}\n")), @r#"
    error[E204]: `bundle.by` cannot be `user`
     --> t.yaml:9:17
      |
    9 |   bundle: {by: [user], wait: 2h, max: 0}
      |                 ^^^^
      = help: it can be `tenant`, `site`, `rule`, `severity` or `subsystem`

    error[E205]: `bundle.wait` is at most 1h
     --> t.yaml:9:30
      |
    9 |   bundle: {by: [user], wait: 2h, max: 0}
      |                              ^^ from 0s to 1h

    error[E205]: `bundle.max` is at least 1
     --> t.yaml:9:39
      |
    9 |   bundle: {by: [user], wait: 2h, max: 0}
      |                                       ^ from 1 to 1000
    "#);
    insta::assert_snapshot!(rule_errors(&format!("{COUNT}  bundle: {{}}\n")), @r#"
    error[E202]: `bundle` needs `by`
     --> t.yaml:9:11
      |
    9 |   bundle: {}
      |           ^
      = help: such as `by: [site]`

    error[E202]: `bundle` needs `wait`
     --> t.yaml:9:11
      |
    9 |   bundle: {}
      |           ^
      = help: such as `wait: 30s`

    error[E202]: `bundle` needs `max`
     --> t.yaml:9:11
      |
    9 |   bundle: {}
      |           ^
      = help: such as `max: 20`
    "#);
    insta::assert_snapshot!(rule_errors(&format!("{COUNT}  tests:\n  - signals: [{{every: 1m}}, {{at: 0s, times: 0}}, {{at: 0s, status: 700}}]\n    expect: [{{at: 0s, state: fired}}, {{state: firing}}, {{at: 1s, state: firing, group: {{source: x}}}}]\n")), @r#"
    error[E202]: a test needs `name`
      --> t.yaml:10:5
       |
    10 |   - signals: [{every: 1m}, {at: 0s, times: 0}, {at: 0s, status: 700}]
       |     ^^^^^^^
       = help: say what it shows: `name: five failures in ten minutes`

    error[E202]: a test's signal needs `at`
      --> t.yaml:10:16
       |
    10 |   - signals: [{every: 1m}, {at: 0s, times: 0}, {at: 0s, status: 700}]
       |                ^^^^^
       = help: when it comes, from the start of the test: `at: 0s`

    error[E205]: `times` is at least 1
      --> t.yaml:10:44
       |
    10 |   - signals: [{every: 1m}, {at: 0s, times: 0}, {at: 0s, status: 700}]
       |                                            ^ from 1 to 10000

    error[E205]: `status` is at most 599
      --> t.yaml:10:65
       |
    10 |   - signals: [{every: 1m}, {at: 0s, times: 0}, {at: 0s, status: 700}]
       |                                                                 ^^^ from 100 to 599

    error[E204]: `state` cannot be `fired`
      --> t.yaml:11:30
       |
    11 |     expect: [{at: 0s, state: fired}, {state: firing}, {at: 1s, state: firing, group: {source: x}}]
       |                              ^^^^^
       = help: it can be `inactive`, `pending` or `firing`

    error[E202]: an expectation needs `at`
      --> t.yaml:11:39
       |
    11 |     expect: [{at: 0s, state: fired}, {state: firing}, {at: 1s, state: firing, group: {source: x}}]
       |                                       ^^^^^
       = help: when it is looked at: `at: 4m`

    error[E201]: `group` has no `source`
      --> t.yaml:11:87
       |
    11 |     expect: [{at: 0s, state: fired}, {state: firing}, {at: 1s, state: firing, group: {source: x}}]
       |                                                                                       ^^^^^^ unknown key
       = help: there is none here: take it away

    error[E304]: `source` is a keyed hash, 32 lowercase hex digits
      --> t.yaml:11:95
       |
    11 |     expect: [{at: 0s, state: fired}, {state: firing}, {at: 1s, state: firing, group: {source: x}}]
       |                                                                                               ^
       = help: look it up in the integration's own page on the site: only the site
               knows what its hashes stand for
    "#);
    insta::assert_snapshot!(rule_errors("  absent: {blind_after: 1h}\n  tests: [{name: n, signals: [{at: 0s, status: 200}], expect: []}]\n"), @r#"
    error[E701]: a sign of life has no `status`
     --> t.yaml:8:40
      |
    8 |   tests: [{name: n, signals: [{at: 0s, status: 200}], expect: []}]
      |                                        ^^^^^^
      = help: it has `at`, `every` and `times`
    "#);
}
