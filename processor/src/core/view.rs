//! What the engine has of one site, read from its state entries: it needs no rules and changes nothing.

use std::collections::BTreeMap;

use logystera_schemas::avro::{Datum, DecodeError, Reader};
use logystera_schemas::ids::{SiteId, SpoolId};
use logystera_schemas::time::{OpenMs, SiteMs, WallMs};

use super::held::{HeldItem, HeldKey};
use super::key::{self, Key, SiteEntry};
use super::log_time::LogTime;
use super::record::SiteRecord;
use super::spool::Spool;
use super::version::Version;

/// A site as the engine has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteView {
    /// The newest tick that the engine had applied.
    pub as_of: WallMs,
    /// Its detections' chain, its configuration and watermark, what is on, and what happened to its batches.
    pub record: SiteRecord,
    /// Its spools, in the order of their ids.
    pub spools: Vec<SpoolView>,
    /// The signals that it holds. None: none waits.
    pub held: Option<HeldView>,
}

/// A spool as the engine has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolView {
    /// Which one.
    pub id: SpoolId,
    /// How it stands.
    pub standing: SpoolStatus,
    /// Wall time of its last batch.
    pub last_batch: WallMs,
    /// Site time up to which it has sent everything.
    pub through: SiteMs,
    /// Its flush interval, in seconds: how often it promises a batch.
    pub flush_every_s: u32,
    /// Signals of it that wait.
    pub held: usize,
}

/// How a spool stands with its site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpoolStatus {
    /// It sends, or may be expected to.
    Live,
    /// It was silent for so long, while others were heard, that it is not waited for.
    Silent,
    /// It declared that nothing more comes.
    Ended,
}

impl SpoolStatus {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Silent => "silent",
            Self::Ended => "ended",
        }
    }
}

/// The signals that a site holds, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldView {
    /// How many.
    pub signals: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Site time of the oldest.
    pub oldest: SiteMs,
    /// Site time of the newest.
    pub newest: SiteMs,
    /// The spools that are waited for: they have not yet sent everything up to the oldest. Empty: it is judged when the
    /// site is heard next.
    pub waits_for: Vec<Wait>,
}

/// A spool that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Which one.
    pub spool: SpoolId,
    /// For how long.
    pub until: Until,
}

/// How long a spool is waited for, unless it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Until another spool of the site is heard after this time. It moves on while gateways are away, and by a sender's
    /// pause if the whole site falls silent first.
    Heard(WallMs),
    /// No other spool was heard since. Its silence counts from the next batch of another one on, for so many
    /// milliseconds.
    Uncounted(i64),
}

/// Gathers the state entries of a site.
#[derive(Debug)]
pub struct Gathering {
    site: SiteId,
    time: LogTime,
    record: Option<SiteRecord>,
    spools: BTreeMap<SpoolId, Spool>,
    held: BTreeMap<HeldKey, HeldItem>,
}

impl Gathering {
    /// Nothing yet.
    pub fn new(site: SiteId) -> Self {
        Self { site, time: LogTime::default(), record: None, spools: BTreeMap::new(), held: BTreeMap::new() }
    }

    /// The beginnings of the keys of the entries that are needed. Other keys may begin so too; [`Self::take`] passes
    /// them over.
    pub fn prefixes(&self) -> [Vec<u8>; 4] {
        key::prefixes(&self.site)
    }

    /// Takes an entry.
    pub fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), DecodeError> {
        let mut value = Reader::stored(value);
        Option::<String>::read(&mut value)?;
        match Key::read(key)? {
            Key::Clocks => self.time = LogTime::read(&mut value)?,
            Key::Site(_, site, entry) if site == self.site.as_str() => match entry {
                SiteEntry::Record => self.record = Some(SiteRecord::read(&mut value)?),
                SiteEntry::Spool(id) => drop(self.spools.insert(id, Spool::read(&mut value)?)),
                SiteEntry::Held(key) => drop(self.held.insert(key, HeldItem::read(&mut value)?)),
                SiteEntry::Extras(_) | SiteEntry::Group(..) | SiteEntry::Series(..) => {}
            },
            Key::Site(..) => {}
        }
        Ok(())
    }

    /// What they tell. None: the engine has no configuration of the site yet, or it is closed.
    pub fn view(self) -> Option<SiteView> {
        let Self { site: _, time, record, spools, held: waiting } = self;
        let record = record?;
        let signals: BTreeMap<HeldKey, usize> = waiting
            .iter()
            .filter(|(_, h)| matches!(h, HeldItem::Signal(_)))
            .map(|(key, h)| (*key, h.bytes()))
            .collect();
        let holds = signals.first_key_value().zip(signals.last_key_value()).map(|((first, _), (last, _))| HeldView {
            signals: signals.len(),
            bytes: signals.values().sum(),
            oldest: first.0,
            newest: last.0,
            waits_for: waits_for(first.0, &record, &spools, &time),
        });
        let count = |id: SpoolId| signals.keys().filter(|key| key.1 == id).count();
        let spools = spools.iter().map(|(id, spool)| SpoolView {
            id: *id,
            standing: standing(spool, &record),
            last_batch: spool.last_batch,
            through: spool.through,
            flush_every_s: spool.flush_every_s,
            held: count(*id),
        });
        Some(SiteView { as_of: time.wall(), spools: spools.collect(), record, held: holds })
    }
}

fn standing(spool: &Spool, record: &SiteRecord) -> SpoolStatus {
    match spool.is_live(record.heard_open, record.version()) {
        true => SpoolStatus::Live,
        false if spool.ended => SpoolStatus::Ended,
        false => SpoolStatus::Silent,
    }
}

/// The spools that must send before `oldest` is judged: what [`Site::next_watermark`](super::site::Site) waits for.
fn waits_for(oldest: SiteMs, record: &SiteRecord, spools: &BTreeMap<SpoolId, Spool>, time: &LogTime) -> Vec<Wait> {
    let version = record.version();
    let reaches = record.watermark.filter(|_| version >= Version::Two).unwrap_or(SiteMs::MIN);
    let live = spools.iter().filter(|(_, spool)| spool.is_live(record.heard_open, version));
    live.filter(|(_, spool)| (reaches..oldest).contains(&spool.through))
        .map(|(id, spool)| Wait { spool: *id, until: until(spool, version, time) })
        .collect()
}

fn until(spool: &Spool, version: Version, time: &LogTime) -> Until {
    match spool.waited_until(version) {
        None => Until::Uncounted(spool.patience_ms(version)),
        Some(open) => Until::Heard(time.wall().plus(OpenMs::since(open, time.open))),
    }
}
