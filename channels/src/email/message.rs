//! A mail's headers and parts (RFC 5322). Its bytes are a function of the delivery, so that a retry says the same and
//! has the same `Message-ID`; only `Date` is of the attempt.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Mailboxes, MultiPart, MultiPartKind, SinglePart, header};
use lettre::{Address, address::Envelope};
use logystera_schemas::calendar::{DAY_MS, Utc};
use logystera_schemas::ids::{DeliveryId, EpisodeId};
use logystera_schemas::limits::MAIL_SUBJECT_CHARS_MAX;

use super::content;
use crate::cut::cut;
use crate::words::Words;

/// Bytes of a text in one encoded word, which has at most 75 characters with its frame of 12.
const ENCODED_BYTES_MAX: usize = 45;
/// The same of the first, on whose line the header's name stands: a line has at most 76 characters.
const FIRST_ENCODED_BYTES_MAX: usize = 39;

/// What the headers are made of, besides the words.
pub(super) struct Head<'a> {
    pub(super) from: &'a Address,
    pub(super) to: &'a [Address],
    pub(super) id: DeliveryId,
    /// What it belongs to: all mails of an episode make a thread.
    pub(super) episode: Option<EpisodeId>,
    /// Whose alerts these are, for filters.
    pub(super) list: &'a str,
}

/// A mail without its `Date`.
pub(super) fn compose(words: &Words, head: &Head<'_>) -> Vec<u8> {
    let domain = head.from.domain();
    let part = |kind: ContentType, body: String| SinglePart::builder().header(kind).body(body);
    let parts =
        MultiPart::builder().kind(MultiPartKind::Alternative).boundary(format!("logystera-{}", head.id)).build();
    let mut mail = parts
        .singlepart(part(ContentType::TEXT_PLAIN, content::text(words)))
        .singlepart(part(ContentType::TEXT_HTML, content::html(words)));
    let headers = mail.headers_mut();
    headers.set(header::From::from(Mailboxes::from(Mailbox::new(Some("Logystera".to_owned()), head.from.clone()))));
    let to = head.to.iter().fold(Mailboxes::new(), |to, address| to.with(Mailbox::new(None, address.clone())));
    headers.set(header::To::from(to));
    let subject = cut(&words.headline, MAIL_SUBJECT_CHARS_MAX, |c, to| to.push(c));
    if let Ok(name) = HeaderName::new_from_ascii("Subject".to_owned()) {
        let encoded = encoded_words(&subject);
        headers.insert_raw(HeaderValue::dangerous_new_pre_encoded(name, subject, encoded));
    }
    headers.set(header::MIME_VERSION_1_0);
    let mut raw = vec![
        ("Message-ID", format!("<{}@{domain}>", head.id)),
        ("Auto-Submitted", "auto-generated".to_owned()),
        ("List-ID", format!("Logystera alerts <alerts.{}.{domain}>", head.list)),
    ];
    if let Some(episode) = head.episode {
        // Nobody has this message: the first mail of a thread is like the others, whichever arrives first.
        let root = format!("<episode-{episode}@{domain}>");
        raw.extend([("In-Reply-To", root.clone()), ("References", root)]);
    }
    for (name, value) in raw {
        // The names are ours and are well formed.
        if let Ok(name) = HeaderName::new_from_ascii(name.to_owned()) {
            headers.insert_raw(HeaderValue::new(name, value));
        }
    }
    mail.formatted()
}

/// A text as encoded words (RFC 2047, section 2), always: one that looks like such a word itself would else be read as
/// what it stands for.
fn encoded_words(text: &str) -> String {
    let (mut words, mut chunk) = (Vec::new(), String::new());
    for c in text.chars() {
        let bytes_max = if words.is_empty() { FIRST_ENCODED_BYTES_MAX } else { ENCODED_BYTES_MAX };
        if chunk.len() + c.len_utf8() > bytes_max {
            words.push(std::mem::take(&mut chunk));
        }
        chunk.push(c);
    }
    words.push(chunk);
    let encoded = words.iter().map(|word| format!("=?utf-8?B?{}?=", STANDARD.encode(word)));
    encoded.collect::<Vec<_>>().join("\r\n ")
}

/// Whom a mail goes to and comes from. None: it goes to nobody.
pub(super) fn envelope(from: &Address, to: &[Address]) -> Option<Envelope> {
    Envelope::new(Some(from.clone()), to.to_vec()).ok()
}

/// The line that says when a mail was handed over (RFC 5322, section 3.6.1).
pub(super) fn date_line(now_ms: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let Utc { year, month, day, hour, minute, second, .. } = Utc::of(now_ms);
    // 1970-01-01 was a Thursday.
    let weekday = DAYS[now_ms.div_euclid(DAY_MS).rem_euclid(7) as usize];
    let month = MONTHS[usize::from(month - 1) % 12];
    format!("Date: {weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} +0000\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_as_another_maker_writes_it() {
        // Computed with Python's email.utils.
        for (ms, expected) in [
            (0, "Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n"),
            (1_767_225_600_500, "Date: Thu, 01 Jan 2026 00:00:00 +0000\r\n"),
            (951_782_399_999, "Date: Mon, 28 Feb 2000 23:59:59 +0000\r\n"),
            (1_798_675_199_000, "Date: Wed, 30 Dec 2026 23:59:59 +0000\r\n"),
        ] {
            assert_eq!(date_line(ms), expected);
        }
    }
}
