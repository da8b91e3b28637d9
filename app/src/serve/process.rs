//! What every process that serves has: a log, metrics, addresses, and a gateway's bounds on this machine.

use std::net::SocketAddr;
use std::time::Duration;

use logystera_infra::handles;
use logystera_infra::telemetry::{self, LogFormat, Metrics};
use logystera_ingest::GatewayConfig;
use logystera_schemas::limits::CONNECTIONS_MAX;
use tokio::net::TcpListener;

use crate::cli::CliError;

/// How often the histograms' samples are folded.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);

/// Gives a process that serves its log, its TLS and its metrics.
pub(crate) fn equip(log: &str, json: bool) -> Result<Metrics, CliError> {
    let format = if json { LogFormat::Json } else { LogFormat::Text };
    telemetry::init_logs(format, log).map_err(CliError::wrong_use)?;
    // Anybody in this process may have installed one: any will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Metrics::install().map_err(CliError::not_available)
}

pub(crate) async fn bind(address: SocketAddr, flag: &str) -> Result<TcpListener, CliError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| CliError::not_available(format!("{address}: {error}; choose another address with {flag}")))
}

/// A gateway's bounds on this machine, told to the log.
pub(crate) fn gateway_config(audience: &str) -> GatewayConfig {
    let handles = handles::raise();
    handles.tell(CONNECTIONS_MAX);
    GatewayConfig::new(audience).within(handles)
}

/// Folds the histograms' samples now and then, whether or not somebody scrapes.
pub(crate) async fn upkeep(metrics: Metrics) {
    let mut every = tokio::time::interval(METRICS_UPKEEP);
    loop {
        every.tick().await;
        metrics.upkeep();
    }
}
