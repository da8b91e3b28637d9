//! State in a real ScyllaDB or Cassandra beside a real Kafka.
//!
//! `tests/run services` starts both. Without it, `LOGYSTERA_TEST_KAFKA=host:port` and `LOGYSTERA_TEST_CQL=host:port` name them, and
//! `LOGYSTERA_TEST_CASSANDRA_DIR` the folder of tests/services/cassandra; where they are not set nothing is tested, and CI fails.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod recovery;
mod rig;

use std::sync::Arc;
use std::time::Duration;

use logystera_infra::clock::{Clock, ManualClock, Stopwatch};
use logystera_infra::conformance::{Backend, append, conformance, entry};
use logystera_infra::log::{LogError, Task};
use logystera_kafka::state_store::Store;
use logystera_kafka::{Kafka, KafkaLog, KafkaTask, Layouts};
use logystera_schemas::limits::POSITION_AGE_MS_MAX;
use logystera_schemas::partition::PartitionRef;
use logystera_schemas::topic::Topic;
use rig::*;

struct WithStore {
    kafka: Kafka,
    store: Store,
}

impl Backend for WithStore {
    type Log = KafkaLog;
    type Task = KafkaTask;

    fn log(&self) -> KafkaLog {
        self.kafka.log().unwrap()
    }

    fn task(&self, app: &str, input: Topic) -> Result<KafkaTask, LogError> {
        self.kafka.task(app, input, 0)
    }

    fn restart(self) -> Self {
        let kafka = Kafka::new(self.kafka.config().clone()).with_store(self.store.clone());
        Self { kafka, ..self }
    }
}

#[test]
fn kafka_keeps_the_promises_of_the_log_with_a_store() {
    let Some(rig) = Rig::new("engine") else { return };
    let store = rig.store();
    assert!(store.is_connected(PATIENCE));
    let rig = std::cell::RefCell::new(rig);
    conformance(|| {
        rig.borrow_mut().fresh(&["engine", "alerter"]);
        let kafka = Kafka::new(rig.borrow().kafka.clone()).with_store(store.clone());
        WithStore { kafka, store: store.clone() }
    });
    assert!(restored("engine").0 > 0, "some of it came from the store");
}

#[test]
fn an_owner_that_comes_late_changes_nothing() {
    const APP: &str = "late";
    let Some(rig) = Rig::new(APP) else { return };
    let (late_store, store) = (rig.store(), rig.store());
    let mut late = rig.task(APP, Some(&late_store));
    commit(&mut late, 1, vec![put(2, "a", "1"), put(2, "b", "1"), put(2, "c", "1"), put(2, "same", "1")]);
    stored(&late);
    late_store.hold_writes(true);
    commit(&mut late, 2, vec![put(2, "a", "late"), delete(2, "b"), put(2, "c", "late")]);

    let mut owner = rig.task(APP, Some(&store));
    assert_eq!(state(&mut owner), model(&[(2, "a", "late"), (2, "c", "late"), (2, "same", "1")]));
    commit(&mut owner, 3, vec![put(2, "a", "owner"), put(2, "b", "owner"), delete(2, "c")]);
    stored(&owner);

    late_store.hold_writes(false);
    stored(&late);
    let (cql, app) = (rig.cql(), rig.app(APP));
    let rows = cql.rows(&app, 2);
    let expected = [("a", "owner", 3), ("b", "owner", 3), ("same", "1", 1)];
    let expected = expected.map(|(name, value, version)| (key(2, name), (value.as_bytes().to_vec(), version)));
    assert_eq!(rows, expected.into_iter().collect(), "neither its write nor its deletion wins");
    assert_eq!(cql.claim(&app), Some((3, 3)), "nor what it claims");

    let (before, _) = restored(APP);
    let mut next = rig.task(APP, Some(&store));
    assert_eq!(restored(APP).0 - before, 3, "from the store");
    assert_eq!(state(&mut next), model(&[(2, "a", "owner"), (2, "b", "owner"), (2, "same", "1")]));
}

/// The changelog forgets what was deleted after a week; a store that missed the deletion must not bring it back.
#[test]
fn a_store_that_is_far_behind_is_written_anew() {
    const APP: &str = "behind";
    let Some(rig) = Rig::new(APP) else { return };
    let store = rig.store();
    let mut task = rig.task(APP, Some(&store));
    commit(&mut task, 7, vec![put(2, "lives", "1"), put(4, "lives", "2"), (b"own".to_vec(), Some(b"3".to_vec()))]);
    stored(&task);
    drop(task);
    let (cql, app) = (rig.cql(), rig.app(APP));
    let dead = "INSERT INTO state (app, key_group, state_key, version, value) VALUES (?, 2, ?, 5, ?) USING TIMESTAMP 5";
    cql.run(dead, (&app, key(2, "dead"), b"gone"));
    let dead = "INSERT INTO own_state (app, generation, input_partition, state_key, version, value) \
                VALUES (?, 0, 0, ?, 5, ?) USING TIMESTAMP 5";
    cql.run(dead, (&app, b"\xffdead", b"gone"));

    // The rows count while they are young, so this is about what they say.
    let mut task = rig.task(APP, Some(&store));
    assert_eq!(state(&mut task).len(), 5);
    stored(&task);
    drop(task);

    rig.clock.pass(POSITION_AGE_MS_MAX as u32 + 1);
    let living = [(key(2, "lives"), b"1".to_vec()), (key(4, "lives"), b"2".to_vec()), (b"own".to_vec(), b"3".to_vec())];
    let living = Model::from(living);
    let before = restored(APP);
    let mut task = rig.task(APP, Some(&store));
    assert_eq!(state(&mut task), living, "the dead do not come back");
    assert_eq!((restored(APP).0 - before.0, restored(APP).1 - before.1), (0, 3), "from the changelog alone");
    stored(&task);
    drop(task);

    assert_eq!(cql.rows(&app, 2).len(), 1, "the dead row is gone");
    let before = restored(APP);
    let mut task = rig.task(APP, Some(&store));
    assert_eq!((restored(APP).0 - before.0, task.position()), (3, 7), "from the store");
    assert_eq!(state(&mut task), living);
    // What was written anew gives way to what is newer.
    commit(&mut task, 8, vec![put(2, "lives", "again"), delete(4, "lives")]);
    stored(&task);
    drop(task);
    let mut task = rig.task(APP, Some(&store));
    assert_eq!(state(&mut task), Model::from([(key(2, "lives"), b"again".to_vec()), (b"own".to_vec(), b"3".to_vec())]));
}

/// Whoever writes does not notice that the store is another one, and writes only what changes from then on.
#[test]
fn a_store_that_is_made_anew_under_those_who_write_is_not_believed() {
    const APP: &str = "incarnation";
    let Some(rig) = Rig::new(APP) else { return };
    let (before, after) = (rig.store(), rig.store());
    let mut task = rig.task(APP, Some(&before));
    let all: Vec<_> = (0..200).map(|row| put(row * 2, &row.to_string(), "1")).collect();
    let mut expected: Model = all.iter().cloned().map(|(key, value)| (key, value.unwrap())).collect();
    commit(&mut task, 1, all);
    stored(&task);

    // The guide of before: make an empty one. Whoever starts first makes the tables.
    let mut position = 1;
    for made_anew in 0..2_u16 {
        if made_anew == 0 {
            rig.cql().run(&format!("DROP KEYSPACE {}", rig.store.keyspace), ());
        } else {
            for table in ["state", "own_state", "positions", "incarnation"] {
                rig.cql().run(&format!("TRUNCATE {table}"), ());
            }
        }
        let maker = rig.store();
        assert!(maker.is_connected(PATIENCE));
        let name = format!("after {made_anew}");
        position += 1;
        commit(&mut task, position, vec![put(4, &name, "2")]);
        expected.insert(key(4, &name), b"2".to_vec());
        stored(&task);
        let (cql, app) = (rig.cql(), rig.app(APP));
        assert!(cql.rows(&app, 4).len() < 3, "the store has a part");
        assert_eq!(cql.claim(&app), Some((position as i64, position as i64)), "and a claim");

        let read = restored(APP);
        let mut next = rig.task(APP, Some(&after));
        assert_eq!(state(&mut next), expected, "nothing is lost");
        assert_eq!((restored(APP).0 - read.0, next.position()), (0, position), "not from the store");
        // Written anew it counts again, for a process that was there before, too.
        position += 1;
        commit(&mut next, position, Vec::new());
        stored(&next);
        drop(next);
        let read = restored(APP);
        task = rig.task(APP, Some(&before));
        assert_eq!(state(&mut task), expected);
        assert_eq!((restored(APP).0 - read.0) as usize, expected.len(), "from the store");
    }
}

/// An owner may die at any moment while it writes everything anew, where the next one thinks the claim before it young.
#[test]
fn a_crash_while_rows_are_written_anew_loses_nothing() {
    const APP: &str = "anew";
    const ROWS: u16 = 2_000;
    let Some(rig) = Rig::new(APP) else { return };
    let (store, ahead) = (rig.store(), ManualClock::at(rig.clock.wall_ms()));
    ahead.pass(POSITION_AGE_MS_MAX as u32 + 1);
    let hasty = rig.store_with(&ahead);
    let mut task = rig.task(APP, Some(&store));
    commit(&mut task, 1, (0..ROWS).map(|row| put(row % 512 * 2, &row.to_string(), "1")).collect());
    stored(&task);
    drop(task);
    for crash_ms in [10, 40, 80, 160] {
        drop(rig.task(APP, Some(&store)));
        let task = rig.task(APP, Some(&hasty));
        std::thread::sleep(Duration::from_millis(crash_ms));
        drop(task);
        let mut task = rig.task(APP, Some(&store));
        assert_eq!(state(&mut task).len(), usize::from(ROWS), "after {crash_ms} ms");
        commit(&mut task, 1 + crash_ms, Vec::new());
        stored(&task);
    }
}

#[test]
fn a_store_that_is_away_holds_the_input_up_and_loses_nothing() {
    const APP: &str = "outage";
    const WAIT: Duration = Duration::from_millis(200);
    let Some(mut rig) = Rig::new(APP) else { return };
    rig.store.queue_bytes_max = 64 << 10;
    rig.fresh(&[APP, "beside"]);
    let store = rig.store();
    let mut task = rig.task(APP, Some(&store));
    let mut beside = rig.task("beside", Some(&store));
    let kafka = Kafka::new(rig.kafka.clone());
    let generation = Layouts::initial(&rig.kafka).written(Topic::Signals);
    task.show(PartitionRef { generation, partition: 0 }, Arc::default());
    append(&kafka.log().unwrap(), (0..50).map(|at| entry(Topic::Signals, "s", &format!("{at}"))).collect());
    commit(&mut task, 0, vec![put(2, "first", "1")]);
    stored(&task);
    let Some(paused) = Rig::pause() else { return };
    let labels = format!("app=\"{APP}\"");
    let waiting = || metric("logystera_store_queue_bytes", &labels);
    let (mut expected, mut position) = (model(&[(2, "first", "1")]), 0);
    for record in task.read(PATIENCE).unwrap() {
        position = record.offset + 1;
    }
    for at in 0.. {
        assert!(at < 20, "the input pauses");
        let name = format!("k{at}");
        let value = "x".repeat(8 << 10);
        commit(&mut task, position + at, vec![put(2, &name, &value), delete(2, "first")]);
        expected.insert(key(2, &name), value.into_bytes());
        if waiting() >= rig.store.queue_bytes_max as u64 {
            break;
        }
    }
    expected.remove(&key(2, "first"));
    append(&kafka.log().unwrap(), (0..40).map(|at| entry(Topic::Signals, "s", &format!("more {at}"))).collect());
    let stopwatch = Stopwatch::start();
    assert!(task.read(WAIT).unwrap().is_empty(), "nothing is read");
    assert!(stopwatch.elapsed() >= WAIT, "and who asks waits");
    assert!(beside.read(WAIT).unwrap().is_empty(), "nor by a task beside it, of which nothing waits");
    while metric("logystera_store_retries_total", &labels) == 0 {
        assert!(stopwatch.elapsed() < PATIENCE, "it is tried again");
        std::thread::sleep(WAIT);
    }
    while metric("logystera_lag_records", &format!("{labels},partition=\"0\"")) == 0 {
        assert!(stopwatch.elapsed() < PATIENCE, "it shows how far behind it is");
        assert!(task.read(WAIT).unwrap().is_empty(), "nothing is read");
    }
    rig.clock.pass(90_000);
    while metric("logystera_store_flush_age_seconds", &labels) != 90 {
        assert!(stopwatch.elapsed() < PATIENCE, "its age is shown");
        std::thread::sleep(WAIT);
    }

    // A takeover does without.
    let (away, stopwatch) = (rig.store(), Stopwatch::start());
    let kafka = kafka.with_store(away);
    let mut next = kafka.task(APP, Topic::Signals, 0).unwrap();
    println!("taken over without the store in {:?}", stopwatch.elapsed());
    assert_eq!(state(&mut next), expected);
    let position = next.position();
    commit(&mut next, position + 1, vec![put(4, "later", "1")]);
    expected.insert(key(4, "later"), b"1".to_vec());

    drop(paused);
    stored(&next);
    // The owner before is fenced, and still writes what it had committed.
    stored(&task);
    assert_eq!(waiting(), 0);
    assert!(!task.read(PATIENCE).unwrap().is_empty(), "the input goes on");
    assert!(!beside.read(PATIENCE).unwrap().is_empty(), "and that of the task beside it");
    drop((task, next));
    let (before, _) = restored(APP);
    let mut task = rig.task(APP, Some(&store));
    assert_eq!(state(&mut task), expected);
    assert_eq!((restored(APP).0 - before) as usize, expected.len(), "from the store");
}

/// A report: what it takes depends on the machine. Each row is written several times: a changelog has what was overwritten until
/// it is compacted.
#[test]
fn takeovers_are_timed() {
    for rows in rig::rows() {
        const APP: &str = "timed";
        let Some(rig) = Rig::new(APP) else { return };
        let store = rig.store();
        let mut task = rig.task(APP, Some(&store));
        let stopwatch = Stopwatch::start();
        for (at, first) in (0..5 * rows).step_by(5_000).enumerate() {
            let key_of = |n: usize| key((n % 512 * 2) as u16, &format!("site-{:012}", n % rows));
            let row = |n: usize| (key_of(n % rows), Some(vec![at as u8; 150]));
            commit(&mut task, at as u64 + 1, (first..first + 5_000).map(row).collect());
        }
        let committed = stopwatch.elapsed();
        stored(&task);
        println!("{rows} rows, 5 times: committed in {committed:?}, stored after {:?}", stopwatch.elapsed());
        drop(task);
        for from in [Some(&store), None] {
            let stopwatch = Stopwatch::start();
            let mut task = rig.task(APP, from);
            let taken = stopwatch.elapsed();
            assert_eq!(state(&mut task).len(), rows);
            println!(
                "{rows} rows: taken over from the {} in {taken:?}",
                if from.is_some() { "store" } else { "changelog" }
            );
        }
    }
}
