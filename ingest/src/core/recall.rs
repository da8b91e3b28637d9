//! What a gateway that starts takes from the log. The log's order decides, as it does in the engine: a batch that the engine
//! drops, because its number was used up before, its key stolen or its site closed, is not remembered as there.

use std::collections::{BTreeMap, BTreeSet};

use logystera_schemas::batch::BatchHead;
use logystera_schemas::ids::{BatchId, KeyId, SiteId};
use logystera_schemas::time::WallMs;
use logystera_schemas::topic::SignalsRecord;

use super::replay::{Replay, Try};

/// What a record of topic `signals` tells a gateway that starts.
#[derive(Clone, Debug)]
pub enum Recalled {
    /// The log has this batch.
    Batch(Box<BatchHead>),
    /// The log's time.
    Tick(WallMs),
    /// This key of the site was revoked as stolen.
    KeyStolen(SiteId, KeyId),
    /// The site was closed.
    SiteClosed(SiteId),
    /// The site was configured: if it was closed, it is there again.
    SiteConfigured(SiteId),
}

impl Recalled {
    /// None: the record tells a gateway nothing. `applied`: the engine's state has it, with what came behind it; what it
    /// changed of a site must not be changed again.
    pub fn of(record: SignalsRecord<'_>, applied: bool) -> Option<Self> {
        Some(match record {
            SignalsRecord::Batch(batch) => Self::Batch(Box::new(batch.head)),
            SignalsRecord::Tick(tick) => Self::Tick(tick.at),
            _ if applied => return None,
            SignalsRecord::KeyRevoked(revoked) if revoked.stolen => Self::KeyStolen(revoked.site, revoked.key),
            SignalsRecord::SiteClosed(closed) => Self::SiteClosed(closed.site),
            SignalsRecord::SiteConfigured(configured) => Self::SiteConfigured(configured.site),
            SignalsRecord::KeyRevoked(_) | SignalsRecord::Refused(_) | SignalsRecord::Seal(_) => return None,
        })
    }

    /// The log's time, if it tells that.
    pub fn tick(&self) -> Option<WallMs> {
        if let Self::Tick(at) = self { Some(*at) } else { None }
    }
}

/// A partition of `signals` on its way into a gateway's memory.
#[derive(Debug, Default)]
pub struct Recall {
    stolen: BTreeMap<SiteId, BTreeSet<KeyId>>,
    closed: BTreeSet<SiteId>,
}

impl Recall {
    /// Notes a key that was stolen before what is taken next.
    pub fn key_stolen(&mut self, site: &SiteId, key: KeyId) {
        self.stolen.entry(site.clone()).or_default().insert(key);
    }

    /// Takes the next record. A tick changes nothing here.
    pub fn take(&mut self, replay: &mut Replay, recalled: Recalled) {
        match recalled {
            Recalled::Batch(head) => {
                let BatchHead { site, key, spool, seq, digest, received_at, .. } = &*head;
                if self.closed.contains(site) || self.stolen.get(site).is_some_and(|stolen| stolen.contains(key)) {
                    return;
                }
                let batch = BatchId { spool: *spool, seq: *seq };
                replay.insert(&Try { site, key, batch, digest, now_ms: *received_at });
            }
            Recalled::Tick(_) => {}
            Recalled::KeyStolen(site, key) => {
                replay.forget_key(&site, &key);
                self.key_stolen(&site, key);
            }
            Recalled::SiteClosed(site) => {
                replay.forget_site(&site);
                self.closed.insert(site);
            }
            Recalled::SiteConfigured(site) => drop(self.closed.remove(&site)),
        }
    }
}

#[cfg(test)]
mod tests {
    use logystera_schemas::batch::Platform;
    use logystera_schemas::catalogue::SignalTypes;
    use logystera_schemas::ids::{Sha256Digest, SpoolId};

    use super::super::replay::{KeyStatus, Seen};
    use super::*;

    fn site() -> SiteId {
        "s".parse().unwrap()
    }

    fn key(name: &str) -> KeyId {
        name.parse().unwrap()
    }

    fn batch(key_name: &str, seq: u64, body: u8) -> Recalled {
        Recalled::Batch(Box::new(BatchHead {
            tenant: "t".parse().unwrap(),
            site: site(),
            key: key(key_name),
            encryption_key: None,
            spool: SpoolId([1; 8]),
            seq,
            digest: Sha256Digest([body; 32]),
            received_at: 1_000,
            through: 0,
            clock_offset_ms: 0,
            flush_every_s: 10,
            platform: Platform::Other,
            integration_version: String::new(),
            enabled: SignalTypes::default(),
            refused: 0,
            base_at: 0,
            ends: false,
        }))
    }

    /// What is known of number 5 with body 1 of the honest key, once these records were taken.
    fn check(records: Vec<Recalled>, expected: Seen) {
        let told = format!("{records:?}");
        let (mut recall, mut replay) = (Recall::default(), Replay::new());
        for record in records {
            recall.take(&mut replay, record);
        }
        let asked = Try {
            site: &site(),
            key: &key("honest"),
            batch: BatchId { spool: SpoolId([1; 8]), seq: 5 },
            digest: &Sha256Digest([1; 32]),
            now_ms: 2_000,
        };
        let keyring = |key: &KeyId| if key.as_str() == "thief" { KeyStatus::Stolen } else { KeyStatus::Good };
        assert_eq!(replay.look(&asked, &keyring), expected, "{told}");
    }

    #[test]
    fn only_what_the_engine_counts_is_remembered() {
        let (honest, other, thief) = (|| batch("honest", 5, 1), || batch("honest", 5, 2), || batch("thief", 5, 2));
        let stolen = || Recalled::KeyStolen(site(), key("thief"));
        let (closed, again) = (|| Recalled::SiteClosed(site()), || Recalled::SiteConfigured(site()));
        let there = Seen::Duplicate { same: true };
        check(vec![honest()], there);
        check(vec![other(), honest()], Seen::Conflict);
        // A thief used the number up, and the honest batch that came before anybody knew was dropped.
        check(vec![thief(), honest(), stolen()], Seen::New);
        // It was free again once the thief was known.
        check(vec![thief(), stolen(), honest()], there);
        check(vec![thief(), honest(), stolen(), honest()], there);
        check(vec![thief(), stolen(), other(), honest()], Seen::Conflict);
        // What a thief says behind that is not taken.
        check(vec![stolen(), thief(), honest()], there);
        check(vec![Recalled::KeyStolen("elsewhere".parse().unwrap(), key("thief")), thief(), honest()], Seen::New);
        // A site that was closed forgets, and takes nothing until it is there again.
        check(vec![honest(), closed(), again()], Seen::New);
        check(vec![closed(), honest(), again()], Seen::New);
        check(vec![closed(), again(), honest()], there);
    }
}
