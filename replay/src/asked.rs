//! What was asked for, and where in the log it begins.

use std::collections::BTreeMap;
use std::sync::Arc;

use logystera_infra::directory::Directory;
use logystera_infra::reading::{PartitionId, Reading};
use logystera_processor::core::RuleSet;
use logystera_processor::task::{NoRuleSet, RuleSets};
use logystera_rules::{published, recorded};
use logystera_schemas::detection::Detection;
use logystera_schemas::ids::{KEY_GROUPS, KeyGroup, Sha256Digest, SiteId};
use logystera_schemas::topic::Topic;

use crate::error::ReplayError;
use crate::plan::{Entry, Facts};
use crate::snapshots;

/// The bodies that stand in topic `control`, and the set that was given.
#[derive(Clone)]
pub(crate) struct Known<'a> {
    pub(crate) log: &'a dyn Reading,
    pub(crate) directory: Arc<Directory>,
    pub(crate) given: Option<Arc<RuleSet>>,
}

impl RuleSets for Known<'_> {
    fn find(&mut self, digest: &Sha256Digest) -> Result<RuleSet, NoRuleSet> {
        if let Some(given) = self.given.as_ref().filter(|set| set.digest == *digest) {
            return published(Some(&given.body));
        }
        recorded(self.log.rule_set(&self.directory, digest).ok().flatten().as_deref())
    }
}

/// What is to be replayed.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// Only this site. None: every one.
    pub site: Option<SiteId>,
    /// Only what was evaluated then or later, milliseconds since the epoch. None: all that can be found.
    pub from_ms: Option<i64>,
    /// Every site is judged by these rules. None: by its own.
    pub rules: Option<Arc<RuleSet>>,
}

/// What was asked for, and where in the log it begins.
pub struct Asked<'a> {
    pub(crate) log: &'a dyn Reading,
    /// Only this site.
    pub(crate) site: Option<SiteId>,
    /// Only what was evaluated then or later, milliseconds since the epoch.
    pub(crate) from_ms: i64,
    pub(crate) known: Known<'a>,
    pub(crate) facts: Facts,
    /// Where each key group begins that can be replayed.
    pub(crate) entries: BTreeMap<u32, Entry>,
    /// Key groups that cannot.
    pub(crate) missing: usize,
}

impl<'a> Asked<'a> {
    /// Finds where to begin in `log`, whose directory is `directory`. Fails if there is no such place for any of what is
    /// asked for.
    pub fn new(log: &'a dyn Reading, directory: Arc<Directory>, question: Question) -> Result<Self, ReplayError> {
        let Question { site, from_ms, rules } = question;
        let known = Known { log, directory, given: rules };
        let of = site.as_ref().map(|site| KeyGroup::of(site.as_str()));
        let parts = of.map_or_else(|| log.partitions(Topic::Signals), |of| log.partitions_of(Topic::Signals, of));
        let mut facts = Facts { generations: log.generations(Topic::Signals), ..Facts::default() };
        for part in parts {
            facts.starts.insert(part, log.bounds(Topic::Signals, part)?.start);
        }
        if from_ms.is_some() || facts.starts.values().any(|start| *start > 0) {
            facts.snapshots = snapshots::find(log, of)?;
        }
        let asked = of.map_or(0..KEY_GROUPS, |of| of.0..of.0 + 1).map(u32::from);
        let count = asked.len();
        let entries: BTreeMap<u32, Entry> =
            asked.filter_map(|group| Some((group, facts.entry(group, from_ms)?))).collect();
        if entries.is_empty() {
            return Err(ReplayError::Unavailable(
                "topic signals begins later than it did once, and no snapshot was taken since: what the engine knew then is \
                 gone. Each site has a snapshot a day: try again tomorrow"
                    .to_owned(),
            ));
        }
        let missing = count - entries.len();
        Ok(Self { log, site, from_ms: from_ms.unwrap_or(i64::MIN), known, facts, entries, missing })
    }

    /// Whether a detection is one of those that were asked for, by when it was evaluated.
    pub fn wants(&self, detection: &Detection) -> bool {
        detection.last_evaluated_at >= self.from_ms
    }

    /// Key groups that are replayed.
    pub fn covered(&self) -> usize {
        self.entries.len()
    }

    /// Key groups that are not: the log's start is gone, and they have had no snapshot since.
    pub fn missing(&self) -> usize {
        self.missing
    }

    /// When the snapshots were taken that it begins with, milliseconds since the epoch.
    pub fn snapshots(&self) -> impl Iterator<Item = i64> {
        self.entries.values().filter_map(|entry| Some(entry.taken()?.at_ms))
    }

    /// Offsets of all partitions together, each from where it is replayed.
    pub fn offsets(&self) -> Result<u64, ReplayError> {
        let mut total = 0;
        for part in self.partitions() {
            total += self.log.bounds(Topic::Signals, part)?.end - self.begin(part);
        }
        Ok(total)
    }

    /// Whether a key group is in this partition of `signals`.
    pub(crate) fn holds(&self, part: PartitionId, key_group: u32) -> bool {
        self.facts.part(part.generation, key_group) == part
    }

    /// The key groups of a partition that are replayed in it, and where each begins.
    pub(crate) fn entries_in(&self, part: PartitionId) -> impl Iterator<Item = (u32, &Entry)> {
        let entries = self.entries.iter().map(|(group, entry)| (*group, entry));
        entries.filter(move |(group, entry)| entry.generation() <= part.generation && self.holds(part, *group))
    }

    /// The partitions in which something is replayed, the oldest generation first.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = PartitionId> {
        self.facts.starts.keys().copied().filter(|part| self.entries_in(*part).next().is_some())
    }

    /// Offset that a partition is replayed from.
    pub(crate) fn begin(&self, part: PartitionId) -> u64 {
        // What comes from the generation before, or from no snapshot, begins at the start.
        let begins = self
            .entries_in(part)
            .map(|(_, entry)| entry.taken().filter(|taken| taken.part == part).map_or(0, |taken| taken.position));
        begins.min().unwrap_or(0)
    }

    /// The partitions that go on with no other one.
    pub(crate) fn first(&self) -> impl Iterator<Item = PartitionId> {
        let has_begun = |parent: PartitionId| self.entries_in(parent).next().is_some();
        self.partitions().filter(move |part| !self.parent(*part).is_some_and(has_begun))
    }

    /// The partitions that those go on in that were in this one.
    pub(crate) fn next(&self, part: PartitionId) -> impl Iterator<Item = PartitionId> {
        self.partitions().filter(move |next| self.parent(*next) == Some(part))
    }

    /// The partition of the generation before that those were in that are in this one.
    pub(crate) fn parent(&self, part: PartitionId) -> Option<PartitionId> {
        let generation = part.generation.checked_sub(1)?;
        Some(PartitionId { generation, partition: part.partition % self.facts.generations[generation as usize] })
    }
}
