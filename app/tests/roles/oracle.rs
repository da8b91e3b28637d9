//! What is sent, and what must come of it: written apart from the way by which state travels.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use logystera_infra::clock::{Clock, SystemClock};
use logystera_infra::log::Record;
use logystera_processor::core::{Engine, Output, RuleSet};
use logystera_rules::from_canonical;
use logystera_schemas::control::Entity;
use logystera_schemas::ids::KeyGroup;
use logystera_schemas::partition::PartitionRef;
use logystera_schemas::schema;
use logystera_schemas::topic::{DetectionsRecord, SignalsRecord, Topic};
use logystera_system::wire::{self, Credentials};

use crate::support::Installation;

/// Encoded detections by site and `seq`.
pub(crate) type BySite = BTreeMap<String, BTreeMap<u64, Vec<u8>>>;

/// Rules that tell every second how many matches there were: a record that is lost or judged twice changes what they tell.
pub(crate) const RULES: &str = "\
format: 1
rules:
- name: mails
  title: Failed mails
  severity: warning
  subsystem: mail
  signal: mail.outcome
  threshold: {count: 3, within: 5s}
  suppress: 1s
  evidence: [outcome]
  message: \"{count} mails failed on {site}\"
- name: attempts
  title: Failed sign-ins
  severity: warning
  subsystem: access
  signal: auth.attempt
  group_by: [source]
  threshold: {count: 3, within: 5s}
  suppress: 1s
  evidence: [outcome, method]
  message: \"{count} failed sign-ins on {site}\"
";

/// A batch of failed mails and sign-ins.
pub(crate) fn batch(site: u64, n: u64, now_ms: i64) -> (String, Vec<u8>) {
    let mut signals = Vec::new();
    for i in 0..10 {
        let at = now_ms - 10 + i;
        let source = format!("{:032x}", (n + i as u64) % 3);
        signals.push(if i % 2 == 0 {
            format!("{{\"type\":\"mail.outcome\",\"at\":{at},\"outcome\":\"failed\"}}")
        } else {
            format!(
                "{{\"type\":\"auth.attempt\",\"at\":{at},\"outcome\":\"failure\",\"method\":\"form\",\"source\":\"{source}\"}}"
            )
        });
    }
    let body = format!(
        "{{\"through\":{now_ms},\"integration\":{{\"platform\":\"other\",\"version\":\"1\",\
         \"enabled\":[\"mail.outcome\",\"auth.attempt\"]}},\"signals\":[{}]}}",
        signals.join(",")
    );
    (format!("{:016x}.{}", 0xbeef_0000 + site, n + 1), body.into_bytes())
}

/// Sends batches to gateways in turn, each until it is acknowledged, while `more`. Gives their ids, and how many milliseconds each took.
pub(crate) fn send(ports: &[u16], by: &Credentials, site: u64, more: &AtomicBool) -> Vec<(String, i64)> {
    let clock = SystemClock::new();
    let (mut n, mut acknowledged) = (0, Vec::new());
    let mut ports = ports.iter().copied().cycle();
    while more.load(Ordering::Relaxed) {
        let (id, body) = batch(site, n, clock.wall_ms());
        let began_ms = clock.monotonic_ms();
        loop {
            let Some(port) = ports.next() else { return acknowledged };
            match wire::post_batch(port, by, &id, &body) {
                Some(answer) if matches!(answer.status, 200 | 202) => break,
                // The site is so new that the gateway may not know it yet.
                Some(answer) if n == 0 && answer.status == 401 => {}
                Some(answer) => assert!(answer.status >= 500, "{}: {}", answer.status, answer.body),
                None if !more.load(Ordering::Relaxed) => return acknowledged,
                None => {}
            }
            sleep(Duration::from_millis(50));
        }
        n += 1;
        acknowledged.push((id, clock.monotonic_ms() - began_ms));
        sleep(Duration::from_millis(20));
    }
    acknowledged
}

/// What stands in a partition up to its seal, behind what stood in those that it goes on with.
fn history(place: &Installation, topic: Topic, part: PartitionRef, generations: &[u32]) -> Vec<Record> {
    let parts = place.layouts().generations(topic);
    let mut records = Vec::new();
    for (generation, partitions) in parts.into_iter().zip(generations).take(part.generation.number as usize + 1) {
        for record in place.records(topic, PartitionRef { generation, partition: part.partition % partitions }) {
            let sealed = match topic {
                Topic::Signals => matches!(SignalsRecord::decode(&record.value), Ok(SignalsRecord::Seal(_))),
                _ => matches!(DetectionsRecord::decode(&record.value), Ok(DetectionsRecord::Seal(_))),
            };
            if sealed {
                break;
            }
            records.push(record);
        }
    }
    records
}

/// The newest partitions of a topic, each with its history.
fn histories(place: &Installation, topic: Topic) -> Vec<(PartitionRef, Vec<Record>)> {
    let layouts = place.layouts();
    let generations: Vec<u32> = layouts.generations(topic).iter().map(|g| g.partitions).collect();
    let generation = layouts.written(topic);
    let parts = (0..generation.partitions).map(|partition| PartitionRef { generation, partition });
    parts.map(|part| (part, history(place, topic, part, &generations))).collect()
}

/// What engines make of topic `signals` that each read a partition's whole history, and the ids of the batches that stand there.
pub(crate) fn undisturbed(place: &Installation) -> (BySite, BTreeSet<String>) {
    let (mut told, mut batches) = (BySite::new(), BTreeSet::new());
    let records = place.records(Topic::Control, place.part(Topic::Control, 0));
    let bodies = records.into_iter().filter_map(|record| match Entity::decode(&record.value).unwrap() {
        Entity::RuleSet(set) => Some(String::from_utf8(set.body.0).unwrap()),
        _ => None,
    });
    let sets: Vec<Arc<RuleSet>> = bodies.map(|body| Arc::new(from_canonical(&body).unwrap())).collect();
    for (part, records) in histories(place, Topic::Signals) {
        let mut engine = Engine::new(part);
        for set in &sets {
            engine.learn(Arc::clone(set));
        }
        let mut out = Vec::new();
        for record in records {
            let decoded = SignalsRecord::decode(&record.value).unwrap();
            if let SignalsRecord::Batch(batch) = &decoded {
                batches.insert(format!("{}.{}", batch.head.spool, batch.head.seq));
            }
            engine.apply(record.offset, &decoded, &mut out).unwrap();
        }
        for output in out {
            if let Output::Detection(d) = output
                && KeyGroup::of(d.site.as_str()).partition(part.generation.partitions) == part.partition
            {
                told.entry(d.site.to_string()).or_default().insert(d.seq, schema::encode(&*d));
            }
        }
    }
    (told, batches)
}

/// What stands in topic `detections`. Nothing may stand there twice.
pub(crate) fn recorded(place: &Installation) -> BySite {
    let mut told = BySite::new();
    for (part, records) in histories(place, Topic::Detections) {
        for record in records {
            if let DetectionsRecord::Detection(d) = DetectionsRecord::decode(&record.value).unwrap()
                && KeyGroup::of(d.tenant.as_str()).partition(part.generation.partitions) == part.partition
            {
                let before = told.entry(d.site.to_string()).or_default().insert(d.seq, record.value);
                assert_eq!(before, None, "{} {} stands there twice", d.site, d.seq);
            }
        }
    }
    told
}

/// How many detections that are.
pub(crate) fn count(told: &BySite) -> usize {
    told.values().map(BTreeMap::len).sum()
}

/// As long as it is there the senders go on. They end also where the test fails.
pub(crate) struct Going<'a>(pub(crate) &'a AtomicBool);

impl Drop for Going<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
