//! How many each site has of something that a tenant has limited room for.

use std::collections::{BTreeMap, BTreeSet};

use logystera_schemas::ids::SiteId;

/// Things by site, in the order of their numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Crowds {
    /// By site. No empty set.
    sites: BTreeMap<SiteId, BTreeSet<u64>>,
    /// How many each site has.
    sizes: BTreeSet<(usize, SiteId)>,
}

impl Crowds {
    pub(super) fn insert(&mut self, site: &SiteId, number: u64) {
        let numbers = self.sites.entry(site.clone()).or_default();
        let before = numbers.len();
        if numbers.insert(number) {
            self.sizes.remove(&(before, site.clone()));
            self.sizes.insert((before + 1, site.clone()));
        }
    }

    pub(super) fn remove(&mut self, site: &SiteId, number: u64) {
        let Some(numbers) = self.sites.get_mut(site) else { return };
        let before = numbers.len();
        if numbers.remove(&number) {
            self.sizes.remove(&(before, site.clone()));
            if before == 1 {
                self.sites.remove(site);
            } else {
                self.sizes.insert((before - 1, site.clone()));
            }
        }
    }

    /// The numbers of the site that has most, the newest first, if it has more than `site` would have with one more.
    pub(super) fn crowding(&self, site: &SiteId) -> impl Iterator<Item = u64> {
        let own = self.sites.get(site).map_or(0, BTreeSet::len);
        let crowd = self.sizes.last().filter(|(size, _)| *size > own + 1).and_then(|(_, crowd)| self.sites.get(crowd));
        crowd.into_iter().flat_map(|numbers| numbers.iter().rev().copied())
    }
}
