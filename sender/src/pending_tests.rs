//! The stream's side of the spool: limits, time order, and crashes at each step of a claim.

use std::collections::BTreeSet;

use super::*;
use crate::spool::tests::{copy, owner, signal, waiting};
use crate::state::Feed;

fn open(dir: &std::path::Path) -> Pending {
    Pending::open(Spool::open(dir, owner(), Feed::Follow, 60).unwrap().0).unwrap()
}

/// The spool as a sender finds it that starts after a crash at this moment. The folder lives as long as its guard.
fn after_crash(dir: &std::path::Path) -> (Pending, tempfile::TempDir) {
    let crashed = copy(dir);
    (open(crashed.path()), crashed)
}

/// Jobs of the signals in batches and of those that wait for one.
fn all_jobs(pending: &Pending) -> Vec<String> {
    let claimed = waiting(&pending.spool).into_values().flatten();
    let open = pending.signals.iter().map(|(s, _)| format!("j{}", s.line));
    claimed.chain(open).collect()
}

fn jobs(range: std::ops::RangeInclusive<u64>) -> Vec<String> {
    range.map(|i| format!("j{i}")).collect()
}

#[test]
fn signals_outlive_a_crash_before_and_after_their_claim() {
    let dir = tempfile::tempdir().unwrap();
    let mut pending = open(dir.path());
    for i in 1..=5 {
        assert!(pending.push(signal(i, i as i64), 1_000).unwrap());
    }
    pending.sync().unwrap();
    assert_eq!(all_jobs(&after_crash(dir.path()).0), jobs(1..=5));
    pending.claim(1_000, false).unwrap();
    pending.push(signal(6, 6), 1_000).unwrap();
    pending.sync().unwrap();
    let (again, _crashed) = after_crash(dir.path());
    assert_eq!(all_jobs(&again), jobs(1..=6));
    assert_eq!(again.len(), 1);
    assert_eq!(again.spool.state.enabled, BTreeSet::from(["cron.run".to_owned()]));
    // The claim spoke for everything up to 1,000: the next signal lies after it.
    assert_eq!(again.signals[0].0.at, 1_001);
    assert_eq!(again.spool.state.last_at, 1_001);
}

#[test]
fn a_claim_that_was_cut_short_loses_and_repeats_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut pending = open(dir.path());
    for i in 1..=1_500 {
        pending.push(signal(i, i as i64), 10_000).unwrap();
    }
    pending.sync().unwrap();
    let before = copy(dir.path());
    pending.claim(10_000, false).unwrap();
    assert_eq!((pending.len(), pending.spool.queue.len()), (500, 1));
    let file = |name: &str| (dir.path().join(name), before.path().join(name));

    // Step 1: the next open file is there, the batch is not.
    let (done, crashed) = file("open-000000000002.ndjson");
    fs::copy(done, crashed).unwrap();
    let (again, _crashed) = after_crash(before.path());
    assert_eq!(all_jobs(&again), jobs(1..=1_500));
    assert_eq!(again.len(), 1_500, "the claim did not happen");

    // Step 2: the batch is there, the state is not.
    let (done, crashed) = file("batches/000000000001.batch");
    fs::copy(done, crashed).unwrap();
    let (again, _crashed) = after_crash(before.path());
    assert_eq!(all_jobs(&again), jobs(1..=1_500));
    assert_eq!(again.len(), 500, "the claim did happen");
    assert_eq!(again.spool.state.last_through, 1_000);

    // Step 3: the state is there, the old open file too.
    let (done, crashed) = file("state.json");
    fs::copy(done, crashed).unwrap();
    let (again, _crashed) = after_crash(before.path());
    assert_eq!(all_jobs(&again), jobs(1..=1_500));
    assert!(!again.spool.dir.join("open-000000000001.ndjson").exists());
}

#[test]
fn a_line_that_was_cut_short_is_dropped_and_the_next_stands_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut pending = open(dir.path());
    pending.push(signal(1, 1), 10).unwrap();
    pending.push(signal(2, 2), 10).unwrap();
    let path = open_path(&pending.spool, 1);
    drop(pending);
    let text = fs::read(&path).unwrap();
    fs::write(&path, &text[..text.len() - 5]).unwrap();
    let mut again = open(dir.path());
    again.push(signal(3, 3), 10).unwrap();
    drop(again);
    assert_eq!(all_jobs(&open(dir.path())), ["j1", "j3"]);
}

#[test]
fn halving_a_batch_does_not_touch_what_waits() {
    let dir = tempfile::tempdir().unwrap();
    let mut pending = open(dir.path());
    for i in 1..=4 {
        pending.push(signal(i, i as i64), 10).unwrap();
    }
    pending.claim(10, false).unwrap();
    pending.push(signal(5, 5), 20).unwrap();
    assert!(pending.spool.split(1).unwrap());
    pending.push(signal(6, 6), 20).unwrap();
    pending.sync().unwrap();
    let (mut again, _crashed) = after_crash(dir.path());
    assert_eq!(all_jobs(&again), jobs(1..=6));
    again.claim(20, false).unwrap();
    assert_eq!(all_jobs(&again), jobs(1..=6));
    assert_eq!(again.spool.queue, [2, 3, 4]);
}

#[test]
fn a_full_spool_drops_what_comes_and_tells_of_it_later() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path(), owner(), Feed::Follow, 60).unwrap().0;
    let room = (entry(&signal(1, 1)).len() * 3) as u64;
    let mut pending = Pending::with_limit(spool, room).unwrap();
    let taken: Vec<bool> = (1..=5).map(|i| pending.push(signal(i, 1), 10).unwrap()).collect();
    assert_eq!(taken, [true, true, true, false, false]);
    pending.sync().unwrap();
    let (mut again, _crashed) = after_crash(dir.path());
    assert_eq!(again.spool.state.totals.overflow, 2, "the count outlives a crash");
    again.claim(50, false).unwrap();
    assert_eq!(all_jobs(&again), ["j1", "j2", "j3", "-"]);
    let json = again.spool.load(1).unwrap().json().unwrap();
    assert!(
        json.ends_with(r#"{"type":"integration.dropped","at":50,"count":2,"dropped_type":"cron.run","reason":"overflow","since":1}]}"#),
        "{json}"
    );
    again.claim(60, false).unwrap();
    let json = again.spool.load(2).unwrap().json().unwrap();
    assert!(json.starts_with(r#"{"through":60,"#) && json.ends_with(r#""signals":[]}"#), "a heartbeat: {json}");
}

#[test]
fn a_clock_that_was_ahead_holds_nothing_back_and_keeps_the_order() {
    const AHEAD: i64 = 14 * 366 * 86_400_000;
    let dir = tempfile::tempdir().unwrap();
    let mut pending = open(dir.path());
    pending.push(signal(1, 1_000), 1_000).unwrap();
    pending.push(signal(2, AHEAD), AHEAD).unwrap();
    pending.push(signal(3, 2_000), 2_000).unwrap();
    pending.sync().unwrap();
    let (mut again, _crashed) = after_crash(dir.path());
    again.push(signal(4, 3_000), 3_000).unwrap();
    again.claim(4_000, false).unwrap();
    let json: serde_json::Value = serde_json::from_str(&again.spool.load(1).unwrap().json().unwrap()).unwrap();
    let times: Vec<_> = json["signals"].as_array().unwrap().iter().map(|s| s["at"].as_i64().unwrap()).collect();
    assert_eq!((times, json["through"].as_i64()), (vec![1_000, 2_000, 2_000, 3_000], Some(4_000)));

    // A batch that was claimed while the clock was ahead speaks for no more than its time.
    again.claim(AHEAD, false).unwrap();
    again.push(signal(5, 5_000), 5_000).unwrap();
    again.claim(6_000, false).unwrap();
    let json = again.spool.load(3).unwrap().json().unwrap();
    assert!(json.starts_with(r#"{"through":6000,"#) && json.contains(r#""at":5001,"#), "{json}");
}

#[test]
fn only_a_claim_that_leaves_nothing_behind_ends_the_spool() {
    let dir = tempfile::tempdir().unwrap();
    let mut pending = open(dir.path());
    for i in 1..=1_001 {
        pending.push(signal(i, i as i64), 10_000).unwrap();
    }
    assert_eq!([pending.claim(10_000, true).unwrap(), pending.claim(10_000, true).unwrap()], [false, true]);
    let says: Vec<bool> =
        [1, 2].iter().map(|seq| pending.spool.load(*seq).unwrap().json().unwrap().contains("\"ends\":true")).collect();
    assert_eq!(says, [false, true]);
}
