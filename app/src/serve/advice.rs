//! What rules say to the person who gets their alerts, found in the configurations of topic `control`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use logystera_alerter::channels::{Advice, Advisor};
use logystera_infra::control::DirectoryView;
use logystera_processor::core::RuleSet;
use logystera_schemas::ids::{RuleName, Sha256Digest};
use logystera_schemas::limits::ADVICE_CACHED_MAX;

/// Rules by name and revision.
type Known = BTreeMap<(RuleName, String), Advice>;

/// The advice of every rule whose configuration is in topic `control`: also of those that no site has any more.
pub(crate) struct RuleAdvice {
    directory: DirectoryView,
    /// What was read so far, and from which configurations. Read once: a body takes milliseconds.
    read: Mutex<(Known, BTreeSet<Sha256Digest>)>,
}

impl RuleAdvice {
    pub(crate) fn new(directory: DirectoryView) -> Self {
        Self { directory, read: Mutex::default() }
    }
}

impl Advisor for RuleAdvice {
    fn find(&self, rule: &RuleName, revision: &str) -> Option<Advice> {
        let wanted = (rule.clone(), revision.to_owned());
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, sets) = &mut *read;
        if let Some(advice) = known.get(&wanted) {
            return Some(advice.clone());
        }
        for set in self.directory.current().rule_sets() {
            let Ok(body) = std::str::from_utf8(&set.body.0) else { continue };
            if !body.contains(rule.as_str()) || !sets.insert(set.digest) {
                continue;
            }
            let Ok(parsed) = RuleSet::from_canonical(body) else { continue };
            if known.len() + parsed.rules.len() > ADVICE_CACHED_MAX {
                known.clear();
                *sets = BTreeSet::from([set.digest]);
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
    use logystera_infra::control::Directory;
    use logystera_processor::rules::default_pack;
    use logystera_schemas::avro::Blob;
    use logystera_schemas::control::{Entity, RuleSet as RuleSetRecord};

    use super::*;

    #[test]
    fn the_advice_of_a_rules_revision_is_found_and_no_other() {
        let pack = default_pack().unwrap();
        let mut directory = Directory::default();
        let body = Blob(pack.body.clone().into_bytes());
        directory.put(Entity::RuleSet(RuleSetRecord { digest: pack.digest, body }));
        let advice = RuleAdvice::new(DirectoryView::fixed(directory));
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
