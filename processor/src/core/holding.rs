//! What all sites of a partition hold until their watermarks pass it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use logystera_schemas::ids::SiteId;
use logystera_schemas::limits::HELD_BYTES_TOTAL_MAX;
use logystera_schemas::time::SiteMs;

use super::held::HeldShare;
use super::site::Site;
use super::version::Version;

/// What all sites of a partition hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeldTotal {
    /// Signals, and switches of signal types.
    pub signals: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Site time of the oldest.
    pub oldest: Option<SiteMs>,
}

/// The sites that hold something, kept up to date as they change.
#[derive(Debug)]
pub(crate) struct Holding {
    sites: BTreeMap<SiteId, HeldShare>,
    /// The sites that may have to judge early, by what they hold. Of two that hold as much the smaller id comes last,
    /// so that it judges first.
    by_bytes: BTreeSet<(usize, Reverse<SiteId>)>,
    signals: usize,
    bytes: usize,
    /// Bytes of the sites in `by_bytes`.
    yielding_bytes: usize,
    /// [`HELD_BYTES_TOTAL_MAX`]; less in tests.
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
    /// What the site holds now. None: nothing.
    fn holds(&self) -> Option<HeldShare> {
        let (signals, bytes, yields) = (self.held.len(), self.held_bytes, self.record.version() >= Version::Two);
        self.held.first_key_value().map(|((oldest, ..), _)| HeldShare { signals, bytes, oldest: *oldest, yields })
    }
}

impl Holding {
    /// Takes note of what a site holds now.
    pub(crate) fn note(&mut self, id: &SiteId, site: &mut Site) {
        let holds = site.holds();
        if site.held_share != holds {
            self.remove(id, site.held_share);
            self.add(id, holds);
            site.held_share = holds;
        }
    }

    /// Forgets a site that is closed.
    pub(crate) fn forget(&mut self, id: &SiteId, site: &Site) {
        self.remove(id, site.held_share);
    }

    fn add(&mut self, id: &SiteId, share: Option<HeldShare>) {
        let Some(share) = share else { return };
        self.sites.insert(id.clone(), share);
        self.signals += share.signals;
        self.bytes += share.bytes;
        if share.yields {
            self.yielding_bytes += share.bytes;
            self.by_bytes.insert((share.bytes, Reverse(id.clone())));
        }
    }

    fn remove(&mut self, id: &SiteId, share: Option<HeldShare>) {
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
    pub(crate) fn must_yield(&self) -> Option<SiteId> {
        if self.yielding_bytes <= self.bytes_max {
            return None;
        }
        self.by_bytes.last().map(|(_, Reverse(id))| id.clone())
    }

    /// What all hold together.
    pub(crate) fn total(&self) -> HeldTotal {
        let oldest = self.sites.values().map(|share| share.oldest).min();
        HeldTotal { signals: self.signals, bytes: self.bytes, oldest }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use logystera_schemas::avro::Writer;
    use logystera_schemas::batch::{BatchHead, Platform, Value, encode, write_signal};
    use logystera_schemas::catalogue::{SignalType, SignalTypes};
    use logystera_schemas::ids::{Sha256Digest, SpoolId};
    use logystera_schemas::schema;
    use logystera_schemas::signals_topic::{SiteClosed, SiteConfigured};
    use logystera_schemas::topic::SignalsRecord;

    use super::*;
    use crate::core::engine::Engine;
    use logystera_ruleset::{RuleSet, StateLimits};

    fn apply(engine: &mut Engine, value: &[u8]) {
        engine.apply(0, &SignalsRecord::decode(value).unwrap(), &mut Vec::new()).unwrap();
    }

    fn engine(sites: &[(&str, u32)]) -> Engine {
        let set = Arc::new(RuleSet {
            digest: Sha256Digest::of(b""),
            body: String::new(),
            rules: Vec::new(),
            metrics: Vec::new(),
            limits: StateLimits::default(),
            disabled: SignalTypes::default(),
        });
        let mut engine = Engine::default();
        for (site, semantics) in sites {
            let (site, tenant, name) = (site.parse().unwrap(), "acme".parse().unwrap(), String::new());
            engine.learn(Arc::clone(&set));
            let configured = SiteConfigured { site, tenant, name, digest: set.digest, semantics: *semantics };
            apply(&mut engine, &schema::encode(&configured));
        }
        engine
    }

    /// A batch whose signals lie at these times.
    fn batch(engine: &mut Engine, site: &str, spool: u8, through: i64, at: &[i64]) {
        let mut signals = Writer::new();
        let kind = SignalType::from_name("mail.outcome").unwrap();
        for at in at {
            write_signal(&mut signals, kind, *at, 0, &[Value::Enum(0), Value::Absent, Value::Absent, Value::Absent]);
        }
        let signals = signals.into_bytes();
        let head = BatchHead {
            tenant: "acme".parse().unwrap(),
            site: site.parse().unwrap(),
            key: "k1".parse().unwrap(),
            encryption_key: None,
            spool: SpoolId([spool; 8]),
            seq: through as u64,
            digest: Sha256Digest::of(&signals),
            received_at: through,
            through,
            clock_offset_ms: 0,
            flush_every_s: 60,
            platform: Platform::Other,
            integration_version: String::new(),
            enabled: SignalTypes::ALL,
            refused: 0,
            base_at: 0,
            ends: false,
        };
        apply(engine, &encode(&head, &signals));
    }

    /// A site whose second spool is waited for.
    fn hold(engine: &mut Engine, site: &str, at: &[i64]) {
        batch(engine, site, 2, 1, &[]);
        batch(engine, site, 1, 1, &[]);
        batch(engine, site, 1, 100, at);
    }

    /// For each site what it holds and what it has judged early.
    fn held(engine: &Engine) -> Vec<(usize, u64)> {
        engine.sites.values().map(|site| (site.held.len(), site.record.outcomes.released_early)).collect()
    }

    #[test]
    fn it_is_kept_up_and_found_again() {
        let mut engine = engine(&[("a", 2), ("b", 1)]);
        hold(&mut engine, "a", &[20, 30]);
        hold(&mut engine, "b", &[10]);
        let total = engine.held();
        assert_eq!((total.signals, total.oldest), (3, Some(SiteMs(10))));
        let bytes: usize = engine.sites.values().map(|site| site.held_bytes).sum();
        assert_eq!(total.bytes, bytes);
        let mut again = self::engine(&[]);
        again.programs = engine.programs.clone();
        for (key, value) in engine.take_puts() {
            again.restore(&key, &value.unwrap()).unwrap();
        }
        again.restored();
        assert_eq!(again.held(), total);
        batch(&mut engine, "a", 2, 25, &[]);
        assert_eq!(engine.held().signals, 2);
        let (site, tenant) = ("b".parse().unwrap(), "acme".parse().unwrap());
        apply(&mut engine, &schema::encode(&SiteClosed { site, tenant }));
        assert_eq!((engine.held().signals, engine.held().oldest), (1, Some(SiteMs(30))));
    }

    #[test]
    fn who_holds_most_judges_early() {
        let mut engine = engine(&[("a", 2), ("b", 2), ("c", 2), ("d", 1)]);
        hold(&mut engine, "d", &[10, 20, 30, 40, 50]);
        hold(&mut engine, "a", &[10, 20]);
        let one = engine.sites.values().next().map(|site| site.held_bytes / 2).unwrap();
        engine.holding.bytes_max = 6 * one;
        hold(&mut engine, "b", &[10, 20, 30]);
        assert_eq!(held(&engine), [(2, 0), (3, 0), (0, 0), (5, 0)], "the first version yields to nobody");
        hold(&mut engine, "c", &[10, 20]);
        assert_eq!(held(&engine), [(2, 0), (2, 1), (2, 0), (5, 0)]);
        // Of those that hold as much the first; what lies at one time goes together.
        batch(&mut engine, "c", 1, 101, &[30, 30]);
        assert_eq!(held(&engine), [(2, 0), (2, 1), (2, 2), (5, 0)]);
        // Who judged early is past the spool that it waited for.
        batch(&mut engine, "b", 1, 101, &[40]);
        assert_eq!(held(&engine), [(2, 0), (0, 1), (2, 2), (5, 0)]);
        engine.holding.bytes_max = 3 * one;
        batch(&mut engine, "d", 1, 101, &[]);
        assert_eq!(held(&engine), [(1, 1), (0, 1), (2, 2), (5, 0)]);
    }
}
