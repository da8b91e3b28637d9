//! The role that takes batches.

use std::sync::Arc;
use std::time::Duration;

use logystera_infra::clock::{Clock, SystemClock};
use logystera_infra::control::DirectoryWatch;
use logystera_infra::kafka::Door;
use logystera_infra::secrets::random_bytes;
use logystera_infra::shutdown::Shutdown;
use logystera_infra::telemetry::Metrics;
use logystera_ingest::tls::Tls;
use logystera_ingest::{Gateway, Render};
use tokio::net::TcpListener;

use super::Installation;
use super::config::Config;
use crate::cli::CliError;
use crate::up::{SiteKeys, bind, gateway_config};

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
    let door = Door::new(installation.kafka.config(), &config.instance()?, incarnation, Arc::clone(&clock));
    let keeper = tokio::spawn(door.clone().keep(installation.log.clone(), view.clone(), closed.clone()));
    let log = installation.log.through(door.clone());
    while !door.is_open() && !shutdown.is_set() {
        tokio::time::sleep(DOOR_STEP).await;
    }
    let keys = Arc::new(SiteKeys::new(view, installation.master.clone()));
    let gateway = Gateway::new(gateway_config(&config.audience), log, keys, clock);
    tracing::info!(listen = %config.listen, admin = %config.admin_listen, "gateway started");
    let render: Render = Arc::new(move || metrics.render());
    tokio::join!(
        gateway.serve(senders, tls, shutdown.wait()),
        gateway.serve_admin(operators, render, shutdown.wait()),
        gateway.run_timers(shutdown.wait()),
    );
    closed.trigger();
    keeper.await.map_err(CliError::not_available)?;
    tokio::task::spawn_blocking(move || drop(control.join())).await.map_err(CliError::not_available)
}
