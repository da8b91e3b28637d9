//! The checks of a batch before its body is looked into, in the order of the design: headers, signature, replay, quota.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, TRANSFER_ENCODING};
use axum::http::{HeaderMap, HeaderName};
use logystera_infra::log::Log;
use logystera_schemas::ids::{KeyId, Sha256Digest, SiteId, TenantId};
use logystera_schemas::signature::{HEADER, IDENTITY, SignatureHeader, Signed};
use tokio::sync::OwnedSemaphorePermit;

use crate::answer::Rejection;
use crate::body::Received;
use crate::core::refusal::Refusal;
use crate::core::replay::{Seen, Try};
use crate::core::verify::{Facts, KeyState, Verdict, decide};
use crate::gateway::Gateway;
use crate::lock::lock;

/// Reason in `Refused` records for a batch that the log had already.
const DUPLICATE: &str = "duplicate";

/// A batch whose signature holds and that is not in the log, as far as is known.
pub(crate) struct Verified {
    pub(crate) header: SignatureHeader,
    pub(crate) tenant: TenantId,
    pub(crate) received: Received,
    pub(crate) gzip: bool,
    pub(crate) received_at: i64,
    /// Its share of the room for what the log does not have yet.
    pub(crate) room: OwnedSemaphorePermit,
}

/// What the checks make of a request.
pub(crate) enum Checked {
    /// Look into the body.
    New(Box<Verified>),
    /// The log has the batch; `same` if the bytes were compared.
    Duplicate { same: bool },
}

impl<L: Log> Gateway<L> {
    /// What is checked before the body is read.
    pub(crate) fn open(&self, headers: &HeaderMap, query: Option<&str>) -> Result<SignatureHeader, Box<Rejection>> {
        let refuse = |refusal: Refusal| Err(Box::new(refusal.into()));
        if self.0.closing.load(Ordering::SeqCst) {
            return refuse(Refusal::ShuttingDown);
        }
        if query.is_some() {
            return refuse(Refusal::NotFound);
        }
        // The HTTP library drops a `Content-Length` beside it without a word, so that the pair cannot be told from a
        // lone one: neither is taken. HTTP/2 has no such header.
        if headers.contains_key(TRANSFER_ENCODING) {
            return refuse(Refusal::LengthRequired);
        }
        match one(headers, &HeaderName::from_static(HEADER)).map(SignatureHeader::parse) {
            Some(Ok(header)) => Ok(header),
            Some(Err(_)) | None => refuse(Refusal::SignatureMalformed),
        }
    }

    /// Counts a refusal of a request whose signature was not checked yet or does not hold, for the site that it names,
    /// if there is such a site.
    pub(crate) fn reject_unauthenticated(&self, site: &SiteId, refusal: Refusal) -> Box<Rejection> {
        if self.0.keys.site(site.as_str()).is_some() {
            lock(&self.0.tally).add(site, None, refusal.row().code, 1);
        }
        Box::new(refusal.into())
    }

    /// Counts a refusal of a batch whose signature holds.
    pub(crate) fn reject(&self, header: &SignatureHeader, refusal: Refusal) -> Box<Rejection> {
        // A request that was captured holds its signature for ever: sent again later, it must not keep a dead site
        // alive.
        let sign_of_life = refusal != Refusal::ClockSkew;
        let spool = sign_of_life.then_some(header.batch.spool);
        lock(&self.0.tally).add(&header.site, spool, refusal.row().code, 1);
        Box::new(Rejection { batch: Some(header.batch), ..refusal.into() })
    }

    /// Checks the signature and what comes after it up to the body's content.
    pub(crate) fn verify(
        &self,
        header: SignatureHeader,
        headers: &HeaderMap,
        mut received: Received,
    ) -> Result<Checked, Box<Rejection>> {
        let now_ms = self.0.clock.wall_ms();
        let content_type = one(headers, &CONTENT_TYPE);
        let content_encoding = match headers.get(CONTENT_ENCODING) {
            None => Some(IDENTITY.as_bytes()),
            Some(_) => one(headers, &CONTENT_ENCODING),
        };
        let found = self.0.keys.find(header.site.as_str(), header.key.as_str());
        let signed = Signed {
            audience: &self.0.config.audience,
            site: &header.site,
            key: &header.key,
            ts: header.ts,
            batch: header.batch,
            content_type: content_type.unwrap_or_default(),
            content_encoding: content_encoding.unwrap_or_default(),
            body_digest: received.digest,
        };
        let mac_holds = signed.holds(found.as_ref().map_or(&self.0.dummy, |k| &k.secret), &header.mac);
        let key =
            found.as_ref().map_or(KeyState::Unknown, |k| KeyState::of(k.revoked, k.not_before, k.not_after, now_ms));
        let verdict = decide(&Facts {
            key,
            mac_holds,
            now_s: now_ms.div_euclid(1_000),
            ts: header.ts,
            site_closed: self.0.keys.site(header.site.as_str()).is_some_and(|s| s.closed),
            replay: &|| self.look(&header, &received.digest, now_ms),
            content_type,
            content_encoding,
        });
        let tenant = match (found, verdict) {
            (Some(_), Verdict::Duplicate { same }) => {
                self.count_duplicate(&header);
                return Ok(Checked::Duplicate { same });
            }
            (Some(found), Verdict::Admit) => found.tenant,
            (Some(_), Verdict::Refuse(refusal)) if key == KeyState::Live && mac_holds => {
                return Err(self.reject(&header, refusal));
            }
            (_, Verdict::Refuse(refusal)) => return Err(self.reject_unauthenticated(&header.site, refusal)),
            (None, Verdict::Admit | Verdict::Duplicate { .. }) => {
                return Err(self.reject_unauthenticated(&header.site, Refusal::KeyUnknown));
            }
        };
        let length = received.bytes.len();
        if let Err(over) = lock(&self.0.quotas).take(&header.site, length, self.0.clock.monotonic_ms()) {
            let rejection = self.reject(&header, Refusal::QuotaExceeded);
            let answer_in = Some(Duration::from_millis(over.answer_in_ms));
            return Err(Box::new(Rejection { retry_after_s: Some(over.retry_after_s), answer_in, ..*rejection }));
        }
        let room = self.0.unwritten.clone().try_acquire_many_owned(length as u32);
        let room = room.map_err(|_| self.reject(&header, Refusal::Busy))?;
        received.room = None;
        self.0.meters.body_bytes.increment(length as u64);
        let gzip = content_encoding == Some(b"gzip");
        Ok(Checked::New(Box::new(Verified { header, tenant, received, gzip, received_at: now_ms, room })))
    }

    /// Counts a batch that the log had already.
    pub(crate) fn count_duplicate(&self, header: &SignatureHeader) {
        self.0.meters.duplicate.increment(1);
        lock(&self.0.tally).add(&header.site, Some(header.batch.spool), DUPLICATE, 1);
    }

    /// What the replay cache knows of a batch whose signature holds.
    fn look(&self, header: &SignatureHeader, digest: &Sha256Digest, now_ms: i64) -> Seen {
        let site = &header.site;
        let keyring = |key: &KeyId| self.0.keys.standing(site.as_str(), key.as_str());
        let asked = Try { site, key: &header.key, batch: header.batch, digest, now_ms };
        lock(&self.0.replay).look(&asked, &keyring)
    }
}

/// The value of a header that stands there exactly once.
pub(crate) fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then_some(first.as_bytes())
}
