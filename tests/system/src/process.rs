//! Processes of the real binary.

use std::io::Read;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{OnceLock, mpsc};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use crate::wire;

/// How long anything may take that a user would wait for.
pub const PATIENCE: Duration = Duration::from_mins(1);
/// How long a command may take that a test waits for.
pub const COMMAND_PATIENCE: Duration = Duration::from_mins(3);

/// Path of the binary: that which `LOGYSTERA` names, or one that is built from this tree.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(built) = std::env::var_os("LOGYSTERA") {
            return built.into();
        }
        let built = Command::new(env!("CARGO")).args(["build", "--quiet", "-p", "logystera"]).status();
        assert!(built.is_ok_and(|status| status.success()), "the binary can't be built");
        let test = std::env::current_exe().expect("a test knows its own path");
        let folder = test.ancestors().nth(2).expect("tests lie two folders below the binaries");
        folder.join("logystera")
    })
}

/// Runs a command to its end.
pub fn run(args: &[&str]) -> Output {
    output(Command::new(binary()).args(args))
}

/// Runs a command to its end, or ends it after [`COMMAND_PATIENCE`]: one that waits for ever fails its test, and does not hold up
/// all that would come after it.
pub fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // With whatever it starts.
    let child = command.process_group(0).spawn().expect("the command can be started");
    let group = format!("-{}", child.id());
    let (ended, end) = mpsc::sync_channel::<()>(1);
    let watchdog = thread::spawn(move || {
        let is_late = end.recv_timeout(COMMAND_PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout);
        if is_late {
            let _ = Command::new("kill").args(["-9", "--", &group]).status();
        }
        is_late
    });
    let output = child.wait_with_output().expect("the command was started");
    drop(ended);
    assert!(!watchdog.join().expect("it waits and kills"), "not within {COMMAND_PATIENCE:?}: {command:?}");
    output
}

/// Runs a command that must succeed; gives its standard output.
pub fn ok(args: &[&str]) -> String {
    let output = run(args);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "logystera {}: {}\n{out}{err}", args.join(" "), output.status);
    out.into_owned()
}

/// Runs a command that must succeed and prints JSON, an object a line.
pub fn json(args: &[&str]) -> Vec<serde_json::Value> {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{}: {e}: {line}", args.join(" ")));
    ok(args).lines().map(parse).collect()
}

/// A port that nothing listens on.
pub fn free_port() -> u16 {
    let probe = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
    probe.expect("loopback has free ports").port()
}

/// Waits until `done` gives something; panics with `what` when it takes too long.
#[expect(clippy::disallowed_methods, reason = "a test waits for real processes")]
pub fn wait_for<T>(what: &str, patience: Duration, mut done: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = done() {
            return value;
        }
        assert!(start.elapsed() < patience, "{what}: not within {patience:?}");
        sleep(Duration::from_millis(10));
    }
}

/// A running `logystera up`. Dropped, it is killed.
pub struct Up {
    child: Child,
    /// Where batches go.
    pub port: u16,
    /// Where health and metrics are.
    pub admin_port: u16,
}

impl Up {
    /// Starts `up` on a folder and waits until it is ready. Its output goes to `up.log` beside the folder.
    pub fn start(data: &Path, port: u16, admin_port: u16, more: &[&str]) -> Self {
        let log = std::fs::File::options().create(true).append(true).open(data.with_extension("log"));
        let log = log.expect("the log file can be opened");
        let stdout = log.try_clone().expect("a file handle can be cloned");
        Self::start_with(Command::new(binary()), data, [port, admin_port], more, [stdout.into(), log.into()])
    }

    /// Starts it with so many open files at most, and waits until it is ready.
    pub fn start_with_handles(data: &Path, port: u16, admin_port: u16, handles: u32) -> Self {
        let log = std::fs::File::create(data.with_extension("log")).expect("the log file can be opened");
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -n {handles} && exec \"$0\" \"$@\"")]).arg(binary());
        Self::start_with(shell, data, [port, admin_port], &[], [Stdio::null(), log.into()])
    }

    /// Starts `up` by this command, with this as its standard output and error, and waits until it is ready.
    pub fn start_with(
        mut command: Command,
        data: &Path,
        [port, admin_port]: [u16; 2],
        more: &[&str],
        [stdout, stderr]: [Stdio; 2],
    ) -> Self {
        let child = command
            .args(["up", "--data"])
            .arg(data)
            .args(["--listen", &format!("127.0.0.1:{port}"), "--admin-listen", &format!("127.0.0.1:{admin_port}")])
            .args(more)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .expect("the binary can be started");
        let mut up = Self { child, port, admin_port };
        wait_for("up is ready", PATIENCE, || {
            if let Ok(Some(status)) = up.child.try_wait() {
                panic!("up ended: {status}\n{}", up.output(data));
            }
            wire::get(admin_port, "/health/ready").filter(|answer| answer.status == 200)
        });
        up
    }

    /// What it printed so far, with all runs on this folder before.
    pub fn output(&self, data: &Path) -> String {
        let mut text = String::new();
        // Where it was given another output there is none.
        let _ = std::fs::File::open(data.with_extension("log")).and_then(|mut f| f.read_to_string(&mut text));
        text
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    /// Asks it to stop, waits, and checks that it ended well.
    pub fn stop(mut self) {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        assert!(asked.is_ok_and(|status| status.success()), "kill");
        let status = wait_for("up stops", PATIENCE, || self.child.try_wait().expect("a child can be waited for"));
        assert!(status.success(), "up ended with {status}");
    }

    /// Whether a thread of it is in a system call of one of these numbers right now.
    pub fn is_in(&self, calls: &[u32]) -> bool {
        let Ok(tasks) = std::fs::read_dir(format!("/proc/{}/task", self.child.id())) else { return false };
        tasks.flatten().any(|task| {
            let call = std::fs::read_to_string(task.path().join("syscall")).unwrap_or_default();
            call.split(' ').next().and_then(|n| n.parse().ok()).is_some_and(|n: u32| calls.contains(&n))
        })
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
