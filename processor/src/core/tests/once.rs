//! Tries every cell of the table of `docs/transitions.md` about rules that tell each match.

use logystera_schemas::detection::{DetectionReason, DetectionState};
use logystera_schemas::time::SiteMs;

use crate::core::episode::{Episode, Event, Spans};
use crate::core::once::Once;

const NOW: SiteMs = SiteMs(1_000_000);
const AT: SiteMs = SiteMs(999_000);
const LATER: SiteMs = SiteMs(2_000_000);
const SUPPRESS_MS: i64 = 60_000;

fn state(name: &str) -> Episode {
    let runs = Episode { suppressed_until: Some(LATER), ..Episode::default() };
    match name {
        "free" => Episode::default(),
        "quiet" => runs,
        "holding" => Episode { held: 2, count: 7, started_at: SiteMs(5), ..runs },
        other => panic!("no such state: {other}"),
    }
}

fn name(episode: &Episode) -> &'static str {
    match (episode.suppressed_until, episode.held) {
        (None, 0) => "free",
        (Some(_), 0) => "quiet",
        _ => "holding",
    }
}

fn emitted(once: Once) -> &'static str {
    match (once.state, once.reason) {
        (DetectionState::Firing, DetectionReason::Firing) => "firing",
        (DetectionState::Suppressed, DetectionReason::Firing) => "suppressed",
        (DetectionState::Firing, DetectionReason::SuppressionExpired) => "expired",
        (DetectionState::Firing, DetectionReason::RuleChanged) => "told",
        other => panic!("never emitted: {other:?}"),
    }
}

fn cell(from: &str, column: usize) -> (String, Option<Once>) {
    let mut episode = state(from);
    let once = match column {
        0 => Some(episode.happen(AT, 3, NOW, SUPPRESS_MS)),
        1 => Some(episode.happen(AT, 3, NOW, 0)),
        2 => episode.tell_held(NOW, SUPPRESS_MS),
        _ => episode.take_held(DetectionReason::RuleChanged),
    };
    if once.is_some_and(|once| once.state == DetectionState::Firing) {
        let runs = column == 0 || column == 2;
        let until = if runs { Some(NOW.plus(SUPPRESS_MS)) } else { state(from).suppressed_until };
        assert_eq!(episode.suppressed_until, until, "{from}, column {column}");
    }
    let cell = match once {
        None if episode == state(from) => "–".to_owned(),
        None => name(&episode).to_owned(),
        // The group goes.
        Some(once) if column == 3 => format!("! {}", emitted(once)),
        Some(once) => format!("{} ! {}", name(&episode), emitted(once)),
    };
    (cell, once)
}

#[test]
fn every_cell_of_the_published_table_of_each() {
    let doc = include_str!("../../../../docs/transitions.md");
    let rows: Vec<Vec<&str>> = doc
        .lines()
        .skip_while(|line| !line.starts_with("| state | a match |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows.len(), 3, "a row for each state");
    for row in rows {
        assert_eq!(row.len(), 5);
        for (column, published) in row[1..].iter().enumerate() {
            // A suppression that does not run can't end.
            if column == 2 && row[0] == "free" {
                assert_eq!(*published, "–");
                continue;
            }
            assert_eq!(cell(row[0], column).0, *published, "{}, column {column}", row[0]);
        }
    }
}

/// What the table does not show: counts, and when it happened.
#[test]
fn what_is_told_is_about_one_match_or_about_all_that_were_held_back() {
    let said = |from, column| cell(from, column).1.map(|once| (once.count, once.held, once.started_at));
    for (from, column, expected) in [
        ("free", 0, Some((3, 0, AT))),
        ("quiet", 0, Some((3, 1, AT))),
        ("holding", 0, Some((3, 3, AT))),
        ("holding", 2, Some((7, 2, SiteMs(5)))),
        ("holding", 3, Some((7, 2, SiteMs(5)))),
        ("quiet", 3, None),
    ] {
        assert_eq!(said(from, column), expected, "{from}, column {column}");
    }
    let mut held = state("holding");
    held.happen(AT, 3, NOW, SUPPRESS_MS);
    let told = held.tell_held(LATER, SUPPRESS_MS);
    assert_eq!(told.map(|once| (once.count, once.held, once.started_at)), Some((10, 3, SiteMs(5))));
    let mut late = state("holding");
    late.happen(SiteMs(1), 1, NOW, SUPPRESS_MS);
    assert_eq!(late.tell_held(LATER, 0).map(|once| once.started_at), Some(SiteMs(1)), "the oldest of them");
    assert_eq!((late.held, late.count, late.suppressed_until), (0, 0, None));
}

/// The machine of episodes leaves such a match alone: a group's rule says which of the two it goes by.
#[test]
fn an_episode_knows_nothing_of_it() {
    let spans = Spans { for_ms: 0, suppress_ms: SUPPRESS_MS, resolve_after_ms: 0, worse_after_ms: Default::default() };
    let mut episode = state("free");
    assert_eq!(episode.step(Event::Happened { at: AT, count: 1 }, NOW, &spans), None);
    assert_eq!(episode, state("free"));
}
