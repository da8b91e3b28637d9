//! A site at work: its spools, what is held until the watermark passes it, and its board of rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use logystera_schemas::avro::DecodeError;
use logystera_schemas::batch::{Batch, Frame};
use logystera_schemas::catalogue::SignalTypes;
use logystera_schemas::detection::{Detection, DetectionReason};
use logystera_schemas::ids::{KeyGroup, SpoolId};
use logystera_schemas::limits::{AHEAD_MS_MAX, HELD_BYTES_MAX, HELD_SIGNALS_MAX, SPOOLS_MAX};
use logystera_schemas::replay::{ReplayWindow, Seen};
use logystera_schemas::signals_topic::{Refused, SiteConfigured};
use logystera_schemas::time::{OpenMs, SiteMs, WallMs};

use super::blind::blind_from;
use super::board::Board;
use super::head::{Changes, Head, Held, HeldKey, Outcomes};
use super::log_time::LogTime;
use super::program::{Program, Watches};
use super::spool::{Heard, Spool};
use super::voice::Voice;

/// One site.
#[derive(Debug)]
pub struct Site {
    /// Which state is kept together with its own.
    pub key_group: KeyGroup,
    /// What is stored of it at every change.
    pub head: Head,
    /// Its spools.
    pub spools: BTreeMap<SpoolId, Spool>,
    /// What waits for the watermark.
    pub held: BTreeMap<HeldKey, Held>,
    /// Bytes of what waits.
    pub held_bytes: usize,
    /// Its rules at work.
    pub board: Board,
    /// What changed since it was put.
    pub changes: Changes,
    /// Open time of its entry among those that must be looked at.
    pub wake_at: Option<OpenMs>,
}

impl Site {
    /// A site from its first configuration.
    pub fn new(configured: &SiteConfigured, program: Arc<Program>, time: &LogTime) -> Self {
        let voice = Voice::new(configured.tenant.clone(), configured.site.clone(), configured.name.clone());
        let head = Head {
            voice,
            digest: configured.digest,
            watermark: None,
            heard_open: time.open,
            heard_wall: time.wall(),
            enabled: SignalTypes::default(),
            absences_unset: true,
            absences_wait: false,
            outcomes: Outcomes::default(),
        };
        Self::from_head(head, program)
    }

    /// A site from its stored head; the rest is added as it is restored.
    pub fn from_head(head: Head, program: Arc<Program>) -> Self {
        let mut board = Board::new(program);
        board.restore_switches(head.enabled);
        board.absences_unset = head.absences_unset;
        board.absences_wait = head.absences_wait;
        board.evicted = head.outcomes.evicted;
        let changes = Changes { head: true, ..Changes::default() };
        let key_group = KeyGroup::of(head.voice.site.as_str());
        Self {
            key_group,
            head,
            spools: BTreeMap::new(),
            held: BTreeMap::new(),
            held_bytes: 0,
            board,
            changes,
            wake_at: None,
        }
    }

    fn now(&self) -> SiteMs {
        self.head.watermark.unwrap_or(SiteMs::MIN)
    }

    /// Whether this configuration is the one it has.
    pub fn is_configured(&self, to: &SiteConfigured) -> bool {
        let voice = &self.head.voice;
        self.head.digest == to.digest && voice.tenant == to.tenant && voice.name == to.name
    }

    /// Goes on under another configuration.
    pub fn configure(&mut self, to: &SiteConfigured, program: &Arc<Program>, out: &mut Vec<Detection>) {
        let now = self.head.watermark.unwrap_or_default();
        self.board.reprogram(program, now, &mut self.head.voice, out);
        self.head.voice.tenant = to.tenant.clone();
        self.head.voice.name.clone_from(&to.name);
        self.head.digest = to.digest;
        self.changes.head = true;
        self.store_flags();
        // What ended with the old configuration may have left a deadline at the very time that was reached.
        self.run_deadlines_before(now.plus(1), out);
    }

    /// The site is closed: its alerts resolve.
    pub fn close(&mut self, out: &mut Vec<Detection>) {
        let now = self.head.watermark.unwrap_or_default();
        self.board.close(DetectionReason::SiteClosed, now, &mut self.head.voice, out);
    }

    /// Takes a batch from the log.
    pub fn take(&mut self, batch: &Batch<'_>, time: &LogTime, out: &mut Vec<Detection>) -> Result<(), DecodeError> {
        let head = &batch.head;
        self.forget_spools(time.wall());
        if !self.is_new(batch) {
            return Ok(());
        }
        let (through, mut signals) = self.in_site_time(batch)?;
        self.head.outcomes.batches += 1;
        self.head.outcomes.signals += signals.len() as u64;
        let switched = self.hear_batch(batch, through, time);
        self.hear_site(time, out);
        if let Some(from) = switched {
            self.hold_or_switch(from, head.spool, head.seq, head.enabled);
        }
        let now = self.now();
        let watermark = self.lowest_through().max(now);
        if !signals.is_sorted_by_key(|(at, _)| *at) {
            signals.sort_by_key(|(at, _)| *at);
        }
        let late = signals.partition_point(|(at, _)| *at <= now);
        self.head.outcomes.late += late as u64;
        for (at, signal) in &signals[..late] {
            if self.board.watches(signal.kind) {
                self.board.judge(signal, *at, now, &mut self.head.voice, out)?;
            }
        }
        let fresh = &signals[late..];
        if self.held.is_empty() && fresh.last().is_none_or(|(at, _)| *at <= watermark) {
            // Nothing waits and nothing will: the usual case of one spool goes straight from the log's bytes.
            for (at, signal) in fresh {
                if self.board.watches(signal.kind) {
                    self.run_deadlines_before(*at, out);
                    self.board.judge(signal, *at, *at, &mut self.head.voice, out)?;
                }
            }
        } else {
            for (index, (at, signal)) in fresh.iter().enumerate() {
                let key = (*at, head.spool, head.seq, index as u32 + 1);
                self.hold(key, Held::Signal(signal.bytes.into()));
            }
        }
        self.release(watermark, out)?;
        self.release_overflow(out)
    }

    /// Takes note of what the gateway turned away: a sign of life only where the MAC held.
    pub fn refused(&mut self, refused: &Refused, time: &LogTime, out: &mut Vec<Detection>) -> Result<(), DecodeError> {
        self.head.outcomes.refused += refused.count;
        self.changes.head = true;
        if !refused.authenticated {
            return Ok(());
        }
        self.forget_spools(time.wall());
        if let Some(spool) = refused.spool.filter(|s| self.spools.contains_key(s)) {
            self.hear_spool(spool, time);
        }
        self.hear_site(time, out);
        match self.head.watermark {
            Some(now) => self.release(self.lowest_through().max(now), out),
            None => Ok(()),
        }
    }

    /// Open time has moved on: the site may have been silent for too long.
    pub fn time_passed(&mut self, time: &LogTime, out: &mut Vec<Detection>) {
        for place in 0..self.board.rules.len() {
            let Watches::Blind(after_ms) = self.board.program.plans[place].watches else { continue };
            let from = self.blind_from(after_ms, time);
            let state = &mut self.board.rules[place];
            if !state.extra.blind.firing && time.open >= from {
                let rule = &self.board.program.set.rules[place];
                let blind = &mut state.extra.blind;
                out.push(blind.fire(&mut self.head.voice, rule, self.head.heard_wall, time.wall()));
                state.extra_dirty = true;
                self.changes.head = true;
            }
        }
    }

    /// Open time at which the site must be looked at again, should nothing be heard until then.
    pub fn next_open(&self, time: &LogTime) -> Option<OpenMs> {
        let plans = self.board.program.plans.iter().zip(&self.board.rules);
        let blind_at = plans.filter_map(|(plan, state)| match plan.watches {
            Watches::Blind(after_ms) if !state.extra.blind.firing => Some(self.blind_from(after_ms, time)),
            _ => None,
        });
        blind_at.min()
    }

    fn blind_from(&self, after_ms: i64, time: &LogTime) -> OpenMs {
        let flush_every_s = self.spools.values().map(|s| s.flush_every_s).max().unwrap_or(0);
        blind_from(self.head.heard_open, after_ms, flush_every_s, time.gap_end)
    }

    /// Whether the batch was not taken before; counts it where it was.
    fn is_new(&mut self, batch: &Batch<'_>) -> bool {
        let outcomes = &mut self.head.outcomes;
        self.changes.head = true;
        let Some(spool) = self.spools.get(&batch.head.spool) else {
            if self.spools.len() >= SPOOLS_MAX {
                outcomes.spool_overflows += 1;
                return false;
            }
            return true;
        };
        match spool.window.look(batch.head.seq, &batch.head.digest) {
            Seen::New => return true,
            Seen::Duplicate => outcomes.duplicates += 1,
            Seen::Conflict => outcomes.conflicts += 1,
            Seen::BelowWindow => outcomes.below_window += 1,
        }
        false
    }

    /// The batch's watermark and signals in site time. One that lies ahead of the gateway's clock is shifted back whole.
    fn in_site_time<'a>(&mut self, batch: &Batch<'a>) -> Result<(SiteMs, Vec<(SiteMs, Frame<'a>)>), DecodeError> {
        let head = &batch.head;
        let mut signals = Vec::with_capacity(128);
        let mut latest = head.through;
        for signal in batch.frames() {
            let signal = signal?;
            latest = latest.max(signal.at);
            signals.push((SiteMs(signal.at), signal));
        }
        let ahead = latest.saturating_add(head.clock_offset_ms).saturating_sub(head.received_at + AHEAD_MS_MAX).max(0);
        self.head.outcomes.shifted += u64::from(ahead > 0);
        let shift = head.clock_offset_ms.saturating_sub(ahead);
        for (at, _) in &mut signals {
            *at = at.plus(shift);
        }
        Ok((SiteMs(head.through).plus(shift), signals))
    }

    /// Hears a spool's batch. Gives the site time from which its set of switched-on types differs, where it does.
    fn hear_batch(&mut self, batch: &Batch<'_>, through: SiteMs, time: &LogTime) -> Option<SiteMs> {
        let head = &batch.head;
        let fresh = !self.spools.contains_key(&head.spool);
        let spool = self.spools.entry(head.spool).or_insert_with(|| Spool {
            window: ReplayWindow::default(),
            through,
            flush_every_s: head.flush_every_s,
            enabled: SignalTypes::default(),
            said: head.enabled,
            last_batch: time.wall(),
            outlived: None,
        });
        let switched =
            if fresh { Some(SiteMs::MIN) } else { (spool.said != head.enabled).then(|| spool.through.plus(1)) };
        spool.said = head.enabled;
        spool.window.mark(head.seq, &head.digest);
        spool.through = spool.through.max(through);
        spool.flush_every_s = head.flush_every_s;
        spool.last_batch = time.wall();
        self.hear_spool(head.spool, time);
        switched
    }

    fn hear_spool(&mut self, heard: SpoolId, time: &LogTime) {
        let by = Heard::new(self.head.heard_open, time.open, time.gap_end);
        for (id, spool) in &mut self.spools {
            if *id == heard {
                spool.outlived = None;
                self.changes.spools.insert(*id);
            } else if spool.other_heard(&by) {
                self.changes.spools.insert(*id);
            }
        }
    }

    /// A sign of life: ends blindness.
    fn hear_site(&mut self, time: &LogTime, out: &mut Vec<Detection>) {
        self.head.heard_open = time.open;
        self.head.heard_wall = time.wall();
        self.changes.head = true;
        let mut was_blind = false;
        for (rule, state) in self.board.program.set.rules.iter().zip(&mut self.board.rules) {
            if state.extra.blind.firing {
                was_blind = true;
                state.extra_dirty = true;
                out.extend(state.extra.blind.end(&mut self.head.voice, rule, time.wall()));
            }
        }
        self.board.absences_wait |= was_blind;
        self.head.absences_wait = self.board.absences_wait;
    }

    /// The lowest `through` of the live spools.
    fn lowest_through(&self) -> SiteMs {
        let live = self.spools.values().filter(|s| s.is_live(self.head.heard_open));
        live.map(|s| s.through).min().unwrap_or(SiteMs::MIN)
    }

    fn forget_spools(&mut self, wall: WallMs) {
        let forgotten: Vec<SpoolId> =
            self.spools.iter().filter(|(_, s)| s.is_forgotten(wall)).map(|(id, _)| *id).collect();
        for id in &forgotten {
            self.spools.remove(id);
            self.changes.spools.insert(*id);
        }
        if !forgotten.is_empty() {
            self.switch(self.now());
        }
    }

    fn hold_or_switch(&mut self, from: SiteMs, spool: SpoolId, seq: u64, enabled: SignalTypes) {
        if from > self.now() {
            self.hold((from, spool, seq, 0), Held::Enabled(enabled));
        } else {
            self.switch_spool(spool, enabled, self.now());
        }
    }

    fn switch_spool(&mut self, spool: SpoolId, enabled: SignalTypes, now: SiteMs) {
        if let Some(spool) = self.spools.get_mut(&spool) {
            spool.enabled = enabled;
        }
        self.changes.spools.insert(spool);
        self.switch(now);
    }

    fn switch(&mut self, now: SiteMs) {
        let union = self.spools.values().fold(0, |bits, s| bits | s.enabled.0);
        self.board.switch(SignalTypes(union), now);
    }

    fn hold(&mut self, key: HeldKey, held: Held) {
        self.held_bytes += held.cost();
        self.changes.held.insert(key);
        self.held.insert(key, held);
    }

    fn run_deadlines_before(&mut self, at: SiteMs, out: &mut Vec<Detection>) {
        while self.board.next_deadline().is_some_and(|deadline| deadline < at) {
            self.board.run_deadline(&mut self.head.voice, out);
        }
    }

    /// Judges everything up to `watermark`: what is held and the deadlines in the order of time, what is held first.
    fn release(&mut self, watermark: SiteMs, out: &mut Vec<Detection>) -> Result<(), DecodeError> {
        while let Some(entry) = self.held.first_entry()
            && entry.key().0 <= watermark
        {
            let (key, held) = entry.remove_entry();
            self.held_bytes -= held.cost();
            self.changes.held.insert(key);
            self.run_deadlines_before(key.0, out);
            match held {
                Held::Signal(bytes) => {
                    // The time that counts is the key's; the one in the bytes was the sender's.
                    let signal = Frame::of(&bytes, 0)?;
                    if self.board.watches(signal.kind) {
                        self.board.judge(&signal, key.0, key.0, &mut self.head.voice, out)?;
                    }
                }
                Held::Enabled(enabled) => self.switch_spool(key.1, enabled, key.0),
            }
        }
        self.run_deadlines_before(watermark.plus(1), out);
        let moved = self.head.watermark.is_none_or(|before| before < watermark);
        self.head.watermark = Some(watermark);
        self.board.reached(watermark, moved);
        self.store_flags();
        self.head.outcomes.evicted = self.board.evicted;
        self.changes.head = true;
        Ok(())
    }

    fn store_flags(&mut self) {
        self.head.absences_unset = self.board.absences_unset;
        self.head.absences_wait = self.board.absences_wait;
        self.head.enabled = self.board.said;
    }

    /// Too much is held: the oldest is judged before its time, counted.
    fn release_overflow(&mut self, out: &mut Vec<Detection>) -> Result<(), DecodeError> {
        while self.held.len() > HELD_SIGNALS_MAX || self.held_bytes > HELD_BYTES_MAX {
            let Some((oldest, ..)) = self.held.first_key_value().map(|(key, _)| *key) else { break };
            let before = self.held.len();
            self.release(oldest, out)?;
            self.head.outcomes.released_early += (before - self.held.len()) as u64;
        }
        Ok(())
    }
}
