//! What sites are judged by: publishing a rule set, and who was configured with it when.

use std::sync::Arc;

use logystera_infra::directory::{Directory, entry};
use logystera_infra::log::{Entry, Log};
use logystera_schemas::avro::Blob;
use logystera_schemas::control::{Entity, RuleSet as RuleSetRecord, Site, SiteRules};
use logystera_schemas::ids::{KeyGroup, Sha256Digest, SiteId};
use logystera_schemas::limits::SITES_CONFIGURED_AT_ONCE_MAX;
use logystera_schemas::schema;
use logystera_schemas::signals_topic::SiteConfigured;
use logystera_schemas::topic::Topic;

use crate::deployment::Configured;
use crate::error::ControlError;

/// A rule set as it is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// SHA-256 of the body.
    pub digest: Sha256Digest,
    /// Version of the engine's semantics that it is judged by.
    pub semantics: u32,
    /// The rules in their canonical form.
    pub body: String,
}

impl Rules {
    fn configured(&self) -> Configured {
        Configured { digest: self.digest.to_string(), semantics: self.semantics }
    }
}

/// Who made a change, for its record: the command, and its machine if that has a name.
pub fn by(command: &str, host: &str) -> String {
    if host.is_empty() { command.to_owned() } else { format!("{command} on {host}") }
}

/// The records that make `configured` hold for a site from here on, and say so.
pub(crate) fn site_configured(
    site: &Site,
    configured: &Configured,
    (by, now_ms): (&str, i64),
    log: &impl Log,
) -> Result<[Entry; 2], ControlError> {
    let digest: Sha256Digest =
        configured.digest.parse().map_err(|e| ControlError::unavailable(format!("the deployment's rules: {e}")))?;
    let record = SiteConfigured {
        site: site.site.clone(),
        tenant: site.tenant.clone(),
        name: site.name.clone(),
        digest,
        semantics: configured.semantics,
    };
    let holds = signals_entry(&site.site, schema::encode(&record), log);
    let (site, semantics) = (site.site.clone(), configured.semantics);
    let told = SiteRules { site, digest, semantics, at: now_ms, by: by.to_owned() };
    Ok([holds, entry(&Entity::SiteRules(told))])
}

/// An entry of topic `signals` about a site.
pub(crate) fn signals_entry(site: &SiteId, value: Vec<u8>, log: &impl Log) -> Entry {
    let key = site.as_str();
    let partition = KeyGroup::of(key).partition(log.partitions(Topic::Signals));
    Entry { topic: Topic::Signals, partition, key: key.as_bytes().to_vec(), value }
}

/// Makes sure that the newest rule set in topic `control` is `rules`, so that new sites are configured with it.
pub async fn publish_rules(log: &impl Log, directory: &Directory, rules: &Rules) -> Result<Configured, ControlError> {
    if directory.published() != Some(rules.digest) {
        let body = Blob(rules.body.clone().into_bytes());
        let record = Entity::RuleSet(RuleSetRecord { digest: rules.digest, body });
        log.append(vec![entry(&record)]).await?;
    }
    Ok(rules.configured())
}

/// Configures every open site with `rules` that was last configured with another one: the body first, then the sites,
/// [`SITES_CONFIGURED_AT_ONCE_MAX`] in a commit. If it fails in between, the next call goes on from there. Gives how
/// many sites it configured; `tell` hears on the way how many are done.
pub async fn configure_sites(
    log: &impl Log,
    directory: &Directory,
    rules: &Rules,
    by: (&str, i64),
    mut tell: impl FnMut(usize),
) -> Result<(Configured, usize), ControlError> {
    let configured = publish_rules(log, directory, rules).await?;
    let differs = |site: &&Arc<Site>| {
        let has = directory.site_rules(site.site.as_str());
        has.is_none_or(|has| (has.digest, has.semantics) != (rules.digest, rules.semantics))
    };
    let sites: Vec<_> = directory.sites().filter(|s| s.closed_at.is_none()).filter(differs).collect();
    let mut done = 0;
    for some in sites.chunks(SITES_CONFIGURED_AT_ONCE_MAX) {
        let mut entries = Vec::new();
        for site in some {
            entries.extend(site_configured(site, &configured, by, log)?);
        }
        log.append(entries).await?;
        done += some.len();
        tell(done);
    }
    Ok((configured, done))
}

#[cfg(test)]
mod tests {
    use logystera_infra::directory::DirectoryWatch;
    use logystera_infra::embedded::Embedded;
    use logystera_schemas::topic::SignalsRecord;

    use super::*;

    fn rules(body: &str) -> Rules {
        Rules { digest: Sha256Digest::of(body.as_bytes()), semantics: 2, body: body.to_owned() }
    }

    fn site(id: &str, closed_at: Option<i64>) -> Entry {
        let (site, tenant) = (id.parse().unwrap(), "t".parse().unwrap());
        entry(&Entity::Site(Site {
            site,
            tenant,
            name: id.to_owned(),
            created_at: 1,
            closed_at,
            url: None,
            labels: Vec::new(),
        }))
    }

    /// The sites that were configured, in the order of the log.
    fn configured(log: &impl Log) -> Vec<String> {
        let records = log.read(Topic::Signals, 0, 0, usize::MAX).unwrap();
        let name = |value: &[u8]| match SignalsRecord::decode(value).unwrap() {
            SignalsRecord::SiteConfigured(configured) => configured.site.to_string(),
            other => unreachable!("{other:?}"),
        };
        records.iter().map(|record| name(&record.value)).collect()
    }

    #[tokio::test]
    async fn publishing_configures_those_that_differ_and_goes_on_where_it_ended() {
        let dir = tempfile::tempdir().unwrap();
        let embedded = Embedded::open(dir.path()).unwrap();
        let log = embedded.log();
        let count = SITES_CONFIGURED_AT_ONCE_MAX + 3;
        let sites = (0..count).map(|n| site(&format!("s{n:05}"), None)).chain([site("closed", Some(2))]);
        log.append(sites.collect()).await.unwrap();
        let now = || DirectoryWatch::load(log.clone()).unwrap().view().current();
        let (old, new) = (rules("old"), rules("new"));

        let mut told = Vec::new();
        let done = configure_sites(&log, &now(), &old, ("test", 7), |n| told.push(n)).await.unwrap();
        assert_eq!((done.1, told), (count, vec![SITES_CONFIGURED_AT_ONCE_MAX, count]));
        assert_eq!((configured(&log).len(), now().published()), (count, Some(old.digest)));
        let rules = Arc::clone(now().site_rules("s00000").unwrap());
        assert_eq!((rules.digest, rules.semantics, rules.by.as_str()), (old.digest, 2, "test"));
        // The same again changes nothing, nor does another process with the same rules.
        assert_eq!(configure_sites(&log, &now(), &old, ("test", 7), |_| ()).await.unwrap().1, 0);
        assert_eq!(configured(&log).len(), count);

        // Somebody ended behind one site.
        let first = Arc::clone(now().site("s00000").unwrap());
        let with_new = publish_rules(&log, &now(), &new).await.unwrap();
        log.append(site_configured(&first, &with_new, ("test", 7), &log).unwrap().to_vec()).await.unwrap();
        assert_eq!(configure_sites(&log, &now(), &new, ("test", 7), |_| ()).await.unwrap().1, count - 1);
        // Back to the old ones: they are the newest then.
        publish_rules(&log, &now(), &old).await.unwrap();
        assert_eq!(now().published(), Some(old.digest));
    }
}
