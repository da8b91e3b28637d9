//! Standard output and error that cannot be written: the installation serves on.

use std::fs::File;
use std::io::pipe;
use std::process::{Command, Stdio};

use logystera_system::hostile::add_site;
use logystera_system::post::{Post, body, signal};
use logystera_system::process::{Up, binary, free_port};
use logystera_system::wire::{get, now_ms};

fn full() -> Stdio {
    File::options().write(true).open("/dev/full").expect("Linux has it").into()
}

fn closed_pipe() -> Stdio {
    let (reader, writer) = pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

#[test]
fn up_serves_on_when_nothing_can_be_written() {
    for (name, output) in [("full", full as fn() -> Stdio), ("closed pipe", closed_pipe)] {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let data = dir.path().join("data");
        let (port, admin_port) = (free_port(), free_port());
        // Each request is logged too.
        let more = ["--log", "debug"];
        let up = Up::start_with(Command::new(binary()), &data, [port, admin_port], &more, [output(), output()]);
        let credentials = add_site(&data, "shop");
        let now = now_ms();
        let batch = Post::new(&credentials, "00000000000000aa.1", body(now, &signal(now - 1_000, "j")));
        assert_eq!(batch.send(port).status, 202, "{name}");
        let metrics = get(admin_port, "/metrics").expect("an answer").body;
        let lost = metrics.lines().find_map(|l| l.strip_prefix("logystera_log_lines_lost_total ")?.parse::<u64>().ok());
        assert!(lost.is_some_and(|lost| lost > 0), "{name}: lost lines are counted");
        up.stop();
    }
}

#[test]
fn a_command_whose_output_is_lost_is_not_aborted() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let nowhere = dir.path().join("nowhere");
    let data = nowhere.to_str().expect("UTF-8");
    let commands = [
        &["site", "list", "--data", data][..],
        &["tail", "signals", "--data", data],
        &["send", data, "--dsn-file", data],
        &["sign", "--no-such-flag"],
        &["--help"],
    ];
    for (args, output) in commands.iter().flat_map(|args| [(args, full()), (args, closed_pipe())]) {
        let (out, err) = (output, full());
        let ended = Command::new(binary()).args(*args).stdout(out).stderr(err).status().expect("it starts");
        let code = ended.code().unwrap_or_else(|| unreachable!("{args:?} was ended by a signal: {ended}"));
        // 101 is a panic's.
        assert!(code <= 3, "{args:?} ended with {code}");
    }
}
