//! Recorded logs and what they must give. A change that makes one of them diverge changes what a log means: either it is a
//! bug, or `SEMANTICS` must be raised.
//!
//! `tests/golden/<name>.log.gz` has a record of topic `signals` a line, in hex; `<name>.rules.ndjson` the bodies of the
//! configurations that it names; `<name>.snap` the detections, a JSON object a line. `tests/golden/record.sh` makes the first
//! two from a data folder, `tests/golden/record_sim.sh` from a seed of the simulator.

#![expect(clippy::panic, reason = "a test fails by it")]

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::GzDecoder;
use logystera_processor::core::engine::{Engine, Output};
use logystera_processor::core::rule::RuleSet;
use logystera_schemas::detection::{DetectionReason, DetectionState};
use logystera_schemas::topic::SignalsRecord;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden")
}

fn lines(path: &Path) -> Vec<String> {
    let file = File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let reader: Box<dyn BufRead> = if path.extension().is_some_and(|e| e == "gz") {
        Box::new(BufReader::new(GzDecoder::new(file)))
    } else {
        Box::new(BufReader::new(file))
    };
    reader.lines().collect::<Result<_, _>>().unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn from_hex(line: &str) -> Vec<u8> {
    let nibble = |b: u8| (b as char).to_digit(16).expect("a hex digit") as u8;
    line.as_bytes().chunks_exact(2).map(|pair| nibble(pair[0]) << 4 | nibble(pair[1])).collect()
}

fn learn(engine: &mut Engine, name: &str) {
    for body in lines(&folder().join(format!("{name}.rules.ndjson"))) {
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
    for (offset, line) in lines(&folder().join(format!("{name}.log.gz"))).iter().enumerate() {
        let value = from_hex(line);
        let record = SignalsRecord::decode(&value).unwrap_or_else(|e| panic!("{name} offset {offset}: {e}"));
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

/// The recordings, by name.
fn names() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .expect("tests/golden is there")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".log.gz").map(str::to_owned))
        .collect();
    names.sort();
    assert!(!names.is_empty(), "no recorded log in tests/golden");
    names
}

#[test]
fn recorded_logs_give_what_they_gave() {
    for name in names() {
        let told = replay(&name, None);
        insta::with_settings!({ snapshot_path => folder(), prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name.clone(), told);
        });
        assert_eq!(replay(&name, Some(7)), told, "{name}: with a crash every seven records");
    }
}

/// What no recording holds could change unnoticed.
#[test]
fn the_recordings_have_every_state_and_every_reason() {
    let told: String = names().iter().map(|name| replay(name, None)).collect();
    let states = DetectionState::ALL.iter().map(|state| format!("\"state\":\"{state}\""));
    let reasons = DetectionReason::ALL.iter().map(|reason| format!("\"reason\":\"{reason}\""));
    let missing: Vec<String> = states.chain(reasons).filter(|field| !told.contains(field)).collect();
    assert!(missing.is_empty(), "in no recording: {missing:?}");
}
