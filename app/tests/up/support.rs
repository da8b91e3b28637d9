//! The real binary on a folder of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use logystera_system::process::output;
use serde_json::Value;

/// What `up` says last when it is ready.
pub(crate) const READY: &str = "Watch:";

/// How long anything may take that a user would wait for: other tests want the machine too.
/// The demo misbehaves after half a minute, and its alert waits for others for another.
const PATIENCE: Duration = Duration::from_mins(2);

/// A data folder and the files beside it.
pub(crate) struct Folder {
    dir: tempfile::TempDir,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_logystera"));
        command.args(args).current_dir(self.dir.path()).env("LOGYSTERA_DATA", self.data()).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        output(&mut self.command(args))
    }

    /// Runs a line of shell beside the folder.
    pub(crate) fn shell(&self, script: &str) -> Output {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).current_dir(self.dir.path()).env("LOGYSTERA_DATA", self.data()).stdin(Stdio::null());
        output(&mut shell)
    }

    /// What every `up` on this folder has logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("up.log")).unwrap()
    }

    /// Runs a command that must end with `code`; gives its standard output, or its standard error where that is empty.
    pub(crate) fn expect(&self, code: i32, args: &[&str]) -> String {
        let output = self.run(args);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "logystera {}:\n{out}{err}", args.join(" "));
        if out.is_empty() { err.into_owned() } else { out.into_owned() }
    }

    /// Runs a command that must succeed and prints JSON, an object a line.
    pub(crate) fn json(&self, args: &[&str]) -> Vec<Value> {
        let out = self.expect(0, &[args, &["--json"]].concat());
        out.lines().filter(|l| l.starts_with('{')).map(|l| serde_json::from_str(l).unwrap()).collect()
    }

    /// Starts `up` on free ports and reads what it says until `ready` stands there.
    pub(crate) fn up(&self, args: &[&str], ready: &str) -> Up {
        let free = ["up", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
        let log = std::fs::File::options().append(true).create(true).open(self.path("up.log")).unwrap();
        let mut command = self.command(&[&free, args].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut said = String::new();
        while !said.contains(ready) {
            let read = lines.read_line(&mut said).unwrap();
            assert!(read > 0, "up ended before it said {ready:?}:\n{said}");
        }
        Up { child, said, _lines: lines }
    }

    /// Tries until `done` gives something.
    pub(crate) fn wait_for<T>(&self, what: &str, done: impl Fn(&Self) -> Option<T>) -> T {
        for _ in 0..PATIENCE.as_millis() / 50 {
            if let Some(value) = done(self) {
                return value;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{what}: not within {PATIENCE:?}")
    }
}

/// A running `up`. Dropped, it is killed.
pub(crate) struct Up {
    child: Child,
    /// What it said on standard output until it was ready.
    pub(crate) said: String,
    /// Kept open, so that it can go on speaking.
    _lines: BufReader<ChildStdout>,
}

impl Up {
    /// The word after `label` in what it said.
    pub(crate) fn word_after(&self, label: &str) -> String {
        let rest = self.said.split_once(label).unwrap_or_else(|| panic!("no {label:?} in {}", self.said)).1;
        rest.split([' ', ',', '\n', '/']).find(|w| !w.is_empty() && *w != "http:").unwrap().to_owned()
    }

    /// Sends it a signal, such as `HUP`.
    pub(crate) fn signal(&self, name: &str) {
        assert!(
            Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap().success()
        );
    }

    /// Asks it to stop, and checks that it ended well.
    pub(crate) fn stop(mut self) {
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Milliseconds since the epoch.
pub(crate) fn now_ms() -> i64 {
    use logystera_infra::clock::{Clock, SystemClock};
    SystemClock::new().wall_ms()
}

/// Writes `count` signals of failed mails, a second apart, the last one now.
pub(crate) fn failed_mails(path: &Path, count: i64) {
    let signal = |i| {
        let at = now_ms() - (count - 1 - i) * 1_000;
        format!("{{\"type\":\"mail.outcome\",\"at\":{at},\"outcome\":\"failed\",\"transport\":\"smtp\"}}\n")
    };
    std::fs::write(path, (0..count).map(signal).collect::<String>()).unwrap();
}
