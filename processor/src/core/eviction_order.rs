//! In which order the groups of a rule make room for others.

use std::collections::{BTreeMap, BTreeSet};

use super::group::{Group, Rank};
use super::group_key::GroupKey;

/// The order in which the groups of a rule make room. Made when one has to make room, and kept up to date from then on,
/// so that the next one is found without a look at all of them. Derived, never stored.
#[derive(Debug, Default)]
pub(crate) struct EvictionOrder(Option<BTreeSet<(Rank, GroupKey)>>);

impl EvictionOrder {
    /// Forgets the order: it is made anew when the next group has to make room.
    pub(crate) fn reset(&mut self) {
        self.0 = None;
    }

    /// A group is new or has changed. Its entry stands at or before its rank: one that is too early finds its place when its
    /// turn comes, so that a match, which only puts it off, costs nothing here.
    pub(crate) fn update(&mut self, key: &GroupKey, group: &mut Group) {
        let Some(order) = &mut self.0 else { return };
        let rank = group.rank();
        if group.queued.is_some_and(|queued| queued <= rank) {
            return;
        }
        if let Some(queued) = group.queued.replace(rank) {
            order.remove(&(queued, key.clone()));
        }
        order.insert((rank, key.clone()));
    }

    /// A group is gone.
    pub(crate) fn remove(&mut self, key: &GroupKey, group: &Group) {
        if let (Some(order), Some(queued)) = (&mut self.0, group.queued) {
            order.remove(&(queued, key.clone()));
        }
    }

    /// The group that makes room first, other than `spared`.
    pub(crate) fn first(
        &mut self,
        groups: &mut BTreeMap<GroupKey, Group>,
        spared: Option<&GroupKey>,
    ) -> Option<(Rank, GroupKey)> {
        let order = self.0.get_or_insert_with(|| {
            let entry = |(key, group): (&GroupKey, &mut Group)| (*group.queued.insert(group.rank()), key.clone());
            groups.iter_mut().map(entry).collect()
        });
        loop {
            let (queued, key) = order.iter().find(|(_, key)| spared != Some(key))?.clone();
            let group = groups.get_mut(&key)?;
            let rank = group.rank();
            if rank == queued {
                return Some((rank, key));
            }
            order.remove(&(queued, key.clone()));
            order.insert((rank, key));
            group.queued = Some(rank);
        }
    }
}
