//! The resources of the two listeners.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response};
use axum::routing::{get, post};
use logystera_infra::log::Log;
use logystera_schemas::limits::ADMIN_CONNECTIONS_MAX;
use tokio::net::TcpListener;

use crate::answer::{Outcome, answer, clock_differs, health};
use crate::config::Timing;
use crate::core::clock::Judgement;
use crate::core::connections::Room;
use crate::core::refusal::Refusal;
use crate::gateway::Gateway;
use crate::server::{DoorMeters, Listening, Saturation, listen};
use crate::tls::Tls;
use logystera_schemas::signature::PATH;

/// Gives all metrics in Prometheus' text format.
pub type Render = Arc<dyn Fn() -> String + Send + Sync>;

/// Serves `router` to operators, or other few clients, until `shutdown` resolves and the requests in flight are
/// finished. `name` is the listener's in the log. They hold at most [`ADMIN_CONNECTIONS_MAX`] connections; beyond that
/// an old connection makes room for a new one.
pub async fn serve_few(
    name: &'static str,
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send,
) {
    let (timing, meters) = (Timing::default(), DoorMeters::noop());
    let listening = Listening { name, listener, tls: None, room: FEW, timing, meters, saturation: Arc::default() };
    listen(listening, router, shutdown).await;
}

/// Room for operators.
const FEW: Room = Room { places: ADMIN_CONNECTIONS_MAX, share: ADMIN_CONNECTIONS_MAX };

impl<L: Log> Gateway<L> {
    /// Serves senders on `listener` until `shutdown` resolves; then takes no new batch, finishes those in flight,
    /// writes what was refused, and returns.
    pub async fn serve(&self, listener: TcpListener, tls: Option<Tls>, shutdown: impl Future<Output = ()> + Send) {
        let router = Router::new().route(PATH, post(batches).fallback(method_not_allowed)).merge(health_routes());
        let router = router.fallback(not_found).with_state(self.clone());
        let closing = async {
            shutdown.await;
            self.0.closing.store(true, Ordering::SeqCst);
        };
        let config = &self.0.config;
        let room = Room { places: config.connections_max, share: config.connections_peer_max };
        let listening = self.listening("senders", listener, room, Arc::clone(&self.0.saturation));
        listen(Listening { tls, ..listening }, router, closing).await;
        self.flush_refused().await;
    }

    /// Serves operators on `listener`: health, and the metrics that `render` gives.
    pub async fn serve_admin(&self, listener: TcpListener, render: Render, shutdown: impl Future<Output = ()> + Send) {
        let metrics = move || {
            let text = render();
            async move {
                let mut response = Response::new(Body::from(text));
                let format = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
                response.headers_mut().insert(CONTENT_TYPE, format);
                response
            }
        };
        let router = Router::new().route("/metrics", get(metrics)).merge(health_routes());
        let router = router.fallback(not_found).with_state(self.clone());
        // A rush at the operators' door does not stop the log's clock.
        listen(self.listening("operators", listener, FEW, Arc::default()), router, shutdown).await;
    }

    fn listening(
        &self,
        name: &'static str,
        listener: TcpListener,
        room: Room,
        saturation: Arc<Saturation>,
    ) -> Listening {
        let (timing, meters) = (self.0.config.timing, self.0.meters.door.clone());
        Listening { name, listener, tls: None, room, timing, meters, saturation }
    }

    fn refuse(&self, request: &Request, refusal: Refusal) -> Response<Body> {
        self.0.meters.refused(refusal);
        answer(&Outcome::Rejected(Box::new(refusal.into())), request.version(), self.0.clock.wall_ms())
    }
}

fn health_routes<L: Log>() -> Router<Gateway<L>> {
    Router::new().route("/health/live", get(live)).route("/health/ready", get(ready))
}

async fn batches<L: Log>(State(gateway): State<Gateway<L>>, request: Request) -> Response<Body> {
    gateway.take(request).await
}

async fn method_not_allowed<L: Log>(State(gateway): State<Gateway<L>>, request: Request) -> Response<Body> {
    gateway.refuse(&request, Refusal::MethodNotAllowed)
}

async fn not_found<L: Log>(State(gateway): State<Gateway<L>>, request: Request) -> Response<Body> {
    gateway.refuse(&request, Refusal::NotFound)
}

async fn live<L: Log>(State(gateway): State<Gateway<L>>) -> Response<Body> {
    health("live", true, gateway.0.clock.wall_ms())
}

/// Ready: batches are taken, as far as the last append can tell, and the keys are those of now.
async fn ready<L: Log>(State(gateway): State<Gateway<L>>) -> Response<Body> {
    let clock_ms = gateway.0.clock.wall_ms();
    match gateway.judge_clock() {
        Judgement::Agrees { .. } => {}
        Judgement::Listens => return health("listening", false, clock_ms),
        Judgement::Differs { log_ms, .. } => return clock_differs(clock_ms, log_ms),
    }
    let closing = gateway.0.closing.load(Ordering::SeqCst);
    // A gateway that writes no ticks learns from its lease that the log is away.
    let is_log_ready = gateway.0.log_ready.load(Ordering::SeqCst) && gateway.0.log.is_open();
    let (status, healthy) = match (closing, is_log_ready) {
        (true, _) => ("shutting_down", false),
        (false, true) if gateway.0.keys.is_stale() => ("control_stale", false),
        (false, true) => ("ready", true),
        (false, false) => ("log_away", false),
    };
    health(status, healthy, clock_ms)
}
