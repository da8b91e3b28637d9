//! The names of the planner's state entries, their bytes, and which of them changed. `state.rs` has the table of the
//! entries.

use std::collections::BTreeSet;

use logystera_schemas::ids::{DeliveryId, EpisodeId, KEY_GROUPS, KeyGroup, Sha256Digest, SilenceId, SiteId, TenantId};

use super::delivery::DetectionRef;

/// Stands in a key for the partition itself, and sorts after all key groups.
const NO_KEY_GROUP: u16 = u16::MAX;

/// Names a state entry. Ordered as its bytes after the key group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Clock,
    Channels(TenantId),
    Detection(TenantId, DetectionRef),
    Delivery(TenantId, DeliveryId),
    Episode(TenantId, EpisodeId),
    Silence(TenantId, SilenceId),
    Chain(TenantId),
    Labels(TenantId, SiteId),
}

/// The entries that changed since the last commit, by key group.
#[derive(Clone, Debug, Default)]
pub(super) struct Dirty {
    pub(super) keys: BTreeSet<(u16, Key)>,
    /// Keys of the first versions that were restored: the next commit deletes them, and writes their entries under
    /// today's keys.
    pub(super) old: Vec<Vec<u8>>,
}

impl Dirty {
    pub(super) fn mark(&mut self, key: Key) {
        self.keys.insert((key.key_group(), key));
    }
}

impl Key {
    pub(super) fn key_group(&self) -> u16 {
        match self {
            Self::Clock => NO_KEY_GROUP,
            Self::Channels(tenant)
            | Self::Detection(tenant, ..)
            | Self::Delivery(tenant, _)
            | Self::Episode(tenant, _)
            | Self::Silence(tenant, _)
            | Self::Chain(tenant)
            | Self::Labels(tenant, _) => KeyGroup::of(tenant.as_str()).0,
        }
    }

    pub(super) fn encode(&self, key_group: u16) -> Vec<u8> {
        let mut bytes = key_group.to_be_bytes().to_vec();
        match self {
            Self::Clock => bytes.push(b'a'),
            Self::Channels(tenant) => {
                bytes.push(b'b');
                bytes.extend_from_slice(tenant.as_str().as_bytes());
            }
            Self::Detection(tenant, DetectionRef { site, seq, chain }) => {
                bytes.push(b'c');
                bytes.extend_from_slice(tenant.as_str().as_bytes());
                bytes.push(0);
                bytes.extend_from_slice(site.as_str().as_bytes());
                bytes.push(0);
                bytes.extend_from_slice(&seq.to_be_bytes());
                bytes.extend_from_slice(&chain.0);
            }
            Self::Delivery(tenant, delivery) => {
                bytes.push(b'd');
                bytes.extend_from_slice(tenant.as_str().as_bytes());
                bytes.push(0);
                bytes.extend_from_slice(&delivery.0);
            }
            Self::Episode(tenant, episode) => {
                bytes.push(b'e');
                bytes.extend_from_slice(tenant.as_str().as_bytes());
                bytes.push(0);
                bytes.extend_from_slice(&episode.0);
            }
            Self::Silence(tenant, silence) => {
                bytes.push(b'f');
                bytes.extend_from_slice(tenant.as_str().as_bytes());
                bytes.push(0);
                bytes.extend_from_slice(silence.as_str().as_bytes());
            }
            Self::Chain(tenant) => {
                bytes.push(b'g');
                bytes.extend_from_slice(tenant.as_str().as_bytes());
            }
            Self::Labels(tenant, site) => {
                bytes.push(b'h');
                bytes.extend_from_slice(tenant.as_str().as_bytes());
                bytes.push(0);
                bytes.extend_from_slice(site.as_str().as_bytes());
            }
        }
        bytes
    }

    /// What the key names. The first versions wrote no key group: their keys begin with a tag, which no key group does.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes.split_first_chunk() {
            Some((key_group, rest)) if is_key_group(u16::from_be_bytes(*key_group)) => {
                let key = Self::decode_rest(rest)?;
                (key.key_group() == u16::from_be_bytes(*key_group)).then_some(key)
            }
            _ => Self::decode_rest(bytes),
        }
    }

    fn decode_rest(bytes: &[u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
        let cut = |bytes: &[u8]| {
            let end = bytes.iter().position(|b| *b == 0)?;
            Some((text(&bytes[..end])?, bytes[end + 1..].to_vec()))
        };
        match tag {
            b'a' if rest.is_empty() => Some(Self::Clock),
            b'b' => Some(Self::Channels(text(rest)?.parse().ok()?)),
            b'c' => {
                let (tenant, rest) = cut(rest)?;
                let (site, rest) = cut(&rest)?;
                let (seq, chain) = rest.split_first_chunk()?;
                // The first versions wrote no chain value: the detection itself has it.
                let chain = if chain.is_empty() { [0; 32] } else { chain.try_into().ok()? };
                let (seq, chain) = (u64::from_be_bytes(*seq), Sha256Digest(chain));
                Some(Self::Detection(tenant.parse().ok()?, DetectionRef { site: site.parse().ok()?, seq, chain }))
            }
            b'd' => {
                let (tenant, delivery) = cut(rest)?;
                Some(Self::Delivery(tenant.parse().ok()?, DeliveryId(delivery.try_into().ok()?)))
            }
            b'e' => {
                let (tenant, episode) = cut(rest)?;
                Some(Self::Episode(tenant.parse().ok()?, EpisodeId(episode.try_into().ok()?)))
            }
            b'f' => {
                let (tenant, silence) = cut(rest)?;
                Some(Self::Silence(tenant.parse().ok()?, text(&silence)?.parse().ok()?))
            }
            b'g' => Some(Self::Chain(text(rest)?.parse().ok()?)),
            b'h' => {
                let (tenant, site) = cut(rest)?;
                Some(Self::Labels(tenant.parse().ok()?, text(&site)?.parse().ok()?))
            }
            _ => None,
        }
    }
}

fn is_key_group(number: u16) -> bool {
    number < KEY_GROUPS || number == NO_KEY_GROUP
}
