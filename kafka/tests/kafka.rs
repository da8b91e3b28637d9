//! The log and the tasks on a real Apache Kafka keep every promise of `conformance`.
//!
//! `tests/run services` starts the broker. Without one, `LOGYSTERA_TEST_KAFKA=host:port` names it; where that is not set
//! nothing is tested, and CI fails.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::collections::BTreeMap;
use std::time::Duration;

use logystera_infra::clock::Stopwatch;
use logystera_infra::conformance::{Backend, append, conformance, entry};
use logystera_infra::directory::Skips;
use logystera_infra::log::{Commit, Entry, Log, LogError, Record, Task};
use logystera_infra::secrets::random_bytes;
use logystera_kafka::{Committed, Kafka, KafkaConfig, KafkaLog, KafkaTask, TailBounds};
use logystera_schemas::control::{GrowingTopic, GrowthPhase, Partitions};
use logystera_schemas::partition::PartitionRef;
use logystera_schemas::topic::Topic;
use logystera_system::process::{PATIENCE, wait_for};
use logystera_system::services;

struct OnKafka(Kafka);

impl OnKafka {
    /// Topics of its own, so that nothing of another test is there.
    fn fresh(brokers: &str) -> Self {
        let prefix = format!("test-{:08x}-", u32::from_be_bytes(random_bytes()));
        let layout = KafkaConfig::new(brokers);
        let kafka = Kafka::new(KafkaConfig {
            prefix,
            signals_partitions: 2,
            detections_partitions: 2,
            changelog_partitions: 4,
            ..layout
        });
        kafka.create_topics(&["engine", "alerter"]).unwrap();
        Self(kafka)
    }
}

impl Backend for OnKafka {
    type Log = KafkaLog;
    type Task = KafkaTask;

    fn log(&self) -> KafkaLog {
        self.0.log().unwrap()
    }

    fn task(&self, app: &str, input: Topic) -> Result<KafkaTask, LogError> {
        self.0.task(app, input, 0)
    }

    fn restart(self) -> Self {
        // Clients know nothing that the brokers do not.
        Self(Kafka::new(self.0.config().clone()))
    }
}

#[test]
fn kafka_keeps_the_promises_of_the_log() {
    let Some(brokers) = services::kafka() else { return };
    conformance(|| OnKafka::fresh(&brokers));
}

/// A key group's state entry.
fn entry_of(key_group: u16, value: &str) -> (Vec<u8>, Option<Vec<u8>>) {
    ([&key_group.to_be_bytes(), b"site".as_slice()].concat(), Some(value.as_bytes().to_vec()))
}

fn state(task: &mut KafkaTask) -> BTreeMap<Vec<u8>, String> {
    let mut state = BTreeMap::new();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    task.restore(&mut |key, value| drop(state.insert(key.to_vec(), text(value)))).unwrap();
    state
}

fn state_of(entries: &[(Vec<u8>, Option<Vec<u8>>)]) -> BTreeMap<Vec<u8>, String> {
    let text = |bytes: &Option<Vec<u8>>| String::from_utf8(bytes.clone().unwrap()).unwrap();
    entries.iter().map(|(key, value)| (key.clone(), text(value))).collect()
}

/// Waits until this is the newest commit that is seen: a moment after it was made.
fn settles(kafka: &Kafka, place: PartitionRef, expected: Committed) {
    let seen = || kafka.committed("engine", place).unwrap();
    wait_for("the commit is seen", PATIENCE, || (seen() == expected).then_some(()));
}

/// State travels with the key group, and a partition's own entries go to each of those that it became.
#[test]
fn a_grown_partition_goes_on_where_the_one_before_was_sealed() {
    let Some(brokers) = services::kafka() else { return };
    let kafka = OnKafka::fresh(&brokers).0;
    let grown = Partitions { topic: GrowingTopic::Signals, generations: vec![2, 4], phase: GrowthPhase::Moving };
    let layouts = kafka.layouts().clone().with(grown);
    let generations = layouts.generations(Topic::Signals);
    kafka.create_generation(GrowingTopic::Signals, generations[1]).unwrap();
    kafka.create_generation(GrowingTopic::Signals, generations[1]).unwrap();
    let place = |generation: usize, partition| PartitionRef { generation: generations[generation], partition };
    let after = kafka.clone().with_layouts(layouts);

    let own = (b"\xff\xff\x00".to_vec(), Some(b"time".to_vec()));
    let commit = |puts, position, sealed| Commit { outputs: vec![], puts, position, sealed };
    let mut before = kafka.task("engine", Topic::Signals, 1).unwrap();
    before.commit(commit(vec![entry_of(1, "one"), entry_of(3, "three"), own.clone()], 7, false)).unwrap();
    settles(&after, place(0, 1), Committed { position: 7, sealed: false });
    let early = after.task_at("engine", Topic::Signals, place(1, 3));
    assert!(matches!(early, Err(LogError::Away(_))), "the partition before goes on: {early:?}");

    before.commit(commit(vec![entry_of(3, "three, again")], 9, true)).unwrap();
    settles(&after, place(0, 1), Committed { position: 9, sealed: true });
    assert!(matches!(kafka.task("engine", Topic::Signals, 1), Err(LogError::Unusable(_))), "nothing is left there");
    for (partition, entry) in [(1, entry_of(1, "one")), (3, entry_of(3, "three, again"))] {
        let expected = state_of(&[entry.clone(), own.clone()]);
        // Taken over and lost before it committed, too.
        for _ in 0..2 {
            let mut task = after.task_at("engine", Topic::Signals, place(1, partition)).unwrap();
            assert_eq!((task.position(), state(&mut task)), (0, expected.clone()), "partition {partition}");
        }
        let mut task = after.task_at("engine", Topic::Signals, place(1, partition)).unwrap();
        task.commit(commit(vec![], 1, false)).unwrap();
        let mut next = after.task_at("engine", Topic::Signals, place(1, partition)).unwrap();
        assert_eq!((next.position(), state(&mut next)), (1, expected), "from here on the own entries are its own");
        let other = (own.0.clone(), Some(b"later".to_vec()));
        next.commit(commit(vec![other.clone()], 2, false)).unwrap();
        let mut last = after.task_at("engine", Topic::Signals, place(1, partition)).unwrap();
        assert_eq!(state(&mut last), state_of(&[entry, other]));
    }
    // One whose parent is another partition, which nobody ever sealed.
    assert!(matches!(after.task_at("engine", Topic::Signals, place(1, 2)), Err(LogError::Away(_))));
    let other = Partitions { topic: GrowingTopic::Signals, generations: vec![2, 8], phase: GrowthPhase::Moving };
    let other = kafka.layouts().clone().with(other).generations(Topic::Signals)[1];
    let refused = kafka.create_generation(GrowingTopic::Signals, other).unwrap_err().to_string();
    assert!(refused.contains("4 partitions instead of 8"), "{refused}");
}

#[test]
fn the_one_writer_fences_the_one_before() {
    let Some(brokers) = services::kafka() else { return };
    let kafka = OnKafka::fresh(&brokers).0;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let record = |value: &str| Entry {
        topic: Topic::Control,
        partition: 0,
        key: b"k".to_vec(),
        value: value.as_bytes().to_vec(),
    };
    let first = kafka.log().unwrap().sole_writer("office").unwrap();
    runtime.block_on(first.append(vec![record("1")])).unwrap();
    let second = kafka.log().unwrap().sole_writer("office").unwrap();
    for _ in 0..2 {
        let refused = runtime.block_on(first.append(vec![record("lost")]));
        assert!(matches!(refused, Err(LogError::Fenced)), "{refused:?}");
    }
    runtime.block_on(second.append(vec![record("2")])).unwrap();
    // Also where it was made on the same connection: a producer that was fenced is never another's.
    let third = second.sole_writer("office").unwrap();
    for fenced in [&first, &second, &second.clone()] {
        let refused = runtime.block_on(fenced.append(vec![record("lost")]));
        assert!(matches!(refused, Err(LogError::Fenced)), "{refused:?}");
    }
    runtime.block_on(third.clone().append(vec![record("3")])).unwrap();
    once_behind(&third, Topic::Control, 0, 5);
    let values: Vec<Vec<u8>> =
        third.read(Topic::Control, 0, 0, 1_000).unwrap().into_iter().map(|record| record.value).collect();
    assert_eq!(values, [b"1", b"2", b"3"]);
}

/// The end of a partition, once it is behind `offset`: the coordinator answers a commit before its mark is in
/// the partition, behind the records.
fn once_behind(log: &KafkaLog, topic: Topic, partition: u32, offset: u64) -> u64 {
    wait_for("the commit", PATIENCE, || Some(log.bounds(topic, partition).unwrap().end).filter(|end| *end > offset))
}

/// Marks of transactions stand between the records. A reader that is kept from read to read knows for certain that it has
/// all: commands decide on what it gives.
#[test]
fn what_is_committed_is_read_by_the_next_read() {
    let Some(brokers) = services::kafka() else { return };
    let kafka = OnKafka::fresh(&brokers).0;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (writer, reader) = (kafka.log().unwrap().sole_writer("office").unwrap(), kafka.log().unwrap());
    let mut from = 0;
    for round in 0..60_u8 {
        let entries = (0..=round % 3).map(|n| Entry {
            topic: Topic::Control,
            partition: 0,
            key: b"k".to_vec(),
            value: vec![round, n],
        });
        let entries: Vec<Entry> = entries.collect();
        let wrote: Vec<Vec<u8>> = entries.iter().map(|entry| entry.value.clone()).collect();
        let end = reader.bounds(Topic::Control, 0).unwrap().end + wrote.len() as u64;
        runtime.block_on(writer.append(entries)).unwrap();
        // At once when it is there: what the brokers sent before that tells of an older end.
        let stopwatch = Stopwatch::start();
        while reader.bounds(Topic::Control, 0).unwrap().end <= end {
            assert!(stopwatch.elapsed() < PATIENCE, "the commit");
        }
        let mut read = Vec::new();
        loop {
            let records = reader.read(Topic::Control, 0, from, 1).unwrap();
            let Some(last) = records.last() else { break };
            from = last.offset + 1;
            read.extend(records.into_iter().map(|record| record.value));
        }
        assert_eq!(read, wrote, "round {round}");
    }
    let stopwatch = Stopwatch::start();
    (0..100).for_each(|_| assert!(reader.read(Topic::Control, 0, from, 1).unwrap().is_empty()));
    // A wait for each of them would take ten seconds.
    assert!(stopwatch.elapsed() < Duration::from_secs(5), "{:?}", stopwatch.elapsed());
}

/// Who starts learns the newest of every partition, whatever bounds it.
#[test]
fn a_tail_has_the_newest_records_of_each_partition() {
    let Some(brokers) = services::kafka() else { return };
    let kafka = OnKafka::fresh(&brokers).0;
    let log = kafka.log().unwrap();
    let generation = kafka.layouts().written(Topic::Signals);
    let bounds = TailBounds { offsets: 1_000, bytes: 1 << 20, wait: Duration::from_secs(20) };
    let tail = |bounds| {
        let keep =
            |value: &[u8]| Some(String::from_utf8(value.to_vec()).unwrap()).filter(|text| !text.starts_with('x'));
        let tail = kafka.tail(Topic::Signals, generation, bounds, keep).unwrap();
        (tail.kept, tail.unread)
    };
    let is_empty = |kept: &BTreeMap<u32, Vec<String>>| kept.values().all(Vec::is_empty);
    let (kept, unread) = tail(bounds);
    assert!(is_empty(&kept) && unread == 0, "{kept:?}");

    let record = |partition, value: String| Entry { partition, ..entry(Topic::Signals, "", &value) };
    for n in 0..200 {
        append(&log, vec![record(0, format!("{n:0100}"))]);
    }
    append(&log, vec![record(1, "a".to_owned()), record(1, "x".to_owned()), record(1, "b".to_owned())]);
    once_behind(&log, Topic::Signals, 1, 3);
    let numbers = |from: u32| (from..200).map(|n| format!("{n:0100}")).collect::<Vec<_>>();
    let others = vec!["a".to_owned(), "b".to_owned()];
    let (kept, unread) = tail(bounds);
    assert_eq!((&kept[&0], &kept[&1], unread), (&numbers(0), &others, 0));
    let (kept, _) = tail(TailBounds { offsets: 50, ..bounds });
    assert_eq!((&kept[&0], &kept[&1]), (&numbers(150), &others));
    // Ten take 1,000 bytes: a hundred would be too much.
    let (kept, _) = tail(TailBounds { bytes: 5_000, ..bounds });
    assert_eq!((&kept[&0], &kept[&1]), (&numbers(190), &others));
    let (kept, unread) = tail(TailBounds { wait: Duration::ZERO, ..bounds });
    assert!(is_empty(&kept) && unread == 2, "{kept:?}");
}

/// Retention overtakes a task: before it reads on, and while it reads.
#[test]
fn records_that_are_gone_stop_a_task_until_they_are_passed_over() {
    let Some(brokers) = services::kafka() else { return };
    let kafka = OnKafka::fresh(&brokers).0;
    let log = kafka.log().unwrap();
    let place = PartitionRef { generation: kafka.layouts().written(Topic::Signals), partition: 0 };
    append(&log, (0..20).map(|n| entry(Topic::Signals, "s", &n.to_string())).collect());
    once_behind(&log, Topic::Signals, 0, 20);
    let start = log.bounds(Topic::Signals, 0).unwrap().start;
    let commit = |position| Commit { outputs: vec![], puts: vec![], position, sealed: false };
    let read = |task: &mut KafkaTask| {
        let mut read = Vec::new();
        while read.is_empty() {
            read = task.read(Duration::from_millis(200))?;
        }
        Ok::<_, LogError>(read)
    };
    let mut task = kafka.task("engine", Topic::Signals, 0).unwrap();
    let first = read(&mut task).unwrap();
    assert_eq!(first[0].offset, start);
    task.commit(commit(5)).unwrap();
    drop(task);
    kafka.delete_records(Topic::Signals, place, 8).unwrap();

    let mut task = kafka.task("engine", Topic::Signals, 0).unwrap();
    let lost = read(&mut task).unwrap_err();
    assert!(matches!(lost, LogError::Lost { from: 5, to: 8, .. }), "{lost}");
    assert!(lost.to_string().contains("logystera log skip signals 0 5..8 --reason"), "{lost}");
    let mut skips = Skips::default();
    skips.add(5..7);
    task.pass_over(skips.clone());
    assert!(matches!(read(&mut task), Err(LogError::Lost { from: 5, to: 8, .. })), "a part is not enough");
    skips.add(7..8);
    task.pass_over(skips);
    assert_eq!(read(&mut task).unwrap()[0].offset, 8);
    // What was read is committed late, and nothing new is there; then the next ones are gone.
    let end = log.bounds(Topic::Signals, 0).unwrap().end;
    task.commit(commit(end)).unwrap();
    assert!(task.read(Duration::from_millis(200)).unwrap().is_empty());
    drop(task);
    append(&log, (0..20).map(|n| entry(Topic::Signals, "s", &n.to_string())).collect());
    let newest = once_behind(&log, Topic::Signals, 0, end + 20);
    kafka.delete_records(Topic::Signals, place, newest).unwrap();
    let mut task = kafka.task("engine", Topic::Signals, 0).unwrap();
    let lost = read(&mut task).unwrap_err();
    assert!(matches!(lost, LogError::Lost { from, to, .. } if (from, to) == (end, newest)), "{lost}");

    // What was applied and is not committed is not read again, and not lost: only what is behind it is gone. It has fetched some
    // of these when they go, not all.
    let mut skips = Skips::default();
    skips.add(end..newest);
    task.pass_over(skips);
    let large = "x".repeat(1 << 20);
    (0..48).for_each(|_| append(&log, vec![entry(Topic::Signals, "s", &large)]));
    let mut applied = newest;
    let mut apply = |records: Vec<Record>| {
        assert_eq!(records[0].offset, applied);
        applied = records.last().unwrap().offset + 1;
        applied
    };
    while apply(read(&mut task).unwrap()) < newest + 2 {}
    let gone_to = log.bounds(Topic::Signals, 0).unwrap().end;
    kafka.delete_records(Topic::Signals, place, gone_to).unwrap();
    let lost = loop {
        match read(&mut task) {
            Ok(records) => apply(records),
            Err(lost) => break lost,
        };
    };
    assert!((newest + 2..gone_to).contains(&applied), "{newest}, {applied}, {gone_to}");
    assert!(matches!(lost, LogError::Lost { from, to, .. } if (from, to) == (applied, gone_to)), "{lost}");
}
