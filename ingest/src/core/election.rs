//! Elects the gateway that writes the ticks. One tick per partition and second is enough: every engine reads each, and
//! it costs the log as much as a batch.
//!
//! Elected is the first by name of those whose leases say that they would write. Each gateway decides for itself from
//! the leases that it has read: two writers for a moment are harmless, and a moment without one costs little open time.
//! A gateway that hears no other one writes.

use std::collections::BTreeMap;

use logystera_schemas::limits::{GATEWAY_SILENT_MS, GATEWAYS_HEARD_MAX};
use logystera_schemas::time::WallMs;

/// What the lease of another gateway says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseSeen {
    /// Its name.
    pub instance: String,
    /// Drawn anew by each of its processes.
    pub incarnation: i64,
    /// Counts how often the process has written it.
    pub renewal: u64,
    /// Its clock when it wrote the lease.
    pub at: WallMs,
    /// Whether it would write ticks.
    pub ticks: bool,
}

/// What a look at the leases has brought.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Those that were written since the look before.
    pub fresh: Vec<LeaseSeen>,
    /// The names of those that have gone, or are another process now.
    pub gone: Vec<String>,
}

#[derive(Debug)]
struct Other {
    incarnation: i64,
    renewal: u64,
    ticks: bool,
    /// When it was heard last, in monotonic milliseconds; none: its lease was there at the first look, of unknown age.
    heard_ms: Option<i64>,
}

/// The other gateways, as their leases tell of them.
#[derive(Debug)]
pub struct Election {
    own: String,
    others: BTreeMap<String, Other>,
    has_looked: bool,
}

impl Election {
    /// Of the gateway with this name.
    pub fn new(own: &str) -> Self {
        Self { own: own.to_owned(), others: BTreeMap::new(), has_looked: false }
    }

    /// This gateway's name.
    pub fn own(&self) -> &str {
        &self.own
    }

    /// Takes in all leases that stand now; the gateway's own does not count.
    pub fn look(&mut self, leases: Vec<LeaseSeen>, now_ms: i64) -> News {
        let mut news = News::default();
        let mut before = std::mem::take(&mut self.others);
        for lease in leases.into_iter().filter(|s| s.instance != self.own).take(GATEWAYS_HEARD_MAX) {
            let LeaseSeen { incarnation, renewal, ticks, .. } = lease;
            let known = before.remove(&lease.instance);
            let is_same = known.as_ref().is_some_and(|k| (k.incarnation, k.renewal) == (incarnation, renewal));
            if known.as_ref().is_some_and(|known| known.incarnation != incarnation) {
                news.gone.push(lease.instance.clone());
            }
            let heard_ms = if is_same || !self.has_looked { known.and_then(|k| k.heard_ms) } else { Some(now_ms) };
            self.others.insert(lease.instance.clone(), Other { incarnation, renewal, ticks, heard_ms });
            if !is_same && self.has_looked {
                news.fresh.push(lease);
            }
        }
        news.gone.extend(before.into_keys());
        self.has_looked = true;
        news
    }

    /// Whether the leases were looked at.
    pub fn has_looked(&self) -> bool {
        self.has_looked
    }

    /// Whether any other gateway has a lease, however old.
    pub fn has_others(&self) -> bool {
        !self.others.is_empty()
    }

    /// Whether this gateway writes the ticks. `stands`: its own lease says that it would.
    pub fn writes(&self, stands: bool, now_ms: i64) -> bool {
        let is_fresh = |other: &Other| other.heard_ms.is_some_and(|heard_ms| now_ms - heard_ms <= GATEWAY_SILENT_MS);
        let first = self.others.iter().find(|(_, other)| other.ticks && is_fresh(other));
        first.is_none_or(|(name, _)| stands && self.own < *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(instance: &str, renewal: u64, ticks: bool) -> LeaseSeen {
        LeaseSeen { instance: instance.to_owned(), incarnation: 1, renewal, at: WallMs(renewal as i64), ticks }
    }

    /// A gateway's name, whether it would write, and when its lease was written last.
    type Gateway<'a> = (&'a str, bool, i64);
    /// Gateways, a time, and who writes then.
    type Row<'a> = (&'a [Gateway<'a>], i64, &'a [&'a str]);

    /// Who writes at `now_ms`.
    fn writers(gateways: &[Gateway<'_>], now_ms: i64) -> Vec<String> {
        let writes = |own: &&Gateway<'_>| {
            let mut election = Election::new(own.0);
            election.look(Vec::new(), 0);
            for (n, (name, ticks, at_ms)) in gateways.iter().enumerate() {
                let stand = gateways[..=n].iter().map(|g| lease(g.0, 1, g.1)).collect();
                let news = election.look(stand, *at_ms);
                assert_eq!(news.fresh.len(), usize::from(*name != own.0), "{ticks}");
            }
            election.writes(own.1, now_ms)
        };
        gateways.iter().filter(writes).map(|gateway| gateway.0.to_owned()).collect()
    }

    #[test]
    fn one_writes_whoever_is_up_and_nobody_only_if_nobody_is() {
        let old = GATEWAY_SILENT_MS + 1;
        let table: [Row<'_>; 9] = [
            (&[("a", true, 0)], 0, &["a"]),
            (&[("a", true, 0), ("b", true, 0), ("c", true, 0)], 0, &["a"]),
            // The first cannot, for its clock differs, or nobody finds room at its door.
            (&[("a", false, 0), ("b", true, 0), ("c", true, 0)], 0, &["b"]),
            (&[("a", false, 0), ("b", false, 0), ("c", true, 0)], 0, &["c"]),
            // If none would, each does what it may by itself.
            (&[("a", false, 0), ("b", false, 0)], 0, &["a", "b"]),
            // Who is not heard any more is followed by the next; if nobody hears anybody all write.
            (&[("a", true, 0), ("b", true, old), ("c", true, old)], GATEWAY_SILENT_MS, &["a"]),
            (&[("b", true, 0), ("a", true, 0)], GATEWAY_SILENT_MS, &["a"]),
            (&[("b", true, 0), ("a", true, 0)], old, &["a", "b"]),
            (&[("b", false, 0), ("a", true, 0)], old, &["a", "b"]),
        ];
        for (gateways, now_ms, expected) in table {
            let mut found = writers(gateways, now_ms);
            found.sort();
            assert_eq!(found, expected, "{gateways:?} at {now_ms}");
        }
    }

    #[test]
    fn what_stood_there_before_the_first_look_is_of_unknown_age() {
        let mut election = Election::new("b");
        assert_eq!(election.look(vec![lease("a", 7, true), lease("b", 1, true)], 0), News::default());
        assert!(election.has_others() && election.writes(true, 0), "it may be long dead");
        assert_eq!(election.look(vec![lease("a", 7, true)], 10), News::default());
        let news = election.look(vec![lease("a", 8, true)], 20);
        assert_eq!((news.fresh.len(), news.gone.len()), (1, 0));
        assert!(!election.writes(true, 20));
        // It is released.
        assert_eq!(election.look(Vec::new(), 30).gone, ["a"]);
        assert!(!election.has_others() && election.writes(true, 30));
        // It comes again, and then as another process.
        assert_eq!(election.look(vec![lease("a", 1, false)], 40).fresh.len(), 1);
        let next = LeaseSeen { incarnation: 2, ..lease("a", 1, true) };
        assert_eq!(election.look(vec![next.clone()], 50), News { fresh: vec![next], gone: vec!["a".to_owned()] });
    }

    #[test]
    fn the_gateways_that_are_heard_are_bounded() {
        let mut election = Election::new("own");
        election.look(Vec::new(), 0);
        let many = (0..2 * GATEWAYS_HEARD_MAX).map(|n| lease(&format!("g{n:04}"), 1, true)).collect();
        assert_eq!(election.look(many, 1).fresh.len(), GATEWAYS_HEARD_MAX);
    }
}
