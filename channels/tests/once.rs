//! What a message says of a detection of a rule that tells each match.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]

mod common;

use std::sync::Arc;

use common::{detection, due_of_detection};
use logystera_channels::message;
use logystera_channels::words::Words;
use logystera_schemas::alert::{About, Due, Merged, Told};
use logystera_schemas::detection::{Detection, DetectionReason, DetectionState};

const URL: &str = "https://logystera.example";
const NO_END: &str = "It happened: nothing is open, and no message follows that it is over.";

fn due(once: bool, held: u64) -> Due {
    let found = detection("t", 1, DetectionState::Firing);
    due_of_detection(Detection { once, held, reason: DetectionReason::SuppressionExpired, ..found })
}

#[test]
fn it_says_that_it_happened_and_that_no_end_follows() {
    for (once, held, began, notes) in [
        (false, 0, "Started", vec![]),
        (false, 2, "Started", vec!["2 firings before it were held back."]),
        (true, 0, "Happened", vec![NO_END]),
        (true, 1, "Happened", vec!["1 alert was held back until now, and told together.", NO_END]),
        (true, 2, "Happened", vec!["2 alerts were held back until now, and told together.", NO_END]),
    ] {
        let words = Words::of(&due(once, held), URL, None);
        assert_eq!(words.notes, notes, "{once} {held}");
        assert!(words.facts.iter().any(|(name, _)| name == began), "{:?}", words.facts);
        assert_eq!(words.headline, "Critical: Mail delivery is failing");
    }
}

#[test]
fn several_in_one_message_say_when_the_first_of_them_happened() {
    let one = due(true, 2);
    let told = [&one, &one].map(|due| Told { detection: Arc::clone(&due.detection), merged: Merged::default() });
    let words = Words::of(&Due { about: About::Bundle(told.into()), ..one }, URL, None);
    assert_eq!(words.notes, ["4 alerts were held back until now, and told together."]);
    assert!(words.facts.iter().any(|(name, _)| name == "Happened"), "{:?}", words.facts);
}

#[test]
fn a_program_finds_the_mark_only_where_it_is_set() {
    for once in [false, true] {
        let body: serde_json::Value = serde_json::from_slice(&message::body(&due(once, 0), URL, None)).unwrap();
        assert_eq!(body["data"].get("once"), once.then_some(&serde_json::Value::Bool(true)));
    }
}
