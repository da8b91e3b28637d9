//! A receiver as an operator would write one: it checks the signature of each message and prints it.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use logystera_channels::secret::Secret;
use logystera_infra::shutdown::Shutdown;
use logystera_ingest::serve_few;
use logystera_schemas::calendar;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::story::{LOOK_EVERY, Story};

/// Bytes of a message: many times what a detection can have.
const MESSAGE_BYTES_MAX: usize = 256 << 10;

/// Signals of the evidence that are printed.
const EVIDENCE_SHOWN: usize = 5;

/// The receiver, on its port.
pub struct Receiver {
    /// Where it listens.
    pub address: SocketAddr,
    listener: TcpListener,
    story: Story,
}

#[derive(Clone)]
struct Desk {
    secret: Secret,
    story: Story,
}

impl Receiver {
    /// Listens on a free port of this machine.
    pub async fn bind(story: Story) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        Ok(Self { address: listener.local_addr()?, listener, story })
    }

    /// Takes messages that are signed with `secret`.
    pub fn serve(self, secret: &str, shutdown: Shutdown) {
        let Ok(secret) = secret.parse() else { return };
        let desk = Desk { secret, story: self.story };
        let router = Router::new().route("/alerts", post(take)).with_state(desk);
        let router = router.layer(DefaultBodyLimit::max(MESSAGE_BYTES_MAX));
        tokio::spawn(async move { serve_few("receiver", self.listener, router, shutdown.wait()).await });
    }
}

async fn take(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (id, signature) = (header("webhook-id"), header("webhook-signature"));
    let signed_s: i64 = header("webhook-timestamp").parse().unwrap_or(0);
    // A receiver on a network would compare in constant time, and refuse a timestamp that is minutes old.
    if desk.secret.sign(id, signed_s, &body) != signature {
        desk.story.say("The receiver refused a message: its signature does not hold.");
        return StatusCode::UNAUTHORIZED;
    }
    let message: Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = show(&message, id);
    // The story looks at the log now and then: the detection is told before its alert.
    tokio::spawn(async move {
        tokio::time::sleep(2 * LOOK_EVERY).await;
        desk.story.say(&text);
    });
    StatusCode::NO_CONTENT
}

fn show(message: &Value, id: &str) -> String {
    let data = &message["data"];
    let text = |name: &str| data[name].as_str().unwrap_or_default().to_owned();
    let signals = data["evidence"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut evidence: Vec<String> = signals.iter().take(EVIDENCE_SHOWN).map(evidence).collect();
    if signals.len() > EVIDENCE_SHOWN {
        evidence.push(format!("and {} more", signals.len() - EVIDENCE_SHOWN));
    }
    format!(
        "ALERT received, signature checked, idempotency key {id}:\n\
         \x20 {} {}: {}\n\
         \x20 {}\n\
         \x20 evidence {}\n\
         \x20 {}",
        text("severity").to_uppercase(),
        text("title"),
        message["type"].as_str().unwrap_or_default(),
        text("message"),
        evidence.join("\n           "),
        text("url"),
    )
}

/// One signal of the evidence in a line.
fn evidence(signal: &Value) -> String {
    let at = signal["at"].as_i64().map_or(String::new(), calendar::show);
    let fields = signal.as_object().into_iter().flatten().filter(|(name, _)| *name != "at");
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let fields: Vec<String> = fields.map(|(name, value)| format!("{name}={}", shown(value))).collect();
    format!("{at} {}", fields.join(" "))
}
