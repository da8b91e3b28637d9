//! What operators ask a processor or an alerter: whether it lives, and its metrics. The gateway has its own.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use logystera_infra::telemetry::Metrics;
use tokio::net::TcpListener;

use crate::cli::CliError;

/// Serves `/health/live`, `/health/ready` and `/metrics` until `shutdown` resolves. A process of these roles is `ready` when it runs
/// what the group gave it: whoever asks wants to know whether he may go on with the next one.
pub(super) async fn serve(
    listener: TcpListener,
    metrics: Metrics,
    ready: Arc<AtomicBool>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), CliError> {
    let text = move || {
        let text = metrics.render();
        async move { ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text) }
    };
    let is_ready = move || {
        let ready = ready.load(Ordering::Relaxed);
        async move {
            if ready {
                (StatusCode::OK, "ready\n")
            } else {
                (StatusCode::SERVICE_UNAVAILABLE, "its partitions are not all taken over\n")
            }
        }
    };
    let router = Router::new()
        .route("/health/live", get(|| async { "live\n" }))
        .route("/health/ready", get(is_ready))
        .route("/metrics", get(text));
    axum::serve(listener, router).with_graceful_shutdown(shutdown).await.map_err(CliError::not_available)
}
