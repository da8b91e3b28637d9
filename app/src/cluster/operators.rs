//! What operators ask a processor or an alerter: whether it lives, and its metrics. The gateway has its own.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use logystera_infra::telemetry::Metrics;
use std::future::Future;
use tokio::net::TcpListener;

use crate::cli::CliError;

/// Serves `/health/live`, `/health/ready` and `/metrics` until `shutdown` resolves. A process of these roles is ready as soon as it has joined:
/// whoever asks wants to know whether it may go on with the next one.
pub(super) async fn serve(
    listener: TcpListener,
    metrics: Metrics,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), CliError> {
    let text = move || {
        let text = metrics.render();
        async move { ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text) }
    };
    let router = Router::new()
        .route("/health/live", get(|| async { "live\n" }))
        .route("/health/ready", get(|| async { "ready\n" }))
        .route("/metrics", get(text));
    axum::serve(listener, router).with_graceful_shutdown(shutdown).await.map_err(CliError::not_available)
}
