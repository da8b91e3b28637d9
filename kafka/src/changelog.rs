//! The changelog: an application's state as a compacted topic, from which a task that takes a partition over restores
//! it.
//!
//! | key | value | partition |
//! | --- | --- | --- |
//! | `s`, state key that starts with its key group (2 bytes, big-endian, below 1,024) | version, state value | key group mod partitions |
//! | `p`, generation, input partition (4 bytes each), state key | version, state value | input partition mod partitions |
//! | `c`, generation, input partition | version, position | input partition mod partitions |
//!
//! `s` is what moves with its key group, `p` what belongs to an input partition, such as its clocks, `c` its newest
//! commit. A version is generation · 2⁴⁸ + (offset of the last input record applied) + 1, 8 bytes, big-endian; a
//! position is 8 bytes, and one more stands behind it in the last commit of a partition that was sealed. A deleted
//! entry has no value.
//!
//! Entries with a key group are found by its owner, in every generation. A partition's own are not: the first owner of
//! a new one takes over its parent's, and writes them under its own name with its first commit.

use logystera_schemas::ids::KEY_GROUPS;
use logystera_schemas::partition::PartitionRef;

use crate::state_store::{Change, Changes};

const STATE: u8 = b's';
const OWN: u8 = b'p';
const COMMIT: u8 = b'c';
/// Bytes of a version, and of a position.
const NUMBER: usize = 8;
/// Ends the value of a commit behind which nothing is applied.
const SEALED: u8 = 1;

/// The key group that a state key starts with, if it starts with one.
pub(crate) fn key_group(state_key: &[u8]) -> Option<u32> {
    let (head, _) = state_key.split_first_chunk::<2>()?;
    let key_group = u16::from_be_bytes(*head);
    (key_group < KEY_GROUPS).then_some(u32::from(key_group))
}

/// What the owner of a partition writes to the changelog, and where.
pub(crate) trait InChangelog {
    /// The version of what is written when everything below `position` was applied.
    fn version(&self, position: u64) -> u64;

    /// The record key of a state entry, and the changelog partition that holds it.
    fn entry_key(&self, state_key: &[u8], changelog_partitions: u32) -> (Vec<u8>, u32);

    /// The record key of the commit, and the changelog partition that holds it.
    fn commit_key(&self, changelog_partitions: u32) -> (Vec<u8>, u32);

    /// The changelog partitions that hold something of this owner's, or of its parent's own.
    fn changelog_partitions(&self, changelog_partitions: u32) -> Vec<u32>;
}

impl InChangelog for PartitionRef {
    fn version(&self, position: u64) -> u64 {
        (u64::from(self.generation.number) << 48) + position
    }

    fn entry_key(&self, state_key: &[u8], changelog_partitions: u32) -> (Vec<u8>, u32) {
        match key_group(state_key) {
            Some(key_group) => ([&[STATE], state_key].concat(), key_group % changelog_partitions),
            None => ([&own(self, OWN), state_key].concat(), self.partition % changelog_partitions),
        }
    }

    fn commit_key(&self, changelog_partitions: u32) -> (Vec<u8>, u32) {
        (own(self, COMMIT), self.partition % changelog_partitions)
    }

    fn changelog_partitions(&self, changelog_partitions: u32) -> Vec<u32> {
        let parent = self.parent().map(|parent| parent.partition % changelog_partitions);
        let holds = |place: &u32| {
            *place == self.partition % changelog_partitions
                || Some(*place) == parent
                || (0..u32::from(KEY_GROUPS))
                    .any(|key_group| key_group % changelog_partitions == *place && self.has(key_group))
        };
        (0..changelog_partitions).filter(holds).collect()
    }
}

/// The key of what belongs to this partition alone.
fn own(of: &PartitionRef, tag: u8) -> Vec<u8> {
    let mut key = vec![tag];
    key.extend_from_slice(&of.generation.number.to_be_bytes());
    key.extend_from_slice(&of.partition.to_be_bytes());
    key
}

/// The key group and the state key of a record's key, of what moves with its key group; none: it is none of those.
pub(crate) fn state_key(key: &[u8]) -> Option<(u16, &[u8])> {
    let state_key = key.strip_prefix(&[STATE])?;
    Some((key_group(state_key)? as u16, state_key))
}

/// A state entry's value without its version; none: it is none.
pub(crate) fn state_value(value: &[u8]) -> Option<&[u8]> {
    value.split_first_chunk::<NUMBER>().map(|(_, value)| value)
}

/// Appends the version to a state entry's value.
pub(crate) fn entry_value(version: u64, value: &[u8]) -> Vec<u8> {
    [&version.to_be_bytes(), value].concat()
}

/// The value of a commit. The last one of a partition that was sealed has a byte more.
pub(crate) fn commit_value(version: u64, position: u64, sealed: bool) -> Vec<u8> {
    let mut value = [version.to_be_bytes(), position.to_be_bytes()].concat();
    value.extend(sealed.then_some(SEALED));
    value
}

/// What a changelog, or its tail, says of one owner.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Restored {
    /// The newest change of each key. A deletion's version is not in the log: it is 0.
    pub(crate) entries: Changes,
    /// The newest commit, if there is one.
    pub(crate) commit: Option<Committed>,
    /// The own entries of the parent.
    inherited: Changes,
    /// The newest commit of the parent, if there is one.
    parent: Option<Committed>,
}

/// How far an owner is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// The input offset to read next.
    pub position: u64,
    /// Whether nothing behind it is applied: the partition was sealed.
    pub sealed: bool,
}

impl Committed {
    fn read(value: &[u8]) -> Option<Self> {
        let (position, rest) = value.split_first_chunk::<NUMBER>()?;
        let sealed = match rest {
            [] => false,
            [SEALED] => true,
            _ => return None,
        };
        Some(Self { position: u64::from_be_bytes(*position), sealed })
    }
}

/// A record of the changelog that is none of ours.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl Restored {
    /// Takes the changelog's next record in. Records of other owners change nothing.
    pub(crate) fn take(&mut self, owner: &PartitionRef, key: &[u8], value: Option<&[u8]>) -> Result<(), Malformed> {
        let (tag, rest) = key.split_first().ok_or(Malformed)?;
        let is_state = *tag == STATE;
        if is_state && !owner.has(key_group(rest).ok_or(Malformed)?) {
            return Ok(());
        }
        if !is_state && *tag != OWN && *tag != COMMIT {
            return Err(Malformed);
        }
        let of_parent = || owner.parent().and_then(|parent| rest.strip_prefix(&own(&parent, *tag)[1..]));
        let (state_key, own) = match rest.strip_prefix(&own(owner, *tag)[1..]) {
            _ if is_state => (rest, true),
            Some(state_key) => (state_key, true),
            None => match of_parent() {
                Some(state_key) => (state_key, false),
                None => return Ok(()),
            },
        };
        let change = match value {
            None => Change { version: 0, value: None },
            Some(value) => {
                let (version, value) = value.split_first_chunk::<NUMBER>().ok_or(Malformed)?;
                Change { version: u64::from_be_bytes(*version), value: Some(value.to_vec()) }
            }
        };
        if *tag == COMMIT {
            let commit = Committed::read(&change.value.unwrap_or_default()).ok_or(Malformed)?;
            *(if own { &mut self.commit } else { &mut self.parent }) = Some(commit);
        } else {
            (if own { &mut self.entries } else { &mut self.inherited }).insert(state_key.to_vec(), change);
        }
        Ok(())
    }

    /// Ends the reading of a whole changelog: an owner that has not committed yet takes over the parent's own entries.
    /// False: the parent has not come to its seal yet.
    pub(crate) fn inherit(&mut self, owner: &PartitionRef) -> bool {
        let inherited = std::mem::take(&mut self.inherited);
        if self.commit.is_some() || owner.generation.parents.is_none() {
            return true;
        }
        self.entries.extend(inherited.into_iter().filter(|(_, change)| change.value.is_some()));
        self.parent.is_some_and(|parent| parent.sealed)
    }

    /// The entries that are left when these changes come over what is there. The higher version stands; a deletion is
    /// newer than what a changelog has before it.
    pub(crate) fn over(&self, mut entries: Changes) -> Changes {
        for (key, change) in &self.entries {
            if change.value.is_none() {
                entries.remove(key);
            } else if entries.get(key).is_none_or(|before| before.version <= change.version) {
                entries.insert(key.clone(), change.clone());
            }
        }
        entries
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use logystera_schemas::partition::Generation;

    use super::*;

    const CHANGELOG: u32 = 8;

    fn owner(partition: u32, partitions: u32) -> PartitionRef {
        PartitionRef { generation: Generation { number: 3, partitions, parents: None }, partition }
    }

    fn state_key(key_group: u16) -> Vec<u8> {
        [&key_group.to_be_bytes(), b"site".as_slice()].concat()
    }

    #[test]
    fn what_is_written_is_restored_by_its_owner_alone() {
        for partitions in [1, 4, 8, 16, 5] {
            let mut records = Vec::new();
            for partition in 0..partitions {
                let owner = owner(partition, partitions);
                let version = owner.version(u64::from(partition) + 7);
                for key in [state_key(partition as u16), b"\xff\xff\x00".to_vec(), b"".to_vec()] {
                    let (record_key, place) = owner.entry_key(&key, CHANGELOG);
                    let value = [b"of ", partition.to_string().as_bytes()].concat();
                    records.push((place, record_key, entry_value(version, &value)));
                }
                let (record_key, place) = owner.commit_key(CHANGELOG);
                records.push((place, record_key, commit_value(version, u64::from(partition) + 7, false)));
            }
            for partition in 0..partitions {
                let (owner, mut restored) = (owner(partition, partitions), Restored::default());
                let places = owner.changelog_partitions(CHANGELOG);
                for (place, key, value) in records.iter().filter(|(place, ..)| places.contains(place)) {
                    restored.take(&owner, key, Some(value)).unwrap_or_else(|_| unreachable!("{place} {key:?}"));
                }
                let value = format!("of {partition}").into_bytes();
                let keys = [state_key(partition as u16), b"\xff\xff\x00".to_vec(), b"".to_vec()];
                let change = Change { version: owner.version(u64::from(partition) + 7), value: Some(value) };
                let entries = keys.into_iter().map(|key| (key, change.clone())).collect();
                let commit = Some(Committed { position: u64::from(partition) + 7, sealed: false });
                assert_eq!(
                    restored,
                    Restored { entries, commit, ..Restored::default() },
                    "{partition} of {partitions}"
                );
            }
        }
    }

    #[test]
    fn a_new_partition_goes_on_with_what_its_parent_left() {
        let before = owner(1, 4);
        let grown = Generation { number: 4, partitions: 16, parents: Some(4) };
        let after = |partition| PartitionRef { generation: grown, partition };
        let records = |sealed| {
            let entry = |key: &[u8]| (before.entry_key(key, CHANGELOG).0, entry_value(before.version(7), b"v"));
            let commit = (before.commit_key(CHANGELOG).0, commit_value(before.version(7), 7, sealed));
            [entry(&state_key(5)), entry(&state_key(9)), entry(b"\xff\xff\x00"), commit]
        };
        let restored = |partition, sealed| {
            let mut restored = Restored::default();
            for (key, value) in records(sealed) {
                restored.take(&after(partition), &key, Some(&value)).unwrap();
            }
            restored
        };
        let keys = |restored: &Restored| restored.entries.keys().cloned().collect::<Vec<_>>();

        let mut open = restored(5, false);
        assert!(!open.inherit(&after(5)), "what it goes on with may still change");
        let mut five = restored(5, true);
        assert!(five.inherit(&after(5)));
        assert_eq!((keys(&five), five.commit), (vec![state_key(5), b"\xff\xff\x00".to_vec()], None));
        let mut other = restored(6, true);
        assert!(!other.inherit(&after(6)) && other.entries.is_empty(), "another one's");

        // From its first commit on it has entries of its own.
        let mut later = restored(5, true);
        let (key, value) = (after(5).commit_key(CHANGELOG).0, commit_value(after(5).version(1), 1, false));
        later.take(&after(5), &key, Some(&value)).unwrap();
        assert!(later.inherit(&after(5)));
        assert_eq!((keys(&later), later.commit.map(|c| c.position)), (vec![state_key(5)], Some(1)));
        assert_eq!(after(5).changelog_partitions(CHANGELOG), [1, 5]);
    }

    #[test]
    fn the_newest_value_stands_and_a_deletion_removes() {
        let (owner, mut restored) = (owner(0, 1), Restored::default());
        let (key, _) = owner.entry_key(b"k", CHANGELOG);
        restored.take(&owner, &key, Some(&entry_value(1, b"old"))).unwrap();
        restored.take(&owner, &key, Some(&entry_value(2, b"new"))).unwrap();
        let new = Change { version: 2, value: Some(b"new".to_vec()) };
        assert_eq!(restored.over(Changes::new()), BTreeMap::from([(b"k".to_vec(), new)]));
        restored.take(&owner, &key, None).unwrap();
        assert_eq!(restored.over(Changes::new()), Changes::new());
    }

    #[test]
    fn a_tail_goes_over_the_rows_of_a_store() {
        let change = |version, value: &str| Change { version, value: Some(value.as_bytes().to_vec()) };
        let deleted = Change { version: 0, value: None };
        for (what, row, tail, left) in [
            ("only a row", Some(change(5, "row")), None, Some("row")),
            ("only in the tail", None, Some(change(5, "tail")), Some("tail")),
            ("a newer one in the tail", Some(change(5, "row")), Some(change(6, "tail")), Some("tail")),
            ("the same in both", Some(change(5, "same")), Some(change(5, "same")), Some("same")),
            ("an overlap: the row is newer", Some(change(6, "row")), Some(change(5, "tail")), Some("row")),
            ("deleted in the tail", Some(change(5, "row")), Some(deleted.clone()), None),
            ("deleted, and never a row", None, Some(deleted), None),
        ] {
            let entries = |change: Option<Change>| change.map(|change| (b"k".to_vec(), change)).into_iter().collect();
            let tail = Restored { entries: entries(tail), ..Restored::default() };
            let value = tail.over(entries(row)).remove(b"k".as_slice()).and_then(|change| change.value);
            assert_eq!(value, left.map(|value| value.as_bytes().to_vec()), "{what}");
        }
    }

    #[test]
    fn few_changelog_partitions_are_read_where_they_are_shared_out_evenly() {
        assert_eq!(owner(1, 4).changelog_partitions(8), [1, 5]);
        assert_eq!(owner(9, 16).changelog_partitions(8), [1]);
        assert_eq!(owner(0, 1).changelog_partitions(8).len(), 8);
        assert_eq!(owner(1, 4).key_groups()[..3], [1, 5, 9]);
        assert_eq!(owner(0, 1).key_groups().len(), usize::from(KEY_GROUPS));
    }

    #[test]
    fn strange_records_are_refused() {
        let (owner, mut restored) = (owner(0, 1), Restored::default());
        let own = owner.entry_key(b"k", CHANGELOG).0;
        let commit = owner.commit_key(CHANGELOG).0;
        let strange: [(&[u8], Option<&[u8]>); 8] = [
            (b"", Some(b"12345678")),
            (b"x", Some(b"12345678")),
            (b"s\x00", Some(b"12345678")),
            (b"s\x04\x00", Some(b"12345678")),
            (&own, Some(b"1234567")),
            (&commit, None),
            (&commit, Some(b"1234567812345678\x02")),
            (&commit, Some(b"1234567812345678\x01\x01")),
        ];
        for (key, value) in strange {
            assert_eq!(restored.take(&owner, key, value), Err(Malformed), "{key:?}");
        }
    }

    #[test]
    fn versions_rise_with_the_position_and_the_generation() {
        let version = |number, position| {
            PartitionRef { generation: Generation { number, partitions: 1, parents: None }, partition: 0 }
                .version(position)
        };
        assert!(version(0, 1) < version(0, 2) && version(0, u64::from(u32::MAX)) < version(1, 0));
    }
}
