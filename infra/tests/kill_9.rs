//! A process that appends and commits is killed at random moments: every acknowledged append is there exactly once, nothing
//! is torn, and the task's outputs, state and position agree.
//!
//! The test starts itself as the process to kill. SIGKILL leaves the page cache alone: that a commit also survives a power
//! cut rests on `synchronous=FULL`, which a unit test holds.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use logystera_infra::embedded::Embedded;
use logystera_infra::log::{Commit, Entry, Log, Record, Task};
use logystera_infra::secrets::random_bytes;
use logystera_schemas::limits::READ_BYTES_MAX;
use logystera_schemas::topic::Topic;

const ROUNDS: usize = 25;
const WRITERS: usize = 4;
const CHILD: &str = "LOGYSTERA_TEST_KILL_9_DIR";
const TEST: &str = "every_acknowledged_append_survives_kill_9";

#[test]
fn every_acknowledged_append_survives_kill_9() {
    if let Some(dir) = std::env::var_os(CHILD) {
        child(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    for round in 0..ROUNDS {
        acknowledged.extend(run_and_kill(dir.path().as_os_str()));
        verify(dir.path(), &acknowledged, round);
    }
    assert!(acknowledged.len() > ROUNDS * WRITERS, "the processes did some work: {}", acknowledged.len());
}

/// Starts the process, kills it some moments after its first acknowledgement, and returns what it acknowledged.
fn run_and_kill(dir: &OsStr) -> Vec<String> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([TEST, "--exact", "--nocapture"]).env(CHILD, dir).stdout(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let mut acknowledged: Vec<String> = Vec::new();
    let pid = process.id();
    let mut process = Some(process);
    for line in lines.map_while(Result::ok) {
        // A line without its end may be cut: only whole ones count, and `ack` closes each.
        let Some(id) = line.strip_prefix("ack ").and_then(|l| l.strip_suffix(" ack")) else { continue };
        acknowledged.push(id.to_owned());
        if let Some(mut process) = process.take() {
            let [wait_ms] = random_bytes::<1>();
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(u64::from(wait_ms) / 3));
                process.kill().unwrap();
                process.wait().unwrap()
            });
        }
    }
    assert!(process.is_none(), "process {pid} ended by itself");
    acknowledged
}

/// Appends pairs from several threads and prints each one's id when it is acknowledged; a task counts them.
fn child(dir: &Path) -> ! {
    let embedded = Embedded::open(dir).unwrap();
    let run = u64::from_le_bytes(random_bytes());
    let mut task = embedded.task("count", Topic::Signals).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let log = embedded.log();
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                for i in 0.. {
                    let id = format!("{run:016x}.{writer}.{i}");
                    runtime.block_on(log.append(pair(&id))).unwrap();
                    println!("ack {id} ack");
                }
            });
        }
        scope.spawn(move || {
            let mut counted = 0_u64;
            task.restore(&mut |_, value| counted = u64::from_le_bytes(value.try_into().unwrap())).unwrap();
            loop {
                let records = task.read(Duration::from_secs(1)).unwrap();
                let Some(last) = records.last() else { continue };
                counted += records.len() as u64;
                let position = last.offset + 1;
                let outputs = records.iter().map(|r| entry(Topic::Detections, &r.value)).collect();
                let puts = vec![(b"counted".to_vec(), Some(counted.to_le_bytes().to_vec()))];
                task.commit(Commit { outputs, puts, position, sealed: false }).unwrap();
            }
        });
    });
    unreachable!("the threads never end by themselves")
}

fn pair(id: &str) -> Vec<Entry> {
    vec![entry(Topic::Signals, id.as_bytes()), entry(Topic::Attempts, id.as_bytes())]
}

fn entry(topic: Topic, value: &[u8]) -> Entry {
    Entry { topic, partition: 0, key: b"k".to_vec(), value: value.to_vec() }
}

fn values(log: &impl Log, topic: Topic) -> Vec<String> {
    let (mut records, mut next): (Vec<Record>, u64) = (Vec::new(), 0);
    loop {
        let more = log.read(topic, 0, next, READ_BYTES_MAX).unwrap();
        let Some(last) = more.last() else { break };
        next = last.offset + 1;
        records.extend(more);
    }
    records.into_iter().map(|r| String::from_utf8(r.value).unwrap()).collect()
}

fn verify(dir: &Path, acknowledged: &BTreeSet<String>, round: usize) {
    let embedded = Embedded::open(dir).unwrap();
    let log = embedded.log();
    let appended = values(&log, Topic::Signals);
    let unique: BTreeSet<String> = appended.iter().cloned().collect();
    assert_eq!(unique.len(), appended.len(), "round {round}: nothing is there twice");
    let lost: Vec<_> = acknowledged.difference(&unique).collect();
    assert!(lost.is_empty(), "round {round}: acknowledged and lost: {lost:?}");
    assert_eq!(values(&log, Topic::Attempts), appended, "round {round}: an append is there whole or not at all");

    let mut task = embedded.task("count", Topic::Signals).unwrap();
    let counted = values(&log, Topic::Detections);
    assert_eq!(counted, appended[..task.position() as usize], "round {round}: outputs and position agree");
    let mut state = 0;
    task.restore(&mut |_, value| state = u64::from_le_bytes(value.try_into().unwrap())).unwrap();
    assert_eq!(state, task.position(), "round {round}: state and position agree");
}
