//! Topic `signals`: the engine's whole input. Key: the site. [`crate::batch::Batch`] stands in its own file.

use crate::avro_record;
use crate::ids::{KeyId, Sha256Digest, SiteId, SpoolId, TenantId};
use crate::schema::{Kind, TopicRecord};
use crate::time::WallMs;

avro_record! {
    /// What the gateway turned away from a known site. Written by the gateway, one for each minute, site, spool and
    /// reason.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Refused {
        /// Site named in the signature header.
        pub site: SiteId,
        /// Spool; none if the header's MAC did not hold.
        pub spool: Option<SpoolId>,
        /// Code of the refusal.
        pub reason: String,
        /// How many batches, or signals, that is.
        pub count: u64,
        /// Whether the MAC held: only then is it a sign of life, of the site and of the spool.
        pub authenticated: bool,
    }
}

avro_record! {
    /// The clock of one gateway. Written to each partition of `signals` once a second, more seldom by a gateway that is
    /// alone while nobody sends, and forwarded by the engine to `detections`. Its key is empty.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Tick {
        /// Partition of `signals` that it was written to.
        pub partition: u32,
        /// The gateway's clock.
        pub at: WallMs,
        /// Milliseconds since the tick before in which the door was open, if they are more than ticks of each second
        /// tell.
        pub open_ms: i64 where since 2,
    }
}

avro_record! {
    /// From here on the site is judged by this configuration. The same one again changes nothing.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SiteConfigured {
        /// Site.
        pub site: SiteId,
        /// Its tenant.
        pub tenant: TenantId,
        /// Its name for people: messages carry it.
        pub name: String,
        /// Digest of the configuration's body, which stands in `control`.
        pub digest: Sha256Digest,
        /// Version of the engine's semantics.
        pub semantics: u32,
    }
}

avro_record! {
    /// The site is closed: its firing alerts resolve, and its state goes.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SiteClosed {
        /// Site.
        pub site: SiteId,
        /// Its tenant.
        pub tenant: TenantId,
    }
}

avro_record! {
    /// A key of the site signs nothing any more. Batches under a stolen one use up nobody's numbers.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct KeyRevoked {
        /// Site.
        pub site: SiteId,
        /// Id of the key.
        pub key: KeyId,
        /// Whether somebody else had it: the numbers of batches that came under it are free again.
        pub stolen: bool,
    }
}

avro_record! {
    /// The end of a partition, of `signals` or of `detections`. Nothing behind it was ever acknowledged: it is ignored.
    /// The partition's keys go on in the next generation of the topic.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Seal {
        /// The generation that ends.
        pub generation: u32,
        /// The partition that it stands in.
        pub partition: u32,
        /// Partitions of the next generation: a multiple of this one's.
        pub next_partitions: u32,
    }
}

impl TopicRecord for Refused {
    const KIND: Kind = Kind::Refused;
}
impl TopicRecord for Tick {
    const KIND: Kind = Kind::Tick;
}
impl TopicRecord for SiteConfigured {
    const KIND: Kind = Kind::SiteConfigured;
}
impl TopicRecord for SiteClosed {
    const KIND: Kind = Kind::SiteClosed;
}
impl TopicRecord for KeyRevoked {
    const KIND: Kind = Kind::KeyRevoked;
}
impl TopicRecord for Seal {
    const KIND: Kind = Kind::Seal;
}
