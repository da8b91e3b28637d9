//! Deliveries that wait for one channel, by site.

use std::collections::{BTreeMap, BTreeSet};

use logystera_schemas::ids::{DeliveryId, SiteId};
use logystera_schemas::time::WallMs;

/// The order within a channel: by time, then as the deliveries were planned.
pub(super) type Place = (WallMs, u64, SiteId, u64, DeliveryId);

/// What waits for a channel.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting {
    /// By site. No empty set.
    sites: BTreeMap<SiteId, BTreeSet<Place>>,
    /// How many each site has.
    crowds: BTreeSet<(usize, SiteId)>,
    count: usize,
}

impl Waiting {
    /// How many.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// How many of this site.
    pub(super) fn count_of(&self, site: &SiteId) -> usize {
        self.sites.get(site).map_or(0, BTreeSet::len)
    }

    /// Each site with its places, in their order.
    pub(super) fn sites(&self) -> impl Iterator<Item = (&SiteId, &BTreeSet<Place>)> {
        self.sites.iter()
    }

    /// The site that has the most, with its places.
    pub(super) fn crowd(&self) -> Option<(&SiteId, &BTreeSet<Place>)> {
        let (_, site) = self.crowds.last()?;
        self.sites.get_key_value(site)
    }

    pub(super) fn insert(&mut self, place: Place) {
        let site = place.2.clone();
        let places = self.sites.entry(site.clone()).or_default();
        let before = places.len();
        if places.insert(place) {
            self.count += 1;
            self.crowded(site, before, before + 1);
        }
    }

    pub(super) fn remove(&mut self, place: &Place) {
        let site = &place.2;
        let Some(places) = self.sites.get_mut(site) else { return };
        let before = places.len();
        if places.remove(place) {
            self.count -= 1;
            if before == 1 {
                self.sites.remove(site);
            }
            self.crowded(site.clone(), before, before - 1);
        }
    }

    fn crowded(&mut self, site: SiteId, before: usize, after: usize) {
        let mut key = (before, site);
        self.crowds.remove(&key);
        if after > 0 {
            key.0 = after;
            self.crowds.insert(key);
        }
    }
}
