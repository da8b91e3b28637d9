//! Cuts state writes into batches, each of one partition of the store. Pure.

use std::iter::Peekable;
use std::ops::Bound;

use logystera_schemas::limits::{STORE_BATCH_BYTES_MAX, STORE_REWRITE_ENTRIES_MAX};

use crate::changelog::key_group;
use crate::state_store::{Change, Changes};

/// Bytes that a row takes in a statement beside its key and value: the partition's key, numbers, lengths.
const ROW_BYTES: usize = 96;

/// The partition of the store that holds a state entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowPartition {
    /// With its key group, in table `state`.
    KeyGroup(u16),
    /// With its input partition, in table `own_state`.
    Own,
}

impl RowPartition {
    pub(super) fn of(state_key: &[u8]) -> Self {
        key_group(state_key).map_or(Self::Own, |key_group| Self::KeyGroup(key_group as u16))
    }
}

/// The next live entries after `last`, all at `version`.
pub(super) fn chunk(entries: &Changes, last: Option<&[u8]>, version: u64) -> Vec<(Vec<u8>, Change)> {
    let from = last.map_or(Bound::Unbounded, Bound::Excluded);
    let live = entries.range::<[u8], _>((from, Bound::Unbounded)).filter(|(_, change)| change.value.is_some());
    let at_version = |(key, change): (&Vec<u8>, &Change)| (key.clone(), Change { version, ..change.clone() });
    live.take(STORE_REWRITE_ENTRIES_MAX).map(at_version).collect()
}

/// Rows of one partition that are written together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) place: RowPartition,
    pub(super) rows: Vec<(Vec<u8>, Change)>,
}

/// Batches of what `changes` gives in the order of its keys.
pub(super) struct Batches<I: Iterator> {
    changes: Peekable<I>,
}

impl<I: Iterator<Item = (Vec<u8>, Change)>> Batches<I> {
    pub(super) fn of(changes: impl IntoIterator<IntoIter = I>) -> Self {
        Self { changes: changes.into_iter().peekable() }
    }
}

fn row_bytes((key, change): &(Vec<u8>, Change)) -> usize {
    key.len() + change.value.as_ref().map_or(0, Vec::len) + ROW_BYTES
}

impl<I: Iterator<Item = (Vec<u8>, Change)>> Iterator for Batches<I> {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let first = self.changes.next()?;
        let (place, mut bytes) = (RowPartition::of(&first.0), row_bytes(&first));
        let mut rows = vec![first];
        while let Some(row) = self
            .changes
            .next_if(|row| RowPartition::of(&row.0) == place && bytes + row_bytes(row) <= STORE_BATCH_BYTES_MAX)
        {
            bytes += row_bytes(&row);
            rows.push(row);
        }
        Some(Batch { place, rows })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key_group: u16, name: u8, value_bytes: usize) -> (Vec<u8>, Change) {
        let key = [&key_group.to_be_bytes(), [name].as_slice()].concat();
        (key, Change { version: 1, value: Some(vec![0; value_bytes]) })
    }

    /// Places and numbers of rows of the batches.
    fn shape(rows: &[(Vec<u8>, Change)]) -> Vec<(RowPartition, usize)> {
        let batches: Vec<Batch> = Batches::of(rows.to_vec()).collect();
        let kept: Vec<_> = batches.iter().flat_map(|batch| batch.rows.clone()).collect();
        assert_eq!(kept, rows, "every row is in one batch, in order");
        batches.iter().map(|batch| (batch.place, batch.rows.len())).collect()
    }

    #[test]
    fn a_batch_has_rows_of_one_partition_and_fits() {
        const KEY: usize = 3 + ROW_BYTES;
        let half = STORE_BATCH_BYTES_MAX / 2 - KEY;
        let (one, two) = (RowPartition::KeyGroup(1), RowPartition::KeyGroup(2));
        for (what, rows, expected) in [
            ("nothing", vec![], vec![]),
            ("small rows", vec![row(1, 0, 9), row(1, 1, 9)], vec![(one, 2)]),
            ("two key groups", vec![row(1, 0, 9), row(2, 0, 9), row(2, 1, 9)], vec![(one, 1), (two, 2)]),
            ("as many as fit", vec![row(1, 0, half), row(1, 1, half)], vec![(one, 2)]),
            ("a byte too many", vec![row(1, 0, half), row(1, 1, half + 1)], vec![(one, 1), (one, 1)]),
            (
                "one that is too large goes alone",
                vec![row(1, 0, 1), row(1, 1, 2 * STORE_BATCH_BYTES_MAX), row(1, 2, 1)],
                vec![(one, 1), (one, 1), (one, 1)],
            ),
        ] {
            assert_eq!(shape(&rows), expected, "{what}");
        }
    }

    #[test]
    fn what_has_no_key_group_is_its_partitions() {
        let key = |bytes: &[u8]| (bytes.to_vec(), Change { version: 1, value: None });
        let rows = vec![key(b""), key(&[0]), key(&[0, 0]), key(&[3, 255]), key(&[4, 0]), key(b"clock")];
        let expected = [
            (RowPartition::Own, 2),
            (RowPartition::KeyGroup(0), 1),
            (RowPartition::KeyGroup(1023), 1),
            (RowPartition::Own, 2),
        ];
        assert_eq!(shape(&rows), expected);
    }
}
