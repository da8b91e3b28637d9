//! Who configures sites is now of one version, now of another: a site is judged by the semantics of the newest configuration,
//! forth and back.

use logystera_processor::core::SEMANTICS;

use super::turn::Turn;
use super::world::World;

/// Ticks, two seconds apart, of which three times as many tell that a spool is silent.
const SILENT_TICKS: usize = 35;

impl World {
    /// Configures a site, or all, under the other version, just when that makes a difference.
    pub(super) fn turn(&mut self, turn: &Turn) {
        let sites = if turn.site < self.sites.len() { turn.site..turn.site + 1 } else { 0..self.sites.len() };
        for site in sites {
            let is_back = self.sites[site].semantics == SEMANTICS;
            match self.rng.below(4) {
                0 if is_back => self.end_and_go_on(site),
                1 if is_back => self.leave_behind(site),
                2 => (0..self.sites[site].senders.len()).for_each(|place| self.speak(site, place)),
                _ => {}
            }
            self.sites[site].semantics = if is_back { SEMANTICS - 1 } else { SEMANTICS };
            self.configure(site);
        }
    }

    fn speak(&mut self, site: usize, place: usize) {
        self.sites[site].senders[place].next_flush = self.now;
        self.act(site, place);
    }

    /// A sender says that it is done, and is not.
    fn end_and_go_on(&mut self, site: usize) {
        let place = self.rng.index(self.sites[site].senders.len());
        let rate = self.sites[site].senders[place].rate;
        self.sites[site].senders[place].is_done = true;
        self.speak(site, place);
        let sender = &mut self.sites[site].senders[place];
        (sender.rate, sender.is_done, sender.next_flush) = (rate, false, self.now + 5_000);
    }

    /// A sender falls silent that alone has a type on, while the others go on.
    fn leave_behind(&mut self, site: usize) {
        let left = self.rng.index(self.sites[site].senders.len());
        let kind = *self.rng.pick(&self.palette.types);
        for (place, sender) in self.sites[site].senders.iter_mut().enumerate() {
            if place == left {
                sender.enabled.insert(kind);
            } else {
                sender.enabled.0 &= !(1 << kind.index());
            }
        }
        self.speak(site, left);
        self.sites[site].senders[left].cut_off_until = self.now + 1_000_000;
        for _ in 0..4 {
            (0..self.sites[site].senders.len()).for_each(|place| self.speak(site, place));
            self.idle(SILENT_TICKS);
        }
    }
}
