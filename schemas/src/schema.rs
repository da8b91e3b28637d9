//! The schemas of the records: their text, their fingerprints, and Avro's single-object encoding
//! (Apache Avro 1.12 specification, "Single-object encoding": C3 01, the fingerprint little-endian, the datum).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::avro::{Datum, DecodeError, Reader, Writer};

/// First two bytes of a single-object encoding.
const MARKER: [u8; 2] = [0xc3, 0x01];
/// Bytes before the datum.
pub const HEADER_BYTES: usize = 10;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $file:literal $fingerprint:literal
        $(after [$($past:literal $past_fingerprint:literal),+])?),* $(,)?) => {
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

            /// The CRC-64-AVRO fingerprint of the canonical form of [`Self::source`], with all that it refers to.
            const fn own_fingerprint(self) -> u64 {
                match self { $(Self::$kind => $fingerprint),* }
            }

            /// The schemas that this kind had before and their fingerprints, oldest first, each whole: logs that were written
            /// then are still read. The first is version 1, the one of [`Self::source`] the last.
            pub const fn past(self) -> &'static [(u64, &'static str)] {
                match self {
                    $(Self::$kind =>
                        &[$($(($past_fingerprint, include_str!(concat!("../avsc/past/", $past, ".avsc")))),+)?]),*
                }
            }
        }
    };
}

kinds! {
    /// Topic signals: an accepted batch.
    Batch = "batch" 0xacbe_15fd_003a_78d0 after ["batch.1" 0x0b96_bac7_b3da_2ed6, "batch.2" 0xa370_0874_2b61_0730],
    /// Topic signals: what was turned away.
    Refused = "refused" 0xa021_7ef2_bcf6_b678,
    /// Topics signals and detections: the clock.
    Tick = "tick" 0xc39b_5fed_14d8_ddf8 after ["tick.1" 0xf336_5be3_480f_0e55],
    /// Topic signals: the configuration that holds from here.
    SiteConfigured = "site_configured" 0x4ed8_83e3_d5ce_48f4,
    /// Topic signals: the site's end.
    SiteClosed = "site_closed" 0x0ec3_a9d4_ad8b_63bd,
    /// Topic signals: a key that signs nothing any more.
    KeyRevoked = "key_revoked" 0x7656_f3ca_a0a8_3cc8,
    /// Topics signals and detections: the end of a partition.
    Seal = "seal" 0x4e63_2724_7034_33aa,
    /// Topic detections: a change of a group's state.
    Detection = "detection" 0xcc76_8ed5_a276_e629 after ["detection.1" 0xeb4c_6a23_3395_739d, "detection.2" 0x730d_69a3_9fd3_315b, "detection.3" 0x0721_305c_4cac_8a30],
    /// Topic detections: a tenant's channels from here on.
    ChannelsConfigured = "channels_configured" 0x5d38_4cfa_91c3_eca6 after ["channels_configured.1" 0xe132_df83_6fe7_6950, "channels_configured.2" 0xb599_80ca_dc37_52f0, "channels_configured.3" 0x22f0_425c_c9de_2cfc],
    /// Topic detections: an operator switched a channel on.
    ChannelEnabled = "channel_enabled" 0xb517_90ea_2a23_309d,
    /// Topics detections and control: what is not told for a while.
    Silence = "silence" 0x25cb_cc8a_1d01_0422 after ["silence.1" 0x2194_0bfd_8161_1334],
    /// Topic detections: a site's labels from here on.
    SiteLabelled = "site_labelled" 0xedf4_92f0_2726_81e1,
    /// Topic detections: an attempt is about to be made.
    AttemptStarted = "attempt_started" 0xa5c5_62aa_dbad_387d after ["attempt_started.1" 0x0593_2ba1_41f4_92b4],
    /// Topic detections: how an attempt ended.
    AttemptEnded = "attempt_ended" 0x4012_0bf5_28c9_3ddd after ["attempt_ended.1" 0xd268_0a4e_db2c_a651, "attempt_ended.2" 0x9334_f9d9_1a46_b20a],
    /// Topic detections: somebody asks that a channel gets a detection again.
    Resend = "resend" 0x7912_3ba0_1a3d_436e after ["resend.1" 0x649f_8b8f_c36f_2e19],
    /// Topic attempts: a row of the delivery history.
    Attempt = "attempt" 0x32ad_7f05_3491_2280 after ["attempt.1" 0xf026_17f1_ae74_e549, "attempt.2" 0xa758_955a_b7fa_d6e6],
    /// Topic snapshots: a part of a key group's state.
    Snapshot = "snapshot" 0xe4b6_cf30_323b_d2ef,
    /// Topic series: what the metrics of a site counted within a minute.
    Points = "points" 0x35a1_0063_66e9_4357,
    /// Topic control: a tenant.
    Tenant = "control_tenant" 0xdcf9_0ed9_07f0_e590,
    /// Topic control: a site.
    Site = "control_site" 0x7929_c1e2_30f3_d6db after ["control_site.1" 0x3fd8_39f9_b9b3_a903],
    /// Topic control: a key.
    Key = "control_key" 0x0f93_f682_7bf7_6b4e after ["control_key.1" 0x6e50_e760_46ac_cc44],
    /// Topic control: a configuration's body.
    RuleSet = "control_rule_set" 0x1ae5_a83f_f80b_b015,
    /// Topic control: a channel.
    Channel = "control_channel" 0xa5d5_ef07_22b6_d8dd after ["control_channel.1" 0xe6ec_9195_d6b2_18ea, "control_channel.2" 0x10a5_391c_9154_a3d4, "control_channel.3" 0xfd69_43d7_b6ce_0dc3, "control_channel.4" 0xa8fa_bfaa_2424_f70e],
    /// Topic control: how a topic has grown.
    Partitions = "control_partitions" 0xef44_384d_aff1_36bb,
    /// Topic control: a process's right to write.
    Lease = "control_lease" 0x0454_e9a5_1dd1_aa5b after ["control_lease.1" 0x80a3_b8b7_14d4_69b3],
    /// Topic control: offsets that are passed over.
    Skip = "control_skip" 0x51d2_5bf7_2ddd_e47d,
    /// Topic control: what a site was last configured with.
    SiteRules = "control_site_rules" 0x1331_6aa7_a4c0_4158,
    /// Topic control: what the installation is.
    Deployment = "control_deployment" 0x6d29_4dea_b2f3_e8dc,
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

/// Version of the schema that a kind has now: it has all fields, also those of records within it that are older kinds.
const NEWEST: u8 = u8::MAX;

/// The schema whose fingerprint this is. Written down, not computed: a command would parse all schemas before its first record.
/// `tests/agrees_with_avro.rs` holds each against the `apache-avro` crate.
static KNOWN: LazyLock<BTreeMap<u64, (Kind, u8)>> = LazyLock::new(|| {
    let current = Kind::ALL.iter().map(|kind| (kind.own_fingerprint(), (*kind, NEWEST)));
    let past = Kind::ALL.iter().flat_map(|kind| {
        let versions = kind.past().iter().zip(kind.first_version()..);
        versions.map(|((fingerprint, _), version)| (*fingerprint, (*kind, version)))
    });
    current.chain(past).collect()
});

/// The CRC-64-AVRO fingerprint of `kind`'s canonical form.
pub const fn fingerprint(kind: Kind) -> u64 {
    kind.own_fingerprint()
}

/// The kind of a single-object encoding, and a reader at its datum that knows which fields it has.
pub fn open(bytes: &[u8]) -> Result<(Kind, Reader<'_>), DecodeError> {
    let mut reader = Reader::new(bytes);
    if reader.raw(2)? != MARKER {
        return Err(DecodeError::UnknownSchema(0));
    }
    let fingerprint = u64::from_le_bytes(*reader.fixed()?);
    match KNOWN.get(&fingerprint) {
        Some((kind, version)) => Ok((*kind, reader.of_version(*version))),
        None => Err(DecodeError::UnknownSchema(fingerprint)),
    }
}

impl Kind {
    /// The number of its first version. A record within which stands another kind counts on from that kind's.
    const fn first_version(self) -> u8 {
        match self {
            Self::Resend => 3,
            _ => 1,
        }
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
