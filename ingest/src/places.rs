//! Places for work that would hold up the threads that serve connections. A site takes one at a time: a site that sends
//! many large bodies waits for its own, and every other site for at most one of them.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::{Arc, Mutex};

use logystera_schemas::ids::SiteId;
use logystera_schemas::limits::LARGE_BODIES_MAX;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::lock::lock;

/// The places of a process.
pub(crate) struct Places {
    free: Semaphore,
    turns: Mutex<BTreeMap<SiteId, Arc<Semaphore>>>,
}

impl Places {
    /// Half of the machine's cores, but at least one: the rest serves connections.
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self { free: Semaphore::new((cores / 2).clamp(1, LARGE_BODIES_MAX)), turns: Mutex::default() }
    }

    /// Waits for the site's turn, and then for a place. Always gives one: no semaphore here is ever closed.
    pub(crate) async fn take(&self, site: &SiteId) -> Option<Place<'_>> {
        let turn = Arc::clone(lock(&self.turns).entry(site.clone()).or_insert_with(|| Arc::new(Semaphore::new(1))));
        // Made before the wait: a caller that gives up drops it, and the turn is put away.
        let mut place = Place { places: self, site: site.clone(), turn: None, free: None };
        place.turn = Some(turn.acquire_owned().await.ok()?);
        place.free = Some(self.free.acquire().await.ok()?);
        Some(place)
    }
}

/// A place that was taken.
pub(crate) struct Place<'a> {
    places: &'a Places,
    site: SiteId,
    turn: Option<OwnedSemaphorePermit>,
    free: Option<SemaphorePermit<'a>>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        drop(self.free.take());
        let mut turns = lock(&self.places.turns);
        drop(self.turn.take());
        // Those who wait for the turn hold it too.
        if turns.get(&self.site).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            turns.remove(&self.site);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn a_site_waits_for_itself_and_nobody_leaves_anything() {
        let places = Places { free: Semaphore::new(2), turns: Mutex::default() };
        let (busy, other) = ("busy".parse().unwrap(), "other".parse().unwrap());
        let first = places.take(&busy).await;
        let mut second = Box::pin(places.take(&busy));
        assert!(tokio::time::timeout(std::time::Duration::from_millis(5), &mut second).await.is_err());
        let others = places.take(&other).await;
        assert!(others.is_some(), "there is a place, and it is not the busy site's");
        drop(first);
        let second = second.await;
        assert!(second.is_some());
        // One that gives up waiting.
        let gives_up = tokio::time::timeout(std::time::Duration::from_millis(5), places.take(&busy)).await;
        assert!(gives_up.is_err());
        drop((second, others));
        assert!(lock(&places.turns).is_empty());
        assert_eq!(places.free.available_permits(), 2);
    }
}
