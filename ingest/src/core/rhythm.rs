//! When ticks are written: every second, or seldom while nobody sends and nobody waits for time. A seldom tick tells
//! how long the door was open since the one before, so that open time goes on as it would have by a tick each second.

use logystera_schemas::limits::{IDLE_AFTER_MS, TICK_IDLE_MS, TICK_MS};

/// Beats without a batch after which ticks are seldom.
const QUIET_BEATS: u32 = (IDLE_AFTER_MS / TICK_MS) as u32;
/// Then one of so many beats has a tick.
const BEATS_A_TICK: u32 = (TICK_IDLE_MS / TICK_MS) as u32;
/// Most open time that one beat counts, in milliseconds: a longer wait was a machine that stood still.
const BEAT_OPEN_MS_MAX: i64 = 2 * TICK_MS as i64;

/// The rhythm of a gateway that is alone: what it leaves out nobody else writes. Its beat is a second.
#[derive(Debug, Default)]
pub(crate) struct Rhythm {
    /// Beats since somebody sent, or something was wrong.
    quiet: u32,
    /// Beats without a tick since the last one that had one.
    left_out: u32,
    /// Milliseconds of open time that no tick has told of.
    open_ms: i64,
    /// Up to when `open_ms` counts, in monotonic milliseconds.
    counted_ms: Option<i64>,
}

impl Rhythm {
    /// A beat at which the door is open and the clock ticks. Gives the open time that the tick tells of; `None`: none
    /// is due. `hurry`: something in this process waits for log time.
    pub(crate) fn beat(&mut self, now_ms: i64, hurry: bool) -> Option<i64> {
        self.count(now_ms);
        let is_idle = self.quiet >= QUIET_BEATS && !hurry;
        self.quiet = self.quiet.saturating_add(1);
        if is_idle && self.left_out + 1 < BEATS_A_TICK {
            self.left_out += 1;
            return None;
        }
        Some(self.tell())
    }

    /// Somebody sends. If ticks were left out, gives the open time of the one that is to stand before what was sent,
    /// which is judged by it.
    pub(crate) fn sent(&mut self, now_ms: i64) -> Option<i64> {
        self.quiet = 0;
        if self.left_out == 0 {
            return None;
        }
        self.count(now_ms);
        Some(self.tell())
    }

    /// A beat at which the door is shut, or the clock does not tick: this one's time is not open.
    pub(crate) fn shut(&mut self, now_ms: i64) {
        (self.quiet, self.left_out, self.counted_ms) = (0, 0, Some(now_ms));
    }

    /// The log did not take an append: nobody knows how much of the time since the last tick was open.
    pub(crate) fn failed(&mut self, now_ms: i64) {
        self.shut(now_ms);
        self.open_ms = 0;
    }

    fn count(&mut self, now_ms: i64) {
        let since_ms = self.counted_ms.map_or(0, |counted_ms| now_ms.saturating_sub(counted_ms));
        self.open_ms += since_ms.clamp(0, BEAT_OPEN_MS_MAX);
        self.counted_ms = Some(now_ms);
    }

    fn tell(&mut self) -> i64 {
        self.left_out = 0;
        std::mem::take(&mut self.open_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens at a time, in seconds.
    #[derive(Clone, Copy)]
    enum Step {
        Beat,
        Hurry,
        Sent,
        Shut,
        Failed,
    }
    use Step::{Beat, Failed, Hurry, Sent, Shut};

    /// Takes the steps, after a tick at 0, and gives the ticks that come of them: when, and what each tells, in
    /// seconds.
    fn ticks(steps: impl IntoIterator<Item = (f64, Step)>) -> Vec<(f64, f64)> {
        let mut rhythm = Rhythm::default();
        assert_eq!(rhythm.beat(0, false), Some(0));
        let told = steps.into_iter().filter_map(|(at, step)| {
            let now_ms = (at * 1_000.0) as i64;
            let told = match step {
                Beat => rhythm.beat(now_ms, false),
                Hurry => rhythm.beat(now_ms, true),
                Sent => rhythm.sent(now_ms),
                Shut => {
                    rhythm.shut(now_ms);
                    None
                }
                Failed => {
                    rhythm.failed(now_ms);
                    None
                }
            };
            told.map(|open_ms| (at, f64::from(i32::try_from(open_ms).unwrap_or(i32::MAX)) / 1_000.0))
        });
        told.collect()
    }

    /// A beat each second from `from` to `to`, both included.
    fn beats(from: u32, to: u32) -> Vec<(f64, Step)> {
        (from..=to).map(|second| (f64::from(second), Beat)).collect()
    }

    /// The ticks of [`ticks`] after a minute in which each beat had one.
    fn check(steps: &[Vec<(f64, Step)>], expected: &[(f64, f64)]) {
        let told = ticks(steps.concat());
        let first: Vec<_> = (1..60).map(|second| (f64::from(second), 1.0)).collect();
        assert_eq!((&told[..59], &told[59..]), (&first[..], expected));
    }

    #[test]
    fn after_a_quiet_minute_every_tenth_beat_has_a_tick_which_tells_of_all_ten() {
        check(&[beats(1, 90)], &[(69.0, 10.0), (79.0, 10.0), (89.0, 10.0)]);
    }

    #[test]
    fn a_batch_after_an_idle_time_has_a_tick_before_it_and_beats_have_theirs_again() {
        let sent = |at| vec![(at, Sent)];
        check(&[beats(1, 63), sent(63.5), beats(64, 66)], &[(63.5, 4.5), (64.0, 0.5), (65.0, 1.0), (66.0, 1.0)]);
        // One that comes right after a tick needs none.
        check(&[beats(1, 69), sent(69.5), beats(70, 70)], &[(69.0, 10.0), (70.0, 1.0)]);
        // Of several the first has it.
        check(&[beats(1, 61), sent(61.2), sent(61.3)], &[(61.2, 2.2)]);
        // A quiet minute begins anew.
        let told = ticks([beats(1, 30), sent(30.5), beats(31, 95)].concat());
        assert_eq!(told[89..], [(90.0, 1.0)], "sixty more, then none up to the hundredth second");
    }

    #[test]
    fn who_waits_for_time_has_it_each_second() {
        check(
            &[beats(1, 62), vec![(63.0, Hurry), (64.0, Hurry)], beats(65, 74)],
            &[(63.0, 4.0), (64.0, 1.0), (74.0, 10.0)],
        );
    }

    #[test]
    fn what_was_not_open_is_not_told() {
        // A crowd at the door: its seconds are not counted, and each beat after it has its tick.
        let shut = |from: u32, to: u32| (from..=to).map(|second| (f64::from(second), Shut)).collect::<Vec<_>>();
        check(&[beats(1, 63), shut(64, 70), beats(71, 72)], &[(71.0, 5.0), (72.0, 1.0)]);
        // The log is away: neither is what was before it.
        check(&[beats(1, 63), vec![(63.2, Failed)], beats(64, 65)], &[(64.0, 0.8), (65.0, 1.0)]);
        // A machine that stood still.
        check(&[beats(1, 63), vec![(163.0, Beat)], beats(164, 164), beats(165, 168)], &[(168.0, 11.0)]);
        // A clock that goes back, which no monotonic one does.
        check(&[beats(1, 63), vec![(10.0, Beat), (11.0, Sent)]], &[(11.0, 5.0)]);
    }
}
