//! Alerts of two revisions beside each other: cases by hand, and drawn ones beside a comparison that knows the whole story.

mod common;

use logystera_backtest::core::{Alerts, Counts, Difference, Side, What};
use logystera_schemas::detection::{Detection, DetectionReason, DetectionState};
use logystera_schemas::ids::EpisodeId;
use proptest::prelude::*;

use common::{detection, naive};

/// What happens to an alert: its side, its group, when, and whether it begins.
type Step = (Side, u8, i64, bool);

/// Detections of steps in the order of time. Each beginning is an episode of its own.
fn told(steps: &[Step]) -> Vec<(Side, Detection)> {
    let mut newest = std::collections::BTreeMap::new();
    let mut told = Vec::new();
    for (episode, (side, group, at, begins)) in (0_u8..).zip(steps) {
        if *begins {
            newest.insert((*side, *group), episode);
        }
        let state = if *begins { DetectionState::Firing } else { DetectionState::Resolved };
        let mut detection = detection(&format!("g{group}"), state, *at);
        detection.id = EpisodeId([newest[&(*side, *group)]; 16]);
        told.push((*side, detection));
    }
    told
}

/// Compares them as they come: what both told of one time is one record.
fn compared(told: &[(Side, Detection)]) -> (Counts, Vec<Difference>) {
    let (mut alerts, mut found) = (Alerts::default(), Vec::new());
    let mut before = None;
    for (side, detection) in told {
        if before.replace(detection.last_evaluated_at).is_some_and(|at| at != detection.last_evaluated_at) {
            alerts.settle(&mut found);
        }
        alerts.take(*side, detection, &mut found);
    }
    alerts.settle(&mut found);
    alerts.finish(&mut found);
    assert_eq!(alerts.open(), 0, "nothing is kept of what is over");
    (*alerts.together(), found)
}

const OLD: Side = Side::Old;
const NEW: Side = Side::New;

#[test]
fn an_alert_is_the_same_new_gone_earlier_or_later() {
    let minute = 60_000;
    let cases: [(&str, &[Step], [u64; 5]); 9] = [
        ("both at one time", &[(OLD, 0, 0, true), (NEW, 0, 0, true)], [1, 0, 0, 0, 0]),
        ("only the new one", &[(NEW, 0, 0, true), (NEW, 0, minute, false)], [0, 1, 0, 0, 0]),
        ("only the old one, and it is still open", &[(OLD, 0, 0, true)], [0, 0, 1, 0, 0]),
        ("the new one earlier", &[(NEW, 0, 0, true), (OLD, 0, minute, true)], [0, 0, 0, 1, 0]),
        ("the new one later", &[(OLD, 0, 0, true), (NEW, 0, minute, true)], [0, 0, 0, 0, 1]),
        (
            "the new one when the old one is over",
            &[(OLD, 0, 0, true), (OLD, 0, minute, false), (NEW, 0, 2 * minute, true)],
            [0, 1, 1, 0, 0],
        ),
        (
            "the new one as the old one ends: it had begun before that was over",
            &[(OLD, 0, 0, true), (OLD, 0, minute, false), (NEW, 0, minute, true)],
            [0, 0, 0, 0, 1],
        ),
        ("of another group", &[(OLD, 0, 0, true), (NEW, 1, 0, true)], [0, 1, 1, 0, 0]),
        (
            "two short ones of the old rule are one long one of the new",
            &[
                (OLD, 0, 0, true),
                (NEW, 0, 0, true),
                (OLD, 0, minute, false),
                (OLD, 0, 2 * minute, true),
                (OLD, 0, 3 * minute, false),
                (NEW, 0, 3 * minute, false),
            ],
            [1, 0, 1, 0, 0],
        ),
    ];
    for (what, steps, expected) in cases {
        let mut told = told(steps);
        told.sort_by_key(|(side, detection)| (detection.last_evaluated_at, *side));
        let (Counts { same, new, gone, earlier, later, .. }, _) = compared(&told);
        assert_eq!([same, new, gone, earlier, later], expected, "{what}");
    }
}

#[test]
fn reminders_overflows_and_what_nobody_was_told_are_no_alerts() {
    let mut overflow = detection("g0", DetectionState::Firing, 0);
    overflow.reason = DetectionReason::Overflow;
    let suppressed = detection("g0", DetectionState::Suppressed, 0);
    let (one, mut again) =
        (detection("g0", DetectionState::Firing, 0), detection("g0", DetectionState::Firing, 60_000));
    again.reason = DetectionReason::SuppressionExpired;
    let end = detection("g1", DetectionState::Resolved, 60_000);
    let (counts, found) = compared(&[(NEW, overflow), (OLD, suppressed), (NEW, one), (NEW, again), (NEW, end)]);
    assert_eq!(counts, Counts { new: 1, ..Counts::default() });
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].what, found[0].alert.told_at), (What::New, 0));
}

#[test]
fn what_is_told_by_itself_is_the_same_only_if_both_tell_it_at_one_time() {
    let once = |group: u8, at: i64| {
        let mut told = detection(&format!("g{group}"), DetectionState::Firing, at);
        (told.id, told.once) = (EpisodeId([at as u8; 16]), true);
        told
    };
    let both = [(OLD, once(0, 1)), (NEW, once(0, 1)), (OLD, once(0, 2)), (NEW, once(0, 3)), (NEW, once(0, 4))];
    let (counts, _) = compared(&both);
    assert_eq!(counts, Counts { same: 1, gone: 1, new: 2, ..Counts::default() });
}

proptest! {
    #[test]
    fn what_is_said_as_alerts_come_is_what_the_whole_story_says(
        drawn in proptest::collection::vec((any::<bool>(), 0..3_u8, 0..3_i64), 0..60)
    ) {
        let (mut at, mut open, mut steps) = (0, std::collections::BTreeSet::new(), Vec::new());
        for (is_new, group, gap) in drawn {
            at += gap;
            let side = if is_new { NEW } else { OLD };
            let begins = open.insert((side, group));
            if !begins {
                open.remove(&(side, group));
            }
            steps.push((side, group, at, begins));
        }
        let mut told = told(&steps);
        told.sort_by_key(|(side, detection)| (detection.last_evaluated_at, *side));
        let (counts, found) = compared(&told);
        let mut said: Vec<_> = found.iter().map(|Difference { alert, what }| {
            let what = match what {
                What::New => "new".to_owned(),
                What::Gone => "gone".to_owned(),
                What::Earlier(ms) => format!("-{ms}"),
                What::Later(ms) => ms.to_string(),
            };
            (format!("shop mail-delivery-failing {}", alert.message), alert.told_at, what)
        }).collect();
        said.sort();
        prop_assert_eq!(said, naive(&told));
        let begun = told.iter().filter(|(_, d)| d.state == DetectionState::Firing).count() as u64;
        prop_assert_eq!(2 * (counts.same + counts.earlier + counts.later) + counts.new + counts.gone, begun);
    }
}
