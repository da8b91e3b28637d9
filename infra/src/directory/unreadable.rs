//! The records of topic `control` that cannot be read. Pure.

use std::collections::BTreeMap;

use logystera_schemas::limits::CONTROL_UNREADABLE_KEPT_MAX;

/// Records that could not be read, by the key of their entity: the newest of each, until a record of it can be read
/// again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Unreadable {
    /// Offset and cause.
    newest: BTreeMap<Vec<u8>, (u64, String)>,
    /// How many found no room; they are never counted down.
    more: usize,
}

impl Unreadable {
    pub(super) fn count(&self) -> usize {
        self.newest.len() + self.more
    }

    pub(super) fn add(&mut self, key: &[u8], offset: u64, cause: String) {
        if self.newest.len() < CONTROL_UNREADABLE_KEPT_MAX || self.newest.contains_key(key) {
            self.newest.insert(key.to_vec(), (offset, cause));
        } else {
            self.more += 1;
        }
    }

    /// Whether a record of the entity with this key could not be read.
    pub(super) fn has(&self, key: &[u8]) -> bool {
        self.newest.contains_key(key)
    }

    pub(super) fn remove(&mut self, key: &[u8]) {
        self.newest.remove(key);
    }

    /// The one that stands last in the topic.
    pub(super) fn last(&self) -> Option<(u64, &str)> {
        self.newest.values().max_by_key(|(offset, _)| *offset).map(|(offset, cause)| (*offset, cause.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unreadable_is_bounded() {
        let mut unreadable = Unreadable::default();
        for n in 0..2 * CONTROL_UNREADABLE_KEPT_MAX as u64 {
            unreadable.add(&n.to_be_bytes(), n, "junk".to_owned());
        }
        assert_eq!(unreadable.count(), 2 * CONTROL_UNREADABLE_KEPT_MAX);
        assert_eq!(unreadable.newest.len(), CONTROL_UNREADABLE_KEPT_MAX);
    }
}
