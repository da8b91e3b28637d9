//! What only this backend promises: its checksums, its format, its lock, its group commit, its answer to a full disk.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use logystera_schemas::limits::{LOG_QUEUE_APPENDS_MAX, READ_BYTES_MAX};
use logystera_schemas::topic::Topic;
use rusqlite::Connection;

use super::store::FORMAT;
use super::tables::DATA_FILE;
use super::{Embedded, EmbeddedLog, EmbeddedReader, EmbeddedTask, OpenError};
use crate::conformance::{Backend, all, append, conformance, entry};
use crate::log::{Commit, Entry, Log, LogError, Task};

struct Folder {
    embedded: Embedded,
    dir: tempfile::TempDir,
}

impl Folder {
    fn fresh() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { embedded: Embedded::open(dir.path()).unwrap(), dir }
    }
}

impl Backend for Folder {
    type Log = EmbeddedLog;
    type Task = EmbeddedTask;

    fn log(&self) -> EmbeddedLog {
        self.embedded.log()
    }

    fn task(&self, app: &str, input: Topic) -> Result<EmbeddedTask, LogError> {
        self.embedded.task(app, input)
    }

    fn restart(self) -> Self {
        self.embedded.close();
        Self { embedded: Embedded::open(self.dir.path()).unwrap(), dir: self.dir }
    }
}

fn by_hand(dir: &Path, sql: &str) {
    Connection::open(dir.join(DATA_FILE)).unwrap().execute_batch(sql).unwrap();
}

fn signals(texts: &[&str]) -> Vec<Entry> {
    texts.iter().map(|t| entry(Topic::Signals, "site", t)).collect()
}

#[test]
fn it_conforms() {
    conformance(Folder::fresh);
}

#[test]
fn an_altered_or_moved_row_is_named() {
    for (what, sql) in [
        ("a bit of the value", "UPDATE log_signals SET value = CAST('seconE' AS BLOB) WHERE offset = 1"),
        ("the key", "UPDATE log_signals SET key = CAST('Site' AS BLOB) WHERE offset = 1"),
        ("the checksum", "UPDATE log_signals SET crc = crc + 1 WHERE offset = 1"),
        (
            "key and value cut elsewhere",
            "UPDATE log_signals SET key = CAST('sitesec' AS BLOB), value = CAST('ond' AS BLOB) WHERE offset = 1",
        ),
        (
            "two rows swapped",
            "UPDATE log_signals SET offset = 7 WHERE offset = 1; UPDATE log_signals SET offset = 1 WHERE offset = 2",
        ),
        (
            "a row of another topic",
            "DELETE FROM log_signals WHERE offset = 1; INSERT INTO log_signals SELECT * FROM log_detections WHERE offset = 1",
        ),
    ] {
        let folder = Folder::fresh();
        append(&folder.log(), signals(&["first", "second", "third"]));
        append(
            &folder.log(),
            signals(&["second", "second"]).into_iter().map(|e| Entry { topic: Topic::Detections, ..e }).collect(),
        );
        by_hand(folder.dir.path(), sql);
        let log = folder.log();
        assert_eq!(
            log.read(Topic::Signals, 0, 0, READ_BYTES_MAX).unwrap().len(),
            1,
            "{what}: what stands before is given"
        );
        let error = log.read(Topic::Signals, 0, 1, READ_BYTES_MAX).unwrap_err();
        let named = matches!(error, LogError::Checksum { topic: "signals", partition: 0, offset: 1, .. });
        assert!(named, "{what}: {error}");

        let mut task = folder.task("engine", Topic::Signals).unwrap();
        assert_eq!(task.read(Duration::ZERO).unwrap().len(), 1, "{what}");
        assert!(matches!(task.read(Duration::ZERO), Err(LogError::Checksum { offset: 1, .. })), "{what}");
        let reader = EmbeddedReader::open(folder.dir.path()).unwrap();
        assert!(matches!(reader.read(Topic::Signals, 1, 1), Err(LogError::Checksum { offset: 1, .. })), "{what}");
    }
}

#[test]
fn altered_state_is_not_restored() {
    for sql in [
        "UPDATE state SET value = CAST('tvo' AS BLOB) WHERE key = CAST('b' AS BLOB)",
        "UPDATE state SET version = version + 1",
        "UPDATE state SET key = CAST('c' AS BLOB) WHERE key = CAST('b' AS BLOB)",
        "UPDATE state SET app = 'alerter'; UPDATE positions SET app = 'alerter'",
    ] {
        let folder = Folder::fresh();
        let mut task = folder.task("engine", Topic::Signals).unwrap();
        let puts = vec![(b"a".to_vec(), Some(b"one".to_vec())), (b"b".to_vec(), Some(b"two".to_vec()))];
        task.commit(Commit { puts, position: 5, outputs: vec![], sealed: false }).unwrap();
        let mut versions = Vec::new();
        let reader = EmbeddedReader::open(folder.dir.path()).unwrap();
        reader.state("engine", &mut |entry| versions.push(entry.version)).unwrap();
        assert_eq!((reader.position("engine").unwrap(), reader.position("alerter").unwrap()), (Some(5), None));
        assert_eq!(versions, [5, 5], "the version is the position in generation 0");

        by_hand(folder.dir.path(), sql);
        let app = if sql.contains("alerter") { "alerter" } else { "engine" };
        let error = reader.state(app, &mut |_| {}).unwrap_err();
        assert!(matches!(&error, LogError::Unusable(what) if what.contains("altered")), "{sql}: {error}");
    }
}

#[test]
fn an_altered_position_is_not_believed() {
    for sql in ["position = position - 1", "epoch = epoch - 1", "input = 'control'"] {
        let folder = Folder::fresh();
        let mut task = folder.task("engine", Topic::Signals).unwrap();
        task.commit(Commit { position: 5, ..Commit::default() }).unwrap();
        by_hand(folder.dir.path(), &format!("UPDATE positions SET {sql}"));
        for answer in
            [task.commit(Commit { position: 6, ..Commit::default() }), folder.task("engine", Topic::Signals).map(drop)]
        {
            assert!(matches!(&answer, Err(LogError::Unusable(what)) if what.contains("altered")), "{sql}: {answer:?}");
        }
    }
}

#[test]
fn a_task_keeps_its_input_and_does_not_go_back() {
    let folder = Folder::fresh();
    let mut task = folder.task("engine", Topic::Signals).unwrap();
    task.commit(Commit { position: 5, ..Commit::default() }).unwrap();
    assert!(matches!(task.commit(Commit { position: 4, ..Commit::default() }), Err(LogError::Unusable(_))));
    assert!(matches!(folder.task("engine", Topic::Detections), Err(LogError::Unusable(_))));
    assert_eq!(folder.task("engine", Topic::Signals).unwrap().position(), 5);
}

#[test]
fn there_is_one_partition() {
    let folder = Folder::fresh();
    let elsewhere = Entry { partition: 1, ..entry(Topic::Signals, "s", "1") };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let appended = runtime.block_on(folder.log().append(vec![elsewhere.clone()]));
    let mut task = folder.task("engine", Topic::Signals).unwrap();
    let committed = task.commit(Commit { outputs: vec![elsewhere], ..Commit::default() });
    let read = folder.log().read(Topic::Signals, 1, 0, 1).map(drop);
    let bounds = folder.log().bounds(Topic::Signals, 1).map(drop);
    for answer in [appended, committed, read, bounds] {
        assert!(matches!(answer, Err(LogError::Unusable(_))), "{answer:?}");
    }
}

#[test]
fn control_keeps_the_newest_record_of_each_key_and_its_offsets() {
    let folder = Folder::fresh();
    let control = |key, value| entry(Topic::Control, key, value);
    append(&folder.log(), vec![control("a", "1"), control("b", "1"), control("a", "2")]);
    append(&folder.log(), vec![control("a", "3")]);
    let folder = folder.restart();
    let records = all(&folder.log(), Topic::Control);
    let seen: Vec<_> = records.iter().map(|r| (r.offset, r.key.as_slice(), r.value.as_slice())).collect();
    assert_eq!(seen, [(1, b"b".as_slice(), b"1".as_slice()), (3, b"a", b"3")]);
    assert_eq!(folder.log().bounds(Topic::Control, 0).unwrap(), 1..4);
}

#[test]
fn offsets_are_not_given_again_once_their_rows_are_gone() {
    let folder = Folder::fresh();
    append(&folder.log(), signals(&["1", "2"]));
    by_hand(folder.dir.path(), "DELETE FROM log_signals");
    let folder = folder.restart();
    assert_eq!(folder.log().bounds(Topic::Signals, 0).unwrap(), 2..2);
    append(&folder.log(), signals(&["3"]));
    assert_eq!(all(&folder.log(), Topic::Signals)[0].offset, 2);
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let folder = Folder::fresh();
    append(&folder.log(), signals(&["1"]));
    let Folder { embedded, dir } = folder;
    embedded.close();
    by_hand(dir.path(), &format!("UPDATE meta SET value = {} WHERE name = 'format'", FORMAT + 1));
    let before = std::fs::read(dir.path().join(DATA_FILE)).unwrap();
    for error in [Embedded::open(dir.path()).map(drop), EmbeddedReader::open(dir.path()).map(drop)] {
        let error = error.unwrap_err();
        assert!(matches!(error, OpenError::Newer { found: 2, known: 1, .. }), "{error}");
        assert!(error.to_string().contains("use the newer logystera"), "{error}");
    }
    assert_eq!(std::fs::read(dir.path().join(DATA_FILE)).unwrap(), before);
}

#[test]
fn a_folder_has_one_writer_and_any_number_of_readers() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("new/data");
    assert!(matches!(EmbeddedReader::open(&dir), Err(OpenError::NoData { .. })));
    let embedded = Embedded::open(&dir).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);

    let error = Embedded::open(&dir).unwrap_err();
    let pid = std::process::id();
    assert!(matches!(&error, OpenError::InUse { dir: d, pid: Some(p) } if *d == dir && *p == pid), "{error}");
    assert!(error.to_string().contains(dir.to_str().unwrap()), "{error}");

    append(&embedded.log(), signals(&["1"]));
    let reader = EmbeddedReader::open(&dir).unwrap();
    append(&embedded.log(), signals(&["2"]));
    assert_eq!(
        reader.read(Topic::Signals, 0, READ_BYTES_MAX).unwrap().len(),
        2,
        "a reader sees what is committed since"
    );
    assert_eq!(reader.bounds(Topic::Signals).unwrap(), 0..2);
    assert_eq!(mode(&dir.join(DATA_FILE)), 0o600);
    drop(reader);
    embedded.close();
    assert!(!dir.join("logystera.sqlite-wal").exists(), "what is closed is one file");
    let reader = EmbeddedReader::open(&dir).unwrap();
    assert_eq!(reader.read(Topic::Signals, 0, READ_BYTES_MAX).unwrap().len(), 2, "also where nobody writes");
    Embedded::open(&dir).unwrap();
}

#[test]
fn the_file_is_set_up_to_survive_a_power_cut() {
    let folder = Folder::fresh();
    let connection = super::store::open_for_writing(folder.dir.path(), None).unwrap();
    let pragma = |name: &str| -> String {
        let value: rusqlite::types::Value = connection.pragma_query_value(None, name, |row| row.get(0)).unwrap();
        format!("{value:?}")
    };
    let found = ["journal_mode", "synchronous", "auto_vacuum"].map(pragma);
    assert_eq!(found, ["Text(\"wal\")", "Integer(2)", "Integer(2)"], "WAL, FULL, INCREMENTAL");
}

#[test]
fn one_commit_serves_all_that_wait() {
    const APPENDS: u64 = 2_000;
    let folder = Folder::fresh();
    let log = folder.log();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let appends: Vec<_> = (0..APPENDS)
            .map(|i| {
                let log = log.clone();
                tokio::spawn(async move { log.append(signals(&[&i.to_string()])).await })
            })
            .collect();
        for append in appends {
            append.await.unwrap().unwrap();
        }
    });
    let stats = folder.embedded.stats();
    assert_eq!(stats.answered, APPENDS);
    assert!(stats.commits < APPENDS / 4, "{stats:?}");
    assert_eq!(all(&log, Topic::Signals).len(), APPENDS as usize);
}

#[test]
fn the_queue_is_bounded_and_who_waits_for_room_gets_in() {
    let folder = Folder::fresh();
    let log = folder.log();
    // Another process's transaction keeps the writer busy, so that the queue fills up.
    let other = Connection::open(folder.dir.path().join(DATA_FILE)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let appends: Vec<_> = (0..LOG_QUEUE_APPENDS_MAX + 100)
            .map(|i| {
                let log = log.clone();
                tokio::spawn(async move { log.append(signals(&[&i.to_string()])).await })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(folder.embedded.shared.queue.room_left(), 0, "4,096 appends fill the queue");
        other.execute_batch("ROLLBACK").unwrap();
        for append in appends {
            append.await.unwrap().unwrap();
        }
    });
    assert_eq!(all(&log, Topic::Signals).len(), LOG_QUEUE_APPENDS_MAX + 100);
}

#[test]
fn an_append_whose_caller_goes_away_keeps_its_room_until_it_is_written() {
    let folder = Folder::fresh();
    let full = folder.embedded.shared.queue.room_left();
    let other = Connection::open(folder.dir.path().join(DATA_FILE)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let abandoned = tokio::time::timeout(Duration::from_millis(50), folder.log().append(signals(&["1"]))).await;
        assert!(abandoned.is_err());
        assert!(folder.embedded.shared.queue.room_left() < full);
        other.execute_batch("ROLLBACK").unwrap();
        folder.log().append(signals(&["2"])).await.unwrap();
    });
    assert_eq!(all(&folder.log(), Topic::Signals).len(), 2, "it was in the queue, so it is written");
    assert_eq!(folder.embedded.shared.queue.room_left(), full);
}

#[test]
fn a_full_disk_refuses_whole_appends_and_the_process_goes_on() {
    const PAGES_MAX: u32 = 64;
    let dir = tempfile::tempdir().unwrap();
    let embedded = Embedded::open_with(dir.path(), Some(PAGES_MAX)).unwrap();
    let log = embedded.log();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let large = || vec![entry(Topic::Signals, "s", "small"), entry(Topic::Signals, "s", &"x".repeat(1 << 20))];

    let refused = runtime.block_on(log.append(large()));
    assert!(matches!(refused, Err(LogError::Away(_))), "{refused:?}");
    assert!(all(&log, Topic::Signals).is_empty() && log.bounds(Topic::Signals, 0).unwrap().is_empty());

    // One that does not fit does not take the others of its group with it.
    let (first, refused, second) = runtime.block_on(async {
        tokio::join!(log.append(signals(&["1"])), log.append(large()), log.append(signals(&["2"])))
    });
    assert!(first.is_ok() && second.is_ok() && matches!(refused, Err(LogError::Away(_))), "{refused:?}");

    let mut task = embedded.task("engine", Topic::Signals).unwrap();
    let puts = vec![(b"k".to_vec(), Some(vec![0; 1 << 20]))];
    let refused = task.commit(Commit { outputs: signals(&["never"]), puts, position: 2, sealed: false });
    assert!(matches!(refused, Err(LogError::Away(_))), "{refused:?}");
    task.commit(Commit { outputs: signals(&["3"]), position: 1, ..Commit::default() }).unwrap();

    let mut kept = 3;
    while runtime.block_on(log.append(vec![entry(Topic::Signals, "s", &"x".repeat(10_000))])).is_ok() {
        kept += 1;
        assert!(kept < 100, "64 pages of 4 KiB cannot hold a million bytes");
    }
    drop(task);
    embedded.close();

    let embedded = Embedded::open(dir.path()).unwrap();
    append(&embedded.log(), large());
    let records = all(&embedded.log(), Topic::Signals);
    assert_eq!(records.iter().map(|r| r.offset).collect::<Vec<_>>(), (0..kept + 2).collect::<Vec<_>>());
    assert_eq!(embedded.task("engine", Topic::Signals).unwrap().position(), 1);
}

#[test]
fn a_closed_log_answers_what_waits_and_takes_nothing_new() {
    let folder = Folder::fresh();
    let (log, mut task) = (folder.log(), folder.task("engine", Topic::Signals).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let answers: Vec<bool> = runtime.block_on(async {
        let appends: Vec<_> = (0..500)
            .map(|i| {
                let log = log.clone();
                tokio::spawn(async move { log.append(signals(&[&i.to_string()])).await })
            })
            .collect();
        let Folder { embedded, dir } = folder;
        tokio::task::spawn_blocking(move || embedded.close()).await.unwrap();
        let mut answers = Vec::new();
        for append in appends {
            answers.push(append.await.unwrap().is_ok());
        }
        let again = Embedded::open(dir.path()).unwrap();
        let kept = all(&again.log(), Topic::Signals).len();
        assert_eq!(answers.iter().filter(|ok| **ok).count(), kept, "what was answered is there, and nothing else");
        assert!(matches!(log.append(signals(&["late"])).await, Err(LogError::Away(_))));
        answers
    });
    assert_eq!(answers.len(), 500);
    assert!(matches!(task.commit(Commit::default()), Err(LogError::Away(_))));
}
