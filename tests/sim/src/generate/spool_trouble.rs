//! What spools do besides sending one after the other, what thieves do with a key, and batches that no sender would send.

use logystera_schemas::signals_topic::KeyRevoked;

use super::rules::Palette;
use super::sender::{Sender, key};
use super::world::{SiteState, World};
use crate::input::{BatchIn, Input};
use crate::rng::Rng;

/// Batches back to which a backup goes: about the known digests, and about the window.
const BACK: [u64; 9] = [1, 2, 5, 63, 64, 65, 1_023, 1_024, 1_025];
/// More spools than a site may have.
const FLOOD: usize = 66;
/// Senders of a site that send at one time.
const SENDERS: usize = 4;

impl World {
    /// Spools that come, end, are restored or stolen.
    pub(super) fn trouble_spools(&mut self, site: usize) {
        let weather = self.weather.clone();
        if self.rng.rarely(weather.new_spool) {
            let sender = self.new_sender(site);
            self.join(site, sender);
        }
        if self.rng.rarely(weather.backlog) {
            let mut sender = self.new_sender(site);
            let span = if self.palette.is_slow() { 3 * 86_400_000 } else { 600_000 };
            sender.fall_behind(&self.palette, self.now, span, 30, &mut self.rng);
            self.join(site, sender);
        }
        if self.rng.rarely(weather.one_off) {
            self.send_once(site);
        }
        if self.rng.rarely(weather.restored) {
            let place = self.rng.index(self.sites[site].senders.len());
            let numbers = *self.rng.pick(&BACK);
            self.sites[site].senders[place].restore(numbers);
        }
        if self.rng.rarely(weather.flood) {
            self.flood(site);
        }
        if self.rng.rarely(weather.new_key) {
            self.renew_key(site);
        }
        if self.rng.rarely(weather.stolen_key) {
            self.steal(site);
        }
        if self.rng.rarely(weather.hostile) {
            self.attack(site);
        }
    }

    fn new_sender(&mut self, site: usize) -> Sender {
        let SiteState { id, tenant, .. } = &self.sites[site];
        let mut sender = Sender::new(id, tenant, &self.palette, self.now, &mut self.rng);
        sender.key = key(self.keys);
        sender
    }

    /// A sender goes on beside the others, or in the place of one.
    fn join(&mut self, site: usize, sender: Sender) -> usize {
        let count = self.sites[site].senders.len();
        if count < SENDERS && self.rng.chance(50) {
            self.sites[site].senders.push(sender);
            return count;
        }
        let place = self.rng.index(count);
        self.sites[site].senders[place] = sender;
        place
    }

    /// A file is sent: a spool of its own that says when it is through. Or a sender is stopped for good.
    fn send_once(&mut self, site: usize) {
        if self.rng.chance(30) {
            let place = self.rng.index(self.sites[site].senders.len());
            self.sites[site].senders[place].is_done = true;
            return;
        }
        let mut sender = self.new_sender(site);
        (sender.is_done, sender.next_flush) = (true, self.now);
        let span = self.palette.step_ms * self.rng.range(0, 100);
        let signals = self.rng.range(1, 6);
        sender.fall_behind(&self.palette, self.now, span, signals, &mut self.rng);
        let place = self.join(site, sender);
        self.act(site, place);
    }

    /// More spools than there is room for: forgotten ones, ended ones, or a thief's.
    fn flood(&mut self, site: usize) {
        let (ends, stolen) = (self.rng.chance(30), self.rng.chance(50));
        let aside = self.sites[site].senders.len();
        let mut sent = Vec::new();
        for _ in 0..FLOOD {
            let mut sender = self.new_sender(site);
            sender.is_done = ends && self.rng.chance(50);
            if stolen {
                sender.key = key(0);
            }
            sender.claim(&self.palette, self.now, 0);
            self.sites[site].senders.push(sender);
            self.deliver(site, aside);
            sent.extend(self.log.inputs.last().cloned());
            self.sites[site].senders.truncate(aside);
        }
        if stolen {
            let stolen = self.rng.chance(50);
            self.revoke(site, 0, stolen);
        }
        if self.palette.is_slow() && self.rng.chance(50) {
            self.now += 3_600_000;
            self.tick();
        }
        let mut sender = self.new_sender(site);
        sender.next_flush = self.now;
        let place = self.join(site, sender);
        self.act(site, place);
        // What comes again is new if its spool made room, and else a duplicate.
        for _ in 0..4 {
            let again = self.rng.pick(&sent).clone();
            self.log.inputs.push(again);
        }
    }

    /// A sender gets another key; an old one is revoked.
    fn renew_key(&mut self, site: usize) {
        if self.rng.chance(60) {
            self.keys = self.keys % 6 + 1;
            let place = self.rng.index(self.sites[site].senders.len());
            self.sites[site].senders[place].key = key(self.keys);
        }
        if self.rng.chance(50) {
            let (nth, stolen) = (1 + self.rng.below(6), self.rng.chance(30));
            self.revoke(site, nth, stolen);
        }
    }

    /// Revokes a key. One that was revoked as stolen stays stolen, as in `control`.
    fn revoke(&mut self, site: usize, nth: u64, stolen: bool) {
        let (site, key) = (self.sites[site].id.clone(), key(nth));
        let was_stolen =
            |input: &Input| matches!(input, Input::KeyRevoked(r) if r.stolen && r.site == site && r.key == key);
        let stolen = stolen || self.log.inputs.iter().any(was_stolen);
        self.log.inputs.push(Input::KeyRevoked(KeyRevoked { site, key, stolen }));
    }

    /// A thief shuts a sender's window with a number far ahead, or spends its next one; maybe somebody notices.
    fn steal(&mut self, site: usize) {
        let place = self.rng.index(self.sites[site].senders.len());
        let mut thief = self.sites[site].senders[place].clone();
        thief.key = key(0);
        thief.skip(*self.rng.pick(&[0, 1, 70, 1_025, 1 << 40]));
        if self.rng.chance(50) {
            thief.emit(&self.palette, self.now, &mut self.rng);
        }
        thief.claim(&self.palette, self.now, 10);
        if let Some(mut batch) = thief.claimed {
            batch.received_at = self.now;
            self.log.inputs.push(Input::Batch(Box::new(batch)));
        }
        if self.rng.chance(60) {
            let places = 0..self.sites[site].senders.len();
            if self.rng.chance(70) {
                places.for_each(|place| self.act(site, place));
            }
            let stolen = self.rng.chance(70);
            self.revoke(site, 0, stolen);
        }
    }

    /// Batches that no sender of ours would send.
    fn attack(&mut self, site: usize) {
        let place = self.rng.index(self.sites[site].senders.len());
        let received_at = self.now;
        let mut rng = self.rng.clone();
        self.rng = self.rng.part(1);
        let sender = &mut self.sites[site].senders[place];
        let old = if sender.answered.is_empty() { None } else { Some(rng.pick(&sender.answered).clone()) };
        let mut forged = sender.clone();
        (0..rng.range(1, 5)).for_each(|_| forged.emit(&self.palette, self.now, &mut rng));
        forged.claim(&self.palette, self.now, 10);
        let fresh = forged.claimed.clone();
        let batch = match (rng.below(7), old, fresh) {
            (0, Some(old), _) => old,
            (1, Some(old), Some(mut fresh)) => {
                fresh.seq = old.seq;
                fresh
            }
            (2, Some(old), Some(mut fresh)) => {
                fresh.seq = (old.seq + rng.below(5)).saturating_sub(2).max(1);
                fresh
            }
            (3, _, Some(fresh)) => {
                sender.skip(*rng.pick(&[1, 62, 63, 64, 1_022, 1_023, 1_024, 1_025]));
                fresh
            }
            (4 | 5, _, Some(mut fresh)) => {
                fresh.received_at = received_at;
                spoil(&mut fresh, &self.palette, &mut rng);
                fresh
            }
            (_, _, Some(mut fresh)) => {
                // A backup was restored: the numbers go on from where they were once.
                fresh.through += self.palette.step_ms * rng.range(-20, 20);
                for signal in &mut fresh.signals {
                    signal.at += self.palette.step_ms * rng.range(-20, 5);
                }
                fresh
            }
            _ => return,
        };
        let mut batch = BatchIn { received_at, ..batch };
        batch.digest = batch.content_digest();
        self.log.inputs.push(Input::Batch(Box::new(batch)));
    }
}

/// Signals out of order, past the `through`, from another day, or from the future: one of them, or most, or all.
fn spoil(batch: &mut BatchIn, palette: &Palette, rng: &mut Rng) {
    let far = *rng.pick(&[4_999, 5_000, 5_001, 60_000, if palette.is_slow() { 86_400_000 } else { 600_000 }]);
    for signal in &mut batch.signals {
        signal.at += palette.step_ms * rng.range(-10, 10);
    }
    match rng.below(5) {
        0 => batch.through += far,
        1 => batch.through -= far,
        2 => batch.clock_offset_ms += if rng.chance(50) { far } else { -far },
        _ => {
            // Half of them is the edge.
            let ahead = *rng.pick(&[1, batch.signals.len().div_ceil(2), batch.signals.len() / 2, batch.signals.len()]);
            for _ in 0..ahead {
                let place = rng.index(batch.signals.len());
                batch.signals[place].at = batch.received_at.max(batch.through) - batch.clock_offset_ms + far;
            }
        }
    }
    batch.flush_every_s = *rng.pick(&[0, 1, 60, 600, 86_400]);
}
