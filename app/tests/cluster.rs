//! The golden logs on a real Apache Kafka: the same detections as on the embedded log, byte for byte, compared per site by `seq`,
//! with any number of partitions and of processors.
//!
//! `tests/run services` starts the broker. Without one, `LOGYSTERA_TEST_KAFKA=host:port` names it; where that is not set
//! nothing is tested, and CI fails.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use logystera_app::cluster::APPS;
use logystera_app::cluster::partitions::{self, Control, Share};
use logystera_app::cluster::processor::work;
use logystera_infra::clock::{Clock, SystemClock};
use logystera_infra::control::{self, DirectoryWatch};
use logystera_infra::kafka::{Kafka, KafkaConfig, KafkaLog, Layouts};
use logystera_infra::log::{Entry, Log};
use logystera_infra::secrets::random_bytes;
use logystera_infra::shutdown::Shutdown;
use logystera_processor::core::rule::RuleSet;
use logystera_schemas::avro::Blob;
use logystera_schemas::control::{Entity, RuleSet as RuleSetRecord};
use logystera_schemas::ids::KeyGroup;
use logystera_schemas::limits::READ_BYTES_MAX;
use logystera_schemas::schema;
use logystera_schemas::signals_topic::Tick;
use logystera_schemas::topic::{DetectionsRecord, SignalsRecord, Topic};
use logystera_system::{golden, services};

/// How long a log may take: far more than it should.
const PATIENCE_MS: i64 = 120_000;
/// Records that are appended at once.
const APPEND: usize = 500;

/// Detections as JSON, by site, in the order of `seq`.
type BySite = BTreeMap<String, BTreeMap<u64, String>>;

fn add(told: &mut BySite, line: String) {
    let detection: serde_json::Value = serde_json::from_str(&line).unwrap();
    let seq = detection["seq"].as_u64().unwrap();
    let site = detection["site"].as_str().unwrap().to_owned();
    let before = told.entry(site.clone()).or_default().insert(seq, line);
    assert_eq!(before, None, "{site} {seq} stands there twice");
}

/// The recorded log as the records of `partitions`: each site's in its partition, every tick in each of them, in its place.
fn repartitioned(name: &str, partitions: u32) -> Vec<Entry> {
    let mut entries = Vec::new();
    for value in golden::records(name) {
        let site = match SignalsRecord::decode(&value).unwrap() {
            SignalsRecord::Tick(tick) => {
                entries.extend((0..partitions).map(|partition| Entry {
                    topic: Topic::Signals,
                    partition,
                    key: Vec::new(),
                    value: schema::encode(&Tick { partition, at: tick.at }),
                }));
                continue;
            }
            SignalsRecord::Seal(_) => continue,
            SignalsRecord::Batch(batch) => batch.head.site.clone(),
            SignalsRecord::Refused(refused) => refused.site,
            SignalsRecord::SiteConfigured(configured) => configured.site,
            SignalsRecord::SiteClosed(closed) => closed.site,
        };
        let partition = KeyGroup::of(site.as_str()).partition(partitions);
        entries.push(Entry { topic: Topic::Signals, partition, key: site.as_str().as_bytes().to_vec(), value });
    }
    entries
}

/// Everything that stands in topic `detections`.
fn told(log: &KafkaLog, ends: &mut BTreeMap<u32, u64>, told: &mut BySite) {
    for partition in 0..log.partitions(Topic::Detections) {
        let next = ends.entry(partition).or_default();
        loop {
            let records = log.read(Topic::Detections, partition, *next, READ_BYTES_MAX).unwrap();
            let Some(last) = records.last() else { break };
            *next = last.offset + 1;
            for record in &records {
                if let DetectionsRecord::Detection(detection) = DetectionsRecord::decode(&record.value).unwrap() {
                    add(told, serde_json::to_string(&detection).unwrap());
                }
            }
        }
    }
}

/// Judges a recorded log on Kafka. Where `grown` is above `partitions`, topic `signals` grows to that in the middle of it.
fn judged(brokers: &str, name: &str, partitions: u32, grown: u32, processors: usize) -> BySite {
    let mut expected = BySite::new();
    for line in golden::detections(name) {
        add(&mut expected, line);
    }

    let prefix = format!("golden-{:08x}-", u32::from_be_bytes(random_bytes()));
    let settings = tempfile::NamedTempFile::new().unwrap();
    let text = format!(
        "audience = \"test\"\npublic-url = \"http://localhost\"\nsecrets = \"{}.secrets\"\n[kafka]\nbrokers = \"{brokers}\"\n\
         prefix = \"{prefix}\"\nsignals-partitions = {partitions}\ndetections-partitions = 2\nchangelog-partitions = 16\n\
         replication = 1\n",
        settings.path().display()
    );
    std::fs::write(settings.path(), text).unwrap();
    let kafka = Kafka::new(KafkaConfig {
        prefix,
        signals_partitions: partitions,
        detections_partitions: 2,
        changelog_partitions: 16,
        ..KafkaConfig::new(brokers)
    });
    kafka.create_topics(&APPS).unwrap();
    let log = kafka.log().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let append = |entries: Vec<Entry>| runtime.block_on(log.append(entries)).unwrap();
    for body in golden::bodies(name) {
        let set = RuleSet::from_canonical(&body).unwrap();
        let record = RuleSetRecord { digest: set.digest, body: Blob(body.into_bytes()) };
        append(vec![control::entry(&Entity::RuleSet(record))]);
    }
    let entries = repartitioned(name, partitions);
    let cut = if grown > partitions { entries.len() / 2 } else { entries.len() };

    let shutdown = Shutdown::new();
    let watch = DirectoryWatch::load(log.clone()).unwrap();
    let control = Control { log: log.clone(), view: watch.view() };
    let following = watch.spawn(shutdown.clone()).unwrap();
    let mut found = BySite::new();
    std::thread::scope(|scope| {
        for processor in 0..processors {
            let share = Share {
                kafka: kafka.clone(),
                control: control.clone(),
                app: APPS[0],
                input: Topic::Signals,
                instance: format!("processor-{processor}"),
                ready: Arc::default(),
            };
            let (log, shutdown) = (log.clone(), shutdown.clone());
            scope.spawn(move || partitions::run(&share, &work(log), &shutdown).unwrap());
        }
        // While the processors still share out the partitions.
        entries[..cut].chunks(APPEND).for_each(|chunk| append(chunk.to_vec()));
        if grown > partitions {
            grow(settings.path(), grown);
            let layouts = Layouts::of(kafka.config(), &DirectoryWatch::load(log.clone()).unwrap().view().current());
            assert_eq!(layouts.written(Topic::Signals).partitions, grown);
            let log = log.with_layouts(layouts);
            for chunk in regrouped(&entries[cut..], grown).chunks(APPEND) {
                runtime.block_on(log.append(chunk.to_vec())).unwrap();
            }
        }
        let (clock, mut ends) = (SystemClock::new(), BTreeMap::new());
        let wanted: usize = expected.values().map(BTreeMap::len).sum();
        while found.values().map(BTreeMap::len).sum::<usize>() < wanted && clock.monotonic_ms() < PATIENCE_MS {
            std::thread::sleep(Duration::from_millis(50));
            told(&log, &mut ends, &mut found);
        }
        shutdown.trigger();
    });
    following.join().unwrap();
    assert_eq!(found, expected, "{name}, {partitions} partitions, then {grown}, {processors} processors");
    found
}

/// The entries of fewer partitions as those of more: each tick once for each of them.
fn regrouped(entries: &[Entry], partitions: u32) -> Vec<Entry> {
    let mut regrouped = Vec::new();
    for entry in entries {
        if let Ok(SignalsRecord::Tick(tick)) = SignalsRecord::decode(&entry.value) {
            // The first one stands for all of them.
            if tick.partition == 0 {
                regrouped.extend((0..partitions).map(|partition| Entry { partition, ..entry.clone() }));
            }
        } else {
            let key_group = KeyGroup::of(std::str::from_utf8(&entry.key).unwrap());
            regrouped.push(Entry { partition: key_group.partition(partitions), ..entry.clone() });
        }
    }
    regrouped
}

/// `logystera partitions grow`.
fn grow(settings: &Path, partitions: u32) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_logystera"));
    let output =
        command.args(["partitions", "grow", &partitions.to_string(), "--config"]).arg(settings).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn golden_logs_give_the_same_on_kafka() {
    let Some(brokers) = services::kafka() else { return };
    for name in &golden::names() {
        for (partitions, processors) in [(1, 1), (1, 3), (4, 1), (4, 3), (16, 1), (16, 3)] {
            let found = judged(&brokers, name, partitions, partitions, processors);
            let detections: usize = found.values().map(BTreeMap::len).sum();
            println!(
                "{name}: {partitions} partitions, {processors} processors: {detections} detections of {} sites",
                found.len()
            );
        }
    }
}

#[test]
fn golden_logs_give_the_same_through_a_growth() {
    let Some(brokers) = services::kafka() else { return };
    for name in &golden::names() {
        for (partitions, grown, processors) in [(1, 3, 1), (4, 16, 3)] {
            let found = judged(&brokers, name, partitions, grown, processors);
            println!("{name}: {partitions} partitions, then {grown}: {} sites", found.len());
        }
    }
}
