//! Opens the secrets of topic `control` for the gateway and the alerter, and tells the latter what sites are called. They stay sealed in memory, and are opened for each
//! use: that takes a microsecond, and a revocation needs no cache to be told.

use std::fmt::Display;

use logystera_channels::{Channels, Target};
use logystera_infra::clock::{Clock, SystemClock};
use logystera_infra::directory::DirectoryView;
use logystera_infra::envelope::open_key_secret;
use logystera_infra::secrets::MasterKey;
use logystera_infra::telemetry::Seldom;
use logystera_ingest::core::replay::KeyStatus;
use logystera_ingest::{KeyEntry, Keys, SiteEntry};
use logystera_schemas::alert::NamedSite;
use logystera_schemas::control::Site;
use logystera_schemas::ids::{ChannelId, SiteId, TenantId};
use logystera_schemas::signature::Secret;

use crate::installation::channels;

/// The sites' keys.
pub(crate) struct SiteKeys {
    directory: DirectoryView,
    master: MasterKey,
    sealed: Sealed,
}

/// Tells that a secret does not open, though whoever asks for it again and again may be a stranger.
#[derive(Default)]
struct Sealed {
    clock: SystemClock,
    seldom: Seldom,
}

impl Sealed {
    fn tell(&self, what: &str, owner: &dyn Display, id: &dyn Display) {
        if let Some(left_out) = self.seldom.due(self.clock.monotonic_ms()) {
            tracing::error!(%owner, %id, left_out, "the {what}'s secret does not open: another master key sealed it");
        }
    }
}

impl SiteKeys {
    pub(crate) fn new(directory: DirectoryView, master: MasterKey) -> Self {
        Self { directory, master, sealed: Sealed::default() }
    }
}

impl Keys for SiteKeys {
    fn find(&self, site: &str, key: &str) -> Option<KeyEntry> {
        let directory = self.directory.current();
        let (site, key) = (directory.site(site)?, directory.key(site, key)?);
        let Ok(secret) = open_key_secret(&self.master, key) else {
            self.sealed.tell("key", &key.site, &key.key);
            return None;
        };
        Some(KeyEntry {
            tenant: site.tenant.clone(),
            secret: Secret::new(*secret),
            not_before: key.not_before,
            not_after: key.not_after,
            revoked: key.revoked_at.is_some(),
            stolen: key.stolen,
        })
    }

    fn is_stale(&self) -> bool {
        self.directory.is_stale()
    }

    fn standing(&self, site: &str, key: &str) -> KeyStatus {
        match self.directory.current().key(site, key) {
            Some(key) if key.stolen => KeyStatus::Stolen,
            Some(key) if key.revoked_at.is_some() => KeyStatus::Revoked,
            Some(_) | None => KeyStatus::Good,
        }
    }

    fn site(&self, site: &str) -> Option<SiteEntry> {
        let directory = self.directory.current();
        let site = directory.site(site)?;
        Some(SiteEntry { tenant: site.tenant.clone(), closed: site.closed_at.is_some() })
    }
}

/// The channels' addresses and secrets.
pub(crate) struct ChannelTargets {
    directory: DirectoryView,
    master: MasterKey,
    sealed: Sealed,
}

impl ChannelTargets {
    pub(crate) fn new(directory: DirectoryView, master: MasterKey) -> Self {
        Self { directory, master, sealed: Sealed::default() }
    }
}

impl Channels for ChannelTargets {
    fn find(&self, tenant: &TenantId, channel: &ChannelId) -> Option<Target> {
        let directory = self.directory.current();
        let found = directory.channel(channel.as_str())?;
        if found.tenant != *tenant || found.removed_at.is_some() {
            return None;
        }
        let target = channels::target(&self.master, found);
        if target.is_none() {
            self.sealed.tell("channel", tenant, channel);
        }
        target
    }

    fn site(&self, tenant: &TenantId, site: &SiteId) -> Option<NamedSite> {
        let directory = self.directory.current();
        let found = directory.site(site.as_str()).filter(|found| found.tenant == *tenant)?;
        let Site { site, name, url, labels, .. } = found.as_ref().clone();
        Some(NamedSite { site, name, url, labels })
    }
}
