//! Snapshots: the state of a key group at a place in the log, once a day, so that a replay can begin there.
//!
//! A snapshot is taken at the first tick at or after its key group's slot ([`schedule`](super::schedule)): which ones, and at
//! which offset, is a function of the log as everything else is.

use logystera_schemas::avro::Blob;
use logystera_schemas::ids::KeyGroup;
use logystera_schemas::limits::{SNAPSHOT_PART_BYTES_MAX, SNAPSHOT_TICK_BYTES_MAX, SNAPSHOT_TICK_SLOTS_MAX};
use logystera_schemas::snapshot::{Snapshot, SnapshotEntry, SnapshotSite};

use super::engine::{Engine, Output};

impl Engine {
    /// Takes the snapshots that are due, up to a bound for each tick: what a gap left due is caught up with over the
    /// next ticks.
    pub(crate) fn take_snapshots(&mut self, position: u64, out: &mut Vec<Output>) {
        let mut bytes = 0;
        for _ in 0..SNAPSHOT_TICK_SLOTS_MAX {
            if bytes >= SNAPSHOT_TICK_BYTES_MAX {
                break;
            }
            let Some(key_group) = self.schedule.pop(self.time.wall()) else { break };
            if self.partition.has(u32::from(key_group.0)) {
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
                site: site.record.chain.site.clone(),
                digest: site.record.digest,
                seq: site.record.chain.seq,
                chain: site.record.chain.newest,
            })
            .collect();
        let (of, at, count) = (self.partition, self.time.wall(), parts.len() as u32);
        (1..).zip(parts).map(move |(part, entries)| Snapshot {
            key_group: u32::from(key_group.0),
            generation: of.generation.number,
            partition: of.partition,
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
