//! The engine's state as entries of a store. An engine that restores them and applies the log from there on is the same
//! engine.
//!
//! A [`Key`] is the key group (2 bytes, big-endian), a tag, and what follows; entries of a site lie together in this order:
//!
//! | tag | key goes on with | value | written | absent means |
//! |---|---|---|---|---|
//! | 0 | nothing (key group 65,535) | [`Clocks`] (of the first versions: without the schedule) | at every tick | no tick yet |
//! | 1 | site | [`SiteRecord`] | at every record of the site | not configured |
//! | 2 | site `/`, spool (8 bytes) | [`Spool`] | at every batch of the spool | never heard, or forgotten |
//! | 3 | site `/`, rule | [`RuleExtras`] | at an overflow or a blindness | never |
//! | 4 | site `/`, rule `/`, group key | [`Group`] | when the group changes | it is idle and empty |
//! | 5 | site `/`, time (sortable), spool, seq, index | [`HeldItem`] | when it comes and goes | nothing waits there |
//! | 6 | site `/`, metric `/`, revision | [`Stored`] | when the metric counts, and when its minute is closed | it counted nothing in the open minute |
//!
//! Every value starts with the id of the key that it may be encrypted under (null: not encrypted). An entry is deleted
//! when what it holds is gone, at the latest when its site is closed; the clocks stay.

use std::sync::Arc;

use logystera_schemas::avro::{Datum, DecodeError, Reader, Writer};
use logystera_schemas::avro_record;
use logystera_schemas::ids::{KeyGroup, KeyId, RuleName, SiteId, SpoolId};
use logystera_schemas::time::WallMs;
use logystera_series::{MetricId, Stored};

use super::engine::{Engine, EngineError};
use super::group::Group;
use super::group_key::GroupKey;
use super::held::{HeldItem, HeldKey};
use super::key::{Key, SiteEntry};
use super::log_time::LogTime;
use super::record::SiteRecord;
use super::rule_groups::RuleExtras;
use super::schedule::SnapshotSchedule;
use super::site::Site;
use super::spool::{KeyWindow, Spool};

/// A state entry: its key, and its value. None: it is deleted.
pub type Put = (Vec<u8>, Option<Vec<u8>>);

avro_record! {
    /// What is stored of the partition itself.
    struct Clocks {
        time: LogTime,
        schedule: SnapshotSchedule,
    }
}

impl Engine {
    /// About how many bytes [`Self::take_puts`] would give now.
    pub fn dirty_bytes(&self) -> usize {
        self.changed_bytes
    }

    /// The entries that changed since the last call, in the order of their keys.
    pub fn take_puts(&mut self) -> Vec<Put> {
        let mut puts = Puts::default();
        if std::mem::take(&mut self.time_changed) {
            puts.put(Key::Clocks, Some(&self.clocks()));
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
    pub(crate) fn entries_of(&self, key_group: KeyGroup) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
        let mut puts = Puts::default();
        for (id, site) in self.sites.iter().filter(|(_, site)| site.key_group == key_group) {
            puts.whole_site(Owner { key_group, site: id }, site, true);
        }
        let mut clocks = Puts::default();
        clocks.put(Key::Clocks, Some(&self.clocks()));
        let all = clocks.all.into_iter().chain(puts.in_order());
        all.filter_map(|(key, value)| value.map(|value| (key, value)))
    }

    fn clocks(&self) -> Clocks {
        Clocks { time: self.time, schedule: self.schedule }
    }

    /// Takes a stored entry. To be called for each entry, in the order of the keys, before the first record; for those
    /// of a key group that moves here, before its first record. The configurations that the sites name must be known.
    pub fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        let key = Key::read(key).map_err(EngineError::State)?;
        let mut value = Reader::stored(value);
        let entry = Option::<String>::read(&mut value).and_then(|_| self.restore_entry(key, &mut value));
        entry.map_err(EngineError::State)?.map_or(Ok(()), Err)
    }

    fn restore_entry(&mut self, key: Key<'_>, value: &mut Reader<'_>) -> Result<Option<EngineError>, DecodeError> {
        match key {
            Key::Clocks => {
                self.time = LogTime::read(value)?;
                self.schedule = if value.rest().is_empty() { SnapshotSchedule::default() } else { Datum::read(value)? };
            }
            Key::Site(_, _, SiteEntry::Record) => {
                let record = SiteRecord::read(value)?;
                let Some(program) = self.programs.get(&record.digest) else {
                    return Ok(Some(EngineError::UnknownConfiguration(record.digest)));
                };
                let id = record.chain.site.clone();
                self.sites.insert(id, Site::from_record(record, Arc::clone(program)));
            }
            Key::Site(_, id, entry) => {
                let id: SiteId = id.parse()?;
                let site = self.sites.get_mut(&id).ok_or(DecodeError::Truncated)?;
                site.restore(entry, value)?;
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

/// What a stored entry tells a gateway that starts: which batches the engine counted, and which keys it knows as stolen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// Keys of the site that were stolen.
    StolenKeys(SiteId, Vec<KeyId>),
    /// A spool of the site: what was heard under each of its keys, the one that was heard last at the end (None: it is
    /// not known under which), and when (0: before the log had a time).
    Spool(SiteId, SpoolId, Vec<KeyWindow>, WallMs),
}

impl Known {
    /// None: the entry tells a gateway nothing.
    ///
    /// # Errors
    ///
    /// If the entry can't be read.
    pub fn of(key: &[u8], value: &[u8]) -> Result<Option<Self>, DecodeError> {
        let key = Key::read(key)?;
        let mut value = Reader::stored(value);
        Option::<String>::read(&mut value)?;
        Ok(match key {
            Key::Site(_, site, SiteEntry::Record) => {
                let stolen = SiteRecord::read(&mut value)?.stolen_keys;
                (!stolen.is_empty()).then_some(Self::StolenKeys(site.parse()?, stolen))
            }
            Key::Site(_, site, SiteEntry::Spool(id)) => {
                let spool = Spool::read(&mut value)?;
                let newest = KeyWindow { key: spool.key, revoked: spool.revoked, window: spool.window };
                let windows = spool.others.into_iter().rev().chain([newest]).collect();
                Some(Self::Spool(site.parse()?, id, windows, spool.last_batch))
            }
            Key::Clocks | Key::Site(..) => None,
        })
    }
}

impl Site {
    /// Takes a stored entry of the site, after its record.
    fn restore(&mut self, entry: SiteEntry<'_>, value: &mut Reader<'_>) -> Result<(), DecodeError> {
        let rule = |site: &Self, name: &str| site.groups.program.find(name).ok_or(DecodeError::Range);
        match entry {
            SiteEntry::Record => {}
            SiteEntry::Spool(id) => drop(self.spools.insert(id, Spool::read(value)?)),
            SiteEntry::Extras(name) => {
                let index = rule(self, name)?;
                self.groups.rules[index.at()].extras = RuleExtras::read(value)?;
            }
            SiteEntry::Group(name, key) => {
                let index = rule(self, name)?;
                self.groups.insert(index, GroupKey::from_slice(key), Group::read(value)?);
            }
            SiteEntry::Held(key) => {
                let item = HeldItem::read(value)?;
                self.held_bytes += item.bytes();
                self.held.insert(key, item);
            }
            SiteEntry::Series(name, revision) => {
                let stored = Stored::read(value)?;
                self.series.restore(&self.groups.program.set, (name, revision), stored)?;
            }
        }
        Ok(())
    }

    /// About how many bytes its puts take.
    pub(crate) fn changed_bytes(&self) -> usize {
        const RECORD_BYTES: usize = 300;
        const SPOOL_BYTES: usize = 800;
        const GROUP_BYTES: usize = 200;
        const METRIC_BYTES: usize = 200;
        RECORD_BYTES
            + SPOOL_BYTES * self.changes.spools.len()
            + GROUP_BYTES * (self.groups.changed.len() + self.changes.held.len())
            + METRIC_BYTES * self.series.changed_len()
    }
}

/// Whose entries are put.
#[derive(Clone, Copy)]
struct Owner<'a> {
    key_group: KeyGroup,
    site: &'a SiteId,
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

    fn put_site(&mut self, id: &SiteId, site: &mut Site) {
        let changes = std::mem::take(&mut site.changes);
        let of = Owner { key_group: site.key_group, site: id };
        if changes.record {
            self.entry(of, SiteEntry::Record, Some(&site.record));
        }
        for spool in changes.spools {
            self.entry(of, SiteEntry::Spool(spool), site.spools.get(&spool));
        }
        let program = Arc::clone(&site.groups.program);
        for rule in std::mem::take(&mut site.groups.gone_rules) {
            self.extras(of, &rule, None);
        }
        for (rule, state) in program.set.rules.iter().zip(&mut site.groups.rules) {
            if std::mem::take(&mut state.extras_dirty) {
                self.extras(of, &rule.name, Some(&state.extras));
            }
        }
        for (rule, key) in std::mem::take(&mut site.groups.gone) {
            self.group(of, &rule, &key, None);
        }
        let mut groups = std::mem::take(&mut site.groups.changed);
        groups.sort_unstable();
        groups.dedup();
        for (index, key) in groups {
            let mut group = site.groups.rules[index.at()].groups.get_mut(&key);
            if let Some(group) = &mut group {
                group.dirty = false;
            }
            self.group(of, &program.rule(index).name, &key, group.as_deref());
        }
        for key in changes.held {
            self.held(of, &key, site.held.get(&key));
        }
        site.series.take_changed(&program.set, |id, stored| self.series(of, id, stored));
    }

    /// Deletes everything of a site that may be stored.
    fn delete_site(&mut self, id: &SiteId, site: &mut Site) {
        let of = Owner { key_group: site.key_group, site: id };
        self.whole_site(of, site, false);
        site.changes.spools.iter().for_each(|spool| self.entry(of, SiteEntry::Spool(*spool), None::<&Spool>));
        site.changes.held.iter().for_each(|key| self.held(of, key, None));
        site.groups.gone.iter().for_each(|(rule, key)| self.group(of, rule, key, None));
        site.groups.gone_rules.iter().for_each(|rule| self.extras(of, rule, None));
        let program = &site.groups.program;
        site.groups.changed.iter().for_each(|(index, key)| self.group(of, &program.rule(*index).name, key, None));
        site.series.take_changed(&program.set, |id, _| self.series(of, id, None));
    }

    /// Puts, or deletes, everything that a site has.
    fn whole_site(&mut self, of: Owner<'_>, site: &Site, put: bool) {
        self.entry(of, SiteEntry::Record, put.then_some(&site.record));
        site.spools.iter().for_each(|(id, spool)| self.entry(of, SiteEntry::Spool(*id), put.then_some(spool)));
        site.held.iter().for_each(|(key, held)| self.held(of, key, put.then_some(held)));
        for (rule, state) in site.groups.program.set.rules.iter().zip(&site.groups.rules) {
            if !put || state.extras != RuleExtras::default() {
                self.extras(of, &rule.name, put.then_some(&state.extras));
            }
            state.groups.iter().for_each(|(key, group)| self.group(of, &rule.name, key, put.then_some(group)));
        }
        site.series.entries(&site.groups.program.set, |id, stored| self.series(of, id, put.then_some(stored)));
    }

    fn extras(&mut self, of: Owner<'_>, rule: &RuleName, extras: Option<&RuleExtras>) {
        self.entry(of, SiteEntry::Extras(rule.as_str()), extras);
    }

    fn group(&mut self, of: Owner<'_>, rule: &RuleName, key: &[u8], group: Option<&Group>) {
        self.entry(of, SiteEntry::Group(rule.as_str(), key), group);
    }

    fn held(&mut self, of: Owner<'_>, key: &HeldKey, held: Option<&HeldItem>) {
        self.entry(of, SiteEntry::Held(*key), held);
    }

    fn series(&mut self, of: Owner<'_>, (name, revision): &MetricId, stored: Option<&Stored>) {
        self.entry(of, SiteEntry::Series(name, revision), stored);
    }

    fn entry(&mut self, of: Owner<'_>, entry: SiteEntry<'_>, value: Option<&impl Datum>) {
        self.put(Key::Site(of.key_group, of.site.as_str(), entry), value);
    }

    fn put(&mut self, key: Key<'_>, value: Option<&impl Datum>) {
        key.write(&mut self.key);
        let value = value.map(|value| {
            self.value.truncate(0);
            None::<String>.write(&mut self.value);
            value.write(&mut self.value);
            self.value.as_bytes().to_vec()
        });
        self.all.push((self.key.clone(), value));
    }
}
