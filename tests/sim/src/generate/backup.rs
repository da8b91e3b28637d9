//! A backup of the log, drawn with the moment at which it is needed.

use crate::rng::Rng;

/// Runs in which it happens, in percent. The others are what they were without it.
const PERCENT: u64 = 12;

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
}
