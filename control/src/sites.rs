//! Sites and their keys.

use std::fmt::Write;

use deunicode::deunicode_char;
use logystera_infra::directory::{Directory, entry};
use logystera_infra::envelope::seal_key_secret;
use logystera_infra::log::{Entry, Log};
use logystera_infra::secrets::random_bytes;
use logystera_schemas::control::{Entity, Key, Site, Tenant};
use logystera_schemas::ids::{KeyId, SiteId, TenantId};
use logystera_schemas::limits::LIVE_KEYS_MAX;
use logystera_schemas::schema;
use logystera_schemas::signals_topic::{KeyRevoked, SiteClosed};
use logystera_schemas::text::{Shown, check_name};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::context::Context;
use crate::deployment::Deployment;
use crate::error::ControlError;
use crate::rules::{by, signals_entry, site_configured};

/// Tenant of sites and channels if none is named.
pub const TENANT_DEFAULT: &str = "default";

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
    /// Id that the site's name stands for, if another site has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_taken: Option<String>,
}

/// What became of a key that was to be revoked.
pub(crate) struct Revoked {
    /// Keys of the site that still sign, or will.
    pub(crate) live: usize,
    /// Whether it was revoked before, and as stolen if that is what is said now.
    pub(crate) already: bool,
    /// Whether it was revoked before, and is stolen only from now on.
    pub(crate) now_stolen: bool,
}

impl<L: Log> Context<L> {
    /// Adds a site with its first key. The configuration stands in `signals` before the key is valid, in one commit.
    pub(crate) async fn add_site(
        &self,
        deployment: &Deployment,
        name: &str,
        tenant: &str,
        id: Option<&str>,
    ) -> Result<IssuedKey, ControlError> {
        check_name(name).map_err(|error| ControlError::invalid(format!("a site's name {error}")))?;
        let tenant: TenantId = tenant.parse().map_err(|e| ControlError::invalid(format!("--tenant: {e}")))?;
        let directory = self.writer.directory()?;
        let configured = deployment.rules.as_ref();
        let configured = configured.ok_or_else(|| ControlError::invalid("no rules are loaded yet"))?;
        let now = self.clock.wall_ms();
        let mut entries = new_tenant(&directory, &tenant, now);
        let site = match id {
            Some(id) => chosen_id(&directory, id)?,
            None => free_id(&directory, name)?,
        };
        let site = Site {
            site,
            tenant,
            name: name.to_owned(),
            created_at: now,
            closed_at: None,
            url: None,
            labels: Vec::new(),
        };
        entries.push(entry(&Entity::Site(site.clone())));
        let by = by("site add", &self.host);
        entries.extend(site_configured(&site, configured, (&by, now), &self.writer.log)?);
        let (key, issued) = self.new_key(deployment, &directory, &site, now)?;
        entries.push(entry(&Entity::Key(key)));
        self.writer.log.append(entries).await?;
        let id_taken = (id.is_none() && site.site.as_str() != base_id(name)).then(|| base_id(name));
        Ok(IssuedKey { id_taken, ..issued })
    }

    /// Makes a new key that is valid at once; the ones before it end after `overlap_days`.
    pub(crate) async fn rotate_key(
        &self,
        deployment: &Deployment,
        site: &str,
        overlap_days: u32,
    ) -> Result<IssuedKey, ControlError> {
        let directory = self.writer.directory()?;
        let site = known_site(&directory, site)?;
        let now = self.clock.wall_ms();
        let live: Vec<_> = directory.keys(site.site.as_str()).filter(|key| key.is_live(now)).collect();
        if live.len() >= LIVE_KEYS_MAX {
            let keys: Vec<&str> = live.iter().map(|k| k.key.as_str()).collect();
            return Err(ControlError::invalid(format!(
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
        let (key, issued) = self.new_key(deployment, &directory, site, now)?;
        entries.push(entry(&Entity::Key(key)));
        self.writer.log.append(entries).await?;
        Ok(issued)
    }

    /// Revokes a key; `stolen`: batches under it use up nobody's numbers.
    pub(crate) async fn revoke_key(&self, site: &str, key: &str, stolen: bool) -> Result<Revoked, ControlError> {
        let directory = self.writer.directory()?;
        let site = known_site(&directory, site)?;
        let id = site.site.as_str();
        let Some(found) = directory.key(id, key) else {
            let known: Vec<&str> = directory.keys(id).map(|k| k.key.as_str()).collect();
            let known = known.join(", ");
            return Err(ControlError::invalid(format!("{id} has no key {}; it has {known}", Shown(key))));
        };
        let now = self.clock.wall_ms();
        // One that was only revoked can turn out to be stolen later.
        let already = found.revoked_at.is_some() && (found.stolen || !stolen);
        if !already {
            let revoked_at = found.revoked_at.or(Some(now));
            let revoked = Key { revoked_at, stolen: stolen || found.stolen, ..Key::clone(found) };
            // The engine hears of it before the gateway refuses: what the key signed until then stands before it in the
            // log.
            let heard = key_revoked(&revoked, &self.writer.log);
            self.writer.log.append(vec![heard, entry(&Entity::Key(revoked))]).await?;
        }
        let live = directory.keys(id).filter(|other| other.key != found.key && other.is_live(now)).count();
        Ok(Revoked { live, already, now_stolen: !already && found.revoked_at.is_some() })
    }

    /// Closes a site for good. Says whether it was closed before.
    pub(crate) async fn close_site(&self, site: &str) -> Result<bool, ControlError> {
        let directory = self.writer.directory()?;
        let found = directory.site(site).ok_or_else(|| no_site(site))?;
        if found.closed_at.is_some() {
            return Ok(true);
        }
        let closed = Site { closed_at: Some(self.clock.wall_ms()), ..Site::clone(found) };
        let record = SiteClosed { site: closed.site.clone(), tenant: closed.tenant.clone() };
        let heard = signals_entry(&closed.site, schema::encode(&record), &self.writer.log);
        self.writer.log.append(vec![heard, entry(&Entity::Site(closed))]).await?;
        Ok(false)
    }

    fn new_key(
        &self,
        deployment: &Deployment,
        directory: &Directory,
        site: &Site,
        now: i64,
    ) -> Result<(Key, IssuedKey), ControlError> {
        // Keys are never deleted, so their number names the next one.
        let number = directory.keys(site.site.as_str()).count() + 1;
        let id: KeyId = format!("k{number}").parse().map_err(|e| ControlError::invalid(format!("{e}")))?;
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
            audience: deployment.audience.clone(),
            url: format!("{}/v1/batches", deployment.url),
            dsn: deployment.dsn(site.site.as_str(), id.as_str(), &hex),
            secret: hex,
            id_taken: None,
        };
        let site = site.site.clone();
        let (not_after, revoked_at) = (None, None);
        let key = Key {
            site,
            key: id,
            sealed_secret,
            created_at: now,
            not_before: now,
            not_after,
            revoked_at,
            stolen: false,
        };
        Ok((key, issued))
    }
}

/// The record that tells the engine of a revoked key.
fn key_revoked(key: &Key, log: &impl Log) -> Entry {
    let record = KeyRevoked { site: key.site.clone(), key: key.key.clone(), stolen: key.stolen };
    signals_entry(&key.site, schema::encode(&record), log)
}

/// The entry of a tenant that is not there yet.
pub(crate) fn new_tenant(directory: &Directory, tenant: &TenantId, now: i64) -> Vec<Entry> {
    if directory.tenant(tenant.as_str()).is_some() {
        return Vec::new();
    }
    let record = Tenant { tenant: tenant.clone(), name: tenant.to_string(), created_at: now };
    vec![entry(&Entity::Tenant(record))]
}

pub(crate) fn known_site<'a>(directory: &'a Directory, site: &str) -> Result<&'a Site, ControlError> {
    match directory.site(site) {
        Some(found) if found.closed_at.is_none() => Ok(found),
        Some(_) => Err(ControlError::invalid(format!("the site {site} is closed"))),
        None => Err(no_site(site)),
    }
}

fn no_site(site: &str) -> ControlError {
    ControlError::invalid(format!("there is no site {}; `logystera site list` shows them", Shown(site)))
}

/// The id that was asked for, if no site ever had it.
fn chosen_id(directory: &Directory, id: &str) -> Result<SiteId, ControlError> {
    let chosen: SiteId = id.parse().map_err(|e| ControlError::invalid(format!("--id: {e}")))?;
    match directory.site(id) {
        None => Ok(chosen),
        Some(taken) => {
            let state = if taken.closed_at.is_some() { "closed; an id is given once" } else { "there" };
            Err(ControlError::invalid(format!("--id: the site {id} is {state}; choose another id")))
        }
    }
}

/// An id that is free: the name's letters and digits, with a number if it is taken.
fn free_id(directory: &Directory, name: &str) -> Result<SiteId, ControlError> {
    let base = base_id(name);
    let free = |id: &String| directory.site(id).is_none();
    let numbered = (2..).map(|n: u32| format!("{base}-{n}"));
    let id = std::iter::once(base.clone()).chain(numbered).find(free);
    id.unwrap_or_default().parse().map_err(|e| ControlError::invalid(format!("{e}")))
}

/// The id that a name stands for.
fn base_id(name: &str) -> String {
    let id = slug(name);
    if id.is_empty() { "site".to_owned() } else { id }
}

/// The letters and digits of a name in Latin, small, with `-` between the words; empty if it has none.
fn slug(name: &str) -> String {
    let mut id = String::new();
    let latin = name.chars().flat_map(|c| deunicode_char(c).unwrap_or(" ").chars());
    for c in latin.map(|c| c.to_ascii_lowercase()) {
        if c.is_ascii_alphanumeric() || c == '_' {
            id.push(c);
        } else if c != '\'' && !id.is_empty() && !id.ends_with('-') {
            id.push('-');
        }
        if id.len() >= ID_NAME_CHARS_MAX {
            break;
        }
    }
    id.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_name_in_latin_letters() {
        for (name, id) in [
            ("My shop", "my-shop"),
            ("Магазин", "magazin"),
            ("Müller & Söhne GmbH", "muller-sohne-gmbh"),
            ("Škoda – Plzeň", "skoda-plzen"),
            ("Ελλάδα", "ellada"),
            ("東京", "dong-jing"),
            ("L'Épicerie d'Été", "lepicerie-dete"),
            ("a_b--c", "a_b-c"),
            ("!!!", ""),
            ("🛒", "shopping-cart"),
        ] {
            assert_eq!(slug(name), id, "{name}");
        }
        assert!(slug(&"щ".repeat(100)).len() <= ID_NAME_CHARS_MAX);
    }
}
