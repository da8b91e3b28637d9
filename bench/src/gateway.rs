//! The gateway under load: the real `logystera up`, measured from outside.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use logystera_system::process::free_port;
use logystera_system::wire;

use crate::load::{LoadReport, OURS, Plan};
use crate::{BenchError, cpu};

/// Names of the threads that are not the gateway's: the engine's and the alerter's. The log's writer serves all; it is
/// counted as the gateway's, which nearly all of its bytes come from.
const OTHER_ROLES: [&str; 2] = ["processor", "alerter"];

/// What to run.
#[derive(Clone, Debug)]
pub struct GatewayRun {
    /// Batches of 100 signals.
    pub requests: usize,
    /// Keep-alive connections.
    pub connections: usize,
    /// Sites, each with its key.
    pub sites: usize,
    /// Whether the engine has the default pack to judge by, or one rule that none of the signals concerns.
    pub judged: bool,
}

/// A rule that W1's signals do not concern: the engine then only reads them and keeps its place.
pub const IDLE_RULES: &str = "\
format: 1
rules:
- name: idle
  title: Nothing here
  severity: info
  subsystem: files
  signal: file.edit
  threshold: {count: 5, within: 5m}
  message: \"{count} files were edited on {site}\"
";

/// What came of it.
#[derive(Debug)]
pub struct GatewayFigures {
    /// What the senders saw.
    pub load: LoadReport,
    /// CPU seconds of the whole process while the load ran, and until the engine had judged all of it.
    pub process_cpu_s: f64,
    /// The same by the names of threads.
    pub thread_cpu_s: BTreeMap<String, f64>,
    /// Resident memory at the end, bytes.
    pub resident_bytes: u64,
    /// The log's commits.
    pub commits: Commits,
}

/// Where the time of an append goes, from the process's own metrics.
#[derive(Clone, Copy, Debug)]
pub struct Commits {
    /// How many.
    pub count: f64,
    /// Mean time of one, fsync included, milliseconds.
    pub mean_ms: f64,
    /// Appends and task commits that one served.
    pub requests_mean: f64,
}

impl Commits {
    fn scrape(admin_port: u16) -> Result<Self, BenchError> {
        let answer = wire::get(admin_port, "/metrics").ok_or_else(|| BenchError::Broken("no metrics".to_owned()))?;
        let value = |name: &str| {
            let line = answer.body.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' '));
            line.and_then(|v| v.trim().parse::<f64>().ok()).unwrap_or(f64::NAN)
        };
        let count = value("logystera_log_commit_seconds_count");
        Ok(Self {
            count,
            mean_ms: value("logystera_log_commit_seconds_sum") / count * 1e3,
            requests_mean: value("logystera_log_commit_requests_sum") / count,
        })
    }
}

impl GatewayFigures {
    /// CPU seconds for a million signals of the process without its engine and its alerter.
    pub fn gateway_cpu_s_per_million(&self) -> f64 {
        let others = self.thread_cpu_s.iter().filter(|(name, _)| OTHER_ROLES.contains(&name.as_str()));
        (self.process_cpu_s - others.map(|(_, s)| s).sum::<f64>()) / self.load.signals as f64 * 1e6
    }

    /// CPU seconds for a million signals of the whole process.
    pub fn whole_cpu_s_per_million(&self) -> f64 {
        self.process_cpu_s / self.load.signals as f64 * 1e6
    }
}

/// A process that ends with its handle.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Path of the binary `logystera`, beside this one.
pub fn binary() -> Result<PathBuf, BenchError> {
    let path = std::env::current_exe()?.with_file_name("logystera");
    if path.exists() { Ok(path) } else { Err(BenchError::Broken(format!("{} is not built", path.display()))) }
}

/// Starts `up` on a folder of its own, adds the sites, sends the load, and waits until the engine has judged it.
pub fn run(run: &GatewayRun) -> Result<GatewayFigures, BenchError> {
    in_folder(|folder| run_in(folder, run))
}

/// Gives `act` a new folder, which goes afterwards.
pub fn in_folder<T>(act: impl FnOnce(&Path) -> Result<T, BenchError>) -> Result<T, BenchError> {
    let folder = std::env::temp_dir().join(format!("logystera-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let done = act(&folder);
    std::fs::remove_dir_all(&folder)?;
    done
}

/// `logystera up` on a folder of its own; it ends with its handle.
pub struct Up {
    process: Running,
    /// Where it takes batches.
    pub port: u16,
    /// Where its health and metrics are.
    pub admin: u16,
    /// Its sites, an object of `site add --json` a line.
    pub credentials: PathBuf,
}

impl Up {
    /// Starts it in `folder`, with [`IDLE_RULES`] or the default pack, and adds sites.
    pub fn start(folder: &Path, sites: usize, judged: bool) -> Result<Self, BenchError> {
        let (port, admin) = (free_port(), free_port());
        let data = folder.join("data");
        let log = std::fs::File::create(folder.join("up.log"))?;
        let rules = folder.join("rules.yaml");
        std::fs::write(&rules, IDLE_RULES)?;
        let rules: &[&OsStr] = if judged { &[] } else { &[OsStr::new("--rules"), rules.as_os_str()] };
        let up = Command::new(binary()?)
            .arg("up")
            .args(rules)
            .arg("--data")
            .arg(&data)
            .args(["--listen", &format!("127.0.0.1:{port}"), "--admin-listen", &format!("127.0.0.1:{admin}")])
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let up = Self { process: Running(up), port, admin, credentials: folder.join("sites.ndjson") };
        wait_until("up is ready", || Ok(wire::get(admin, "/health/ready").is_some_and(|a| a.status == 200)))?;
        add_sites(&data, sites, &up.credentials)?;
        Ok(up)
    }

    /// Its process.
    pub fn pid(&self) -> String {
        self.process.0.id().to_string()
    }
}

fn run_in(folder: &Path, run: &GatewayRun) -> Result<GatewayFigures, BenchError> {
    let up = Up::start(folder, run.sites, run.judged)?;
    let pid = up.pid();
    let plan = Plan { requests: run.requests, connections: run.connections, rate: None, path: OURS.to_owned() };
    let loading = Loading::start(up.port, &up.credentials, &plan)?;
    let before = Sample::take(&pid)?;
    let (report, _) = loading.go()?;
    settle(&pid)?;
    let after = Sample::take(&pid)?;
    Ok(GatewayFigures {
        load: report,
        process_cpu_s: after.process_s - before.process_s,
        thread_cpu_s: after.since(&before),
        resident_bytes: cpu::resident_bytes(&pid)?,
        commits: Commits::scrape(up.admin)?,
    })
}

/// The load generator, a process of its own, ready to send.
pub struct Loading {
    child: Running,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Loading {
    /// Has it prepare its requests.
    pub fn start(port: u16, credentials: &Path, plan: &Plan) -> Result<Self, BenchError> {
        let mut child = Running(
            Command::new(std::env::current_exe()?)
                .args(["load", "--port", &port.to_string(), "--requests", &plan.requests.to_string()])
                .args(["--connections", &plan.connections.to_string(), "--path", &plan.path])
                .args(plan.rate.map(|rate| format!("--rate={rate}")))
                .arg("--credentials")
                .arg(credentials)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()?,
        );
        let mut lines = BufReader::new(child.0.stdout.take().ok_or(std::io::Error::other("no output"))?).lines();
        lines.next().transpose()?;
        Ok(Self { child, lines })
    }

    /// Has it send; what it saw, and its CPU seconds meanwhile, to the answers.
    pub fn go(mut self) -> Result<(LoadReport, f64), BenchError> {
        let pid = self.child.0.id().to_string();
        let before_s = cpu::process_cpu_s(&pid)?;
        let mut go = self.child.0.stdin.take().ok_or(std::io::Error::other("no input"))?;
        go.write_all(b"go\n")?;
        let line = self.lines.next().transpose()?.unwrap_or_default();
        let report = serde_json::from_str(&line)
            .map_err(|e| BenchError::Broken(format!("the load generator said {line:?}: {e}")))?;
        Ok((report, cpu::process_cpu_s(&pid).unwrap_or(before_s) - before_s))
    }
}

fn add_sites(data: &Path, sites: usize, credentials: &Path) -> Result<(), BenchError> {
    let mut file = std::fs::File::create(credentials)?;
    for site in 0..sites {
        let added = Command::new(binary()?)
            .args(["site", "add", &format!("bench {site}"), "--json", "--data"])
            .arg(data)
            .output()?;
        if !added.status.success() {
            return Err(BenchError::Broken(String::from_utf8_lossy(&added.stderr).into_owned()));
        }
        file.write_all(&added.stdout)?;
    }
    Ok(())
}

fn wait_until(what: &str, mut done: impl FnMut() -> Result<bool, BenchError>) -> Result<(), BenchError> {
    for _ in 0..6_000 {
        if done()? {
            return Ok(());
        }
        sleep(Duration::from_millis(10));
    }
    Err(BenchError::Broken(format!("{what}: not within a minute")))
}

/// Waits until the process is idle: whatever it had to do after the last answer is done and counted.
pub fn settle(pid: &str) -> Result<(), BenchError> {
    let mut last = cpu::process_cpu_s(pid)?;
    wait_until("the process comes to rest", || {
        sleep(Duration::from_millis(500));
        let now = cpu::process_cpu_s(pid)?;
        let idle = now - last < 0.05;
        last = now;
        Ok(idle)
    })
}

struct Sample {
    process_s: f64,
    threads: BTreeMap<String, f64>,
}

impl Sample {
    fn take(pid: &str) -> Result<Self, BenchError> {
        Ok(Self { process_s: cpu::process_cpu_s(pid)?, threads: cpu::thread_cpu_s(pid)? })
    }

    fn since(&self, before: &Self) -> BTreeMap<String, f64> {
        let spent = |(name, s): (&String, &f64)| (name.clone(), s - before.threads.get(name).copied().unwrap_or(0.0));
        self.threads.iter().map(spent).collect()
    }
}
