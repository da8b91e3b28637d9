//! A sorted map whose copies share what did not change: a change copies one block of entries, not the map.

use logystera_schemas::limits::DIRECTORY_BLOCK_ENTRIES_MAX;
use std::borrow::Borrow;
use std::sync::Arc;

/// A map in blocks, each sorted, one behind the other; none is empty.
#[derive(Clone, Debug)]
pub(super) struct Sorted<K, V> {
    blocks: Vec<Arc<Vec<(K, V)>>>,
}

impl<K, V> Default for Sorted<K, V> {
    fn default() -> Self {
        Self { blocks: Vec::new() }
    }
}

/// However the entries are shared out among blocks.
impl<K: PartialEq, V: PartialEq> PartialEq for Sorted<K, V> {
    fn eq(&self, other: &Self) -> bool {
        let entries = |map: &Self| map.blocks.iter().map(|block| block.len()).sum::<usize>();
        entries(self) == entries(other) && self.iter().eq(other.iter())
    }
}

impl<K: Eq, V: Eq> Eq for Sorted<K, V> {}

impl<K, V> Sorted<K, V> {
    fn iter(&self) -> impl Iterator<Item = &(K, V)> {
        self.blocks.iter().flat_map(|block| block.iter())
    }

    /// All values, in the order of their keys.
    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }
}

impl<K: Ord + Clone, V: Clone> Sorted<K, V> {
    /// The block that has this key, or would have it.
    fn block<Q: Ord + ?Sized>(&self, key: &Q) -> usize
    where
        K: Borrow<Q>,
    {
        let begins_behind = |block: &Arc<Vec<(K, V)>>| block.first().is_none_or(|(first, _)| first.borrow() <= key);
        self.blocks.partition_point(begins_behind).saturating_sub(1)
    }

    /// The value of a key.
    pub(super) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let block = self.blocks.get(self.block(key))?;
        let place = block.binary_search_by(|(other, _)| other.borrow().cmp(key)).ok()?;
        Some(&block[place].1)
    }

    /// Puts a value in the place of the one before.
    pub(super) fn insert(&mut self, key: K, value: V) {
        let at = self.block(&key);
        let Some(shared) = self.blocks.get_mut(at) else {
            return self.blocks.push(Arc::new(vec![(key, value)]));
        };
        let block = Arc::make_mut(shared);
        match block.binary_search_by(|(other, _)| other.cmp(&key)) {
            Ok(place) => block[place].1 = value,
            Err(place) => block.insert(place, (key, value)),
        }
        if block.len() > DIRECTORY_BLOCK_ENTRIES_MAX {
            let rest = block.split_off(block.len() / 2);
            self.blocks.insert(at + 1, Arc::new(rest));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_a_map(keys in prop::collection::vec(0_u16..2_000, 0..3_000)) {
            let (mut sorted, mut map) = (Sorted::default(), BTreeMap::new());
            for (value, key) in keys.iter().enumerate() {
                sorted.insert(*key, value);
                map.insert(*key, value);
            }
            prop_assert!(sorted.values().eq(map.values()));
            prop_assert!((0..2_000).all(|key| sorted.get(&key) == map.get(&key)));
            let mut in_order = Sorted::default();
            for (key, value) in map {
                in_order.insert(key, value);
            }
            prop_assert_eq!(sorted, in_order);
        }
    }

    #[test]
    fn a_copy_shares_all_blocks_but_the_one_that_changes() {
        let mut sorted = Sorted::default();
        (0..10_000_u32).for_each(|key| sorted.insert(key, key));
        let before = sorted.clone();
        sorted.insert(5_000, 7);
        let pairs = before.blocks.iter().zip(&sorted.blocks);
        assert_eq!(pairs.filter(|(one, other)| !Arc::ptr_eq(one, other)).count(), 1);
        assert_eq!((before.get(&5_000), sorted.get(&5_000)), (Some(&5_000), Some(&7)), "the copy does not change");
    }
}
