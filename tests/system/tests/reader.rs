//! Another program that reads the data in one long transaction, as a backup that hangs does: the write-ahead log grows, whoever runs
//! it is told, nothing is lost, and what it took of the disk is given back when the reader ends.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use logystera_system::hostile::add_site;
use logystera_system::post::{Post, body};
use logystera_system::process::{PATIENCE, Up, free_port, wait_for};
use logystera_system::wire::{get, now_ms};

/// The bound (`LOG_WAL_BYTES_TOLD`).
const TOLD_BYTES: u64 = 64 << 20;

/// Begins a transaction, says so, and holds it until its input ends.
const READER: &str = "
import sqlite3, sys
data = sqlite3.connect(sys.argv[1], isolation_level=None)
data.execute('BEGIN')
print(data.execute('SELECT count(*) FROM log_signals').fetchone()[0], flush=True)
sys.stdin.read()
";

/// Counts the records that are as large as a batch of this test.
const COUNT: &str = "
import sqlite3, sys
data = sqlite3.connect('file:' + sys.argv[1] + '?mode=ro', uri=True)
print(data.execute('SELECT count(*) FROM log_signals WHERE length(value) > 100000').fetchone()[0])
";

/// Batches that are more than the bound together.
const BATCHES_MAX: u64 = 400;

/// Ended with the test.
struct Reader(Child);

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn read_on(file: &Path) -> Reader {
    let mut python = Command::new("python3");
    python.args(["-c", READER]).arg(file).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut reader = Reader(python.spawn().expect("Python is there"));
    let said = reader.0.stdout.take().expect("its output is ours");
    let mut line = String::new();
    BufReader::new(said).read_line(&mut line).expect("it says that it reads");
    assert!(!line.is_empty(), "it could not read");
    reader
}

fn count(file: &Path) -> u64 {
    let counted = Command::new("python3").args(["-c", COUNT]).arg(file).output().expect("Python is there");
    let said = String::from_utf8_lossy(&counted.stdout);
    said.trim().parse().expect("a number")
}

/// Half a megabyte of signals.
fn large(n: u64) -> Vec<u8> {
    let now = now_ms();
    let (path, agent) = ("p".repeat(240), "a".repeat(250));
    let signal = |i: i64| {
        format!(
            r#"{{"type":"http.request","at":{},"method":"GET","path":"/{n}-{i}-{path}","status":200,"route_group":"public","user_agent":"{agent}"}}"#,
            now - 1_000 + i
        )
    };
    body(now, &(0..1_000).map(signal).collect::<Vec<_>>().join(","))
}

#[test]
fn a_reader_that_stays_is_told_of_costs_nothing_that_was_acknowledged_and_gives_the_disk_back() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let data = dir.path().join("data");
    let (port, admin_port) = (free_port(), free_port());
    let up = Up::start(&data, port, admin_port, &[]);
    let by = add_site(&data, "shop");
    let (file, wal) = (data.join("logystera.sqlite"), data.join("logystera.sqlite-wal"));
    let wal_bytes = || std::fs::metadata(&wal).map_or(0, |found| found.len());
    let metric = || {
        let text = get(admin_port, "/metrics")?.body;
        let line = text.lines().find(|line| line.starts_with("logystera_log_wal_bytes "))?;
        line.rsplit(' ').next()?.parse::<f64>().ok().map(|bytes| bytes as u64)
    };
    let mut sent = 0;
    let mut post_one = || {
        sent += 1;
        let answer = Post::new(&by, format!("00000000000000aa.{sent}"), large(sent)).send(port);
        assert_eq!(answer.status, 202, "{}", answer.body);
        sent
    };
    // What comes while nobody reads is folded into the file.
    for _ in 0..60 {
        post_one();
    }
    assert!(wal_bytes() < TOLD_BYTES, "{}", wal_bytes());
    assert!(!up.output(&data).contains("the write-ahead log grows"));

    let reader = read_on(&file);
    while wal_bytes() < TOLD_BYTES {
        assert!(post_one() < BATCHES_MAX, "{} bytes", wal_bytes());
    }
    wait_for("the metric says so", PATIENCE, || metric().filter(|bytes| *bytes >= TOLD_BYTES));
    wait_for("the log says so", PATIENCE, || up.output(&data).contains("the write-ahead log grows").then_some(()));
    post_one();
    up.kill();
    let up = Up::start(&data, port, admin_port, &[]);
    let all = post_one();
    assert_eq!(count(&file), all, "all that was acknowledged is there");

    drop(reader);
    wait_for("the disk has it back", PATIENCE, || (wal_bytes() < TOLD_BYTES / 2).then_some(()));
    wait_for("the metric says so", PATIENCE, || metric().filter(|bytes| *bytes < TOLD_BYTES / 2));
    assert_eq!(count(&file), all, "and all is there still");
    up.stop();
    assert_eq!(count(&file), all, "and when it has ended");
}
