//! `logystera send` as a process.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use serde_json::Value;

use crate::process::{PATIENCE, binary, json, wait_for};

/// A sender that runs. Dropped, it is killed.
pub struct Sending(Child);

impl Sending {
    /// Starts sending `input` with short waits.
    pub fn start(input: &Path, dsn: &Path, spool: &Path, more: &[&str]) -> Self {
        let child = Command::new(binary())
            .arg("send")
            .arg(input)
            .arg("--dsn-file")
            .arg(dsn)
            .arg("--spool")
            .arg(spool)
            .args(["--backoff-ms", "50", "--probe-ms", "200"])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        Self(child.expect("the binary can be started"))
    }

    /// Where a sender that follows reads.
    pub fn input(&mut self) -> std::process::ChildStdin {
        self.0.stdin.take().expect("standard input is a pipe, and is taken once")
    }

    /// Whether it runs.
    pub fn runs(&mut self) -> bool {
        self.0.try_wait().expect("a child can be asked").is_none()
    }

    /// Copies a folder that it writes to, as it is at one moment: it is stopped meanwhile, or a file would be gone between its
    /// listing and its turn.
    pub fn copy(&self, from: &Path, to: &Path) {
        let pid = Pid::from_child(&self.0);
        kill_process(pid, Signal::STOP).expect("a child can be stopped");
        // Said once all of its threads stand still.
        let status = waitpid(Some(pid), WaitOptions::UNTRACED).expect("a child can be waited for");
        assert!(status.is_some_and(|(_, status)| status.stopped()), "it ended");
        copy(from, to);
        kill_process(pid, Signal::CONT).expect("a child can go on");
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.0.kill().expect("a child can be killed");
        self.0.wait().expect("a child can be waited for");
    }

    /// Waits for its end; gives its exit code and, with `--json`, what it reported.
    pub fn finish(mut self) -> (i32, Value) {
        drop(self.0.stdin.take());
        let status = wait_for("the sender's end", PATIENCE, || self.0.try_wait().expect("a child can be asked"));
        let mut text = String::new();
        let mut output = self.0.stdout.take().expect("standard output is a pipe");
        output.read_to_string(&mut text).expect("UTF-8");
        (status.code().expect("not killed"), serde_json::from_str(&text).unwrap_or(Value::Null))
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A spool's state.
pub fn state(spool: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(spool.join("state.json")).ok()?).ok()
}

/// Waits until a sender that meets no gateway has cut its file; it still runs, and nothing got through.
pub fn first_failure_after_cut(spool: &Path, sending: &mut Sending) {
    wait_for("the file is cut", PATIENCE, || state(spool).filter(|s| s["input"]["cut"] == true));
    assert!(sending.runs());
    assert_eq!(state(spool).expect("a state")["done_seq"], 0);
}

/// Copies a folder that nobody writes to.
pub fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-r").arg(from).arg(to).status();
    assert!(copied.is_ok_and(|status| status.success()), "cp");
}

/// The signals in the log.
pub fn logged(data: &str) -> Vec<Value> {
    let lines = json(&["tail", "signals", "--data", data, "--from", "beginning", "--json"]);
    lines.into_iter().filter(|line| line["type"].is_string()).collect()
}
