//! What every backend promises of [`Log`] and [`Task`], as one suite that each of them runs in its tests.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use logystera_schemas::limits::{BODY_BYTES_MAX, READ_BYTES_MAX};
use logystera_schemas::topic::Topic;

use crate::clock::Stopwatch;
use crate::log::{Commit, Entry, Log, LogError, Record, Task, scan};

/// A backend as the suite uses it. Partition 0 of each topic is enough.
pub trait Backend {
    /// Its log.
    type Log: Log;
    /// Its task.
    type Task: Task;

    /// The log.
    fn log(&self) -> Self::Log;

    /// Takes the task of `app` over.
    fn task(&self, app: &str, input: Topic) -> Result<Self::Task, LogError>;

    /// Stops and starts again on the same data.
    #[must_use]
    fn restart(self) -> Self;
}

/// How long a task may wait for a record that another thread appends: far more than it should take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the suite. Each promise gets a fresh backend, without records or tasks.
pub fn conformance<B: Backend>(fresh: impl Fn() -> B) {
    appended_records_stand_in_order(&fresh());
    a_read_gives_one_record_and_then_as_many_as_fit(&fresh());
    a_record_larger_than_a_read_is_read(&fresh());
    everything_appended_at_once_is_there_exactly_once(&fresh());
    a_commit_shows_whole_and_lasts(fresh());
    what_is_not_committed_is_read_again(&fresh());
    a_task_reads_back_what_it_appends_to_its_own_input(&fresh());
    state_is_restored_in_the_order_of_its_keys(&fresh());
    a_takeover_fences_the_owner_before(fresh());
    apps_do_not_see_each_other(&fresh());
    a_waiting_task_wakes_for_a_record(&fresh());
}

/// An entry of `topic` whose key and value are these texts.
pub fn entry(topic: Topic, key: &str, value: &str) -> Entry {
    Entry { topic, partition: 0, key: key.into(), value: value.into() }
}

#[expect(clippy::expect_used, reason = "a test's own runtime")]
fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

/// Appends and waits until it is durable.
#[expect(clippy::expect_used, reason = "a failure here is the suite's")]
pub fn append(log: &impl Log, entries: Vec<Entry>) {
    wait(log.append(entries)).expect("the append succeeds");
}

/// Every record of a topic.
#[expect(clippy::expect_used, reason = "a failure here is the suite's")]
pub fn all(log: &impl Log, topic: Topic) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    let read = |from| log.read(topic, 0, from, READ_BYTES_MAX);
    let done = scan(0, read, |more| {
        records.extend(more);
        Ok(())
    });
    done.expect("the read succeeds");
    records
}

/// Waits until the topic has as many records as `expected`, and holds their values against it: what is committed may be seen
/// a moment later.
fn settled(log: &impl Log, topic: Topic, expected: &[&str]) -> Vec<Record> {
    let stopwatch = Stopwatch::start();
    loop {
        let records = all(log, topic);
        if records.len() >= expected.len() || stopwatch.elapsed() > PATIENCE {
            assert_eq!(values(&records), expected);
            return records;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The task's next records, until there are as many.
#[expect(clippy::expect_used, reason = "a failure here is the suite's")]
fn read_many(task: &mut impl Task, count: usize) -> Vec<Record> {
    let mut records = Vec::new();
    while records.len() < count {
        let more = task.read(PATIENCE).expect("the read succeeds");
        assert!(!more.is_empty(), "{} of {count} records came", records.len());
        records.extend(more);
    }
    records
}

/// The task's next records, as many as `expected`, whose values they must have.
fn read(task: &mut impl Task, expected: &[&str]) -> Vec<Record> {
    let records = read_many(task, expected.len());
    assert_eq!(values(&records), expected);
    records
}

fn values(records: &[Record]) -> Vec<&str> {
    records.iter().map(|r| std::str::from_utf8(&r.value).unwrap_or("?")).collect()
}

#[expect(clippy::expect_used, reason = "a failure here is the suite's")]
fn state(task: &mut impl Task) -> BTreeMap<String, String> {
    let mut state = BTreeMap::new();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    task.restore(&mut |key, value| drop(state.insert(text(key), text(value)))).expect("the state is restored");
    state
}

fn put(key: &str, value: &str) -> (Vec<u8>, Option<Vec<u8>>) {
    (key.into(), Some(value.into()))
}

#[expect(clippy::expect_used, reason = "a failure here is the suite's")]
fn take<B: Backend>(backend: &B, app: &str) -> B::Task {
    backend.task(app, Topic::Signals).expect("the task is taken over")
}

#[expect(clippy::expect_used, reason = "a failure here is the suite's")]
fn appended_records_stand_in_order(backend: &impl Backend) {
    let log = backend.log();
    let empty = log.bounds(Topic::Signals, 0).expect("bounds");
    assert!(empty.is_empty(), "nothing was appended yet: {empty:?}");
    append(
        &log,
        vec![entry(Topic::Signals, "a", "1"), entry(Topic::Attempts, "t", "x"), entry(Topic::Signals, "b", "2")],
    );
    append(&log, vec![entry(Topic::Signals, "", "3")]);

    let records = settled(&log, Topic::Signals, &["1", "2", "3"]);
    assert_eq!(records.iter().map(|r| r.key.as_slice()).collect::<Vec<_>>(), [b"a".as_slice(), b"b", b""]);
    assert!(records.is_sorted_by(|a, b| a.offset < b.offset), "offsets rise");
    settled(&log, Topic::Attempts, &["x"]);
    assert_eq!(values(&all(&log, Topic::Detections)), [""; 0]);

    let bounds = log.bounds(Topic::Signals, 0).expect("bounds");
    assert_eq!(bounds.start, records[0].offset);
    assert!(bounds.end > records[2].offset, "the end is behind the newest record; gaps are legal: {bounds:?}");
    assert!(log.read(Topic::Signals, 0, bounds.end, 1_000).expect("the read succeeds").is_empty());
}

#[expect(clippy::expect_used, reason = "a failure here is the suite's")]
fn a_read_gives_one_record_and_then_as_many_as_fit(backend: &impl Backend) {
    let log = backend.log();
    append(&log, (0..4).map(|i| entry(Topic::Signals, "key", &format!("value {i}"))).collect());
    let expected: Vec<String> = (0..4).map(|i| format!("value {i}")).collect();
    let records = settled(&log, Topic::Signals, &expected.iter().map(String::as_str).collect::<Vec<_>>());
    let offsets: Vec<u64> = records.iter().map(|r| r.offset).collect();
    // A record has 10 bytes.
    for (from, bytes_max, expected) in [(0, 0, 1), (0, 19, 1), (0, 20, 2), (0, 1_000, 4), (2, 1_000, 2), (3, 0, 1)] {
        let read = log.read(Topic::Signals, 0, offsets[from], bytes_max).expect("the read succeeds");
        assert_eq!(read.len(), expected, "from {from}, {bytes_max} bytes");
    }
    assert!(log.read(Topic::Signals, 0, offsets[3] + 1, 1_000).expect("the read succeeds").is_empty());
}

/// A body may be as large as this, and a read, or what a client fetches at a time, is less.
fn a_record_larger_than_a_read_is_read(backend: &impl Backend) {
    const SIZES: [usize; 4] = [1, BODY_BYTES_MAX, BODY_BYTES_MAX, 2];
    let (log, mut task) = (backend.log(), take(backend, "engine"));
    for size in SIZES {
        append(&log, vec![entry(Topic::Signals, "key", &"x".repeat(size))]);
    }
    // Not their values: of a failure these would be all that is seen.
    let sizes = |records: &[Record]| records.iter().map(|record| record.value.len()).collect::<Vec<_>>();
    assert_eq!(sizes(&read_many(&mut task, SIZES.len())), SIZES);
    assert_eq!(sizes(&all(&log, Topic::Signals)), SIZES);
}

fn everything_appended_at_once_is_there_exactly_once(backend: &impl Backend) {
    const WRITERS: usize = 8;
    const APPENDS: usize = 25;
    let log = backend.log();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let log = log.clone();
            scope.spawn(move || {
                for i in 0..APPENDS {
                    let text = format!("{writer}.{i}");
                    append(&log, vec![entry(Topic::Signals, "s", &text), entry(Topic::Detections, "d", &text)]);
                }
            });
        }
    });
    for topic in [Topic::Signals, Topic::Detections] {
        let stopwatch = Stopwatch::start();
        let mut records = all(&log, topic);
        while records.len() < WRITERS * APPENDS && stopwatch.elapsed() < PATIENCE {
            records = all(&log, topic);
        }
        assert_eq!(records.len(), WRITERS * APPENDS);
        for writer in 0..WRITERS {
            let prefix = format!("{writer}.");
            let mine: Vec<&str> = values(&records).into_iter().filter(|v| v.starts_with(&prefix)).collect();
            let expected: Vec<String> = (0..APPENDS).map(|i| format!("{writer}.{i}")).collect();
            assert_eq!(mine, expected, "who waits for each answer sees its own order");
        }
    }
}

#[expect(clippy::expect_used, reason = "a failure here is the suite's")]
fn a_commit_shows_whole_and_lasts<B: Backend>(backend: B) {
    let log = backend.log();
    append(&log, vec![entry(Topic::Signals, "s", "1"), entry(Topic::Signals, "s", "2")]);
    let mut task = take(&backend, "engine");
    assert_eq!((task.position(), state(&mut task)), (0, BTreeMap::new()), "an app that never ran starts at the front");
    let records = read(&mut task, &["1", "2"]);
    assert!(all(&log, Topic::Detections).is_empty());

    let position = records[0].offset + 1;
    let outputs = vec![entry(Topic::Detections, "t", "d1"), entry(Topic::Detections, "t", "d2")];
    let puts = vec![put("g1", "one"), put("g2", "two")];
    task.commit(Commit { outputs, puts, position, sealed: false }).expect("the commit succeeds");
    assert_eq!(task.position(), position);
    settled(&log, Topic::Detections, &["d1", "d2"]);

    let puts = vec![(b"g1".to_vec(), None), put("g2", "two, again"), (b"never".to_vec(), None)];
    task.commit(Commit { outputs: vec![], puts, position, sealed: false }).expect("the commit succeeds");
    drop((task, log));

    let backend = backend.restart();
    let mut task = take(&backend, "engine");
    assert_eq!(task.position(), position);
    assert_eq!(state(&mut task), BTreeMap::from([("g2".to_owned(), "two, again".to_owned())]));
    read(&mut task, &["2"]);
    settled(&backend.log(), Topic::Detections, &["d1", "d2"]);

    append(&backend.log(), vec![entry(Topic::Signals, "s", "3")]);
    let records = settled(&backend.log(), Topic::Signals, &["1", "2", "3"]);
    assert!(records.is_sorted_by(|a, b| a.offset < b.offset), "no offset is given twice");
}

#[expect(clippy::expect_used, reason = "a failure here is the suite's")]
fn what_is_not_committed_is_read_again(backend: &impl Backend) {
    append(&backend.log(), (0..3).map(|i| entry(Topic::Signals, "s", &i.to_string())).collect());
    let mut task = take(backend, "engine");
    let first = read(&mut task, &["0", "1", "2"]);
    assert!(task.read(Duration::ZERO).expect("the read succeeds").is_empty(), "read-ahead goes on from what was read");
    let commit = Commit { position: first[1].offset, ..Commit::default() };
    task.commit(commit).expect("the commit succeeds");

    let mut next = take(backend, "engine");
    read(&mut next, &["1", "2"]);
    assert!(next.input_end().expect("the end") > first[2].offset);
}

/// If nobody else writes, too: the alerter must get to its work while no gateway ticks.
#[expect(clippy::expect_used, reason = "a failure here is the suite's")]
fn a_task_reads_back_what_it_appends_to_its_own_input(backend: &impl Backend) {
    let mut task = take(backend, "engine");
    for own in ["1", "2"] {
        let outputs = vec![entry(Topic::Signals, "s", own)];
        task.commit(Commit { outputs, ..Commit::default() }).expect("the commit succeeds");
        let end = task.own_end().expect("the end");
        assert_eq!(read(&mut task, &[own])[0].offset + 1, end, "the end is right behind what was appended");
    }
    let mut next = take(backend, "engine");
    let end = next.input_end().expect("the end");
    let last = read(&mut next, &["1", "2"])[1].offset;
    let mut reached = || {
        let more = next.read(Duration::from_millis(100)).expect("the read succeeds");
        assert!(more.is_empty(), "nothing more is there");
        last + 1 >= end || next.has_read(end)
    };
    assert!(std::iter::repeat_with(&mut reached).take(50).any(|reached| reached), "it comes to the end");
}

#[expect(clippy::expect_used, reason = "a failure here is the suite's")]
fn state_is_restored_in_the_order_of_its_keys(backend: &impl Backend) {
    let keys: [&[u8]; 6] = [b"\xff", b"b", b"", b"a\x00", b"a", b"a\x00\x01"];
    let mut task = take(backend, "engine");
    let puts = keys.iter().map(|k| (k.to_vec(), Some(vec![]))).collect();
    task.commit(Commit { puts, ..Commit::default() }).expect("the commit succeeds");
    let mut restored = Vec::new();
    task.restore(&mut |key, _| restored.push(key.to_vec())).expect("the state is restored");
    assert_eq!(restored, [b"".as_slice(), b"a", b"a\x00", b"a\x00\x01", b"b", b"\xff"]);
}

#[expect(clippy::expect_used, reason = "a failure here is the suite's")]
fn a_takeover_fences_the_owner_before<B: Backend>(backend: B) {
    append(&backend.log(), vec![entry(Topic::Signals, "s", "1")]);
    let mut zombie = take(&backend, "engine");
    let read = read(&mut zombie, &["1"]);
    let commit = |value: &str| Commit {
        outputs: vec![entry(Topic::Detections, "t", value)],
        puts: vec![put("g", value)],
        position: read[0].offset + 1,
        sealed: false,
    };
    let mut owner = take(&backend, "engine");
    assert!(matches!(zombie.commit(commit("zombie")), Err(LogError::Fenced)));
    assert_eq!(state(&mut owner), BTreeMap::new());
    assert!(all(&backend.log(), Topic::Detections).is_empty(), "nothing of a fenced commit is there");

    owner.commit(commit("owner")).expect("the newest owner commits");
    assert!(matches!(zombie.commit(commit("zombie")), Err(LogError::Fenced)), "fenced for good");
    settled(&backend.log(), Topic::Detections, &["owner"]);
    drop((zombie, owner));

    let backend = backend.restart();
    let mut owner = take(&backend, "engine");
    assert_eq!(state(&mut owner), BTreeMap::from([("g".to_owned(), "owner".to_owned())]));
}

#[expect(clippy::expect_used, reason = "a failure here is the suite's")]
fn apps_do_not_see_each_other(backend: &impl Backend) {
    let (mut engine, mut alerter) = (take(backend, "engine"), take(backend, "alerter"));
    append(&backend.log(), vec![entry(Topic::Signals, "s", "1")]);
    let end = engine.input_end().expect("the end");
    engine
        .commit(Commit { puts: vec![put("g", "e")], position: end, outputs: vec![], sealed: false })
        .expect("the commit succeeds");
    alerter.commit(Commit { puts: vec![put("g", "a")], ..Commit::default() }).expect("neither fences the other");
    for (app, position, value) in [("engine", end, "e"), ("alerter", 0, "a")] {
        let mut task = take(backend, app);
        assert_eq!(task.position(), position, "{app}");
        assert_eq!(state(&mut task), BTreeMap::from([("g".to_owned(), value.to_owned())]), "{app}");
    }
}

#[expect(clippy::expect_used, reason = "a failure here is the suite's")]
fn a_waiting_task_wakes_for_a_record(backend: &impl Backend) {
    let mut task = take(backend, "engine");
    let stopwatch = Stopwatch::start();
    assert!(task.read(Duration::from_millis(50)).expect("the read succeeds").is_empty());
    assert!(stopwatch.elapsed() >= Duration::from_millis(50), "it waits as long as it was told");

    let log = backend.log();
    let stopwatch = Stopwatch::start();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(50));
            append(&log, vec![entry(Topic::Signals, "s", "1")]);
        });
        read(&mut task, &["1"]);
    });
    assert!(stopwatch.elapsed() < PATIENCE / 2, "it wakes for the record");
}
