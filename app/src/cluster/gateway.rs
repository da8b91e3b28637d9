//! The role that takes batches.

use std::sync::Arc;

use logystera_infra::clock::{Clock, SystemClock};
use logystera_infra::control::DirectoryWatch;
use logystera_infra::shutdown::Shutdown;
use logystera_infra::telemetry::Metrics;
use logystera_ingest::tls::Tls;
use logystera_ingest::{Gateway, GatewayConfig, Render};
use tokio::net::TcpListener;

use super::{AWAY_PAUSE, Installation};
use crate::cli::CliError;
use crate::up::{SiteKeys, bind};

pub(super) async fn run(
    installation: &Installation,
    operators: TcpListener,
    metrics: Metrics,
    shutdown: &Shutdown,
) -> Result<(), CliError> {
    let config = &installation.config;
    let tls = match (&config.tls_cert, &config.tls_key) {
        (Some(certificate), Some(key)) => Some(Tls::from_files(certificate, key).map_err(CliError::wrong_use)?),
        _ => None,
    };
    let senders = bind(config.listen, "listen in the file").await?;
    while let Err(error) = installation.configure_sites().await {
        if !error.is_away() || shutdown.is_set() {
            return Err(error);
        }
        tracing::warn!(%error, "waiting for the cluster");
        tokio::time::sleep(AWAY_PAUSE).await;
    }
    let watch = DirectoryWatch::load(installation.log.clone())?;
    let keys = Arc::new(SiteKeys::new(watch.view(), installation.master.clone()));
    let control = watch.spawn(shutdown.clone()).map_err(CliError::not_available)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let settings = GatewayConfig::new(config.audience.clone());
    let gateway = Gateway::new(settings, installation.log.clone(), keys, clock);
    tracing::info!(listen = %config.listen, admin = %config.admin_listen, "gateway started");
    let render: Render = Arc::new(move || metrics.render());
    tokio::join!(
        gateway.serve(senders, tls, shutdown.wait()),
        gateway.serve_admin(operators, render, shutdown.wait()),
        gateway.run_timers(shutdown.wait()),
    );
    tokio::task::spawn_blocking(move || drop(control.join())).await.map_err(CliError::not_available)
}
