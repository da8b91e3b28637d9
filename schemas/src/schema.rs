//! The schemas of the records: their text, their fingerprints, and Avro's single-object encoding
//! (Apache Avro 1.12 specification, "Single-object encoding": C3 01, the fingerprint little-endian, the datum).

use std::sync::LazyLock;

use apache_avro::Schema;

use crate::avro::{Datum, DecodeError, Reader, Writer};

/// First two bytes of a single-object encoding.
const MARKER: [u8; 2] = [0xc3, 0x01];
/// Bytes before the datum.
pub const HEADER_BYTES: usize = 10;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $file:literal $(after [$($past:literal),+])?),* $(,)?) => {
        /// The records that stand in topics.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind { $($(#[$doc])* $kind),* }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// The `.avsc` of this kind, as it stands in `schemas/avsc/records/`.
            pub const fn source(self) -> &'static str {
                match self { $(Self::$kind => include_str!(concat!("../avsc/records/", $file, ".avsc"))),* }
            }

            /// The schemas that this kind had before, oldest first, each whole: logs that were written then are still
            /// read. The first is version 1, the one of [`Self::source`] the last.
            pub const fn past(self) -> &'static [&'static str] {
                match self {
                    $(Self::$kind => &[$($(include_str!(concat!("../avsc/past/", $past, ".avsc"))),+)?]),*
                }
            }
        }
    };
}

kinds! {
    /// Topic signals: an accepted batch.
    Batch = "batch" after ["batch.1", "batch.2"],
    /// Topic signals: what was turned away.
    Refused = "refused",
    /// Topics signals and detections: the clock.
    Tick = "tick" after ["tick.1"],
    /// Topic signals: the configuration that holds from here.
    SiteConfigured = "site_configured",
    /// Topic signals: the site's end.
    SiteClosed = "site_closed",
    /// Topic signals: a key that signs nothing any more.
    KeyRevoked = "key_revoked",
    /// Topics signals and detections: the end of a partition.
    Seal = "seal",
    /// Topic detections: a change of a group's state.
    Detection = "detection" after ["detection.1", "detection.2"],
    /// Topic detections: a tenant's channels from here on.
    ChannelsConfigured = "channels_configured" after ["channels_configured.1"],
    /// Topic detections: an operator switched a channel on.
    ChannelEnabled = "channel_enabled",
    /// Topics detections and control: what is not told for a while.
    Silence = "silence",
    /// Topic detections: an attempt is about to be made.
    AttemptStarted = "attempt_started",
    /// Topic detections: how an attempt ended.
    AttemptEnded = "attempt_ended" after ["attempt_ended.1", "attempt_ended.2"],
    /// Topic detections: somebody asks that a channel gets a detection again.
    Resend = "resend",
    /// Topic attempts: a row of the delivery history.
    Attempt = "attempt" after ["attempt.1", "attempt.2"],
    /// Topic snapshots: a part of a key group's state.
    Snapshot = "snapshot",
    /// Topic control: a tenant.
    Tenant = "control_tenant",
    /// Topic control: a site.
    Site = "control_site",
    /// Topic control: a key.
    Key = "control_key" after ["control_key.1"],
    /// Topic control: a configuration's body.
    RuleSet = "control_rule_set",
    /// Topic control: a channel.
    Channel = "control_channel" after ["control_channel.1", "control_channel.2"],
    /// Topic control: how a topic has grown.
    Partitions = "control_partitions",
    /// Topic control: a process's right to write.
    Lease = "control_lease" after ["control_lease.1"],
    /// Topic control: offsets that are passed over.
    Skip = "control_skip",
    /// Topic control: what a site was last configured with.
    SiteRules = "control_site_rules",
    /// Topic control: what the installation is.
    Deployment = "control_deployment",
}

/// The schemas of the signal types, in the order of the batch's union; the batch's refers to them by name.
pub const SIGNAL_SOURCES: [&str; 14] = [
    include_str!("../avsc/signals/auth.attempt.avsc"),
    include_str!("../avsc/signals/mail.outcome.avsc"),
    include_str!("../avsc/signals/cron.run.avsc"),
    include_str!("../avsc/signals/php.error.avsc"),
    include_str!("../avsc/signals/config.change.avsc"),
    include_str!("../avsc/signals/user.change.avsc"),
    include_str!("../avsc/signals/db.event.avsc"),
    include_str!("../avsc/signals/http.request.avsc"),
    include_str!("../avsc/signals/component.lifecycle.avsc"),
    include_str!("../avsc/signals/file.edit.avsc"),
    include_str!("../avsc/signals/integration.dropped.avsc"),
    include_str!("../avsc/signals/integration.refused.avsc"),
    include_str!("../avsc/signals/shop.order.avsc"),
    include_str!("../avsc/signals/integration.changed.avsc"),
];
/// The schema of a hash.
pub const HASH_SOURCE: &str = include_str!("../avsc/records/hash.avsc");

/// A record that stands in a topic.
pub trait TopicRecord: Datum {
    /// Its schema.
    const KIND: Kind;
}

/// The parsed schema of `kind`, whole: without references to other files.
#[expect(clippy::expect_used, reason = "the schemas are compiled in, and a test parses each of them")]
pub fn parsed(kind: Kind) -> Schema {
    let mut sources = vec![HASH_SOURCE];
    sources.extend(SIGNAL_SOURCES);
    sources.push(kind.source());
    let schemas = Schema::parse_list(sources).expect("the compiled-in schemas are valid");
    let (last, others) = schemas.split_last().expect("one schema a source");
    let whole = last.independent_canonical_form(others).expect("every reference is among the sources");
    Schema::parse_str(&whole).expect("a canonical form is a schema")
}

/// Version of the schema that a kind has now: it has all fields, also those of records within it that are older kinds.
const NEWEST: u8 = u8::MAX;

/// A schema of a kind: its fingerprint, and which version of the kind's it is, from 1; [`NEWEST`] if it is today's.
#[derive(Clone, Copy)]
struct Known {
    fingerprint: u64,
    kind: Kind,
    version: u8,
}

/// The current schemas in the order of [`Kind::ALL`], then the past ones.
static KNOWN: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let of = |schema: &Schema| {
        let bytes = schema.fingerprint::<apache_avro::rabin::Rabin>().bytes;
        let mut head = [0; 8];
        head.copy_from_slice(&bytes);
        u64::from_le_bytes(head)
    };
    let current = Kind::ALL.iter().map(|kind| Known { fingerprint: of(&parsed(*kind)), kind: *kind, version: NEWEST });
    let past = Kind::ALL.iter().flat_map(|kind| {
        let versions = kind.past().iter().zip(1..);
        versions.map(|(source, version)| Known { fingerprint: of(&parsed_past(source)), kind: *kind, version })
    });
    current.chain(past).collect()
});

#[expect(clippy::expect_used, reason = "the schemas are compiled in, and a test parses each of them")]
fn parsed_past(source: &str) -> Schema {
    Schema::parse_str(source).expect("the compiled-in schemas are valid")
}

/// The CRC-64-AVRO fingerprint of `kind`'s canonical form.
pub fn fingerprint(kind: Kind) -> u64 {
    KNOWN[kind as usize].fingerprint
}

/// The kind of a single-object encoding, and a reader at its datum that knows which fields it has.
pub fn open(bytes: &[u8]) -> Result<(Kind, Reader<'_>), DecodeError> {
    let mut reader = Reader::new(bytes);
    if reader.raw(2)? != MARKER {
        return Err(DecodeError::UnknownSchema(0));
    }
    let fingerprint = u64::from_le_bytes(*reader.fixed()?);
    match KNOWN.iter().find(|known| known.fingerprint == fingerprint) {
        Some(known) => Ok((known.kind, reader.of_version(known.version))),
        None => Err(DecodeError::UnknownSchema(fingerprint)),
    }
}

/// Starts a single-object encoding of `kind`.
pub fn begin(kind: Kind, to: &mut Writer) {
    to.raw(&MARKER);
    to.raw(&fingerprint(kind).to_le_bytes());
}

/// The single-object encoding of `record`.
pub fn encode<R: TopicRecord>(record: &R) -> Vec<u8> {
    let mut to = Writer::new();
    begin(R::KIND, &mut to);
    record.write(&mut to);
    to.into_bytes()
}

/// Reads a single-object encoding that must be of `R`'s kind.
pub fn decode<R: TopicRecord>(bytes: &[u8]) -> Result<R, DecodeError> {
    let (kind, mut reader) = open(bytes)?;
    if kind != R::KIND {
        return Err(DecodeError::UnknownSchema(fingerprint(kind)));
    }
    let record = R::read(&mut reader)?;
    reader.end()?;
    Ok(record)
}
