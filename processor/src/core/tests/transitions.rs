//! Tries every cell of the transition table in `docs/transitions.md` on the real machine.

use logystera_schemas::detection::{DetectionReason, DetectionState};
use logystera_schemas::limits::REMINDERS_MAX;
use logystera_schemas::time::SiteMs;

use crate::core::episode::{Episode, Event, Phase, Spans};

const NOW: SiteMs = SiteMs(1_000_000);
const LATER: SiteMs = SiteMs(2_000_000);

/// A group in the state of that name, as it would be at `NOW`.
fn state(name: &str) -> Episode {
    let words: Vec<&str> = name.split(' ').collect();
    let has = |word| words.contains(&word);
    let phase = match words[0] {
        "inactive" | "quiet" => Phase::Inactive,
        "pending" => Phase::Pending { for_at: LATER },
        "firing" => Phase::Firing,
        "clearing" => Phase::Clearing { resolve_at: LATER },
        other => panic!("no such state: {other}"),
    };
    let open = matches!(phase, Phase::Firing | Phase::Clearing { .. });
    let suppressed = has("quiet") || open && !has("free") && !has("owed");
    Episode {
        phase,
        announced: open && !has("held"),
        owed: has("owed"),
        suppressed_until: suppressed.then_some(LATER),
        held: 3,
        count: 7,
        started_at: SiteMs(5),
        reminders: 0,
        level: 0,
        worse_at: None,
    }
}

fn cell(from: &str, event: Event, spans: &Spans) -> String {
    let before = state(from);
    let mut after = before;
    let emit = after.step(event, NOW, spans);
    let emitted = emit.map(|emit| match (emit.state, emit.reason) {
        (DetectionState::Firing, DetectionReason::Firing) => "firing",
        (DetectionState::Suppressed, DetectionReason::Firing) => "suppressed",
        (DetectionState::Firing, DetectionReason::SuppressionExpired) => "expired",
        (DetectionState::Resolved, DetectionReason::Resolved) => "resolved",
        other => panic!("{from}: never emitted: {other:?}"),
    });
    check_numbers(from, &before, &after, emit.map(|e| (e.state, e.held)), event, spans);
    match emitted {
        None if after == before => "–".to_owned(),
        None => after.row().to_owned(),
        Some(emitted) => format!("{} ! {emitted}", after.row()),
    }
}

/// What the table does not show: counts, starts and ends.
fn check_numbers(
    from: &str,
    before: &Episode,
    after: &Episode,
    emit: Option<(DetectionState, u64)>,
    event: Event,
    spans: &Spans,
) {
    let begins = before.phase == Phase::Inactive && matches!(event, Event::Met { .. });
    assert_eq!((after.count, after.started_at), if begins { (20, NOW) } else { (7, SiteMs(5)) }, "{from} {event:?}");
    match emit {
        Some((DetectionState::Firing, held)) => {
            assert_eq!((held, after.held), (3, 0), "{from} {event:?}: an emitted firing tells what was held back");
            let until = (spans.suppress_ms > 0).then(|| NOW.plus(spans.suppress_ms));
            assert_eq!(after.suppressed_until, until, "{from} {event:?}: and starts the suppression anew");
        }
        Some((DetectionState::Suppressed, held)) => assert_eq!((held, after.held), (4, 4), "{from} {event:?}"),
        Some((DetectionState::Resolved, _)) | None => assert_eq!(after.held, 3, "{from} {event:?}"),
    }
    match after.phase {
        Phase::Pending { for_at } if begins => assert_eq!(for_at, NOW.plus(spans.for_ms)),
        Phase::Clearing { resolve_at } if event == Event::Unmet && before.phase == Phase::Firing => {
            assert_eq!(resolve_at, NOW.plus(spans.resolve_after_ms));
        }
        Phase::Inactive if emit.is_none_or(|(state, _)| state == DetectionState::Resolved) => {
            assert!(!after.announced && !after.owed, "{from} {event:?}: nothing of an ended episode stays");
        }
        _ => {}
    }
}

#[test]
fn every_cell_of_the_published_table() {
    let doc = include_str!("../../../../docs/transitions.md");
    let rows: Vec<Vec<&str>> = doc
        .lines()
        .skip_while(|line| !line.starts_with("| state | true |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows.len(), 12, "a row for each state");
    for row in &rows {
        let free = row[0].contains("free");
        let spans = |for_ms| Spans {
            for_ms,
            suppress_ms: if free { 0 } else { 60_000 },
            resolve_after_ms: 30_000,
            worse_after_ms: [None; 2],
        };
        let columns = [
            (Event::Met { count: 20 }, spans(0)),
            (Event::Met { count: 20 }, spans(10_000)),
            (Event::Unmet, spans(0)),
            (Event::ForOver, spans(10_000)),
            (Event::ResolveOver, spans(0)),
            (Event::SuppressionOver, spans(0)),
        ];
        assert_eq!(row.len(), 1 + columns.len());
        for (published, (event, spans)) in row[1..].iter().zip(&columns) {
            // A suppression that does not run can't end.
            let can_end = state(row[0]).suppressed_until.is_some();
            if *event == Event::SuppressionOver && !can_end {
                assert_eq!(*published, "–", "{}", row[0]);
                continue;
            }
            assert_eq!(cell(row[0], *event, spans), *published, "{} on {event:?}", row[0]);
        }
    }
}

#[test]
fn an_episode_is_told_again_so_often_and_no_more() {
    let spans = Spans { for_ms: 0, suppress_ms: 1_000, resolve_after_ms: 0, worse_after_ms: [None; 2] };
    let mut episode = state("firing");
    let told = (0..1_000).filter(|_| episode.step(Event::SuppressionOver, NOW, &spans).is_some()).count();
    assert_eq!(told, REMINDERS_MAX as usize);
    assert_eq!((episode.phase, episode.suppressed_until), (Phase::Firing, None), "it goes on, and waits for its end");
    episode.step(Event::Unmet, NOW, &spans);
    let end = episode.step(Event::ResolveOver, NOW, &spans).map(|emit| emit.state);
    assert_eq!(end, Some(DetectionState::Resolved));
}
