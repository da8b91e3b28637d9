//! Recorded logs and what they must give. A change that makes one of them diverge changes what a log means: either it is a
//! bug, or `SEMANTICS` must be raised.
//!
//! `tests/golden/record.sh` makes a recording from a data folder, `tests/golden/record_sim.sh` from a seed of the simulator.

#![expect(clippy::panic, reason = "a test fails by it")]

use std::collections::BTreeMap;
use std::sync::Arc;

use logystera_processor::core::{Engine, Output};
use logystera_rules::from_canonical;
use logystera_schemas::detection::{DetectionReason, DetectionState};
use logystera_schemas::ids::{KEY_GROUPS, KeyGroup, SiteId};
use logystera_schemas::partition::{Generation, PartitionRef};
use logystera_schemas::signals_topic::Seal;
use logystera_schemas::topic::SignalsRecord;
use logystera_system::golden;

/// State entries, by key.
type Puts = BTreeMap<Vec<u8>, Vec<u8>>;

/// An engine that knows the recording's configurations.
fn engine(name: &str, home: PartitionRef) -> Engine {
    let mut engine = Engine::new(home);
    for body in golden::bodies(name) {
        let set = from_canonical(&body).unwrap_or_else(|e| panic!("{name}: {e:#?}"));
        engine.learn(Arc::new(set));
    }
    engine
}

/// Stores what changed.
fn store(engine: &mut Engine, stored: &mut Puts) {
    for (key, value) in engine.take_puts() {
        match value {
            Some(value) => stored.insert(key, value),
            None => stored.remove(&key),
        };
    }
}

/// Replays a recorded log; `crash_every` restores the engine from its own state after so many records.
fn replay(name: &str, crash_every: Option<usize>) -> String {
    let mut engine = engine(name, PartitionRef::ONLY);
    let mut stored = Puts::new();
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
        store(&mut engine, &mut stored);
        if crash_every.is_some_and(|every| offset % every == every - 1) {
            engine = self::engine(name, PartitionRef::ONLY);
            for (key, value) in &stored {
                engine.restore(key, value).unwrap_or_else(|e| panic!("{name} offset {offset}: {e}"));
            }
            engine.restored();
        }
    }
    told
}

/// The engines of one partition, then, from the record `cut` on, of two that its sites went on in. Detections by site.
fn replay_grown(name: &str, cut: usize) -> BTreeMap<String, Vec<String>> {
    let second = Generation { number: 1, partitions: 2, parents: Some(1) };
    let mut engines = vec![engine(name, PartitionRef::ONLY)];
    let mut stored = Puts::new();
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (offset, value) in golden::records(name).iter().enumerate() {
        if offset == cut {
            seal(&mut engines[0], value, &mut stored);
            engines = (0..2).map(|partition| engine(name, PartitionRef { generation: second, partition })).collect();
            for (key, value) in &stored {
                let key_group = u32::from(u16::from_be_bytes([key[0], key[1]]));
                // The partition's own entries go to all that it became.
                let to = if key_group < u32::from(KEY_GROUPS) { key_group % 2..key_group % 2 + 1 } else { 0..2 };
                for partition in to {
                    engines[partition as usize].restore(key, value).unwrap_or_else(|e| panic!("{name} at {cut}: {e}"));
                }
            }
            engines.iter_mut().for_each(Engine::restored);
        }
        let record = SignalsRecord::decode(value).unwrap_or_else(|e| panic!("{name} offset {offset}: {e}"));
        let count = engines.len() as u32;
        let mut out = Vec::new();
        for (partition, engine) in (0..).zip(&mut engines) {
            if site(&record).is_none_or(|site| KeyGroup::of(site.as_str()).partition(count) == partition) {
                engine.apply(offset as u64, &record, &mut out).unwrap_or_else(|e| panic!("{name} at {cut}: {e}"));
                if offset < cut {
                    store(engine, &mut stored);
                }
            }
        }
        for output in out {
            if let Output::Detection(detection) = output {
                let line = serde_json::to_string(&detection).expect("a detection is JSON");
                told.entry(detection.site.to_string()).or_default().push(line);
            }
        }
    }
    told
}

/// Ends the partition. What comes behind is not judged.
fn seal(engine: &mut Engine, behind: &[u8], stored: &mut Puts) {
    let mut out = Vec::new();
    let seal = SignalsRecord::Seal(Seal { generation: 0, partition: 0, next_partitions: 2 });
    engine.apply(0, &seal, &mut out).expect("a seal is applied");
    store(engine, stored);
    let before = stored.clone();
    let behind = SignalsRecord::decode(behind).expect("a record");
    engine.apply(0, &behind, &mut out).expect("ignored");
    store(engine, stored);
    assert_eq!((engine.is_sealed(), engine.ignored() > 0, out.len()), (true, true, 0));
    assert_eq!(*stored, before, "nothing behind a seal changes the state");
}

fn site<'a>(record: &'a SignalsRecord<'_>) -> Option<&'a SiteId> {
    match record {
        SignalsRecord::Batch(batch) => Some(&batch.head.site),
        SignalsRecord::Refused(refused) => Some(&refused.site),
        SignalsRecord::SiteConfigured(configured) => Some(&configured.site),
        SignalsRecord::SiteClosed(closed) => Some(&closed.site),
        SignalsRecord::KeyRevoked(revoked) => Some(&revoked.site),
        SignalsRecord::Tick(_) | SignalsRecord::Seal(_) => None,
    }
}

/// State, sequence, dedup and log time travel with the key group.
#[test]
fn a_partition_that_grew_gives_what_it_would_have_given() {
    for name in golden::names() {
        let undisturbed = replay_grown(&name, usize::MAX);
        let records = golden::records(&name).len();
        for cut in (0..records).step_by((records / 23).max(1)) {
            assert_eq!(replay_grown(&name, cut), undisturbed, "{name} grown before record {cut}");
        }
    }
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
