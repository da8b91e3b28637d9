//! Every record as Apache Avro's generic value, and values of it drawn at random. Written apart from the codec: the one
//! place where a field's name, place and type are said a second time.

use apache_avro::types::Value as Avro;
use logystera_schemas::alert::{Frozen, Merged, NamedSite};
use logystera_schemas::avro::Blob;
use logystera_schemas::batch::{BatchHead, Platform};
use logystera_schemas::catalogue::{SIGNAL_TYPES, SignalType, SignalTypes};
use logystera_schemas::control::{
    Channel, ChannelKind, Deployment, GrowingTopic, GrowthPhase, Key, Lease, Partitions, ProcessRole, RuleSet, Site,
    SiteRules, Skip, Tenant,
};
use logystera_schemas::delivery::{
    Attempt, AttemptCause, AttemptEnded, AttemptOutcome, AttemptStarted, AttemptState, ChannelEnabled, ChannelRef,
    ChannelsConfigured, Resend,
};
use logystera_schemas::detection::{
    BundleBy, BundleSpec, Detection, DetectionReason, DetectionState, Evidence, Label, Severity,
};
use logystera_schemas::ids::{
    ChannelId, DeliveryId, EpisodeId, KeyId, ResendId, RuleName, Sha256Digest, SilenceId, SiteId, SpoolId, TenantId,
};
use logystera_schemas::labels::{SiteLabel, SiteLabelled};
use logystera_schemas::noise::{ChannelSettings, QuietHours, Silence};
use logystera_schemas::series::{MetricPoints, Points, SeriesPoint};
use logystera_schemas::signals_topic::{KeyRevoked, Refused, Seal, SiteClosed, SiteConfigured, Tick};
use logystera_schemas::snapshot::{Snapshot, SnapshotEntry, SnapshotSite};
use logystera_schemas::time::{SiteMs, WallMs};

pub(crate) mod signals;

/// Bytes that draws are made from. Used up, it gives zeros, so that a shorter one means a simpler value.
pub(crate) struct Entropy<'a>(pub(crate) &'a [u8]);

impl Entropy<'_> {
    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::from(u16::from_le_bytes([self.byte(), self.byte()])) % end
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }
}

/// A type with values to draw and an Apache Avro value for each.
pub(crate) trait Model: Sized {
    fn draw(from: &mut Entropy<'_>) -> Self;
    fn avro(&self) -> Avro;
}

impl Model for i64 {
    fn draw(from: &mut Entropy<'_>) -> Self {
        match from.byte() % 8 {
            0..3 => i64::from(from.byte() as i8),
            3 => Self::MAX,
            4 => Self::MIN,
            // Around the ends of each length of a varint.
            5 => (1_i64 << (from.byte() % 63)) - 1,
            _ => Self::from_le_bytes(from.array()),
        }
    }
    fn avro(&self) -> Avro {
        Avro::Long(*self)
    }
}

impl Model for u64 {
    fn draw(from: &mut Entropy<'_>) -> Self {
        i64::draw(from).unsigned_abs().min(i64::MAX as u64)
    }
    fn avro(&self) -> Avro {
        Avro::Long(i64::try_from(*self).unwrap())
    }
}

impl Model for i32 {
    fn draw(from: &mut Entropy<'_>) -> Self {
        i64::draw(from) as Self
    }
    fn avro(&self) -> Avro {
        Avro::Int(*self)
    }
}

impl Model for u32 {
    fn draw(from: &mut Entropy<'_>) -> Self {
        (i64::draw(from) as u32) & 0x7fff_ffff
    }
    fn avro(&self) -> Avro {
        Avro::Int(i32::try_from(*self).unwrap())
    }
}

impl Model for bool {
    fn draw(from: &mut Entropy<'_>) -> Self {
        from.byte() & 1 == 1
    }
    fn avro(&self) -> Avro {
        Avro::Boolean(*self)
    }
}

impl Model for WallMs {
    fn draw(from: &mut Entropy<'_>) -> Self {
        Self(i64::draw(from))
    }
    fn avro(&self) -> Avro {
        Avro::Long(self.0)
    }
}

impl Model for SiteMs {
    fn draw(from: &mut Entropy<'_>) -> Self {
        Self(i64::draw(from))
    }
    fn avro(&self) -> Avro {
        Avro::Long(self.0)
    }
}

impl Model for String {
    fn draw(from: &mut Entropy<'_>) -> Self {
        const LETTERS: [char; 8] = ['a', 'Z', '0', ' ', '"', '\n', 'é', '🦀'];
        (0..from.below(80)).map(|_| LETTERS[from.below(LETTERS.len())]).collect()
    }
    fn avro(&self) -> Avro {
        Avro::String(self.clone())
    }
}

impl Model for Blob {
    fn draw(from: &mut Entropy<'_>) -> Self {
        Self((0..from.below(80)).map(|_| from.byte()).collect())
    }
    fn avro(&self) -> Avro {
        Avro::Bytes(self.0.clone())
    }
}

impl<T: Model> Model for Option<T> {
    fn draw(from: &mut Entropy<'_>) -> Self {
        bool::draw(from).then(|| T::draw(from))
    }
    fn avro(&self) -> Avro {
        match self {
            None => Avro::Union(0, Box::new(Avro::Null)),
            Some(value) => Avro::Union(1, Box::new(value.avro())),
        }
    }
}

impl<T: Model> Model for Vec<T> {
    fn draw(from: &mut Entropy<'_>) -> Self {
        (0..from.below(4)).map(|_| T::draw(from)).collect()
    }
    fn avro(&self) -> Avro {
        Avro::Array(self.iter().map(Model::avro).collect())
    }
}

impl Model for SignalTypes {
    fn draw(from: &mut Entropy<'_>) -> Self {
        Self(u16::from_le_bytes(from.array()) & ((1 << SIGNAL_TYPES) - 1))
    }
    fn avro(&self) -> Avro {
        let symbol = |t: SignalType| Avro::Enum(t.index() as u32, t.name().replace('.', "_"));
        Avro::Array(SignalType::all().filter(|t| self.0 & 1 << t.index() != 0).map(symbol).collect())
    }
}

macro_rules! slugs {
    ($($type:ident),*) => {$(
        impl Model for $type {
            fn draw(from: &mut Entropy<'_>) -> Self {
                const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789_-";
                let length = 1 + from.below(64);
                (0..length).map(|_| char::from(LETTERS[from.below(LETTERS.len())])).collect::<String>().parse().unwrap()
            }
            fn avro(&self) -> Avro {
                Avro::String(self.to_string())
            }
        }
    )*};
}
slugs!(TenantId, SiteId, KeyId, ChannelId, SilenceId, RuleName);

macro_rules! fixed {
    ($($type:ident $size:literal),*) => {$(
        impl Model for $type {
            fn draw(from: &mut Entropy<'_>) -> Self {
                Self(from.array())
            }
            fn avro(&self) -> Avro {
                Avro::Fixed($size, self.0.to_vec())
            }
        }
    )*};
}
fixed!(SpoolId 8, Sha256Digest 32, EpisodeId 16, DeliveryId 16, ResendId 16);

macro_rules! enums {
    ($($type:ident),*) => {$(
        impl Model for $type {
            fn draw(from: &mut Entropy<'_>) -> Self {
                Self::ALL[from.below(Self::ALL.len())]
            }
            fn avro(&self) -> Avro {
                let place = Self::ALL.iter().position(|v| v == self).unwrap();
                Avro::Enum(place as u32, self.to_string())
            }
        }
    )*};
}
enums!(
    Platform,
    Severity,
    DetectionState,
    DetectionReason,
    BundleBy,
    AttemptOutcome,
    AttemptCause,
    AttemptState,
    ChannelKind,
    GrowingTopic,
    GrowthPhase,
    ProcessRole
);

macro_rules! records {
    ($($type:ident { $($field:ident)* })*) => {$(
        impl Model for $type {
            fn draw(from: &mut Entropy<'_>) -> Self {
                Self { $($field: Model::draw(from)),* }
            }
            fn avro(&self) -> Avro {
                Avro::Record(vec![$((stringify!($field).to_owned(), self.$field.avro())),*])
            }
        }
    )*};
}
records! {
    BatchHead {
        tenant site key encryption_key spool seq digest received_at through clock_offset_ms flush_every_s platform
        integration_version enabled refused base_at ends
    }
    Refused { site spool reason count authenticated }
    Tick { partition at open_ms }
    SiteConfigured { site tenant name digest semantics }
    SiteClosed { site tenant }
    KeyRevoked { site key stolen }
    Seal { generation partition next_partitions }
    Label { field value }
    Evidence { at fields }
    BundleSpec { by wait_ms max }
    Detection {
        id tenant site encryption_key rule revision title severity subsystem state reason group count held started_at
        last_evaluated_at evidence message url seq chain bundle once
    }
    QuietHours { utc_offset_min from_min to_min except }
    ChannelSettings { severity subsystems rules sites resolved quiet per_minute }
    SiteLabel { key value }
    SiteLabelled { tenant site labels }
    Merged { lines firings since untold }
    NamedSite { site name url labels }
    Frozen { public_url sites merged advised }
    ChannelRef { channel kind settings fallback labels }
    Silence {
        silence tenant author reason created_at from until ended_at site rule severity subsystem labels
    }
    ChannelsConfigured { tenant channels }
    AttemptStarted { tenant delivery attempt at frozen }
    ChannelEnabled { tenant channel }
    Resend { tenant resend channel by at detection }
    AttemptEnded { tenant delivery attempt outcome status retry_after_s duration_ms cause detail }
    Attempt {
        tenant site encryption_key detection seq rule channel delivery attempt state reason status at next_attempt_at
        disabled number chain outcome semantics
    }
    SnapshotSite { site digest seq chain }
    SnapshotEntry { key value }
    SeriesPoint { values count late sum buckets }
    MetricPoints { name revision labels ends series }
    Points { tenant site encryption_key minute resets part parts metrics }
    Snapshot { key_group generation partition position at part parts encryption_key sites entries }
    Tenant { tenant name created_at }
    Site { site tenant name created_at closed_at url labels }
    Key { site key sealed_secret created_at not_before not_after revoked_at stolen }
    RuleSet { digest body }
    Channel { channel tenant kind sealed_config created_at removed_at settings fallback labels }
    Partitions { topic generations phase }
    Lease { role instance incarnation renewal left released at ticks }
    Skip { topic generation partition from to reason at }
    SiteRules { site digest semantics at by }
    Deployment { audience url allow_private_addresses rules semantics }
}
