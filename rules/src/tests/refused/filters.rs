//! Tests of fields that are refused.

use super::{filter_errors, rule_errors};

#[test]
fn tests_that_no_signal_can_pass() {
    insta::assert_snapshot!(filter_errors("{method: FETCH}"), @r#"
    error[E204]: `method` cannot be `FETCH`
     --> t.yaml:9:19
      |
    9 |   where: {method: FETCH}
      |                   ^^^^^
      = help: it can be `GET`, `HEAD`, `POST`, `PUT`, `PATCH`, `DELETE`, `OPTIONS`
              or `OTHER`
    "#);
    insta::assert_snapshot!(filter_errors("{method: get}"), @r#"
    error[E204]: `method` cannot be `get`
     --> t.yaml:9:19
      |
    9 |   where: {method: get}
      |                   ^^^
      = help: did you mean `GET`?
    "#);
    insta::assert_snapshot!(filter_errors("{method: {gte: 5}, source: {prefix: ab}, status: {prefix: 5}, path: {gte: 5}}"), @r#"
    error[E305]: `method` is a symbol; it has no range
     --> t.yaml:9:20
      |
    9 |   where: {method: {gte: 5}, source: {prefix: ab}, status: {prefix: 5}, path: {gte: 5}}
      |                    ^^^
      = help: list the values: `[one, two]`

    error[E305]: `source` is a hash; it has no prefix
     --> t.yaml:9:38
      |
    9 |   where: {method: {gte: 5}, source: {prefix: ab}, status: {prefix: 5}, path: {gte: 5}}
      |                                      ^^^^^^
      = help: a hash says nothing of how its text began: list whole hashes

    error[E305]: `status` is a number; it has no prefix
     --> t.yaml:9:60
      |
    9 |   where: {method: {gte: 5}, source: {prefix: ab}, status: {prefix: 5}, path: {gte: 5}}
      |                                                            ^^^^^^
      = help: use a range: `{gte: 500, lt: 600}`

    error[E305]: `path` is an identifier; it has no range
     --> t.yaml:9:79
      |
    9 |   where: {method: {gte: 5}, source: {prefix: ab}, status: {prefix: 5}, path: {gte: 5}}
      |                                                                               ^^^
      = help: list the values: `[one, two]`
    "#);
    insta::assert_snapshot!(filter_errors("{status: 999}"), @r#"
    error[E205]: `status` is at most 599
     --> t.yaml:9:19
      |
    9 |   where: {status: 999}
      |                   ^^^ from 100 to 599
    "#);
    insta::assert_snapshot!(filter_errors("{status: {gte: 600}}"), @r#"
    error[E205]: `status` is at most 599
     --> t.yaml:9:25
      |
    9 |   where: {status: {gte: 600}}
      |                         ^^^ from 100 to 599
    "#);
    insta::assert_snapshot!(filter_errors("{status: {gt: 300, lt: 301}}"), @r#"
    error[E308]: no `status` is in this range
     --> t.yaml:9:20
      |
    9 |   where: {status: {gt: 300, lt: 301}}
      |                    ^^ a signal's is from 100 to 599
    "#);
    insta::assert_snapshot!(filter_errors("{status: {gt: 300, gte: 301}}"), @r#"
    error[E307]: `gte` and `gt` in one range
     --> t.yaml:9:20
      |
    9 |   where: {status: {gt: 300, gte: 301}}
      |                    ^^
      = help: keep one of them
    "#);
    insta::assert_snapshot!(filter_errors("{status: {gte: 300, prefix: 3}}"), @r#"
    error[E307]: a prefix and a range in one test
     --> t.yaml:9:30
      |
    9 |   where: {status: {gte: 300, prefix: 3}}
      |                              ^^^^^^
      = help: a number has a range, text a prefix: keep one
    "#);
    insta::assert_snapshot!(filter_errors("{status: {}, path: {is: /a}}"), @r#"
    error[E306]: a test is empty
     --> t.yaml:9:19
      |
    9 |   where: {status: {}, path: {is: /a}}
      |                   ^
      = help: `gte`, `gt`, `lte`, `lt`, `prefix`, `suffix`, `contains`, `nocase`,
              `all`, `present`, `same_as` or `not`

    error[E201]: a test has no `is`
     --> t.yaml:9:30
      |
    9 |   where: {status: {}, path: {is: /a}}
      |                              ^^ unknown key
      = help: write the value itself, a list `[one, two]`, or `{not: value}`
    "#);
    insta::assert_snapshot!(filter_errors("{status: [], method: }"), @r#"
    error[E306]: an empty list matches nothing
     --> t.yaml:9:19
      |
    9 |   where: {status: [], method: }
      |                   ^
      = help: name a value, or take the field out of `where`

    error[E203]: `method` is text, not nothing
     --> t.yaml:9:29
      |
    9 |   where: {status: [], method: }
      |                             ^
      = help: in quotes it would be text; a field that is not there has no value
    "#);
    insta::assert_snapshot!(filter_errors("{path: wp-admin}"), @r#"
    error[E303]: no `path` is `wp-admin`
     --> t.yaml:9:17
      |
    9 |   where: {path: wp-admin}
      |                 ^^^^^^^^ never matches
      = help: a `path` is a path that starts with / and has no query, fragment, @ or
              space
    "#);
    insta::assert_snapshot!(filter_errors("{path: '/a?b=c'}"), @r#"
    error[E303]: no `path` is `/a?b=c`
     --> t.yaml:9:17
      |
    9 |   where: {path: '/a?b=c'}
      |                 ^^^^^^^^ never matches
      = help: a `path` is a path that starts with / and has no query, fragment, @ or
              space
    "#);
    insta::assert_snapshot!(filter_errors(&format!("{{path: /{}}}", "a".repeat(256))), @r#"
    error[E303]: `path` has at most 256 characters, this has 257
     --> t.yaml:9:17
      |
    9 |   where: {path: /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…
      |                 ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
    insta::assert_snapshot!(filter_errors("{source: 203.0.113.7}"), @r#"
    error[E304]: `source` is a keyed hash, 32 lowercase hex digits
     --> t.yaml:9:19
      |
    9 |   where: {source: 203.0.113.7}
      |                   ^^^^^^^^^^^
      = help: look it up in the integration's own page on the site: only the site
              knows what its hashes stand for
    "#);
    insta::assert_snapshot!(filter_errors("{status: {not: {not: 404}}}"), @r#"
    error[E307]: `not` of `not`
     --> t.yaml:9:26
      |
    9 |   where: {status: {not: {not: 404}}}
      |                          ^^^
      = help: take both away
    "#);
    insta::assert_snapshot!(filter_errors("{status: {not: 404, gte: 400}}"), @r#"
    error[E307]: `not` stands alone
     --> t.yaml:9:19
      |
    9 |   where: {status: {not: 404, gte: 400}}
      |                   ^
      = help: put everything that is negated under it: `{not: {gte: 500}}`
    "#);
    insta::assert_snapshot!(filter_errors("{at: 5, site: a}"), @r#"
    error[E302]: http.request has no field `at`
     --> t.yaml:9:11
      |
    9 |   where: {at: 5, site: a}
      |           ^^ unknown field
      = help: a signal's time is what windows are made of; it cannot be tested or
              grouped

    error[E302]: http.request has no field `site`
     --> t.yaml:9:18
      |
    9 |   where: {at: 5, site: a}
      |                  ^^^^ unknown field
      = help: it can be `method`, `path`, `status`, `route_group`, `user_agent`,
              `duration_ms`, `source`, `action`, `flags`, `bot`, `network` or
              `repeats`
    "#);
    insta::assert_snapshot!(filter_errors("[status]"), @r#"
    error[E203]: `where` is a map of keys and values, not a list
     --> t.yaml:9:10
      |
    9 |   where: [status]
      |          ^
    "#);
    insta::assert_snapshot!(rule_errors("  signal: auth.attempt\n  threshold: {count: 1, within: 1m}\n  where: {privileged: [true, false]}\n"), @r#"
    error[E305]: `privileged` is true or false
     --> t.yaml:9:23
      |
    9 |   where: {privileged: [true, false]}
      |                       ^
      = help: a list of both would only say that the field is there
    "#);
    insta::assert_snapshot!(rule_errors("  signal: auth.attempt\n  threshold: {count: 1, within: 1m}\n  where: {privileged: 'yes'}\n"), @r#"
    error[E203]: `privileged` is true or false, not text
     --> t.yaml:9:23
      |
    9 |   where: {privileged: 'yes'}
      |                       ^^^^^
    "#);
}
