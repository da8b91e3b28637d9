//! The rule sets of topic `control`. Only the bodies in use are in memory: those that open sites are configured with,
//! and the one published last. Of every other there is its offset, from which it is read when somebody asks for it.
//! Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use logystera_schemas::control::{Entity, RuleSet};
use logystera_schemas::ids::Sha256Digest;

use crate::log::{LogError, Record};

/// Every rule set that was published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RuleSets {
    sets: BTreeMap<Sha256Digest, Known>,
    /// The one whose record is the newest.
    published: Option<Sha256Digest>,
}

/// What is known of one rule set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Known {
    /// Offset of its newest record, which compaction keeps. None means that only sites name it.
    offset: Option<u64>,
    /// Open sites that are configured with it.
    sites: usize,
    /// Its record, while it is in use.
    body: Option<Arc<RuleSet>>,
}

impl RuleSets {
    /// Takes a rule set's newest record in, which stands at `offset`: it is the one published last.
    pub(super) fn publish(&mut self, set: RuleSet, offset: u64) {
        let before = self.published.replace(set.digest);
        let known = self.sets.entry(set.digest).or_default();
        (known.offset, known.body) = (Some(offset), Some(Arc::new(set)));
        if let Some(before) = before {
            self.forget_unused(before);
        }
    }

    /// An open site is configured with `after` and no longer with `before`.
    pub(super) fn moves(&mut self, before: Option<Sha256Digest>, after: Option<Sha256Digest>) {
        if let Some(after) = after {
            self.sets.entry(after).or_default().sites += 1;
        }
        if let Some(before) = before {
            if let Some(known) = self.sets.get_mut(&before) {
                known.sites = known.sites.saturating_sub(1);
            }
            self.forget_unused(before);
        }
    }

    fn forget_unused(&mut self, digest: Sha256Digest) {
        let is_published = self.published == Some(digest);
        if let Some(known) = self.sets.get_mut(&digest).filter(|known| known.sites == 0 && !is_published) {
            known.body = None;
            if known.offset.is_none() {
                self.sets.remove(&digest);
            }
        }
    }

    /// The rule sets in use whose bodies are not in memory, though they are in the topic.
    pub(super) fn lacking(&self) -> Vec<Sha256Digest> {
        let lacks = |known: &Known| known.sites > 0 && known.body.is_none() && known.offset.is_some();
        self.sets.iter().filter(|(_, known)| lacks(known)).map(|(digest, _)| *digest).collect()
    }

    /// Keeps the body of a rule set in use.
    pub(super) fn keep(&mut self, set: Arc<RuleSet>) {
        if let Some(known) = self.sets.get_mut(&set.digest) {
            known.body = Some(set);
        }
    }

    /// The body of a rule set. One that is not in memory is read; `read` gives the records of topic `control` from an
    /// offset on.
    pub(super) fn find(
        &self,
        digest: &Sha256Digest,
        read: impl FnOnce(u64) -> Result<Vec<Record>, LogError>,
    ) -> Result<Option<Arc<RuleSet>>, LogError> {
        let Some(known) = self.sets.get(digest) else { return Ok(None) };
        let Some(offset) = known.offset.filter(|_| known.body.is_none()) else { return Ok(known.body.clone()) };
        // It may have been published anew just now: then another record stands here, and its own further on.
        let records = read(offset)?;
        let found = records.first().map(|record| Entity::decode(&record.value));
        Ok(match found {
            Some(Ok(Entity::RuleSet(set))) if set.digest == *digest => Some(Arc::new(set)),
            _ => None,
        })
    }

    /// The rule sets that are in the topic, the newest first.
    pub(super) fn newest_first(&self) -> Vec<Sha256Digest> {
        let mut sets: Vec<_> = self.sets.iter().filter_map(|(digest, known)| Some((known.offset?, *digest))).collect();
        sets.sort_unstable_by(|one, other| other.cmp(one));
        sets.into_iter().map(|(_, digest)| digest).collect()
    }

    pub(super) fn published(&self) -> Option<Sha256Digest> {
        self.published
    }

    /// Whether more than one is in the topic.
    pub(super) fn are_several(&self) -> bool {
        self.sets.values().filter(|known| known.offset.is_some()).nth(1).is_some()
    }

    #[cfg(test)]
    pub(super) fn in_memory(&self) -> Vec<Sha256Digest> {
        self.sets.iter().filter(|(_, known)| known.body.is_some()).map(|(digest, _)| *digest).collect()
    }
}

#[cfg(test)]
mod tests {
    use logystera_schemas::avro::Blob;
    use logystera_schemas::control::{Site, SiteRules};

    use super::super::{
        DirectoryWatch,
        snapshot::{Directory, entry},
    };
    use super::*;
    use crate::embedded::{Embedded, EmbeddedReader};
    use crate::log::Log;

    fn digest(n: u8) -> Sha256Digest {
        Sha256Digest([n; 32])
    }

    fn published(n: u8) -> Entity {
        Entity::RuleSet(RuleSet { digest: digest(n), body: Blob(vec![n; 100]) })
    }

    fn configured(site: &str, n: u8) -> Entity {
        let (site, by) = (site.parse().unwrap(), "me".to_owned());
        Entity::SiteRules(SiteRules { site, digest: digest(n), semantics: 1, at: 5, by })
    }

    fn site(id: &str, closed_at: Option<i64>) -> Entity {
        let (site, tenant) = (id.parse().unwrap(), "t1".parse().unwrap());
        Entity::Site(Site {
            site,
            tenant,
            name: id.to_owned(),
            created_at: 5,
            closed_at,
            url: None,
            labels: Vec::new(),
        })
    }

    /// However often rules are published, the memory is that of the ones in use; and any other is found.
    #[tokio::test]
    async fn the_bodies_in_memory_are_those_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let embedded = Embedded::open(dir.path()).unwrap();
        let log = embedded.log();
        let watch = DirectoryWatch::load(log.clone()).unwrap();
        let numbers = |digests: Vec<Sha256Digest>| digests.into_iter().map(|digest| digest.0[0]).collect::<Vec<_>>();
        for (appended, in_memory) in [
            ((0..50).map(published).collect::<Vec<_>>(), vec![49]),
            // An older set than the newest: it comes into memory again.
            (vec![site("a", None), configured("a", 7)], vec![7, 49]),
            (vec![configured("b", 7), site("b", None), configured("a", 49)], vec![7, 49]),
            (vec![published(50)], vec![7, 49, 50]),
            (vec![configured("a", 50), site("b", Some(9))], vec![50]),
            (vec![published(7), configured("a", 7)], vec![7]),
            (vec![site("b", None), configured("b", 99)], vec![7]),
        ] {
            let what: Vec<String> = appended.iter().map(Entity::key).collect();
            log.append(appended.iter().map(entry).collect()).await.unwrap();
            assert!(watch.refresh().unwrap());
            let now = watch.view().current();
            assert_eq!(numbers(now.rule_sets_in_memory()), in_memory, "{what:?}");
            assert_eq!(Directory::read_from(&EmbeddedReader::open(dir.path()).unwrap()).unwrap(), *now, "{what:?}");
            assert_eq!(*DirectoryWatch::load(log.clone()).unwrap().view().current(), *now, "{what:?}");
        }
        let view = watch.view();
        assert_eq!(numbers(view.current().rule_sets())[..4], [7, 50, 49, 48]);
        for n in 0..=50 {
            let found = view.rule_set(&log, &digest(n)).unwrap().unwrap();
            assert_eq!((found.digest, found.body.0[0]), (digest(n), n));
        }
        assert_eq!(view.rule_set(&log, &digest(99)).unwrap(), None, "a site names it, and nobody has published it");

        // Published anew behind this view's back: its record has moved.
        log.append(vec![entry(&published(20)), entry(&published(21))]).await.unwrap();
        assert_eq!(view.rule_set(&log, &digest(20)).unwrap().unwrap().digest, digest(20));
    }
}
