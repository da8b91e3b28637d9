//! What each kind sends, of any alert: limits are kept, and nothing breaks out of its place.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

mod common;
mod receiver;
mod samples;

use std::sync::Arc;

use bytes::Bytes;
use common::{START_MS, detection, due_of_detection};
use http_body_util::Full;
use hyper::Response;
use logystera_channels::address::AddressPolicy;
use logystera_channels::email::content;
use logystera_channels::http::HttpConfig;
use logystera_channels::kinds::{self, Kinds};
use logystera_channels::words::Words;
use logystera_channels::{Advice, Target, message, slack, teams};
use logystera_schemas::alert::{About, Digest, DigestCount, Due, Failed, Frozen, Merged, NamedSite, Told};
use logystera_schemas::control::ChannelKind;
use logystera_schemas::delivery::{AttemptCause, AttemptOutcome};
use logystera_schemas::detection::{Detection, DetectionState, Evidence, Label, Severity};
use logystera_schemas::ids::DeliveryId;
use logystera_schemas::labels::SiteLabel;
use logystera_schemas::limits::{
    ALERTS_SHOWN_MAX, DIGEST_COUNTS_MAX, DIGEST_NAMED_MAX, EVIDENCE_SHOWN_MAX, MAIL_FACT_CHARS_MAX, SLACK_BLOCKS_MAX,
    SLACK_CHARS_MAX, SLACK_FIELD_CHARS_MAX, SLACK_FIELDS_MAX, SLACK_HEADER_CHARS_MAX, SLACK_SECTION_CHARS_MAX,
    TEAMS_BYTES_MAX,
};
use logystera_schemas::text::hidden_in;
use logystera_schemas::time::WallMs;
use proptest::prelude::*;
use receiver::serve;
use serde_json::Value;

const URL: &str = "https://logystera.example";

/// Texts that look for a way out of their place.
const PIECES: [&str; 10] = [
    "<!channel> @here <@U123> <https://evil.example|Sign in>",
    "*b* _i_ ~s~ `c` ```block``` :smile: &amp; &lt;",
    "[x](https://evil.example) ![i](https://evil.example/p.png) <at>all</at> {{DATE(2026-01-01T00:00:00Z,SHORT)}}",
    "</td></table><script>alert(1)</script><img src=x onerror=\"y\">'\"",
    "\r\nBcc: all@evil.example\r\n\r\n.\r\n--logystera-00--",
    "\u{202e}\u{2066}\u{200b}\u{feff}\u{0}\u{1b}[2J\u{2028}\u{e0041}",
    "שלום عالم 🛒👩‍👩‍👧‍👦 Größe 商店",
    "    four spaces\n1. one\n2) two\n- three\n# four\n> five\n***\n| a | b |\n|---|---|",
    "=?utf-8?B?QmNjOiBhbGxAZXZpbC5leGFtcGxl?= From here",
    "https://evil.example/sign-in www.evil.example mailto:all@evil.example",
];

fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        7 => proptest::sample::select(&PIECES[..]).prop_map(str::to_owned),
        1 => "\\PC{0,40}",
        1 => "[a-z &<>\"\\\\]{0,3000}",
    ];
    proptest::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

fn labels(max: usize) -> impl Strategy<Value = Vec<Label>> {
    // A record has each field once.
    let label = |(n, (name, value))| Label { field: format!("{name}{n}"), value };
    proptest::collection::vec(("[a-z_]{1,20}", any_text()), 0..max)
        .prop_map(move |named| named.into_iter().enumerate().map(label).collect())
}

prop_compose! {
    fn any_due()(
        title in any_text(),
        message in any_text(),
        group in labels(100),
        evidence in proptest::collection::vec(labels(8), 0..40),
        resolved in any::<bool>(),
        severity in prop_oneof![Just(Severity::Info), Just(Severity::Warning), Just(Severity::Critical)],
        merged in (0..3_u32, any::<bool>()),
        about in 0..10_u8,
        others in proptest::collection::vec((any_text(), any_text()), 1..100),
        site in proptest::option::of((any_text(), proptest::option::of(any_text()), labels(16))),
    ) -> Due {
        let state = if resolved { DetectionState::Resolved } else { DetectionState::Firing };
        let mut found = detection("t", 1, state);
        (found.title, found.message, found.group, found.severity) = (title, message, group, severity);
        found.evidence = evidence.into_iter().map(|fields| Evidence { at: START_MS, fields }).collect();
        let mut due = due_of_detection(found);
        due.merged = Merged { lines: merged.0, firings: merged.0, since: START_MS, untold: merged.1 };
        let others = others.into_iter().map(|(message, value)| {
            let mut other = due.detection.as_ref().clone();
            other.message = message;
            other.group = vec![Label { field: "value".to_owned(), value }];
            Arc::new(other)
        });
        let all: Vec<Arc<Detection>> = std::iter::once(Arc::clone(&due.detection)).chain(others).collect();
        due.about = match about {
            0 => About::ChannelDisabled("old".parse().unwrap()),
            1..4 => {
                About::Bundle(all.iter().map(|d| Told { detection: Arc::clone(d), merged: due.merged }).collect())
            }
            4..6 => {
                let counts = all.iter().take(DIGEST_COUNTS_MAX).map(|d| DigestCount {
                    rule: d.rule.clone(),
                    title: d.message.clone(),
                    severity: d.severity,
                    is_over: resolved,
                    alerts: u64::MAX / 100,
                });
                let digest = Digest { since: WallMs(START_MS), counts: counts.collect(), rest: 7 };
                About::Digest(digest, all.iter().take(DIGEST_NAMED_MAX).cloned().collect())
            }
            _ => About::Detection,
        };
        due.frozen = site.map(|(name, url, labels)| {
            let labels = labels.into_iter().map(|Label { field, value }| SiteLabel { key: field, value }).collect();
            let named = NamedSite { site: due.detection.site.clone(), name, url, labels };
            Arc::new(Frozen { sites: vec![named], ..Frozen::default() })
        });
        due
    }
}

fn any_words() -> impl Strategy<Value = (Due, Words)> {
    let advice = (proptest::option::of(any_text()), proptest::option::of(any_text()));
    (any_due(), advice).prop_map(|(due, (why, what_to_do))| {
        let words = Words::of(&due, URL, Some(&Advice { why, what_to_do }));
        (due, words)
    })
}

/// Every text of a JSON value under these names.
fn texts<'a>(value: &'a Value, names: &[&str], found: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                match value {
                    Value::String(text) if names.contains(&name.as_str()) => found.push(text),
                    value => texts(value, names, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| texts(value, names, found)),
        _ => {}
    }
}

/// How many links its message has: a digest is of no one alert.
fn links(due: &Due) -> usize {
    usize::from(!matches!(due.about, About::Digest(..)))
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Whether each `&` begins one of these, and no `<` or `>` stands for itself.
fn is_escaped(text: &str, entities: &[&str]) -> bool {
    !text.contains(['<', '>']) && text.split('&').skip(1).all(|rest| entities.iter().any(|e| rest.starts_with(e)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn words_show_what_is_hidden((_, words) in any_words()) {
        let lines = [&words.headline, &words.message].into_iter().chain(&words.notes).chain(&words.evidence).chain(&words.alerts);
        let facts = words.facts.iter().flat_map(|(name, value)| [name, value]);
        for line in lines.chain(facts) {
            prop_assert_eq!(hidden_in(line), None, "{}", line);
        }
        for text in [&words.why, &words.what_to_do].into_iter().flatten() {
            let hidden = text.chars().find(|c| !matches!(c, '\n' | '\t') && hidden_in(&c.to_string()).is_some());
            prop_assert_eq!(hidden, None, "{}", text);
        }
        prop_assert!(words.evidence.len() <= EVIDENCE_SHOWN_MAX && words.alerts.len() <= ALERTS_SHOWN_MAX);
    }

    #[test]
    fn a_message_to_slack_keeps_its_limits_and_its_places((due, words) in any_words()) {
        let payload = slack::payload(&words);
        let blocks = payload["blocks"].as_array().unwrap();
        prop_assert!(blocks.len() <= SLACK_BLOCKS_MAX);
        for block in blocks {
            match block["type"].as_str().unwrap() {
                "header" => prop_assert!(units(block["text"]["text"].as_str().unwrap()) <= SLACK_HEADER_CHARS_MAX),
                "section" => {
                    if let Some(text) = block["text"]["text"].as_str() {
                        prop_assert!(!text.is_empty() && units(text) <= SLACK_SECTION_CHARS_MAX);
                    }
                    let fields = block["fields"].as_array().map_or(&[][..], Vec::as_slice);
                    prop_assert!(fields.len() <= SLACK_FIELDS_MAX);
                    for field in fields {
                        prop_assert!(units(field["text"].as_str().unwrap()) <= SLACK_FIELD_CHARS_MAX);
                    }
                }
                other => prop_assert!(false, "{other}"),
            }
        }
        let mut all = Vec::new();
        texts(&payload, &["text"], &mut all);
        prop_assert!(all.iter().map(|text| units(text)).sum::<usize>() <= SLACK_CHARS_MAX);
        let link = format!("<{URL}{}|Open the alert>", due.detection.url);
        for text in all {
            prop_assert!(text == link || is_escaped(text, &["amp;", "lt;", "gt;"]), "{}", text);
        }
        // Markup is read in our link only.
        let mut kinds = Vec::new();
        texts(&payload["blocks"], &["type"], &mut kinds);
        prop_assert_eq!(kinds.iter().filter(|kind| **kind == "mrkdwn").count(), links(&due));
        // What is left out is counted.
        if let Some((_, lines)) = words.list(usize::MAX).filter(|_| words.alerts_more > 0) {
            let more = format!("and {} more", words.alerts_more);
            prop_assert_eq!(lines.last(), Some(&more));
            let sections = blocks.iter().filter_map(|block| block["text"]["text"].as_str());
            prop_assert!(sections.into_iter().any(|text| text.ends_with(&more)), "{}", more);
        }
    }

    #[test]
    fn a_card_for_teams_keeps_its_limit_and_its_places((due, words) in any_words()) {
        let payload = teams::payload(&words);
        prop_assert!(payload.to_string().len() <= TEAMS_BYTES_MAX, "{}", payload.to_string().len());
        let card = &payload["attachments"][0]["content"];
        let url = format!("{URL}{}", due.detection.url);
        prop_assert_eq!(card["actions"][0]["url"].as_str(), Some(url.as_str()).filter(|_| links(&due) == 1));
        let mut kinds = Vec::new();
        texts(card, &["type"], &mut kinds);
        // A date that Teams fills in.
        prop_assert!(!payload.to_string().contains("{{"));
        // A TextBlock would read markdown.
        prop_assert!(kinds.iter().all(|k| ["AdaptiveCard", "RichTextBlock", "TextRun", "FactSet", "Action.OpenUrl"].contains(k)));
        let facts = card["body"].as_array().unwrap().iter().find(|b| b["type"] == "FactSet").unwrap();
        let mut values = Vec::new();
        texts(facts, &["title", "value"], &mut values);
        for value in values {
            let unescaped = value.replace("\\\\", "");
            let bare = |c: char| unescaped.match_indices(c).any(|(at, _)| !unescaped[..at].ends_with('\\'));
            prop_assert!(!"*_`~[]()<>!#&{}|".chars().any(bare), "{}", value);
            // Four blanks make code, in which a backslash shows itself.
            prop_assert_eq!(value.trim_start(), value);
        }
    }

    #[test]
    fn a_mails_html_has_our_elements_and_no_other((due, words) in any_words()) {
        let html = content::html(&words);
        let known = ["!doctype", "html", "head", "meta", "title", "body", "h1", "h2", "p", "table", "tr", "th", "td", "div", "a", "bdi", "br"];
        for tag in html.split('<').skip(1) {
            let name = tag.trim_start_matches('/').split([' ', '>']).next().unwrap();
            prop_assert!(known.contains(&name), "<{}", tag);
        }
        prop_assert_eq!(html.matches("href=").count(), links(&due));
        prop_assert!(!html.contains("src=\"") && !html.contains("url("));
        let outside: String = html.split('<').map(|part| part.split_once('>').map_or("", |(_, text)| text)).collect();
        prop_assert!(is_escaped(&outside, &["amp;", "lt;", "gt;", "quot;", "#39;"]), "{}", outside);
    }
}

#[test]
fn a_long_value_is_cut_in_a_mail_and_a_long_word_is_broken() {
    let mut found = detection("t", 1, DetectionState::Firing);
    found.group = vec![Label { field: "path".to_owned(), value: "x".repeat(MAIL_FACT_CHARS_MAX + 1) }];
    let words = Words::of(&due_of_detection(found), URL, None);
    let shown = format!("{}…", "x".repeat(MAIL_FACT_CHARS_MAX - 1));
    let (text, html) = (content::text(&words), content::html(&words));
    assert!(text.contains(&format!(": {shown}\n")), "{text}");
    assert!(html.contains(&format!("<bdi>{shown}</bdi>")) && html.contains("overflow-wrap:anywhere"), "{html}");
}

fn answer(path: &str) -> Response<Full<Bytes>> {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let mut response = Response::builder().status(parts[0].parse::<u16>().unwrap());
    if let Some(retry_after) = parts.get(2) {
        response = response.header("retry-after", *retry_after);
    }
    response.body(Full::from(parts[1].to_owned())).unwrap()
}

#[tokio::test]
async fn slack_and_teams_are_posted_to_and_say_what_came_of_it() {
    use AttemptOutcome::{Delivered, Gone, Rejected, Throttled};
    let (address, log) = serve(answer, None).await;
    let all = Kinds::new(HttpConfig::new(AddressPolicy::AllowPrivate), None).unwrap();
    let due = due_of_detection(detection("t", 1, DetectionState::Firing));
    for (kind, path, outcome, detail, retry_after_s) in [
        (ChannelKind::Slack, "200/ok", Delivered, None, None),
        (ChannelKind::Slack, "404/no_service", Gone, Some("slack_no_service"), None),
        (ChannelKind::Slack, "429/rate_limited/30", Throttled, Some("slack_rate_limited"), Some(30)),
        (ChannelKind::Teams, "202/", Delivered, None, None),
        (ChannelKind::Teams, "413/", Rejected, Some("teams_413"), None),
        (ChannelKind::Teams, "429//7", Throttled, Some("teams_429"), Some(7)),
    ] {
        let made =
            all.of(kind).settings(&[format!("http://{address}/{path}")], &[0; 32]).unwrap_or_else(|e| panic!("{e}"));
        let target = kinds::parse(kind, made.stored.as_bytes()).unwrap();
        let messenger = all.of(kind);
        let message = messenger.render(&due, &target, URL, None);
        let answer = messenger.send(&target, DeliveryId([1; 16]), message.clone(), START_MS).await;
        assert_eq!((answer.outcome, answer.detail.as_deref()), (outcome, detail), "{kind} {path}");
        assert_eq!(answer.retry_after_s, retry_after_s, "{kind} {path}");
        let seen = log.lock().unwrap().pop().unwrap();
        assert_eq!((seen.header("content-type"), &seen.body), ("application/json", &message), "{kind} {path}");
    }
    let target = Target::Teams { url: URL.to_owned() };
    let misdirected = all.of(ChannelKind::Slack).send(&target, DeliveryId([1; 16]), vec![], 0);
    assert_eq!(misdirected.await.cause, Some(AttemptCause::NoAddress));
    assert!(log.lock().unwrap().is_empty());
}

#[test]
fn what_people_read_is_as_it_was() {
    let mut found = detection("t", 1, DetectionState::Firing);
    found.evidence =
        (0..12).map(|n| Evidence { at: START_MS + n * 1_000, fields: found.evidence[0].fields.clone() }).collect();
    let advice = Advice {
        why: Some("Orders and password resets do not arrive.".to_owned()),
        what_to_do: Some("Check the mail service's password.\nThen send a test.".to_owned()),
    };
    let firing = due_of_detection(found);
    let mut resolved = due_of_detection(detection("t", 2, DetectionState::Resolved));
    resolved.merged = Merged { lines: 3, firings: 2, since: START_MS - 3_600_000, untold: true };
    let mut news = firing.clone();
    news.about = About::ChannelDisabled("old".parse().unwrap());
    let shown: Vec<String> = [&firing, &resolved, &news, &common::messages::bundle(), &common::messages::digest()]
        .map(|due| content::text(&Words::of(due, URL, Some(&advice))))
        .into();
    let shown = shown.join("----\n");
    assert_eq!(shown, include_str!("golden/words.txt"), "\n{shown}");
}

#[test]
fn a_fallback_channel_is_told_which_others_failed() {
    for (failed, says) in [
        (vec![], "There is no other channel to tell."),
        (vec![("ch_1", "slack")], "The channel that should tell you of this failed: slack (ch_1)."),
        (
            vec![("ch_1", "slack"), ("ch_2", "email")],
            "All channels that should tell you of this failed: slack (ch_1), email (ch_2).",
        ),
    ] {
        let named = failed.iter().map(|(id, kind)| Failed { channel: id.parse().unwrap(), kind: (*kind).to_owned() });
        let due =
            Due { fallback: Some(named.collect()), ..due_of_detection(detection("t", 1, DetectionState::Firing)) };
        let words = Words::of(&due, URL, None);
        assert!(words.notes[0].starts_with(says) && words.notes[0].contains("fallback channel"), "{:?}", words.notes);
        let body: Value = serde_json::from_slice(&message::body(&due, URL, None)).unwrap();
        let ids: Vec<&str> = body["data"]["failed_channels"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["channel"].as_str().unwrap())
            .collect();
        assert_eq!(ids, failed.iter().map(|(id, _)| *id).collect::<Vec<_>>());
    }
    // A digest that fell back says so too.
    let failed = vec![Failed { channel: "ch_1".parse().unwrap(), kind: "email".to_owned() }];
    let digest = Due { fallback: Some(failed), ..common::messages::digest() };
    let body: Value = serde_json::from_slice(&message::body(&digest, URL, None)).unwrap();
    assert_eq!(body["data"]["failed_channels"], serde_json::json!([{"channel": "ch_1", "kind": "email"}]));
    let alert = due_of_detection(detection("t", 1, DetectionState::Firing));
    assert!(!String::from_utf8(message::body(&alert, URL, None)).unwrap().contains("failed_channels"));
}
