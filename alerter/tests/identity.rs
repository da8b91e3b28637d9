//! What names a delivery, and what it tells: nothing that another history of the same log can have too.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

mod common;

use std::collections::BTreeSet;

use common::{Store, apply, channels, commit, detection, ended, line_of, restored, started};
use logystera_alerter::core::retry::delivery_id;
use logystera_alerter::core::{AttemptRef, Due, Planner};
use logystera_schemas::delivery::AttemptOutcome;
use logystera_schemas::detection::{Detection, DetectionState};
use logystera_schemas::ids::Sha256Digest;
use logystera_schemas::topic::DetectionsRecord;

/// A site's first detections, linked as the engine links them.
fn history(counts: &[u64]) -> Vec<Detection> {
    let mut chain = Detection::genesis(&"t-site".parse().unwrap());
    let mut link = |(seq, count): (u64, &u64)| {
        let mut found = detection("t", seq, DetectionState::Firing);
        found.count = *count;
        found.chain = Sha256Digest([0; 32]);
        found.chain = found.link(&chain);
        chain = found.chain;
        found
    };
    (1..).zip(counts).map(&mut link).collect()
}

#[test]
fn a_log_that_was_set_back_and_went_on_otherwise_has_other_keys() {
    let (before, after) = (history(&[5, 6, 7]), history(&[5, 9, 7]));
    let of = |detection: &Detection| delivery_id(detection, "a", None);
    assert_eq!(of(&before[0]), of(&after[0]), "what both have is the same alert");
    assert_ne!(of(&before[1]), of(&after[1]), "the same number, another detection");
    assert_ne!(of(&before[2]), of(&after[2]), "the same detection but for what was before it");
    let other = "other".parse().unwrap();
    let all: BTreeSet<_> = before
        .iter()
        .flat_map(|d| [delivery_id(d, "", None), of(d), delivery_id(d, "b", None), delivery_id(d, "a", Some(&other))])
        .collect();
    assert_eq!(all.len(), 12, "each channel and each kind of message has its own");
}

/// A site that was closed and came back numbers its detections from 1 again.
#[test]
fn two_detections_with_one_number_are_told_each_as_it_is() {
    let (mut planner, mut store) = (Planner::new(), Store::new());
    apply(&mut planner, channels("t", &["a"]));
    let first = line_of(detection("t", 1, DetectionState::Firing), "x", 1, 0);
    let mut second = line_of(detection("t", 1, DetectionState::Firing), "y", 2, 0);
    second.chain = Sha256Digest([9; 32]);
    for found in [&first, &second] {
        apply(&mut planner, DetectionsRecord::Detection(Box::new(found.clone())));
        commit(&mut planner, &mut store);
    }
    for mut planner in [restored(&store), planner] {
        let due: Vec<Due> = planner.due().collect();
        let told: Vec<&Detection> = due.iter().map(|d| &*d.detection).collect();
        assert_eq!(told, [&first, &second]);
        let Due { tenant, delivery, attempt, .. } = due[0].clone();
        let start = started(&due[0], planner.wall());
        apply(&mut planner, start);
        let attempt = AttemptRef { tenant, delivery, attempt };
        let rows = apply(&mut planner, ended(&attempt, AttemptOutcome::Delivered, Some(200), None));
        assert_eq!(rows[0].detection, first.id);
        assert_eq!(planner.due().map(|d| d.detection.id).collect::<Vec<_>>(), [second.id]);
    }
}
