//! A site's spools together: who was heard, who is waited for, who makes room, and what is switched on (design, section 5).

use std::sync::Arc;

use logystera_schemas::catalogue::{SignalType, SignalTypes};
use logystera_schemas::detection::DetectionReason;
use logystera_schemas::ids::SpoolId;

use super::group::Group;
use super::log_time::LogTime;
use super::site::Site;
use super::spool::{Spool, pause_after};
use super::switches;
use super::waiting::Waiting;

/// Spools that a site may have.
const SPOOLS: usize = 64;

impl Site {
    pub(super) fn forget_spools(&mut self, clock: &LogTime) {
        self.spools.retain(|_, spool| !spool.is_forgotten(clock.wall()));
        if !self.is_second() {
            self.derive(self.now());
        }
    }

    /// Whether a batch of this spool finds room. Another spool may go for it: one of which only revoked keys are known, else
    /// one that has ended or was silent for an hour; of several the one that was heard longest ago.
    pub(super) fn has_room(&mut self, of: SpoolId, clock: &LogTime) -> bool {
        if self.spools.contains_key(&of) || self.spools.len() < SPOOLS {
            return true;
        }
        let oldest = |which: &dyn Fn(&Spool) -> bool| {
            let candidates = self.spools.iter().filter(|(_, spool)| which(spool));
            candidates.map(|(id, spool)| (spool.last_batch_wall, *id)).min()
        };
        let goes = oldest(&Spool::is_revoked).or_else(|| oldest(&|spool| spool.gives_way(clock.wall())));
        match goes {
            Some((_, id)) if self.is_second() => {
                self.spools.remove(&id);
                self.held.retain(|place, waiting| place.1 != id || matches!(waiting, Waiting::Signal(_)));
                self.counts.spools_evicted += 1;
                true
            }
            _ => false,
        }
    }

    /// A sign of life ends blindness, and starts the silence of the other spools; `spool` need not be known.
    pub(super) fn hear(&mut self, spool: Option<SpoolId>, is_first: bool, clock: &LogTime) {
        let rules = Arc::clone(&self.rules);
        for rule in &rules.rules {
            if let Some(said) = self.silence.end(rule.name.as_str(), DetectionReason::Resolved, clock.wall()) {
                self.emit(rule, &[], &Group::default(), said);
            }
        }
        if let Some(heard) = spool {
            let last = self.silence.heard_open();
            let after_outage = clock.open - last > 2 * 60_000 || clock.gap_end.is_some_and(|end| end > last);
            let outage = clock.wall() - self.silence.heard_wall();
            let pause = self.is_second().then(|| pause_after(outage, is_first));
            let was_live: Vec<SpoolId> = self.spools.keys().filter(|id| self.is_live(**id)).copied().collect();
            for (id, other) in self.spools.iter_mut().filter(|(id, _)| **id != heard) {
                let comes_back = after_outage && !other.after_outage && was_live.contains(id);
                if other.silent_from.is_none() || comes_back {
                    (other.silent_from, other.after_outage) = (Some(clock.open), after_outage);
                    other.pause = pause;
                }
            }
            if let Some(spool) = self.spools.get_mut(&heard) {
                (spool.silent_from, spool.after_outage, spool.pause) = (None, false, None);
            }
        }
        self.silence.heard(clock);
    }

    /// Whether the watermark may wait for a spool.
    fn is_live(&self, id: SpoolId) -> bool {
        let heard = self.silence.heard_open();
        self.spools.get(&id).is_some_and(|s| s.is_live(heard, self.is_second()) && !(self.is_second() && s.ended))
    }

    /// The spools that the watermark may wait for.
    fn live(&self) -> Vec<&Spool> {
        self.spools.iter().filter(|(id, _)| self.is_live(**id)).map(|(_, spool)| spool).collect()
    }

    /// How far the site's time may go after a record of spool `own`; none where nothing says so.
    pub(super) fn reaches(&self, own: Option<SpoolId>) -> Option<i64> {
        if !self.is_second() {
            return self.live().iter().map(|s| s.through).min().or(self.watermark);
        }
        // One that is behind the site's time holds nobody up.
        let now = self.now();
        let slowest = self.live().iter().map(|s| s.through).filter(|through| *through >= now).min();
        let own = own.and_then(|id| self.spools.get(&id));
        let last_word = own.filter(|spool| spool.ended || self.watermark.is_none()).map(|spool| spool.through);
        slowest.or(last_word).or(self.watermark)
    }

    /// A spool has other types switched on. Rules hear of each that no other live spool has, unless it is the spool's first word.
    pub(super) fn switch(&mut self, spool: SpoolId, enabled: SignalTypes, now: i64, is_first: bool) {
        let others: Vec<SpoolId> =
            self.spools.keys().filter(|id| **id != spool && self.is_live(**id)).copied().collect();
        let is_others = |kind: SignalType| others.iter().any(|id| self.spools[id].enabled.contains(kind));
        let own: Vec<SignalType> = SignalType::all().filter(|kind| !is_others(*kind)).collect();
        let before = self.spools.get_mut(&spool).map(|spool| std::mem::replace(&mut spool.enabled, enabled));
        self.derive(now);
        let Some(before) = before.filter(|_| self.is_second() && !is_first) else { return };
        let off = own.iter().filter(|kind| before.contains(**kind) && !enabled.contains(**kind));
        let on = own.iter().filter(|kind| !before.contains(**kind) && enabled.contains(**kind));
        let signals = off.map(|kind| switches::signal(*kind, "disabled", now));
        for signal in signals.chain(on.map(|kind| switches::signal(*kind, "enabled", now))).collect::<Vec<_>>() {
            self.judge(now, &signal, now);
        }
    }

    /// The end of a record: what it did to the spools may have changed what is switched on.
    pub(super) fn settle_switches(&mut self) {
        if self.is_second() {
            self.derive(self.now());
        }
    }

    /// What is on is what live spools have on; if there is none, what any has. Under the first rules it is always any.
    pub(super) fn derive(&mut self, now: i64) {
        let live = if self.is_second() { self.live() } else { Vec::new() };
        let all: Vec<&Spool> = if live.is_empty() { self.spools.values().collect() } else { live };
        let on = SignalTypes(all.iter().fold(0, |bits, s| bits | s.enabled.0));
        let before = self.enabled();
        self.on = on;
        self.switched(before, now);
    }

    /// What is switched on and not disabled by the configuration. What only the engine makes no sender switches off.
    pub(super) fn enabled(&self) -> SignalTypes {
        let mut on = self.on;
        SignalType::all().filter(|kind| !kind.is_sent()).for_each(|kind| on.insert(kind));
        SignalTypes(on.0 & !self.rules.disabled.0)
    }
}
