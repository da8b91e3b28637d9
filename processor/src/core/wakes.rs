//! When sites must be looked at though nothing is heard of them: they may have become silent for too long, or a
//! reminder of their silence may be due.

use std::collections::{BTreeMap, BTreeSet};

use logystera_schemas::ids::SiteId;
use logystera_schemas::time::{OpenMs, WallMs};

use super::log_time::LogTime;
use super::site::Site;

/// The sites that must be looked at at some time, and when.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    /// At most one entry a site, at or before the time at which it must be looked at.
    open: BTreeSet<(OpenMs, SiteId)>,
    /// At most one entry a site, at the very time.
    wall: BTreeSet<(WallMs, SiteId)>,
}

impl Wakes {
    /// Notes when a site must be looked at next. An entry of open time that is too early is harmless: it is put off when it is
    /// found.
    pub(crate) fn set(&mut self, id: &SiteId, site: &mut Site, time: &LogTime) {
        let next_wall = site.next_wall();
        if site.wake_wall != next_wall {
            if let Some(at) = std::mem::replace(&mut site.wake_wall, next_wall) {
                self.wall.remove(&(at, id.clone()));
            }
            self.wall.extend(next_wall.map(|at| (at, id.clone())));
        }
        let Some(next) = site.next_open(time) else { return };
        match site.wake_at {
            Some(at) if at <= next => return,
            Some(at) => {
                self.open.remove(&(at, id.clone()));
            }
            None => {}
        }
        site.wake_at = Some(next);
        self.open.insert((next, id.clone()));
    }

    /// Forgets a site that is closed.
    pub(crate) fn forget(&mut self, id: &SiteId, site: &Site) {
        self.open.remove(&(site.wake_at.unwrap_or_default(), id.clone()));
        self.wall.remove(&(site.wake_wall.unwrap_or_default(), id.clone()));
    }

    /// The sites that must be looked at now. They come in the order of their ids, so that a restore changes nothing: it
    /// makes entries exact that were too early.
    pub(crate) fn due(&mut self, time: &LogTime, sites: &mut BTreeMap<SiteId, Site>) -> BTreeSet<SiteId> {
        let mut due = BTreeSet::new();
        while self.open.first().is_some_and(|(at, _)| *at <= time.open)
            && let Some((_, id)) = self.open.pop_first()
        {
            if let Some(site) = sites.get_mut(&id) {
                site.wake_at = None;
            }
            due.insert(id);
        }
        while self.wall.first().is_some_and(|(at, _)| *at <= time.wall())
            && let Some((_, id)) = self.wall.pop_first()
        {
            if let Some(site) = sites.get_mut(&id) {
                site.wake_wall = None;
            }
            due.insert(id);
        }
        due
    }
}
