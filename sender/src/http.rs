//! One try: sign, post, read the answer.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use logystera_infra::clock::Clock;
use logystera_schemas::ids::{BatchId, Sha256Digest};
use logystera_schemas::limits::{ANSWER_BYTES_MAX, SEND_TIMEOUT_MS};
use logystera_schemas::signature::{CONTENT_TYPE, HEADER, IDENTITY, Signed};
use reqwest::Certificate;
use reqwest::blocking::{Client, Response};
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE as CONTENT_TYPE_HEADER, RETRY_AFTER};

use crate::core::answer::Answer;
use crate::target::{Target, is_loopback};
use crate::trouble;

/// Time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Why there is no way to a gateway.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The authority's certificates cannot be had.
    #[error("--ca {}: {what}", path.display())]
    Ca {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The client cannot be set up.
    #[error("cannot set up HTTP: {0}")]
    Client(#[from] reqwest::Error),
}

/// The way to the gateway.
pub(crate) struct Gateway {
    client: Client,
    target: Target,
}

/// What came of a try.
pub(crate) struct Tried {
    /// What the gateway said.
    pub(crate) answer: Answer,
    /// Why nothing came back, for people.
    pub(crate) failure: Option<String>,
    /// Server minus sender in milliseconds, by the middle of the try.
    pub(crate) offset_ms: Option<i64>,
}

impl Gateway {
    /// With the certificates of `ca` beside those that the machine trusts.
    pub(crate) fn new(target: Target, ca: Option<&Path>) -> Result<Self, HttpError> {
        // Somebody else in this process may have installed one: any will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .user_agent(concat!("logystera-send/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(Duration::from_millis(SEND_TIMEOUT_MS));
        if is_loopback(&target.url) {
            builder = builder.no_proxy();
        }
        if let Some(path) = ca {
            builder = builder.tls_certs_merge(authorities(path)?);
        }
        Ok(Self { client: builder.build()?, target })
    }

    /// Where batches are posted, and who signs them.
    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// Posts a batch, signed by the sender's clock corrected by `offset_ms`.
    pub(crate) fn post(&self, clock: &dyn Clock, offset_ms: i64, batch: BatchId, gzip: bool, body: Vec<u8>) -> Tried {
        let encoding = if gzip { "gzip" } else { IDENTITY };
        let sent_ms = clock.wall_ms();
        let started_ms = clock.monotonic_ms();
        let signature = Signed {
            audience: &self.target.audience,
            site: &self.target.site,
            key: &self.target.key,
            ts: sent_ms.saturating_add(offset_ms).div_euclid(1_000),
            batch,
            content_type: CONTENT_TYPE.as_bytes(),
            content_encoding: encoding.as_bytes(),
            body_digest: Sha256Digest::of(&body),
        }
        .sign(&self.target.secret);
        let mut request = self.client.post(self.target.url.clone());
        request = request.header(HEADER, signature).header(CONTENT_TYPE_HEADER, CONTENT_TYPE);
        if gzip {
            request = request.header(CONTENT_ENCODING, encoding);
        }
        match request.body(body).send() {
            Ok(response) => {
                let answer = read(response);
                let middle_ms = sent_ms + (clock.monotonic_ms() - started_ms) / 2;
                let offset_ms = answer.body.as_ref().map(|b| b.server_time.saturating_sub(middle_ms));
                Tried { answer, failure: None, offset_ms }
            }
            Err(error) => Tried {
                answer: Answer::default(),
                failure: Some(trouble::sentence(&error.without_url())),
                offset_ms: None,
            },
        }
    }
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, HttpError> {
    let failed = |what: String| HttpError::Ca { path: path.to_owned(), what };
    let pem = std::fs::read(path).map_err(|e| failed(e.to_string()))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|e| failed(trouble::causes(&e)))?;
    if found.is_empty() {
        let is_key = pem.windows(12).any(|w| w == b"PRIVATE KEY-");
        let what = if is_key { "a private key, not a certificate" } else { "no certificate" };
        return Err(failed(format!("{what} in it; one begins with -----BEGIN CERTIFICATE-----")));
    }
    Ok(found)
}

fn read(response: Response) -> Answer {
    let status = response.status().as_u16();
    let retry_after_s =
        response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()).and_then(|v| v.trim().parse().ok());
    let mut bytes = Vec::new();
    let whole = response.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes).is_ok();
    let body = whole.then(|| serde_json::from_slice(&bytes).ok()).flatten();
    Answer { status, retry_after_s, body }
}
