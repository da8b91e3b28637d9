//! A backup of the log, drawn with the moment at which it is needed.

use super::weather::Weather;
use crate::rng::Rng;

/// Runs in which it happens, in percent. The others are what they were without it.
const PERCENT: u64 = 12;

/// How often, of 10,000 steps of such a run, a key is stolen at most.
const STOLEN_KEYS: u64 = 400;

/// A backup, and when it is needed.
#[derive(Clone, Debug)]
pub(super) struct Backup {
    /// Its own chance, so that the rest of the run is drawn as without it.
    pub(super) rng: Rng,
    /// Step at which it is made.
    pub(super) made: u64,
    /// Step at which the log is put back to it.
    pub(super) needed: u64,
    /// Records that it has.
    pub(super) at: usize,
}

impl Backup {
    /// Draws whether there is one in a run of so many steps.
    pub(super) fn draw(seed: u64, steps: u64) -> Option<Self> {
        let mut rng = Rng::new(seed).part(8);
        if !rng.chance(PERCENT) {
            return None;
        }
        let made = rng.below(steps * 2 / 3);
        let needed = made + 1 + rng.below(steps - made - 1);
        Some(Self { rng, made, needed, at: 0 })
    }

    /// More thieves: a gateway that starts has to tell what they said from what others did.
    pub(super) fn for_thieves(&self, weather: &mut Weather) {
        weather.stolen_key = weather.stolen_key.max(self.rng.part(1).below(STOLEN_KEYS));
    }
}
