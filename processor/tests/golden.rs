//! Recorded logs and what they must give. A change that makes one of them diverge changes what a log means: either it is a
//! bug, or `SEMANTICS` must be raised.
//!
//! `tests/golden/record.sh` makes a recording from a data folder, `tests/golden/record_sim.sh` from a seed of the simulator.

#![expect(clippy::panic, reason = "a test fails by it")]

use std::sync::Arc;

use logystera_processor::core::engine::{Engine, Output};
use logystera_processor::core::rule::RuleSet;
use logystera_schemas::detection::{DetectionReason, DetectionState};
use logystera_schemas::topic::SignalsRecord;
use logystera_system::golden;

fn learn(engine: &mut Engine, name: &str) {
    for body in golden::bodies(name) {
        let set = RuleSet::from_canonical(&body).unwrap_or_else(|e| panic!("{name}: {e:#?}"));
        engine.learn(Arc::new(set));
    }
}

/// Replays a recorded log; `crash_every` restores the engine from its own state after so many records.
fn replay(name: &str, crash_every: Option<usize>) -> String {
    let mut engine = Engine::new(0);
    learn(&mut engine, name);
    let mut stored = std::collections::BTreeMap::new();
    let mut told = String::new();
    for (offset, value) in golden::records(name).iter().enumerate() {
        let record = SignalsRecord::decode(value).unwrap_or_else(|e| panic!("{name} offset {offset}: {e}"));
        let mut out = Vec::new();
        engine.apply(offset as u64, &record, &mut out).unwrap_or_else(|e| panic!("{name} offset {offset}: {e}"));
        for output in out {
            if let Output::Detection(detection) = output {
                told += &serde_json::to_string(&detection).expect("a detection is JSON");
                told.push('\n');
            }
        }
        for (key, value) in engine.take_puts() {
            match value {
                Some(value) => stored.insert(key, value),
                None => stored.remove(&key),
            };
        }
        if crash_every.is_some_and(|every| offset % every == every - 1) {
            engine = Engine::new(0);
            learn(&mut engine, name);
            for (key, value) in &stored {
                engine.restore(key, value).unwrap_or_else(|e| panic!("{name} offset {offset}: {e}"));
            }
            engine.restored();
        }
    }
    told
}

#[test]
fn recorded_logs_give_what_they_gave() {
    for name in golden::names() {
        let told = replay(&name, None);
        insta::with_settings!({ snapshot_path => golden::folder(), prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name.clone(), told);
        });
        assert_eq!(replay(&name, Some(7)), told, "{name}: with a crash every seven records");
    }
}

/// What no recording holds could change unnoticed.
#[test]
fn the_recordings_have_every_state_and_every_reason() {
    let told: String = golden::names().iter().map(|name| replay(name, None)).collect();
    let states = DetectionState::ALL.iter().map(|state| format!("\"state\":\"{state}\""));
    let reasons = DetectionReason::ALL.iter().map(|reason| format!("\"reason\":\"{reason}\""));
    let missing: Vec<String> = states.chain(reasons).filter(|field| !told.contains(field)).collect();
    assert!(missing.is_empty(), "in no recording: {missing:?}");
}
