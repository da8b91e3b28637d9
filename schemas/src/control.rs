//! Topic `control`: what is configured. Key: [`entity key`](Entity::key); compacted, so the newest record of a key is
//! the truth, and a key that was written once always has a record. One writer, but for leases: each process writes its
//! own.

use crate::avro::Blob;
use crate::delivery::ChannelRef;
use crate::ids::{ChannelId, KeyId, Sha256Digest, SiteId, TenantId};
use crate::labels::SiteLabel;
use crate::noise::{ChannelSettings, Silence};
use crate::schema::{Kind, TopicRecord};
use crate::{avro_enum, avro_record};

avro_record! {
    /// A customer.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Tenant {
        /// Id.
        pub tenant: TenantId,
        /// Name for people.
        pub name: String,
        /// Milliseconds since the epoch.
        pub created_at: i64,
    }
}

avro_record! {
    /// A monitored web application.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Site {
        /// Id.
        pub site: SiteId,
        /// Its tenant.
        pub tenant: TenantId,
        /// Name for people.
        pub name: String,
        /// Milliseconds since the epoch.
        pub created_at: i64,
        /// When it was closed.
        pub closed_at: Option<i64>,
        /// Its address on the web, for people.
        pub url: Option<String> where since 2,
        /// What its owner sorts it by, by key, each key once: at most [`SITE_LABELS_MAX`](crate::limits::SITE_LABELS_MAX).
        pub labels: Vec<SiteLabel> where since 2,
    }
}

avro_record! {
    /// A site's signing key.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Key {
        /// Site.
        pub site: SiteId,
        /// Id within the site.
        pub key: KeyId,
        /// Nonce and ciphertext of the 32 secret bytes, under the installation's master key.
        pub sealed_secret: Blob,
        /// Milliseconds since the epoch.
        pub created_at: i64,
        /// First time at which it is valid, milliseconds since the epoch.
        pub not_before: i64,
        /// First time at which it is no longer valid; none: it has no end.
        pub not_after: Option<i64>,
        /// When it was revoked.
        pub revoked_at: Option<i64>,
        /// Whether it was revoked as stolen: batches under it use up nobody's numbers.
        pub stolen: bool where since 2,
    }
}

impl Key {
    /// Whether it is valid at `now_ms` (milliseconds since the epoch), or will be later: it counts among a site's live
    /// keys.
    pub fn is_live(&self, now_ms: i64) -> bool {
        self.revoked_at.is_none() && self.not_after.is_none_or(|end| now_ms < end)
    }

    /// Whether it signs at `now_ms`, milliseconds since the epoch.
    pub fn is_valid(&self, now_ms: i64) -> bool {
        self.is_live(now_ms) && self.not_before <= now_ms
    }
}

avro_record! {
    /// The body of a configuration. Kept as long as anything retained names its digest.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct RuleSet {
        /// SHA-256 of the body.
        pub digest: Sha256Digest,
        /// Canonical JSON.
        pub body: Blob,
    }
}

avro_enum! {
    /// What a channel speaks.
    pub enum ChannelKind {
        /// A signed JSON request to an address of the operator's choice.
        Webhook = "webhook",
        /// Slack's incoming webhooks.
        Slack = "slack",
        /// A workflow of Microsoft Teams that posts what it is sent.
        Teams = "teams",
        /// Mail, through the installation's server.
        Email = "email",
    }
}

avro_record! {
    /// Where a tenant's alerts go.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Channel {
        /// Id.
        pub channel: ChannelId,
        /// Its tenant.
        pub tenant: TenantId,
        /// What it speaks.
        pub kind: ChannelKind,
        /// Nonce and ciphertext of the kind's settings in JSON, under the installation's master key: a webhook's are
        /// `{"url":…,"secret":…}`, of Slack and Teams `{"url":…}`, of email `{"addresses":[…]}`.
        pub sealed_config: Blob,
        /// Milliseconds since the epoch.
        pub created_at: i64,
        /// When it was removed.
        pub removed_at: Option<i64>,
        /// What it takes.
        pub settings: ChannelSettings where since 3,
        /// Whether it is the tenant's fallback channel: it is told of what no other channel took, and of nothing else.
        pub fallback: bool where since 4,
        /// Only alerts of sites with these labels, as [`labels::match_all`](crate::labels::match_all) says. Empty: of all.
        pub labels: Vec<SiteLabel> where since 5,
    }
}

impl Channel {
    /// The channel as the planner of deliveries knows it: without what is secret.
    pub fn for_planner(&self) -> ChannelRef {
        ChannelRef {
            channel: self.channel.clone(),
            kind: self.kind.as_str().to_owned(),
            settings: self.settings.clone(),
            fallback: self.fallback,
            labels: self.labels.clone(),
        }
    }
}

avro_enum! {
    /// A topic whose partitions can grow.
    pub enum GrowingTopic {
        /// Written by gateways.
        Signals = "signals",
        /// Written by processors and alerters. `attempts` grows with it.
        Detections = "detections",
    }
}

avro_enum! {
    /// How far a growth is.
    pub enum GrowthPhase {
        /// The newest generation alone is written and read.
        Open = "open",
        /// The one before is written no more, the newest not yet.
        Closing = "closing",
        /// The newest is written; the one before is read to its seals.
        Moving = "moving",
    }
}

avro_record! {
    /// How often a topic has grown, and to how many partitions. Written by `partitions grow`; absent until it was first
    /// used: the topic has one generation then, with the partitions of the settings.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Partitions {
        /// The topic.
        pub topic: GrowingTopic,
        /// Partitions of each generation, the oldest first; each a multiple of the one before.
        pub generations: Vec<u32>,
        /// How far the newest growth is.
        pub phase: GrowthPhase,
    }
}

avro_enum! {
    /// What a process does.
    pub enum ProcessRole {
        /// Takes batches; writes to `signals`.
        Gateway = "gateway",
        /// Judges signals; writes to `detections`.
        Processor = "processor",
        /// Delivers alerts; writes to `detections`.
        Alerter = "alerter",
    }
}

avro_record! {
    /// A process's right to write to a topic that may grow, for `LEASE_MS` from when it asked. Written by the process
    /// itself.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Lease {
        /// What the process does.
        pub role: ProcessRole,
        /// Its name among those of its role.
        pub instance: String,
        /// Drawn when it starts: a process that finds a newer record with another one under its own name stops.
        pub incarnation: i64,
        /// Counts its renewals.
        pub renewal: u64,
        /// The newest generation that it has stopped writing to: nothing of it is on its way there any more.
        pub left: Option<u32>,
        /// Whether the process has ended.
        pub released: bool,
        /// Its clock when it wrote this, milliseconds since the epoch; none: of a version that did not say.
        pub at: Option<i64> where since 2,
        /// Whether it would write ticks then: it believes its clock, the log takes its appends, and its door has room.
        /// One of the gateways that say so does.
        pub ticks: bool where since 2,
    }
}

avro_record! {
    /// Offsets of a partition that every task which applies it passes over, from when it has read this: a record there
    /// cannot be read, or is gone. Written by `log skip`; absent: every record counts.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Skip {
        /// The topic.
        pub topic: GrowingTopic,
        /// How often it had grown.
        pub generation: u32,
        /// The partition.
        pub partition: u32,
        /// The first offset.
        pub from: u64,
        /// One past the last offset.
        pub to: u64,
        /// Why, in the operator's words.
        pub reason: String,
        /// When that was, milliseconds since the epoch.
        pub at: i64,
    }
}

avro_record! {
    /// What a site was last configured with. Written in one commit with the `SiteConfigured` of topic `signals`;
    /// absent: by a version that did not say, or never.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SiteRules {
        /// Site.
        pub site: SiteId,
        /// Digest of the configuration's body.
        pub digest: Sha256Digest,
        /// Version of the engine's semantics.
        pub semantics: u32,
        /// When, milliseconds since the epoch.
        pub at: i64,
        /// Which command, and on which machine.
        pub by: String,
    }
}

avro_record! {
    /// What the installation of a data folder is. Written by its first start and whenever that changes; absent only in
    /// a folder that an older version wrote. An installation on Kafka has its settings' file instead.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Deployment {
        /// The name that batches are signed for: a batch signed for another is refused.
        pub audience: String,
        /// Scheme, host and port that senders use.
        pub url: String,
        /// Whether channels may point to this machine and to private networks.
        pub allow_private_addresses: bool,
        /// Digest of what all sites were last configured with; none before the first time.
        pub rules: Option<Sha256Digest>,
        /// Version of the engine's semantics that they were configured with.
        pub semantics: u32,
    }
}

/// A record of topic `control`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entity {
    /// A customer.
    Tenant(Tenant),
    /// A site.
    Site(Site),
    /// A key.
    Key(Key),
    /// A configuration's body.
    RuleSet(RuleSet),
    /// A channel.
    Channel(Channel),
    /// How a topic has grown.
    Partitions(Partitions),
    /// A process's right to write.
    Lease(Lease),
    /// Offsets that are passed over.
    Skip(Skip),
    /// What a site was last configured with.
    SiteRules(SiteRules),
    /// What the installation is.
    Deployment(Deployment),
    /// What is not told for a while. Written by `silence add` and `silence end`; at most `SILENCES_MAX` a tenant; absent:
    /// there never was one of that id.
    Silence(Silence),
}

impl Entity {
    /// The record's key: `<kind>/<id>`, unique among all entities.
    pub fn key(&self) -> String {
        match self {
            Self::Tenant(t) => format!("tenant/{}", t.tenant),
            Self::Site(s) => format!("site/{}", s.site),
            Self::Key(k) => format!("key/{}/{}", k.site, k.key),
            Self::RuleSet(r) => format!("rules/{}", r.digest),
            Self::Channel(c) => format!("channel/{}", c.channel),
            Self::Partitions(p) => format!("partitions/{}", p.topic),
            Self::Lease(l) => format!("lease/{}/{}", l.role, l.instance),
            Self::Skip(s) => format!("skip/{}/{}/{}/{}", s.topic, s.generation, s.partition, s.from),
            Self::SiteRules(r) => format!("site-rules/{}", r.site),
            Self::Deployment(_) => "deployment".to_owned(),
            Self::Silence(s) => format!("silence/{}", s.silence),
        }
    }
}

impl TopicRecord for Tenant {
    const KIND: Kind = Kind::Tenant;
}
impl TopicRecord for Site {
    const KIND: Kind = Kind::Site;
}
impl TopicRecord for Key {
    const KIND: Kind = Kind::Key;
}
impl TopicRecord for RuleSet {
    const KIND: Kind = Kind::RuleSet;
}
impl TopicRecord for Channel {
    const KIND: Kind = Kind::Channel;
}
impl TopicRecord for Partitions {
    const KIND: Kind = Kind::Partitions;
}
impl TopicRecord for Lease {
    const KIND: Kind = Kind::Lease;
}
impl TopicRecord for Skip {
    const KIND: Kind = Kind::Skip;
}
impl TopicRecord for SiteRules {
    const KIND: Kind = Kind::SiteRules;
}
impl TopicRecord for Deployment {
    const KIND: Kind = Kind::Deployment;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_lives_from_its_making_and_signs_between_its_bounds() {
        let open = Key {
            site: "shop".parse().unwrap(),
            key: "k1".parse().unwrap(),
            sealed_secret: Blob(vec![1]),
            created_at: 5,
            not_before: 10,
            not_after: Some(20),
            revoked_at: None,
            stolen: false,
        };
        let revoked = Key { revoked_at: Some(12), ..open.clone() };
        for (now, live, valid) in [(9, true, false), (10, true, true), (19, true, true), (20, false, false)] {
            assert_eq!((open.is_live(now), open.is_valid(now)), (live, valid), "at {now}");
            assert_eq!((revoked.is_live(now), revoked.is_valid(now)), (false, false), "revoked, at {now}");
        }
    }
}
