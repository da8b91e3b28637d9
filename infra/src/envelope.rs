//! Secrets under the master key: signing keys, and the configurations of channels. Each is sealed for its own record
//! alone.

use std::path::Path;

use logystera_schemas::avro::Blob;
use logystera_schemas::control::{Channel, Key};
use logystera_schemas::ids::{ChannelId, KeyId, SiteId};
use zeroize::Zeroizing;

use crate::directory::Directory;
use crate::secrets::{MASTER_KEY_FILE, MasterKey, MasterKeyError, OpenFailed};

/// Seals the 32 bytes of a signing key for its record: the context is the record's key, so that it opens nowhere else.
pub fn seal_key_secret(master: &MasterKey, site: &SiteId, key: &KeyId, secret: &[u8; 32]) -> Blob {
    master.seal(secret, &key_context(site, key))
}

/// The 32 bytes of a signing key.
pub fn open_key_secret(master: &MasterKey, key: &Key) -> Result<Zeroizing<[u8; 32]>, OpenFailed> {
    let opened = master.open(&key.sealed_secret, &key_context(&key.site, &key.key))?;
    opened.as_slice().try_into().map(Zeroizing::new).map_err(|_| OpenFailed)
}

/// Seals a channel's configuration, the JSON `{"url":…,"secret":…}`, for its record.
pub fn seal_channel_config(master: &MasterKey, channel: &ChannelId, json: &[u8]) -> Blob {
    master.seal(json, &channel_context(channel))
}

/// A channel's configuration: the JSON `{"url":…,"secret":…}`.
pub fn open_channel_config(master: &MasterKey, channel: &Channel) -> Result<Zeroizing<Vec<u8>>, OpenFailed> {
    master.open(&channel.sealed_config, &channel_context(&channel.channel))
}

/// The master key of a folder whose configuration is `directory`. Made only if nothing is sealed yet; a key that is
/// missing, or that opens nothing of what is there, is refused: with a new one, what was sealed before could never be
/// opened again. The caller holds the folder's lock.
pub fn master_key(dir: &Path, directory: &Directory) -> Result<MasterKey, MasterKeyError> {
    let (sealed, path) = (directory.sealed(), dir.join(MASTER_KEY_FILE));
    match MasterKey::load(dir)? {
        Some(master) if sealed == 0 || opens_any(&master, directory) => Ok(master),
        Some(_) => Err(MasterKeyError::Foreign { path, sealed }),
        None if sealed > 0 => Err(MasterKeyError::Missing { path, sealed }),
        None => MasterKey::load_or_create(dir),
    }
}

fn opens_any(master: &MasterKey, directory: &Directory) -> bool {
    directory.all_keys().any(|key| open_key_secret(master, key).is_ok())
        || directory.all_channels().any(|channel| open_channel_config(master, channel).is_ok())
}

/// As [`Entity::key`](logystera_schemas::control::Entity::key).
fn key_context(site: &SiteId, key: &KeyId) -> String {
    format!("key/{site}/{key}")
}

/// As [`Entity::key`](logystera_schemas::control::Entity::key).
fn channel_context(channel: &ChannelId) -> String {
    format!("channel/{channel}")
}

#[cfg(test)]
mod tests {
    use logystera_schemas::control::ChannelKind;

    use super::*;

    fn key(id: &str) -> Key {
        Key {
            site: "shop".parse().unwrap(),
            key: id.parse().unwrap(),
            sealed_secret: Blob(vec![1]),
            created_at: 5,
            not_before: 10,
            not_after: Some(20),
            revoked_at: None,
            stolen: false,
        }
    }

    #[test]
    fn a_sealed_secret_opens_in_its_own_record_only() {
        let master = MasterKey::from_hex(&"0f".repeat(32)).unwrap();
        let (k1, k2) = (key("k1"), key("k2"));
        let sealed_secret = seal_key_secret(&master, &k1.site, &k1.key, &[7; 32]);
        let k1 = Key { sealed_secret: sealed_secret.clone(), ..k1 };
        assert_eq!(*open_key_secret(&master, &k1).unwrap(), [7; 32]);
        assert!(open_key_secret(&master, &Key { sealed_secret, ..k2 }).is_err());

        let channel = |id: &str, sealed_config| Channel {
            channel: id.parse().unwrap(),
            tenant: "t1".parse().unwrap(),
            kind: ChannelKind::Webhook,
            sealed_config,
            created_at: 5,
            removed_at: None,
            settings: logystera_schemas::noise::ChannelSettings::default(),
            fallback: false,
            labels: Vec::new(),
        };
        let sealed = seal_channel_config(&master, &"c1".parse().unwrap(), b"{}");
        assert_eq!(open_channel_config(&master, &channel("c1", sealed.clone())).unwrap().as_slice(), b"{}");
        assert!(open_channel_config(&master, &channel("c2", sealed)).is_err());
    }
}
