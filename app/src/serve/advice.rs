//! What rules say to the person who gets their alerts, found in the configurations of topic `control`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use logystera_channels::{Advice, Advisor};
use logystera_infra::directory::DirectoryView;
use logystera_infra::log::Log;
use logystera_rules::from_canonical;
use logystera_schemas::ids::{RuleName, Sha256Digest};
use logystera_schemas::limits::ADVICE_CACHED_MAX;

/// Rules by name and revision.
type Known = BTreeMap<(RuleName, String), Advice>;

/// The advice of every rule whose configuration is in topic `control`: also of those that no site has any more.
pub(crate) struct RuleAdvice<L> {
    log: L,
    directory: DirectoryView,
    /// What was read so far, and from which configurations. Read once: a body takes milliseconds.
    read: Mutex<(Known, BTreeSet<Sha256Digest>)>,
}

impl<L> RuleAdvice<L> {
    pub(crate) fn new(log: L, directory: DirectoryView) -> Self {
        Self { log, directory, read: Mutex::default() }
    }
}

impl<L: Log> Advisor for RuleAdvice<L> {
    fn find(&self, rule: &RuleName, revision: &str) -> Option<Advice> {
        let wanted = (rule.clone(), revision.to_owned());
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, sets) = &mut *read;
        if let Some(advice) = known.get(&wanted) {
            return Some(advice.clone());
        }
        // The one that has just been replaced is wanted most: its alerts end.
        for digest in self.directory.current().rule_sets() {
            if sets.contains(&digest) {
                continue;
            }
            // Away now: the next alert asks again.
            let Ok(set) = self.directory.rule_set(&self.log, &digest) else { return None };
            sets.insert(digest);
            let Some(Ok(body)) = set.as_ref().map(|set| std::str::from_utf8(&set.body.0)) else { continue };
            let Ok(parsed) = from_canonical(body) else { continue };
            if known.len() + parsed.rules.len() > ADVICE_CACHED_MAX {
                known.clear();
                *sets = BTreeSet::from([digest]);
            }
            known.extend(parsed.rules.into_iter().map(|rule| {
                let advice = Advice { why: rule.why, what_to_do: rule.advice };
                ((rule.name, rule.revision), advice)
            }));
            if known.contains_key(&wanted) {
                break;
            }
        }
        known.get(&wanted).cloned()
    }
}

#[cfg(test)]
mod tests {
    use logystera_infra::directory::{DirectoryWatch, entry};
    use logystera_infra::embedded::Embedded;
    use logystera_processor::core::RuleSet;
    use logystera_rules::{default_pack, from_yaml};
    use logystera_schemas::avro::Blob;
    use logystera_schemas::control::{Entity, RuleSet as RuleSetRecord};

    use super::*;

    fn record(set: &RuleSet) -> Entity {
        Entity::RuleSet(RuleSetRecord { digest: set.digest, body: Blob(set.body.clone().into_bytes()) })
    }

    /// Also of a rule set that is no longer in use: its alerts end when another one is published.
    #[tokio::test]
    async fn the_advice_of_a_rules_revision_is_found_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let embedded = Embedded::open(dir.path()).unwrap();
        let log = embedded.log();
        let pack = default_pack().unwrap();
        let newer = from_yaml(&[("none.yaml", "format: 1\nrules: []\n")]).unwrap();
        log.append(vec![entry(&record(&pack)), entry(&record(&newer))]).await.unwrap();
        let advice = RuleAdvice::new(log.clone(), DirectoryWatch::load(log).unwrap().view());
        for _ in 0..2 {
            for rule in &pack.rules {
                let found = advice.find(&rule.name, &rule.revision).unwrap();
                assert_eq!((found.why, found.what_to_do), (rule.why.clone(), rule.advice.clone()));
                assert_eq!(advice.find(&rule.name, "0123456789ab"), None);
            }
        }
        assert_eq!(advice.find(&"no-such-rule".parse().unwrap(), "0123456789ab"), None);
        assert!(pack.rules.iter().any(|rule| rule.why.is_some() && rule.advice.is_some()));
    }
}
