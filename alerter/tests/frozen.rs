//! What a message says is what it said when it was first tried.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

mod common;

use common::{START_MS, Store, apply, channels, commit, detection, ended, line_of, restored, tick};
use logystera_alerter::core::{AttemptRef, Due, Frozen, Planner};
use logystera_schemas::alert::NamedSite;
use logystera_schemas::delivery::{AttemptOutcome, AttemptStarted};
use logystera_schemas::detection::{Detection, DetectionState};
use logystera_schemas::time::WallMs;
use logystera_schemas::topic::DetectionsRecord;

fn told(detection: Detection) -> DetectionsRecord {
    DetectionsRecord::Detection(Box::new(detection))
}

/// An alert that began and is over before its channel was told: its one message tells both.
fn began_and_over() -> Planner {
    let mut planner = Planner::new();
    apply(&mut planner, tick(0, START_MS));
    apply(&mut planner, channels("t", &["a"]));
    apply(&mut planner, told(line_of(detection("t", 1, DetectionState::Firing), "x", 1, START_MS)));
    apply(&mut planner, told(line_of(detection("t", 2, DetectionState::Resolved), "x", 1, START_MS + 1)));
    planner
}

fn only_due(planner: &Planner) -> Due {
    let mut due = planner.due();
    let first = due.next().unwrap();
    assert_eq!(due.next(), None);
    first
}

fn frozen(due: &Due, name: &str) -> Frozen {
    let site = NamedSite { site: due.detection.site.clone(), name: name.to_owned(), url: None, labels: Vec::new() };
    let (public_url, merged) = ("https://in.example".to_owned(), due.merged());
    Frozen { public_url, sites: vec![site], merged, advised: true }
}

/// Starts it, and loses its outcome: the channel may know by now what it was told.
fn try_and_lose(planner: &mut Planner, due: &Due, frozen: Option<Frozen>, at_ms: i64) {
    let (tenant, delivery, attempt, at) = (due.tenant.clone(), due.delivery, due.attempt, planner.wall());
    let started = AttemptStarted { tenant: tenant.clone(), delivery, attempt, at, frozen };
    assert_eq!(apply(planner, DetectionsRecord::AttemptStarted(started)).len(), 1);
    apply(planner, ended(&AttemptRef { tenant, delivery, attempt }, AttemptOutcome::Unknown, None, None));
    apply(planner, tick(0, at_ms));
}

#[test]
fn each_try_says_what_the_first_one_said_whatever_was_learnt_or_changed_since() {
    let mut planner = began_and_over();
    let first = only_due(&planner);
    assert!(first.frozen.is_none() && first.merged.untold && first.merged.firings == 1, "{:?}", first.merged);
    let said = frozen(&first, "Shop");
    try_and_lose(&mut planner, &first, Some(said.clone()), START_MS + 60_000);

    let second = only_due(&planner);
    assert_eq!((second.attempt, second.delivery), (2, first.delivery));
    assert_eq!((second.frozen.as_deref(), second.merged), (Some(&said), first.merged));
    // What a later attempt says of it changes nothing.
    try_and_lose(&mut planner, &second, Some(frozen(&second, "Renamed")), START_MS + 600_000);
    assert_eq!(only_due(&planner).frozen.as_deref(), Some(&said));

    // Nor does another process.
    let mut store = Store::new();
    commit(&mut planner, &mut store);
    let third = only_due(&restored(&store));
    assert_eq!((third.attempt, third.frozen.as_deref(), third.merged), (3, Some(&said), first.merged));
}

/// A delivery that a version before tried says from its next attempt on what that one says.
#[test]
fn what_was_tried_by_a_version_before_is_frozen_at_its_next_attempt() {
    let mut planner = began_and_over();
    let first = only_due(&planner);
    try_and_lose(&mut planner, &first, None, START_MS + 60_000);
    let second = only_due(&planner);
    assert!(second.frozen.is_none() && !second.merged.untold, "the channel may know of it by now");
    let said = frozen(&second, "Shop");
    try_and_lose(&mut planner, &second, Some(said.clone()), START_MS + 600_000);
    assert_eq!(only_due(&planner).frozen.as_deref(), Some(&said));
    assert_eq!(planner.wall(), WallMs(START_MS + 600_000));
}
