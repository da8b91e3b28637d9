//! How a rule stands at a site: what a test of rules, or a person, asks of an engine. It changes nothing.

use logystera_ruleset::Condition;
use logystera_schemas::detection::Label;
use logystera_schemas::ids::{RuleName, SiteId};
use logystera_schemas::time::SiteMs;

use super::engine::Engine;
use super::episode::Phase;
use super::group_key::labels_of;

/// One group of a rule, or the site's silence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupStanding {
    /// The group, in the rule's order; empty if the rule has none.
    pub group: Vec<Label>,
    /// Where its alert stands.
    pub stage: Stage,
    /// Matches of the episode; 0 if none is open. If the rule tells each match by itself, those that are held back.
    pub count: u64,
}

/// Where an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The condition is false and nothing is open.
    Inactive,
    /// The condition is true, and has to be until then.
    Pending(SiteMs),
    /// The condition is true, and was for long enough.
    Firing,
    /// The condition was true and is false; the alert resolves then.
    Clearing(SiteMs),
}

impl Engine {
    /// How the groups of a rule stand at a site, in the order of their keys. A group without an entry is inactive.
    pub fn standings(&self, site: &SiteId, rule: &RuleName) -> Vec<GroupStanding> {
        let Some(groups) = self.sites.get(site).map(|site| &site.groups) else { return Vec::new() };
        let rules = groups.program.set.rules.iter().zip(&groups.rules);
        let Some((rule, kept)) = rules.into_iter().find(|(known, _)| known.name == *rule) else { return Vec::new() };
        if let Condition::Blind { .. } = rule.condition {
            let stage = if kept.extras.blind.firing { Stage::Firing } else { Stage::Inactive };
            return vec![GroupStanding { group: Vec::new(), stage, count: 0 }];
        }
        let standing = |(key, group): (&super::group_key::GroupKey, &super::group::Group)| {
            let stage = match group.episode.phase {
                // While it holds back what is alike, what was told last counts as new.
                Phase::Inactive if rule.condition.tells_each() && group.episode.suppressed_until.is_some() => {
                    Stage::Firing
                }
                Phase::Inactive => Stage::Inactive,
                Phase::Pending { for_at } => Stage::Pending(for_at),
                Phase::Firing => Stage::Firing,
                Phase::Clearing { resolve_at } => Stage::Clearing(resolve_at),
            };
            let count = if stage == Stage::Inactive { 0 } else { group.episode.count };
            GroupStanding { group: labels_of(rule, key), stage, count }
        };
        kept.groups.iter().map(standing).collect()
    }
}
