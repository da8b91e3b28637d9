//! What a group can count for at most.

use std::sync::Arc;

use logystera_ruleset::{Clause, Condition, Expected, Filter, Predicate, Rule, RuleSet, StateLimits, Template, Test};
use logystera_schemas::avro::Writer;
use logystera_schemas::batch::{Signal, Value};
use logystera_schemas::catalogue::{SignalType, SignalTypes, TYPE_FIELDS_MAX};
use logystera_schemas::detection::Severity;
use logystera_schemas::ids::Sha256Digest;
use logystera_schemas::time::SiteMs;

use crate::core::conditions::kind::Match;
use crate::core::group::{Group, bytes_max};
use crate::core::group_key::GroupKey;
use crate::core::program::Program;

/// The fields that tell groups apart, and those that evidence shows.
const GROUP_BY: [&str; 4] = ["path", "user_agent", "source", "status"];
const EVIDENCE: [&str; 7] = ["path", "duration_ms", "source", "method", "status", "route_group", "user_agent"];
const HOUR_MS: i64 = 3_600_000;

/// The place of a field of `http.request`.
fn field(name: &str) -> usize {
    SignalType::from_name("http.request").unwrap().def().field(name).unwrap().0
}

/// The program of one rule with this condition.
fn program(condition: Condition) -> Program {
    let rule = Rule {
        name: "r".parse().unwrap(),
        revision: String::new(),
        counts: Sha256Digest::of(b""),
        title: "T".to_owned(),
        severity: Severity::Warning,
        subsystem: "s".to_owned(),
        signal: SignalType::from_name("http.request"),
        filter: Filter::default(),
        group_by: GROUP_BY.map(field).to_vec(),
        condition,
        escalate: Vec::new(),
        for_ms: 0,
        suppress_ms: HOUR_MS,
        resolve_after_ms: HOUR_MS / 4,
        evidence: EVIDENCE.map(field).to_vec(),
        message: Template::default(),
        why: None,
        advice: None,
        bundle: None,
    };
    Program::new(Arc::new(RuleSet {
        metrics: Vec::new(),
        digest: Sha256Digest::of(b""),
        body: String::new(),
        rules: vec![rule],
        limits: StateLimits::default(),
        disabled: SignalTypes::default(),
    }))
}

/// A signal whose named fields have these values.
fn signal<'a>(name: &str, fields: &[(&str, Value<'a>)]) -> Signal<'a> {
    let kind = SignalType::from_name(name).unwrap();
    let mut values = [Value::Absent; TYPE_FIELDS_MAX];
    for (field, value) in fields {
        values[kind.def().field(field).unwrap().0] = *value;
    }
    Signal { kind, at: 0, fields: values, bytes: &[] }
}

/// The bound that is printed at definition time holds for the fullest group that the engine makes.
#[test]
fn no_group_is_larger_than_its_worst_case() {
    let text = "a".repeat(256);
    let path = format!("/{}", &text[1..]);
    let of = Filter(vec![Clause::Test(Predicate { field: field("status"), negated: false, test: Test::Present })]);
    let ratio = Condition::Ratio { of, at_least: 500, min: 20, within_ms: HOUR_MS, pane_ms: 5_000 };
    for condition in [
        Condition::Count { threshold: 256, within_ms: 7 * 24 * HOUR_MS, resolution_ms: None },
        Condition::Count { threshold: 100_000, within_ms: HOUR_MS, resolution_ms: Some(5_000) },
        Condition::Distinct { field: field("duration_ms"), at_least: 256, within_ms: HOUR_MS },
        Condition::Absent { for_ms: HOUR_MS, expected: Expected::OnceSeen, at_most: 0, forget_after_ms: None },
        Condition::Absent {
            for_ms: 2 * 24 * HOUR_MS,
            expected: Expected::OnceSeen,
            at_most: 256,
            forget_after_ms: Some(7 * 24 * HOUR_MS),
        },
        Condition::Each,
        Condition::Sum {
            field: field("duration_ms"),
            at_least: 1_000_000_000_000_000,
            within_ms: HOUR_MS,
            pane_ms: 5_000,
        },
        ratio.clone(),
        Condition::All(vec![
            ratio,
            Condition::Count { threshold: 256, within_ms: HOUR_MS, resolution_ms: None },
            Condition::Distinct { field: field("duration_ms"), at_least: 256, within_ms: HOUR_MS },
        ]),
    ] {
        let program = program(condition.clone());
        let (_, rule, plan) = program.iter().next().unwrap();
        let worst = bytes_max(rule);
        let mut group = Group::new(plan).unwrap();
        let (mut key, mut scratch) = (GroupKey::default(), Writer::new());
        for i in 0..2_000 {
            let hash = [i as u8; 16];
            let signal = signal(
                "http.request",
                &[
                    ("method", Value::Enum(0)),
                    ("path", Value::Ident(&path)),
                    ("status", Value::Int(599)),
                    ("route_group", Value::Ident("x")),
                    ("user_agent", Value::Ident(&text)),
                    ("duration_ms", Value::Int(604_800_000 - i)),
                    ("source", Value::Hash(&hash)),
                ],
            );
            let at = SiteMs(i * 5_000);
            group
                .take(plan, &Match { signal: signal.kind, fields: &signal.fields, at, now: at, times: 1, is_on: true });
            group.evidence.add(rule, signal.kind, &signal.fields, at, &mut scratch);
            key = GroupKey::of(rule, &signal.fields);
        }
        let bytes = group.bytes(&key);
        assert!(bytes <= worst, "{condition:?}: {bytes} of {worst}");
        assert!(bytes * 2 > worst, "{condition:?}: {bytes} of {worst}");
    }
}
