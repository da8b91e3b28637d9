//! The golden logs on a real Apache Kafka: the same detections as on the embedded log, byte for byte, compared per site by `seq`,
//! with any number of partitions and of processors.
//!
//! `tests/run services` starts the broker. Without one, `LOGYSTERA_TEST_KAFKA=host:port` names it; where that is not set
//! nothing is tested, and CI fails.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use logystera_app::installation::cluster::APPS;
use logystera_app::roles::marks::Marks;
use logystera_app::roles::processor::work;
use logystera_infra::clock::{Clock, SystemClock};
use logystera_infra::directory::{self, DirectoryWatch};
use logystera_infra::log::{Entry, Log};
use logystera_infra::secrets::random_bytes;
use logystera_infra::shutdown::Shutdown;
use logystera_kafka::partitions::{self, Control, Share};
use logystera_kafka::{Kafka, KafkaConfig, KafkaLog, Layouts};
use logystera_rules::from_canonical;
use logystera_schemas::avro::Blob;
use logystera_schemas::control::{Entity, RuleSet as RuleSetRecord};
use logystera_schemas::ids::KeyGroup;
use logystera_schemas::limits::READ_BYTES_MAX;
use logystera_schemas::partition::PartitionRef;
use logystera_schemas::schema;
use logystera_schemas::signals_topic::Tick;
use logystera_schemas::topic::{DetectionsRecord, SignalsRecord, Topic};
use logystera_system::{golden, services};
use tempfile::NamedTempFile;

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
                    value: schema::encode(&Tick { partition, ..tick.clone() }),
                }));
                continue;
            }
            SignalsRecord::Seal(_) => continue,
            SignalsRecord::Batch(batch) => batch.head.site.clone(),
            SignalsRecord::Refused(refused) => refused.site,
            SignalsRecord::SiteConfigured(configured) => configured.site,
            SignalsRecord::SiteClosed(closed) => closed.site,
            SignalsRecord::KeyRevoked(revoked) => revoked.site,
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

/// A log that was judged on Kafka.
struct Judged {
    kafka: Kafka,
    /// The installation's settings.
    settings: NamedTempFile,
    detections: usize,
    sites: usize,
}

/// Judges a recorded log on Kafka. Where `grown` is above `partitions`, topic `signals` grows to that in the middle of it.
fn judged(brokers: &str, name: &str, partitions: u32, grown: u32, processors: usize) -> Judged {
    let mut expected = BySite::new();
    for line in golden::detections(name) {
        add(&mut expected, line);
    }

    let prefix = format!("golden-{:08x}-", u32::from_be_bytes(random_bytes()));
    let settings = NamedTempFile::new().unwrap();
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
        let set = from_canonical(&body).unwrap();
        let record = RuleSetRecord { digest: set.digest, body: Blob(body.into_bytes()) };
        append(vec![directory::entry(&Entity::RuleSet(record))]);
    }
    let entries = repartitioned(name, partitions);
    let half = if grown > partitions { entries.len() / 2 } else { entries.len() };
    // Not between the copies of a tick: what grew would miss it in some partitions.
    let cut = half + entries[half..].iter().take_while(|entry| is_copy(entry)).count();

    let shutdown = Shutdown::new();
    let watch = DirectoryWatch::load(log.clone()).unwrap();
    let control = Control { log: log.clone(), view: watch.view() };
    let following = watch.spawn(shutdown.clone()).unwrap();
    let mut found = BySite::new();
    std::thread::scope(|scope| {
        let _stop = StopsAtEnd(shutdown.clone());
        for processor in 0..processors {
            let share = Share {
                kafka: kafka.clone(),
                control: control.clone(),
                app: APPS[0],
                input: Topic::Signals,
                instance: format!("processor-{processor}"),
                ready: Arc::default(),
            };
            let (control, shutdown) = (control.clone(), shutdown.clone());
            scope.spawn(move || partitions::run(&share, &work(control, Marks::default()), &shutdown).unwrap());
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
    });
    following.join().unwrap();
    assert_eq!(found, expected, "{name}, {partitions} partitions, then {grown}, {processors} processors");
    let (detections, sites) = (found.values().map(BTreeMap::len).sum(), found.len());
    Judged { kafka, settings, detections, sites }
}

/// Also where the test fails: who waits for the processors would wait for ever.
struct StopsAtEnd(Shutdown);

impl Drop for StopsAtEnd {
    fn drop(&mut self) {
        self.0.trigger();
    }
}

/// Whether it is a tick of another partition than the first, of which the one before is that of the same time.
fn is_copy(entry: &Entry) -> bool {
    matches!(SignalsRecord::decode(&entry.value), Ok(SignalsRecord::Tick(tick)) if tick.partition > 0)
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
    logystera(settings, &["partitions", "grow", &partitions.to_string()]);
}

/// A command that must succeed; gives its standard output.
fn logystera(settings: &Path, args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_logystera"));
    let output = command.args(args).arg("--config").arg(settings).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn golden_logs_give_the_same_on_kafka() {
    let Some(brokers) = services::kafka() else { return };
    for name in &golden::names() {
        for (partitions, processors) in [(1, 1), (1, 3), (4, 1), (4, 3), (16, 1), (16, 3)] {
            let found = judged(&brokers, name, partitions, partitions, processors);
            println!(
                "{name}: {partitions} partitions, {processors} processors: {} detections of {} sites",
                found.detections, found.sites
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
            println!("{name}: {partitions} partitions, then {grown}: {} sites", found.sites);
        }
    }
}

/// Retention takes what is oldest, then a whole generation. What is left is verified from snapshots on.
#[test]
fn a_cluster_whose_beginning_is_gone_is_verified_from_snapshots_on() {
    let Some(brokers) = services::kafka() else { return };
    let judged = judged(&brokers, "days", 1, 3, 1);
    let settings = judged.settings.path();
    let verify = |args: &[&str]| -> serde_json::Value {
        let verified = logystera(settings, &[&["replay", "--verify", "--json"], args].concat());
        println!("{verified}");
        serde_json::from_str(&verified).unwrap()
    };
    assert_eq!(verify(&[])["detections"].as_u64(), Some(judged.detections as u64));

    let first =
        PartitionRef { generation: Layouts::initial(judged.kafka.config()).written(Topic::Signals), partition: 0 };
    let end = judged.kafka.log().unwrap().bounds(Topic::Signals, 0).unwrap().end;
    let mut compared = judged.detections as u64;
    // A third of the first generation, then all of it.
    for below in [end / 3, end] {
        judged.kafka.delete_records(Topic::Signals, first, below).unwrap();
        let cut = verify(&[]);
        assert_eq!(cut["began_with_snapshots"]["count"], 1_024, "{cut}");
        assert_eq!(cut["key_groups_without_snapshot"], 0, "{cut}");
        let left = cut["detections"].as_u64().unwrap();
        assert!((1..compared).contains(&left), "{left} of {compared}");
        compared = left;
    }
    let whole: Vec<String> = golden::detections("days").into_iter().filter(|line| is_late(line)).collect();
    let late = logystera(settings, &["replay", "--json", "--from", LATE]);
    // Whatever the order of the fields.
    let read = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap().to_string();
    let sorted = |lines: &mut dyn Iterator<Item = &str>| lines.map(read).collect::<BTreeSet<String>>();
    assert_eq!(sorted(&mut late.lines()), sorted(&mut whole.iter().map(String::as_str)));
}

/// A time on the last of the three days.
const LATE: &str = "2026-01-04T00:00:00Z";

fn is_late(detection: &str) -> bool {
    let detection: serde_json::Value = serde_json::from_str(detection).unwrap();
    detection["last_evaluated_at"].as_i64().unwrap() >= 1_767_484_800_000
}
