//! The planner's other input in topic `detections`, and topic `attempts`, its output. Key: the tenant.

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::alert::Frozen;
use crate::avro::{Datum, Writer};
use crate::detection::Detection;
use crate::ids::{ChannelId, DeliveryId, EpisodeId, ResendId, RuleName, Sha256Digest, SiteId, TenantId};
use crate::labels::SiteLabel;
use crate::noise::ChannelSettings;
use crate::schema::{HEADER_BYTES, Kind, TopicRecord};
use crate::time::WallMs;
use crate::{avro_enum, avro_record};

avro_record! {
    /// A channel as the planner knows it: addresses and secrets stay in `control`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ChannelRef {
        /// Id.
        pub channel: ChannelId,
        /// What it speaks, such as `webhook`.
        pub kind: String,
        /// What it takes.
        pub settings: ChannelSettings where since 2,
        /// Whether it is told of what no other channel took, and of nothing else.
        pub fallback: bool where since 3,
        /// Only alerts of sites with these labels, as [`labels::match_all`](crate::labels::match_all) says. Empty: of all.
        pub labels: Vec<SiteLabel> where since 4,
    }
}

avro_record! {
    /// From here on the tenant's alerts go to these channels. Written with each change of a channel.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ChannelsConfigured {
        /// Tenant.
        pub tenant: TenantId,
        /// All its channels.
        pub channels: Vec<ChannelRef>,
    }
}

avro_record! {
    /// An operator switched a channel on: what the planner holds against it is forgotten. One that is on is tried at
    /// once.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ChannelEnabled {
        /// Tenant.
        pub tenant: TenantId,
        /// Channel.
        pub channel: ChannelId,
    }
}

avro_record! {
    /// Somebody asks that a channel gets a detection again, as a delivery of its own.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Resend {
        /// Tenant.
        pub tenant: TenantId,
        /// Names this record; the delivery's id rests on it.
        pub resend: ResendId,
        /// Channel.
        pub channel: ChannelId,
        /// Who asked: at most [`RESEND_BY_CHARS_MAX`](crate::limits::RESEND_BY_CHARS_MAX) characters.
        pub by: String,
        /// When, by the clock of the process that wrote it.
        pub at: WallMs,
        /// The detection, as it stands in the topic.
        pub detection: Detection,
    }
}

avro_record! {
    /// Committed by the alerter before the request leaves.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct AttemptStarted {
        /// Tenant.
        pub tenant: TenantId,
        /// Delivery.
        pub delivery: DeliveryId,
        /// Number of the attempt, from 1.
        pub attempt: u32,
        /// Wall time of the planner that asked for it.
        pub at: WallMs,
        /// What its message says besides its detections, from now on. None: it was said by an attempt before.
        pub frozen: Option<Frozen> where since 2,
    }
}

avro_enum! {
    /// What an attempt ended as. It knows no protocol: each kind of channel says what its receiver's answers mean.
    pub enum AttemptOutcome {
        /// The channel took it.
        Delivered = "delivered",
        /// In records of before: the channel answered something else than 2xx. Its status says what that means.
        Refused = "refused",
        /// In records of before: no connection, or it broke.
        Unreachable = "unreachable",
        /// No answer in time.
        Timeout = "timeout",
        /// The address may not be called.
        Forbidden = "address_forbidden",
        /// It may or may not have arrived: the process that made it is gone, or the connection broke when all was sent.
        Unknown = "unknown",
        /// The channel asks to be left alone for a while; `retry_after_s` says for how long, if it said so.
        Throttled = "throttled",
        /// The channel answers, and does not want this.
        Rejected = "rejected",
        /// The channel says that it is no more.
        Gone = "gone",
        /// The channel does not work now: it answered so, or no connection was made.
        Failed = "failed",
    }
}

avro_enum! {
    /// Why a channel was unreachable.
    pub enum AttemptCause {
        /// Its name has no address.
        Dns = "dns",
        /// It took no connection.
        Refused = "refused",
        /// It spoke no TLS, or showed a certificate that is not trusted.
        Tls = "tls",
        /// It ended the connection without an answer.
        Reset = "reset",
        /// Its address is not known here: it was removed, or another master key sealed it.
        NoAddress = "no_address",
        /// Anything else, such as an answer that is no HTTP.
        Other = "other",
    }
}

avro_record! {
    /// How an attempt ended. The first one of an attempt counts.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct AttemptEnded {
        /// Tenant.
        pub tenant: TenantId,
        /// Delivery.
        pub delivery: DeliveryId,
        /// Number of the attempt, from 1.
        pub attempt: u32,
        /// What it ended as.
        pub outcome: AttemptOutcome,
        /// HTTP status, if there was one.
        pub status: Option<u32>,
        /// Seconds that the channel asked to be left alone.
        pub retry_after_s: Option<u64>,
        /// How long it took, in milliseconds.
        pub duration_ms: u64,
        /// Why it was unreachable, if that was seen.
        pub cause: Option<AttemptCause> where since 2,
        /// Short code of what the channel said, such as `slack_channel_not_found`: at most
        /// [`ATTEMPT_DETAIL_CHARS_MAX`](crate::limits::ATTEMPT_DETAIL_CHARS_MAX) characters. None: status and cause
        /// say it.
        pub detail: Option<String> where since 3,
    }
}

avro_enum! {
    /// What happened to a delivery.
    pub enum AttemptState {
        /// The request is about to leave.
        Started = "started",
        /// The channel took it.
        Delivered = "delivered",
        /// It did not; another attempt follows at `next_attempt_at`.
        Failed = "failed",
        /// It did not, and no attempt follows.
        Dead = "dead",
        /// It may or may not have arrived; another attempt follows.
        Unknown = "unknown",
        /// No attempt is made; `reason` says why.
        NotSent = "not_sent",
        /// It waits for its first attempt; `reason` says what brought it about.
        Waiting = "waiting",
    }
}

avro_record! {
    /// One row of the delivery history. Written by the planner, in its commit.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize)]
    pub struct Attempt {
        /// Tenant.
        pub tenant: TenantId,
        /// Site of the detection.
        pub site: SiteId,
        /// Id of the key that the values are encrypted under.
        #[serde(skip)]
        pub encryption_key: Option<String>,
        /// The detection's episode.
        pub detection: EpisodeId,
        /// The detection's number in its site.
        pub seq: u64,
        /// Name of the rule.
        pub rule: RuleName,
        /// Channel; empty if the tenant has none.
        pub channel: String,
        /// Idempotency key.
        pub delivery: DeliveryId,
        /// Number of the attempt; 0 if none was made.
        pub attempt: u32,
        /// What happened.
        pub state: AttemptState,
        /// Code that says why, such as `delivered`, `status_500`, `slack_channel_not_found`, `superseded`.
        pub reason: String,
        /// HTTP status, if there was one.
        pub status: Option<u32>,
        /// Wall time.
        pub at: WallMs,
        /// Wall time of the next attempt, if there is one.
        pub next_attempt_at: Option<WallMs>,
        /// The message is the news that this channel was switched off; none: it is an alert.
        pub disabled: Option<ChannelId> where since 2,
        /// Number of the row in its tenant, from 1; 0: a row of before, outside the chain.
        pub number: u64 where since 3,
        /// Links the tenant's rows: see [`Attempt::link`]. None: a row of before.
        pub chain: Option<Sha256Digest> where since 3,
        /// What the attempt ended as. None: the row tells no end, or is of before.
        pub outcome: Option<AttemptOutcome> where since 3,
        /// Version of the planner's semantics that made the row; 0: of before.
        pub semantics: u32 where since 3,
    }
}

impl Attempt {
    /// The chain value before a tenant's first row: SHA-256 of the tenant's id.
    pub fn genesis(tenant: &TenantId) -> Sha256Digest {
        Sha256Digest::of(tenant.as_str().as_bytes())
    }

    /// The chain value of this row after `previous`: SHA-256(previous ‖ the datum with `chain` zeroed).
    #[must_use]
    pub fn link(&self, previous: &Sha256Digest) -> Sha256Digest {
        self.link_of(previous, usize::MAX)
    }

    /// The chain value after `previous` of this row, which was read from `value`. A row that a version before wrote has
    /// fewer fields: its datum is the beginning of what today's would be.
    #[must_use]
    pub fn link_as_stored(&self, previous: &Sha256Digest, value: &[u8]) -> Sha256Digest {
        self.link_of(previous, value.len().saturating_sub(HEADER_BYTES))
    }

    /// The link over the datum's first `bytes`.
    fn link_of(&self, previous: &Sha256Digest, bytes: usize) -> Sha256Digest {
        let zeroed = Self { chain: Some(Sha256Digest([0; 32])), ..self.clone() };
        let mut datum = Writer::new();
        zeroed.write(&mut datum);
        let datum = datum.into_bytes();
        let mut sha = Sha256::new();
        sha.update(previous.0);
        sha.update(&datum[..bytes.min(datum.len())]);
        Sha256Digest(sha.finalize().into())
    }
}

impl TopicRecord for ChannelsConfigured {
    const KIND: Kind = Kind::ChannelsConfigured;
}
impl TopicRecord for ChannelEnabled {
    const KIND: Kind = Kind::ChannelEnabled;
}
impl TopicRecord for Resend {
    const KIND: Kind = Kind::Resend;
}
impl TopicRecord for AttemptStarted {
    const KIND: Kind = Kind::AttemptStarted;
}
impl TopicRecord for AttemptEnded {
    const KIND: Kind = Kind::AttemptEnded;
}
impl TopicRecord for Attempt {
    const KIND: Kind = Kind::Attempt;
}
