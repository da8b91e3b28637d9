//! What was asked for, and where in the log it begins.

use std::collections::BTreeMap;
use std::sync::Arc;

use logystera_infra::directory::Directory;
use logystera_processor::core::RuleSet;
use logystera_processor::task::{NoRuleSet, RuleSets};
use logystera_rules::published;
use logystera_schemas::ids::{KEY_GROUPS, KeyGroup, Sha256Digest, SiteId};
use logystera_schemas::topic::Topic;

use super::plan::{Entry, Facts};
use super::snapshots;
use crate::cli::CliError;
use crate::installation::reading::{Part, Reading};

/// The bodies that stand in topic `control`, and the set that was given.
#[derive(Clone)]
pub(super) struct Known<'a> {
    pub(super) log: &'a dyn Reading,
    pub(super) directory: Arc<Directory>,
    pub(super) given: Option<Arc<RuleSet>>,
}

impl RuleSets for Known<'_> {
    fn find(&mut self, digest: &Sha256Digest) -> Result<RuleSet, NoRuleSet> {
        if let Some(given) = self.given.as_ref().filter(|set| set.digest == *digest) {
            return published(Some(&given.body));
        }
        let control = Part { generation: 0, partition: 0 };
        let read = |from| self.log.read(Topic::Control, control, from, 1);
        let found = self.directory.rule_set(digest, read).ok().flatten();
        published(found.as_ref().and_then(|found| std::str::from_utf8(&found.body.0).ok()))
    }
}

/// What was asked for.
pub(super) struct Asked<'a> {
    pub(super) log: &'a dyn Reading,
    /// Only this site.
    pub(super) site: Option<SiteId>,
    /// Print JSON.
    pub(super) json: bool,
    /// Only what was evaluated then or later, milliseconds since the epoch.
    pub(super) from_ms: i64,
    pub(super) known: Known<'a>,
    pub(super) facts: Facts,
    /// Where each key group begins that can be replayed.
    pub(super) entries: BTreeMap<u32, Entry>,
    /// Key groups that cannot.
    pub(super) missing: usize,
}

impl<'a> Asked<'a> {
    pub(super) fn new(
        log: &'a dyn Reading,
        (site, json): (Option<SiteId>, bool),
        from_ms: Option<i64>,
        known: Known<'a>,
    ) -> Result<Self, CliError> {
        let of = site.as_ref().map(|site| KeyGroup::of(site.as_str()));
        let parts = of.map_or_else(|| log.parts(Topic::Signals), |of| log.parts_of(Topic::Signals, of));
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
            return Err(CliError::not_available(
                "topic signals begins later than it did once, and no snapshot was taken since: what the engine knew then is \
                 gone. Each site has a snapshot a day: try again tomorrow",
            ));
        }
        let missing = count - entries.len();
        Ok(Self { log, site, json, from_ms: from_ms.unwrap_or(i64::MIN), known, facts, entries, missing })
    }

    /// Whether a key group is in this partition of `signals`.
    pub(super) fn holds(&self, part: Part, key_group: u32) -> bool {
        self.facts.part(part.generation, key_group) == part
    }

    /// The key groups of a partition that are replayed in it, and where each begins.
    pub(super) fn entries_in(&self, part: Part) -> impl Iterator<Item = (u32, &Entry)> {
        let entries = self.entries.iter().map(|(group, entry)| (*group, entry));
        entries.filter(move |(group, entry)| entry.generation() <= part.generation && self.holds(part, *group))
    }

    /// The partitions in which something is replayed, the oldest generation first.
    pub(super) fn parts(&self) -> impl Iterator<Item = Part> {
        self.facts.starts.keys().copied().filter(|part| self.entries_in(*part).next().is_some())
    }

    /// Offset that a partition is replayed from.
    pub(super) fn begin(&self, part: Part) -> u64 {
        // What comes from the generation before, or from no snapshot, begins at the start.
        let begins = self
            .entries_in(part)
            .map(|(_, entry)| entry.taken().filter(|taken| taken.part == part).map_or(0, |taken| taken.position));
        begins.min().unwrap_or(0)
    }

    /// The partitions that those go on in that were in this one.
    pub(super) fn next(&self, part: Part) -> impl Iterator<Item = Part> {
        self.parts().filter(move |next| self.parent(*next) == Some(part))
    }

    /// The partition of the generation before that those were in that are in this one.
    pub(super) fn parent(&self, part: Part) -> Option<Part> {
        let generation = part.generation.checked_sub(1)?;
        Some(Part { generation, partition: part.partition % self.facts.generations[generation as usize] })
    }
}
