//! The generic webhook: JSON over HTTP, signed as Standard Webhooks asks. Its receiver's status says what came of it.

use std::str::FromStr as _;

use logystera_schemas::ids::{ChannelId, DeliveryId};
use reqwest::header::{HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use crate::address::vet_url;
use crate::http::{DRAIN, Http};
use crate::secret::Secret;
use crate::{Advice, Answer, Attempting, Messenger, Refusal, Settings, Target, message, one_url};
use logystera_schemas::alert::Due;

/// Calls webhooks. Its clones share connections.
#[derive(Clone)]
pub struct Webhook {
    http: Http,
}

impl Webhook {
    /// Over this client.
    pub fn new(http: Http) -> Self {
        Self { http }
    }

    /// Makes one attempt: see [`Messenger::send`]. `now_ms` has to be right: a receiver refuses a signature whose time
    /// is minutes off.
    pub async fn attempt(&self, url: &str, secret: &Secret, id: DeliveryId, body: Vec<u8>, now_ms: i64) -> Answer {
        let (id, timestamp_s) = (id.to_string(), now_ms.div_euclid(1_000));
        let signature = secret.sign(&id, timestamp_s, &body);
        let mut headers = HeaderMap::new();
        headers.insert("webhook-timestamp", HeaderValue::from(timestamp_s));
        for (name, value) in [("webhook-id", &id), ("webhook-signature", &signature)] {
            // Both are of hex digits and base64.
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        }
        match self.http.post(url, headers, body, now_ms, DRAIN).await {
            Ok(reply) => reply.answer(),
            Err(answer) => answer,
        }
    }
}

impl Messenger for Webhook {
    fn settings(&self, given: &[String], random: &[u8; 32]) -> Result<Settings, Refusal> {
        let url = one_url(given)?;
        let url = String::from(vet_url(url, self.http.policy()).map_err(Refusal::Address)?);
        let secret = Secret::from_bytes(random).expose();
        let stored = Zeroizing::new(json!({"url": url, "secret": *secret}).to_string());
        Ok(Settings { stored, addresses: vec![url], secret: Some(secret) })
    }

    fn render(&self, due: &Due, _: &Target, public_url: &str, advice: Option<&Advice>) -> Vec<u8> {
        message::body(due, public_url, advice)
    }

    fn render_test(&self, channel: &ChannelId, _: &Target, _: DeliveryId, now_ms: i64) -> Vec<u8> {
        message::test_body(channel, now_ms)
    }

    fn send<'a>(&'a self, target: &'a Target, id: DeliveryId, message: Vec<u8>, now_ms: i64) -> Attempting<'a> {
        Box::pin(async move {
            match target {
                Target::Webhook { url, secret } => self.attempt(url, secret, id, message, now_ms).await,
                _ => Answer::misdirected(),
            }
        })
    }
}

/// Reads a webhook's settings as they are stored: `{"url":…,"secret":…}`. None: they are no such settings.
pub(super) fn parse(settings: &[u8]) -> Option<Target> {
    #[derive(Deserialize)]
    struct Stored<'a> {
        url: String,
        // Borrowed: a copy would stay in memory. Nothing in it needs an escape.
        secret: &'a str,
    }
    let Stored { url, secret } = serde_json::from_slice(settings).ok()?;
    Some(Target::Webhook { url, secret: Secret::from_str(secret).ok()? })
}
