//! What is kept of an alert whose beginning a digest tells.

use logystera_schemas::avro_record;
use logystera_schemas::detection::Detection;
use logystera_schemas::ids::{DeliveryId, RuleName, Sha256Digest, SiteId};

avro_record! {
    /// What a row says of an alert.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(super) struct AlertRef {
        /// Site.
        pub(super) site: SiteId,
        /// Number of the detection there.
        pub(super) seq: u64,
        /// Its chain value.
        pub(super) chain: Sha256Digest,
        /// Id of the key under which its values are encrypted.
        pub(super) encryption_key: Option<String>,
        /// Rule.
        pub(super) rule: RuleName,
    }
}

/// A digest that tells a channel of an episode's beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    /// The digest.
    pub(super) digest: DeliveryId,
    /// Whether it names the alert. If not, it only counts it.
    pub(super) named: bool,
    /// The alert. None: a version before stored that it is counted, and no more.
    pub(super) alert: Option<AlertRef>,
}

impl AlertRef {
    pub(super) fn of(detection: &Detection) -> Self {
        let Detection { site, seq, chain, encryption_key, rule, .. } = detection;
        let (site, encryption_key, rule) = (site.clone(), encryption_key.clone(), rule.clone());
        Self { site, seq: *seq, chain: *chain, encryption_key, rule }
    }
}
