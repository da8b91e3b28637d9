//! `logystera up`: everything in one process, on a folder.

mod config;
mod demo;
mod greeting;
mod recall;
mod reload;
mod restart;
mod running;
mod tasks;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use logystera_infra::clock::{Clock, SystemClock};
use logystera_infra::directory::{Directory, DirectoryWatch};
use logystera_infra::embedded::{Embedded, EmbeddedLog, OpenError};
use logystera_infra::envelope::master_key;
use logystera_infra::pace::TimeWanted;
use logystera_infra::shutdown::Shutdown;
use logystera_infra::telemetry::Metrics;
use logystera_ingest::tls::Tls;
use logystera_ingest::{Gateway, GatewayConfig, Render};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::cli::{CliError, DONE, NOT_AVAILABLE, finish};
use crate::installation::channels::{AlerterChannels, messengers};
use crate::installation::deployment::{deployment_of, leave_the_file};
use crate::installation::folder::parts;
use crate::installation::rules::as_published;
use crate::installation::socket::{self, AdminSocket};
use crate::serve::process::{bind, equip, gateway_config, upkeep};
use crate::serve::secrets;
use logystera_control::ControlService;
use logystera_control::deployment::Deployment;
use logystera_sender::target::is_plain_abroad;

pub use config::Args;
use config::Config;
use running::Running;

/// How long `up` waits for a command that has the folder.
const OPEN_WAIT_MS: i64 = 2_000;
/// How long a start that was told to stop goes on: what reads a file or an old log ends within it by itself.
const START_GIVEN_UP_AFTER: Duration = Duration::from_secs(2);

/// Runs it.
pub fn run(args: Args) -> ExitCode {
    finish("up", up(args))
}

fn up(args: Args) -> Result<u8, CliError> {
    let config = Config::new(args)?;
    let metrics = equip(&config.log, config.log_json)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CliError::not_available)?;
    let done = runtime.block_on(serve(config, metrics));
    // What still runs there only waits for strangers.
    runtime.shutdown_timeout(Duration::from_secs(1));
    done
}

async fn serve(config: Config, metrics: Metrics) -> Result<u8, CliError> {
    let shutdown = Shutdown::new();
    shutdown.on_signals().map_err(CliError::not_available)?;
    let started = give_up_if_told(&shutdown);
    let reloads = reload::Reloads::new(&config).map_err(CliError::not_available)?;
    let named = restart::named(config.rules.as_deref())?;
    let tls = certificate(&config)?;
    // Before the folder is made: a port that is taken leaves nothing behind.
    let (listener, admin_listener) = bind_both(&config).await?;
    let embedded = open(&config, &shutdown).await?;
    let address = |l: &TcpListener| l.local_addr().map_err(CliError::not_available);
    let (listen, admin_listen) = (address(&listener)?, address(&admin_listener)?);

    let log = embedded.log();
    let watch = DirectoryWatch::load(log.clone())?;
    let directory = watch.view();
    let master = master_key(&config.data, &directory.current()).map_err(CliError::not_available)?;
    let told = told(&config, listen, &directory.current())?;
    let rules = named.map_or_else(|| restart::published(&told, &directory, &log), Ok)?;
    restart::miss_channels(&told, config.mail.is_some(), &directory.current(), &master);
    let kinds = messengers(&told, config.mail.clone())?;
    let parts = parts(master.clone(), told, AlerterChannels::new(kinds.clone()));
    let service = Arc::new(ControlService::of_folder(&embedded, watch.clone(), parts)?);
    let deployment = service.configure(&as_published(&rules), "up").await?;
    leave_the_file(&config.data);
    let socket = AdminSocket::bind(&config.data)?;
    let mut threads = vec![watch.spawn(shutdown.clone()).map_err(CliError::not_available)?];
    let data = config.data.clone();
    let quota = config.quota;
    let time_wanted = TimeWanted::default();
    let running = Running {
        data,
        log,
        directory,
        deployment,
        master,
        kinds,
        service,
        listen,
        admin_listen,
        quota,
        time_wanted,
        shutdown,
    };
    threads.extend(tasks::spawn(&embedded, &running)?);

    let servers = serve_all(
        &running,
        Listeners { senders: listener, tls: tls.clone(), operators: admin_listener, socket },
        metrics,
    )?;
    drop(started);
    tokio::spawn(reload::on_hangup(reloads, tls.clone(), Arc::clone(&running.service)));
    if config.demo {
        demo::tell(running.clone()).await;
    } else {
        let rules = restart::shown(config.rules.as_deref(), &rules);
        greeting::print(&running, &rules, tls.is_some());
    }
    // Once told to stop, no batch is taken. What was accepted is on disk; the tasks commit what they have applied.
    for server in servers {
        server.await.map_err(CliError::not_available)?;
    }
    let finish = move || {
        for thread in threads {
            // A thread that panicked has said so.
            drop(thread.join());
        }
        embedded.close();
    };
    tokio::task::spawn_blocking(finish).await.map_err(CliError::not_available)?;
    if config.demo {
        println!("Stopped. The data stays in {}.", config.data.display());
    }
    Ok(DONE)
}

/// The certificate of the flags. One that has ended is told of and served: alerts and commands go on until it is renewed.
fn certificate(config: &Config) -> Result<Option<Tls>, CliError> {
    let Some((certificate, key)) = &config.tls else { return Ok(None) };
    let tls = Tls::from_files(certificate, key).map_err(CliError::wrong_use)?;
    if let Some(fault) = tls.fault() {
        tracing::error!("{fault}; renew it, then send this process SIGHUP");
    }
    Ok(Some(tls))
}

/// Where others come in.
struct Listeners {
    senders: TcpListener,
    tls: Option<Tls>,
    operators: TcpListener,
    socket: AdminSocket,
}

/// Starts everything that serves. Each ends after `running.shutdown`, when what it had begun is finished.
fn serve_all(running: &Running, listeners: Listeners, metrics: Metrics) -> Result<Vec<JoinHandle<()>>, CliError> {
    let Listeners { senders, tls, operators, socket } = listeners;
    let gateway = gateway(running);
    recall::recall(&gateway, &running.data)?;
    let until = || {
        let shutdown = running.shutdown.clone();
        async move { shutdown.wait().await }
    };
    let (senders_until, operators_until, timers_until, upkeep_until) = (until(), until(), until(), until());
    let (for_senders, for_operators) = (gateway.clone(), gateway.clone());
    let upkept = metrics.clone();
    let render: Render = Arc::new(move || metrics.render());
    Ok(vec![
        tokio::spawn(async move { for_senders.serve(senders, tls, senders_until).await }),
        tokio::spawn(async move { for_operators.serve_admin(operators, render, operators_until).await }),
        tokio::spawn(async move { gateway.run_timers(timers_until).await }),
        tokio::spawn(socket::serve(socket, Arc::clone(&running.service), running.shutdown.clone())),
        tokio::spawn(async move {
            tokio::select! {
                () = upkeep(upkept) => {}
                () = upkeep_until => {}
            }
        }),
    ])
}

/// Opens the folder. A command that changes something has it for a moment: that is waited for.
async fn open(config: &Config, shutdown: &Shutdown) -> Result<Embedded, CliError> {
    let clock = SystemClock::new();
    let open = if config.accept_rollback { Embedded::open_rolled_back } else { Embedded::open };
    loop {
        match open(&config.data) {
            Err(OpenError::InUse { .. }) if clock.monotonic_ms() < OPEN_WAIT_MS && !shutdown.is_set() => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            opened => return Ok(opened?),
        }
    }
}

/// Both addresses. Where they are taken by the process that has the folder, that is what is said.
async fn bind_both(config: &Config) -> Result<(TcpListener, TcpListener), CliError> {
    let both = async {
        let senders = bind(config.listen, "--listen HOST:PORT").await?;
        Ok((senders, bind(config.admin_listen, "--admin-listen HOST:PORT").await?))
    };
    both.await.map_err(|error| match Embedded::open_existing(&config.data) {
        Err(in_use @ OpenError::InUse { .. }) => in_use.into(),
        _ => error,
    })
}

/// The folder's deployment, as this run was told of it.
fn told(config: &Config, listen: SocketAddr, directory: &Directory) -> Result<Deployment, CliError> {
    let known = deployment_of(&config.data, directory, config.audience.as_deref())?;
    let url = config.public_url.clone().unwrap_or_else(|| own_url(listen, config.tls.is_some()));
    if config.public_url.is_none() && listen.ip().is_unspecified() {
        tracing::warn!(%url, "senders of other machines are given an address of this one: name the one by which they reach it with --public-url");
    }
    if is_plain_abroad(&url) {
        tracing::warn!(%url, "senders refuse plain http to another machine than their own: put TLS before it, and name the https:// address with --public-url");
    }
    if let Some(before) = renamed(directory, &known.audience) {
        tracing::warn!(
            before,
            audience = known.audience,
            "the audience changes: senders sign for the one before and are refused (401) until their DSN says audience={}",
            known.audience
        );
    }
    Ok(Deployment { url, allow_private_addresses: config.allow_private_addresses, ..known })
}

/// The name that senders sign for, if it was another one until now and there are senders.
fn renamed<'a>(directory: &'a Directory, audience: &str) -> Option<&'a str> {
    let before = directory.deployment().map(|deployment| deployment.audience.as_str());
    before.filter(|before| *before != audience && directory.sites().any(|site| site.closed_at.is_none()))
}

/// Ends the process if it is told to stop before it has started: it may be reading something that does not come. Nothing is lost by
/// that, what is acknowledged is on disk. What is returned says that it has started, when it is dropped.
fn give_up_if_told(shutdown: &Shutdown) -> tokio::sync::oneshot::Sender<()> {
    let (started, has_started) = tokio::sync::oneshot::channel();
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = has_started => return,
            () = shutdown.wait() => {}
        }
        tokio::time::sleep(START_GIVEN_UP_AFTER).await;
        eprintln!("logystera up: told to stop before it had started");
        std::process::exit(i32::from(NOT_AVAILABLE));
    });
    started
}

/// The address that reaches this process from its own machine.
fn own_url(listen: SocketAddr, tls: bool) -> String {
    let scheme = if tls { "https" } else { "http" };
    let mut address = listen;
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    format!("{scheme}://{address}")
}

fn gateway(running: &Running) -> Gateway<EmbeddedLog> {
    let idle = Some(running.time_wanted.clone());
    let config = GatewayConfig { quota: running.quota, idle, ..gateway_config(&running.deployment.audience) };
    let keys = Arc::new(secrets::SiteKeys::new(running.directory.clone(), running.master.clone()));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    Gateway::new(config, running.log.clone(), keys, clock)
}
