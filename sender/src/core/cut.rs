//! Where batches are cut, and the `through` of each (design, section 3).

use logystera_schemas::limits::{BATCH_SIGNALS_MAX, CLOCK_BACK_MS, CUT_BYTES_MAX};

/// How many of the next signals go into one batch: at most 1,000, and at most about 512 KiB of JSON (`sizes` are the
/// signals' bytes). 0 only if there are none.
pub fn fit(sizes: impl IntoIterator<Item = usize>) -> usize {
    let mut bytes = 0;
    sizes
        .into_iter()
        .take(BATCH_SIGNALS_MAX)
        .enumerate()
        .take_while(|(i, size)| {
            bytes += size + 1;
            *i == 0 || bytes <= CUT_BYTES_MAX
        })
        .count()
}

/// What `through` depends on.
#[derive(Clone, Copy, Debug)]
pub struct CutPoint {
    /// `at` of the batch's own last signal.
    pub last_at: Option<i64>,
    /// `at` of the first signal that stays behind.
    pub next_at: Option<i64>,
    /// Time of the claim; for a file that of its last signal.
    pub now: i64,
    /// `through` of the batch before.
    pub previous: i64,
}

/// The time up to which everything is in this batch or an earlier one: just before the first signal that stays behind,
/// or else the time of the claim, but never below the batch's own last signal less 1 ms, and never going back, unless
/// the clock was far ahead before.
pub fn through(point: CutPoint) -> i64 {
    let spoken_for = match point.next_at {
        Some(next_at) => next_at - 1,
        None => point.now.max(point.last_at.map_or(i64::MIN, |at| at - 1)),
    };
    spoken_for.max(bounded(point.previous, point.now))
}

/// The time that a signal gets in a spool: its own, but not in the future, not before the signal ahead of it and after
/// the `through` of earlier batches. So a spool is in time order. Times that are far ahead of the clock come from one
/// that was wrong, and hold nothing back.
pub fn ordered_at(at: i64, now: i64, last_at: i64, last_through: i64) -> i64 {
    at.min(now).max(bounded(last_at, now)).max(bounded(last_through, now) + 1)
}

/// A lower bound for later times; `now` if it is too far ahead to be true.
fn bounded(time: i64, now: i64) -> i64 {
    if time > now.saturating_add(CLOCK_BACK_MS) { now } else { time }
}

/// Sets times that are too far ahead of the clock to the present, then lowers each of `times` (in the order in which
/// their signals were recorded) that lies after a later one to that one.
pub fn settle<'a>(times: impl DoubleEndedIterator<Item = &'a mut i64>, now: i64) {
    let mut next = i64::MAX;
    for at in times.rev() {
        *at = bounded(*at, now).min(next);
        next = *at;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_batch_ends_at_either_limit() {
        assert_eq!(fit([]), 0);
        assert_eq!(fit([10, 10]), 2);
        assert_eq!(fit(vec![10; 5_000]), BATCH_SIGNALS_MAX);
        assert_eq!(fit(vec![(1 << 10) - 1; 5_000]), CUT_BYTES_MAX >> 10);
        assert_eq!(fit([CUT_BYTES_MAX * 2, 1]), 1, "one signal always goes");
    }

    #[test]
    fn through_is_a_table() {
        let cases = [
            // last_at, next_at, now, previous -> through
            ((Some(10), Some(20), 99, 0), 19),
            ((Some(10), Some(10), 99, 0), 9), // the next one has the same time: our last is not spoken for
            ((Some(10), None, 99, 0), 99),
            ((Some(10), None, 10, 0), 10),
            ((Some(10), None, 3, 0), 9), // the clock went back
            ((None, None, 50, 0), 50),   // a heartbeat
            ((None, None, 50, 70), 70),  // a heartbeat after the clock went back
            ((Some(71), Some(71), 50, 70), 70),
            ((None, None, 50, 50 + CLOCK_BACK_MS), 50 + CLOCK_BACK_MS),
            ((None, None, 50, 51 + CLOCK_BACK_MS), 50), // the clock was wrong before
        ];
        for ((last_at, next_at, now, previous), expected) in cases {
            let point = CutPoint { last_at, next_at, now, previous };
            assert_eq!(through(point), expected, "{point:?}");
        }
    }

    #[test]
    fn a_clock_that_was_ahead_holds_nothing_back() {
        const AHEAD: i64 = 14 * 366 * 86_400_000;
        assert_eq!(ordered_at(1_000, 1_000, 1_000 + CLOCK_BACK_MS, 0), 1_000 + CLOCK_BACK_MS);
        assert_eq!(ordered_at(1_000, 1_000, 1_001 + CLOCK_BACK_MS, 0), 1_000);
        assert_eq!(ordered_at(1_000, 1_000, 500, AHEAD), 1_001);
        let mut times = [10, 20, AHEAD, AHEAD + 5, 30, 31, AHEAD];
        settle(times.iter_mut(), 40);
        assert_eq!(times, [10, 20, 30, 30, 30, 31, 40]);
    }

    proptest! {
        /// Whatever the times, the cut batches hold every signal once, in order, within the limits, and no `through`
        /// speaks for a signal that comes later.
        #[test]
        fn cutting_keeps_the_watermark_honest(
            mut signals in prop::collection::vec((0i64..500, 1usize..40_000), 0..200)
        ) {
            signals.sort_by_key(|s| s.0);
            let end = signals.last().map_or(0, |s| s.0);
            let (mut at, mut previous) = (0, i64::MIN);
            while at < signals.len() {
                let n = fit(signals[at..].iter().map(|s| s.1));
                let (own, rest) = signals[at..].split_at(n);
                prop_assert!(n > 0 && n <= BATCH_SIGNALS_MAX);
                prop_assert!(n == 1 || own.iter().map(|s| s.1 + 1).sum::<usize>() <= CUT_BYTES_MAX);
                let point = CutPoint { last_at: own.last().map(|s| s.0), next_at: rest.first().map(|s| s.0), now: end, previous };
                let t = through(point);
                prop_assert!(t >= previous);
                prop_assert!(own.iter().all(|s| s.0 > previous), "the batch before spoke for one of ours");
                prop_assert!(rest.iter().all(|s| s.0 > t), "speaks for one that stays behind");
                previous = t;
                at += n;
            }
            prop_assert!(signals.is_empty() || previous == end);
        }

        #[test]
        fn a_spool_is_in_time_order(times in prop::collection::vec((0i64..100, 0i64..100, any::<bool>()), 1..50)) {
            let (mut last_at, mut last_through) = (0, -1);
            for (at, now, claimed) in times {
                let given = ordered_at(at, now, last_at, last_through);
                prop_assert!(given >= last_at && given > last_through);
                prop_assert!(given == at.min(now) || given == last_at || given == last_through + 1);
                last_at = given;
                if claimed {
                    last_through = through(CutPoint { last_at: Some(last_at), next_at: None, now, previous: last_through });
                }
            }
        }
    }
}
