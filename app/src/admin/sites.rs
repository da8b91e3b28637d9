//! Sites and their keys.

use std::fmt::Write;

use logystera_infra::control::{Directory, entry, is_live, seal_key_secret};
use logystera_infra::log::Log;
use logystera_infra::secrets::random_bytes;
use logystera_schemas::control::{Entity, Key, Site, Tenant};
use logystera_schemas::ids::{KeyId, SiteId, TenantId, is_name, is_slug};
use logystera_schemas::limits::LIVE_KEYS_MAX;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::rules::{by, site_configured};
use super::{Office, Refusal};

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;
/// Characters of a site's id that are taken from its name.
const ID_NAME_CHARS_MAX: usize = 40;

/// A new key, with its secret: shown once, so it has no `Debug`.
#[derive(Serialize, Deserialize)]
pub struct IssuedKey {
    /// Tenant.
    pub tenant: String,
    /// Site.
    pub site: String,
    /// Id of the key in its site.
    pub key: String,
    /// 32 bytes as 64 lowercase hex digits.
    pub secret: String,
    /// Name that batches are signed for.
    pub audience: String,
    /// Where batches go.
    pub url: String,
    /// All of it in one string.
    pub dsn: String,
}

impl<L: Log> Office<L> {
    /// Adds a site with its first key. The configuration stands in `signals` before the key is valid, in one commit.
    pub(super) async fn add_site(&self, name: &str, tenant: &str) -> Result<IssuedKey, Refusal> {
        if !is_name(name) {
            return Err(Refusal::wrong_use("a site's name has 1 to 128 characters, and no control characters"));
        }
        let tenant: TenantId = tenant.parse().map_err(|e| Refusal::wrong_use(format!("--tenant: {e}")))?;
        let directory = self.directory()?;
        let configured = self.deployment.rules.as_ref();
        let configured = configured.ok_or_else(|| Refusal::wrong_use("no rules are loaded yet"))?;
        let now = self.clock.wall_ms();
        let mut entries = new_tenant(&directory, &tenant, now);
        let site = free_id(&directory, name)?;
        let site = Site { site, tenant, name: name.to_owned(), created_at: now, closed_at: None };
        entries.push(entry(&Entity::Site(site.clone())));
        entries.extend(site_configured(&site, configured, &by("site add"), &self.log)?);
        let (key, issued) = self.new_key(&directory, &site, now)?;
        entries.push(entry(&Entity::Key(key)));
        self.log.append(entries).await?;
        Ok(issued)
    }

    /// Makes a new key that is valid at once; the ones before it end after `overlap_days`.
    pub(super) async fn rotate_key(&self, site: &str, overlap_days: u32) -> Result<IssuedKey, Refusal> {
        let directory = self.directory()?;
        let site = known_site(&directory, site)?;
        let now = self.clock.wall_ms();
        let live: Vec<_> = directory.keys(site.site.as_str()).filter(|key| is_live(key, now)).collect();
        if live.len() >= LIVE_KEYS_MAX {
            let keys: Vec<&str> = live.iter().map(|k| k.key.as_str()).collect();
            return Err(Refusal::wrong_use(format!(
                "{} has {LIVE_KEYS_MAX} live keys ({}), as many as there may be; revoke one first: \
                 logystera site revoke-key {0} {}",
                site.site,
                keys.join(", "),
                keys[0],
            )));
        }
        let end = now.saturating_add(i64::from(overlap_days) * DAY_MS);
        let ending = live.iter().filter(|key| key.not_after.is_none_or(|at| at > end));
        let mut entries: Vec<_> =
            ending.map(|key| entry(&Entity::Key(Key { not_after: Some(end), ..Key::clone(key) }))).collect();
        let (key, issued) = self.new_key(&directory, site, now)?;
        entries.push(entry(&Entity::Key(key)));
        self.log.append(entries).await?;
        Ok(issued)
    }

    /// Revokes a key. Returns how many live ones the site has left.
    pub(super) async fn revoke_key(&self, site: &str, key: &str) -> Result<usize, Refusal> {
        let directory = self.directory()?;
        let site = known_site(&directory, site)?;
        let id = site.site.as_str();
        let Some(found) = directory.key(id, key) else {
            let known: Vec<&str> = directory.keys(id).map(|k| k.key.as_str()).collect();
            return Err(Refusal::wrong_use(format!("{id} has no key {key}; it has {}", known.join(", "))));
        };
        let now = self.clock.wall_ms();
        if found.revoked_at.is_none() {
            let revoked = Key { revoked_at: Some(now), ..Key::clone(found) };
            self.log.append(vec![entry(&Entity::Key(revoked))]).await?;
        }
        Ok(directory.keys(id).filter(|other| other.key != found.key && is_live(other, now)).count())
    }

    fn new_key(&self, directory: &Directory, site: &Site, now: i64) -> Result<(Key, IssuedKey), Refusal> {
        // Keys are never deleted, so their number names the next one.
        let number = directory.keys(site.site.as_str()).count() + 1;
        let id: KeyId = format!("k{number}").parse().map_err(|e| Refusal::wrong_use(format!("{e}")))?;
        let secret = Zeroizing::new(random_bytes::<32>());
        let sealed_secret = seal_key_secret(&self.master, &site.site, &id, &secret);
        let hex = secret.iter().fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        let issued = IssuedKey {
            tenant: site.tenant.to_string(),
            site: site.site.to_string(),
            key: id.to_string(),
            audience: self.deployment.audience.clone(),
            url: format!("{}/v1/batches", self.deployment.url),
            dsn: self.deployment.dsn(site.site.as_str(), id.as_str(), &hex),
            secret: hex,
        };
        let site = site.site.clone();
        let key =
            Key { site, key: id, sealed_secret, created_at: now, not_before: now, not_after: None, revoked_at: None };
        Ok((key, issued))
    }
}

/// The entry of a tenant that is not there yet.
pub(super) fn new_tenant(directory: &Directory, tenant: &TenantId, now: i64) -> Vec<logystera_infra::log::Entry> {
    if directory.tenant(tenant.as_str()).is_some() {
        return Vec::new();
    }
    let record = Tenant { tenant: tenant.clone(), name: tenant.to_string(), created_at: now };
    vec![entry(&Entity::Tenant(record))]
}

fn known_site<'a>(directory: &'a Directory, site: &str) -> Result<&'a Site, Refusal> {
    match directory.site(site) {
        Some(found) if found.closed_at.is_none() => Ok(found),
        Some(_) => Err(Refusal::wrong_use(format!("the site {site} is closed"))),
        None => Err(Refusal::wrong_use(format!("there is no site {site}; `logystera site list` shows them"))),
    }
}

/// An id that is free: the name's letters and digits, with a number where it is taken.
fn free_id(directory: &Directory, name: &str) -> Result<SiteId, Refusal> {
    let mut id = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        let slug = is_slug(c.encode_utf8(&mut [0; 4]));
        match c {
            c if slug && c != '-' => id.push(c),
            _ if !id.is_empty() && !id.ends_with('-') => id.push('-'),
            _ => {}
        }
        if id.len() >= ID_NAME_CHARS_MAX {
            break;
        }
    }
    let base = match id.trim_end_matches('-') {
        "" => "site",
        id => id,
    };
    let free = |id: &String| directory.site(id).is_none();
    let numbered = (2..).map(|n: u32| format!("{base}-{n}"));
    let id = std::iter::once(base.to_owned()).chain(numbered).find(free);
    id.unwrap_or_default().parse().map_err(|e| Refusal::wrong_use(format!("{e}")))
}
