//! `logystera gateway`, `processor` and `alerter`: the roles as processes of their own, on Kafka.

mod alerter;
pub mod config;
mod discreet;
mod gateway;
mod growth;
pub mod marks;
mod operators;
pub mod partitions;
pub mod processor;
mod reading;
mod recall;
mod status;

use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use logystera_infra::clock::SystemClock;
use logystera_infra::directory::{Directory, DirectoryWatch};
use logystera_infra::handles;
use logystera_infra::kafka::{Kafka, KafkaLog, Layouts};
use logystera_infra::secrets::{MASTER_KEY_FILE, MasterKey, random_bytes};
use logystera_infra::shutdown::Shutdown;
use logystera_infra::state_store::Store;
use logystera_processor::core::engine::SEMANTICS;
use logystera_processor::core::rule::RuleSet;
use logystera_schemas::control::GrowingTopic;
use logystera_schemas::topic::Topic;

use crate::admin::{Answer, Office, Request, by, configure_sites, publish_rules};
use crate::cli::{CliError, DONE, finish};
use crate::deployment::{Configured, Deployment};
use crate::listen;
use crate::up::{bind, equip, rules_or_default, upkeep};
use config::Config;
pub(crate) use growth::grow;
use operators::Health;
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
    /// Where senders connect, instead of the file's listen: for several gateways on one machine
    #[arg(long, value_name = "ADDRESS", env = "LOGYSTERA_LISTEN", value_parser = listen::parse)]
    listen: Option<SocketAddr>,
    /// Where operators connect, instead of the file's admin-listen: for several processes on one machine
    #[arg(long, value_name = "ADDRESS", env = "LOGYSTERA_ADMIN_LISTEN", value_parser = listen::parse)]
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
    config.listen = args.listen.unwrap_or(config.listen);
    if args.check_config {
        check_files(&config)?;
        println!("{}: the settings can be used", args.config.display());
        if let Some(rules) = &config.rules {
            eprintln!("{}", not_published(rules, &args.config));
        }
        return Ok(DONE);
    }
    let metrics = equip(&config.log, config.log_json)?;
    let shutdown = Shutdown::new();
    let installation = patiently(&shutdown, || Installation::connect(config.clone()))?;
    let installation = Installation { log: installation.log.clone().followed(), ..installation };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CliError::not_available)?;
    let done = runtime.block_on(async {
        shutdown.on_signals().map_err(CliError::not_available)?;
        tokio::spawn(upkeep(metrics.clone()));
        let operators = bind(installation.config.admin_listen, "--admin-listen ADDRESS").await?;
        if role == Role::Gateway {
            if let Some(rules) = &installation.config.rules {
                tracing::warn!("{}", not_published(rules, &args.config));
            }
            return gateway::run(&installation, operators, metrics, &shutdown).await;
        }
        handles::raise();
        let until = shutdown.clone();
        let health = Arc::new(Health::default());
        let served =
            tokio::spawn(operators::serve(operators, metrics, Arc::clone(&health), async move { until.wait().await }));
        match role {
            Role::Processor => processor::serve(&installation, &health, &shutdown).await?,
            _ => alerter::serve(&installation, &health, &shutdown).await?,
        }
        served.await.map_err(CliError::not_available)
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    done.map(|()| DONE)
}

/// Reads what the settings name: the rules, the certificate and its key.
fn check_files(config: &Config) -> Result<(), CliError> {
    rules_or_default(config.rules.as_deref())?;
    gateway::tls(config).map(drop)
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
    /// Topic `control`, as it was when this connected, or read on to since.
    control: DirectoryWatch<KafkaLog>,
    pub(crate) master: MasterKey,
}

impl Installation {
    /// Connects, and creates the topics that are not there.
    pub(crate) fn connect(config: Config) -> Result<Self, CliError> {
        let kafka = Kafka::new(config.kafka());
        kafka.create_topics(&APPS)?;
        let log = kafka.log()?;
        let control = DirectoryWatch::load(log.clone())?;
        let directory = control.view().current();
        let layouts = Layouts::of(kafka.config(), &directory);
        let (kafka, log) = (kafka.with_layouts(layouts.clone()), log.with_layouts(layouts));
        let master = master_key(&config.secrets, &directory)?;
        Ok(Self { config, kafka, log, control, master })
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
        health: &Health,
        shutdown: &Shutdown,
    ) -> Result<(Share, JoinHandle<()>), CliError> {
        let watch = DirectoryWatch::load(self.log.clone())?;
        let control = Control { log: self.log.clone(), view: watch.view() };
        drop(health.control.set(watch.view()));
        let ready = Arc::clone(&health.ready);
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

    /// The log for the one command that changes something: whichever did before is fenced.
    pub(crate) fn office_log(&self) -> Result<(KafkaLog, Arc<Directory>), CliError> {
        let log = self.log.alone(OFFICE)?;
        // Read after that: a growth that began before is seen, and one that begins later fences this command.
        self.control.refresh()?;
        let directory = self.control.view().current();
        let log = log.with_layouts(Layouts::of(self.kafka.config(), &directory));
        Ok((log, directory))
    }

    /// The same, while nothing grows: what is appended then may be for a generation that nobody reads.
    fn open_office(&self) -> Result<(KafkaLog, Arc<Directory>), CliError> {
        let (log, directory) = self.office_log()?;
        if let Some(topic) = GrowingTopic::ALL.iter().find(|topic| log.layouts().is_closing(**topic)) {
            return Err(CliError::not_available(format!(
                "the partitions of {topic} are growing: try again in a moment; if `logystera partitions grow` is no longer \
                 running, run it again"
            )));
        }
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

/// How often a change that another command has fenced is decided anew: more commands at once than anybody starts by hand.
const OFFICE_TRIES: u32 = 10;
/// Longest pause before the second try, milliseconds; it doubles with each, up to [`OFFICE_PAUSE_MS_MAX`]. A change takes about as
/// long from its fence to its commit.
const OFFICE_PAUSE_MS: u64 = 200;
/// Longest pause of all, milliseconds.
const OFFICE_PAUSE_MS_MAX: u64 = 3_000;

/// Does what only the one writer may, and again where another command became that meanwhile: what is to be done is decided anew then.
/// A pause by chance lets one of several that began at once come to its end.
fn persistently<T>(mut attempt: impl FnMut() -> Result<T, CliError>) -> Result<T, CliError> {
    for tried in 1..OFFICE_TRIES {
        match attempt() {
            Err(error) if error.fenced => tracing::debug!(tried, "fenced by another command"),
            done => return done,
        }
        let longest_ms = (OFFICE_PAUSE_MS << tried).min(OFFICE_PAUSE_MS_MAX);
        let pause_ms = u64::from_be_bytes(random_bytes()) % longest_ms;
        std::thread::sleep(Duration::from_millis(pause_ms));
    }
    attempt().map_err(|error| {
        if !error.fenced {
            return error;
        }
        CliError::not_available(format!(
            "{OFFICE_TRIES} times another command has written to this installation meanwhile: nothing was changed; try again when \
             fewer of them run"
        ))
    })
}

/// Has a change of sites or channels made on the installation that a file describes.
pub fn ask(file: &Path, request: &Request) -> Result<Answer, CliError> {
    let installation = Installation::connect(Config::read(file)?)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(CliError::not_available)?;
    persistently(|| runtime.block_on(change(&installation, file, request.clone())))
}

async fn change(installation: &Installation, file: &Path, request: Request) -> Result<Answer, CliError> {
    let (log, directory) = installation.open_office()?;
    let rules = match request {
        Request::SiteAdd { .. } => Some(rules_of_new_sites(installation, file, &log, &directory).await?),
        _ => None,
    };
    let (deployment, master) = (installation.deployment(rules), installation.master.clone());
    let office = Office::new(log, installation.control.clone(), master, deployment, Arc::new(SystemClock::new()));
    office.execute(request).await.map_err(CliError::from)
}

/// The rules that were published last. Where none ever were, the default pack is, unless the file names others.
async fn rules_of_new_sites(
    installation: &Installation,
    file: &Path,
    log: &KafkaLog,
    directory: &Directory,
) -> Result<Configured, CliError> {
    if let Some(digest) = directory.published() {
        return Ok(Configured { digest: digest.to_string(), semantics: SEMANTICS });
    }
    if directory.is_published_unsure() {
        return Err(CliError::wrong_use(format!(
            "which rules the sites have was written down by an older version, which does not say which were the last: publish them \
             once more: logystera rules publish FILE --config {}",
            file.display()
        )));
    }
    if let Some(rules) = &installation.config.rules {
        return Err(CliError::wrong_use(not_published(rules, file)));
    }
    publish_rules(log, directory, &rules_or_default(None)?).await
}

/// What the setting `rules` does no more, and what does it.
fn not_published(rules: &Path, file: &Path) -> String {
    format!(
        "the setting rules publishes nothing any more: logystera rules publish {} --config {}",
        rules.display(),
        file.display()
    )
}

/// Judges all sites by `set` from now on; gives how many were configured.
pub(crate) fn publish(file: &Path, set: &RuleSet) -> Result<usize, CliError> {
    let installation = Installation::connect(Config::read(file)?)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(CliError::not_available)?;
    // Also those that a try configured which was fenced behind them.
    let (mut before, mut now) = (0, 0);
    let done = persistently(|| {
        before += std::mem::take(&mut now);
        runtime.block_on(async {
            let (log, directory) = installation.open_office()?;
            configure_sites(&log, &directory, set, &by("rules publish"), |done| now = done).await
        })
    });
    done.map(|(_, done)| before + done)
}
