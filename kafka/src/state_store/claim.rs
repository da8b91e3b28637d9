//! What an owner's rows are known to hold, and whether a takeover can use it. Pure.

use std::collections::BTreeMap;
use std::ops::Range;

use logystera_schemas::limits::POSITION_AGE_MS_MAX;

/// How the topics were laid out when a claim was made, and where the rows are: what an owner owns, and has, depends on
/// it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The cluster that has the changelog: offsets of another mean nothing.
    pub(crate) log: String,
    /// The store's incarnation when the owner began to write: what was written to an earlier one is gone. Empty in the
    /// claims of versions that did not know of it.
    pub(crate) incarnation: String,
    /// Partitions of the changelog.
    pub(crate) changelog_partitions: u32,
    /// Partitions of the input.
    pub(crate) partitions: u32,
}

/// Every change up to `version` is in the rows, except those that stand in the changelog at `offsets` or after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// When its commit was made: a deletion's mark may leave the changelog a week later. Not when it was written, which
    /// may be days later if the store was away.
    pub(crate) committed_at_ms: i64,
    /// Version of the commit.
    pub(crate) version: u64,
    /// The input offset to read next.
    pub(crate) position: u64,
    /// How the topics were laid out.
    pub(crate) layout: Layout,
    /// For each partition of the changelog that holds something of the owner's, one past its newest record of which the
    /// rows have everything.
    pub(crate) offsets: BTreeMap<u32, u64>,
}

/// What a takeover knows when it finds a claim.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) layout: &'a Layout,
    /// For each partition of the changelog that holds something of the owner's, the offsets that are there.
    pub(crate) bounds: &'a BTreeMap<u32, Range<u64>>,
    pub(crate) now_ms: i64,
}

/// What becomes of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The rows count, and the changelog from the claim's offsets on.
    Usable,
    /// The rows are nothing to go by: they are written anew from the changelog.
    Rewrite(&'static str),
    /// The rows come from another log, or from more of it than is there. Newer rows can't be written over them.
    Foreign(&'static str),
}

/// Whether the rows can be used.
pub(crate) fn judge(claim: Option<&Claim>, facts: &Facts<'_>) -> Verdict {
    let Some(claim) = claim else { return Verdict::Rewrite("the store has no position") };
    if claim.layout.log != facts.layout.log {
        return Verdict::Foreign("the store belongs to another Kafka cluster");
    }
    if claim.layout.incarnation != facts.layout.incarnation {
        return Verdict::Rewrite("the store was made anew since its position was written");
    }
    if claim.layout != *facts.layout || !claim.offsets.keys().eq(facts.bounds.keys()) {
        return Verdict::Rewrite("the topics were laid out differently");
    }
    let mut places = claim.offsets.iter().zip(facts.bounds.values());
    if places.clone().any(|((_, offset), bounds)| *offset > bounds.end) {
        return Verdict::Foreign("the store knows more of the changelog than is there");
    }
    if places.any(|((_, offset), bounds)| *offset < bounds.start) {
        return Verdict::Rewrite("the changelog no longer reaches back to the store's position");
    }
    // Either way: a clock that was far ahead must not make a position young for ever.
    if facts.now_ms.abs_diff(claim.committed_at_ms) > POSITION_AGE_MS_MAX {
        return Verdict::Rewrite("the store's position is too old");
    }
    Verdict::Usable
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_767_225_600_000;
    const AGE: i64 = POSITION_AGE_MS_MAX as i64;

    fn layout() -> Layout {
        let incarnation = "i1".to_owned();
        Layout { log: "cluster".to_owned(), incarnation, changelog_partitions: 4, partitions: 2 }
    }

    fn claim() -> Claim {
        Claim {
            committed_at_ms: NOW,
            version: 7,
            position: 7,
            layout: layout(),
            offsets: BTreeMap::from([(1, 50), (3, 0)]),
        }
    }

    type Table = [(&'static str, Option<Claim>, fn(Verdict) -> bool); 19];

    #[test]
    fn what_becomes_of_a_claim() {
        let with = |change: fn(&mut Claim)| {
            let mut claim = claim();
            change(&mut claim);
            Some(claim)
        };
        let rewrite = |verdict| matches!(verdict, Verdict::Rewrite(_));
        let foreign = |verdict| matches!(verdict, Verdict::Foreign(_));
        let usable = |verdict| verdict == Verdict::Usable;
        let table: Table = [
            ("none", None, rewrite),
            ("as it is", with(|_| ()), usable),
            ("3 days old", with(|c| c.committed_at_ms = NOW - AGE), usable),
            ("a moment older", with(|c| c.committed_at_ms = NOW - AGE - 1), rewrite),
            ("of a clock ahead", with(|c| c.committed_at_ms = NOW + AGE), usable),
            ("of a clock far ahead", with(|c| c.committed_at_ms = i64::MAX), rewrite),
            ("at the changelog's start", with(|c| *c.offsets.get_mut(&1).unwrap() = 10), usable),
            ("before the changelog's start", with(|c| *c.offsets.get_mut(&1).unwrap() = 9), rewrite),
            ("at the changelog's end", with(|c| *c.offsets.get_mut(&1).unwrap() = 60), usable),
            ("behind the changelog's end", with(|c| *c.offsets.get_mut(&1).unwrap() = 61), foreign),
            (
                "behind an end, and old",
                with(|c| (c.offsets, c.committed_at_ms) = (BTreeMap::from([(1, 61), (3, 0)]), 0)),
                foreign,
            ),
            ("a partition short", with(|c| c.offsets.retain(|place, _| *place != 3)), rewrite),
            ("of another partition", with(|c| c.offsets = BTreeMap::from([(1, 50), (2, 0)])), rewrite),
            ("of another cluster", with(|c| c.layout.log.push('2')), foreign),
            ("of another incarnation", with(|c| c.layout.incarnation.push('2')), rewrite),
            ("of a version that knew of none", with(|c| c.layout.incarnation.clear()), rewrite),
            (
                "of another incarnation, and behind an end",
                with(|c| (c.layout.incarnation, c.offsets) = ("i2".to_owned(), BTreeMap::from([(1, 61), (3, 0)]))),
                rewrite,
            ),
            ("of more changelog partitions", with(|c| c.layout.changelog_partitions = 8), rewrite),
            ("of fewer input partitions", with(|c| c.layout.partitions = 1), rewrite),
        ];
        let (layout, bounds) = (layout(), BTreeMap::from([(1, 10..60), (3, 0..0)]));
        for (what, claim, expected) in table {
            let verdict = judge(claim.as_ref(), &Facts { layout: &layout, bounds: &bounds, now_ms: NOW });
            assert!(expected(verdict), "{what}: {verdict:?}");
        }
    }
}
