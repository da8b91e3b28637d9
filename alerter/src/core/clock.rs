//! The planner's wall time, made of ticks (design, section 5), and the timers that live in it.

use std::collections::BTreeMap;

use logystera_schemas::avro_record;
use logystera_schemas::limits::PLANNER_TICKS_BELOW;
use logystera_schemas::time::WallMs;

avro_record! {
    /// The clock of one partition of `signals`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct PartitionClock {
        /// Partition.
        pub(super) partition: u32,
        /// Its wall time: the highest tick, unless set back.
        pub(super) wall: WallMs,
        /// Ticks in a row below it.
        pub(super) below: u32,
        /// Number of its newest tick, among all that were applied.
        pub(super) last: u64,
    }
}

avro_record! {
    /// A time that something waits for.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Timer {
        /// Wall time at which it is over.
        pub(super) at: WallMs,
        /// How long it was when it was set, in milliseconds: it never lies further off than that.
        pub(super) delay_ms: i64,
    }
}

impl Timer {
    pub(super) fn after(wall: WallMs, delay_ms: i64) -> Self {
        Self { at: wall.plus(delay_ms), delay_ms }
    }

    pub(super) fn is_over(self, wall: WallMs) -> bool {
        self.at <= wall
    }

    /// The same timer after wall time was set back: a wrong clock must not stretch it.
    pub(super) fn set_back(self, wall: WallMs) -> Self {
        Self { at: self.at.min(wall.plus(self.delay_ms)), ..self }
    }
}

/// Wall time: the highest of the live partitions' times. The time of a partition is its highest tick; sixty ticks in a
/// row below it set it back to the last of them. A partition is live until sixty times as many ticks as there are
/// partitions passed without one of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LogClock {
    pub(super) partitions: BTreeMap<u32, PartitionClock>,
    /// Ticks applied so far.
    pub(super) ticks: u64,
}

impl LogClock {
    pub(super) fn wall(&self) -> WallMs {
        self.partitions.values().map(|p| p.wall).max().unwrap_or(WallMs(0))
    }

    pub(super) fn tick(&mut self, partition: u32, at: WallMs) {
        self.ticks += 1;
        let last = self.ticks;
        let clock = self.partitions.entry(partition).or_insert(PartitionClock { partition, wall: at, below: 0, last });
        clock.last = last;
        clock.below = if at >= clock.wall { 0 } else { clock.below + 1 };
        if clock.below == 0 || clock.below >= PLANNER_TICKS_BELOW {
            clock.wall = at;
            clock.below = 0;
        }
        let patience = u64::from(PLANNER_TICKS_BELOW) * self.partitions.len() as u64;
        self.partitions.retain(|_, p| last - p.last <= patience);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Applies `(partition, tick)` pairs and gives the wall time after each.
    fn walls(ticks: &[(u32, i64)]) -> Vec<i64> {
        let mut clock = LogClock::default();
        ticks
            .iter()
            .map(|(partition, at)| {
                clock.tick(*partition, WallMs(*at));
                clock.wall().0
            })
            .collect()
    }

    #[test]
    fn wall_time_is_the_highest_of_the_partitions() {
        for (ticks, expected) in [
            (vec![], vec![]),
            (vec![(0, 1_000), (0, 2_000), (0, 2_000)], vec![1_000, 2_000, 2_000]),
            (vec![(0, 5_000), (0, 4_000), (0, 5_500)], vec![5_000, 5_000, 5_500]),
            (vec![(0, 1_000), (1, 3_000), (0, 2_000)], vec![1_000, 3_000, 3_000]),
        ] {
            assert_eq!(walls(&ticks), expected, "{ticks:?}");
        }
    }

    #[test]
    fn sixty_ticks_in_a_row_below_set_it_back() {
        let mut ticks = vec![(0, 1_000_000)];
        ticks.extend((0..60).map(|i| (0, 1_000 * i)));
        let walls = walls(&ticks);
        assert_eq!(walls[59], 1_000_000, "fifty-nine do not");
        assert_eq!(walls[60], 59_000, "the sixtieth does, to itself");
    }

    #[test]
    fn one_tick_above_starts_the_sixty_anew() {
        let mut ticks = vec![(0, 1_000_000)];
        ticks.extend((0..59).map(|i| (0, 1_000 * i)));
        ticks.push((0, 1_000_001));
        ticks.extend((0..59).map(|i| (0, 60_000 + 1_000 * i)));
        assert_eq!(walls(&ticks).last(), Some(&1_000_001));
    }

    #[test]
    fn a_partition_that_stopped_does_not_hold_the_time() {
        let mut ticks = vec![(7, 9_000_000)];
        ticks.extend((0..121).map(|i| (0, 1_000 * i)));
        let walls = walls(&ticks);
        assert_eq!(walls[120], 9_000_000, "two partitions are known: a hundred and twenty ticks of patience");
        assert_eq!(walls[121], 120_000);
    }

    /// In a cluster each process tells the time once a second, under the name of the lowest partition that it has just then.
    #[test]
    fn processes_whose_names_change_neither_stop_the_time_nor_keep_it() {
        // Names of the processes that tell the time in each second.
        let (four, three): (&[u32], &[u32]) = (&[0, 16, 32, 48], &[0, 22, 43]);
        let mut clock = LogClock::default();
        let mut tell = |seconds: std::ops::Range<i64>, names: &[u32], off_ms: i64| {
            for second in seconds {
                for name in names {
                    clock.tick(*name, WallMs(second * 1_000 + off_ms));
                }
                assert!(clock.wall().0 >= second * 1_000, "{second}: time goes on");
            }
            (clock.wall().0, clock.partitions.len())
        };
        assert_eq!(tell(0..10, four, 0), (9_000, 4));
        // One is killed: its partitions are the others', two of which have new names by that.
        assert_eq!(tell(10..20, three, 0), (19_000, 6));
        assert_eq!(tell(20..150, three, 0), (149_000, 3), "names that nobody has any more are forgotten");
        // A clock runs ahead, and is right again just when names change: for as long as a name is remembered.
        assert_eq!(tell(150..160, three, 7_200_000).0, 159_000 + 7_200_000);
        assert_eq!(tell(160..161, four, 0).0, 159_000 + 7_200_000);
        let (wall_ms, names) = tell(161..280, four, 0);
        assert_eq!((wall_ms, names), (279_000, 4), "within two minutes it is forgotten");
    }

    #[test]
    fn a_timer_never_lies_further_off_than_its_delay() {
        for (wall_when_set, delay_ms, set_back_to, expected) in [
            (1_000_000, 5_000, 10_000, 15_000),
            (1_000_000, 5_000, 1_003_000, 1_005_000),
            (1_000_000, 5_000, 1_000_000, 1_005_000),
        ] {
            let timer = Timer::after(WallMs(wall_when_set), delay_ms).set_back(WallMs(set_back_to));
            assert_eq!(timer.at.0, expected, "set back to {set_back_to}");
        }
    }
}
