//! What all sites of a partition hold until their watermarks pass it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use logystera_schemas::ids::SiteId;
use logystera_schemas::limits::HELD_BYTES_TOTAL_MAX;
use logystera_schemas::time::SiteMs;

use super::head::Version;
use super::site::Site;

/// What one site holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Signals, and switches of signal types.
    pub signals: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Site time of the oldest.
    pub oldest: SiteMs,
    /// Whether it may have to judge early because all together hold too much: not under the first version of the semantics.
    yields: bool,
}

/// What all sites hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Signals, and switches of signal types.
    pub signals: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Site time of the oldest.
    pub oldest: Option<SiteMs>,
}

/// The sites that hold something. It is kept up as they change.
#[derive(Debug)]
pub(super) struct Holding {
    sites: BTreeMap<SiteId, Share>,
    /// Those that yield, by what they hold; of two that hold as much the one with the smaller id comes last.
    by_bytes: BTreeSet<(usize, Reverse<SiteId>)>,
    signals: usize,
    bytes: usize,
    /// Bytes of those that yield.
    yielding_bytes: usize,
    bytes_max: usize,
}

impl Default for Holding {
    fn default() -> Self {
        Self {
            sites: BTreeMap::new(),
            by_bytes: BTreeSet::new(),
            signals: 0,
            bytes: 0,
            yielding_bytes: 0,
            bytes_max: HELD_BYTES_TOTAL_MAX,
        }
    }
}

impl Site {
    fn holds(&self) -> Option<Share> {
        let (signals, bytes, yields) = (self.held.len(), self.held_bytes, self.head.version() >= Version::Two);
        self.held.first_key_value().map(|((oldest, ..), _)| Share { signals, bytes, oldest: *oldest, yields })
    }
}

impl Holding {
    /// Takes note of what a site holds now.
    pub(super) fn note(&mut self, id: &SiteId, site: &mut Site) {
        let holds = site.holds();
        if site.share != holds {
            self.remove(id, site.share);
            self.add(id, holds);
            site.share = holds;
        }
    }

    /// A site is gone.
    pub(super) fn forget(&mut self, id: &SiteId, site: &Site) {
        self.remove(id, site.share);
    }

    fn add(&mut self, id: &SiteId, share: Option<Share>) {
        let Some(share) = share else { return };
        self.sites.insert(id.clone(), share);
        self.signals += share.signals;
        self.bytes += share.bytes;
        if share.yields {
            self.yielding_bytes += share.bytes;
            self.by_bytes.insert((share.bytes, Reverse(id.clone())));
        }
    }

    fn remove(&mut self, id: &SiteId, share: Option<Share>) {
        let Some(share) = share else { return };
        self.sites.remove(id);
        self.signals -= share.signals;
        self.bytes -= share.bytes;
        if share.yields {
            self.yielding_bytes -= share.bytes;
            self.by_bytes.remove(&(share.bytes, Reverse(id.clone())));
        }
    }

    /// The site that must judge its oldest early, because all together hold too much: the one that holds most.
    pub(super) fn must_yield(&self) -> Option<SiteId> {
        if self.yielding_bytes <= self.bytes_max {
            return None;
        }
        self.by_bytes.last().map(|(_, Reverse(id))| id.clone())
    }

    /// What all hold together.
    pub(super) fn total(&self) -> Held {
        let oldest = self.sites.values().map(|share| share.oldest).min();
        Held { signals: self.signals, bytes: self.bytes, oldest }
    }

    #[cfg(test)]
    pub(super) fn limit(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }
}
