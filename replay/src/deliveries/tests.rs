//! What is told of delivery histories that were altered.

use std::collections::BTreeMap;
use std::sync::Arc;

use logystera_alerter::core::SEMANTICS;
use logystera_infra::directory::Directory;
use logystera_schemas::delivery::{Attempt, AttemptOutcome};
use logystera_schemas::limits::REPLAY_ROWS_AHEAD_MAX;
use logystera_schemas::topic::Topic;

use super::log_tests::{FIRST, Filled, Log, START_MS, TENANTS, part_of};
use super::verify_deliveries;
use crate::rows::Rows;
use crate::{Asked, Question, TenantRows, Unjudged};

/// What is told of a log.
fn told(log: &Log, question: Question) -> Vec<String> {
    let asked = Asked::new(log, Arc::new(Directory::default()), question).unwrap();
    let seen = verify_deliveries(&asked).unwrap();
    let mut told: Vec<String> = seen.tenants.iter().map(|(tenant, rows)| format!("{tenant} {}", said(rows))).collect();
    for (count, what) in [(seen.unrecorded, "due"), (seen.gone, "gone")] {
        if count > 0 {
            told.push(format!("{count} {what}"));
        }
    }
    told
}

fn said(rows: &TenantRows) -> String {
    if let Some(found) = &rows.difference {
        let row = found.number.map_or("a row".to_owned(), |number| format!("row {number}"));
        let what = found.what.split(" is ").next().filter(|what| what.ends_with("chain value"));
        return format!("{row}: {}", what.unwrap_or(&found.what));
    }
    let numbers = rows.chain.numbers.map_or(String::new(), |(first, last)| format!(" {first}-{last}"));
    let unlinked = if rows.chain.unlinked > 0 { format!(" behind {}", rows.chain.unlinked) } else { String::new() };
    match rows.unjudged {
        None => format!("linked{numbers}{unlinked} planned {}", rows.planned),
        Some(Unjudged::BeginningGone) => format!("linked{numbers}{unlinked} beginning gone"),
        Some(Unjudged::OtherVersion) => format!("linked{numbers}{unlinked} other version"),
    }
}

const OTHER_ROW_5_AT_9: &str = "acme row 5: at offset 9 of topic attempts: the replay gives other values of at, channel, delivery, \
     next_attempt_at, outcome, reason, state, status";
const OTHER_ROW_6_AT_8: &str = "acme row 6: at offset 8 of topic attempts: the replay gives other values of at, channel, delivery, \
     next_attempt_at, outcome, reason, state, status";
const OTHER_ROW_5_AT_7: &str = "acme row 5: at offset 7 of topic attempts: the replay gives other values of at, channel, delivery, \
     next_attempt_at, outcome, reason, state, status";
const ACME: &str = "acme linked 1-25 planned 25";
const BETA: &str = "beta linked 1-25 planned 25";

#[test]
fn an_untouched_history_is_what_the_planner_gives() {
    let log = Filled::new().log;
    assert_eq!(told(&log, Question::default()), [ACME, BETA]);
    assert!(log.rows.len() == 3 && log.rows.values().all(|rows| !rows.is_empty()), "both generations have rows");
    assert!(log.rows.values().flatten().all(|row| row.semantics == SEMANTICS));
    let outcomes = log.rows.values().flatten().filter(|row| row.outcome == Some(AttemptOutcome::Failed)).count();
    assert!(outcomes > 3, "attempts fail and are made again");
}

/// What is done to a log, and what is told of it.
type Case = (&'static str, fn(&mut Log), &'static [&'static str]);

fn check_all(cases: &[Case]) {
    let mut wrong = Vec::new();
    for (what, alter, expected) in cases {
        let mut log = Filled::new().log;
        alter(&mut log);
        let said = told(&log, Question::default());
        if said != *expected {
            wrong.push(format!("{what}: {said:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn altered(log: &mut Log) {
    log.rows_of("acme").nth(4).unwrap().reason = "other".to_owned();
}

fn taken_out(log: &mut Log) {
    let place = log.place("acme", 5);
    log.rows.get_mut(&FIRST).unwrap().remove(place);
}

fn doubled(log: &mut Log) {
    let place = log.place("acme", 5);
    let rows = log.rows.get_mut(&FIRST).unwrap();
    rows.insert(place, rows[place].clone());
}

fn moved(log: &mut Log) {
    let (one, other) = (log.place("acme", 5), log.place("acme", 6));
    log.rows.get_mut(&FIRST).unwrap().swap(one, other);
}

fn last_taken_out(log: &mut Log) {
    let rows = log.rows.get_mut(&part_of("acme", 1)).unwrap();
    let place = rows.iter().rposition(|row| row.tenant.as_str() == "acme").unwrap();
    rows.remove(place);
}

fn one_more(log: &mut Log) {
    let newest = log.rows_of("acme").last().unwrap().clone();
    log.rows.get_mut(&part_of("acme", 1)).unwrap().push(newest);
    log.mend("acme", 0);
}

fn mended(alter: fn(&mut Log), log: &mut Log) {
    alter(log);
    log.mend("acme", 0);
}

#[test]
fn what_was_altered_taken_out_doubled_or_moved_is_found() {
    check_all(&[
        ("a value", altered, &["acme row 5: at offset 7 of topic attempts: its chain value", BETA]),
        (
            "a value, and its links are mended",
            |log| mended(altered, log),
            &["acme row 5: at offset 7 of topic attempts: the replay gives other values of reason", BETA],
        ),
        (
            "a row is taken out",
            taken_out,
            &["acme row 6: at offset 9 of topic attempts: row 5 is missing before it", BETA],
        ),
        ("the same, mended", |log| mended(taken_out, log), &[OTHER_ROW_5_AT_9, BETA]),
        ("a row is doubled", doubled, &["acme row 5: at offset 8 of topic attempts: it stands behind row 5", BETA]),
        ("the same, mended", |log| mended(doubled, log), &[OTHER_ROW_6_AT_8, BETA]),
        (
            "two rows change places",
            moved,
            &["acme row 6: at offset 7 of topic attempts: row 5 is missing before it", BETA],
        ),
        ("the same, mended", |log| mended(moved, log), &[OTHER_ROW_5_AT_7, BETA]),
        (
            "the last row is taken out",
            last_taken_out,
            &["acme row 25: the replay finds it, and topic attempts does not have it", BETA],
        ),
        (
            "one row is put behind the last",
            one_more,
            &["acme row 26: it stands at offset 16 of topic attempts, and the replay does not find it", BETA],
        ),
    ]);
}

/// The rows of before behind which the chain begins.
fn of_before(log: &mut Log) {
    log.unlinked = 9;
    let before = log.rows[&FIRST][..9].to_vec();
    for tenant in TENANTS {
        log.mend(tenant, before.iter().filter(|row| row.tenant.as_str() == tenant).count());
    }
}

#[test]
fn what_cannot_be_proved_is_not_called_proved() {
    check_all(&[
        (
            "rows of before",
            of_before,
            &["acme linked 1-20 behind 5 planned 25", "beta linked 1-21 behind 4 planned 25"],
        ),
        (
            "rows of before that this version plans otherwise",
            |log| {
                of_before(log);
                log.rows_of("acme").nth(1).unwrap().reason = "other".to_owned();
            },
            &["acme linked 1-20 behind 5 other version", "beta linked 1-21 behind 4 planned 25"],
        ),
        (
            "a row behind them was altered, and its links are mended",
            |log| {
                log.rows_of("acme").nth(9).unwrap().reason = "other".to_owned();
                of_before(log);
            },
            &[
                "acme row 5: at offset 0 of topic attempts: the replay gives other values of reason",
                "beta linked 1-21 behind 4 planned 25",
            ],
        ),
        (
            "the beginning of detections is gone",
            |log| log.cut(Topic::Detections, 2),
            &["acme linked 1-25 beginning gone", "beta linked 1-25 beginning gone"],
        ),
        (
            "the same, and a row was altered",
            |log| {
                log.cut(Topic::Detections, 2);
                altered(log);
            },
            &["acme row 5: at offset 7 of topic attempts: its chain value", "beta linked 1-25 beginning gone"],
        ),
        (
            "the beginning of attempts is gone",
            |log| log.cut(Topic::Attempts, 5),
            &["acme linked 4-25 planned 22", "beta linked 3-25 planned 23", "5 gone"],
        ),
        (
            "all of a generation of attempts is gone",
            |log| log.cut(Topic::Attempts, u64::MAX),
            &["acme linked 10-25 planned 16", "beta linked 10-25 planned 16", "18 gone"],
        ),
        (
            "the beginning of attempts is gone, and a row was altered",
            |log| {
                log.cut(Topic::Attempts, 5);
                log.rows_of("acme").nth(7).unwrap().reason = "other".to_owned();
                log.mend("acme", 0);
            },
            &[
                "acme row 8: at offset 14 of topic attempts: the replay gives other values of reason",
                "beta linked 3-25 planned 23",
                "5 gone",
            ],
        ),
        (
            "the alerter has not come to the last rows",
            |log| {
                last_taken_out(log);
                last_taken_out(log);
                log.position = 3;
            },
            &["acme linked 1-23 planned 23", BETA, "2 due"],
        ),
    ]);
}

#[test]
fn what_came_before_the_time_that_was_asked_for_is_linked_and_not_compared() {
    let mut log = Filled::new().log;
    altered(&mut log);
    log.mend("acme", 0);
    let later = Question { from_ms: Some(START_MS + 12_000), ..Question::default() };
    assert_eq!(told(&log, later), [ACME, BETA]);
}

/// More rows that nobody gives than a replay reads ahead: it does not keep them.
#[test]
fn rows_that_are_not_given_are_not_kept_without_end() {
    for (count, is_blamed) in [(REPLAY_ROWS_AHEAD_MAX, false), (REPLAY_ROWS_AHEAD_MAX + 8, true)] {
        let mut log = Filled::new().log;
        let found = log.rows[&FIRST][0].clone();
        let stranger = Attempt { tenant: "zeta".parse().unwrap(), ..found };
        let mut strangers = vec![stranger; count];
        let rows = log.rows.get_mut(&FIRST).unwrap();
        strangers.append(rows);
        *rows = strangers;
        log.mend("zeta", 0);
        let (mut rows, mut tenants) = (Rows::new(&log, FIRST, None, false).unwrap(), BTreeMap::new());
        let first = rows.next_of(&"acme".parse().unwrap(), &mut tenants).unwrap().unwrap();
        assert_eq!((first.offset as usize, first.row.number), (count, 1));
        assert_eq!(tenants["zeta"].difference.is_some(), is_blamed, "{count} rows");
    }
}
