//! What each kind sends of a few hundred alerts, written to a file for judges from outside: `tests/messages` reads it.

use std::fmt::Write as _;
use std::path::Path;

use logystera_channels::address::AddressPolicy;
use logystera_channels::email::server::MailConfig;
use logystera_channels::http::HttpConfig;
use logystera_channels::kinds::{self, Kinds};
use logystera_channels::words::Words;
use logystera_channels::{Advice, Target};
use logystera_schemas::alert::{About, Due, Merged};
use logystera_schemas::control::ChannelKind;
use logystera_schemas::detection::{DetectionState, Evidence, Label};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use crate::common::messages::named_site;
use crate::common::{START_MS, detection, due_of_detection};
use crate::{PIECES, URL, any_due, any_text};

/// How many alerts are drawn, besides those that are named.
const DRAWN: usize = 200;
/// Where the file is, below the folder for what tests write.
const FILE: &str = "messages.ndjson";

type Told = (Due, Advice);

fn advice(why: &str, what_to_do: &str) -> Advice {
    Advice { why: Some(why.to_owned()), what_to_do: Some(what_to_do.to_owned()) }
}

/// An alert whose every field is this text.
fn all_of(text: &str) -> Told {
    let label = |n: usize| Label { field: format!("field_{n}"), value: text.to_owned() };
    let mut found = detection("t", 1, DetectionState::Firing);
    (found.title, found.message, found.subsystem) = (text.to_owned(), text.to_owned(), text.to_owned());
    found.group = (0..3).map(label).collect();
    found.evidence = vec![Evidence { at: START_MS, fields: found.group.clone() }; 3];
    (due_of_detection(found), advice(text, text))
}

/// As many groups as a rule may have and more, each as long as a value gets.
fn large() -> Told {
    let label = |n: usize| Label { field: format!("a_rather_long_name_{n}"), value: "Größe 🛒 & <b> ".repeat(300) };
    let (mut due, advice) = all_of(&"A name that goes on and on. ".repeat(400));
    let mut found = (*due.detection).clone();
    found.group = (0..100).map(label).collect();
    found.evidence = vec![Evidence { at: START_MS, fields: found.group[..3].to_vec() }; 40];
    due = due_of_detection(found);
    (due, advice)
}

/// What people get on an ordinary day.
fn ordinary() -> [(&'static str, Told); 4] {
    let said =
        || advice("Orders and password resets do not arrive.", "Check the mail service's password.\nThen send a test.");
    let evidence = |n: i64| Evidence {
        at: START_MS + n * 1_000,
        fields: [
            ("outcome", "failed"),
            ("transport", "smtp"),
            ("message", "535 5.7.8 Authentication credentials invalid"),
        ]
        .map(|(field, value)| Label { field: field.to_owned(), value: value.to_owned() })
        .into(),
    };
    let mut found = detection("t", 1, DetectionState::Firing);
    found.evidence = (0..14).map(evidence).collect();
    let firing = Due { frozen: Some(named_site()), ..due_of_detection(found) };
    let mut over = Due { frozen: Some(named_site()), ..due_of_detection(detection("t", 2, DetectionState::Resolved)) };
    over.merged = Merged { lines: 3, firings: 2, since: START_MS - 3_600_000, untold: true };
    let mut news = firing.clone();
    news.about = About::ChannelDisabled("old".parse().unwrap());
    let mut mixed = detection("t", 3, DetectionState::Firing);
    "Bestellungen – הזמנות – طلبات 🛒 商店".clone_into(&mut mixed.title);
    "3 Bestellungen von „Müller & Söhne“ sind fehlgeschlagen: שגיאה בתשלום (402)".clone_into(&mut mixed.message);
    [
        ("firing", (firing, said())),
        ("over", (over, said())),
        ("news", (news, said())),
        ("mixed", (due_of_detection(mixed), said())),
    ]
}

fn all() -> Vec<(String, Told)> {
    let mut all: Vec<(String, Told)> = ordinary().map(|(name, told)| (name.to_owned(), told)).into();
    all.extend([("empty".to_owned(), all_of("")), ("blank".to_owned(), all_of(" \t ")), ("large".to_owned(), large())]);
    all.extend(PIECES.iter().enumerate().map(|(n, piece)| (format!("piece-{n}"), all_of(piece))));
    let any = (any_due(), proptest::option::of(any_text()), proptest::option::of(any_text()));
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    for n in 0..DRAWN {
        let (due, why, what_to_do) = any.new_tree(&mut runner).unwrap().current();
        all.push((format!("drawn-{n}"), (due, Advice { why, what_to_do })));
    }
    all
}

/// The words that each kind has to show, as they are before a kind escapes and cuts them.
fn shown(words: &Words) -> Value {
    json!({
        "headline": words.headline, "message": words.message, "facts": words.facts, "notes": words.notes,
        "evidence": words.evidence, "more": (words.evidence_more > 0).then(|| format!("and {} more", words.evidence_more)), "why": words.why, "do": words.what_to_do, "link": words.link,
    })
}

#[test]
fn samples_are_written_for_judges_from_outside() {
    let mail = MailConfig::new("smtp://mail.example.com", None, "alerts@logystera.example").unwrap();
    let kinds = Kinds::new(HttpConfig::new(AddressPolicy::PublicOnly), Some(mail)).unwrap();
    let url = || json!({"url": "https://hooks.example.com/a"}).to_string();
    let target = |kind, stored: String| kinds::parse(kind, stored.as_bytes()).unwrap();
    let to = json!({"addresses": ["ops@example.com", "on-call@example.com"]}).to_string();
    let [slack, teams] = [ChannelKind::Slack, ChannelKind::Teams].map(|kind| target(kind, url()));
    let email = target(ChannelKind::Email, to);
    let mut file = String::new();
    for (name, (due, advice)) in all() {
        let text =
            |kind, target: &Target| String::from_utf8(kinds.of(kind).render(&due, target, URL, Some(&advice))).unwrap();
        let webhook = String::from_utf8(logystera_channels::message::body(&due, URL, Some(&advice))).unwrap();
        let line = json!({
            "name": name,
            "words": shown(&Words::of(&due, URL, Some(&advice))),
            "id": due.delivery.to_string(),
            "episode": due.detection.id.to_string(),
            "slack": text(ChannelKind::Slack, &slack),
            "teams": text(ChannelKind::Teams, &teams),
            "email": text(ChannelKind::Email, &email),
            "webhook": webhook,
        });
        writeln!(file, "{line}").unwrap();
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(FILE);
    // Whole at once, if somebody reads it meanwhile.
    let part = path.with_extension("part");
    std::fs::write(&part, file).unwrap();
    std::fs::rename(part, path).unwrap();
}
