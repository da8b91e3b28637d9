//! Turns in which somebody of the other version configures.

use super::weather::Weather;
use crate::rng::Rng;

/// Runs in which it happens, in percent. The others are what they were without it.
const PERCENT: u64 = 12;
/// Turns of such a run.
const TURNS: (i64, i64) = (2, 6);

/// Somebody of the other version configures.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    /// Step at which it does.
    pub(super) step: u64,
    /// Which site; all, if there is none of that place.
    pub(super) site: usize,
}

impl Turn {
    /// Draws those of a run of so many steps.
    pub(super) fn draw(seed: u64, steps: u64, weather: &mut Weather) -> Vec<Self> {
        let mut rng = Rng::new(seed).part(9);
        if !rng.chance(PERCENT) {
            return Vec::new();
        }
        weather.for_stepping_back(&mut rng);
        let turns = rng.range(TURNS.0, TURNS.1);
        (0..turns).map(|_| Self { step: rng.below(steps), site: rng.index(3) }).collect()
    }
}
