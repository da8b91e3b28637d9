//! Fair between the sites and the channels of one tenant: counted in turns, not in seconds.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

mod common;

use std::collections::{BTreeMap, VecDeque};

use common::{
    START_MS, Store, answered, apply, channels, channels_set, commit, detection, restored, settings_of, started, tick,
};
use logystera_alerter::core::{About, Due, Planner};
use logystera_schemas::delivery::{Attempt, AttemptOutcome};
use logystera_schemas::detection::DetectionState;
use logystera_schemas::ids::Sha256Digest;
use logystera_schemas::limits::{ATTEMPTS_IN_FLIGHT_FAILING_MAX, DELIVERIES_KEPT, DELIVERIES_MAX};
use logystera_schemas::topic::DetectionsRecord;

fn fired(site: &str, seq: u64) -> DetectionsRecord {
    let mut found = detection("t", seq, DetectionState::Firing);
    found.site = site.parse().unwrap();
    found.chain = Sha256Digest::of(format!("{site} {seq}").as_bytes());
    found.id.0.copy_from_slice(&found.chain.0[..16]);
    found.last_evaluated_at = START_MS + 3_600_000;
    DetectionsRecord::Detection(Box::new(found))
}

fn start_all(planner: &mut Planner) -> Vec<Due> {
    let due: Vec<Due> = planner.due().collect();
    for one in &due {
        apply(planner, started(one, planner.wall()));
    }
    due
}

fn end(planner: &mut Planner, due: &Due, outcome: AttemptOutcome) {
    apply(planner, DetectionsRecord::AttemptEnded(answered(due, outcome, None)));
}

/// How many alerts of the storm leave behind a neighbour's, from when that is known: by a channel that takes several at
/// once, and by one that takes one a second; by a planner that is kept, and by one that is restored each time.
#[test]
fn a_neighbours_alert_does_not_wait_behind_the_storm_of_another_site() {
    for (channel, before_max, storm_min) in [("hook", 4, 50), ("slack", 1, 20)] {
        for (storm, neighbour) in [("a-site", "b-site"), ("b-site", "a-site")] {
            for is_restored in [false, true] {
                let (mut planner, mut store) = (Planner::new(), Store::new());
                apply(&mut planner, tick(0, START_MS));
                apply(&mut planner, channels("t", &[channel]));
                for seq in 1..=500 {
                    apply(&mut planner, fired(storm, seq));
                }
                let (mut in_the_air, mut sites) = (VecDeque::new(), Vec::new());
                for turn in 1..60 {
                    apply(&mut planner, tick(0, START_MS + turn * 2_000));
                    if turn % 10 == 0 {
                        apply(&mut planner, fired(neighbour, turn as u64));
                        sites.push("known".to_owned());
                    }
                    let due = start_all(&mut planner);
                    sites.extend(due.iter().map(|due| match due.about {
                        About::Digest(..) => "digest".to_owned(),
                        _ => due.detection.site.to_string(),
                    }));
                    in_the_air.extend(due);
                    // Answers come one by one.
                    if let Some(first) = in_the_air.pop_front() {
                        end(&mut planner, &first, AttemptOutcome::Delivered);
                    }
                    commit(&mut planner, &mut store);
                    if is_restored {
                        planner = restored(&store);
                    }
                }
                let waits: Vec<usize> = sites
                    .split(|site| site == "known")
                    .skip(1)
                    .map(|after| {
                        after.iter().position(|site| [neighbour, "digest"].contains(&site.as_str())).expect("it leaves")
                    })
                    .collect();
                assert_eq!(waits.len(), 5);
                assert!(waits.iter().all(|before| *before <= before_max), "{channel}, storm of {storm}: {waits:?}");
                let of_storm = sites.iter().filter(|site| *site == storm).count();
                assert!(of_storm > storm_min, "the storm goes on: {of_storm}");
            }
        }
    }
}

#[test]
fn channels_that_hang_leave_places_to_one_that_answers() {
    let mut ids: Vec<String> = (0..19).map(|i| format!("a{i:02}-hangs")).collect();
    ids.push("z-answers".to_owned());
    let mut planner = Planner::new();
    apply(&mut planner, tick(0, START_MS));
    apply(&mut planner, channels("t", &ids.iter().map(String::as_str).collect::<Vec<_>>()));
    for seq in 1..=50 {
        apply(&mut planner, fired("a-site", seq));
    }
    let mut hanging: VecDeque<(i64, Due)> = VecDeque::new();
    let (mut late, mut failing_max) = (Vec::<i64>::new(), 0);
    for turn in 0..400 {
        apply(&mut planner, tick(0, START_MS + turn * 1_000));
        apply(&mut planner, fired("a-site", 100 + turn as u64));
        // A channel that hangs ends after 15 turns.
        while hanging.front().is_some_and(|(since, _)| turn - since >= 15) {
            end(&mut planner, &hanging.pop_front().unwrap().1, AttemptOutcome::Timeout);
        }
        let mut has_left = false;
        loop {
            let due = start_all(&mut planner);
            if due.is_empty() {
                break;
            }
            for one in due {
                if one.channel.as_str() == "z-answers" {
                    has_left |= one.detection.seq >= 100;
                    end(&mut planner, &one, AttemptOutcome::Delivered);
                } else {
                    hanging.push_back((turn, one));
                }
            }
        }
        // By then each has hung once.
        if turn > 60 {
            failing_max = failing_max.max(hanging.len());
            late.extend((!has_left).then_some(turn));
        }
    }
    assert!(late.is_empty(), "nothing left by the channel that answers in turns {late:?}");
    assert_eq!(failing_max, ATTEMPTS_IN_FLIGHT_FAILING_MAX);
}

#[test]
fn a_channel_has_room_of_its_own_whatever_waits_for_another() {
    let mut planner = Planner::new();
    apply(&mut planner, tick(0, START_MS));
    let settings = |site: &str| (site[..1].to_owned(), settings_of(&[&format!("site={site}")]));
    apply(&mut planner, channels_set("t", &BTreeMap::from([settings("a-site"), settings("b-site")])));
    // How many are taken, and why the next is not; that nobody is told of it is the row behind that.
    let fill = |planner: &mut Planner, site: &str| {
        let refused =
            |seq| apply(planner, fired(site, seq)).into_iter().next().map(|row| (seq as usize - 1, row.reason));
        (1..).find_map(refused).unwrap()
    };
    assert_eq!(fill(&mut planner, "a-site"), (DELIVERIES_MAX, "queue_full".to_owned()));
    assert_eq!(fill(&mut planner, "b-site"), (DELIVERIES_KEPT, "queue_full".to_owned()));
    assert_eq!(planner.waiting(), DELIVERIES_MAX + DELIVERIES_KEPT);
    // One that leaves makes room for one.
    let due = planner.due().find(|due| due.channel.as_str() == "b").unwrap();
    let begun = started(&due, planner.wall());
    apply(&mut planner, begun);
    for (seq, refused) in [(1_000, 0), (1_001, 1)] {
        let rows = apply(&mut planner, fired("b-site", seq));
        assert_eq!(rows.iter().filter(|row| row.reason == "queue_full").count(), refused, "{seq}");
    }
}

/// Nothing leaves, and one site fills the channel. Another site's alerts take the places of its newest, as long as they are fewer; what
/// made room has its row, and nobody hears of its end.
#[test]
fn a_site_that_fills_a_channel_makes_room_for_another_one() {
    let mut planner = Planner::new();
    apply(&mut planner, tick(0, START_MS));
    apply(&mut planner, channels("t", &["hook"]));
    for seq in 1..=DELIVERIES_MAX as u64 {
        assert_eq!(apply(&mut planner, fired("storm", seq)), []);
    }
    let said = |rows: Vec<Attempt>| -> Vec<(String, u64, String)> {
        rows.into_iter().map(|row| (row.site.to_string(), row.seq, row.reason)).collect()
    };
    let lost = |seq: u64, reason: &str| ("storm".to_owned(), seq, reason.to_owned());
    let newest = DELIVERIES_MAX as u64;
    assert_eq!(said(apply(&mut planner, fired("storm", newest + 1)))[0], lost(newest + 1, "queue_full"));
    for seq in 1..=3 {
        let gone = newest + 1 - seq;
        let rows = said(apply(&mut planner, fired("blog", seq)));
        assert_eq!(rows, [lost(gone, "queue_full"), lost(gone, "nobody_told")], "{seq}");
        assert_eq!(planner.waiting(), DELIVERIES_MAX);
    }
    let mut over = match fired("storm", newest) {
        DetectionsRecord::Detection(found) => found,
        other => panic!("{other:?}"),
    };
    (over.state, over.seq) = (DetectionState::Resolved, newest + 2);
    assert_eq!(said(apply(&mut planner, DetectionsRecord::Detection(over))), [lost(newest + 2, "never_told")]);
    assert!(start_all(&mut planner).iter().any(|due| due.detection.site.as_str() == "blog"), "its turn comes");
    // Of two sites with as many neither makes room for the other.
    let mut planner = Planner::new();
    apply(&mut planner, tick(0, START_MS));
    apply(&mut planner, channels("t", &["hook"]));
    for seq in 1..=DELIVERIES_MAX as u64 / 2 {
        apply(&mut planner, fired("storm", seq));
        apply(&mut planner, fired("blog", seq));
    }
    for site in ["storm", "blog"] {
        let rows = said(apply(&mut planner, fired(site, newest)));
        assert_eq!(rows[0], (site.to_owned(), newest, "queue_full".to_owned()));
    }
}
