//! `logystera gateway`, `processor` and `alerter`: the roles as processes of their own, on Kafka.

mod alerter;
pub mod config;
mod discreet;
mod gateway;
mod growth;
mod operators;
pub mod partitions;
pub mod processor;
mod reading;
mod status;

use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::Duration;

use logystera_infra::clock::SystemClock;
use logystera_infra::control::{Directory, DirectoryWatch};
use logystera_infra::kafka::{Kafka, KafkaLog, Layouts};
use logystera_infra::secrets::{MASTER_KEY_FILE, MasterKey};
use logystera_infra::shutdown::Shutdown;
use logystera_infra::store::Store;
use logystera_schemas::control::GrowingTopic;
use logystera_schemas::topic::Topic;

use crate::admin::{Answer, Office, Request, configure_sites, publish_rules};
use crate::cli::{CliError, DONE, finish};
use crate::deployment::{Configured, Deployment};
use crate::up::{bind, equip, rules_or_default, upkeep};
use config::Config;
pub(crate) use growth::grow;
use partitions::{Control, Share};
pub(crate) use reading::ClusterLog;
pub(crate) use status::status;

/// Applications that keep state.
pub const APPS: [&str; 2] = [logystera_processor::task::APP, logystera_alerter::task::APP];

/// How long a process that starts waits before it asks a cluster again that did not answer.
const AWAY_PAUSE: Duration = Duration::from_secs(1);

/// A role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Takes batches.
    Gateway,
    /// Judges signals.
    Processor,
    /// Delivers alerts.
    Alerter,
}

impl Role {
    const fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Processor => "processor",
            Self::Alerter => "alerter",
        }
    }
}

/// Run one role of an installation on Kafka
///
/// Any number of processes of a role share its work. What each needs to know stands in one file, the same for all of them.
#[derive(clap::Args)]
#[command(after_help = "A file for one broker on this machine:
  audience = \"eu-prod\"
  public-url = \"https://in.example.com\"
  secrets = \"/etc/logystera\"            # folder of the master key, the same on each machine
  [kafka]
  brokers = \"127.0.0.1:9092\"
  signals-partitions = 16
  detections-partitions = 4
  replication = 1
  [kafka.properties]                    # librdkafka's, passed through
  \"security.protocol\" = \"plaintext\"

Then: logystera site add \"My shop\" --config FILE")]
pub struct Args {
    /// TOML file with the settings
    #[arg(long, value_name = "FILE", env = "LOGYSTERA_CONFIG")]
    config: PathBuf,
    /// Name of this process among those of its role, the same after a restart [default: the host's]
    #[arg(long, value_name = "NAME", env = "LOGYSTERA_INSTANCE")]
    instance: Option<String>,
    /// Where operators connect, instead of the file's admin-listen: for several processes on one machine
    #[arg(long, value_name = "ADDRESS", env = "LOGYSTERA_ADMIN_LISTEN")]
    admin_listen: Option<SocketAddr>,
    /// Say whether the file can be used, and stop
    #[arg(long)]
    check_config: bool,
}

/// Runs a role until it is told to stop.
pub fn run(role: Role, args: &Args) -> ExitCode {
    finish(role.name(), serve(role, args))
}

fn serve(role: Role, args: &Args) -> Result<u8, CliError> {
    let mut config = Config::read(&args.config)?;
    config.instance = args.instance.clone().or(config.instance);
    config.admin_listen = args.admin_listen.unwrap_or(config.admin_listen);
    if args.check_config {
        println!("{}: the settings can be used", args.config.display());
        return Ok(DONE);
    }
    let metrics = equip(&config.log, config.log_json)?;
    let shutdown = Shutdown::new();
    let installation = patiently(&shutdown, || Installation::connect(config.clone()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CliError::not_available)?;
    let done = runtime.block_on(async {
        shutdown.on_signals().map_err(CliError::not_available)?;
        tokio::spawn(upkeep(metrics.clone()));
        let operators = bind(installation.config.admin_listen, "--admin-listen ADDRESS").await?;
        if role == Role::Gateway {
            return gateway::run(&installation, operators, metrics, &shutdown).await;
        }
        let until = shutdown.clone();
        let ready = Arc::new(AtomicBool::new(false));
        let served =
            tokio::spawn(operators::serve(operators, metrics, Arc::clone(&ready), async move { until.wait().await }));
        match role {
            Role::Processor => processor::serve(&installation, ready, &shutdown).await?,
            _ => alerter::serve(&installation, ready, &shutdown).await?,
        }
        served.await.map_err(CliError::not_available)?
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    done.map(|()| DONE)
}

/// Tries until the cluster answers: it may be starting, too. What is wrong with the settings is said at once.
fn patiently<T>(shutdown: &Shutdown, mut attempt: impl FnMut() -> Result<T, CliError>) -> Result<T, CliError> {
    loop {
        match attempt() {
            Err(error) if error.is_away() => tracing::warn!(%error, "waiting for the cluster"),
            done => return done,
        }
        if shutdown.wait_timeout(AWAY_PAUSE) {
            return Err(CliError::not_available("told to stop before the cluster answered"));
        }
    }
}

/// An installation on Kafka, as one process sees it.
pub(crate) struct Installation {
    pub(crate) config: Config,
    pub(crate) kafka: Kafka,
    pub(crate) log: KafkaLog,
    pub(crate) master: MasterKey,
}

impl Installation {
    /// Connects, and creates the topics that are not there.
    pub(crate) fn connect(config: Config) -> Result<Self, CliError> {
        let kafka = Kafka::new(config.kafka());
        kafka.create_topics(&APPS)?;
        let log = kafka.log()?;
        let watch = DirectoryWatch::load(log.clone())?;
        let directory = watch.view().current();
        let layouts = Layouts::of(kafka.config(), &directory);
        let (kafka, log) = (kafka.with_layouts(layouts.clone()), log.with_layouts(layouts));
        let master = master_key(&config.secrets, &directory)?;
        Ok(Self { config, kafka, log, master })
    }

    /// The cluster for tasks: with the store, where there is one.
    pub(crate) fn with_store(&self) -> Result<Kafka, CliError> {
        let Some(config) = self.config.store() else { return Ok(self.kafka.clone()) };
        let store = Store::open(config, Arc::new(SystemClock::new())).map_err(CliError::wrong_use)?;
        Ok(self.kafka.clone().with_store(store))
    }

    /// This process's share of the partitions of `input`, and the thread that follows topic `control` for it until `shutdown`.
    fn share(
        &self,
        app: &'static str,
        input: Topic,
        ready: Arc<AtomicBool>,
        shutdown: &Shutdown,
    ) -> Result<(Share, JoinHandle<()>), CliError> {
        let watch = DirectoryWatch::load(self.log.clone())?;
        let control = Control { log: self.log.clone(), view: watch.view() };
        let thread = watch.spawn(shutdown.clone()).map_err(CliError::not_available)?;
        let (kafka, instance) = (self.with_store()?, self.config.instance()?);
        Ok((Share { kafka, control, app, input, instance, ready }, thread))
    }

    /// What the file says of the deployment. A new site is configured with `rules`.
    pub(crate) fn deployment(&self, rules: Option<Configured>) -> Deployment {
        Deployment {
            audience: self.config.audience.clone(),
            url: self.config.public_url.clone(),
            allow_private_addresses: self.config.allow_private_addresses,
            rules,
        }
    }

    /// Configures all sites with the rules of the file. `log` is what the process writes to.
    pub(crate) async fn configure_sites(&self, log: &KafkaLog, directory: &Directory) -> Result<(), CliError> {
        let rules = rules_or_default(self.config.rules.as_deref())?;
        configure_sites(log, directory, &rules, None).await.map(drop)
    }

    /// The log for the one command that changes something: whichever did before is fenced.
    pub(crate) fn office_log(&self) -> Result<(KafkaLog, Arc<Directory>), CliError> {
        let log = self.log.alone(OFFICE)?;
        // Read after that: a growth that began before is seen, and one that begins later fences this command.
        let directory = DirectoryWatch::load(log.clone())?.view().current();
        let log = log.with_layouts(Layouts::of(self.kafka.config(), &directory));
        Ok((log, directory))
    }
}

/// Name of the one writer of topic `control` among commands.
const OFFICE: &str = "office";

/// The master key. Only a new installation makes one: a machine without it must get the one that the secrets are sealed under.
fn master_key(folder: &Path, directory: &Directory) -> Result<MasterKey, CliError> {
    if !folder.join(MASTER_KEY_FILE).exists() {
        if directory.sites().next().is_some() || directory.tenants().next().is_some() {
            return Err(CliError::not_available(format!(
                "{} has no {MASTER_KEY_FILE}: copy it from a machine of this installation that has it",
                folder.display()
            )));
        }
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|e| CliError::not_available(format!("{}: {e}", folder.display())))?;
    }
    MasterKey::load_or_create(folder).map_err(CliError::not_available)
}

/// Has a change of sites or channels made on the installation that a file describes.
pub fn ask(file: &Path, request: Request) -> Result<Answer, CliError> {
    let installation = Installation::connect(Config::read(file)?)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(CliError::not_available)?.block_on(async {
        let (log, directory) = installation.office_log()?;
        if let Some(topic) = GrowingTopic::ALL.iter().find(|topic| log.layouts().is_closing(**topic)) {
            return Err(CliError::not_available(format!(
                "the partitions of {topic} are growing: try again in a moment; if `logystera partitions grow` is no longer \
                 running, run it again"
            )));
        }
        let rules = rules_or_default(installation.config.rules.as_deref())?;
        let deployment = installation.deployment(Some(publish_rules(&log, &directory, &rules).await?));
        let master = installation.master.clone();
        let office = Office::new(log, master, deployment, Arc::new(SystemClock::new()));
        office.execute(request).await.map_err(CliError::from)
    })
}
