//! What sites are judged by: publishing a rule set, and who was configured with it when.

use std::sync::Arc;

use logystera_infra::clock::{Clock, SystemClock};
use logystera_infra::directory::{Directory, entry};
use logystera_infra::log::{Entry, Log};
use logystera_processor::core::engine::SEMANTICS;
use logystera_processor::core::rule::RuleSet;
use logystera_schemas::avro::Blob;
use logystera_schemas::control::{Entity, RuleSet as RuleSetRecord, Site, SiteRules};
use logystera_schemas::ids::{KeyGroup, Sha256Digest, SiteId};
use logystera_schemas::limits::SITES_CONFIGURED_AT_ONCE_MAX;
use logystera_schemas::schema;
use logystera_schemas::signals_topic::SiteConfigured;
use logystera_schemas::topic::Topic;

use crate::cli::CliError;
use crate::deployment::Configured;

/// Which command it is, and where it runs.
pub(crate) fn by(command: &str) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match host.trim() {
        "" => command.to_owned(),
        host => format!("{command} on {host}"),
    }
}

/// The records that make `configured` hold for a site from here on, and say so.
pub(crate) fn site_configured(
    site: &Site,
    configured: &Configured,
    by: &str,
    log: &impl Log,
) -> Result<[Entry; 2], CliError> {
    let digest: Sha256Digest =
        configured.digest.parse().map_err(|e| CliError::not_available(format!("the deployment's rules: {e}")))?;
    let record = SiteConfigured {
        site: site.site.clone(),
        tenant: site.tenant.clone(),
        name: site.name.clone(),
        digest,
        semantics: configured.semantics,
    };
    let holds = signals_entry(&site.site, schema::encode(&record), log);
    let (site, semantics) = (site.site.clone(), configured.semantics);
    let told = SiteRules { site, digest, semantics, at: SystemClock::new().wall_ms(), by: by.to_owned() };
    Ok([holds, entry(&Entity::SiteRules(told))])
}

/// An entry of topic `signals` about a site.
pub(super) fn signals_entry(site: &SiteId, value: Vec<u8>, log: &impl Log) -> Entry {
    let key = site.as_str();
    let partition = KeyGroup::of(key).partition(log.partitions(Topic::Signals));
    Entry { topic: Topic::Signals, partition, key: key.as_bytes().to_vec(), value }
}

/// Has the body of `set` in topic `control` as the newest one, so that new sites are configured with it.
pub(crate) async fn publish_rules(
    log: &impl Log,
    directory: &Directory,
    set: &RuleSet,
) -> Result<Configured, CliError> {
    if directory.published() != Some(set.digest) {
        let body = Blob(set.body.clone().into_bytes());
        let record = Entity::RuleSet(RuleSetRecord { digest: set.digest, body });
        log.append(vec![entry(&record)]).await?;
    }
    Ok(Configured::of(set))
}

/// Configures every open site with `set` that was last configured with another one: the body first, then the sites, so many in a
/// commit. What ends in between goes on when it is asked for again. Gives how many sites that were; `tell` hears it on the way.
pub(crate) async fn configure_sites(
    log: &impl Log,
    directory: &Directory,
    set: &RuleSet,
    by: &str,
    mut tell: impl FnMut(usize),
) -> Result<(Configured, usize), CliError> {
    let configured = publish_rules(log, directory, set).await?;
    let differs = |site: &&Arc<Site>| {
        let rules = directory.site_rules(site.site.as_str());
        rules.is_none_or(|rules| (rules.digest, rules.semantics) != (set.digest, SEMANTICS))
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

    fn set(count: u32) -> RuleSet {
        let yaml = format!(
            "format: 1\nrules:\n- name: mails\n  title: Failed mails\n  severity: warning\n  subsystem: mail\n  signal: mail.outcome\n  \
             threshold: {{count: {count}, within: 5s}}\n  message: \"mails failed\"\n"
        );
        RuleSet::from_yaml(&[("r.yaml", &yaml)]).unwrap()
    }

    fn site(id: &str, closed_at: Option<i64>) -> Entry {
        let (site, tenant) = (id.parse().unwrap(), "t".parse().unwrap());
        entry(&Entity::Site(Site { site, tenant, name: id.to_owned(), created_at: 1, closed_at }))
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
        let (old, new) = (set(3), set(4));

        let mut told = Vec::new();
        let done = configure_sites(&log, &now(), &old, "test", |n| told.push(n)).await.unwrap();
        assert_eq!((done.1, told), (count, vec![SITES_CONFIGURED_AT_ONCE_MAX, count]));
        assert_eq!((configured(&log).len(), now().published()), (count, Some(old.digest)));
        let rules = Arc::clone(now().site_rules("s00000").unwrap());
        assert_eq!((rules.digest, rules.semantics, rules.by.as_str()), (old.digest, SEMANTICS, "test"));
        // The same again changes nothing, nor does another process with the same rules.
        assert_eq!(configure_sites(&log, &now(), &old, "test", |_| ()).await.unwrap().1, 0);
        assert_eq!(configured(&log).len(), count);

        // Somebody ended behind one site.
        let first = Arc::clone(now().site("s00000").unwrap());
        let with_new = publish_rules(&log, &now(), &new).await.unwrap();
        log.append(site_configured(&first, &with_new, "test", &log).unwrap().to_vec()).await.unwrap();
        assert_eq!(configure_sites(&log, &now(), &new, "test", |_| ()).await.unwrap().1, count - 1);
        // Back to the old ones: they are the newest then.
        publish_rules(&log, &now(), &old).await.unwrap();
        assert_eq!(now().published(), Some(old.digest));
    }
}
