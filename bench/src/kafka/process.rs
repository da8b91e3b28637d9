//! A process of a role, watched from outside: what it says and when, what it used; and the machine beside it.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

use crate::clock::Stopwatch;
use crate::{BenchError, cpu};

/// How often a process that ends is looked at.
const STEP: Duration = Duration::from_millis(5);
/// How long one may take to end in order.
const END_S: f64 = 60.0;

/// A line of a process's log, and when it came.
#[derive(Clone, Debug)]
pub struct Line {
    /// Seconds on the run's clock.
    pub at_s: f64,
    /// What it says.
    pub text: String,
}

impl Line {
    /// A number that the line names.
    pub fn field(&self, name: &str) -> Option<String> {
        let rest = self.text.split(&format!("{name}=")).nth(1)?;
        Some(rest.chars().take_while(char::is_ascii_digit).collect())
    }
}

/// A process that runs. Dropped, it is killed.
pub struct Process {
    child: Child,
    lines: Arc<Mutex<Vec<Line>>>,
    reader: Option<JoinHandle<()>>,
    peak_bytes: u64,
    /// When it was started.
    pub started_s: f64,
}

/// What a process used until its end, as it was found when it had ended and not yet been forgotten.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    /// User and system time, seconds.
    pub cpu_s: f64,
    /// Peak of its resident memory, bytes.
    pub peak_bytes: u64,
}

impl Process {
    /// Starts a command; times are `clock`'s.
    pub fn start(command: &mut Command, clock: Stopwatch) -> Result<Self, BenchError> {
        let started_s = clock.elapsed_s();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let lines = Arc::new(Mutex::new(Vec::new()));
        let said = child.stderr.take().ok_or_else(|| std::io::Error::other("no standard error"))?;
        let into = Arc::clone(&lines);
        let reader = std::thread::spawn(move || {
            for text in BufReader::new(said).lines().map_while(Result::ok) {
                let line = Line { at_s: clock.elapsed_s(), text };
                into.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        Ok(Self { child, lines, reader: Some(reader), peak_bytes: 0, started_s })
    }

    /// Its id.
    pub fn pid(&self) -> String {
        self.child.id().to_string()
    }

    /// What it said that holds `what`.
    pub fn said(&self, what: &str) -> Vec<Line> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().filter(|line| line.text.contains(what)).cloned().collect()
    }

    /// An error with what it said last, where it has ended.
    pub fn check(&mut self) -> Result<(), BenchError> {
        let Some(status) = self.child.try_wait()? else { return Ok(()) };
        let said = self.said("");
        let last: Vec<_> = said.iter().rev().take(10).rev().map(|line| line.text.as_str()).collect();
        Err(BenchError::Broken(format!("the process ended: {status}\n{}", last.join("\n"))))
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) -> Result<(), BenchError> {
        let done = Command::new("kill").args([OsStr::new("-s"), OsStr::new(name), OsStr::new(&self.pid())]).status()?;
        if done.success() { Ok(()) } else { Err(BenchError::Broken(format!("kill -s {name}: {done}"))) }
    }

    /// Peak of its resident memory until now.
    pub fn peak_bytes(&mut self) -> u64 {
        let peak = cpu::peak_bytes(&self.pid()).unwrap_or(0);
        self.peak_bytes = self.peak_bytes.max(peak);
        self.peak_bytes
    }

    /// Ends it in order; what it used, its start and its end included.
    pub fn end(mut self) -> Result<Used, BenchError> {
        self.signal("TERM")?;
        let watch = Stopwatch::start();
        while !is_zombie(&self.pid())? {
            self.peak_bytes();
            if watch.elapsed_s() > END_S {
                return Err(BenchError::Broken("the process does not end".to_owned()));
            }
            sleep(STEP);
        }
        Ok(Used { cpu_s: cpu::process_cpu_s(&self.pid())?, peak_bytes: self.peak_bytes })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            drop(reader.join());
        }
    }
}

fn is_zombie(pid: &str) -> Result<bool, BenchError> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    Ok(stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')))
}

/// The process that listens on `port` of this machine; none where it is another machine's, or may not be looked at.
pub fn listener(port: u16) -> Option<String> {
    let mut inode = None;
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        for line in fs::read_to_string(table).unwrap_or_default().lines().skip(1) {
            let fields: Vec<_> = line.split_whitespace().collect();
            // proc(5): local address, state (0A: listening), inode.
            let [local, state] = [fields.get(1)?, fields.get(3)?];
            if *state == "0A" && local.ends_with(&format!(":{port:04X}")) {
                inode = fields.get(9).map(|inode| format!("socket:[{inode}]"));
            }
        }
    }
    let inode = inode?;
    let processes = fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    processes.filter(|name| name.bytes().all(|b| b.is_ascii_digit())).find(|pid| {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        open.filter_map(|fd| fs::read_link(fd.path()).ok()).any(|to| to.to_string_lossy() == inode)
    })
}

/// CPU seconds until now: of the broker, and of everything on the machine.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// The broker's; none where it cannot be seen.
    pub broker_s: Option<f64>,
    /// Everything's.
    pub all_s: f64,
}

impl Machine {
    /// Now.
    pub fn now(broker: Option<&str>) -> Result<Self, BenchError> {
        let broker_s = broker.map(cpu::process_cpu_s).transpose()?;
        Ok(Self { broker_s, all_s: cpu::machine_cpu_s()? })
    }

    /// What was used since `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        let broker_s = self.broker_s.zip(before.broker_s).map(|(now, then)| now - then);
        Self { broker_s, all_s: self.all_s - before.all_s }
    }
}
