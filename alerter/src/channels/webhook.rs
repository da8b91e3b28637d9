//! The generic webhook: JSON over HTTP, signed as Standard Webhooks asks.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use logystera_schemas::control::ChannelKind;
use logystera_schemas::delivery::{AttemptCause, AttemptOutcome};
use logystera_schemas::ids::{ChannelId, DeliveryId};
use logystera_schemas::limits::{WEBHOOK_ANSWER_BYTES_MAX, WEBHOOK_CONNECT_MS, WEBHOOK_TOTAL_MS};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url, retry};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::address::{self, AddressError, AddressPolicy, Lookup, LookupFailed, SystemLookup, VettingResolver};
use super::{Advice, Answer, Attempting, Messenger, Target, message};
use crate::core::Due;

/// Time that the rest of an answer may take once its status is known: it decides nothing any more.
const DRAIN: Duration = Duration::from_secs(1);
/// Time that an idle connection is kept for the next message.
const IDLE: Duration = Duration::from_secs(30);

/// How webhooks are called.
#[derive(Clone)]
pub struct WebhookConfig {
    /// Which addresses may be called.
    pub policy: AddressPolicy,
    /// What looks up the addresses of a host.
    pub lookup: Arc<dyn Lookup>,
    /// Certificates of authorities that are trusted besides the system's.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// How long connecting may take, TLS included.
    pub connect: Duration,
    /// How long an attempt may last as a whole.
    pub total: Duration,
}

impl WebhookConfig {
    /// The usual limits, the system's name servers and certificates.
    pub fn new(policy: AddressPolicy) -> Self {
        Self {
            policy,
            lookup: Arc::new(SystemLookup),
            extra_roots: Vec::new(),
            connect: Duration::from_millis(WEBHOOK_CONNECT_MS),
            total: Duration::from_millis(WEBHOOK_TOTAL_MS),
        }
    }
}

/// The HTTP client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// TLS.
    #[error("TLS can't be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// Anything else.
    #[error("the HTTP client can't be set up: {0}")]
    Client(#[from] reqwest::Error),
}

/// Calls webhooks. Its clones share connections.
#[derive(Clone)]
pub struct Webhook {
    client: Client,
    policy: AddressPolicy,
    total: Duration,
}

impl Webhook {
    /// The client. Proxies of the environment are not used: they would resolve names for us, unvetted.
    pub fn new(config: WebhookConfig) -> Result<Self, WebhookError> {
        let WebhookConfig { policy, lookup, extra_roots, connect, total } = config;
        let client = Client::builder()
            .tls_backend_preconfigured(tls(extra_roots)?)
            .dns_resolver(Arc::new(VettingResolver { policy, lookup }))
            .no_proxy()
            .redirect(Policy::none())
            .retry(retry::never())
            .referer(false)
            .user_agent(concat!("Logystera/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(connect)
            .timeout(total)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(2)
            .build()?;
        Ok(Self { client, policy, total })
    }

    /// Makes one attempt: see [`Messenger::send`]. `now_ms` has to be right: a receiver refuses a signature whose time
    /// is minutes off.
    pub async fn attempt(&self, target: &Target, id: DeliveryId, body: Vec<u8>, now_ms: i64) -> Answer {
        let Ok(url) = vet(&target.url, self.policy) else {
            return Answer::none(AttemptOutcome::AddressForbidden);
        };
        let (id, timestamp_s) = (id.to_string(), now_ms.div_euclid(1_000));
        let request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", timestamp_s)
            .header("webhook-signature", target.secret.sign(&id, timestamp_s, &body))
            .body(body);
        match tokio::time::timeout(self.total, request.send()).await {
            Ok(Ok(response)) => {
                let answer = judge(&response, now_ms);
                drain(response).await;
                answer
            }
            Ok(Err(error)) => failure_of(&error),
            Err(_) => Answer::none(AttemptOutcome::Timeout),
        }
    }

    /// Sends a test message, signed like any other, and gives what came of it.
    pub async fn test_delivery(&self, target: &Target, channel: &ChannelId, now_ms: i64) -> Answer {
        let mut id = [0; 16];
        id.copy_from_slice(&Sha256::digest(format!("channel.test\n{channel}\n{now_ms}").as_bytes())[..16]);
        self.attempt(target, DeliveryId(id), message::test_body(channel, now_ms), now_ms).await
    }
}

impl Messenger for Webhook {
    fn render(&self, due: &Due, public_url: &str, advice: Option<&Advice>) -> Vec<u8> {
        message::body(due, public_url, advice)
    }

    fn send<'a>(&'a self, target: &'a Target, id: DeliveryId, message: Vec<u8>, now_ms: i64) -> Attempting<'a> {
        Box::pin(self.attempt(target, id, message, now_ms))
    }
}

/// Reads a webhook's settings as they are stored: `{"url":…,"secret":…}`. None: they are no such settings.
pub fn parse(settings: &[u8]) -> Option<Target> {
    #[derive(Deserialize)]
    struct Settings<'a> {
        url: String,
        // Borrowed: a copy would stay in memory. Nothing in it needs an escape.
        secret: &'a str,
    }
    let Settings { url, secret } = serde_json::from_slice(settings).ok()?;
    Some(Target { kind: ChannelKind::Webhook, url, secret: secret.parse().ok()? })
}

/// Vets a webhook's address.
pub fn vet(address: &str, policy: AddressPolicy) -> Result<Url, AddressError> {
    address::vet_url(address, policy)
}

/// TLS 1.2 and 1.3 with the certificates that the system trusts and `extra_roots`; with `extra_roots` alone if those of
/// the system can't be read.
fn tls(extra_roots: Vec<CertificateDer<'static>>) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let mut config = match Verifier::new_with_extra_roots(extra_roots.clone(), provider) {
        Ok(verifier) => builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth(),
        Err(error) => {
            tracing::warn!(%error, "the system's certificates can't be read: https channels will not be trusted");
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(extra_roots);
            builder.with_root_certificates(roots).with_no_client_auth()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn judge(response: &Response, now_ms: i64) -> Answer {
    let status = response.status();
    let outcome = if status.is_success() { AttemptOutcome::Delivered } else { AttemptOutcome::Refused };
    let retry_after_s = retry_after_s(response.headers(), now_ms);
    Answer { outcome, status: Some(u32::from(status.as_u16())), retry_after_s, cause: None }
}

/// `Retry-After` in either form (RFC 9110, section 10.2.3).
fn retry_after_s(headers: &HeaderMap, now_ms: i64) -> Option<u64> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok();
    }
    let date = httpdate::parse_http_date(text).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(date.as_secs().saturating_sub(u64::try_from(now_ms / 1_000).unwrap_or(0)))
}

/// Reads a little of the body, so that the connection can be used again, and forgets it: it is a stranger's.
async fn drain(mut response: Response) {
    let read = async {
        let mut bytes = 0;
        while let Ok(Some(chunk)) = response.chunk().await {
            bytes += chunk.len();
            if bytes > WEBHOOK_ANSWER_BYTES_MAX {
                return;
            }
        }
    };
    // Too late is as good as done: what the answer said is in its status.
    drop(tokio::time::timeout(DRAIN, read).await);
}

/// What an attempt without an answer says of the channel. The first of its causes that is known counts.
fn failure_of(error: &reqwest::Error) -> Answer {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(current) = cause {
        if current.is::<AddressError>() {
            return Answer::none(AttemptOutcome::AddressForbidden);
        }
        if let Some(known) = cause_of(current) {
            return Answer::unreachable(known);
        }
        cause = current.source();
    }
    if error.is_timeout() { Answer::none(AttemptOutcome::Timeout) } else { Answer::unreachable(AttemptCause::Other) }
}

fn cause_of(error: &(dyn StdError + 'static)) -> Option<AttemptCause> {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, UnexpectedEof};

    if error.is::<LookupFailed>() {
        return Some(AttemptCause::Dns);
    }
    if error.is::<rustls::Error>() {
        return Some(AttemptCause::Tls);
    }
    let io = error.downcast_ref::<io::Error>()?;
    // What an I/O error wraps is not among its sources.
    if let Some(found) = io.get_ref().and_then(|inner| cause_of(inner)) {
        return Some(found);
    }
    match io.kind() {
        ConnectionRefused => Some(AttemptCause::Refused),
        ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof => Some(AttemptCause::Reset),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let now_ms = 1_767_225_600_500; // Thu, 01 Jan 2026 00:00:00 GMT and a half second.
        for (value, expected) in [
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("0", Some(0)),
            ("Thu, 01 Jan 2026 00:01:00 GMT", Some(60)),
            ("Wed, 01 Jan 2025 00:01:00 GMT", Some(0)),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("99999999999999999999999", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().unwrap());
            assert_eq!(retry_after_s(&headers, now_ms), expected, "{value:?}");
        }
        assert_eq!(retry_after_s(&HeaderMap::new(), now_ms), None);
    }
}
