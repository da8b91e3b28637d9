//! What a group can count for at most.

use std::sync::Arc;

use logystera_schemas::avro::Writer;
use logystera_schemas::batch::{Signal, Value};
use logystera_schemas::catalogue::{SignalType, TYPE_FIELDS_MAX};
use logystera_schemas::time::SiteMs;

use crate::core::conditions::kind::Match;
use crate::core::group::Group;
use crate::core::group_key::GroupKey;
use crate::core::program::Program;
use crate::core::rule::RuleSet;
use crate::rules::WorstCase;

/// The program of one rule that has these keys besides the ones that every rule needs.
fn program(keys: &str) -> Program {
    let text = format!("format: 1\nrules:\n- name: r\n  title: T\n  subsystem: s\n  message: m\n  {keys}\n");
    Program::new(Arc::new(RuleSet::from_yaml(&[("t.yaml", &text)]).unwrap()))
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
    for condition in [
        "threshold: {count: 256, within: 7d}",
        "threshold: {count: 100000, within: 1h}",
        "threshold: {distinct: {field: duration_ms, at_least: 256}, within: 1h}",
        "absent: {for: 1h, expected: once_seen}",
    ] {
        let program = program(&format!(
            "signal: http.request\n  group_by: [path, user_agent, source, status]\n  evidence: [path, duration_ms, source, method, status, route_group, user_agent]\n  {condition}"
        ));
        let (_, rule, plan) = program.iter().next().unwrap();
        let worst = WorstCase::of(rule, &program.set.limits);
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
        assert!(bytes <= worst.group_bytes, "{condition}: {bytes} of {worst:?}");
        assert!(bytes * 2 > worst.group_bytes, "{condition}: {bytes} of {worst:?}");
    }
}
