//! Topic `snapshots`: the engine's state, once a day for each key group. Key: the key group, 2 bytes big-endian.

use crate::avro::Blob;
use crate::avro_record;
use crate::ids::{Sha256Digest, SiteId};
use crate::schema::{Kind, TopicRecord};
use crate::time::WallMs;

avro_record! {
    /// A site of a [`Snapshot`].
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SnapshotSite {
        /// Site.
        pub site: SiteId,
        /// Digest of its configuration: the body is needed for as long as the snapshot is kept.
        pub digest: Sha256Digest,
        /// Number of its newest detection; 0: there is none.
        pub seq: u64,
        /// Chain of its newest detection; [`crate::detection::Detection::genesis`] if there is none.
        pub chain: Sha256Digest,
    }
}

avro_record! {
    /// A state entry of a [`Snapshot`].
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SnapshotEntry {
        /// Its key.
        pub key: Blob,
        /// Its value.
        pub value: Blob,
    }
}

avro_record! {
    /// A part of the engine's state of a key group. Written by the engine in its transaction, all parts of one
    /// together; kept as long as topic `signals`. A key group without sites has one too: its absence means that none
    /// was taken.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Snapshot {
        /// The key group.
        pub key_group: u32,
        /// Generation of topic `signals`.
        pub generation: u32,
        /// Its partition that the key group is in.
        pub partition: u32,
        /// Offset in it: every record below it has been applied, none from it on.
        pub position: u64,
        /// Wall time of the log.
        pub at: WallMs,
        /// Number of this part, from 1.
        pub part: u32,
        /// How many parts there are.
        pub parts: u32,
        /// Id of the key that the entries are encrypted under.
        pub encryption_key: Option<String>,
        /// The sites whose state begins in this part.
        pub sites: Vec<SnapshotSite>,
        /// State entries, in the order of their keys over all parts; the first of the first part is the log's clocks.
        pub entries: Vec<SnapshotEntry>,
    }
}

impl TopicRecord for Snapshot {
    const KIND: Kind = Kind::Snapshot;
}
