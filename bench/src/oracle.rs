//! What W1's rules must find, from the generator alone: no engine, no log. The peers' definition and its digests, and ours
//! where signals come late.

use std::collections::BTreeMap;

use logystera_schemas::ids::Sha256Digest;

use crate::w1::{Generator, PeerBatch, PeerKind, SITES, SOURCES, site_name, source_id};

/// Length of a pane of the rules of W1, milliseconds.
pub const PANE_MS: i64 = 5_000;
const PANES: i64 = 60;
const SILENCE_MS: i64 = 600_000;

/// When a signal is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The peers': in the order of arrival. A group's clock is the newest pane of its own.
    Arrival,
    /// Ours: a batch's signals in the order of time. What is older than what the site had told before is counted in its own
    /// pane and judged at the site's newest time.
    Time,
}

/// `site|source|rule` of a group.
pub type Key = String;

/// A firing: end of its window, and the matches in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Firing {
    /// End of the newest pane, milliseconds.
    pub window_end: i64,
    /// Matches in the window.
    pub count: u64,
}

/// Firings by group, in their order.
pub type Firings = BTreeMap<Key, Vec<Firing>>;

#[derive(Clone, Debug)]
struct Ring {
    newest: i64,
    fired: Option<i64>,
    panes: [u32; PANES as usize],
}

impl Ring {
    const fn new() -> Self {
        Self { newest: i64::MIN, fired: None, panes: [0; PANES as usize] }
    }

    fn add(&mut self, at: i64, now: i64, threshold: u64) -> Option<Firing> {
        let (pane, clock) = (at.div_euclid(PANE_MS), now.div_euclid(PANE_MS).max(self.newest));
        if self.newest == i64::MIN {
            self.newest = clock;
        }
        for passed in (self.newest + 1..=clock).take(PANES as usize) {
            self.panes[slot(passed)] = 0;
        }
        if clock - self.newest >= PANES {
            self.panes = [0; PANES as usize];
        }
        self.newest = clock;
        if pane <= clock - PANES {
            return None;
        }
        self.panes[slot(pane)] += 1;
        let count = self.panes.iter().map(|c| u64::from(*c)).sum();
        let window_end = (clock + 1) * PANE_MS;
        if count < threshold || self.fired.is_some_and(|fired| window_end < fired + SILENCE_MS) {
            return None;
        }
        self.fired = Some(window_end);
        Some(Firing { window_end, count })
    }
}

fn slot(pane: i64) -> usize {
    pane.rem_euclid(PANES) as usize
}

/// Finds firings in batches that are given in order.
#[derive(Debug)]
pub struct Oracle {
    order: Order,
    rings: Vec<Ring>,
    watermarks: Vec<i64>,
    /// Signals that were older than what their site had told before.
    pub late: usize,
    /// What was found.
    pub firings: Firings,
}

impl Oracle {
    /// One that has seen nothing.
    pub fn new(order: Order) -> Self {
        let rings = vec![Ring::new(); SITES * (SOURCES + 1)];
        Self { order, rings, watermarks: vec![i64::MIN; SITES], late: 0, firings: Firings::new() }
    }

    /// Runs over the workload.
    pub fn over(order: Order, batches: usize, disorder_ms: u32) -> Self {
        let (mut oracle, mut generator) = (Self::new(order), Generator::new(42, disorder_ms));
        for _ in 0..batches {
            oracle.take(&generator.batch());
        }
        oracle
    }

    fn take(&mut self, batch: &PeerBatch) {
        let watermark = self.watermarks[batch.site];
        let mut order: Vec<usize> = (0..batch.signals.len()).collect();
        if self.order == Order::Time {
            order.sort_by_key(|place| batch.signals[*place].occurred_at);
            self.watermarks[batch.site] = batch.sent_at.max(watermark);
        }
        for place in order {
            let signal = &batch.signals[place];
            let at = signal.occurred_at;
            self.late += usize::from(at <= watermark);
            let (ring, threshold, rule) = match (signal.kind, signal.source) {
                (PeerKind::Auth, Some(source)) => (source, 20, "auth"),
                (PeerKind::Mail, _) => (SOURCES, 5, "mail"),
                _ => continue,
            };
            if !signal.failed {
                continue;
            }
            let place = batch.site * (SOURCES + 1) + ring;
            if let Some(firing) = self.rings[place].add(at, at.max(watermark), threshold) {
                let source =
                    if ring == SOURCES { String::new() } else { format!("{:016x}", source_id(batch.site, ring)) };
                self.firings.entry(format!("{}|{source}|{rule}", site_name(batch.site))).or_default().push(firing);
            }
        }
    }
}

/// The peers' `digest_first`: each group's first window.
pub fn digest_first(firings: &Firings) -> String {
    digest(firings.iter().filter_map(|(key, all)| Some(format!("{key}|{}\n", all.first()?.window_end))).collect())
}

/// The peers' `digest_all`: each firing with its count.
pub fn digest_all(firings: &Firings) -> String {
    let lines = |(key, all): (&Key, &Vec<Firing>)| -> Vec<String> {
        all.iter().map(|firing| format!("{key}|{}|{}\n", firing.window_end, firing.count)).collect()
    };
    digest(firings.iter().flat_map(lines).collect())
}

fn digest(mut lines: Vec<String>) -> String {
    lines.sort();
    Sha256Digest::of(lines.concat().as_bytes()).to_string()[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The peers' README has these for 2,000 batches.
    #[test]
    fn the_peers_oracle_says_the_same() {
        let digests = |disorder_ms| {
            let firings = Oracle::over(Order::Arrival, 2_000, disorder_ms).firings;
            (digest_first(&firings), digest_all(&firings))
        };
        assert_eq!(digests(2_000), ("4fbd93d4442d399b".to_owned(), "8a8d940c800f5e5c".to_owned()));
        assert_eq!(digests(0), ("c56521ad3d377108".to_owned(), "dc1328e1cf197cef".to_owned()));
    }

    #[test]
    fn without_disorder_both_orders_are_one() {
        let [arrival, time] = [Order::Arrival, Order::Time].map(|order| Oracle::over(order, 2_000, 0));
        assert_eq!((arrival.firings, time.late), (time.firings, 0));
    }
}
