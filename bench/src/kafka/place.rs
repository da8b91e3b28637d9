//! An installation of its own on a broker: topics with a prefix, a folder with the settings, and its processes.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use logystera_infra::log::{Entry, Log};
use logystera_infra::secrets::random_bytes;
use logystera_kafka::{Kafka, KafkaConfig, KafkaLog};
use logystera_system::process::free_port;
use logystera_system::wire;

use super::process::{Process, listener};
use crate::BenchError;
use crate::clock::Stopwatch;
use crate::gateway::binary;

/// Where the broker is, and what the topics are like.
#[derive(Clone, Debug, clap::Args)]
pub struct Cluster {
    /// Address of a broker, `host:port`; one on this machine, whose CPU is to be seen.
    #[arg(long, default_value = "127.0.0.1:29092")]
    pub brokers: String,
    /// Partitions of topic `signals`.
    #[arg(long, default_value_t = 4)]
    pub partitions: u32,
    /// Partitions of the state's changelogs.
    #[arg(long, default_value_t = 64)]
    pub changelog_partitions: u32,
    /// Address of a node of the store, `host:port`; without one there is no store.
    #[arg(long)]
    pub cql: Option<String>,
}

/// The installation.
pub struct Place {
    folder: PathBuf,
    /// What stands before the names of its topics.
    pub prefix: String,
    /// Address of a broker.
    pub brokers: String,
    /// Partitions of topic `signals`.
    pub partitions: u32,
    /// Its log.
    pub log: KafkaLog,
    /// Where senders connect.
    pub port: u16,
    /// Id of the broker's process, where it is on this machine.
    pub broker: Option<String>,
    /// The clock of all that is measured here.
    pub clock: Stopwatch,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Place {
    /// Creates its topics and its settings: the defaults, but for one copy of everything and these partitions.
    pub fn new(cluster: &Cluster, rules: &str) -> Result<Self, BenchError> {
        let logystera = binary()?;
        if !Command::new(&logystera).args(["processor", "--help"]).output()?.status.success() {
            let what = format!("{} was built without Kafka: bench/run builds it with it", logystera.display());
            return Err(BenchError::Broken(what));
        }
        let prefix = format!("bench-{:08x}-", u32::from_be_bytes(random_bytes()));
        let folder = std::env::temp_dir().join(format!("logystera-{prefix}"));
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("rules.yaml"), rules)?;
        let (port, partitions, brokers) = (free_port(), cluster.partitions, &cluster.brokers);
        let mut settings = String::new();
        let _ = write!(
            settings,
            "audience = \"bench\"\npublic-url = \"http://127.0.0.1:{port}\"\nsecrets = \"{folder}/secrets\"\n\
             listen = \"127.0.0.1:{port}\"\nallow-private-addresses = true\n\
             [kafka]\nbrokers = \"{brokers}\"\nprefix = \"{prefix}\"\nsignals-partitions = {partitions}\n\
             changelog-partitions = {changelog}\nreplication = 1\n",
            changelog = cluster.changelog_partitions,
            folder = folder.display(),
        );
        if let Some(node) = &cluster.cql {
            let keyspace = prefix.replace('-', "_");
            let _ = write!(settings, "[store]\nnodes = \"{node}\"\nkeyspace = \"{keyspace}\"\nreplication = 1\n");
        }
        std::fs::write(folder.join("logystera.toml"), settings)?;
        // The settings' own defaults.
        let layout =
            KafkaConfig { detections_partitions: 4, signals_partitions: partitions, ..KafkaConfig::new(brokers) };
        let layout = KafkaConfig { changelog_partitions: cluster.changelog_partitions, ..layout };
        let kafka = Kafka::new(KafkaConfig { prefix: prefix.clone(), ..layout });
        kafka.create_topics(&[logystera_processor::task::APP, logystera_alerter::task::APP])?;
        let broker = brokers.rsplit(':').next().and_then(|port| port.parse().ok()).and_then(listener);
        let place = Self {
            folder,
            prefix,
            brokers: cluster.brokers.clone(),
            partitions,
            log: kafka.log()?,
            port,
            broker,
            clock: Stopwatch::start(),
        };
        let rules = place.path("rules.yaml").display().to_string();
        place.command(&["rules", "publish", &rules])?;
        Ok(place)
    }

    /// A file of its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Starts a process of a role; gives its operators' port too.
    pub fn start(&self, role: &str, instance: &str) -> Result<(Process, u16), BenchError> {
        let admin = free_port();
        let mut command = Command::new(binary()?);
        command
            .args([role, "--instance", instance, "--admin-listen", &format!("127.0.0.1:{admin}"), "--config"])
            .arg(self.path("logystera.toml"));
        Ok((Process::start(&mut command, self.clock)?, admin))
    }

    /// Starts the gateway and waits until it takes batches.
    pub fn gateway(&self) -> Result<Process, BenchError> {
        let (mut gateway, admin) = self.start("gateway", "g1")?;
        wait_until("the gateway is ready", 60.0, || {
            gateway.check()?;
            Ok(wire::get(admin, "/health/ready").is_some_and(|answer| answer.status == 200))
        })?;
        Ok(gateway)
    }

    /// Adds sites; their credentials go to the file that is given back, an object a line.
    pub fn add_sites(&self, sites: usize) -> Result<PathBuf, BenchError> {
        let mut credentials = Vec::new();
        for site in 0..sites {
            credentials.extend(self.command(&["site", "add", &format!("bench {site}"), "--json"])?);
        }
        let file = self.path("sites.ndjson");
        std::fs::write(&file, credentials)?;
        Ok(file)
    }

    /// Runs a command of the installation; gives what it printed.
    pub fn command(&self, args: &[&str]) -> Result<Vec<u8>, BenchError> {
        let done = Command::new(binary()?).args(args).arg("--config").arg(self.path("logystera.toml")).output()?;
        if done.status.success() {
            return Ok(done.stdout);
        }
        Err(BenchError::Broken(format!("{args:?}: {}", String::from_utf8_lossy(&done.stderr))))
    }

    /// Appends entries, all or none. Blocks.
    pub fn append(&self, entries: Vec<Entry>) -> Result<(), BenchError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(runtime.block_on(self.log.append(entries))?)
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Place {
    /// Its topics stay: a broker for benchmarks is started afresh.
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// Asks every few milliseconds, for so long.
pub fn wait_until(
    what: &str,
    patience_s: f64,
    mut done: impl FnMut() -> Result<bool, BenchError>,
) -> Result<(), BenchError> {
    let watch = Stopwatch::start();
    while watch.elapsed_s() < patience_s {
        if done()? {
            return Ok(());
        }
        sleep(Duration::from_millis(5));
    }
    Err(BenchError::Broken(format!("{what}: not within {patience_s:.0} s")))
}
