//! Windows against a model that keeps every match and counts anew each time.

use logystera_schemas::avro::{Datum, Reader, Writer};
use logystera_schemas::time::SiteMs;
use proptest::prelude::*;

use crate::core::conditions::window::{Size, Window};
use crate::core::conditions::{distinct, kind};

/// (steps forward, how late the match is, value)
fn matches() -> impl Strategy<Value = Vec<(i64, i64, u8)>> {
    let late = prop_oneof![3 => Just(0_i64), 1 => 0_i64..60];
    proptest::collection::vec((0_i64..25, late, 0_u8..6), 1..120)
}

fn sizes() -> impl Strategy<Value = Size> {
    (1_u64..7, prop_oneof![Just(1_i64), Just(5), Just(10)], 1_i64..12).prop_map(|(threshold, pane_ms, panes)| Size {
        threshold,
        levels: [threshold + 2, u64::MAX],
        pane_ms,
        panes,
    })
}

/// When a match at `at` leaves the window, from the definition: the first `t` whose window does not have its pane.
fn leaves(at: i64, size: &Size) -> i64 {
    (at.div_euclid(size.pane_ms) + size.panes) * size.pane_ms
}

fn stored<T: Datum>(value: &T) -> T {
    let mut to = Writer::new();
    value.write(&mut to);
    let bytes = to.into_bytes();
    T::read(&mut Reader::new(&bytes)).expect("what was written can be read")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn counts_agree_with_counting(size in sizes(), start in -50_i64..5_000_000_000, steps in matches()) {
        let (mut panes, mut all, mut now) = (Window::<u32>::default(), Vec::<i64>::new(), start);
        let mut held = false;
        for (step, late, times) in steps {
            now += step;
            let at = now - late;
            let joins = leaves(at, &size) > now;
            // Most stand for themselves alone.
            let times = usize::from(times % 8).saturating_sub(4).max(1);
            held &= panes.clears_at(&size).is_some_and(|clears| clears.0 > now);
            let joined = panes.add(SiteMs(at), times as u64, SiteMs(now), &size);
            prop_assert_eq!(joined.is_some(), joins);
            if joins {
                all.extend(std::iter::repeat_n(at, times));
            }
            all.sort_unstable();
            let inside = all.iter().filter(|at| leaves(**at, &size) > now).count();
            let holds = inside >= size.threshold as usize;
            let clears_at = panes.clears_at(&size).filter(|clears| clears.0 > now);
            let expected = holds.then(|| SiteMs(leaves(all[all.len() - size.threshold as usize], &size)));
            prop_assert_eq!(clears_at, expected, "at {} of {:?}", now, all);
            if let (true, false, Some(joined)) = (holds, held, joined) {
                prop_assert_eq!(joined, inside as u64, "it becomes true by this one");
            }
            held = holds;
            if let Some(newest) = all.last() {
                prop_assert_eq!(panes.newest_leaves_at(&size), SiteMs(leaves(*newest, &size)));
            }
            prop_assert_eq!(&stored(&panes), &panes);
            let reached = [size.threshold + 2, u64::MAX].iter().filter(|level| inside as u64 >= **level).count();
            prop_assert_eq!(usize::from(panes.levels_reached(SiteMs(now), &size)), reached);
            let most = (size.threshold as usize + 2).min(size.panes as usize + 1);
            prop_assert!(panes.len() <= most, "bounded by the threshold and by the window");
        }
    }

    #[test]
    fn values_agree_with_counting(at_least in 2_u32..6, within in 1_i64..80, start in -50_i64..5_000_000_000, steps in matches()) {
        let plan = distinct::Plan { field: 0, at_least, levels: [u64::from(at_least) + 1, u64::MAX], within_ms: within };
        let (mut values, mut all, mut now) = (distinct::State::default(), Vec::<(i64, u8)>::new(), start);
        for (step, late, value) in steps {
            now += step;
            let at = now - late;
            let joins = at > now - within;
            prop_assert_eq!(values.add([value; 16], SiteMs(at), SiteMs(now), &plan).is_some(), joins);
            if joins {
                all.push((at, value));
            }
            let mut newest: Vec<i64> = (0..6)
                .filter_map(|v| all.iter().filter(|(_, value)| *value == v).map(|(at, _)| *at).max())
                .collect();
            newest.sort_unstable_by(|a, b| b.cmp(a));
            let holds = newest.iter().filter(|at| **at > now - within).count() >= at_least as usize;
            let clears_at = values.clears_at(&plan).filter(|clears| clears.0 > now);
            prop_assert_eq!(clears_at, holds.then(|| SiteMs(newest[at_least as usize - 1] + within)));
            let inside = newest.iter().filter(|at| **at > now - within).count();
            prop_assert_eq!(kind::State::level(&values, &plan, SiteMs(now)), u8::from(inside > at_least as usize));
            prop_assert_eq!(&stored(&values), &values);
        }
    }
}

/// What windows say a while after their times went back is what they would have said as long after without that.
fn goes_back_alike(
    size: &Size,
    (start, ms): (i64, i64),
    steps: &[(i64, i64, u8)],
) -> Result<(), proptest::test_runner::TestCaseError> {
    let whole = ms.div_euclid(size.pane_ms) * size.pane_ms;
    let (mut there, mut back, mut now) = (Window::<u32>::default(), Window::<u32>::default(), start);
    let (mut all, mut gone) = (Vec::<i64>::new(), 0);
    for (nth, (step, late, _)) in steps.iter().enumerate() {
        now += step;
        if nth == steps.len() / 2 {
            back.go_back(ms, SiteMs(now), size);
            let empties_at = back.newest_leaves_at(size);
            prop_assert!(empties_at == SiteMs::MIN || empties_at.0 > now - whole);
            all.retain(|at| leaves(*at, size) > now);
            for at in &mut all {
                *at -= whole;
            }
            gone = ms;
        }
        let at = now - late - gone;
        if back.add(SiteMs(at), 1, SiteMs(now - gone), size).is_some() {
            all.push(at);
        }
        there.add(SiteMs(now - late), 1, SiteMs(now), size);
        all.sort_unstable();
        let inside = all.iter().filter(|at| leaves(**at, size) > now - gone).count();
        let holds = inside >= size.threshold as usize;
        let clears_at = back.clears_at(size).filter(|clears| clears.0 > now - gone);
        prop_assert_eq!(clears_at, holds.then(|| SiteMs(leaves(all[all.len() - size.threshold as usize], size))));
        if whole == ms {
            let expected = there.clears_at(size).filter(|clears| clears.0 > now).map(|clears| clears.plus(-gone));
            prop_assert_eq!(clears_at, expected);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn times_that_go_back_keep_their_distance(
        size in sizes(), start in 0_i64..5_000_000_000, ms in 1_i64..10_000_000, steps in matches()
    ) {
        goes_back_alike(&size, (start, ms), &steps)?;
    }
}

#[test]
fn a_window_survives_a_silence_longer_than_its_offsets() {
    let size = Size { threshold: 2, levels: [u64::MAX; 2], pane_ms: 1, panes: 600_000 };
    let mut panes = Window::<u32>::default();
    let year = 366 * 86_400_000;
    assert!(panes.add(SiteMs(0), 1, SiteMs(0), &size).is_some());
    assert!(panes.add(SiteMs(year), 1, SiteMs(year), &size).is_some());
    assert_eq!(panes.clears_at(&size), None, "the first match left the window a year ago");
    assert!(panes.add(SiteMs(year - 5), 1, SiteMs(year), &size).is_some());
    assert_eq!(panes.clears_at(&size), Some(SiteMs(year - 5 + 600_000)));
}

#[test]
fn a_match_that_stands_for_many_counts_as_many_and_overflows_nothing() {
    let size = Size { threshold: 20, levels: [u64::MAX; 2], pane_ms: 1, panes: 1_000 };
    let mut panes = Window::<u32>::default();
    assert_eq!(panes.add(SiteMs(0), 19, SiteMs(0), &size), Some(19));
    assert_eq!(panes.clears_at(&size), None);
    assert_eq!(panes.add(SiteMs(5), 1, SiteMs(5), &size), Some(20));
    assert_eq!((panes.total(), panes.clears_at(&size)), (20, Some(SiteMs(1_000))));
    for _ in 0..3 {
        assert!(panes.add(SiteMs(6), u64::from(u32::MAX), SiteMs(6), &size).is_some());
    }
    assert_eq!((panes.total(), panes.clears_at(&size)), (u64::from(u32::MAX), Some(SiteMs(1_006))));
    assert_eq!(stored(&panes), panes);
}
