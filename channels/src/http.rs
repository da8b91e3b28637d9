//! The HTTP client of all kinds that post to an address of a tenant's choice: vetted addresses, no redirects, bounded
//! times, and of the answer no more than its kind has to read.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use logystera_schemas::delivery::{AttemptCause, AttemptOutcome};
use logystera_schemas::ids::DeliveryId;
use logystera_schemas::limits::{WEBHOOK_ANSWER_BYTES_MAX, WEBHOOK_CONNECT_MS, WEBHOOK_TOTAL_MS};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, retry};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

use crate::Answer;
use crate::address::{AddressError, AddressPolicy, Lookup, LookupFailed, SystemLookup, VettingResolver, vet_url};

/// Time that the rest of an answer may take once its status is known and says it all.
pub(super) const DRAIN: Duration = Duration::from_secs(1);
/// Time that an idle connection is kept for the next message.
const IDLE: Duration = Duration::from_secs(30);

/// How receivers are called.
#[derive(Clone)]
pub struct HttpConfig {
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

impl HttpConfig {
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
pub enum HttpError {
    /// TLS.
    #[error("TLS can't be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// Anything else.
    #[error("the HTTP client can't be set up: {0}")]
    Client(#[from] reqwest::Error),
}

/// Posts messages. Its clones share connections.
#[derive(Clone)]
pub struct Http {
    client: Client,
    policy: AddressPolicy,
    total: Duration,
}

/// What a receiver answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) retry_after_s: Option<u64>,
    /// Its body, or the first [`WEBHOOK_ANSWER_BYTES_MAX`] bytes of it. None: it did not come in time, or broke off.
    pub(super) body: Option<Vec<u8>>,
}

impl Reply {
    /// What the status alone says.
    pub(super) fn answer(&self) -> Answer {
        let outcome = outcome_of(self.status, self.retry_after_s);
        let (status, retry_after_s) = (Some(u32::from(self.status)), self.retry_after_s);
        Answer { status, retry_after_s, ..Answer::none(outcome) }
    }
}

/// What a status means, if a receiver says no more (RFC 9110, section 15).
pub(super) fn outcome_of(status: u16, retry_after_s: Option<u64>) -> AttemptOutcome {
    match status {
        200..=299 => AttemptOutcome::Delivered,
        429 => AttemptOutcome::Throttled,
        // Without a time it may as well be broken.
        503 if retry_after_s.is_some() => AttemptOutcome::Throttled,
        410 => AttemptOutcome::Gone,
        400..=499 => AttemptOutcome::Rejected,
        _ => AttemptOutcome::Failed,
    }
}

impl Http {
    /// The client. Proxies of the environment are not used: they would resolve names for us, unvetted.
    pub fn new(config: HttpConfig) -> Result<Self, HttpError> {
        let HttpConfig { policy, lookup, extra_roots, connect, total } = config;
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

    /// Which addresses may be called.
    pub(super) fn policy(&self) -> AddressPolicy {
        self.policy
    }

    /// Posts a message of Slack or Teams under its idempotency key. What they answer stands in the body: it is waited for as
    /// long as the attempt may last.
    pub(super) async fn post_message(
        &self,
        url: &str,
        id: DeliveryId,
        body: Vec<u8>,
        now_ms: i64,
    ) -> Result<Reply, Answer> {
        let key = HeaderValue::from_str(&id.to_string()).map_err(|_| Answer::none(AttemptOutcome::Failed))?;
        let headers = HeaderMap::from_iter([(HeaderName::from_static("webhook-id"), key)]);
        self.post(url, headers, body, now_ms, self.total).await
    }

    /// Posts JSON; the answer's body may take `drain` once its status has come. The error is what came of it without an
    /// answer. The address is vetted once more: what may be called can have changed since it was configured.
    pub(super) async fn post(
        &self,
        url: &str,
        headers: HeaderMap,
        body: Vec<u8>,
        now_ms: i64,
        drain: Duration,
    ) -> Result<Reply, Answer> {
        let Ok(url) = vet_url(url, self.policy) else {
            return Err(Answer::none(AttemptOutcome::Forbidden));
        };
        let request = self.client.post(url).headers(headers).header(CONTENT_TYPE, "application/json").body(body);
        match tokio::time::timeout(self.total, request.send()).await {
            Ok(Ok(response)) => {
                let (status, retry_after_s) = (response.status().as_u16(), retry_after_s(response.headers(), now_ms));
                Ok(Reply { status, retry_after_s, body: read(response, drain).await })
            }
            Ok(Err(error)) => Err(failure_of(&error)),
            Err(_) => Err(Answer::none(AttemptOutcome::Timeout)),
        }
    }
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

/// `Retry-After` in either form (RFC 9110, section 10.2.3).
fn retry_after_s(headers: &HeaderMap, now_ms: i64) -> Option<u64> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok();
    }
    let date = httpdate::parse_http_date(text).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(date.as_secs().saturating_sub(u64::try_from(now_ms / 1_000).unwrap_or(0)))
}

/// Reads the beginning of the body, also so that the connection can be used again. It is a stranger's.
async fn read(mut response: Response, within: Duration) -> Option<Vec<u8>> {
    let read = async {
        let mut body = Vec::new();
        while body.len() < WEBHOOK_ANSWER_BYTES_MAX {
            match response.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(_) => return None,
            }
        }
        body.truncate(WEBHOOK_ANSWER_BYTES_MAX);
        Some(body)
    };
    tokio::time::timeout(within, read).await.ok().flatten()
}

/// What an attempt without an answer says of the channel. The first of its causes that is known counts.
fn failure_of(error: &reqwest::Error) -> Answer {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(current) = cause {
        if current.is::<AddressError>() {
            return Answer::none(AttemptOutcome::Forbidden);
        }
        if let Some(known) = cause_of(current) {
            return Answer::unreachable(known);
        }
        cause = current.source();
    }
    if error.is_timeout() { Answer::none(AttemptOutcome::Timeout) } else { Answer::unreachable(AttemptCause::Other) }
}

/// The cause that an error is, if it is one that is known.
pub(super) fn cause_of(error: &(dyn StdError + 'static)) -> Option<AttemptCause> {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, UnexpectedEof};

    if error.is::<LookupFailed>() {
        return Some(AttemptCause::Dns);
    }
    if error.is::<rustls::Error>() {
        return Some(AttemptCause::Tls);
    }
    // The connection ended before its answer was whole.
    if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message) {
        return Some(AttemptCause::Reset);
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
    fn a_status_has_one_meaning() {
        use AttemptOutcome::{Delivered, Failed, Gone, Rejected, Throttled};
        for (status, retry_after_s, expected) in [
            (200, None, Delivered),
            (204, Some(9), Delivered),
            (301, None, Failed),
            (400, None, Rejected),
            (404, Some(9), Rejected),
            (410, None, Gone),
            (413, None, Rejected),
            (429, None, Throttled),
            (429, Some(7), Throttled),
            (499, None, Rejected),
            (500, None, Failed),
            (502, Some(9), Failed),
            (503, None, Failed),
            (503, Some(60), Throttled),
        ] {
            assert_eq!(outcome_of(status, retry_after_s), expected, "{status} {retry_after_s:?}");
        }
    }

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
