//! The simulated site: logins, pages, mails and cron jobs, in a batch every two seconds. After half a minute its mail server
//! refuses it, and somebody begins to guess passwords.

use std::net::SocketAddr;
use std::time::Duration;

use logystera_control::sites::IssuedKey;
use logystera_infra::clock::{Clock, SystemClock};
use logystera_infra::secrets::random_bytes;
use logystera_infra::shutdown::Shutdown;
use logystera_schemas::ids::{BatchId, KeyId, Sha256Digest, SiteId, SpoolId};
use logystera_schemas::signature::{CONTENT_TYPE, HEADER, IDENTITY, PATH, Secret, Signed};
use reqwest::Client;
use serde_json::{Value, json};

use crate::story::Story;

/// How often the site sends.
const FLUSH_EVERY: Duration = Duration::from_secs(2);
/// Batches before it misbehaves: half a minute.
const CALM_BATCHES: u64 = 15;
/// Batches after that until somebody guesses passwords.
const GUESSING_AFTER: u64 = 5;
/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);

struct Sender {
    client: Client,
    url: String,
    audience: String,
    site: SiteId,
    key: KeyId,
    secret: Secret,
    spool: SpoolId,
}

/// Behaves, and then misbehaves, until the installation stops.
pub async fn behave(story: Story, key: IssuedKey, gateway: SocketAddr, shutdown: Shutdown) {
    let Some(sender) = Sender::new(&key, gateway) else { return };
    let clock = SystemClock::new();
    let mut every = tokio::time::interval(FLUSH_EVERY);
    let (mut accepted, mut batches) = (0, 0);
    for n in 1_u64.. {
        tokio::select! {
            () = shutdown.wait() => return,
            _ = every.tick() => {}
        }
        match n {
            1 => story.say("The site sends a batch every 2 seconds: logins, pages, mails, cron jobs. All is well, for half a minute."),
            _ if n == CALM_BATCHES => story.say(&format!(
                "{batches} batches with {accepted} signals so far, each on disk before it was acknowledged.\n\
                 Now the site's mail server refuses its password: its mails fail. The site itself looks healthy."
            )),
            _ if n == CALM_BATCHES + GUESSING_AFTER => {
                story.say("And somebody begins to guess passwords, from one address.");
            }
            _ => {}
        }
        let body = body(n, clock.wall_ms()).to_string();
        match sender.send(n, body, clock.wall_ms()).await {
            Ok(signals) => {
                accepted += signals;
                batches += 1;
            }
            Err(error) => story.say(&format!("A batch was not taken: {error}")),
        }
    }
}

impl Sender {
    fn new(key: &IssuedKey, gateway: SocketAddr) -> Option<Self> {
        let mut gateway = gateway;
        if gateway.ip().is_unspecified() {
            gateway.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        Some(Self {
            client: Client::builder().no_proxy().timeout(TIMEOUT).build().ok()?,
            url: format!("http://{gateway}{PATH}"),
            audience: key.audience.clone(),
            site: key.site.parse().ok()?,
            key: key.key.parse().ok()?,
            secret: Secret::from_hex(&key.secret)?,
            spool: SpoolId(random_bytes()),
        })
    }

    /// Sends one batch. Returns how many signals of it were accepted.
    async fn send(&self, seq: u64, body: String, now_ms: i64) -> Result<u64, String> {
        let signature = Signed {
            audience: &self.audience,
            site: &self.site,
            key: &self.key,
            ts: now_ms.div_euclid(1_000),
            batch: BatchId { spool: self.spool, seq },
            content_type: CONTENT_TYPE.as_bytes(),
            content_encoding: IDENTITY.as_bytes(),
            body_digest: Sha256Digest::of(body.as_bytes()),
        }
        .sign(&self.secret);
        let request = self.client.post(&self.url).header(HEADER, signature).header("content-type", CONTENT_TYPE);
        let answer = request.body(body).send().await.map_err(|e| e.without_url().to_string())?;
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        if !status.is_success() {
            return Err(format!("{status} {text}"));
        }
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        Ok(answer["accepted"].as_u64().unwrap_or(0))
    }
}

/// What happened in the two seconds before `now_ms`.
fn body(n: u64, now_ms: i64) -> Value {
    let mut signals = vec![
        json!({"type": "http.request", "method": "GET", "path": "/", "status": 200, "route_group": "page", "duration_ms": 80 + n % 40, "source": hash(n % 7)}),
        json!({"type": "http.request", "method": "POST", "path": "/cart", "status": 200, "route_group": "page", "duration_ms": 140 + n % 60, "source": hash(n % 5)}),
    ];
    if n.is_multiple_of(2) {
        signals.push(json!({"type": "auth.attempt", "outcome": "success", "method": "form", "user_hash": hash(100 + n % 9), "source": hash(n % 9), "privileged": false}));
    }
    if n % 5 == 1 {
        signals.push(json!({"type": "cron.run", "job": "shop_sync", "outcome": "ok", "duration_ms": 900}));
    }
    if n < CALM_BATCHES {
        if n.is_multiple_of(3) {
            signals.push(json!({"type": "mail.outcome", "outcome": "sent", "transport": "smtp", "recipients": 1}));
        }
    } else {
        signals.push(json!({"type": "mail.outcome", "outcome": "failed", "transport": "smtp", "error_class": "auth", "recipients": 1}));
    }
    if n >= CALM_BATCHES + GUESSING_AFTER {
        for guess in 0..6 {
            signals.push(json!({"type": "auth.attempt", "outcome": "failure", "method": "xmlrpc", "reason": "bad_password", "user_hash": hash(200 + guess % 3), "source": hash(666), "privileged": true}));
        }
    }
    let first_ms = now_ms - signals.len() as i64;
    for (signal, at) in signals.iter_mut().zip(first_ms..) {
        signal["at"] = json!(at);
    }
    let enabled = ["http.request", "auth.attempt", "mail.outcome", "cron.run"];
    json!({
        "through": now_ms,
        "flush_every_s": FLUSH_EVERY.as_secs(),
        "integration": {"platform": "other", "version": "demo", "enabled": enabled},
        "signals": signals,
    })
}

/// A keyed hash as an integration would send it: here any 16 bytes that differ.
fn hash(number: u64) -> String {
    let digest = Sha256Digest::of(&number.to_le_bytes()).to_string();
    digest[..32].to_owned()
}
