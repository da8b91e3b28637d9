//! Log time: what the ticks say. Wall time is the highest tick. Open time is how long gateways have taken batches: it
//! stands still while none does.

use logystera_schemas::avro_record;
use logystera_schemas::limits::{OPEN_MS_MAX, OPEN_STEP_MS_MAX, TICK_GAP_MS, TICKS_BELOW};
use logystera_schemas::time::{OpenMs, WallMs};

avro_record! {
    /// The log's clocks, as one partition's ticks tell them.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct LogTime {
        /// The highest tick. None: none came yet.
        pub wall: Option<WallMs>,
        /// How long gateways have taken batches.
        pub open: OpenMs,
        /// Ticks in a row below the highest. At `TICKS_BELOW` wall time is set back.
        below: u32,
        /// Open time at the end of the newest gap. A gap ends with a tick more than `TICK_GAP_MS` after the highest
        /// one.
        pub gap_end: Option<OpenMs>,
    }
}

/// What a tick does to wall time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It goes on, or stands still.
    On,
    /// It begins: there was none before.
    Begins,
    /// It is set back from this.
    Back(WallMs),
}

impl LogTime {
    /// Takes a tick, which says that batches were taken for `open_ms` since the one before.
    pub fn tick(&mut self, at: WallMs, open_ms: i64) -> Turn {
        let Some(wall) = self.wall else {
            self.wall = Some(at);
            return Turn::Begins;
        };
        let step = at.since(wall);
        if step < 0 {
            self.below += 1;
            if self.below < TICKS_BELOW {
                return Turn::On;
            }
            self.below = 0;
            self.wall = Some(at);
            return Turn::Back(wall);
        }
        self.below = 0;
        self.wall = Some(at);
        let told = open_ms.min(OPEN_MS_MAX);
        self.open = self.open.plus(step.min(told.max(OPEN_STEP_MS_MAX)));
        if step > TICK_GAP_MS {
            self.gap_end = Some(self.open);
        }
        Turn::On
    }

    /// Wall time; the epoch before the first tick.
    pub fn wall(&self) -> WallMs {
        self.wall.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds ticks, each with the open time that it tells, and gives (wall, open, end of the newest gap).
    fn check_told(ticks: &[(i64, i64)], wall: i64, open: i64, gap_end: Option<i64>) {
        let mut time = LogTime::default();
        for (at, open_ms) in ticks {
            let before = time.wall;
            let turn = time.tick(WallMs(*at), *open_ms);
            let expected = match before {
                None => Turn::Begins,
                Some(before) if time.wall() < before => Turn::Back(before),
                Some(_) => Turn::On,
            };
            assert_eq!(turn, expected, "{at} of {ticks:?}");
        }
        assert_eq!((time.wall().0, time.open.0, time.gap_end.map(|g| g.0)), (wall, open, gap_end), "{ticks:?}");
    }

    fn check(ticks: &[i64], wall: i64, open: i64, gap_end: Option<i64>) {
        let untold: Vec<_> = ticks.iter().map(|at| (*at, 0)).collect();
        check_told(&untold, wall, open, gap_end);
    }

    #[test]
    fn a_tick_tells_how_long_the_door_was_open() {
        // No more than has passed, no less than a tick that says nothing.
        check_told(&[(0, 0), (10_000, 10_000)], 10_000, 10_000, None);
        check_told(&[(0, 0), (10_000, 7_000)], 10_000, 7_000, None);
        check_told(&[(0, 0), (10_000, 25_000)], 10_000, 10_000, None);
        check_told(&[(0, 0), (10_000, 1_000)], 10_000, 2_000, None);
        check_told(&[(0, 0), (10_000, -9)], 10_000, 2_000, None);
        check_told(&[(0, 0), (1_000, 1_900)], 1_000, 1_000, None);
        // The bound, and a gap all the same.
        check_told(&[(0, 0), (50_000, 50_000)], 50_000, 30_000, None);
        check_told(&[(0, 0), (90_000, 90_000)], 90_000, 30_000, Some(30_000));
        check_told(&[(0, 0), (90_000, 5_000)], 90_000, 5_000, Some(5_000));
        // The first one and those below have nothing before them to tell of.
        check_told(&[(9_000, 10_000), (8_000, 10_000), (9_000, 10_000)], 9_000, 0, None);
    }

    #[test]
    fn ticks_move_the_clocks() {
        check(&[], 0, 0, None);
        check(&[5_000], 5_000, 0, None);
        check(&[5_000, 6_000, 7_000], 7_000, 2_000, None);
        check(&[5_000, 5_000, 6_000, 6_000], 6_000, 1_000, None);
        check(&[0, 60_000], 60_000, 2_000, None);
        check(&[0, 60_001], 60_001, 2_000, Some(2_000));
        check(&[0, 1_000, 500, 2_000], 2_000, 2_000, None);
    }

    #[test]
    fn sixty_ticks_below_set_the_wall_back() {
        let ahead =
            |below: i64| -> Vec<i64> { std::iter::once(10_000_000).chain((1..=below).map(|n| n * 1_000)).collect() };
        check(&ahead(59), 10_000_000, 0, None);
        check(&ahead(60), 60_000, 0, None);
        check(&ahead(62), 62_000, 2_000, None);
    }

    #[test]
    fn a_tick_at_the_highest_breaks_the_row() {
        let mut ticks = vec![100_000];
        ticks.extend((0..59).map(|n| n * 1_000));
        ticks.push(100_000);
        ticks.extend((0..59).map(|n| n * 1_000));
        check(&ticks, 100_000, 0, None);
    }
}
