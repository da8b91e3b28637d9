//! The engine's state as entries of a store. Who restores them and applies the log from there on gets the same engine.
//!
//! A key is the key group (2 bytes, big-endian), a tag, and what follows; entries of a site lie together in this order:
//!
//! | tag | key goes on with | value | written | absent means |
//! |---|---|---|---|---|
//! | 0 | nothing (key group 65,535) | [`LogTime`] | at every tick | no tick yet |
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
use logystera_schemas::ids::{KeyGroup, SiteId, SpoolId};
use logystera_schemas::time::SiteMs;

use super::board::Extra;
use super::engine::{Engine, EngineError};
use super::group::{Group, GroupKey};
use super::head::{Head, Held, HeldKey};
use super::log_time::LogTime;
use super::site::Site;
use super::spool::Spool;

/// A state entry: its key, and its value or none where it was deleted.
pub type Put = (Vec<u8>, Option<Vec<u8>>);

const TIME: u8 = 0;
const HEAD: u8 = 1;
const SPOOL: u8 = 2;
const EXTRA: u8 = 3;
const GROUP: u8 = 4;
const HELD: u8 = 5;
/// Stands for the partition itself, after all key groups.
const NO_KEY_GROUP: u16 = u16::MAX;

impl Engine {
    /// About how many bytes [`Self::take_puts`] would give now.
    pub fn dirty_bytes(&self) -> usize {
        const HEAD_BYTES: usize = 300;
        const SPOOL_BYTES: usize = 800;
        const GROUP_BYTES: usize = 200;
        let sites = self.changed.iter().filter_map(|id| self.sites.get(id));
        sites
            .map(|s| {
                HEAD_BYTES
                    + SPOOL_BYTES * s.changes.spools.len()
                    + GROUP_BYTES * (s.board.changed.len() + s.changes.held.len())
            })
            .sum()
    }

    /// The entries that changed since the last call, in the order of their keys.
    pub fn take_puts(&mut self) -> Vec<Put> {
        let mut puts = Vec::new();
        if std::mem::take(&mut self.time_changed) {
            puts.push((time_key(), Some(value(&self.time))));
        }
        for (id, mut site) in std::mem::take(&mut self.closed) {
            delete_site(&id, &mut site, &mut puts);
        }
        for id in std::mem::take(&mut self.changed) {
            if let Some(site) = self.sites.get_mut(&id) {
                put_site(&id, site, &mut puts);
            }
        }
        puts.sort();
        // A site that was closed and came back: the put stands, not the deletion, which sorts before it.
        puts.reverse();
        puts.dedup_by(|later, earlier| later.0 == earlier.0);
        puts.reverse();
        puts
    }

    /// Takes a stored entry. Called for each, in the order of the keys, before the first record; the configurations that
    /// the sites name must be known.
    pub fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        let mut key = Reader::new(key);
        let tag = key.raw(3).map_err(EngineError::State)?[2];
        let mut value = Reader::new(value);
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
            TIME => self.time = LogTime::read(value)?,
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
        let ids: Vec<SiteId> = self.sites.keys().cloned().collect();
        for id in &ids {
            self.wake(id);
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
    let mut value = Reader::new(value);
    Option::<String>::read(&mut value)?;
    Ok(Some((site, SpoolId(*Reader::new(spool).fixed()?), Spool::read(&mut value)?)))
}

fn split(key: &[u8]) -> Result<(&[u8], &[u8]), DecodeError> {
    let slash = key.iter().position(|b| *b == b'/').ok_or(DecodeError::Truncated)?;
    Ok((&key[..slash], &key[slash + 1..]))
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
            let mut key = Reader::new(key);
            let at = SiteMs((u64::from_be_bytes(*key.fixed()?) ^ 1 << 63) as i64);
            let spool = SpoolId(*key.fixed()?);
            let key = (at, spool, u64::from_be_bytes(*key.fixed()?), u32::from_be_bytes(*key.fixed()?));
            let held = Held::read(value)?;
            site.held_bytes += held.cost();
            site.held.insert(key, held);
        }
        _ => return Err(DecodeError::Range),
    }
    Ok(())
}

fn put_site(id: &SiteId, site: &mut Site, puts: &mut Vec<Put>) {
    let changes = std::mem::take(&mut site.changes);
    if changes.head {
        puts.push((site_key(HEAD, id), Some(value(&site.head))));
    }
    for spool in changes.spools {
        puts.push((spool_key(id, spool), site.spools.get(&spool).map(value)));
    }
    for key in changes.held {
        puts.push((held_key(id, &key), site.held.get(&key).map(value)));
    }
    for (rule, key) in std::mem::take(&mut site.board.gone) {
        puts.push((group_key(id, rule.as_str(), &key), None));
    }
    for rule in std::mem::take(&mut site.board.gone_rules) {
        puts.push((rule_key(EXTRA, id, rule.as_str()), None));
    }
    let program = Arc::clone(&site.board.program);
    for (rule, state) in program.set.rules.iter().zip(&mut site.board.rules) {
        if std::mem::take(&mut state.extra_dirty) {
            puts.push((rule_key(EXTRA, id, rule.name.as_str()), Some(value(&state.extra))));
        }
    }
    for (place, key) in std::mem::take(&mut site.board.changed) {
        let group = site.board.rules[usize::from(place)].groups.get_mut(&key);
        let put = group.map(|group| {
            group.dirty = false;
            value(group)
        });
        puts.push((group_key(id, program.rule(place).name.as_str(), &key), put));
    }
}

/// Deletes everything of a site that may be stored.
fn delete_site(id: &SiteId, site: &mut Site, puts: &mut Vec<Put>) {
    puts.push((site_key(HEAD, id), None));
    site.changes.spools.extend(site.spools.keys());
    site.changes.held.extend(site.held.keys());
    puts.extend(site.changes.spools.iter().map(|spool| (spool_key(id, *spool), None)));
    puts.extend(site.changes.held.iter().map(|key| (held_key(id, key), None)));
    puts.extend(site.board.gone.iter().map(|(rule, key)| (group_key(id, rule.as_str(), key), None)));
    puts.extend(site.board.gone_rules.iter().map(|rule| (rule_key(EXTRA, id, rule.as_str()), None)));
    let program = Arc::clone(&site.board.program);
    for (rule, state) in program.set.rules.iter().zip(&site.board.rules) {
        puts.push((rule_key(EXTRA, id, rule.name.as_str()), None));
        puts.extend(state.groups.keys().map(|key| (group_key(id, rule.name.as_str(), key), None)));
    }
    for (place, key) in &site.board.changed {
        puts.push((group_key(id, program.rule(*place).name.as_str(), key), None));
    }
}

fn value(of: &impl Datum) -> Vec<u8> {
    let mut to = Writer::new();
    None::<String>.write(&mut to);
    of.write(&mut to);
    to.into_bytes()
}

fn time_key() -> Vec<u8> {
    let mut key = NO_KEY_GROUP.to_be_bytes().to_vec();
    key.push(TIME);
    key
}

fn site_key(tag: u8, id: &SiteId) -> Vec<u8> {
    let mut key = KeyGroup::of(id.as_str()).0.to_be_bytes().to_vec();
    key.push(tag);
    key.extend_from_slice(id.as_str().as_bytes());
    key
}

fn part_key(tag: u8, id: &SiteId) -> Vec<u8> {
    let mut key = site_key(tag, id);
    key.push(b'/');
    key
}

fn spool_key(id: &SiteId, spool: SpoolId) -> Vec<u8> {
    let mut key = part_key(SPOOL, id);
    key.extend_from_slice(&spool.0);
    key
}

fn rule_key(tag: u8, id: &SiteId, rule: &str) -> Vec<u8> {
    let mut key = part_key(tag, id);
    key.extend_from_slice(rule.as_bytes());
    key
}

fn group_key(id: &SiteId, rule: &str, group: &[u8]) -> Vec<u8> {
    let mut key = rule_key(GROUP, id, rule);
    key.push(b'/');
    key.extend_from_slice(group);
    key
}

fn held_key(id: &SiteId, (at, spool, seq, index): &HeldKey) -> Vec<u8> {
    let mut key = part_key(HELD, id);
    key.extend_from_slice(&(at.0 as u64 ^ 1 << 63).to_be_bytes());
    key.extend_from_slice(&spool.0);
    key.extend_from_slice(&seq.to_be_bytes());
    key.extend_from_slice(&index.to_be_bytes());
    key
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
