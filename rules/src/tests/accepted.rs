//! What a rule becomes: canonical form, predicates, templates, and signals that match or don't.

use logystera_processor::core::{Clause, Condition, Piece, Predicate, Rule, RuleSet, StateLimits, Test};
use logystera_schemas::batch::{Signal, Value};
use logystera_schemas::catalogue::{SignalType, TYPE_FIELDS_MAX};

use crate::{Diagnostic, WorstCase, from_yaml};

/// The one rule of a file that has these keys besides the ones that every rule needs.
pub(super) fn rule(keys: &str) -> Rule {
    let mut set = set(&with_keys(keys));
    assert_eq!(set.rules.len(), 1);
    set.rules.remove(0)
}

pub(super) fn set(text: &str) -> RuleSet {
    from_yaml(&[("t.yaml", text)]).unwrap_or_else(|errors| {
        panic!("{}", errors.iter().map(Diagnostic::to_string).collect::<Vec<_>>().join("\n\n"))
    })
}

fn with_keys(keys: &str) -> String {
    let keys = keys.lines().map(|line| format!("  {line}\n")).collect::<Vec<_>>().concat();
    format!("format: 1\nrules:\n- name: r\n  title: T\n  subsystem: s\n  message: m\n{keys}")
}

pub(super) fn filtered(signal: &str, filter: &str) -> Rule {
    rule(&format!("signal: {signal}\nwhere: {filter}\nthreshold: {{count: 1, within: 1m}}"))
}

/// A signal whose named fields have these values.
pub(super) fn signal<'a>(name: &str, fields: &[(&str, Value<'a>)]) -> Signal<'a> {
    let kind = SignalType::from_name(name).unwrap();
    let mut values = [Value::Absent; TYPE_FIELDS_MAX];
    for (field, value) in fields {
        values[kind.def().field(field).unwrap().0] = *value;
    }
    Signal { kind, at: 0, fields: values, bytes: &[] }
}

#[test]
fn filters_match_what_they_say() {
    let request =
        |path, status| signal("http.request", &[("path", Value::Ident(path)), ("status", Value::Int(status))]);
    let edit = |bits| signal("file.edit", &[("heuristics", Value::List(bits))]);
    let mail = |class| signal("mail.outcome", &[("outcome", Value::Enum(1)), ("error_class", class)]);
    let login = |privileged| signal("auth.attempt", &[("privileged", privileged)]);
    let user = |hash| signal("user.change", &[("user_hash", Value::Hash(hash))]);
    let (a, b) = ([0xaa; 16], [0xbb; 16]);
    for (filter, signal, matches) in [
        ("{outcome: failed}", mail(Value::Absent), true),
        ("{outcome: sent}", mail(Value::Absent), false),
        ("{outcome: [sent, failed]}", mail(Value::Absent), true),
        ("{outcome: {not: failed}}", mail(Value::Absent), false),
        ("{error_class: auth}", mail(Value::Absent), false),
        ("{error_class: {not: auth}}", mail(Value::Absent), true),
        ("{error_class: {not: auth}}", mail(Value::Enum(0)), false),
        ("{error_class: {not: [connect, timeout]}}", mail(Value::Enum(0)), true),
        ("{outcome: failed, error_class: auth}", mail(Value::Enum(0)), true),
        ("{outcome: failed, error_class: auth}", mail(Value::Enum(1)), false),
        ("{heuristics: core_file}", edit(0b10000), true),
        ("{heuristics: core_file}", edit(0b01111), false),
        ("{heuristics: [core_file, obfuscated]}", edit(0b00010), true),
        ("{heuristics: [core_file, obfuscated]}", edit(0), false),
        ("{heuristics: {not: core_file}}", edit(0), true),
        ("{status: 404}", request("/", 404), true),
        ("{status: [404, 410]}", request("/", 410), true),
        ("{status: [404, 410]}", request("/", 409), false),
        ("{status: {gte: 500, lt: 600}}", request("/", 500), true),
        ("{status: {gte: 500, lt: 600}}", request("/", 499), false),
        ("{status: {gt: 500}}", request("/", 500), false),
        ("{status: {gt: 500}}", request("/", 501), true),
        ("{status: {lte: 200}}", request("/", 200), true),
        ("{status: {lt: 200}}", request("/", 200), false),
        ("{status: {not: {gte: 500}}}", request("/", 404), true),
        ("{path: /wp-login.php}", request("/wp-login.php", 200), true),
        ("{path: [/a, /b]}", request("/b", 200), true),
        ("{path: [/a, /b]}", request("/bb", 200), false),
        ("{path: {prefix: /wp-admin}}", request("/wp-admin/index.php", 200), true),
        ("{path: {prefix: /wp-admin}}", request("/wp-content", 200), false),
        ("{path: {prefix: [/a, /b]}}", request("/bcd", 200), true),
        ("{path: {not: {prefix: [/a, /b]}}}", request("/bcd", 200), false),
        ("{duration_ms: {not: {gte: 5}}}", request("/", 200), true),
        ("{privileged: true}", login(Value::Bool(true)), true),
        ("{privileged: false}", login(Value::Bool(true)), false),
        ("{privileged: false}", login(Value::Absent), false),
        ("{privileged: {not: true}}", login(Value::Absent), true),
        ("{user_hash: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}", user(&a), true),
        ("{user_hash: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}", user(&b), false),
        ("{}", request("/", 200), true),
    ] {
        assert_eq!(filtered(signal.kind.name(), filter).matches(&signal.fields), matches, "{filter}");
    }
}

#[test]
fn cheap_tests_come_first() {
    let rule = filtered(
        "http.request",
        "{any: [{status: 500}], all: [{status: 500}], action: {prefix: a, nocase: true}, path: {prefix: /a}, user_agent: x, source: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, duration_ms: [1], status: {gte: 500}, method: GET}",
    );
    let kinds = rule.filter.0.iter().map(|clause| match clause {
        Clause::Test(Predicate { test: Test::EnumIn(_), .. }) => 0,
        Clause::Test(Predicate { test: Test::IntIn { .. }, .. }) => 1,
        Clause::Test(Predicate { test: Test::IntOneOf(_), .. }) => 2,
        Clause::Test(Predicate { test: Test::HashOneOf(_), .. }) => 3,
        Clause::Test(Predicate { test: Test::IdentOneOf(_), .. }) => 4,
        Clause::Test(Predicate { test: Test::IdentPart(test), .. }) => 5 + u8::from(test.nocase),
        Clause::All(_) => 7,
        Clause::Any(_) => 8,
        other => panic!("{other:?}"),
    });
    let kinds: Vec<u8> = kinds.collect();
    assert_eq!(kinds, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn windows_are_exact_up_to_256_and_in_panes_above() {
    for (threshold, within, resolution) in [
        ("{count: 256, within: 7d}", 604_800_000, None),
        ("{count: 257, within: 10m}", 600_000, Some(5_000)),
        ("{count: 1000000, within: 1h}", 3_600_000, Some(5_000)),
        ("{count: 257, within: 7d, resolution: 14m}", 604_800_000, Some(840_000)),
        ("{count: 2, within: 10m, resolution: 5s}", 600_000, Some(5_000)),
        ("{count: 2, within: 500ms, resolution: 500ms}", 500, Some(500)),
    ] {
        let rule = rule(&format!("signal: cron.run\nthreshold: {threshold}"));
        let Condition::Count { within_ms, resolution_ms, .. } = rule.condition else { panic!("{threshold}") };
        assert_eq!((within_ms, resolution_ms), (within, resolution), "{threshold}");
    }
}

#[test]
fn messages_have_places_for_values() {
    let text = "{{x}} {count} on {site} ({source}, {method}) within {within}";
    let rule = set(&format!(
        "{{format: 1, rules: [{{name: r, title: T, subsystem: s, message: '{text}', signal: auth.attempt, group_by: [method, source], threshold: {{count: 2, within: 90s}}}}]}}"
    ))
    .rules
    .remove(0);
    assert_eq!(
        rule.message.0,
        [
            Piece::Text("{x} ".into()),
            Piece::Count,
            Piece::Text(" on ".into()),
            Piece::Site,
            Piece::Text(" (".into()),
            Piece::Group(1),
            Piece::Text(", ".into()),
            Piece::Group(0),
            Piece::Text(") within ".into()),
            Piece::Within("90 seconds".into()),
        ]
    );
}

/// The file of the canonical form's tests: many spellings of one set.
const SPELLINGS: [&str; 3] = [
    "format: 1\nrules:\n- {name: b, title: B, subsystem: s, signal: cron.run, message: m, threshold: {within: 600s, count: 3}}\n- name: a\n  title: A\n  subsystem: mail\n  signal: mail.outcome\n  where: {outcome: failed, recipients: {gt: 1}}\n  threshold: {count: 5, within: 10m}\n  message: '{count}'\n",
    "# reordered, with defaults\nrules:\n- message: \"{count}\"\n  where:\n    recipients:\n      gte: 2\n    outcome: [failed, failed]\n  for: 0s\n  name: a\n  threshold: {within: 600000ms, count: 5}\n  signal: 'mail.outcome'\n  severity: warning\n  suppress: 60m\n  resolve_after: 900s\n  group_by: []\n  evidence: []\n  tests: []\n  title: A\n  subsystem: mail\n- {name: b, title: B, subsystem: s, signal: cron.run, where: {}, message: m, threshold: {count: 3, within: 10m}}\nformat: 1\ndisabled: []\nlimits: {rule_groups: 1000}\n",
    r#"{"format":1,"rules":[{"message":"m","name":"b","signal":"cron.run","subsystem":"s","threshold":{"count":3,"within":"10m"},"title":"B"},{"message":"{count}","name":"a","signal":"mail.outcome","subsystem":"mail","threshold":{"count":5,"within":"10m"},"title":"A","where":{"outcome":"failed","recipients":{"gte":2}}}]}"#,
];

#[test]
fn every_spelling_has_one_canonical_form() {
    let sets = SPELLINGS.map(set);
    insta::assert_snapshot!(sets[0].body, @r#"{"disabled":[],"format":1,"limits":{"rule_groups":1000,"site_bytes":4194304,"site_groups":5000},"rules":[{"evidence":[],"for":"0s","group_by":[],"message":"{count}","name":"a","resolve_after":"15m","severity":"warning","signal":"mail.outcome","subsystem":"mail","suppress":"1h","threshold":{"count":5,"within":"10m"},"title":"A","where":{"outcome":["failed"],"recipients":{"gte":2}}},{"evidence":[],"for":"0s","group_by":[],"message":"m","name":"b","resolve_after":"15m","severity":"warning","signal":"cron.run","subsystem":"s","suppress":"1h","threshold":{"count":3,"within":"10m"},"title":"B","where":{}}]}"#);
    for other in &sets[1..] {
        assert_eq!((&other.body, other.digest), (&sets[0].body, sets[0].digest));
        let revisions = |set: &RuleSet| set.rules.iter().map(|r| (r.revision.clone(), r.counts)).collect::<Vec<_>>();
        assert_eq!(revisions(other), revisions(&sets[0]));
    }
}

/// What an edit changes: the revision always, what the rule counts only where groups must start anew.
#[test]
fn edits_change_the_revision_and_perhaps_what_is_counted() {
    let base = "signal: auth.attempt\nwhere: {outcome: failure}\ngroup_by: [source]\nthreshold: {count: 5, within: 10m}\nfor: 0s\nseverity: info\nevidence: [method]";
    let before = rule(base);
    for (from, to, counts_anew) in [
        ("severity: info", "severity: critical", false),
        ("for: 0s", "for: 1m", false),
        ("for: 0s", "suppress: 2h", false),
        ("for: 0s", "resolve_after: 1m", false),
        ("for: 0s", "why: Because.", false),
        ("for: 0s", "do: Something.", false),
        ("for: 0s", "bundle: {by: [site], wait: 30s, max: 20}", false),
        ("evidence: [method]", "evidence: [method, outcome]", false),
        ("outcome: failure", "outcome: lockout", true),
        ("group_by: [source]", "group_by: [source, method]", true),
        ("count: 5", "count: 6", true),
        ("within: 10m", "within: 11m", true),
        ("within: 10m", "within: 10m, resolution: 5s", true),
        ("count: 5", "distinct: {field: user_hash, at_least: 5}", true),
    ] {
        assert!(base.contains(from), "{from}");
        let after = rule(&base.replace(from, to));
        assert_ne!(before.revision, after.revision, "{to}");
        assert_eq!(before.counts != after.counts, counts_anew, "{to}");
        assert_eq!(after.revision.len(), 12);
    }
}

#[test]
fn the_digest_covers_rules_limits_and_disabled_types() {
    let base = "format: 1\nrules: []\n";
    let digests: Vec<_> =
        ["", "limits: {site_groups: 1001}\n", "limits: {site_bytes: 100000}\n", "disabled: [cron.run]\n"]
            .map(|more| set(&format!("{base}{more}")).digest)
            .to_vec();
    for (i, digest) in digests.iter().enumerate() {
        assert!(!digests[..i].contains(digest), "{i}");
    }
    let set =
        set("format: 1\nlimits: {rule_groups: 7, site_groups: 9, site_bytes: 65536}\ndisabled: [cron.run, cron.run]\n");
    assert_eq!((set.limits.rule_groups, set.limits.site_groups, set.limits.site_bytes), (7, 9, 65_536));
    assert_eq!(set.disabled.iter().map(SignalType::name).collect::<Vec<_>>(), ["cron.run"]);
}

#[test]
fn groups_are_counted_where_they_can_be() {
    for (keys, groups) in [
        ("signal: cron.run\nthreshold: {count: 1, within: 1m}", 1),
        ("signal: cron.run\ngroup_by: [outcome]\nthreshold: {count: 1, within: 1m}", 3),
        ("signal: auth.attempt\ngroup_by: [reason, method]\nthreshold: {count: 1, within: 1m}", 6 * 8),
        ("signal: auth.attempt\ngroup_by: [privileged]\nthreshold: {count: 1, within: 1m}", 3),
        ("signal: auth.attempt\ngroup_by: [outcome, source]\nthreshold: {count: 1, within: 1m}", 1_000),
        ("signal: cron.run\ngroup_by: [outcome]\neach: {}", 3),
        ("absent: {blind_after: 1h}", 1),
    ] {
        assert_eq!(WorstCase::of(&rule(keys), &StateLimits::default()).groups, groups, "{keys}");
    }
}
