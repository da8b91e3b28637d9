//! The role that takes batches.

use std::sync::Arc;
use std::time::Duration;

use logystera_infra::clock::{Clock, SystemClock};
use logystera_infra::directory::{Directory, DirectoryView, DirectoryWatch};
use logystera_infra::log::Log;
use logystera_infra::secrets::random_bytes;
use logystera_infra::shutdown::Shutdown;
use logystera_infra::telemetry::Metrics;
use logystera_ingest::core::election::LeaseSeen;
use logystera_ingest::tls::Tls;
use logystera_ingest::{Gateway, GatewayConfig, Render};
use logystera_kafka::{Layouts, WriteLease};
use logystera_schemas::control::ProcessRole;
use logystera_schemas::time::WallMs;
use tokio::net::TcpListener;

use super::recall::recall;
use crate::cli::CliError;
use crate::installation::cluster::Installation;
use crate::installation::config::Config;
use crate::serve::process::{bind, gateway_config};
use crate::serve::secrets::SiteKeys;

/// How often a gateway that starts looks whether it may write.
const DOOR_STEP: Duration = Duration::from_millis(50);

/// The certificate that the settings name.
pub(super) fn tls(config: &Config) -> Result<Option<Tls>, CliError> {
    match (&config.tls_cert, &config.tls_key) {
        (Some(certificate), Some(key)) => Tls::from_files(certificate, key).map(Some).map_err(CliError::wrong_use),
        _ => Ok(None),
    }
}

pub(super) async fn run(
    installation: &Installation,
    operators: TcpListener,
    metrics: Metrics,
    shutdown: &Shutdown,
) -> Result<(), CliError> {
    let config = &installation.config;
    let tls = tls(config)?;
    let senders = bind(config.listen, "listen in the file").await?;
    let watch = DirectoryWatch::load(installation.log.clone())?;
    let view = watch.view();
    // Both end after the last batch was answered.
    let closed = Shutdown::new();
    let control = watch.spawn(closed.clone()).map_err(CliError::not_available)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let incarnation = i64::from_be_bytes(random_bytes());
    let instance = config.instance()?;
    let lease = WriteLease::new(installation.kafka.config(), &instance, incarnation, Arc::clone(&clock));
    let keys = Arc::new(SiteKeys::new(view.clone(), installation.master.clone()));
    let quota = config.quota().map_err(CliError::wrong_use)?;
    let settings = GatewayConfig { among_others: Some(instance), quota, ..gateway_config(&config.audience) };
    let gateway = Gateway::new(settings, installation.log.through(lease.clone()), keys, clock);
    let keeper = lease.clone().keep(installation.log.clone(), view.clone(), gateway.stands(), closed.clone());
    let keeper = tokio::spawn(keeper);
    while !lease.is_open() && !shutdown.is_set() {
        tokio::time::sleep(DOOR_STEP).await;
    }
    // Its own lease stands in the topic now: whoever asked for one before it is seen, and whoever comes later sees this one.
    gateway.see_others(standings(&view.current()));
    let layouts = Layouts::of(installation.kafka.config(), &view.current());
    let listening = tokio::spawn(listen(gateway.clone(), view, closed.clone()));
    recall(&gateway, &installation.kafka, &layouts).await;
    tracing::info!(listen = %config.listen, admin = %config.admin_listen, "gateway started");
    let render: Render = Arc::new(move || metrics.render());
    tokio::join!(
        gateway.serve(senders, tls, shutdown.wait()),
        gateway.serve_admin(operators, render, shutdown.wait()),
        gateway.run_timers(shutdown.wait()),
    );
    closed.trigger();
    keeper.await.map_err(CliError::not_available)?;
    listening.await.map_err(CliError::not_available)?;
    tokio::task::spawn_blocking(move || drop(control.join())).await.map_err(CliError::not_available)
}

/// Hears what the other gateways' leases say, until `closed`.
async fn listen<L: Log>(gateway: Gateway<L>, mut view: DirectoryView, closed: Shutdown) {
    loop {
        tokio::select! {
            directory = view.changed() => gateway.see_others(standings(&directory)),
            () = closed.wait() => return,
        }
    }
}

/// The leases of gateways that tell their time: those of the version before do not, and write ticks as they always did.
fn standings(directory: &Directory) -> Vec<LeaseSeen> {
    let gateways = directory.leases().filter(|lease| lease.role == ProcessRole::Gateway);
    let standing = gateways.filter_map(|lease| {
        let at = WallMs(lease.at?);
        let (incarnation, renewal, ticks) = (lease.incarnation, lease.renewal, lease.ticks);
        Some(LeaseSeen { instance: lease.instance.clone(), incarnation, renewal, at, ticks })
    });
    standing.collect()
}
