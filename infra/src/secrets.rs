//! The installation's master key, and what is sealed with it: signing keys and channel secrets in topic `control`.
//!
//! ChaCha20-Poly1305 (RFC 8439) with a random 12-byte nonce in front of the ciphertext. The context is authenticated with
//! it, so that a sealed value put in another one's place does not open.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use logystera_schemas::avro::Blob;
use logystera_schemas::ids::from_hex;
use zeroize::Zeroizing;

use crate::files;

/// Name of the key's file in the data folder.
pub const MASTER_KEY_FILE: &str = "master.key";

/// Bytes of the nonce (RFC 8439, section 2.8).
const NONCE_BYTES: usize = 12;
/// Bytes of the file that are looked at: 64 digits, and room for the white space that an editor adds.
const FILE_BYTES_MAX: u64 = 256;

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others can read the file.
    #[error("{} can be read by others (mode {mode:03o}); `chmod 600` it, and rotate the keys if it may have been read", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It is not a key.
    #[error("not a master key: expected 64 lowercase hex digits")]
    Malformed,
    /// It is not there, though secrets are sealed under it.
    #[error(
        "{} is missing, and {sealed} secrets of keys and channels are sealed under it: put it back from where it is backed up. \
         Without it nobody can open them: the sites then need new keys, in a new folder",
        path.display()
    )]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
        /// How many secrets are sealed.
        sealed: usize,
    },
    /// It is not the one that the secrets are sealed under.
    #[error(
        "{} opens none of the {sealed} secrets of this folder: it is another installation's; put the right one back",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// How many secrets are sealed.
        sealed: usize,
    },
}

/// A sealed value does not open: another master key sealed it, it stands in another context, or it was altered.
#[derive(Debug, thiserror::Error)]
#[error("a sealed value does not open: another master key sealed it, or it was altered")]
pub struct OpenFailed;

/// The key that seals the installation's secrets. It has no `Debug`.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl MasterKey {
    /// The key in `dir`; makes one, readable by its owner alone, if there is none. The caller holds the folder's lock.
    pub fn load_or_create(dir: &Path) -> Result<Self, MasterKeyError> {
        if let Some(key) = Self::load(dir)? {
            return Ok(key);
        }
        let path = dir.join(MASTER_KEY_FILE);
        let key = Self(Zeroizing::new(random_bytes()));
        match key.save(dir, &path) {
            Ok(()) => Ok(key),
            // Another process made one meanwhile: there is one key for a folder.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Self::load_or_create(dir),
            Err(source) => Err(MasterKeyError::Io { path, source }),
        }
    }

    /// The key in `dir`; none if there is no file.
    pub fn load(dir: &Path) -> Result<Option<Self>, MasterKeyError> {
        let path = dir.join(MASTER_KEY_FILE);
        match files::open_for_reading(&path) {
            Ok(file) => Self::read(&file, path).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(MasterKeyError::Io { path, source }),
        }
    }

    /// The key written as 64 lowercase hex digits.
    pub fn from_hex(text: &str) -> Result<Self, MasterKeyError> {
        from_hex(text).map(|bytes| Self(Zeroizing::new(bytes))).ok_or(MasterKeyError::Malformed)
    }

    fn read(file: &File, path: PathBuf) -> Result<Self, MasterKeyError> {
        let mut text = Zeroizing::new(String::new());
        let mut start = file.take(FILE_BYTES_MAX);
        let read =
            file.metadata().and_then(|m| start.read_to_string(&mut text).map(|_| m.permissions().mode() & 0o777));
        match read {
            Err(source) => Err(MasterKeyError::Io { path, source }),
            Ok(mode) if mode & 0o077 != 0 => Err(MasterKeyError::Exposed { path, mode }),
            Ok(_) => Self::from_hex(text.trim_end()),
        }
    }

    /// Writes the key whole or not at all, and never over another one: under another name first.
    fn save(&self, dir: &Path, path: &Path) -> io::Result<()> {
        let unfinished = dir.join(format!("master.key.{:08x}", u32::from_be_bytes(random_bytes())));
        let done = self.write(&unfinished).and_then(|()| std::fs::hard_link(&unfinished, path));
        drop(std::fs::remove_file(&unfinished));
        done.and_then(|()| files::sync_folder(dir))
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let mut file = files::create_new(path)?;
        for byte in self.0.iter() {
            write!(file, "{byte:02x}")?;
        }
        writeln!(file)?;
        file.sync_all()
    }

    fn cipher(&self) -> ChaCha20Poly1305 {
        ChaCha20Poly1305::new((&*self.0).into())
    }

    /// Seals `plaintext` for `context`: nonce, ciphertext, tag.
    #[expect(clippy::expect_used, reason = "the cipher refuses only texts of 256 GiB")]
    pub fn seal(&self, plaintext: &[u8], context: &str) -> Blob {
        let nonce: [u8; NONCE_BYTES] = random_bytes();
        let payload = Payload { msg: plaintext, aad: context.as_bytes() };
        let ciphertext = self.cipher().encrypt(Nonce::from_slice(&nonce), payload).expect("a secret is short");
        Blob([nonce.as_slice(), &ciphertext].concat())
    }

    /// Opens what [`Self::seal`] sealed for the same context.
    pub fn open(&self, sealed: &Blob, context: &str) -> Result<Zeroizing<Vec<u8>>, OpenFailed> {
        let (nonce, ciphertext) = sealed.0.split_at_checked(NONCE_BYTES).ok_or(OpenFailed)?;
        let payload = Payload { msg: ciphertext, aad: context.as_bytes() };
        self.cipher().decrypt(Nonce::from_slice(nonce), payload).map(Zeroizing::new).map_err(|_| OpenFailed)
    }
}

/// Random bytes from the system, fit for keys.
#[expect(clippy::expect_used, reason = "without random bytes no key may be made; every supported system has them")]
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system has random bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let sealed = MasterKey::load_or_create(dir.path()).unwrap().seal(b"secret", "key/a/k1");
        let path = dir.path().join(MASTER_KEY_FILE);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing unfinished stays");

        let again = MasterKey::load_or_create(dir.path()).unwrap();
        assert_eq!(again.open(&sealed, "key/a/k1").unwrap().as_slice(), b"secret");

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(MasterKey::load_or_create(dir.path()), Err(MasterKeyError::Exposed { mode: 0o640, .. })));

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "0123").unwrap();
        assert!(matches!(MasterKey::load_or_create(dir.path()), Err(MasterKeyError::Malformed)));
    }

    #[test]
    fn processes_that_start_together_have_one_key() {
        let dir = tempfile::tempdir().unwrap();
        let sealed: Vec<_> = std::thread::scope(|scope| {
            let make = || MasterKey::load_or_create(dir.path()).unwrap().seal(b"secret", "key/a/k1");
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let key = MasterKey::load_or_create(dir.path()).unwrap();
        assert!(sealed.iter().all(|sealed| key.open(sealed, "key/a/k1").is_ok()));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing unfinished stays");
    }

    #[test]
    fn a_sealed_value_opens_whole_with_its_key_in_its_context_only() {
        let key = MasterKey::from_hex(&"0f".repeat(32)).unwrap();
        let sealed = key.seal(b"secret", "here");
        assert_eq!(key.open(&sealed, "here").unwrap().as_slice(), b"secret");
        assert_ne!(sealed.0, key.seal(b"secret", "here").0, "the nonce differs each time");

        let mut refused = vec![(key.clone(), sealed.clone(), "there")];
        refused.push((MasterKey::from_hex(&"f0".repeat(32)).unwrap(), sealed.clone(), "here"));
        for at in 0..sealed.0.len() {
            let mut altered = sealed.clone();
            altered.0[at] ^= 1;
            refused.push((key.clone(), altered, "here"));
            refused.push((key.clone(), Blob(sealed.0[..at].to_vec()), "here"));
        }
        for (key, sealed, context) in refused {
            assert!(key.open(&sealed, context).is_err(), "{context} {sealed:?}");
        }
    }
}
