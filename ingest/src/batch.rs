//! The way of one batch through the gateway: receive, check, admit, append, answer.

use axum::body::Body;
use axum::http::header::CONTENT_LENGTH;
use axum::http::{Request, Response};
use logystera_infra::log::{Entry, Log};
use logystera_schemas::batch::{BatchHead, encode};
use logystera_schemas::ids::{BatchId, KeyGroup, SiteId};
use logystera_schemas::limits::{BODY_BYTES_MAX, LARGE_BODY_BYTES};
use logystera_schemas::signature::SignatureHeader;
use logystera_schemas::topic::Topic;

use crate::answer::{Outcome, Rejection, answer};
use crate::body::{Received, receive};
use crate::checks::{Checked, Verified, one};
use crate::core::admit::{Admitted, BodyFault, RefusedSignals, Terms, admit};
use crate::core::clock::Judgement;
use crate::core::inflate::{Inflated, inflate};
use crate::core::refusal::{Refusal, SignalRefusal};
use crate::core::replay::Seen;
use crate::core::verify::{Verdict, replayed};
use crate::gateway::Gateway;
use crate::lock::lock;
use crate::server::Seat;

impl<L: Log> Gateway<L> {
    /// Answers one request for `/v1/batches`.
    pub(crate) async fn take(&self, request: Request<Body>) -> Response<Body> {
        let version = request.version();
        let judged = self.judge_clock();
        if !judged.takes_batches() {
            let refusal = Refusal::ClockDiffers;
            self.0.meters.refused(refusal);
            // Senders correct their clocks by what they are told.
            let log_ms = if let Judgement::Differs { log_ms, .. } = judged { log_ms } else { self.0.clock.wall_ms() };
            return answer(&Outcome::Rejected(Box::new(refusal.into())), version, log_ms);
        }
        let outcome = match self.outcome(request).await {
            Ok(outcome) => outcome,
            Err(rejection) => {
                self.0.meters.refused(rejection.refusal);
                Outcome::Rejected(rejection)
            }
        };
        answer(&outcome, version, self.0.clock.wall_ms())
    }

    async fn outcome(&self, request: Request<Body>) -> Result<Outcome, Box<Rejection>> {
        let (mut parts, body) = request.into_parts();
        let seat = parts.extensions.remove::<Seat>();
        let header = self.open(&parts.headers, parts.uri.query())?;
        let wait = self.0.config.timing.body_read;
        let declared = one(&parts.headers, &CONTENT_LENGTH).and_then(|v| std::str::from_utf8(v).ok()?.parse().ok());
        let received = receive(body, declared, &self.0.unauthenticated, wait).await;
        let received = received.map_err(|refusal| self.reject_unauthenticated(&header.site, refusal))?;
        let batch = header.batch;
        let checked = self.verify(header, &parts.headers, received);
        // A signature that holds earns the connection its place; not with `clock_skew`: the request may be an old
        // capture.
        let proved = checked.as_ref().map_or_else(|t| t.batch.is_some() && t.refusal != Refusal::ClockSkew, |_| true);
        if let Some(seat) = seat.filter(|_| proved) {
            seat.verified();
        }
        if let Some(wait) = checked.as_ref().err().and_then(|rejection| rejection.answer_in) {
            tokio::time::sleep(wait).await;
        }
        match checked? {
            Checked::New(verified) => self.write(verified).await,
            Checked::Duplicate { same } => Ok(Outcome::Duplicate { batch, same }),
        }
    }

    /// Admits and appends.
    async fn write(&self, verified: Box<Verified>) -> Result<Outcome, Box<Rejection>> {
        let Verified { header, tenant, received, gzip, received_at, mut room } = *verified;
        let terms = Terms { received_at, signal_age_ms_max: self.0.config.signal_age_ms_max };
        let Received { bytes, digest, .. } = received;
        let wire_bytes = bytes.len();
        let Opened { cost, admitted } = self.opened(&header.site, bytes, gzip, terms).await;
        let signals = admitted.as_ref().map_or(0, |a| a.accepted + a.refused.total() as usize);
        let more = cost.saturating_sub(wire_bytes);
        lock(&self.0.quotas).charge(&header.site, more, signals, self.0.clock.monotonic_ms());
        let admitted = admitted.map_err(|fault| {
            let rejection = self.reject(&header, fault.refusal);
            Box::new(Rejection { fault: Some(fault), ..*rejection })
        })?;
        if admitted.accepted == 0 && admitted.refused.total() > 0 {
            self.count_refused(&header, &admitted.refused);
            let rejection = self.reject(&header, Refusal::NothingAcceptable);
            return Err(Box::new(Rejection { refused: Some(admitted.refused), ..*rejection }));
        }
        let head = BatchHead {
            tenant,
            site: header.site.clone(),
            key: header.key.clone(),
            encryption_key: None,
            spool: header.batch.spool,
            seq: header.batch.seq,
            digest,
            received_at,
            through: admitted.through,
            clock_offset_ms: admitted.clock_offset_ms,
            flush_every_s: admitted.flush_every_s,
            platform: admitted.platform,
            integration_version: admitted.integration_version,
            enabled: admitted.enabled,
            refused: admitted.refused.total(),
            base_at: admitted.base_at,
            ends: admitted.ends,
        };
        let value = encode(&head, &admitted.signals);
        let more = value.len().saturating_sub(room.num_permits()) as u32;
        let more = self.0.unwritten.clone().try_acquire_many_owned(more);
        room.merge(more.map_err(|_| self.reject(&header, Refusal::Busy))?);
        let site = header.site.as_str();
        let partition = KeyGroup::of(site).partition(self.0.log.partitions(Topic::Signals));
        let entry = Entry { topic: Topic::Signals, partition, key: site.as_bytes().to_vec(), value };
        let reserved = match self.reserve(&header, &digest, received_at).await {
            Ok(reserved) => reserved,
            Err(seen) => return self.answer_as(&header, seen),
        };
        let entries = self.tick_ahead().into_iter().chain([entry]).collect();
        if !self.in_time(partition, reserved.append(entries, room)).await {
            return Err(self.reject(&header, Refusal::LogAway));
        }
        Ok(self.accepted(&header, admitted.accepted, admitted.refused))
    }

    /// The answer to a batch whose number another try has or had, by what is known of that; none: it did not end in
    /// time.
    fn answer_as(&self, header: &SignatureHeader, first: Option<Seen>) -> Result<Outcome, Box<Rejection>> {
        match first.map(replayed) {
            Some(Some(Verdict::Refuse(refusal))) => Err(self.reject(header, refusal)),
            Some(Some(Verdict::Duplicate { same })) => {
                self.count_duplicate(header);
                Ok(Outcome::Duplicate { batch: header.batch, same })
            }
            Some(Some(Verdict::Admit) | None) | None => Err(self.reject(header, Refusal::LogAway)),
        }
    }

    fn accepted(&self, header: &SignatureHeader, accepted: usize, refused: RefusedSignals) -> Outcome {
        self.0.meters.accepted.increment(1);
        self.0.meters.signals_accepted.increment(accepted as u64);
        self.count_refused(header, &refused);
        let batch: BatchId = header.batch;
        Outcome::Accepted { batch, accepted, refused }
    }

    fn count_refused(&self, header: &SignatureHeader, refused: &RefusedSignals) {
        if refused.total() == 0 {
            return;
        }
        for (code, count) in SignalRefusal::ALL.into_iter().zip(refused.signals).filter(|(_, count)| *count > 0) {
            self.0.meters.signal_refused(code, count);
            lock(&self.0.tally).add(&header.site, Some(header.batch.spool), code.code(), u64::from(count));
        }
    }

    /// Inflates and admits a body. A large one goes to a blocking thread: few at once, and one per site. A compressed
    /// one that turns out to be large is inflated there anew.
    async fn opened(&self, site: &SiteId, bytes: Vec<u8>, gzip: bool, terms: Terms) -> Opened {
        let small = bytes.len() * if gzip { 8 } else { 1 } < LARGE_BODY_BYTES;
        if let Some(opened) = small.then(|| open_body(&bytes, gzip, LARGE_BODY_BYTES, &terms)).flatten() {
            return opened;
        }
        let busy = || Opened { cost: 0, admitted: Err(BodyFault::of(Refusal::Busy)) };
        let place = tokio::time::timeout(self.0.config.timing.append, self.0.large_bodies.take(site)).await;
        let Ok(Some(_place)) = place else { return busy() };
        let open = move || open_body(&bytes, gzip, BODY_BYTES_MAX, &terms);
        tokio::task::spawn_blocking(open).await.ok().flatten().unwrap_or_else(busy)
    }
}

/// A body that was looked into.
struct Opened {
    /// Bytes that were read, or inflated.
    cost: usize,
    admitted: Result<Admitted, BodyFault>,
}

/// Inflates and admits a body; none if it is larger than `wanted` when inflated.
fn open_body(bytes: &[u8], gzip: bool, wanted: usize, terms: &Terms) -> Option<Opened> {
    if !gzip {
        return Some(Opened { cost: bytes.len(), admitted: admit(bytes, terms) });
    }
    let Inflated { cost, body } = inflate(bytes, wanted);
    let admitted = match body {
        Ok(body) => admit(&body?, terms),
        Err(refusal) => Err(BodyFault::of(refusal)),
    };
    Some(Opened { cost, admitted })
}
