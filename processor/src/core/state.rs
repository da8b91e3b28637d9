//! The engine's state as entries of a store. Who restores them and applies the log from there on gets the same engine.
//!
//! A key is the key group (2 bytes, big-endian), a tag, and what follows; entries of a site lie together in this order:
//!
//! | tag | key goes on with | value | written | absent means |
//! |---|---|---|---|---|
//! | 0 | nothing (key group 65,535) | [`LogTime`], [`Schedule`] (none: of the first versions) | at every tick | no tick yet |
//! | 1 | site | [`Head`] | at every record of the site | not configured |
//! | 2 | site `/`, spool (8 bytes) | [`Spool`] | at every batch of the spool | never heard, or forgotten |
//! | 3 | site `/`, rule | [`Extra`] | at an overflow or a blindness | never |
//! | 4 | site `/`, rule `/`, group key | [`Group`] | when the group changes | it is idle and empty |
//! | 5 | site `/`, time (sortable), spool, seq, index | [`Held`] | when it comes and goes | nothing waits there |
//!
//! Every value starts with the id of the key that it may be encrypted under (null: not encrypted). All live until the
//! site is closed.

use std::sync::Arc;

use logystera_schemas::avro::{Datum, DecodeError, Reader, Writer};
use logystera_schemas::catalogue::SignalTypes;
use logystera_schemas::ids::{KeyGroup, RuleName, SiteId, SpoolId};
use logystera_schemas::time::SiteMs;

use super::board::Extra;
use super::engine::{Engine, EngineError};
use super::group::{Group, GroupKey};
use super::head::{Head, Held, HeldKey};
use super::log_time::LogTime;
use super::site::Site;
use super::snapshot::Schedule;
use super::spool::Spool;

/// A state entry: its key, and its value or none where it was deleted.
pub type Put = (Vec<u8>, Option<Vec<u8>>);

pub(super) const TIME: u8 = 0;
pub(super) const HEAD: u8 = 1;
pub(super) const SPOOL: u8 = 2;
const EXTRA: u8 = 3;
const GROUP: u8 = 4;
pub(super) const HELD: u8 = 5;
/// Stands for the partition itself, after all key groups.
pub(super) const NO_KEY_GROUP: u16 = u16::MAX;

impl Engine {
    /// About how many bytes [`Self::take_puts`] would give now.
    pub fn dirty_bytes(&self) -> usize {
        self.changed_bytes
    }

    /// The entries that changed since the last call, in the order of their keys.
    pub fn take_puts(&mut self) -> Vec<Put> {
        let mut puts = Puts::default();
        if std::mem::take(&mut self.time_changed) {
            puts.time(&self.time, &self.schedule);
        }
        for (id, mut site) in std::mem::take(&mut self.closed) {
            puts.delete_site(&id, &mut site);
        }
        self.changed_bytes = 0;
        let mut changed = std::mem::take(&mut self.changed);
        // Nearly in the order of the keys: the sort at the end has little left to do.
        changed.sort_unstable();
        for (_, id) in changed {
            if let Some(site) = self.sites.get_mut(&id).filter(|site| site.changes.listed) {
                puts.put_site(&id, site);
            }
        }
        puts.in_order()
    }

    /// Every entry of a key group, in the order of their keys, after that of the clocks.
    pub(super) fn entries_of(&self, key_group: KeyGroup) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
        let mut puts = Puts::default();
        for (id, site) in self.sites.iter().filter(|(_, site)| site.key_group == key_group) {
            puts.whole_site(Place { key_group, site: id }, site, true);
        }
        let mut clocks = Puts::default();
        clocks.time(&self.time, &self.schedule);
        let all = clocks.all.into_iter().chain(puts.in_order());
        all.filter_map(|(key, value)| value.map(|value| (key, value)))
    }

    /// Takes a stored entry. Called for each, in the order of the keys, before the first record, or a whole key group's before
    /// its first one; the configurations that the sites name must be known.
    pub fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        let mut key = Reader::new(key);
        let tag = key.raw(3).map_err(EngineError::State)?[2];
        let mut value = Reader::stored(value);
        let entry = Option::<String>::read(&mut value).and_then(|_| self.restore_entry(tag, key.rest(), &mut value));
        entry.map_err(EngineError::State)?.map_or(Ok(()), Err)
    }

    fn restore_entry(
        &mut self,
        tag: u8,
        key: &[u8],
        value: &mut Reader<'_>,
    ) -> Result<Option<EngineError>, DecodeError> {
        match tag {
            TIME => {
                self.time = LogTime::read(value)?;
                self.schedule = if value.rest().is_empty() { Schedule::default() } else { Schedule::read(value)? };
            }
            HEAD => {
                let head = Head::read(value)?;
                let Some(program) = self.programs.get(&head.digest) else {
                    return Ok(Some(EngineError::UnknownConfiguration(head.digest)));
                };
                let id = head.voice.site.clone();
                self.sites.insert(id, Site::from_head(head, Arc::clone(program)));
            }
            _ => {
                let (id, rest) = split(key)?;
                let id: SiteId = std::str::from_utf8(id).map_err(|_| DecodeError::Utf8)?.parse()?;
                let site = self.sites.get_mut(&id).ok_or(DecodeError::Truncated)?;
                restore_part(site, tag, rest, value)?;
            }
        }
        Ok(None)
    }

    /// Ends the restoring: works out what is not stored.
    pub fn restored(&mut self) {
        for (id, site) in &mut self.sites {
            self.wakes.set(id, site, &self.time);
            self.holding.note(id, site);
        }
    }
}

/// The spool that a stored entry is of; none where it is of something else. For the gateway, which wants to know after a
/// restart what the log has.
pub fn stored_spool(key: &[u8], value: &[u8]) -> Result<Option<(SiteId, SpoolId, Spool)>, DecodeError> {
    let mut key = Reader::new(key);
    if key.raw(3)?[2] != SPOOL {
        return Ok(None);
    }
    let (site, spool) = split(key.rest())?;
    let site = std::str::from_utf8(site).map_err(|_| DecodeError::Utf8)?.parse()?;
    let mut value = Reader::stored(value);
    Option::<String>::read(&mut value)?;
    Ok(Some((site, SpoolId(*Reader::new(spool).fixed()?), Spool::read(&mut value)?)))
}

fn split(key: &[u8]) -> Result<(&[u8], &[u8]), DecodeError> {
    let slash = key.iter().position(|b| *b == b'/').ok_or(DecodeError::Truncated)?;
    Ok((&key[..slash], &key[slash + 1..]))
}

/// The place that stands in a key behind its site.
pub(super) fn held_key(key: &[u8]) -> Result<HeldKey, DecodeError> {
    let mut key = Reader::new(key);
    let at = SiteMs((u64::from_be_bytes(*key.fixed()?) ^ 1 << 63) as i64);
    let spool = SpoolId(*key.fixed()?);
    Ok((at, spool, u64::from_be_bytes(*key.fixed()?), u32::from_be_bytes(*key.fixed()?)))
}

fn restore_part(site: &mut Site, tag: u8, key: &[u8], value: &mut Reader<'_>) -> Result<(), DecodeError> {
    let place_of = |site: &Site, name: &[u8]| {
        let rules = &site.board.program.set.rules;
        rules.binary_search_by(|r| r.name.as_str().as_bytes().cmp(name)).map_err(|_| DecodeError::Range)
    };
    match tag {
        SPOOL => {
            let id = SpoolId(*Reader::new(key).fixed()?);
            site.spools.insert(id, Spool::read(value)?);
        }
        EXTRA => {
            let place = place_of(site, key)?;
            site.board.rules[place].extra = Extra::read(value)?;
        }
        GROUP => {
            let (rule, group) = split(key)?;
            let place = place_of(site, rule)?;
            site.board.insert(place as u16, GroupKey::from_slice(group), Group::read(value)?);
        }
        HELD => {
            let held = Held::read(value)?;
            site.held_bytes += held.cost();
            site.held.insert(held_key(key)?, held);
        }
        _ => return Err(DecodeError::Range),
    }
    Ok(())
}

logystera_schemas::avro_record! {
    /// What is stored of the partition itself.
    struct Clocks {
        time: LogTime,
        schedule: Schedule,
    }
}

impl Site {
    /// About how many bytes its puts take.
    pub(super) fn changed_bytes(&self) -> usize {
        const HEAD_BYTES: usize = 300;
        const SPOOL_BYTES: usize = 800;
        const GROUP_BYTES: usize = 200;
        HEAD_BYTES
            + SPOOL_BYTES * self.changes.spools.len()
            + GROUP_BYTES * (self.board.changed.len() + self.changes.held.len())
    }
}

/// Gathers entries, each written in a buffer that is used again.
#[derive(Default)]
struct Puts {
    all: Vec<Put>,
    key: Vec<u8>,
    value: Writer,
}

impl Puts {
    /// The entries in the order of their keys, each key once.
    fn in_order(mut self) -> Vec<Put> {
        self.all.sort();
        // A site that was closed and came back: the put stands, not the deletion, which sorts before it.
        self.all.reverse();
        self.all.dedup_by(|later, earlier| later.0 == earlier.0);
        self.all.reverse();
        self.all
    }

    fn time(&mut self, time: &LogTime, schedule: &Schedule) {
        self.key.clear();
        self.key.extend_from_slice(&NO_KEY_GROUP.to_be_bytes());
        self.key.push(TIME);
        self.put(Some(&Clocks { time: *time, schedule: *schedule }));
    }

    fn put_site(&mut self, id: &SiteId, site: &mut Site) {
        let changes = std::mem::take(&mut site.changes);
        let at = Place { key_group: site.key_group, site: id };
        if changes.head {
            self.entry(at, HEAD, &[], Some(&site.head));
        }
        for spool in changes.spools {
            self.entry(at, SPOOL, &[&spool.0], site.spools.get(&spool));
        }
        let program = Arc::clone(&site.board.program);
        for rule in std::mem::take(&mut site.board.gone_rules) {
            self.entry(at, EXTRA, &[rule.as_str().as_bytes()], None::<&Extra>);
        }
        for (rule, state) in program.set.rules.iter().zip(&mut site.board.rules) {
            if std::mem::take(&mut state.extra_dirty) {
                self.entry(at, EXTRA, &[rule.name.as_str().as_bytes()], Some(&state.extra));
            }
        }
        for (rule, key) in std::mem::take(&mut site.board.gone) {
            self.group(at, &rule, &key, None);
        }
        let mut groups = std::mem::take(&mut site.board.changed);
        groups.sort_unstable();
        groups.dedup();
        for (place, key) in groups {
            let mut group = site.board.rules[usize::from(place)].groups.get_mut(&key);
            if let Some(group) = &mut group {
                group.dirty = false;
            }
            self.group(at, &program.rule(place).name, &key, group.as_deref());
        }
        for key in changes.held {
            self.held(at, &key, site.held.get(&key));
        }
    }

    /// Deletes everything of a site that may be stored.
    fn delete_site(&mut self, id: &SiteId, site: &mut Site) {
        let at = Place { key_group: site.key_group, site: id };
        self.whole_site(at, site, false);
        site.changes.spools.iter().for_each(|spool| self.entry(at, SPOOL, &[&spool.0], None::<&Spool>));
        site.changes.held.iter().for_each(|key| self.held(at, key, None));
        site.board.gone.iter().for_each(|(rule, key)| self.group(at, rule, key, None));
        for rule in &site.board.gone_rules {
            self.entry(at, EXTRA, &[rule.as_str().as_bytes()], None::<&Extra>);
        }
        let program = &site.board.program;
        site.board.changed.iter().for_each(|(place, key)| self.group(at, &program.rule(*place).name, key, None));
    }

    /// Puts, or deletes, everything that a site has.
    fn whole_site(&mut self, at: Place<'_>, site: &Site, put: bool) {
        self.entry(at, HEAD, &[], put.then_some(&site.head));
        site.spools.iter().for_each(|(id, spool)| self.entry(at, SPOOL, &[&id.0], put.then_some(spool)));
        site.held.iter().for_each(|(key, held)| self.held(at, key, put.then_some(held)));
        for (rule, state) in site.board.program.set.rules.iter().zip(&site.board.rules) {
            if !put || state.extra != Extra::default() {
                self.entry(at, EXTRA, &[rule.name.as_str().as_bytes()], put.then_some(&state.extra));
            }
            state.groups.iter().for_each(|(key, group)| self.group(at, &rule.name, key, put.then_some(group)));
        }
    }

    fn group(&mut self, at: Place<'_>, rule: &RuleName, key: &[u8], group: Option<&Group>) {
        self.entry(at, GROUP, &[rule.as_str().as_bytes(), b"/", key], group);
    }

    fn held(&mut self, place: Place<'_>, (at, spool, seq, index): &HeldKey, held: Option<&Held>) {
        let at = (at.0 as u64 ^ 1 << 63).to_be_bytes();
        self.entry(place, HELD, &[&at, &spool.0, &seq.to_be_bytes(), &index.to_be_bytes()], held);
    }

    /// Key: key group, tag, site, and where there are `parts` a slash and they.
    fn entry(&mut self, at: Place<'_>, tag: u8, parts: &[&[u8]], value: Option<&impl Datum>) {
        self.key.clear();
        self.key.extend_from_slice(&at.key_group.0.to_be_bytes());
        self.key.push(tag);
        self.key.extend_from_slice(at.site.as_str().as_bytes());
        if !parts.is_empty() {
            self.key.push(b'/');
        }
        for part in parts {
            self.key.extend_from_slice(part);
        }
        self.put(value);
    }

    fn put(&mut self, value: Option<&impl Datum>) {
        let value = value.map(|value| {
            self.value.truncate(0);
            None::<String>.write(&mut self.value);
            value.write(&mut self.value);
            self.value.as_bytes().to_vec()
        });
        self.all.push((self.key.clone(), value));
    }
}

/// Whose entries are put.
#[derive(Clone, Copy)]
struct Place<'a> {
    key_group: KeyGroup,
    site: &'a SiteId,
}

impl Datum for Held {
    fn write(&self, to: &mut Writer) {
        match self {
            Self::Signal(bytes) => {
                to.long(0);
                to.bytes(bytes);
            }
            Self::Enabled(types) => {
                to.long(1);
                types.write(to);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match from.index(2)? {
            0 => Self::Signal(from.bytes()?.into()),
            _ => Self::Enabled(SignalTypes::read(from)?),
        })
    }
}
