//! Thresholds that are refused.

use super::rule_errors;

#[test]
fn thresholds_that_cannot_be() {
    let threshold = |t: &str| rule_errors(&format!("  signal: auth.attempt\n  group_by: [source]\n  threshold: {t}\n"));
    insta::assert_snapshot!(threshold("{count: -1, within: 10}"), @r#"
    error[E205]: `count` is at least 1
     --> t.yaml:9:22
      |
    9 |   threshold: {count: -1, within: 10}
      |                      ^^ from 1 to 1000000

    error[E211]: `within` is a duration, not `10`
     --> t.yaml:9:34
      |
    9 |   threshold: {count: -1, within: 10}
      |                                  ^^
      = help: give it a unit: `10s`, `10m`, `10h`
    "#);
    insta::assert_snapshot!(threshold("{count: 1000001, within: 99ms}"), @r#"
    error[E205]: `count` is at most 1000000
     --> t.yaml:9:22
      |
    9 |   threshold: {count: 1000001, within: 99ms}
      |                      ^^^^^^^ from 1 to 1000000

    error[E205]: `within` is at least 100ms
     --> t.yaml:9:39
      |
    9 |   threshold: {count: 1000001, within: 99ms}
      |                                       ^^^^ from 100ms to 7d
    "#);
    insta::assert_snapshot!(threshold("{count: 1e3, within: [10m]}"), @r#"
    error[E212]: `count` is a whole number, not `1e3`
     --> t.yaml:9:22
      |
    9 |   threshold: {count: 1e3, within: [10m]}
      |                      ^^^
      = help: from 1 to 1000000, digits only

    error[E211]: `within` is a duration, not a list
     --> t.yaml:9:35
      |
    9 |   threshold: {count: 1e3, within: [10m]}
      |                                   ^
      = help: such as `90s`, `10m`, `1h` or `7d`
    "#);
    insta::assert_snapshot!(threshold("{count: '5', within: }"), @r#"
    error[E212]: `count` is a whole number, not text
     --> t.yaml:9:22
      |
    9 |   threshold: {count: '5', within: }
      |                      ^^^
      = help: take the quotes away

    error[E211]: `within` is a duration, not nothing
     --> t.yaml:9:33
      |
    9 |   threshold: {count: '5', within: }
      |                                 ^
      = help: a whole number and one of ms, s, m, h, d: `500ms`, `90s`, `10m`, `1h`,
              `7d`
    "#);
    insta::assert_snapshot!(threshold("{count: 99999999999999999999, within: 1h30m}"), @r#"
    error[E205]: `count` is from 1 to 1000000
     --> t.yaml:9:22
      |
    9 |   threshold: {count: 99999999999999999999, within: 1h30m}
      |                      ^^^^^^^^^^^^^^^^^^^^

    error[E211]: `within` is a duration, not `1h30m`
     --> t.yaml:9:52
      |
    9 |   threshold: {count: 99999999999999999999, within: 1h30m}
      |                                                    ^^^^^
      = help: write `90m`
    "#);
    insta::assert_snapshot!(threshold("{count: 5, within: 10m, resolution: 7s}"), @r#"
    error[E404]: `within`, 10m, is no multiple of `resolution`, 7s
     --> t.yaml:9:50
      |
    9 |   threshold: {count: 5, within: 10m, resolution: 7s}
      |                                                  ^^
      = help: `resolution: 960ms` is the finest that will do
    "#);
    insta::assert_snapshot!(threshold("{count: 5, within: 1d, resolution: 5s}"), @r#"
    error[E404]: a window of 17280 panes; it has at most 720
     --> t.yaml:9:49
      |
    9 |   threshold: {count: 5, within: 1d, resolution: 5s}
      |                                                 ^^
      = help: `resolution: 2m` is the finest that will do
    "#);
    insta::assert_snapshot!(threshold("{count: 257, within: 12s}"), @r#"
    error[E404]: `within`, 12s, is no multiple of `resolution`, 5s
     --> t.yaml:9:22
      |
    9 |   threshold: {count: 257, within: 12s}
      |                      ^^^ over 256, matches are counted in panes, of 5s by default
      = help: `resolution: 100ms` is the finest that will do
    "#);
    insta::assert_snapshot!(threshold("{count: 257, within: 2h}"), @r#"
    error[E404]: a window of 1440 panes; it has at most 720
     --> t.yaml:9:22
      |
    9 |   threshold: {count: 257, within: 2h}
      |                      ^^^ over 256, matches are counted in panes, of 5s by default
      = help: `resolution: 10s` is the finest that will do
    "#);
    insta::assert_snapshot!(threshold("{count: 257, within: 100003ms}"), @r#"
    error[E404]: `within`, 100003ms, is no multiple of `resolution`, 5s
     --> t.yaml:9:22
      |
    9 |   threshold: {count: 257, within: 100003ms}
      |                      ^^^ over 256, matches are counted in panes, of 5s by default
      = help: `resolution: 100003ms` is the finest that will do
    "#);
    insta::assert_snapshot!(threshold("{distinct: {field: user_hash, at_least: 5}, within: 1h, resolution: 5s}"), @r#"
    error[E403]: `distinct` counts exactly
     --> t.yaml:9:70
      |
    9 |   threshold: {distinct: {field: user_hash, at_least: 5}, within: 1h, resolution: 5s}
      |                                                                      ^^^^^^^^^^
      = help: take `resolution` away
    "#);
    insta::assert_snapshot!(threshold("{distinct: {field: source, at_least: 5}, within: 1h}"), @r#"
    error[E405]: within a group there is one `source` only
     --> t.yaml:9:33
      |
    9 |   threshold: {distinct: {field: source, at_least: 5}, within: 1h}
      |                                 ^^^^^^
      = help: take it out of `group_by`, or count another field
    "#);
    insta::assert_snapshot!(threshold("{distinct: {field: privileged, at_least: 2}, within: 1h}"), @r#"
    error[E405]: `privileged` is true or false: its values are not counted
     --> t.yaml:9:33
      |
    9 |   threshold: {distinct: {field: privileged, at_least: 2}, within: 1h}
      |                                 ^^^^^^^^^^
    "#);
    insta::assert_snapshot!(threshold("{distinct: {field: outcome, at_least: 5}, within: 1h}"), @r#"
    error[E205]: `at_least` is at most 4
     --> t.yaml:9:52
      |
    9 |   threshold: {distinct: {field: outcome, at_least: 5}, within: 1h}
      |                                                    ^ from 2 to 4
    "#);
    insta::assert_snapshot!(threshold("{distinct: {field: user_hash, at_least: 257}, within: 1h}"), @r#"
    error[E205]: `at_least` is at most 256
     --> t.yaml:9:54
      |
    9 |   threshold: {distinct: {field: user_hash, at_least: 257}, within: 1h}
      |                                                      ^^^ from 2 to 256
    "#);
    insta::assert_snapshot!(threshold("{distinct: {field: user_hash, at_least: 1}, within: 1h}"), @r#"
    error[E205]: `at_least` is at least 2
     --> t.yaml:9:54
      |
    9 |   threshold: {distinct: {field: user_hash, at_least: 1}, within: 1h}
      |                                                      ^ from 2 to 256
    "#);
    insta::assert_snapshot!(threshold("{distinct: {at_lest: 5}, within: 1h}"), @r#"
    error[E201]: `distinct` has no `at_lest`
     --> t.yaml:9:26
      |
    9 |   threshold: {distinct: {at_lest: 5}, within: 1h}
      |                          ^^^^^^^ unknown key
      = help: did you mean `at_least`?

    error[E202]: `distinct` needs `at_least`
     --> t.yaml:9:26
      |
    9 |   threshold: {distinct: {at_lest: 5}, within: 1h}
      |                          ^^^^^^^
      = help: such as `distinct: {field: user_hash, at_least: 5}`

    error[E202]: `distinct` needs `field`
     --> t.yaml:9:26
      |
    9 |   threshold: {distinct: {at_lest: 5}, within: 1h}
      |                          ^^^^^^^
      = help: such as `distinct: {field: user_hash, at_least: 5}`
    "#);
    insta::assert_snapshot!(threshold("{distinct: {field: at, at_least: 5}, within: 1h}"), @r#"
    error[E302]: auth.attempt has no field `at`
     --> t.yaml:9:33
      |
    9 |   threshold: {distinct: {field: at, at_least: 5}, within: 1h}
      |                                 ^^ unknown field
      = help: a signal's time is what windows are made of; it cannot be tested or
              grouped
    "#);
}
