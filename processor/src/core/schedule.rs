//! When snapshots are taken: a day of log time has a slot for each key group.

use logystera_schemas::avro_record;
use logystera_schemas::ids::{KEY_GROUPS, KeyGroup};
use logystera_schemas::time::WallMs;

/// Milliseconds of log time between two key groups' snapshots, so that each key group has one a day.
const SLOT_MS: i64 = 86_400_000 / SLOTS_A_DAY;
const SLOTS_A_DAY: i64 = KEY_GROUPS as i64;
const _: () = assert!(SLOT_MS * SLOTS_A_DAY == 86_400_000);

avro_record! {
    /// Which snapshot comes next.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) struct SnapshotSchedule {
        /// The slot to take next, in slots since the epoch. None: no tick came yet.
        next_slot: Option<i64>,
    }
}

impl SnapshotSchedule {
    /// Takes the oldest slot that has come, and gives its key group. After more than a day without a call, each key
    /// group has only its newest slot.
    pub(crate) fn pop(&mut self, wall: WallMs) -> Option<KeyGroup> {
        let now = wall.0.div_euclid(SLOT_MS);
        // A clock that ran ahead and was set back must not put them off for as long as it was ahead.
        let next = self.next_slot.unwrap_or(now + 1).clamp(now + 1 - SLOTS_A_DAY, now + 1);
        let is_due = next <= now;
        self.next_slot = Some(next + i64::from(is_due));
        is_due.then(|| KeyGroup(next.rem_euclid(SLOTS_A_DAY) as u16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets a tick come at each of these times, in tenths of a slot, and gives the key groups that each brings up.
    fn check(ticks: &[i64], expected: &[&[u16]]) {
        let mut schedule = SnapshotSchedule::default();
        let came: Vec<Vec<u16>> = ticks
            .iter()
            .map(|tenths| {
                let wall = WallMs(tenths * SLOT_MS / 10);
                std::iter::from_fn(|| schedule.pop(wall).map(|group| group.0)).collect()
            })
            .collect();
        assert_eq!(came, expected, "{ticks:?}");
    }

    #[test]
    fn each_slot_comes_once() {
        check(&[105, 109, 110, 111, 120], &[&[], &[], &[11], &[], &[12]]);
        check(&[10_225, 10_250], &[&[], &[1_023, 0, 1]]);
    }

    #[test]
    fn a_clock_that_was_set_back_puts_nothing_off() {
        check(&[100, 5_000, 110, 120], &[&[], &(11..=500).collect::<Vec<_>>(), &[], &[12]]);
    }

    #[test]
    fn after_days_away_each_key_group_comes_once() {
        let day: Vec<u16> = (1..1_024).chain([0]).collect();
        check(&[0, 51_200], &[&[], &day]);
    }
}
