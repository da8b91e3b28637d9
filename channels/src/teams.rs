//! Microsoft Teams: an Adaptive Card in the `message` envelope, to a workflow that posts what it is sent
//! (<https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook>).
//!
//! Which host a workflow has is Microsoft's to choose and changes: any address that may be called is taken. Texts stand
//! in `RichTextBlock`s, whose runs are no markdown; in titles and values of a `FactSet`, which are, each character
//! that could be markdown is escaped, and none begins with blanks, of which four make code.

use logystera_schemas::delivery::AttemptOutcome;
use logystera_schemas::detection::Severity;
use logystera_schemas::limits::{ALERTS_SHOWN_MAX, TEAMS_BYTES_MAX};
use serde_json::{Value, json};

use crate::cut::cut;
use crate::http::Reply;
use crate::words::{Tone, Words};
use crate::{Answer, Target, parse_url};

/// Reads the settings as they are stored: `{"url":…}`. None: they are no such settings.
pub(super) fn parse(settings: &[u8]) -> Option<Target> {
    parse_url(settings).map(|url| Target::Teams { url })
}

/// Codes of a workflow that is no more, in the body of an error.
pub(super) const GONE: [&str; 3] = ["WorkflowNotFound", "WorkflowTriggerNotFound", "DirectApiAuthorizationRequired"];

/// What an answer means. A workflow takes a message with 202 before it has posted it; some flows, and the connectors of
/// before, put an error into the body of such an answer: `{"error":{"code":…}}`, or a sentence with the status that
/// Teams answered them.
pub(super) fn classify(reply: &Reply) -> Answer {
    let answer = reply.answer();
    let outcome = answer.outcome;
    let Some(body) = &reply.body else {
        // The status says whether it was taken; the body would only have said why not.
        if outcome == AttemptOutcome::Delivered {
            return answer;
        }
        return answer.meaning(outcome, "teams", &format!("{}_no_body", reply.status));
    };
    let text = String::from_utf8_lossy(body);
    let code =
        serde_json::from_str::<Value>(&text).ok().and_then(|v| Some(v.get("error")?.get("code")?.as_str()?.to_owned()));
    let inner = inner_status(&text);
    let said = code.clone().or(inner.map(|status| status.to_string()));
    let outcome = match (reply.status, code.as_deref(), inner) {
        (_, Some(code), _) if GONE.contains(&code) => AttemptOutcome::Gone,
        (200..=299, _, Some(429)) => AttemptOutcome::Throttled,
        (200..=299, _, Some(400..=499)) => AttemptOutcome::Rejected,
        (200..=299, Some(_), _) | (200..=299, _, Some(_)) => AttemptOutcome::Failed,
        _ => outcome,
    };
    match said {
        None if outcome == AttemptOutcome::Delivered => answer,
        None => answer.meaning(outcome, "teams", &reply.status.to_string()),
        Some(said) => answer.meaning(outcome, "teams", &said.chars().take(48).collect::<String>()),
    }
}

/// The status in "… endpoint returned HTTP error 413 …" and "… failed with status code: 400".
fn inner_status(text: &str) -> Option<u16> {
    ["HTTP error ", "status code: "].iter().find_map(|before| {
        let digits = text.split_once(before)?.1.get(..3)?;
        digits.parse().ok().filter(|status| *status >= 400)
    })
}

/// How much of each part a card has.
struct Room {
    list: usize,
    chars: usize,
    facts: usize,
}

/// What is tried in turn until a card is small enough: first the list goes, then texts get shorter.
const ROOMS: [Room; 8] = [
    Room { list: ALERTS_SHOWN_MAX, chars: 2_000, facts: 30 },
    Room { list: 10, chars: 800, facts: 20 },
    Room { list: 5, chars: 800, facts: 20 },
    Room { list: 3, chars: 500, facts: 16 },
    Room { list: 0, chars: 500, facts: 12 },
    Room { list: 0, chars: 300, facts: 10 },
    Room { list: 0, chars: 150, facts: 8 },
    Room { list: 0, chars: 80, facts: 5 },
];

/// The message as a workflow takes it, at most [`TEAMS_BYTES_MAX`] bytes.
pub fn payload(words: &Words) -> Value {
    let mut smallest = Value::Null;
    for room in &ROOMS {
        smallest = envelope(words, room);
        if smallest.to_string().len() <= TEAMS_BYTES_MAX {
            break;
        }
    }
    smallest
}

fn envelope(words: &Words, room: &Room) -> Value {
    let mut card = json!({
        "type": "AdaptiveCard",
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "fallbackText": raw(&format!("{}. {}", words.headline, words.message), 300),
        "body": body(words, room),
    });
    if let Some(link) = words.link.as_ref().filter(|link| link.len() <= 1_000) {
        card["actions"] = json!([{"type": "Action.OpenUrl", "title": "Open the alert", "url": link}]);
    }
    json!({
        "type": "message",
        "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card}],
    })
}

fn body(words: &Words, room: &Room) -> Vec<Value> {
    let headline = json!({
        "type": "TextRun", "text": raw(&words.headline, room.chars.min(300)), "size": "large", "weight": "bolder",
        "color": colour(words.tone),
    });
    let mut body = vec![rich(&headline), text(&words.message, room.chars)];
    let shown = words.facts.len().min(room.facts);
    let markdown = |text: &str, chars_max: usize| cut(or_dash(text).trim_start(), chars_max, escape);
    let facts = words.facts[..shown]
        .iter()
        .map(|(name, value)| json!({"title": markdown(name, 80), "value": markdown(value, room.chars.min(300))}));
    body.push(json!({"type": "FactSet", "facts": facts.collect::<Vec<_>>()}));
    if words.facts.len() > shown {
        body.push(text(&format!("{} more values are not shown.", words.facts.len() - shown), room.chars));
    }
    body.extend(words.notes.iter().map(|note| text(note, room.chars)));
    if let Some((name, lines)) = words.list(room.list) {
        body.push(title(name));
        body.extend(lines.iter().map(|line| text(line, room.chars.min(400))));
    }
    for (name, said) in [("Why it matters", &words.why), ("What to do", &words.what_to_do)] {
        let Some(said) = said else { continue };
        body.push(title(name));
        let said = cut(said, room.chars, |c, to| to.push(c));
        body.extend(said.lines().filter(|line| !line.trim().is_empty()).take(20).map(|line| text(line, room.chars)));
    }
    body
}

fn rich(run: &Value) -> Value {
    json!({"type": "RichTextBlock", "inlines": [run]})
}

fn text(text: &str, chars_max: usize) -> Value {
    rich(&json!({"type": "TextRun", "text": raw(or_dash(text), chars_max)}))
}

fn title(text: &str) -> Value {
    rich(&json!({"type": "TextRun", "text": text, "weight": "bolder"}))
}

fn or_dash(text: &str) -> &str {
    if text.trim().is_empty() { "-" } else { text }
}

/// A text that nothing reads as markdown, nor as a date to fill in: `{{DATE(…)}}` is one only if its braces touch. What stands
/// between them has no width (U+2060, word joiner).
fn raw(text: &str, chars_max: usize) -> String {
    cut(text, chars_max, |c, to| {
        to.push(c);
        if c == '{' {
            to.push('\u{2060}');
        }
    })
}

/// A text that is read as markdown, and shall show itself: a backslash before each character that can mean something
/// (`CommonMark`, "Backslash escapes"). HTML is not read there; `<` and `&` are escaped all the same.
fn escape(c: char, to: &mut String) {
    if c.is_ascii_punctuation() && !matches!(c, ',' | ':' | ';' | '\'' | '"' | '?' | '/' | '%' | '@' | '=' | '$' | '^')
    {
        to.push('\\');
    }
    to.push(c);
}

/// The colour of a headline, of those that follow a reader's theme.
const fn colour(tone: Tone) -> &'static str {
    match tone {
        Tone::Firing(Severity::Critical) => "attention",
        Tone::Firing(Severity::Warning) | Tone::News => "warning",
        Tone::Firing(Severity::Info) | Tone::Test => "accent",
        Tone::Over => "good",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::ended_as;

    #[test]
    fn each_answer_has_one_meaning() {
        use AttemptOutcome::{Delivered, Failed, Gone, Rejected, Throttled};
        let posted = "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error";
        for (status, retry_after_s, body, outcome, detail) in [
            (202, None, Some(String::new()), Delivered, None),
            (200, None, Some("1".to_owned()), Delivered, None),
            (202, None, None, Delivered, None),
            (
                202,
                None,
                Some(r#"{"error":{"code":"InvalidCard","message":"x"}}"#.to_owned()),
                Failed,
                Some("teams_invalidcard"),
            ),
            (200, None, Some(format!("{posted} 413 with ContextId x")), Rejected, Some("teams_413")),
            (200, None, Some(format!("{posted} 429 with ContextId x")), Throttled, Some("teams_429")),
            (200, None, Some(format!("{posted} 503 with ContextId x")), Failed, Some("teams_503")),
            (
                400,
                None,
                Some(r#"{"error":{"code":"TriggerInputSchemaMismatch"}}"#.to_owned()),
                Rejected,
                Some("teams_triggerinputschemamismatch"),
            ),
            (
                404,
                None,
                Some(r#"{"error":{"code":"WorkflowNotFound"}}"#.to_owned()),
                Gone,
                Some("teams_workflownotfound"),
            ),
            (404, None, Some("no".to_owned()), Rejected, Some("teams_404")),
            (410, None, Some(String::new()), Gone, Some("teams_410")),
            (413, None, Some(String::new()), Rejected, Some("teams_413")),
            (
                429,
                Some(17),
                Some(r#"{"error":{"code":"WorkflowRunActionRepetitionQuotaExceeded"}}"#.to_owned()),
                Throttled,
                Some("teams_workflowrunactionrepetitionquotaexceeded"),
            ),
            (500, None, None, Failed, Some("teams_500_no_body")),
            (502, None, Some("<html>".to_owned()), Failed, Some("teams_502")),
            (503, Some(9), Some(String::new()), Throttled, Some("teams_503")),
        ] {
            let reply = Reply { status, retry_after_s, body: body.map(String::into_bytes) };
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
    fn markdown_in_a_value_shows_itself() {
        for (text, shown) in [
            ("plain text", "plain text"),
            ("[x](https://a.example)", r"\[x\]\(https://a\.example\)"),
            ("**a** _b_ `c` ~d~", r"\*\*a\*\* \_b\_ \`c\` \~d\~"),
            ("<at>all</at>", r"\<at\>all\</at\>"),
            (r"\*", r"\\\*"),
            ("{{DATE(2026)}}", r"\{\{DATE\(2026\)\}\}"),
        ] {
            assert_eq!(cut(text, usize::MAX, escape), shown);
        }
    }
}
