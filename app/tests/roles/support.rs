//! An installation of its own, its processes, and what stands in its topics.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Lines};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use logystera_infra::directory::DirectoryWatch;
use logystera_infra::log::{Entry, Log, Record};
use logystera_infra::secrets::random_bytes;
use logystera_kafka::{Kafka, KafkaConfig, KafkaLog, Layouts};
use logystera_schemas::limits::READ_BYTES_MAX;
use logystera_schemas::partition::PartitionRef;
use logystera_schemas::topic::{SignalsRecord, Topic};
use logystera_system::process::{PATIENCE, free_port, output, wait_for};
use logystera_system::{services, wire};

const BINARY: &str = env!("CARGO_BIN_EXE_logystera");

/// How much of each process's log a failed test shows.
const SHOWN_LINES: usize = 40;

static ALONE: Mutex<()> = Mutex::new(());

/// Topics with a prefix of their own, and a folder.
pub(crate) struct Installation {
    folder: tempfile::TempDir,
    /// One at a time: a test may disturb the servers.
    _alone: MutexGuard<'static, ()>,
    log: KafkaLog,
    kafka: Kafka,
    pub(crate) port: u16,
    admin_port: u16,
}

impl Installation {
    /// With these rules, or the default pack. None: no broker was named.
    pub(crate) fn new(partitions: u32, rules: Option<&str>) -> Option<Self> {
        let brokers = services::kafka()?;
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let prefix = format!("roles-{:08x}-", u32::from_be_bytes(random_bytes()));
        let (port, admin_port) = (free_port(), free_port());
        let folder = tempfile::tempdir().unwrap();
        let mut settings = String::new();
        write!(
            settings,
            "audience = \"test\"\npublic-url = \"http://127.0.0.1:{port}\"\nsecrets = \"{}\"\n\
             listen = \"127.0.0.1:{port}\"\nallow-private-addresses = true\n\
             [kafka]\nbrokers = \"{brokers}\"\nprefix = \"{prefix}\"\nsignals-partitions = {partitions}\n\
             detections-partitions = 1\nchangelog-partitions = 4\nreplication = 1\n",
            folder.path().join("secrets").display(),
        )
        .unwrap();
        if let Some(node) = services::cql() {
            let keyspace = prefix.replace('-', "_");
            write!(settings, "[store]\nnodes = \"{node}\"\nkeyspace = \"{keyspace}\"\nreplication = 1\n").unwrap();
        }
        std::fs::write(folder.path().join("logystera.toml"), settings).unwrap();
        let layout = KafkaConfig::new(&brokers);
        let kafka =
            Kafka::new(KafkaConfig { prefix, signals_partitions: partitions, detections_partitions: 1, ..layout });
        let place = Self { folder, _alone: alone, log: kafka.log().unwrap(), kafka, port, admin_port };
        if let Some(rules) = rules {
            std::fs::write(place.path("rules.yaml"), rules).unwrap();
            place.ok(&["rules", "publish", "rules.yaml", "--config", "logystera.toml"]);
        }
        Some(place)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts a process of a role; a gateway at the ports of the settings.
    pub(crate) fn start(&self, role: &str, instance: &str) -> Role {
        self.launch(role, instance, [self.port, if role == "gateway" { self.admin_port } else { free_port() }], &[])
    }

    /// Starts one more process, with ports and an environment of its own.
    pub(crate) fn start_with(&self, role: &str, instance: &str, environment: &[(&str, String)]) -> Role {
        self.launch(role, instance, [free_port(), free_port()], environment)
    }

    fn launch(&self, role: &str, instance: &str, ports: [u16; 2], environment: &[(&str, String)]) -> Role {
        let [port, admin_port] = ports;
        let log = File::options().create(true).append(true).open(self.path(&format!("{role}-{instance}.log"))).unwrap();
        let child = Command::new(BINARY)
            .args([role, "--instance", instance, "--admin-listen", &format!("127.0.0.1:{admin_port}")])
            .args(["--listen", &format!("127.0.0.1:{port}"), "--config"])
            .arg(self.path("logystera.toml"))
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        Role { child: child.unwrap(), port, admin_port }
    }

    /// Starts the gateway and waits until it takes batches.
    pub(crate) fn gateway(&self) -> Role {
        let mut gateway = self.start("gateway", "g1");
        gateway.is_ready();
        gateway
    }

    /// Runs a command in the folder that must succeed; gives its output.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let output = output(Command::new(BINARY).args(args).current_dir(self.folder.path()));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{args:?}: {}\n{out}{err}", output.status);
        out
    }

    /// Runs a command in the folder that must fail; gives what it says.
    pub(crate) fn fails(&self, args: &[&str]) -> String {
        let output = output(Command::new(BINARY).args(args).current_dir(self.folder.path()));
        assert!(!output.status.success(), "{args:?} did not fail");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Starts a command in the folder.
    pub(crate) fn spawn(&self, args: &[&str]) -> Child {
        let mut command = Command::new(BINARY);
        command.args(args).current_dir(self.folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
    }

    /// Appends a record as a stranger would.
    pub(crate) fn append(&self, entry: Entry) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(self.log.append(vec![entry])).unwrap();
    }

    /// One past the newest record of a topic's first partition.
    pub(crate) fn end(&self, topic: Topic) -> u64 {
        self.log.bounds(topic, 0).unwrap().end
    }

    /// Deletes the records of a topic's first partition below an offset, as their retention would.
    pub(crate) fn forget(&self, topic: Topic, below: u64) {
        self.kafka.delete_records(topic, self.part(topic, 0), below).unwrap();
    }

    /// How often sites were configured.
    pub(crate) fn configured(&self) -> usize {
        let partitions = 0..self.layouts().written(Topic::Signals).partitions;
        let records =
            partitions.flat_map(|partition| self.records(Topic::Signals, self.part(Topic::Signals, partition)));
        let is = |record: &Record| matches!(SignalsRecord::decode(&record.value), Ok(SignalsRecord::SiteConfigured(_)));
        records.filter(is).count()
    }

    /// Starts a command in the folder and gives what it prints, line by line.
    pub(crate) fn begin(&self, args: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>) {
        let error = File::options().create(true).append(true).open(self.path("commands.log")).unwrap();
        let mut command = Command::new(BINARY);
        command.args(args).current_dir(self.folder.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(error);
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        (child, lines)
    }

    /// How the topics are laid out now.
    pub(crate) fn layouts(&self) -> Layouts {
        let directory = DirectoryWatch::load(self.log.clone()).unwrap().view().current();
        Layouts::of(self.kafka.config(), &directory)
    }

    /// A partition of the generation that is written.
    pub(crate) fn part(&self, topic: Topic, partition: u32) -> PartitionRef {
        PartitionRef { generation: self.layouts().written(topic), partition }
    }

    /// Every record of a partition.
    pub(crate) fn records(&self, topic: Topic, place: PartitionRef) -> Vec<Record> {
        let (mut found, mut next) = (Vec::new(), 0);
        loop {
            let records = self.log.read_at(topic, place, next, READ_BYTES_MAX).unwrap();
            let Some(last) = records.last() else { return found };
            next = last.offset + 1;
            found.extend(records);
        }
    }
}

impl Drop for Installation {
    /// A test that failed shows what its processes said.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for entry in std::fs::read_dir(self.folder.path()).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            if path.extension().is_some_and(|extension| extension == "log") {
                let text = std::fs::read_to_string(path).unwrap_or_default();
                let skipped = text.lines().count().saturating_sub(SHOWN_LINES);
                text.lines().skip(skipped).for_each(|line| println!("{}: {line}", name.display()));
            }
        }
    }
}

/// A process of a role. Dropped, it is killed: nothing may rest on an orderly end.
pub(crate) struct Role {
    child: Child,
    port: u16,
    admin_port: u16,
}

impl Role {
    /// Where senders connect, if it is a gateway.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// A metric, as a whole number; none: it was not told yet.
    pub(crate) fn metric(&self, name: &str) -> Option<u64> {
        let text = wire::get(self.admin_port, "/metrics")?.body;
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.rsplit(' ').next()?.parse::<f64>().ok().map(|value| value as u64)
    }

    /// Where operators connect.
    pub(crate) fn admin_port(&self) -> u16 {
        self.admin_port
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success(), "kill -{name}");
    }

    /// Waits until it says that it is ready.
    pub(crate) fn is_ready(&mut self) {
        wait_for("a process is ready", PATIENCE, || {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "the process ended: {ended:?}");
            wire::get(self.admin_port, "/health/ready").filter(|answer| answer.status == 200)
        });
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
