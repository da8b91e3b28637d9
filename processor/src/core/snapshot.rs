//! Snapshots: the state of a key group at a place in the log, once a day, so that a replay can begin there.
//!
//! A day of log time has a slot for each key group. A snapshot is taken at the first tick at or after its slot: which ones,
//! and at which offset, is a function of the log as everything else is.

use logystera_schemas::avro::Blob;
use logystera_schemas::avro_record;
use logystera_schemas::ids::{KEY_GROUPS, KeyGroup};
use logystera_schemas::limits::{SNAPSHOT_PART_BYTES_MAX, SNAPSHOT_TICK_BYTES_MAX, SNAPSHOT_TICK_SLOTS_MAX};
use logystera_schemas::snapshot::{Snapshot, SnapshotEntry, SnapshotSite};
use logystera_schemas::time::WallMs;

use super::engine::{Engine, Output};

/// Milliseconds of log time between two key groups' snapshots, so that each key group has one a day.
pub const SLOT_MS: i64 = 86_400_000 / SLOTS_A_DAY;
const SLOTS_A_DAY: i64 = KEY_GROUPS as i64;
const _: () = assert!(SLOT_MS * SLOTS_A_DAY == 86_400_000);

/// Where an engine's input is in topic `signals`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Home {
    /// Generation of the topic.
    pub generation: u32,
    /// Partition.
    pub partition: u32,
    /// Partitions of the generation.
    pub partitions: u32,
}

impl Home {
    /// The only partition that there is.
    pub const ALONE: Self = Self { generation: 0, partition: 0, partitions: 1 };
}

impl Default for Home {
    fn default() -> Self {
        Self::ALONE
    }
}

avro_record! {
    /// Up to where snapshots have been taken.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Schedule {
        /// The slot to take next, counted from the epoch; none before the first tick.
        next_slot: Option<i64>,
    }
}

impl Schedule {
    /// The next slot that has come, oldest first, each key group's newest only.
    fn pop(&mut self, wall: WallMs) -> Option<KeyGroup> {
        let now = wall.0.div_euclid(SLOT_MS);
        // A clock that ran ahead and was set back must not put them off for as long as it was ahead.
        let next = self.next_slot.unwrap_or(now + 1).clamp(now + 1 - SLOTS_A_DAY, now + 1);
        let is_due = next <= now;
        self.next_slot = Some(next + i64::from(is_due));
        is_due.then(|| KeyGroup(next.rem_euclid(SLOTS_A_DAY) as u16))
    }
}

impl Engine {
    /// Takes the snapshots that are due, up to a bound for each tick: after a gap they are caught up with over the next ones.
    pub(super) fn take_snapshots(&mut self, position: u64, out: &mut Vec<Output>) {
        let mut bytes = 0;
        for _ in 0..SNAPSHOT_TICK_SLOTS_MAX {
            if bytes >= SNAPSHOT_TICK_BYTES_MAX {
                break;
            }
            let Some(key_group) = self.schedule.pop(self.time.wall()) else { break };
            if key_group.partition(self.home.partitions) == self.home.partition {
                for snapshot in self.snapshot(key_group, position) {
                    bytes +=
                        snapshot.entries.iter().map(|entry| entry.key.0.len() + entry.value.0.len()).sum::<usize>();
                    out.push(Output::Snapshot(Box::new(snapshot)));
                }
            }
        }
    }

    /// The state of a key group as it is now, before the record at `position`: the parts of one snapshot.
    pub fn snapshot(&self, key_group: KeyGroup, position: u64) -> impl Iterator<Item = Snapshot> {
        let parts = cut(self.entries_of(key_group));
        let sites = self.sites.values().filter(|site| site.key_group == key_group);
        let mut sites: Vec<SnapshotSite> = sites
            .map(|site| SnapshotSite {
                site: site.head.voice.site.clone(),
                digest: site.head.digest,
                seq: site.head.voice.seq,
                chain: site.head.voice.chain,
            })
            .collect();
        let (home, at, count) = (self.home, self.time.wall(), parts.len() as u32);
        (1..).zip(parts).map(move |(part, entries)| Snapshot {
            key_group: u32::from(key_group.0),
            generation: home.generation,
            partition: home.partition,
            position,
            at,
            part,
            parts: count,
            encryption_key: None,
            // They are few beside what is stored of them: the first part has room for all.
            sites: std::mem::take(&mut sites),
            entries,
        })
    }
}

/// Cuts entries into parts, none of them empty.
fn cut(entries: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) -> Vec<Vec<SnapshotEntry>> {
    let mut parts: Vec<Vec<SnapshotEntry>> = Vec::new();
    let mut bytes = 0;
    for (key, value) in entries {
        bytes += key.len() + value.len();
        if parts.is_empty() || bytes > SNAPSHOT_PART_BYTES_MAX {
            bytes = key.len() + value.len();
            parts.push(Vec::new());
        }
        if let Some(part) = parts.last_mut() {
            part.push(SnapshotEntry { key: Blob(key), value: Blob(value) });
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets a tick come at each of these times, in tenths of a slot, and gives the key groups that each brings up.
    fn check(ticks: &[i64], expected: &[&[u16]]) {
        let mut schedule = Schedule::default();
        let came: Vec<Vec<u16>> = ticks
            .iter()
            .map(|tenths| {
                let wall = WallMs(tenths * SLOT_MS / 10);
                std::iter::from_fn(|| schedule.pop(wall).map(|group| group.0)).collect()
            })
            .collect();
        assert_eq!(came, expected, "{ticks:?}");
    }

    #[test]
    fn each_slot_comes_once() {
        check(&[105, 109, 110, 111, 120], &[&[], &[], &[11], &[], &[12]]);
        check(&[10_225, 10_250], &[&[], &[1_023, 0, 1]]);
    }

    #[test]
    fn a_clock_that_was_set_back_puts_nothing_off() {
        check(&[100, 5_000, 110, 120], &[&[], &(11..=500).collect::<Vec<_>>(), &[], &[12]]);
    }

    #[test]
    fn after_days_away_each_key_group_comes_once() {
        let day: Vec<u16> = (1..1_024).chain([0]).collect();
        check(&[0, 51_200], &[&[], &day]);
    }

    #[test]
    fn parts_are_bounded_and_none_is_empty() {
        let entries =
            |lengths: &[usize]| lengths.iter().map(|length| (vec![0; 1], vec![0; length - 1])).collect::<Vec<_>>();
        let most = SNAPSHOT_PART_BYTES_MAX;
        for (lengths, expected) in
            [(&[10][..], &[1][..]), (&[10, most - 10, 1], &[2, 1]), (&[10, most, most + 10, 1], &[1, 1, 1, 1])]
        {
            let parts: Vec<usize> = cut(entries(lengths)).iter().map(Vec::len).collect();
            assert_eq!(parts, expected, "{lengths:?}");
        }
    }
}
