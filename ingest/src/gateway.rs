//! The way of one batch through the gateway: receive, verify, admit, append, answer.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use axum::http::{HeaderMap, HeaderName, Request, Response};
use logystera_infra::clock::Clock;
use logystera_infra::log::{Entry, Log};
use logystera_infra::telemetry::Seldom;
use logystera_schemas::batch::{BatchHead, encode};
use logystera_schemas::ids::{BatchId, KeyGroup, KeyId, Sha256Digest, SiteId, SpoolId, TenantId};
use logystera_schemas::limits::{BODY_BYTES_MAX, LARGE_BODY_BYTES};
use logystera_schemas::replay::ReplayWindow;
use logystera_schemas::topic::Topic;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

use crate::answer::{Outcome, Turned, answer};
use crate::body::{Received, receive};
use crate::config::GatewayConfig;
use crate::core::admit::{Admitted, BodyFault, RefusedSignals, Terms, admit};
use crate::core::clock::{ClockWatch, Judgement};
use crate::core::election::Election;
use crate::core::inflate::{Inflated, inflate};
use crate::core::quota::Quotas;
use crate::core::refusal::{Refusal, SignalRefusal};
use crate::core::replay::{Replay, Seen, Try};
use crate::core::rhythm::Rhythm;
use crate::core::signature::{HEADER, IDENTITY, Secret, SignatureHeader, Signed};
use crate::core::tally::Tally;
use crate::core::verify::{Facts, KeyState, Verdict, decide, replayed};
use crate::keys::Keys;
use crate::meters::Meters;
use crate::places::Places;
use crate::server::{Guest, Rush};

/// Reason in `Refused` records for a batch that the log had already.
const DUPLICATE: &str = "duplicate";

/// A gateway; its clones are the same one.
pub struct Gateway<L>(pub(crate) Arc<Inner<L>>);

impl<L> Clone for Gateway<L> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

pub(crate) struct Inner<L> {
    pub(crate) config: GatewayConfig,
    pub(crate) log: L,
    pub(crate) keys: Arc<dyn Keys>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) meters: Meters,
    /// Signs for keys that are not there, so that they cost as much as those that are.
    dummy: Secret,
    pub(crate) replay: Mutex<Replay>,
    pub(crate) quotas: Mutex<Quotas>,
    pub(crate) tally: Mutex<Tally>,
    /// Tells those who wait for another try of their batch that one of those ended.
    pub(crate) some_ended: Notify,
    unauthenticated: Arc<Semaphore>,
    unwritten: Arc<Semaphore>,
    large_bodies: Places,
    pub(crate) clock_watch: Mutex<ClockWatch>,
    /// Whether the clock was believed when it was judged last for a tick.
    pub(crate) clock_agreed: AtomicBool,
    /// Which of several gateways writes the ticks; none: there is but this one.
    pub(crate) election: Option<Mutex<Election>>,
    /// Whether this one would: it believes its clock, the log takes its appends, and its door has room.
    pub(crate) stands: watch::Sender<bool>,
    /// Whether the senders' door is too small for those who come.
    pub(crate) rush: Arc<Rush>,
    pub(crate) rush_told: Seldom,
    /// Ticks in a row that were not written because of it.
    pub(crate) ticks_withheld: AtomicU32,
    /// When ticks are written; of use only where the configuration lets them be seldom.
    pub(crate) rhythm: Mutex<Rhythm>,
    pub(crate) log_told: Seldom,
    /// No new batch is taken.
    pub(crate) closing: AtomicBool,
    /// The partitions that did not take their newest append.
    pub(crate) missed: Mutex<BTreeSet<u32>>,
    /// Some partition took its newest append, as far as is known.
    pub(crate) log_ready: AtomicBool,
}

/// Locks for a few steps that cannot fail; what another thread's panic left behind is whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A batch whose signature holds and that is not in the log, as far as is known.
struct Verified {
    header: SignatureHeader,
    tenant: TenantId,
    received: Received,
    gzip: bool,
    received_at: i64,
    /// Its share of the room for what the log does not have yet.
    room: OwnedSemaphorePermit,
}

/// What the checks make of a request.
enum Checked {
    /// Look into the body.
    New(Box<Verified>),
    /// The log has the batch; `same` if the bytes were compared.
    Duplicate { same: bool },
}

impl<L: Log> Gateway<L> {
    /// A gateway that appends to `log`. The metrics' recorder, where there is one, must be installed before.
    pub fn new(config: GatewayConfig, log: L, keys: Arc<dyn Keys>, clock: Arc<dyn Clock>) -> Self {
        let budget = |bytes: usize| Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS)));
        Self(Arc::new(Inner {
            meters: Meters::new(),
            dummy: Secret::new([0; 32]),
            replay: Mutex::new(Replay::new()),
            quotas: Mutex::new(Quotas::new(config.quota)),
            tally: Mutex::new(Tally::default()),
            some_ended: Notify::new(),
            unauthenticated: budget(config.unauthenticated_bytes_max),
            unwritten: budget(config.unwritten_bytes_max),
            large_bodies: Places::new(),
            clock_watch: Mutex::new(match &config.among_others {
                Some(_) => ClockWatch::among_others(),
                None => ClockWatch::alone(),
            }),
            clock_agreed: AtomicBool::new(true),
            election: config.among_others.as_deref().map(|own| Mutex::new(Election::new(own))),
            stands: watch::Sender::new(false),
            rush: Arc::default(),
            rush_told: Seldom::new(),
            ticks_withheld: AtomicU32::new(0),
            rhythm: Mutex::default(),
            log_told: Seldom::new(),
            closing: AtomicBool::new(false),
            missed: Mutex::default(),
            log_ready: AtomicBool::new(true),
            config,
            log,
            keys,
            clock,
        }))
    }

    /// Takes what is known of a spool under a key from before this process, so that a repetition across a restart is not stored
    /// twice. No key: it is not known under which.
    pub fn remember_spool(&self, site: &SiteId, spool: SpoolId, key: Option<&KeyId>, seen: ReplayWindow, last_ms: i64) {
        lock(&self.0.replay).restore(site, spool, key, seen, last_ms);
    }

    /// Takes a batch that stands in the log.
    pub fn remember_batch(&self, head: &BatchHead) {
        let batch = BatchId { spool: head.spool, seq: head.seq };
        let BatchHead { site, key, digest, received_at, .. } = head;
        lock(&self.0.replay).insert(&Try { site, key, batch, digest, now_ms: *received_at });
    }

    /// Answers one request for `/v1/batches`.
    pub(crate) async fn take(&self, request: Request<Body>) -> Response<Body> {
        let version = request.version();
        let judged = self.judge_clock();
        if !judged.takes_batches() {
            let refusal = Refusal::ClockDiffers;
            self.0.meters.refused(refusal);
            // Senders correct their clocks by what they are told.
            let log_ms = if let Judgement::Differs { log_ms, .. } = judged { log_ms } else { self.0.clock.wall_ms() };
            return answer(&Outcome::Turned(Box::new(refusal.into())), version, log_ms);
        }
        let outcome = match self.outcome(request).await {
            Ok(outcome) => outcome,
            Err(turned) => {
                self.0.meters.refused(turned.refusal);
                Outcome::Turned(turned)
            }
        };
        answer(&outcome, version, self.0.clock.wall_ms())
    }

    async fn outcome(&self, request: Request<Body>) -> Result<Outcome, Box<Turned>> {
        let (mut parts, body) = request.into_parts();
        let guest = parts.extensions.remove::<Guest>();
        let header = self.open(&parts.headers, parts.uri.query())?;
        let wait = self.0.config.timing.body_read;
        let declared = one(&parts.headers, &CONTENT_LENGTH).and_then(|v| std::str::from_utf8(v).ok()?.parse().ok());
        let received = receive(body, declared, &self.0.unauthenticated, wait).await;
        let received = received.map_err(|refusal| self.turn_stranger(&header.site, refusal))?;
        let batch = header.batch;
        let checked = self.verify(header, &parts.headers, received);
        // It keeps its place: that of a request that may have been captured, long ago, it does not keep.
        let proved = checked.as_ref().map_or_else(|t| t.batch.is_some() && t.refusal != Refusal::ClockSkew, |_| true);
        if let Some(guest) = guest.filter(|_| proved) {
            guest.verified();
        }
        if let Some(wait) = checked.as_ref().err().and_then(|turned| turned.answer_in) {
            tokio::time::sleep(wait).await;
        }
        match checked? {
            Checked::New(verified) => self.write(verified).await,
            Checked::Duplicate { same } => Ok(Outcome::Duplicate { batch, same }),
        }
    }

    /// What is checked before the body is read.
    fn open(&self, headers: &HeaderMap, query: Option<&str>) -> Result<SignatureHeader, Box<Turned>> {
        let refuse = |refusal: Refusal| Err(Box::new(refusal.into()));
        if self.0.closing.load(Ordering::SeqCst) {
            return refuse(Refusal::ShuttingDown);
        }
        if query.is_some() {
            return refuse(Refusal::NotFound);
        }
        // The HTTP library drops a `Content-Length` beside it without a word, so that the pair cannot be told from a lone
        // one: neither is taken. HTTP/2 has no such header.
        if headers.contains_key(TRANSFER_ENCODING) {
            return refuse(Refusal::LengthRequired);
        }
        match one(headers, &HeaderName::from_static(HEADER)).map(SignatureHeader::parse) {
            Some(Ok(header)) => Ok(header),
            Some(Err(_)) | None => refuse(Refusal::SignatureMalformed),
        }
    }

    /// Counts a refusal before the signature was checked: for the site that was named, if there is such a one.
    fn turn_stranger(&self, site: &SiteId, refusal: Refusal) -> Box<Turned> {
        if self.0.keys.site(site.as_str()).is_some() {
            lock(&self.0.tally).add(site, None, refusal.row().code, 1);
        }
        Box::new(refusal.into())
    }

    /// Counts a refusal of a batch whose signature holds.
    fn turn(&self, header: &SignatureHeader, refusal: Refusal) -> Box<Turned> {
        // A request that was captured holds its signature for ever: sent again later, it must not keep a dead site alive.
        let sign_of_life = refusal != Refusal::ClockSkew;
        let spool = sign_of_life.then_some(header.batch.spool);
        lock(&self.0.tally).add(&header.site, spool, refusal.row().code, 1);
        Box::new(Turned { batch: Some(header.batch), ..refusal.into() })
    }

    /// Checks the signature and what comes after it up to the body's content.
    fn verify(
        &self,
        header: SignatureHeader,
        headers: &HeaderMap,
        mut received: Received,
    ) -> Result<Checked, Box<Turned>> {
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
                return Err(self.turn(&header, refusal));
            }
            (_, Verdict::Refuse(refusal)) => return Err(self.turn_stranger(&header.site, refusal)),
            (None, Verdict::Admit | Verdict::Duplicate { .. }) => {
                return Err(self.turn_stranger(&header.site, Refusal::KeyUnknown));
            }
        };
        let length = received.bytes.len();
        if let Err(over) = lock(&self.0.quotas).take(&header.site, length, self.0.clock.monotonic_ms()) {
            let turned = self.turn(&header, Refusal::QuotaExceeded);
            let answer_in = Some(Duration::from_millis(over.answer_in_ms));
            return Err(Box::new(Turned { retry_after_s: Some(over.retry_after_s), answer_in, ..*turned }));
        }
        let room = self.0.unwritten.clone().try_acquire_many_owned(length as u32);
        let room = room.map_err(|_| self.turn(&header, Refusal::Busy))?;
        received.room = None;
        self.0.meters.body_bytes.increment(length as u64);
        let gzip = content_encoding == Some(b"gzip");
        Ok(Checked::New(Box::new(Verified { header, tenant, received, gzip, received_at: now_ms, room })))
    }

    /// What the replay cache knows of a batch whose signature holds.
    fn look(&self, header: &SignatureHeader, digest: &Sha256Digest, now_ms: i64) -> Seen {
        let site = &header.site;
        let keyring = |key: &KeyId| self.0.keys.standing(site.as_str(), key.as_str());
        let asked = Try { site, key: &header.key, batch: header.batch, digest, now_ms };
        lock(&self.0.replay).look(&asked, &keyring)
    }

    /// Admits and appends.
    async fn write(&self, verified: Box<Verified>) -> Result<Outcome, Box<Turned>> {
        let Verified { header, tenant, received, gzip, received_at, mut room } = *verified;
        let terms = Terms { received_at, signal_age_ms_max: self.0.config.signal_age_ms_max };
        let Received { bytes, digest, .. } = received;
        let wire_bytes = bytes.len();
        let Opened { cost, admitted } = self.opened(&header.site, bytes, gzip, terms).await;
        let signals = admitted.as_ref().map_or(0, |a| a.accepted + a.refused.total() as usize);
        let more = cost.saturating_sub(wire_bytes);
        lock(&self.0.quotas).charge(&header.site, more, signals, self.0.clock.monotonic_ms());
        let admitted = admitted.map_err(|fault| {
            let turned = self.turn(&header, fault.refusal);
            Box::new(Turned { fault: Some(fault), ..*turned })
        })?;
        if admitted.accepted == 0 && admitted.refused.total() > 0 {
            self.count_refused(&header, &admitted.refused);
            let turned = self.turn(&header, Refusal::NothingAcceptable);
            return Err(Box::new(Turned { refused: Some(admitted.refused), ..*turned }));
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
        room.merge(more.map_err(|_| self.turn(&header, Refusal::Busy))?);
        let site = header.site.as_str();
        let partition = KeyGroup::of(site).partition(self.0.log.partitions(Topic::Signals));
        let entry = Entry { topic: Topic::Signals, partition, key: site.as_bytes().to_vec(), value };
        let reserved = match self.reserve(&header, &digest, received_at).await {
            Ok(reserved) => reserved,
            Err(seen) => return self.answer_as(&header, seen),
        };
        let entries = self.tick_ahead().into_iter().chain([entry]).collect();
        if !self.in_time(partition, reserved.append(entries, room)).await {
            return Err(self.turn(&header, Refusal::LogAway));
        }
        Ok(self.accepted(&header, admitted.accepted, admitted.refused))
    }

    /// The answer to a batch that another try was before, as that turned out; none: it did not turn out in time.
    fn answer_as(&self, header: &SignatureHeader, first: Option<Seen>) -> Result<Outcome, Box<Turned>> {
        match first.map(replayed) {
            Some(Some(Verdict::Refuse(refusal))) => Err(self.turn(header, refusal)),
            Some(Some(Verdict::Duplicate { same })) => {
                self.count_duplicate(header);
                Ok(Outcome::Duplicate { batch: header.batch, same })
            }
            Some(Some(Verdict::Admit) | None) | None => Err(self.turn(header, Refusal::LogAway)),
        }
    }

    fn count_duplicate(&self, header: &SignatureHeader) {
        self.0.meters.duplicate.increment(1);
        lock(&self.0.tally).add(&header.site, Some(header.batch.spool), DUPLICATE, 1);
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

    /// Inflates and admits: a large body apart from the threads that serve connections, few of them at once, and of one site
    /// one. How large a compressed one is shows when it is inflated: what was done of it by then is done again.
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
    /// Bytes that were read or made.
    cost: usize,
    admitted: Result<Admitted, BodyFault>,
}

/// None: it is larger than `wanted` when inflated.
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

/// The value of a header that stands there exactly once.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then_some(first.as_bytes())
}
