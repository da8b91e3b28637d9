//! Identifiers. Parsing checks them, so that one that exists is well formed.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::limits::ID_CHARS_MAX;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not {what}: expected {expected}")]
pub struct IdError {
    /// What was looked for, with its article.
    pub what: &'static str,
    /// What it would look like.
    pub expected: &'static str,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $expected:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) { Ok(Self(text.into())) } else { Err(IdError { what: $what, expected: $expected }) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.as_ref().to_owned()
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// Whether a text is 1 to 64 of `[a-z0-9_-]`, the alphabet of ids in the signature header.
pub fn is_slug(text: &str) -> bool {
    (1..=ID_CHARS_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

text_id!(
    /// A customer: owns sites and channels, sees only its own.
    TenantId, "a tenant id", "1 to 64 of a-z 0-9 _ -", is_slug
);
text_id!(
    /// A monitored web application.
    SiteId, "a site id", "1 to 64 of a-z 0-9 _ -", is_slug
);
text_id!(
    /// A signing key within its site.
    KeyId, "a key id", "1 to 64 of a-z 0-9 _ -", is_slug
);
text_id!(
    /// A channel within the installation.
    ChannelId, "a channel id", "1 to 64 of a-z 0-9 _ -", is_slug
);
text_id!(
    /// A silence within the installation.
    SilenceId, "a silence id", "1 to 64 of a-z 0-9 _ -", is_slug
);
text_id!(
    /// A rule within its rule set.
    RuleName, "a rule name", "1 to 64 of a-z 0-9 _ -", is_slug
);

macro_rules! bytes_id {
    ($(#[$doc:meta])* $name:ident, $len:literal, $what:literal, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                from_hex(text).map(Self).ok_or(IdError { what: $what, expected: $expected })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

bytes_id!(
    /// A sender's buffer, drawn at random when it is created.
    SpoolId, 8, "a spool id", "16 lowercase hex digits"
);
bytes_id!(
    /// A SHA-256 digest.
    Sha256Digest, 32, "a SHA-256 digest", "64 lowercase hex digits"
);
bytes_id!(
    /// One episode of a group: the first 16 bytes of SHA-256 over site, rule, group and start.
    EpisodeId, 16, "an episode id", "32 lowercase hex digits"
);
bytes_id!(
    /// One alert to one channel; also the idempotency key of its attempts.
    DeliveryId, 16, "a delivery id", "32 lowercase hex digits"
);

bytes_id!(
    /// One time that somebody asked for a detection to be sent again, drawn at random.
    ResendId, 16, "a resend id", "32 lowercase hex digits"
);

impl Sha256Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

/// The value of each lowercase hex digit; of any other byte 255.
static NIBBLES: [u8; 256] = {
    let mut table = [u8::MAX; 256];
    let mut value = 0;
    while value < 16 {
        table[b"0123456789abcdef"[value] as usize] = value as u8;
        value += 1;
    }
    table
};

/// Decodes exactly `N` bytes of lowercase hex.
pub fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut out = [0; N];
    // Judged at the end: a way out of the loop would cost more than the rest of it.
    let mut bad = 0;
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        let (high, low) = (NIBBLES[usize::from(pair[0])], NIBBLES[usize::from(pair[1])]);
        bad |= high | low;
        *byte = high << 4 | low & 0xf;
    }
    (bad & 0xf0 == 0).then_some(out)
}

/// One batch of one spool, written `<spool>.<seq>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BatchId {
    /// The spool that the batch was cut from.
    pub spool: SpoolId,
    /// Its number there, from 1.
    pub seq: u64,
}

impl FromStr for BatchId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = IdError { what: "a batch id", expected: "<16 hex digits>.<number from 1>" };
        let (spool, seq) = text.split_once('.').ok_or(error.clone())?;
        let canonical = seq.bytes().all(|b| b.is_ascii_digit()) && !seq.starts_with('0') && seq.len() <= 18;
        match (spool.parse(), seq.parse()) {
            (Ok(spool), Ok(seq)) if canonical => Ok(Self { spool, seq }),
            _ => Err(error),
        }
    }
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.spool, self.seq)
    }
}

/// How many key groups there are; it never changes.
pub const KEY_GROUPS: u16 = 1_024;

/// The unit of state, order, dedup and movement: the first 8 bytes, big-endian, of SHA-256 of the key, mod 1,024.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyGroup(pub u16);

impl KeyGroup {
    /// The key group of a site (topic signals) or a tenant (topic detections).
    pub fn of(key: &str) -> Self {
        let digest: [u8; 32] = Sha256::digest(key.as_bytes()).into();
        let (head, _) = digest.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        Self((u64::from_be_bytes(*head) % u64::from(KEY_GROUPS)) as u16)
    }

    /// The partition that holds this key group if a topic has `partitions` of them.
    pub fn partition(self, partitions: u32) -> u32 {
        u32::from(self.0) % partitions
    }
}

/// Writes bytes as lowercase hex digits.
pub fn write_hex(bytes: &[u8], to: &mut impl fmt::Write) -> fmt::Result {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        to.write_char(char::from(DIGITS[usize::from(byte >> 4)]))?;
        to.write_char(char::from(DIGITS[usize::from(byte & 15)]))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_checked_where_they_are_made() {
        for (text, valid) in [
            ("site_7qd", true),
            ("a", true),
            ("", false),
            ("Site", false),
            ("a b", false),
            ("é", false),
            ("a.b", false),
        ] {
            assert_eq!(text.parse::<SiteId>().is_ok(), valid, "{text:?}");
        }
        assert!("x".repeat(64).parse::<SiteId>().is_ok());
        assert!("x".repeat(65).parse::<SiteId>().is_err());
    }

    #[test]
    fn batch_ids_have_one_spelling() {
        for (text, valid) in [
            ("9f86d081884c7d65.1", true),
            ("9f86d081884c7d65.999999999999999999", true),
            ("9f86d081884c7d65.0", false),
            ("9f86d081884c7d65.01", false),
            ("9f86d081884c7d65.+1", false),
            ("9F86d081884c7d65.1", false),
            ("9f86d081884c7d6.1", false),
            ("9f86d081884c7d65.1000000000000000000", false),
            ("9f86d081884c7d65.", false),
            ("9f86d081884c7d65", false),
        ] {
            assert_eq!(
                text.parse::<BatchId>().map(|id| id.to_string()).ok(),
                valid.then(|| text.to_owned()),
                "{text:?}"
            );
        }
    }

    #[test]
    fn key_groups_are_fixed() {
        // Computed apart from this code, with a SHA-256 of another maker.
        assert_eq!(["site_7qd", "demo", ""].map(KeyGroup::of), [KeyGroup(115), KeyGroup(132), KeyGroup(20)]);
    }
}
