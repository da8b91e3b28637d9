//! `logystera gateway`, `processor` and `alerter`: the roles as processes of their own, on Kafka.

mod alerter;
mod gateway;
pub mod marks;
pub mod processor;
mod recall;
mod share;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use logystera_infra::handles;
use logystera_infra::shutdown::Shutdown;

use crate::cli::{CliError, DONE, finish};
use crate::installation::cluster::{Installation, not_published};
use crate::installation::config::Config;
use crate::installation::rules::rules_or_default;
use crate::listen;
use crate::serve::health::{self, Health};
use crate::serve::process::{bind, equip, upkeep};

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
  secrets = \"/etc/logystera\"   # folder of the master key, on each machine
  [kafka]
  brokers = \"127.0.0.1:9092\"
  signals-partitions = 16
  detections-partitions = 4
  replication = 1
  [kafka.properties]                    # librdkafka's, passed through
  \"security.protocol\" = \"plaintext\"

Examples:
  logystera gateway --config logystera.toml
  logystera processor --config logystera.toml
  logystera alerter --config logystera.toml
  logystera site add \"My shop\" --config logystera.toml")]
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
        check_files(role, &config)?;
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
            tokio::spawn(health::serve(operators, metrics, Arc::clone(&health), async move { until.wait().await }));
        match role {
            Role::Processor => processor::serve(&installation, &health, &shutdown).await?,
            _ => alerter::serve(&installation, &health, &shutdown).await?,
        }
        served.await.map_err(CliError::not_available)
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    done.map(|()| DONE)
}

/// Reads what the settings name for a role: the rules, the certificate and its key; the password of the mail server only for
/// the one that sends mail.
fn check_files(role: Role, config: &Config) -> Result<(), CliError> {
    if role == Role::Alerter {
        config.mail().map_err(CliError::wrong_use)?;
    }
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
