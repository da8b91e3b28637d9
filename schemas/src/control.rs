//! Topic `control`: what is configured. Key: [`entity key`](Entity::key); compacted, so the newest record of a key is the
//! truth and none is ever absent once written. One writer.

use crate::avro::Blob;
use crate::ids::{ChannelId, KeyId, Sha256Digest, SiteId, TenantId};
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
        /// First time at which it is no longer valid.
        pub not_after: Option<i64>,
        /// When it was revoked.
        pub revoked_at: Option<i64>,
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
        /// Nonce and ciphertext of the JSON `{"url":…,"secret":…}`, under the installation's master key.
        pub sealed_config: Blob,
        /// Milliseconds since the epoch.
        pub created_at: i64,
        /// When it was removed.
        pub removed_at: Option<i64>,
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
