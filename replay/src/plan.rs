//! Where a replay begins with each key group: at the log's start, or at a snapshot. Pure: facts in, a plan out.

use std::collections::BTreeMap;

use logystera_infra::reading::PartitionId;
use logystera_schemas::limits::SKEW_S_MAX;

/// A snapshot that stands whole in topic `snapshots`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Partition of `signals`.
    pub(crate) part: PartitionId,
    /// Offset in it: every record below it has been applied.
    pub(crate) position: u64,
    /// Wall time of the log, milliseconds since the epoch.
    pub(crate) at_ms: i64,
    /// Partition of `snapshots`, and the offsets of its parts there, in their order.
    pub(crate) stands: (PartitionId, Vec<u64>),
}

/// What is known of topic `signals`.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// Partitions of each generation, the oldest first.
    pub(crate) generations: Vec<u32>,
    /// Offset of the oldest record that is left of each partition.
    pub(crate) starts: BTreeMap<PartitionId, u64>,
    /// The snapshots of each key group, in the order in which they were taken.
    pub(crate) snapshots: BTreeMap<u32, Vec<Taken>>,
}

/// Where a replay begins with a key group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// With its first record.
    Start,
    /// With what a snapshot has.
    Snapshot(Taken),
}

impl Entry {
    /// Generation of `signals` in which it begins.
    pub(crate) fn generation(&self) -> u32 {
        match self {
            Self::Start => 0,
            Self::Snapshot(taken) => taken.part.generation,
        }
    }

    /// The snapshot.
    pub(crate) fn taken(&self) -> Option<&Taken> {
        match self {
            Self::Start => None,
            Self::Snapshot(taken) => Some(taken),
        }
    }
}

impl Facts {
    /// The partition of a generation that a key group is in.
    pub(crate) fn part(&self, generation: u32, key_group: u32) -> PartitionId {
        PartitionId { generation, partition: key_group % self.generations[generation as usize] }
    }

    fn start(&self, generation: u32, key_group: u32) -> u64 {
        self.starts.get(&self.part(generation, key_group)).copied().unwrap_or(0)
    }

    /// Whether every record from here on is left: those of the generations behind it too.
    fn is_whole_after(&self, generation: u32, key_group: u32) -> bool {
        (generation + 1..self.generations.len() as u32).all(|later| self.start(later, key_group) == 0)
    }

    /// Where to begin with a key group so that everything that was evaluated at `from_ms` (the site's time) or later is found;
    /// as early as can be where that is none. None: what it knew at the log's start is gone, and no snapshot was taken since.
    pub(crate) fn entry(&self, key_group: u32, from_ms: Option<i64>) -> Option<Entry> {
        let usable = |taken: &&Taken| {
            let (part, generation) = (taken.part, taken.part.generation);
            (generation as usize) < self.generations.len()
                && part == self.part(generation, key_group)
                && taken.position >= self.start(generation, key_group)
                && self.is_whole_after(generation, key_group)
        };
        let mut usable = self.snapshots.get(&key_group).into_iter().flatten().filter(usable);
        // A site's time is never further ahead of the log's than a gateway's clock may be wrong.
        let latest_ms = from_ms.map(|from| from.saturating_sub(SKEW_S_MAX as i64 * 1_000));
        let newest = latest_ms.and_then(|latest| usable.clone().rfind(|taken| taken.at_ms <= latest));
        let is_whole = self.start(0, key_group) == 0 && self.is_whole_after(0, key_group);
        match newest {
            None if is_whole => Some(Entry::Start),
            Some(taken) => Some(Entry::Snapshot(taken.clone())),
            None => usable.next().cloned().map(Entry::Snapshot),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: i64 = 60_000;

    /// Facts of key group 5 from the starts of its partitions and its snapshots: generation, position, minute.
    fn facts(starts: &[u64], snapshots: &[(u32, u64, i64)]) -> Facts {
        let mut facts = Facts { generations: [2, 4].into_iter().take(starts.len()).collect(), ..Facts::default() };
        for (generation, start) in (0..).zip(starts) {
            facts.starts.insert(facts.part(generation, 5), *start);
        }
        let taken = snapshots.iter().map(|(generation, position, minute)| Taken {
            part: facts.part(*generation, 5),
            position: *position,
            at_ms: minute * MINUTE_MS,
            stands: (PartitionId { generation: 0, partition: 0 }, vec![]),
        });
        facts.snapshots = BTreeMap::from([(5, taken.collect())]);
        facts
    }

    fn check(starts: &[u64], snapshots: &[(u32, u64, i64)], from_minute: Option<i64>, expected: &str) {
        let entry = facts(starts, snapshots).entry(5, from_minute.map(|minute| minute * MINUTE_MS));
        let told = match entry {
            None => "unknown".to_owned(),
            Some(Entry::Start) => "start".to_owned(),
            Some(Entry::Snapshot(taken)) => format!("{}:{}", taken.part.generation, taken.position),
        };
        assert_eq!(told, expected, "starts {starts:?}, snapshots {snapshots:?}, from {from_minute:?}");
    }

    #[test]
    fn from_the_beginning() {
        check(&[0], &[], None, "start");
        check(&[0], &[(0, 10, 10)], None, "start");
        check(&[7], &[], None, "unknown");
        check(&[7], &[(0, 6, 1)], None, "unknown");
        check(&[7], &[(0, 6, 1), (0, 7, 2), (0, 9, 3)], None, "0:7");
        // What of the first generation is left does not go on in the second one, whose beginning is gone.
        check(&[7, 3], &[(0, 8, 1), (1, 4, 2)], None, "1:4");
        check(&[0, 3], &[(1, 4, 2)], None, "1:4");
        check(&[7, 0], &[(0, 8, 1), (1, 4, 2)], None, "0:8");
        check(&[7, 0], &[(1, 4, 2)], None, "1:4");
    }

    #[test]
    fn from_a_time() {
        let daily = [(0, 10, 100), (0, 20, 200), (1, 5, 300)];
        check(&[0, 0], &daily, Some(50), "start");
        check(&[0, 0], &daily, Some(104), "start");
        check(&[0, 0], &daily, Some(105), "0:10");
        check(&[0, 0], &daily, Some(250), "0:20");
        check(&[0, 0], &daily, Some(900), "1:5");
        check(&[11, 0], &daily, Some(150), "0:20");
    }

    #[test]
    fn a_snapshot_of_another_partition_is_none_of_this_key_group() {
        let mut facts = facts(&[7], &[(0, 9, 1)]);
        facts.snapshots.values_mut().flatten().for_each(|taken| taken.part.partition = 0);
        assert_eq!(facts.entry(5, None), None);
    }
}
