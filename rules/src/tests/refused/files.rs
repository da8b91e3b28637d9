//! Files that are refused.

use super::errors;

#[test]
fn the_example_of_the_manual() {
    insta::assert_snapshot!(errors("format: 1
rules:
- name: mail-delivery-failing
  title: Mail delivery is failing
  sevrity: critical
  subsystem: mail
  signal: mail.outcom
  threshold: {count: 5, within: 10 minutes}
  message: \"{count} mails failed on {sit} within {within}\"
- name: Mail Failing
  title: \"\"
  subsystem: mail
  signal: mail.outcome
  where: {outcom: failed, transport: smpt}
  group_by: [site]
  threshold: {count: 0, within: 8d}
  message: \"{count mails\"
"), @r#"
    error[E201]: a rule has no `sevrity`
     --> t.yaml:5:3
      |
    5 |   sevrity: critical
      |   ^^^^^^^ unknown key
      = help: did you mean `severity`?

    error[E301]: there is no signal type `mail.outcom`
     --> t.yaml:7:11
      |
    7 |   signal: mail.outcom
      |           ^^^^^^^^^^^
      = help: did you mean `mail.outcome`?

    error[E211]: `within` is a duration, not `10 minutes`
     --> t.yaml:8:33
      |
    8 |   threshold: {count: 5, within: 10 minutes}
      |                                 ^^^^^^^^^^
      = help: write `10m`

    error[E501]: `message` has nothing called `sit`
     --> t.yaml:9:37
      |
    9 |   message: "{count} mails failed on {sit} within {within}"
      |                                     ^^^^^
      = help: did you mean `site`? (fields of `group_by` can be named too)

    error[E208]: `name` is 1 to 64 of a-z 0-9 _ -
      --> t.yaml:10:9
       |
    10 | - name: Mail Failing
       |         ^^^^^^^^^^^^
       = help: write `mail-failing`

    error[E206]: `title` is empty
      --> t.yaml:11:10
       |
    11 |   title: ""
       |          ^^

    error[E302]: mail.outcome has no field `outcom`
      --> t.yaml:14:11
       |
    14 |   where: {outcom: failed, transport: smpt}
       |           ^^^^^^ unknown field
       = help: did you mean `outcome`?

    error[E204]: `transport` cannot be `smpt`
      --> t.yaml:14:38
       |
    14 |   where: {outcom: failed, transport: smpt}
       |                                      ^^^^
       = help: did you mean `smtp`?

    error[E209]: every rule counts by site already
      --> t.yaml:15:14
       |
    15 |   group_by: [site]
       |              ^^^^
       = help: take `site` away; name only what tells groups of one site apart

    error[E205]: `count` is at least 1
      --> t.yaml:16:22
       |
    16 |   threshold: {count: 0, within: 8d}
       |                      ^ from 1 to 1000000

    error[E205]: `within` is at most 7d
      --> t.yaml:16:33
       |
    16 |   threshold: {count: 0, within: 8d}
       |                                 ^^ from 100ms to 7d

    error[E502]: a `{` alone
      --> t.yaml:17:13
       |
    17 |   message: "{count mails"
       |             ^
       = help: write `{{` for the character itself
    "#);
}

#[test]
fn what_is_not_a_rule_file() {
    insta::assert_snapshot!(errors(""), @r#"
    error[E105]: the file is empty
     --> t.yaml:1:1
      |
    1 |
      | ^
      = help: begin with `format: 1`, then `rules:`
    "#);
    insta::assert_snapshot!(errors("# nothing\n"), @r#"
    error[E105]: the file is empty
     --> t.yaml:1:1
      |
    1 | # nothing
      | ^
      = help: begin with `format: 1`, then `rules:`
    "#);
    insta::assert_snapshot!(errors("just words"), @r#"
    error[E203]: a rule file is a map of keys and values, not text
     --> t.yaml:1:1
      |
    1 | just words
      | ^^^^^^^^^^
    "#);
    insta::assert_snapshot!(errors("[1, 2]"), @r#"
    error[E203]: a rule file is a map of keys and values, not a list
     --> t.yaml:1:1
      |
    1 | [1, 2]
      | ^
    "#);
    insta::assert_snapshot!(errors("rules: []"), @r#"
    error[E202]: a rule file needs `format`
     --> t.yaml:1:1
      |
    1 | rules: []
      | ^^^^^
      = help: begin with `format: 1`
    "#);
    insta::assert_snapshot!(errors("format: 2\nrules:\n"), @r#"
    error[E113]: format 2 is newer than this version, which reads 1
     --> t.yaml:1:9
      |
    1 | format: 2
      |         ^

    error[E203]: `rules` is a list, not nothing
     --> t.yaml:2:6
      |
    2 | rules:
      |      ^
    "#);
    insta::assert_snapshot!(errors("format: '1'\nrules: [x]"), @r#"
    error[E212]: `format` is a whole number, not text
     --> t.yaml:1:9
      |
    1 | format: '1'
      |         ^^^
      = help: take the quotes away

    error[E203]: a rule is a map of keys and values, not text
     --> t.yaml:2:9
      |
    2 | rules: [x]
      |         ^
    "#);
    insta::assert_snapshot!(errors("format: 1\nmetrics: []\nsnapshots: []\nruels: []"), @r#"
    error[E210]: `snapshots` is not in this version
     --> t.yaml:3:1
      |
    3 | snapshots: []
      | ^^^^^^^^^
      = help: snapshots come in a later version

    error[E201]: a rule file has no `ruels`
     --> t.yaml:4:1
      |
    4 | ruels: []
      | ^^^^^ unknown key
      = help: did you mean `rules`?
    "#);
}

#[test]
fn yaml_that_is_not_taken() {
    insta::assert_snapshot!(errors("format: 1\nrules: &all []\nlimits: *all\ndisabled: !!seq []\n"), @r#"
    error[E107]: an anchor
     --> t.yaml:2:8
      |
    2 | rules: &all []
      |        ^^^^^^
      = help: take the `&name` away: a rule should be readable where it stands

    error[E107]: an alias
     --> t.yaml:3:9
      |
    3 | limits: *all
      |         ^^^^ not followed
      = help: write the value out: a rule should be readable where it stands

    error[E203]: `limits` is a map of keys and values, not nothing
     --> t.yaml:3:9
      |
    3 | limits: *all
      |         ^^^^

    error[E107]: a tag
     --> t.yaml:4:11
      |
    4 | disabled: !!seq []
      |           ^^^^^^^
      = help: take the `!name` away: the key says what a value is
    "#);
    insta::assert_snapshot!(errors("format: 1\nformat: 1\n"), @r#"
    error[E109]: `format` stands here twice
     --> t.yaml:2:1
      |
    2 | format: 1
      | ^^^^^^ first on line 1
      = help: keep one of them
    "#);
    insta::assert_snapshot!(errors("format: 1\n---\nformat: 1\n"), @r#"
    error[E106]: a second document
     --> t.yaml:2:1
      |
    2 | ---
      | ^^^
      = help: put its rules under the first `rules:`, or into a file of their own
    "#);
    insta::assert_snapshot!(errors("format: 1\n? [a]\n: b\n"), @r#"
    error[E110]: a key that is a list or a map
     --> t.yaml:2:3
      |
    2 | ? [a]
      |   ^
      = help: keys are words
    "#);
    insta::assert_snapshot!(errors("format: 1\n<<: {rules: []}\n"), @r#"
    error[E201]: a rule file has no `<<`
     --> t.yaml:2:1
      |
    2 | <<: {rules: []}
      | ^^ unknown key
      = help: it can be `format`, `rules`, `metrics`, `limits` or `disabled`
    "#);
    insta::assert_snapshot!(errors("format: 1\nrules:\n\t- name: x\n"), @r#"
    error[E103]: this is not YAML: tabs disallowed within this context (block indentation)
     --> t.yaml:3:2
      |
    3 |  - name: x
      |  ^
      = help: YAML indents with spaces: replace the tabs
    "#);
    insta::assert_snapshot!(errors("format: 1\nrules: [\n"), @r#"
    error[E103]: this is not YAML: while parsing a node, did not find expected node content
     --> t.yaml:3:1
      |
    3 |
      | ^
    "#);
    insta::assert_snapshot!(errors("format: 1\u{0}\n"), @r#"
    error[E104]: a control character, U+0000
     --> t.yaml:1:10
      |
    1 | format: 1�
      |          ^
      = help: remove it
    "#);
    insta::assert_snapshot!(errors("format: 1\r\nrules: [\u{1b}]\r\n"), @r#"
    error[E104]: a control character, U+001B
     --> t.yaml:2:9
      |
    2 | rules: [�]
      |         ^
      = help: remove it
    "#);
    insta::assert_snapshot!(errors(&format!("format: 1\nrules: {}{}", "[".repeat(16), "]".repeat(16))), @r#"
    error[E108]: more than 16 levels
     --> t.yaml:2:23
      |
    2 | rules: [[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]
      |                       ^
      = help: no rule is so deep: look for a bracket or an indent too many
    "#);
}

#[test]
fn bytes_that_are_not_text() {
    fn decoded(bytes: &[u8]) -> Result<&str, String> {
        crate::set::decode("t.yaml", bytes).map_err(|error| error.to_string())
    }
    assert_eq!(decoded("é".as_bytes()), Ok("é"));
    insta::assert_snapshot!(decoded(b"format: 1\n# \xc3\xa9 \xff\n").unwrap_err(), @r#"
    error[E102]: this is not UTF-8
     --> t.yaml:2:5
      |
    2 | # é
      |     ^
      = help: save the file as UTF-8
    "#);
    let long = vec![b'#'; logystera_schemas::limits::RULE_FILE_BYTES_MAX + 1];
    assert!(decoded(&long[1..]).is_ok());
    insta::assert_snapshot!(decoded(&long).unwrap_err(), @r#"
    error[E101]: the file has more than 1048576 bytes
     --> t.yaml:1:1
      |
    1 |
      | ^
      = help: split it into several files
    "#);
}
