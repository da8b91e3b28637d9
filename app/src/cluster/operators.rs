//! What operators ask a processor or an alerter: whether it lives, and its metrics. The gateway has its own.

use std::future::Future;
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use logystera_infra::telemetry::Metrics;
use tokio::net::TcpListener;

use crate::cli::CliError;

/// How often the histograms' samples are folded, whether or not somebody scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// Serves `/health/live`, `/health/ready` and `/metrics` until `shutdown` resolves. A process of these roles is ready as soon as it has joined:
/// whoever asks wants to know whether it may go on with the next one.
pub(super) async fn serve(
    listener: TcpListener,
    metrics: Metrics,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), CliError> {
    let upkept = metrics.clone();
    let upkeep = async move {
        let mut every = tokio::time::interval(UPKEEP);
        loop {
            every.tick().await;
            upkept.upkeep();
        }
    };
    let text = move || {
        let text = metrics.render();
        async move { ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text) }
    };
    let router = Router::new()
        .route("/health/live", get(|| async { "live\n" }))
        .route("/health/ready", get(|| async { "ready\n" }))
        .route("/metrics", get(text));
    tokio::select! {
        done = axum::serve(listener, router).with_graceful_shutdown(shutdown) => done.map_err(CliError::not_available),
        () = upkeep => Ok(()),
    }
}
