//! What operators ask a processor or an alerter: whether it lives, and its metrics. The gateway has its own.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use logystera_infra::directory::DirectoryView;
use logystera_infra::telemetry::Metrics;
use logystera_ingest::serve_few;
use logystera_schemas::limits::CONTROL_STALE_MS_MAX;
use tokio::net::TcpListener;

/// What a process knows of its own health.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// Whether it runs what the group gave it.
    pub(crate) ready: Arc<AtomicBool>,
    /// Topic `control`, once it is followed.
    pub(crate) control: OnceLock<DirectoryView>,
}

impl Health {
    fn state(&self) -> (StatusCode, String) {
        let control = self.control.get();
        let unreadable = control.map_or(0, |view| view.current().unreadable());
        state(self.ready.load(Ordering::Relaxed), control.map_or(0, DirectoryView::age_ms), unreadable)
    }
}

/// What whoever asks is told. `age_ms` is how long ago topic `control` could be read, `unreadable` how many of its records cannot.
fn state(runs: bool, age_ms: i64, unreadable: usize) -> (StatusCode, String) {
    if !runs {
        return (StatusCode::SERVICE_UNAVAILABLE, "its partitions are not all taken over\n".to_owned());
    }
    if age_ms > CONTROL_STALE_MS_MAX {
        let seconds = age_ms / 1_000;
        let said = format!(
            "topic control could not be read for {seconds} s: changes of sites, keys and channels are not known\n"
        );
        return (StatusCode::SERVICE_UNAVAILABLE, said);
    }
    if unreadable > 0 {
        let said = format!(
            "ready, degraded: records of topic control about {unreadable} entities cannot be read, and those stay as they were\n"
        );
        return (StatusCode::OK, said);
    }
    (StatusCode::OK, "ready\n".to_owned())
}

/// Serves `/health/live`, `/health/ready` and `/metrics` until `shutdown` resolves. A process of these roles is `ready` when it runs
/// what the group gave it: whoever asks wants to know whether he may go on with the next one.
pub(crate) async fn serve(
    listener: TcpListener,
    metrics: Metrics,
    health: Arc<Health>,
    shutdown: impl Future<Output = ()> + Send,
) {
    let text = move || {
        let text = metrics.render();
        async move { ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text) }
    };
    let is_ready = move || {
        let state = health.state();
        async move { state }
    };
    let router = Router::new()
        .route("/health/live", get(|| async { "live\n" }))
        .route("/health/ready", get(is_ready))
        .route("/metrics", get(text));
    serve_few("operators", listener, router, shutdown).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_says_whether_it_is_ready_and_why_not() {
        let table = [
            (true, 0, 0, 200, "ready\n"),
            (true, CONTROL_STALE_MS_MAX, 0, 200, "ready\n"),
            (true, CONTROL_STALE_MS_MAX + 1, 0, 503, "topic control could not be read for 30 s"),
            (true, 0, 2, 200, "ready, degraded: records of topic control about 2 entities"),
            (true, CONTROL_STALE_MS_MAX + 1, 2, 503, "topic control"),
            (false, 0, 2, 503, "not all taken over"),
        ];
        for (runs, age_ms, unreadable, code, says) in table {
            let (status, said) = state(runs, age_ms, unreadable);
            assert!(status.as_u16() == code && said.contains(says), "{runs} {age_ms}: {status} {said}");
        }
    }
}
