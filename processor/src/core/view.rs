//! What the engine has of one site, told from its state entries: no rules are needed, and nothing is changed.

use std::collections::BTreeMap;

use logystera_schemas::avro::{Datum, DecodeError, Reader};
use logystera_schemas::ids::{KeyGroup, SiteId, SpoolId};
use logystera_schemas::time::{OpenMs, SiteMs, WallMs};

use super::head::{Head, Held, HeldKey, Version};
use super::log_time::LogTime;
use super::spool::Spool;
use super::state;

/// A site as the engine has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteView {
    /// The newest tick that the engine had applied.
    pub as_of: WallMs,
    /// Its numbering, configuration, watermark, what is on, and what happened to its batches.
    pub head: Head,
    /// Its spools, in the order of their ids.
    pub spools: Vec<SpoolView>,
    /// What it holds; none if nothing waits.
    pub held: Option<HeldView>,
}

/// A spool as the engine has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolView {
    /// Which one.
    pub id: SpoolId,
    /// How it stands.
    pub standing: Standing,
    /// Wall time of its last batch.
    pub last_batch: WallMs,
    /// Up to where it has said everything.
    pub through: SiteMs,
    /// How often it promises to speak, in seconds.
    pub flush_every_s: u32,
    /// Signals of it that wait.
    pub held: usize,
}

/// How a spool stands with its site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It speaks, or may be expected to.
    Live,
    /// It was silent for so long while others spoke that nothing waits for it.
    Silent,
    /// It has said that nothing more comes.
    Ended,
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
    /// The spools that have not yet spoken past the oldest. None: it is judged when the site is heard next.
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

/// How long a spool is waited for, unless it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Until another spool of the site is heard after this. It moves on while gateways are away, and by a sender's pause where the
    /// whole site is silent first.
    Heard(WallMs),
    /// No other spool was heard since: its silence counts from the next one's batch on, and is long after so many milliseconds.
    Uncounted(i64),
}

/// Gathers the state entries of a site.
#[derive(Debug)]
pub struct Gathering {
    site: SiteId,
    time: LogTime,
    head: Option<Head>,
    spools: BTreeMap<SpoolId, Spool>,
    held: BTreeMap<HeldKey, Held>,
}

impl Gathering {
    /// Nothing yet.
    pub fn new(site: SiteId) -> Self {
        Self { site, time: LogTime::default(), head: None, spools: BTreeMap::new(), held: BTreeMap::new() }
    }

    /// What the keys of the entries begin with that are needed. Other entries may begin so too; they are passed over.
    pub fn prefixes(&self) -> [Vec<u8>; 4] {
        let of_site = |tag: u8, end: &[u8]| {
            [&KeyGroup::of(self.site.as_str()).0.to_be_bytes()[..], &[tag], self.site.as_str().as_bytes(), end].concat()
        };
        let clocks = [&state::NO_KEY_GROUP.to_be_bytes()[..], &[state::TIME]].concat();
        [clocks, of_site(state::HEAD, b""), of_site(state::SPOOL, b"/"), of_site(state::HELD, b"/")]
    }

    /// Takes an entry.
    pub fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), DecodeError> {
        let mut key = Reader::new(key);
        let tag = key.raw(3)?[2];
        let mut value = Reader::stored(value);
        Option::<String>::read(&mut value)?;
        let place = key.rest();
        let of_site = || place.strip_prefix(self.site.as_str().as_bytes())?.strip_prefix(b"/");
        match tag {
            state::TIME => self.time = LogTime::read(&mut value)?,
            state::HEAD if place == self.site.as_str().as_bytes() => self.head = Some(Head::read(&mut value)?),
            state::SPOOL if let Some(spool) = of_site() => {
                self.spools.insert(SpoolId(*Reader::new(spool).fixed()?), Spool::read(&mut value)?);
            }
            state::HELD if let Some(held) = of_site() => {
                self.held.insert(state::held_key(held)?, Held::read(&mut value)?);
            }
            _ => {}
        }
        Ok(())
    }

    /// What they tell. None: the engine has no configuration of the site yet, or it is closed.
    pub fn view(self) -> Option<SiteView> {
        let Self { site: _, time, head, spools, held: waiting } = self;
        let head = head?;
        let signals: BTreeMap<HeldKey, usize> =
            waiting.iter().filter(|(_, h)| matches!(h, Held::Signal(_))).map(|(key, h)| (*key, h.cost())).collect();
        let holds = signals.first_key_value().zip(signals.last_key_value()).map(|((first, _), (last, _))| HeldView {
            signals: signals.len(),
            bytes: signals.values().sum(),
            oldest: first.0,
            newest: last.0,
            waits_for: waits_for(first.0, &head, &spools, &time),
        });
        let count = |id: SpoolId| signals.keys().filter(|key| key.1 == id).count();
        let spools = spools.iter().map(|(id, spool)| SpoolView {
            id: *id,
            standing: standing(spool, &head),
            last_batch: spool.last_batch,
            through: spool.through,
            flush_every_s: spool.flush_every_s,
            held: count(*id),
        });
        Some(SiteView { as_of: time.wall(), spools: spools.collect(), head, held: holds })
    }
}

fn standing(spool: &Spool, head: &Head) -> Standing {
    match spool.is_live(head.heard_open, head.version()) {
        true => Standing::Live,
        false if spool.ended => Standing::Ended,
        false => Standing::Silent,
    }
}

/// The spools that have to speak before `oldest` is judged: what [`Site::next_watermark`](super::site::Site) waits for.
fn waits_for(oldest: SiteMs, head: &Head, spools: &BTreeMap<SpoolId, Spool>, time: &LogTime) -> Vec<Wait> {
    let version = head.version();
    let reaches = head.watermark.filter(|_| version >= Version::Two).unwrap_or(SiteMs::MIN);
    let live = spools.iter().filter(|(_, spool)| spool.is_live(head.heard_open, version));
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
