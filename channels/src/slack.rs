//! Slack: blocks, to an incoming webhook (<https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>).
//!
//! All that comes from a site stands in `plain_text` objects, in which nothing is a mention, a link, an emoji or a
//! format; `&`, `<` and `>` are escaped as Slack asks everywhere. The only markup is the link to the alert.

use logystera_schemas::delivery::AttemptOutcome;
use logystera_schemas::detection::Severity;
use logystera_schemas::limits::{
    SLACK_BLOCKS_MAX, SLACK_CHARS_MAX, SLACK_FIELD_CHARS_MAX, SLACK_FIELDS_MAX, SLACK_HEADER_CHARS_MAX,
    SLACK_SECTION_CHARS_MAX,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cut::cut;
use crate::http::Reply;
use crate::words::{Tone, Words};
use crate::{Answer, Target, parse_url};

/// Characters of each part. Together with the frame around them they stay below [`SLACK_CHARS_MAX`].
const FALLBACK_CHARS: usize = 500;
const MESSAGE_CHARS: usize = 2_000;
const FIELD_CHARS: usize = 300;
const NOTES_CHARS: usize = 600;
const EVIDENCE_CHARS: usize = 2_900;
const EVIDENCE_LINE_CHARS: usize = 280;
const ADVICE_CHARS: usize = 1_500;
const LINK_CHARS: usize = 600;

const _: () = assert!(
    SLACK_HEADER_CHARS_MAX
        + FALLBACK_CHARS
        + MESSAGE_CHARS
        + FIELD_CHARS * SLACK_FIELDS_MAX
        + NOTES_CHARS
        + EVIDENCE_CHARS
        + ADVICE_CHARS * 2
        + LINK_CHARS
        <= SLACK_CHARS_MAX,
    "the parts fit together"
);
const _: () =
    assert!(EVIDENCE_CHARS <= SLACK_SECTION_CHARS_MAX && FIELD_CHARS <= SLACK_FIELD_CHARS_MAX, "each part fits");
const _: () = assert!(SLACK_BLOCKS_MAX >= 8, "header, message, facts, notes, evidence, why, what to do, link");

/// Reads the settings as they are stored: `{"url":…}`. None: they are no such settings.
pub(super) fn parse(settings: &[u8]) -> Option<Target> {
    parse_url(settings).map(|url| Target::Slack { url })
}

/// What Slack answers if the channel is no more. It comes with 403, 404 or 410, or in a body of status 200.
pub(super) const GONE: [&str; 8] = [
    "channel_not_found",
    "channel_is_archived",
    "no_service",
    "no_service_id",
    "no_team",
    "invalid_token",
    "team_disabled",
    "account_inactive",
];
/// What it answers if it is asked too often.
pub(super) const THROTTLED: [&str; 3] = ["rate_limited", "ratelimited", "message_limit_exceeded"];
/// What it answers if it does not work now.
const FAILED: [&str; 5] = ["rollup_error", "internal_error", "fatal_error", "service_unavailable", "request_timeout"];

/// What an answer means. Slack says it in the body: `ok`, a code, or `{"ok":…,"error":…}`.
pub(super) fn classify(reply: &Reply) -> Answer {
    #[derive(Deserialize)]
    struct Said {
        ok: bool,
        #[serde(default)]
        error: String,
    }
    let answer = reply.answer();
    let Some(body) = &reply.body else {
        // The status came and its body did not: of 200 nobody knows what it would have said.
        let outcome = if reply.status < 300 { AttemptOutcome::Unknown } else { answer.outcome };
        return answer.meaning(outcome, "slack", &format!("{}_no_body", reply.status));
    };
    let text = String::from_utf8_lossy(body);
    let (is_ok, code) = match serde_json::from_str::<Said>(&text) {
        Ok(said) => (said.ok, said.error),
        Err(_) => (text.trim() == "ok", text.trim().to_owned()),
    };
    let is = |codes: &[&str]| codes.contains(&code.as_str());
    let outcome = match reply.status {
        200..=299 if is_ok => return answer,
        _ if is(&GONE) => AttemptOutcome::Gone,
        _ if is(&THROTTLED) => AttemptOutcome::Throttled,
        _ if is(&FAILED) => AttemptOutcome::Failed,
        // It took the request, and says something that it never said before.
        200..=299 if !is_code(&code) => AttemptOutcome::Failed,
        200..=299 => AttemptOutcome::Rejected,
        _ => answer.outcome,
    };
    if is_code(&code) {
        answer.meaning(outcome, "slack", &code)
    } else {
        answer.meaning(outcome, "slack", &reply.status.to_string())
    }
}

/// Whether a text is a code, and no page of a proxy.
fn is_code(text: &str) -> bool {
    (1..=48).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// The message as Slack takes it.
pub fn payload(words: &Words) -> Value {
    let mut blocks = vec![
        json!({"type": "header", "text": plain(&words.headline, SLACK_HEADER_CHARS_MAX)}),
        json!({"type": "section", "text": plain(&words.message, MESSAGE_CHARS)}),
    ];
    let facts = &words.facts[..words.facts.len().min(SLACK_FIELDS_MAX)];
    let fields: Vec<Value> =
        facts.iter().map(|(name, value)| plain(&format!("{name}\n{value}"), FIELD_CHARS)).collect();
    if !fields.is_empty() {
        blocks.push(json!({"type": "section", "fields": fields}));
    }
    let more = words.facts.len() - facts.len();
    let mut notes = words.notes.clone();
    if more > 0 {
        notes.push(format!("{more} more values are not shown."));
    }
    if !notes.is_empty() {
        blocks.push(json!({"type": "section", "text": plain(&notes.join("\n"), NOTES_CHARS)}));
    }
    if let Some((_, lines)) = words.list(usize::MAX) {
        // So that the last of them has its place too.
        let line_chars = EVIDENCE_LINE_CHARS.min(EVIDENCE_CHARS / lines.len() - 1);
        let lines: Vec<String> = lines.iter().map(|line| cut(line, line_chars, escape)).collect();
        blocks.push(json!({
            "type": "section", "text": {"type": "plain_text", "text": lines.join("\n"), "emoji": false},
        }));
    }
    for (name, text) in [("Why it matters", &words.why), ("What to do", &words.what_to_do)] {
        if let Some(text) = text {
            blocks.push(json!({"type": "section", "text": plain(&format!("{name}\n{text}"), ADVICE_CHARS)}));
        }
    }
    if let Some(link) = words.link.as_deref().and_then(link) {
        blocks.push(json!({"type": "section", "text": {"type": "mrkdwn", "text": link}}));
    }
    let text = format!("{}. {}", words.headline, words.message);
    json!({
        "text": format!("{} {}", sign(words.tone), cut(&text, FALLBACK_CHARS - 20, escape)),
        "blocks": blocks,
        "mrkdwn": false,
        "unfurl_links": false,
        "unfurl_media": false,
    })
}

/// A word for notifications, which show no colour.
const fn sign(tone: Tone) -> &'static str {
    match tone {
        Tone::Firing(Severity::Critical) => "[CRITICAL]",
        Tone::Firing(Severity::Warning) => "[WARNING]",
        Tone::Firing(Severity::Info) => "[INFO]",
        Tone::Over => "[OVER]",
        Tone::News => "[CHANNEL]",
        Tone::Test => "[TEST]",
    }
}

/// A text object in which nothing is markup. Slack takes none that is empty.
fn plain(text: &str, chars_max: usize) -> Value {
    let text = if text.trim().is_empty() { "-" } else { text };
    json!({"type": "plain_text", "text": cut(text, chars_max, escape), "emoji": false})
}

/// The only markup that is ours. None: the address is too long, or has what ends a link.
fn link(url: &str) -> Option<String> {
    let is_fit = url.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '<' | '>' | '|' | '"' | '`'));
    let text = format!("<{}|Open the alert>", cut(url, usize::MAX, escape));
    (is_fit && text.len() <= LINK_CHARS).then_some(text)
}

/// <https://docs.slack.dev/messaging/formatting-message-text#escaping>
fn escape(c: char, to: &mut String) {
    match c {
        '&' => to.push_str("&amp;"),
        '<' => to.push_str("&lt;"),
        '>' => to.push_str("&gt;"),
        c => to.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::ended_as;

    #[test]
    fn each_answer_has_one_meaning() {
        use AttemptOutcome::{Delivered, Failed, Gone, Rejected, Throttled, Unknown};
        for (status, retry_after_s, body, outcome, detail) in [
            (200, None, Some("ok"), Delivered, None),
            (200, None, Some("ok\n"), Delivered, None),
            (200, None, Some(r#"{"ok":true}"#), Delivered, None),
            (200, None, Some(r#"{"ok":false,"error":"channel_not_found"}"#), Gone, Some("slack_channel_not_found")),
            (200, Some(9), Some(r#"{"ok":false,"error":"rate_limited"}"#), Throttled, Some("slack_rate_limited")),
            (200, None, Some(r#"{"ok":false,"error":"invalid_blocks"}"#), Rejected, Some("slack_invalid_blocks")),
            (200, None, Some(r#"{"ok":false}"#), Failed, Some("slack_200")),
            (200, None, Some("<html>Sign in</html>"), Failed, Some("slack_200")),
            (200, None, Some(""), Failed, Some("slack_200")),
            (200, None, None, Unknown, Some("slack_200_no_body")),
            (302, None, Some("found"), Failed, Some("slack_found")),
            (400, None, Some("invalid_payload"), Rejected, Some("slack_invalid_payload")),
            (400, None, Some("no_text"), Rejected, Some("slack_no_text")),
            (403, None, Some("action_prohibited"), Rejected, Some("slack_action_prohibited")),
            (403, None, Some("invalid_token"), Gone, Some("slack_invalid_token")),
            (404, None, Some("channel_not_found"), Gone, Some("slack_channel_not_found")),
            (404, None, Some("no_service"), Gone, Some("slack_no_service")),
            (404, None, Some("Not Found"), Rejected, Some("slack_404")),
            (410, None, Some("channel_is_archived"), Gone, Some("slack_channel_is_archived")),
            (410, None, Some(""), Gone, Some("slack_410")),
            (429, Some(30), Some("rate_limited"), Throttled, Some("slack_rate_limited")),
            (429, None, Some(""), Throttled, Some("slack_429")),
            (429, None, None, Throttled, Some("slack_429_no_body")),
            (500, None, Some("rollup_error"), Failed, Some("slack_rollup_error")),
            (503, None, Some("down\u{202e}"), Failed, Some("slack_503")),
            (503, Some(5), Some(""), Throttled, Some("slack_503")),
        ] {
            let reply = Reply { status, retry_after_s, body: body.map(|b| b.as_bytes().to_vec()) };
            let answer = classify(&reply);
            assert_eq!((answer.outcome, answer.detail.as_deref()), (outcome, detail), "{reply:?}");
            assert_eq!((answer.status, answer.retry_after_s), (Some(u32::from(status)), retry_after_s));
            // A row has the code alone.
            let row = detail.and_then(ended_as);
            assert_eq!(row == Some(Gone), outcome == Gone, "{detail:?}");
            assert!(row != Some(Throttled) || outcome == Throttled, "{detail:?}");
        }
    }

    #[test]
    fn a_link_is_a_link_or_is_left_out() {
        for (url, expected) in [
            ("https://a.example/alerts/1?x=1&y=2", Some("<https://a.example/alerts/1?x=1&amp;y=2|Open the alert>")),
            ("https://a.example/a|b", None),
            ("https://a.example/a>b", None),
            ("https://a.example/a b", None),
            ("https://a.example/ü", None),
        ] {
            assert_eq!(link(url).as_deref(), expected);
        }
        assert_eq!(link(&format!("https://a.example/{}", "x".repeat(LINK_CHARS))), None);
    }
}
