//! What the gateway asks of the configuration: who may sign, and which sites there are.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use logystera_schemas::ids::{KeyId, SiteId, TenantId};

use crate::core::replay::KeyStatus;
use logystera_schemas::signature::Secret;

/// A key of a site. It has no `Debug`: it holds a secret.
#[derive(Clone)]
pub struct KeyEntry {
    /// Owner of the site: the only source of a batch's tenant.
    pub tenant: TenantId,
    /// What it signs with.
    pub secret: Secret,
    /// First time at which it is valid, milliseconds since the epoch.
    pub not_before: i64,
    /// First time at which it is no longer valid; none: it has no end.
    pub not_after: Option<i64>,
    /// Whether it was revoked.
    pub revoked: bool,
    /// Whether it was revoked as stolen: batches under it use up nobody's numbers.
    pub stolen: bool,
}

impl KeyEntry {
    /// How it stands for what was heard under it before.
    pub fn standing(&self) -> KeyStatus {
        match (self.revoked, self.stolen) {
            (true, true) => KeyStatus::Stolen,
            (true, false) => KeyStatus::Revoked,
            (false, _) => KeyStatus::Good,
        }
    }
}

/// A site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteEntry {
    /// Its owner.
    pub tenant: TenantId,
    /// Whether it was closed. Its keys must still be found: only then can its senders be told to stop.
    pub closed: bool,
}

/// The configuration as the gateway sees it, a few seconds old at most. Both look-ups are made for each request, by
/// strangers too: they must be quick, and neither block nor keep what was asked for.
pub trait Keys: Send + Sync + 'static {
    /// A site's key, whatever its state.
    fn find(&self, site: &str, key: &str) -> Option<KeyEntry>;

    /// A site.
    fn site(&self, site: &str) -> Option<SiteEntry>;

    /// Whether the configuration could not be read for so long that a revoked key may still be taken for a live one.
    fn is_stale(&self) -> bool {
        false
    }

    /// How a site's key stands for what was heard under it before. Asked for other keys than the one that signed, of a
    /// spool that was heard under several.
    fn standing(&self, site: &str, key: &str) -> KeyStatus {
        self.find(site, key).map_or(KeyStatus::Good, |key| key.standing())
    }
}

/// Keys held in memory, for tests and benchmarks.
#[derive(Default)]
pub struct MemoryKeys(Mutex<(BTreeMap<String, SiteEntry>, BTreeMap<String, KeyEntry>)>, AtomicBool);

impl MemoryKeys {
    /// No sites.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that they could not be read for long, or can be again.
    pub fn set_stale(&self, is_stale: bool) {
        self.1.store(is_stale, Ordering::Relaxed);
    }

    /// Adds or replaces a site.
    pub fn put_site(&self, site: &SiteId, entry: SiteEntry) {
        self.with(|(sites, _)| sites.insert(site.to_string(), entry));
    }

    /// Adds or replaces a key.
    pub fn put_key(&self, site: &SiteId, key: &KeyId, entry: KeyEntry) {
        self.with(|(_, keys)| keys.insert(format!("{site}/{key}"), entry));
    }

    fn with<R>(&self, run: impl FnOnce(&mut (BTreeMap<String, SiteEntry>, BTreeMap<String, KeyEntry>)) -> R) -> R {
        run(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Keys for MemoryKeys {
    fn find(&self, site: &str, key: &str) -> Option<KeyEntry> {
        self.with(|(_, keys)| keys.get(&format!("{site}/{key}")).cloned())
    }

    fn is_stale(&self) -> bool {
        self.1.load(Ordering::Relaxed)
    }

    fn site(&self, site: &str) -> Option<SiteEntry> {
        self.with(|(sites, _)| sites.get(site).cloned())
    }
}
