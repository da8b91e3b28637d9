//! A machine that gives few open files, and strangers that hold as many connections as they get.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use logystera_system::hostile::add_site;
use logystera_system::post::{Post, body, signal};
use logystera_system::process::{Up, free_port};
use logystera_system::wire::{get, now_ms};

/// Bytes that the log may grow by while the strangers are there.
const LOG_BYTES_MAX: u64 = 64 << 10;

#[test]
#[expect(clippy::disallowed_methods, reason = "a test waits for real processes")]
fn idle_connections_leave_open_files_for_senders_operators_and_the_folder() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let data = dir.path().join("data");
    let (port, admin_port) = (free_port(), free_port());
    let up = Up::start_with_handles(&data, port, admin_port, 1_024);
    assert!(up.output(&data).contains("few connections"), "it is told at start: {}", up.output(&data));
    // As many as this process may open too.
    let mut crowd: Vec<TcpStream> = (0..2_000).map_while(|_| TcpStream::connect(("127.0.0.1", port)).ok()).collect();
    crowd.truncate(crowd.len().saturating_sub(50));
    assert!(crowd.len() > 900, "only {} connections", crowd.len());

    let good = add_site(&data, "good");
    let now = now_ms();
    let since = Instant::now();
    let batch = Post::new(&good, "00000000000000aa.1", body(now, &signal(now - 1_000, "j")));
    assert_eq!(batch.send(port).status, 202);
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    assert_eq!(get(admin_port, "/health/ready").map(|answer| answer.status), Some(200));
    let open = std::fs::read_dir(format!("/proc/{}/fd", up.pid())).expect("a process has handles").count();
    assert!(open < 900, "{open} of 1,024 are open");
    std::thread::sleep(Duration::from_secs(2));
    let log = std::fs::metadata(data.with_extension("log")).expect("there is a log").len();
    assert!(log < LOG_BYTES_MAX, "{log} bytes of log");
    drop(crowd);
    up.stop();
}
