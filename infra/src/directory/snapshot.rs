//! The snapshot: what is configured, as of one moment. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use logystera_schemas::control::{
    Channel, Deployment, Entity, GrowingTopic, Key, Lease, Partitions, ProcessRole, RuleSet, Site, SiteRules, Tenant,
};
use logystera_schemas::ids::{ChannelId, KeyId, Sha256Digest, SilenceId, SiteId, TenantId};
use logystera_schemas::noise::Silence;
use logystera_schemas::topic::Topic;

use super::rule_sets::RuleSets;
use super::skips::Skips;
use super::sorted::Sorted;
use super::unreadable::Unreadable;
use crate::log::{Entry, LogError, Record};

/// What is configured, as of one moment. A copy shares what does not change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    tenants: Sorted<TenantId, Arc<Tenant>>,
    sites: Sorted<SiteId, Arc<Site>>,
    /// Also of sites whose own record stands further on in the topic.
    keys: Sorted<SiteId, Arc<BTreeMap<KeyId, Arc<Key>>>>,
    site_rules: Sorted<SiteId, Arc<SiteRules>>,
    rule_sets: Arc<RuleSets>,
    channels: Sorted<ChannelId, Arc<Channel>>,
    /// Those that were removed, too.
    channels_of: Sorted<TenantId, Arc<BTreeSet<ChannelId>>>,
    /// Those that are over, too.
    silences: Sorted<SilenceId, Arc<Silence>>,
    partitions: BTreeMap<GrowingTopic, Arc<Partitions>>,
    /// Few, and what changes most often.
    leases: BTreeMap<(ProcessRole, String), Arc<Lease>>,
    skips: Arc<BTreeMap<(GrowingTopic, u32, u32), Skips>>,
    unreadable: Arc<Unreadable>,
    deployment: Option<Arc<Deployment>>,
    end: u64,
}

impl Directory {
    /// Offset after the last record of the topic that is in here.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Takes the topic's next records in.
    pub(super) fn take(&mut self, records: &[Record]) {
        for record in records {
            self.end = record.offset;
            match Entity::decode(&record.value) {
                Ok(entity) => {
                    self.put(entity);
                    if self.unreadable.has(&record.key) {
                        Arc::make_mut(&mut self.unreadable).remove(&record.key);
                    }
                }
                // An operator had the broker drop the unreadable record.
                Err(_) if record.value.is_empty() && self.unreadable.has(&record.key) => {
                    Arc::make_mut(&mut self.unreadable).remove(&record.key);
                }
                Err(error) => {
                    let cause = if record.value.is_empty() { "it has no value".to_owned() } else { error.to_string() };
                    Arc::make_mut(&mut self.unreadable).add(&record.key, record.offset, cause);
                }
            }
            self.end = record.offset + 1;
        }
    }

    /// Takes the topic's next record in: its entity's newest one.
    pub fn put(&mut self, entity: Entity) {
        let offset = self.end;
        self.end += 1;
        match entity {
            Entity::Tenant(t) => self.tenants.insert(t.tenant.clone(), Arc::new(t)),
            Entity::Site(s) => {
                let before = self.judged_by(&s.site);
                let site = s.site.clone();
                self.sites.insert(site.clone(), Arc::new(s));
                self.count_rules(&site, before);
            }
            Entity::Key(k) => {
                let mut keys = self.keys.get(&k.site).cloned().unwrap_or_default();
                let site = k.site.clone();
                Arc::make_mut(&mut keys).insert(k.key.clone(), Arc::new(k));
                self.keys.insert(site, keys);
            }
            Entity::SiteRules(r) => {
                let before = self.judged_by(&r.site);
                let site = r.site.clone();
                self.site_rules.insert(site.clone(), Arc::new(r));
                self.count_rules(&site, before);
            }
            Entity::RuleSet(r) => Arc::make_mut(&mut self.rule_sets).publish(r, offset),
            Entity::Channel(c) => {
                let mut of_tenant = self.channels_of.get(&c.tenant).cloned().unwrap_or_default();
                if Arc::make_mut(&mut of_tenant).insert(c.channel.clone()) {
                    self.channels_of.insert(c.tenant.clone(), of_tenant);
                }
                self.channels.insert(c.channel.clone(), Arc::new(c));
            }
            Entity::Partitions(p) => drop(self.partitions.insert(p.topic, Arc::new(p))),
            Entity::Lease(l) if l.released => drop(self.leases.remove(&(l.role, l.instance))),
            Entity::Lease(l) => drop(self.leases.insert((l.role, l.instance.clone()), Arc::new(l))),
            Entity::Skip(s) => {
                let skips = Arc::make_mut(&mut self.skips);
                skips.entry((s.topic, s.generation, s.partition)).or_default().add(s.from..s.to);
            }
            Entity::Deployment(d) => self.deployment = Some(Arc::new(d)),
            Entity::Silence(s) => self.silences.insert(s.silence.clone(), Arc::new(s)),
        }
    }

    /// What a site is configured with, unless it is closed.
    fn judged_by(&self, site: &SiteId) -> Option<Sha256Digest> {
        let is_closed = self.sites.get(site).is_some_and(|site| site.closed_at.is_some());
        self.site_rules.get(site).filter(|_| !is_closed).map(|rules| rules.digest)
    }

    /// Counts a site, which was configured with `before`, among those that use its rule set now.
    fn count_rules(&mut self, site: &SiteId, before: Option<Sha256Digest>) {
        let after = self.judged_by(site);
        if before != after {
            Arc::make_mut(&mut self.rule_sets).moves(before, after);
        }
    }

    /// What the installation is; none in a folder of an older version, and on Kafka.
    pub fn deployment(&self) -> Option<&Arc<Deployment>> {
        self.deployment.as_ref()
    }

    /// How many signing keys and channels there are, whose secrets are sealed under the master key; removed ones too.
    pub fn sealed(&self) -> usize {
        self.all_keys().count() + self.all_channels().count()
    }

    /// Every signing key of every site, valid or not.
    pub fn all_keys(&self) -> impl Iterator<Item = &Arc<Key>> {
        self.keys.values().flat_map(|keys| keys.values())
    }

    /// Every channel, removed ones too.
    pub fn all_channels(&self) -> impl Iterator<Item = &Arc<Channel>> {
        self.channels.values()
    }

    /// A tenant.
    pub fn tenant(&self, tenant: &str) -> Option<&Arc<Tenant>> {
        self.tenants.get(tenant)
    }

    /// All tenants, by id.
    pub fn tenants(&self) -> impl Iterator<Item = &Arc<Tenant>> {
        self.tenants.values()
    }

    /// A site; a closed one too.
    pub fn site(&self, site: &str) -> Option<&Arc<Site>> {
        self.sites.get(site)
    }

    /// All sites, by id; closed ones too.
    pub fn sites(&self) -> impl Iterator<Item = &Arc<Site>> {
        self.sites.values()
    }

    /// One key of a site, whether it is valid or not.
    pub fn key(&self, site: &str, key: &str) -> Option<&Arc<Key>> {
        self.keys.get(site)?.get(key)
    }

    /// Every key that a site ever had, by id.
    pub fn keys(&self, site: &str) -> impl Iterator<Item = &Arc<Key>> {
        self.keys.get(site).into_iter().flat_map(|keys| keys.values())
    }

    /// What a site was last configured with; none: nobody did, or a version that did not record it.
    pub fn site_rules(&self, site: &str) -> Option<&Arc<SiteRules>> {
        self.site_rules.get(site)
    }

    /// The body of a rule set that was ever published. In memory are only those in use; `read` gives the records of
    /// topic `control` from an offset on, and is asked for any other.
    pub fn rule_set(
        &self,
        digest: &Sha256Digest,
        read: impl FnOnce(u64) -> Result<Vec<Record>, LogError>,
    ) -> Result<Option<Arc<RuleSet>>, LogError> {
        self.rule_sets.find(digest, read)
    }

    /// Every rule set that was published, the newest first.
    pub fn rule_sets(&self) -> Vec<Sha256Digest> {
        self.rule_sets.newest_first()
    }

    /// The configuration that was published last: new sites are configured with it. None: there is none, or it is not
    /// known which.
    pub fn published(&self) -> Option<Sha256Digest> {
        self.rule_sets.published().filter(|_| !self.is_published_unsure())
    }

    /// Whether it is not known which of several configurations was published last: only versions that wrote a body
    /// once, and not what a site was configured with, have published here. The one whose body is the newest need not be
    /// the one that came last.
    pub fn is_published_unsure(&self) -> bool {
        self.rule_sets.are_several()
            && self.site_rules.values().next().is_none()
            && self.sites().any(|site| site.closed_at.is_none())
    }

    /// A channel; a removed one too.
    pub fn channel(&self, channel: &str) -> Option<&Arc<Channel>> {
        self.channels.get(channel)
    }

    /// How a topic has grown; none if it never did.
    pub fn partitions(&self, topic: GrowingTopic) -> Option<&Arc<Partitions>> {
        self.partitions.get(&topic)
    }

    /// The leases that were not released, by role and instance.
    pub fn leases(&self) -> impl Iterator<Item = &Arc<Lease>> {
        self.leases.values()
    }

    /// A process's lease.
    pub fn lease(&self, role: ProcessRole, instance: &str) -> Option<&Arc<Lease>> {
        self.leases.get(&(role, instance.to_owned()))
    }

    /// The channels of a tenant that were not removed, by id.
    pub fn channels(&self, tenant: &TenantId) -> impl Iterator<Item = &Arc<Channel>> {
        let ids = self.channels_of.get(tenant).into_iter().flat_map(|ids| ids.iter());
        let channels = ids.filter_map(|id| self.channels.get(id));
        channels.filter(move |c| c.tenant == *tenant && c.removed_at.is_none())
    }

    /// A silence; one that is over too.
    pub fn silence(&self, silence: &str) -> Option<&Arc<Silence>> {
        self.silences.get(silence)
    }

    /// The silences of all tenants, by id; those that are over too.
    pub fn silences(&self) -> impl Iterator<Item = &Arc<Silence>> {
        self.silences.values()
    }

    /// The offsets that are passed over in a partition of a generation of a topic.
    pub fn skips(&self, topic: Topic, generation: u32, partition: u32) -> Skips {
        let topic = GrowingTopic::ALL.iter().copied().find(|growing| Topic::from(*growing) == topic);
        topic.and_then(|topic| self.skips.get(&(topic, generation, partition))).cloned().unwrap_or_default()
    }

    /// Whether others are passed over than in `before`.
    pub fn skips_differ(&self, before: &Self) -> bool {
        self.skips != before.skips
    }

    /// Rule sets that sites are configured with, and whose bodies have to be read again.
    pub(super) fn lacking_rule_sets(&self) -> Vec<Sha256Digest> {
        self.rule_sets.lacking()
    }

    /// Keeps a body read again.
    pub(super) fn keep_rule_set(&mut self, set: Arc<RuleSet>) {
        Arc::make_mut(&mut self.rule_sets).keep(set);
    }

    #[cfg(test)]
    pub(super) fn rule_sets_in_memory(&self) -> Vec<Sha256Digest> {
        self.rule_sets.in_memory()
    }

    /// The unreadable record that stands last in the topic: its offset, and why.
    pub(super) fn unreadable_last(&self) -> Option<(u64, &str)> {
        self.unreadable.last()
    }

    /// How many entities are held as they were before a record that cannot be read.
    pub fn unreadable(&self) -> usize {
        self.unreadable.count()
    }
}

/// The log's entry for an entity's newest record.
pub fn entry(entity: &Entity) -> Entry {
    Entry { topic: Topic::Control, partition: 0, key: entity.key().into_bytes(), value: entity.encode() }
}

#[cfg(test)]
#[path = "snapshot_tests.rs"]
mod tests;
