//! What a site does with its spools: hears them, waits for them, makes room for another, and switches on the types that
//! they declare.

use logystera_schemas::batch::Batch;
use logystera_schemas::catalogue::SignalTypes;
use logystera_schemas::ids::{KeyId, SpoolId};
use logystera_schemas::limits::{SPOOL_ROOM_MS, SPOOLS_MAX};
use logystera_schemas::replay::{ReplayWindow, Seen};
use logystera_schemas::time::{SiteMs, WallMs};

use super::held::HeldItem;
use super::log_time::LogTime;
use super::site::Site;
use super::spool::{Heard, Revocation, Spool};
use super::version::Version;

impl Site {
    /// Whether the batch is to be taken: its key was not stolen before, it is new, and there is room for its spool.
    /// Counts one that is not.
    pub(crate) fn is_new(&mut self, batch: &Batch<'_>, wall: WallMs) -> bool {
        self.changes.record = true;
        if self.record.is_stolen(&batch.head.key) {
            self.record.outcomes.stolen += 1;
            return false;
        }
        let Some(spool) = self.spools.get(&batch.head.spool) else {
            let has_room = self.spools.len() < SPOOLS_MAX || self.make_spool_room(wall);
            self.record.outcomes.spool_overflows += u64::from(!has_room);
            return has_room;
        };
        let outcomes = &mut self.record.outcomes;
        match spool.look(batch.head.seq, &batch.head.digest) {
            Seen::New => return true,
            Seen::Duplicate => outcomes.duplicates += 1,
            Seen::Conflict => outcomes.conflicts += 1,
            Seen::BelowWindow => outcomes.below_window += 1,
        }
        false
    }

    /// Drops a spool so that there is room for another: one that was heard only under keys that were revoked, else one
    /// that has ended or was silent for long; of several the one silent longest. Its signals that are held stay, and
    /// are judged in their order.
    fn make_spool_room(&mut self, wall: WallMs) -> bool {
        if self.record.version() == Version::One {
            return false;
        }
        let first = |goes: &dyn Fn(&Spool) -> bool| {
            let going = self.spools.iter().filter(|(_, spool)| goes(spool));
            going.min_by_key(|(id, spool)| (spool.last_batch, **id)).map(|(id, _)| *id)
        };
        let is_done = |spool: &Spool| spool.ended || wall.since(spool.last_batch) >= SPOOL_ROOM_MS;
        let Some(id) = first(&Spool::is_revoked).or_else(|| first(&is_done)) else { return false };
        self.remove_spool(id);
        self.drop_held(id, |held| matches!(held, HeldItem::Enabled(_)));
        self.record.outcomes.spools_evicted += 1;
        true
    }

    /// A key was revoked. If it was stolen, its batches count as never seen: their numbers are free again, and a spool
    /// that was heard under no other key goes, with all that is held of it. Those that come behind are not taken.
    pub(crate) fn key_revoked(&mut self, key: &KeyId, stolen: bool) {
        if self.record.version() == Version::One {
            return;
        }
        if stolen {
            self.record.remember_stolen(key);
            self.changes.record = true;
        }
        let mut emptied = Vec::new();
        for (id, spool) in &mut self.spools {
            match spool.revoke(key, stolen) {
                Revocation::Unconcerned => continue,
                Revocation::Changed => {}
                Revocation::Emptied => emptied.push(*id),
            }
            self.changes.spools.insert(*id);
        }
        for id in emptied {
            self.remove_spool(id);
            self.drop_held(id, |_| true);
        }
    }

    fn remove_spool(&mut self, id: SpoolId) {
        self.spools.remove(&id);
        self.changes.spools.insert(id);
    }

    /// Hears the batch of a spool. Gives the site time from which the spool declares other types than before (a new
    /// one: from the start of time). None: it declares the same.
    pub(crate) fn hear_batch(&mut self, batch: &Batch<'_>, through: SiteMs, time: &LogTime) -> Option<SiteMs> {
        let head = &batch.head;
        let version = self.record.version();
        let key = (version >= Version::Two).then_some(&head.key);
        let fresh = !self.spools.contains_key(&head.spool);
        self.hear_spool(head.spool, fresh, time);
        let spool = self.spools.entry(head.spool).or_insert_with(|| Spool {
            window: ReplayWindow::default(),
            through,
            flush_every_s: head.flush_every_s,
            enabled: SignalTypes::default(),
            declared_types: head.enabled,
            last_batch: time.wall(),
            silent_since: None,
            ended: false,
            key: key.cloned(),
            revoked: false,
            others: Vec::new(),
        });
        let switched = if fresh {
            Some(SiteMs::MIN)
        } else {
            (spool.declared_types != head.enabled).then(|| spool.through.plus(1))
        };
        spool.declared_types = head.enabled;
        spool.mark(key, head.seq, &head.digest);
        spool.through = spool.through.max(through);
        spool.flush_every_s = head.flush_every_s;
        spool.last_batch = time.wall();
        // Every batch sets it: a spool that goes on has not ended. The first version knows no end.
        spool.ended = head.ends && version >= Version::Two;
        self.changes.spools.insert(head.spool);
        switched
    }

    /// Spool `heard` was heard: its silence ends, and that of the others counts from now on, if it does not yet.
    /// `is_new`: it is heard for the first time.
    pub(crate) fn hear_spool(&mut self, heard: SpoolId, is_new: bool, time: &LogTime) {
        let silent_ms = time.wall().since(self.record.heard_wall);
        let by = Heard::new(self.record.heard_open, time.open, time.gap_end, silent_ms, is_new);
        let version = self.record.version();
        for (id, spool) in &mut self.spools {
            if *id == heard {
                spool.silent_since = None;
                self.changes.spools.insert(*id);
            } else if spool.other_heard(&by, version) {
                self.changes.spools.insert(*id);
            }
        }
    }

    /// The watermark of a site that was just heard, by a batch of spool `own` if one is given: the least `through` of
    /// the spools that are waited for. It never goes back.
    pub(crate) fn next_watermark(&self, own: Option<SpoolId>) -> SiteMs {
        let (now, version) = (self.now(), self.record.version());
        let live = self.spools.values().filter(|spool| spool.is_live(self.record.heard_open, version));
        let throughs = live.map(|spool| spool.through);
        if version == Version::One {
            return throughs.min().unwrap_or(SiteMs::MIN).max(now);
        }
        // A spool behind the watermark is late anyway: to wait for it would make the others late too.
        throughs.filter(|through| *through >= now).min().unwrap_or_else(|| {
            // No live spool has reached the watermark: only the batch of a spool that has ended moves it.
            let ended = own.and_then(|own| self.spools.get(&own)).filter(|spool| spool.ended);
            ended.map_or(now, |spool| spool.through.max(now))
        })
    }

    /// Drops spools whose last batch was so long ago that they can be forgotten.
    pub(crate) fn forget_spools(&mut self, wall: WallMs) {
        let forgotten: Vec<SpoolId> =
            self.spools.iter().filter(|(_, s)| s.is_forgotten(wall)).map(|(id, _)| *id).collect();
        for id in &forgotten {
            self.remove_spool(*id);
        }
        if !forgotten.is_empty() && self.record.version() == Version::One {
            self.declare_spool_types(self.now());
        }
    }

    /// A spool's types are switched from here on.
    pub(crate) fn switch_spool(&mut self, spool: SpoolId, enabled: SignalTypes, now: SiteMs) {
        if let Some(spool) = self.spools.get_mut(&spool) {
            spool.enabled = enabled;
        }
        self.changes.spools.insert(spool);
        self.declare_spool_types(now);
    }

    /// From the second version of the semantics on: has on what the live spools declare. Also called before a record is
    /// judged, since the record may show that a spool is dead: what only that one had on must not count as missing.
    pub(crate) fn declare_live_types(&mut self) {
        if self.record.version() >= Version::Two {
            self.declare_spool_types(self.now());
        }
    }

    /// Has on what the spools declare.
    pub(crate) fn declare_spool_types(&mut self, now: SiteMs) {
        let declared = self.declared_by_spools();
        if declared != self.groups.declared_types {
            self.groups.declare_types(declared, now);
        }
    }

    /// The types that spools have on: from the second version on only the live ones count, if there are any.
    fn declared_by_spools(&self) -> SignalTypes {
        let version = self.record.version();
        if version >= Version::Two {
            let mut live = self.spools.values().filter(|s| s.is_live(self.record.heard_open, version)).peekable();
            if live.peek().is_some() {
                return union(live);
            }
        }
        union(self.spools.values())
    }
}

fn union<'a>(spools: impl Iterator<Item = &'a Spool>) -> SignalTypes {
    SignalTypes(spools.fold(0, |bits, spool| bits | spool.enabled.0))
}
