//! What a mail says, as text and as HTML: the same words. Nothing in it is fetched from elsewhere.

use logystera_schemas::detection::Severity;
use logystera_schemas::limits::{MAIL_FACT_CHARS_MAX, MAIL_FACTS_MAX, MAIL_TEXT_CHARS_MAX, MAIL_VALUE_CHARS_MAX};

use crate::cut::cut;
use crate::words::{Tone, Words};

/// The mail as text.
pub fn text(words: &Words) -> String {
    let mut blocks = vec![raw(&words.headline, MAIL_VALUE_CHARS_MAX), raw(&words.message, MAIL_TEXT_CHARS_MAX)];
    blocks.extend(words.notes.iter().map(|note| raw(note, MAIL_VALUE_CHARS_MAX)));
    let facts: Vec<String> = facts(words).map(|(name, value)| format!("{name}: {value}")).collect();
    blocks.push([facts, left_out(words).into_iter().collect()].concat().join("\n"));
    if let Some((name, lines)) = words.list(usize::MAX) {
        let lines = lines.iter().map(|line| format!("  {}", raw(line, MAIL_VALUE_CHARS_MAX)));
        blocks.push(format!("{name}:\n{}", lines.collect::<Vec<_>>().join("\n")));
    }
    for (name, said) in advice(words) {
        blocks.push(format!("{name}:\n{}", raw(said, MAIL_TEXT_CHARS_MAX)));
    }
    blocks.extend(words.link.iter().map(|link| format!("Open the alert: {link}")));
    blocks.join("\n\n") + "\n"
}

/// The mail as HTML. Colours of text and ground are the reader's own, so that it reads well in the dark.
pub fn html(words: &Words) -> String {
    let colour = colour(words.tone);
    let mut body = vec![format!(
        "<h1 style=\"font-size:20px;margin:0 0 12px;padding-left:12px;border-left:6px solid {colour}\">{}</h1>\n<p>{}</p>\n",
        escaped(&words.headline, MAIL_VALUE_CHARS_MAX),
        escaped(&words.message, MAIL_TEXT_CHARS_MAX)
    )];
    for note in words.notes.iter().chain(left_out(words).iter()) {
        body.push(format!("<p>{}</p>\n", escaped(note, MAIL_VALUE_CHARS_MAX)));
    }
    body.push("<table style=\"border-collapse:collapse\">\n".to_owned());
    for (name, value) in facts(words) {
        body.push(format!(
            "<tr><th style=\"text-align:left;vertical-align:top;padding:2px 16px 2px 0;font-weight:600\">{}</th>\
             <td style=\"padding:2px 0;word-break:break-word\">{}</td></tr>\n",
            escaped(&name, MAIL_VALUE_CHARS_MAX),
            escaped(&value, MAIL_VALUE_CHARS_MAX)
        ));
    }
    body.push("</table>\n".to_owned());
    if let Some((name, lines)) = words.list(usize::MAX) {
        body.push(heading(name));
        body.push(
            "<div style=\"font-family:ui-monospace,monospace;font-size:13px;word-break:break-word\">\n".to_owned(),
        );
        for line in &lines {
            body.push(format!("<div>{}</div>\n", escaped(line, MAIL_VALUE_CHARS_MAX)));
        }
        body.push("</div>\n".to_owned());
    }
    for (name, said) in advice(words) {
        let lines: Vec<String> = raw(said, MAIL_TEXT_CHARS_MAX).lines().map(|line| escaped(line, usize::MAX)).collect();
        body.push(format!("{}<p>{}</p>\n", heading(name), lines.join("<br>\n")));
    }
    if let Some(link) = words.link.as_ref().filter(|link| link.starts_with("https://") || link.starts_with("http://")) {
        let mut href = String::new();
        link.chars().for_each(|c| escape(c, &mut href));
        body.push(format!("<p><a href=\"{href}\">Open the alert</a></p>\n"));
    }
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"color-scheme\" content=\"light dark\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{}</title></head>\n\
         <body style=\"font-family:system-ui,sans-serif;font-size:15px;line-height:1.45;overflow-wrap:anywhere;max-width:44em;margin:16px auto;padding:0 12px\">\n\
         {}</body></html>\n",
        escaped_plain(&words.headline),
        body.concat()
    )
}

fn facts(words: &Words) -> impl Iterator<Item = (String, String)> {
    words.facts.iter().take(MAIL_FACTS_MAX).map(|(name, value)| {
        (
            raw(name, MAIL_VALUE_CHARS_MAX),
            if value.trim().is_empty() { "-".to_owned() } else { raw(value, MAIL_FACT_CHARS_MAX) },
        )
    })
}

fn left_out(words: &Words) -> Option<String> {
    let more = words.facts.len().saturating_sub(MAIL_FACTS_MAX);
    (more > 0).then(|| format!("{more} more values are not shown."))
}

fn advice(words: &Words) -> impl Iterator<Item = (&'static str, &String)> {
    let both = [("Why it matters", words.why.as_ref()), ("What to do", words.what_to_do.as_ref())];
    both.into_iter().filter_map(|(name, said)| Some((name, said?)))
}

fn heading(text: &str) -> String {
    format!("<h2 style=\"font-size:15px;margin:16px 0 4px\">{text}</h2>\n")
}

fn raw(text: &str, chars_max: usize) -> String {
    cut(text, chars_max, |c, to| to.push(c))
}

/// A text that stands for itself, whichever direction it is written in.
fn escaped(text: &str, chars_max: usize) -> String {
    format!("<bdi>{}</bdi>", cut(text, chars_max, escape))
}

fn escaped_plain(text: &str) -> String {
    cut(text, MAIL_VALUE_CHARS_MAX, escape)
}

fn escape(c: char, to: &mut String) {
    match c {
        '&' => to.push_str("&amp;"),
        '<' => to.push_str("&lt;"),
        '>' => to.push_str("&gt;"),
        '"' => to.push_str("&quot;"),
        '\'' => to.push_str("&#39;"),
        c => to.push(c),
    }
}

/// Colours that stand out on white and on black.
const fn colour(tone: Tone) -> &'static str {
    match tone {
        Tone::Firing(Severity::Critical) => "#d1242f",
        Tone::Firing(Severity::Warning) | Tone::News => "#bf8700",
        Tone::Firing(Severity::Info) | Tone::Test => "#218bff",
        Tone::Over => "#2da44e",
    }
}
