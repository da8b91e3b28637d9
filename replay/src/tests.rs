//! Replays of a topic that has grown twice, from its start and from snapshots.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use logystera_infra::directory::Directory;
use logystera_infra::log::{LogError, Record};
use logystera_infra::reading::{PartitionId, Reading};
use logystera_processor::core::{Engine, Output, RuleSet};
use logystera_rules::from_canonical;
use logystera_schemas::avro::Blob;
use logystera_schemas::control::{Entity, RuleSet as RuleSetRecord};
use logystera_schemas::ids::{KEY_GROUPS, KeyGroup};
use logystera_schemas::partition::{Generation, PartitionRef};
use logystera_schemas::schema;
use logystera_schemas::signals_topic::Seal;
use logystera_schemas::topic::{SignalsRecord, Topic};
use logystera_system::golden;

use crate::{Asked, Found, Question, ReplayError, Together};

/// Partitions of the generations.
const GENERATIONS: [u32; 3] = [1, 2, 6];
const DAYS: &str = "days";

/// The recording of three days, in three generations; and the snapshots that engines took of it.
struct Memory {
    topics: BTreeMap<(Topic, PartitionId), Vec<Record>>,
    directory: Directory,
    /// Offset of the oldest record that is left of each generation of `signals`.
    starts: [u64; 3],
}

fn push(
    topics: &mut BTreeMap<(Topic, PartitionId), Vec<Record>>,
    topic: Topic,
    part: PartitionId,
    key: &str,
    value: Vec<u8>,
) {
    let records = topics.entry((topic, part)).or_default();
    records.push(Record { offset: records.len() as u64, key: key.as_bytes().to_vec(), value });
}

impl Memory {
    fn new() -> Self {
        let (mut topics, mut directory) = (BTreeMap::new(), Directory::default());
        let mut sets = Vec::new();
        for body in golden::bodies(DAYS) {
            let set = from_canonical(&body).unwrap();
            let record = Entity::RuleSet(RuleSetRecord { digest: set.digest, body: Blob(body.into_bytes()) });
            let control = PartitionId { generation: 0, partition: 0 };
            push(&mut topics, Topic::Control, control, &record.key(), record.encode());
            directory.put(record);
            sets.push(Arc::new(set));
        }
        let records = golden::records(DAYS);
        // The second one is short: much of the state does not change in it.
        let (first, rest) = records.split_at(records.len() / 2);
        let (second, third) = rest.split_at(60);
        for (generation, (part, count)) in (0..).zip([first, second, third].into_iter().zip(GENERATIONS)) {
            for value in part {
                let key = match SignalsRecord::decode(value).unwrap() {
                    SignalsRecord::Batch(batch) => batch.head.site.to_string(),
                    SignalsRecord::SiteConfigured(configured) => configured.site.to_string(),
                    _ => String::new(),
                };
                let of = (0..count).filter(|of| key.is_empty() || KeyGroup::of(&key).partition(count) == *of);
                for partition in of {
                    push(&mut topics, Topic::Signals, PartitionId { generation, partition }, &key, value.clone());
                }
            }
            let Some(next_partitions) = GENERATIONS.get(generation as usize + 1).copied() else { continue };
            for partition in 0..count {
                let seal = schema::encode(&Seal { generation, partition, next_partitions });
                push(&mut topics, Topic::Signals, PartitionId { generation, partition }, "", seal);
            }
        }
        take_snapshots(&mut topics, &sets);
        Self { topics, directory, starts: [0; 3] }
    }

    /// Every detection that is found, as JSON, by site.
    fn found(&self, from_ms: Option<i64>) -> BTreeMap<String, Vec<String>> {
        let question = Question { from_ms, ..Question::default() };
        let asked = Asked::new(self, Arc::new(self.directory.clone()), question).unwrap();
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let each = asked.each(|replayed| {
            while let Some(step) = replayed.step()? {
                for Found { detection, .. } in step.into_iter().filter(|f| asked.wants(&f.detection)) {
                    let line = serde_json::to_string(&detection).unwrap();
                    found.entry(detection.site.to_string()).or_default().push(line);
                }
            }
            Ok::<_, ReplayError>(true)
        });
        each.unwrap();
        found
    }
}

/// As processors would: each partition's goes on with the state of the one before.
fn take_snapshots(topics: &mut BTreeMap<(Topic, PartitionId), Vec<Record>>, sets: &[Arc<RuleSet>]) {
    let mut state: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    for (generation, count) in (0..).zip(GENERATIONS) {
        let before = std::mem::take(&mut state);
        for partition in 0..count {
            let of = Generation { number: generation, partitions: count, parents: None };
            let mut engine = Engine::new(PartitionRef { generation: of, partition });
            for set in sets {
                engine.learn(Arc::clone(set));
            }
            let is_its = |key: &[u8]| {
                let key_group = u16::from_be_bytes([key[0], key[1]]);
                key_group >= KEY_GROUPS || u32::from(key_group) % count == partition
            };
            let mut own: BTreeMap<_, _> = before.clone().into_iter().filter(|(key, _)| is_its(key)).collect();
            for (key, value) in &own {
                engine.restore(key, value).unwrap();
            }
            engine.restored();
            let mut out = Vec::new();
            for record in &topics[&(Topic::Signals, PartitionId { generation, partition })] {
                engine.apply(record.offset, &SignalsRecord::decode(&record.value).unwrap(), &mut out).unwrap();
            }
            for (key, value) in engine.take_puts() {
                match value {
                    Some(value) => own.insert(key, value),
                    None => own.remove(&key),
                };
            }
            for output in out {
                if let Output::Snapshot(snapshot) = output {
                    push(
                        topics,
                        Topic::Snapshots,
                        PartitionId { generation: 0, partition: 0 },
                        "",
                        schema::encode(&*snapshot),
                    );
                }
            }
            state.extend(own);
        }
    }
}

impl Reading for Memory {
    fn generations(&self, topic: Topic) -> Vec<u32> {
        if topic == Topic::Signals { GENERATIONS.to_vec() } else { vec![1] }
    }

    fn bounds(&self, topic: Topic, part: PartitionId) -> Result<Range<u64>, LogError> {
        let end = self.topics.get(&(topic, part)).map_or(0, Vec::len) as u64;
        let start = if topic == Topic::Signals { self.starts[part.generation as usize] } else { 0 };
        Ok(start.min(end)..end)
    }

    fn read(&self, topic: Topic, part: PartitionId, from: u64, _: usize) -> Result<Vec<Record>, LogError> {
        let from = from.max(self.bounds(topic, part)?.start) as usize;
        let records = self.topics.get(&(topic, part)).map_or(&[][..], Vec::as_slice);
        Ok(records.iter().skip(from).take(100).cloned().collect())
    }

    fn directory(&self) -> Result<Directory, LogError> {
        Ok(self.directory.clone())
    }

    fn position(&self, _: &str, _: Topic, part: PartitionId) -> Result<u64, LogError> {
        Ok(self.bounds(Topic::Signals, part)?.end)
    }
}

/// What was recorded, as [`Memory::found`] gives it.
fn recorded(is_wanted: impl Fn(&serde_json::Value) -> bool) -> BTreeMap<String, Vec<String>> {
    let mut recorded: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in golden::detections(DAYS) {
        let detection: serde_json::Value = serde_json::from_str(&line).unwrap();
        if is_wanted(&detection) {
            recorded.entry(detection["site"].as_str().unwrap().to_owned()).or_default().push(line);
        }
    }
    recorded
}

#[test]
fn what_did_not_change_travels_through_every_generation() {
    assert_eq!(Memory::new().found(None), recorded(|_| true));
}

#[test]
fn each_place_to_begin_with_gives_the_rest_of_what_was_recorded() {
    let mut memory = Memory::new();
    let from_ms = 1_767_484_800_000;
    let late = recorded(|d| d["last_evaluated_at"].as_i64().unwrap() >= from_ms);
    assert_eq!(memory.found(Some(from_ms)), late);
    // Half of the first generation, all of it, and half of the second one have passed their time.
    for starts in [[1_000, 0, 0], [u64::MAX, 0, 0], [u64::MAX, 30, 0]] {
        memory.starts = starts;
        assert_eq!(memory.found(Some(from_ms)), late, "{starts:?}");
        let (found, all) = (memory.found(None), recorded(|_| true));
        for (site, lines) in &found {
            assert!(all[site].ends_with(lines), "{starts:?}: the end of what was recorded of {site}");
        }
        assert_eq!(found.len(), all.len(), "{starts:?}");
    }
}

#[test]
fn side_by_side_each_finds_what_it_finds_alone() {
    let mut memory = Memory::new();
    for (from_ms, starts) in [(None, [0; 3]), (Some(1_767_484_800_000), [u64::MAX, 30, 0])] {
        memory.starts = starts;
        let asked = || {
            let question = Question { from_ms, ..Question::default() };
            Asked::new(&memory, Arc::new(memory.directory.clone()), question).unwrap()
        };
        let asked = [asked(), asked()];
        let mut together = Together::new(asked.each_ref()).unwrap();
        let mut found: [BTreeMap<String, Vec<String>>; 2] = Default::default();
        let (mut reached, mut newest) = (None, None);
        while let Some(step) = together.step().unwrap() {
            for (to, found) in found.iter_mut().zip(step.found) {
                for Found { detection, wall, .. } in found {
                    assert!(
                        reached.is_none_or(|reached| wall >= reached),
                        "what comes is not before what all have reached"
                    );
                    newest = newest.max(Some(wall));
                    if asked[0].wants(&detection) {
                        let line = serde_json::to_string(&detection).unwrap();
                        to.entry(detection.site.to_string()).or_default().push(line);
                    }
                }
            }
            reached = step.reached;
        }
        assert_eq!(reached, None, "all are read");
        let alone = memory.found(from_ms);
        assert_eq!(found, [alone.clone(), alone], "{from_ms:?}");
        assert_eq!(together.passed(), asked[0].offsets().unwrap());
        assert!(newest.is_some() && together.batches() > 0 && together.records() >= together.batches());
    }
}
