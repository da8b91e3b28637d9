//! One line of the combined log format (Apache HTTP Server, `mod_log_config`):
//! `host ident user [time] "request" status bytes "referrer" "user agent"`, with `\"`, `\\` and `\xhh` inside the quotes.

use logystera_schemas::calendar::day_of;
use serde_json::json;

use crate::redact::{self, Note};

/// Characters of a user agent (schema of `http.request`).
const USER_AGENT_CHARS_MAX: usize = 256;
/// Characters of a route group.
const ROUTE_GROUP_CHARS_MAX: usize = 64;
/// Methods that the catalogue tells apart; others are `OTHER`.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// The signal of a line, as JSON, and what was cut; or why it cannot be read.
pub fn signal(line: &[u8], hash: impl Fn(&str) -> String) -> Result<(String, Vec<Note>), &'static str> {
    if line.len() > logystera_schemas::limits::LINE_BYTES_MAX {
        return Err("longer than 65536 bytes");
    }
    let mut parts = Parts(line);
    let address = parts.word().ok_or("no address")?;
    let address = std::str::from_utf8(address).map_err(|_| "no address")?;
    parts.word().and_then(|_| parts.word()).ok_or("no user")?;
    let at = parts.bracketed().and_then(|t| std::str::from_utf8(t).ok()).and_then(time_ms).ok_or("no time")?;
    let request = parts.quoted().ok_or("no request in quotes")?;
    let (method, target) = split_request(&request).ok_or("the request is not `METHOD path HTTP/version`")?;
    let status = parts.word().and_then(number).filter(|s| (100..=599).contains(s)).ok_or("no status of 100 to 599")?;
    parts.word().filter(|b| *b == b"-" || number(b).is_some()).ok_or("no number of bytes")?;
    parts.quoted().ok_or("no referrer in quotes")?;
    let agent = parts.quoted().ok_or("no user agent in quotes")?;

    let mut notes = Vec::new();
    let path = redact::path(&target, &mut notes);
    let mut signal = json!({
        "type": "http.request", "at": at, "method": method_name(&method, &mut notes), "path": path, "status": status,
        "route_group": route_group(&path), "source": hash(address),
    });
    if let Some(agent) = user_agent(&agent, &mut notes) {
        signal["user_agent"] = agent.into();
    }
    Ok((signal.to_string(), notes))
}

/// What is left of a line.
struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    fn skip_space(&mut self) {
        self.0 = self.0.trim_ascii_start();
    }

    fn word(&mut self) -> Option<&'a [u8]> {
        self.skip_space();
        let end = self.0.iter().position(|b| *b == b' ').unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest;
        (!word.is_empty()).then_some(word)
    }

    fn bracketed(&mut self) -> Option<&'a [u8]> {
        self.skip_space();
        let inner = self.0.strip_prefix(b"[")?;
        let end = inner.iter().position(|b| *b == b']')?;
        self.0 = &inner[end + 1..];
        Some(&inner[..end])
    }

    /// The text in quotes, its escapes undone.
    fn quoted(&mut self) -> Option<Vec<u8>> {
        self.skip_space();
        let mut rest = self.0.strip_prefix(b"\"")?;
        let mut text = Vec::new();
        loop {
            let (first, tail) = rest.split_first()?;
            rest = tail;
            match first {
                b'"' => break,
                b'\\' => {
                    let (escaped, tail) = rest.split_first()?;
                    let hex = tail.get(..2).filter(|_| *escaped == b'x').and_then(|h| std::str::from_utf8(h).ok());
                    let byte = hex.and_then(|h| u8::from_str_radix(h, 16).ok());
                    rest = if byte.is_some() { &tail[2..] } else { tail };
                    text.push(byte.unwrap_or(match escaped {
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        other => *other,
                    }));
                }
                other => text.push(*other),
            }
        }
        self.0 = rest;
        Some(text)
    }
}

fn number(digits: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(digits).ok()?;
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Method and target of `METHOD target HTTP/x`, or of `METHOD target` (HTTP/0.9). A target with a raw space, which some
/// scanners send, is taken whole.
fn split_request(request: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let space = request.iter().position(|b| *b == b' ')?;
    let (method, rest) = (&request[..space], &request[space + 1..]);
    let version = rest.iter().rposition(|b| *b == b' ').filter(|at| rest[at + 1..].starts_with(b"HTTP/"));
    let target = version.map_or(rest, |at| &rest[..at]);
    // Tokens of RFC 9110, section 5.6.2; a TLS handshake on a plain port is none.
    let is_token =
        !method.is_empty() && method.iter().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b));
    (is_token && !target.is_empty()).then(|| (method.to_vec(), target.to_vec()))
}

fn method_name(method: &[u8], notes: &mut Vec<Note>) -> &'static str {
    METHODS.into_iter().find(|known| known.as_bytes() == method).unwrap_or_else(|| {
        notes.push(Note::Method);
        "OTHER"
    })
}

/// The part of the site: the path's first folder, `root` for what lies in none, `other` where it cannot be said.
fn route_group(path: &str) -> String {
    let Some((folder, _)) = path[1..].split_once('/') else { return "root".to_owned() };
    let is_slug = folder.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    let is_sayable = is_slug && (1..=ROUTE_GROUP_CHARS_MAX).contains(&folder.len());
    if is_sayable { folder.to_owned() } else { "other".to_owned() }
}

fn user_agent(agent: &[u8], notes: &mut Vec<Note>) -> Option<String> {
    let text = String::from_utf8_lossy(agent);
    let text = text.trim();
    if text.is_empty() || text == "-" {
        return None;
    }
    if text.chars().any(|c| !c.is_ascii_graphic() && c != ' ') {
        notes.push(Note::AgentCharacters);
    }
    if text.chars().count() > USER_AGENT_CHARS_MAX {
        notes.push(Note::AgentLength);
    }
    let visible = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    Some(text.chars().take(USER_AGENT_CHARS_MAX).map(visible).collect())
}

/// `17/May/2015:10:05:03 +0000` as milliseconds since 1970.
fn time_ms(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (clock, zone) = text.split_once(' ')?;
    let mut parts = clock.split(['/', ':']);
    let mut next = |range: std::ops::RangeInclusive<i64>| {
        parts.next().and_then(|p| number(p.as_bytes())).filter(|n| range.contains(n))
    };
    let day = next(1..=31)?;
    let month_name = clock.split('/').nth(1)?;
    let month = MONTHS.iter().position(|m| *m == month_name)? as i64 + 1;
    let mut rest = clock.split(['/', ':']).skip(2);
    let mut next = |range: std::ops::RangeInclusive<i64>| {
        rest.next().and_then(|p| number(p.as_bytes())).filter(|n| range.contains(n))
    };
    let (year, hour, minute, second) = (next(1970..=9999)?, next(0..=23)?, next(0..=59)?, next(0..=60)?);
    if rest.next().is_some() || zone.len() != 5 {
        return None;
    }
    let (sign, digits) = (zone.get(..1)?, number(zone.get(1..)?.as_bytes())?);
    let offset_s = (digits / 100 * 60 + digits % 100) * 60;
    let offset_s = match sign {
        "+" => offset_s,
        "-" => -offset_s,
        _ => return None,
    };
    let seconds = day_of(year, month, day)? * 86_400 + hour * 3_600 + minute * 60 + second - offset_s;
    (seconds >= 0).then_some(seconds * 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_zone() {
        let cases = [
            ("01/Jan/1970:00:00:00 +0000", Some(0)),
            ("17/May/2015:10:05:03 +0000", Some(1_431_857_103_000)),
            ("17/May/2015:12:05:03 +0200", Some(1_431_857_103_000)),
            ("17/May/2015:04:35:03 -0530", Some(1_431_857_103_000)),
            ("29/Feb/2024:23:59:60 +0000", Some(1_709_251_200_000)),
            ("31/Dec/9999:23:59:59 +0000", Some(253_402_300_799_000)),
            ("29/Feb/2023:00:00:00 +0000", None),
            ("29/Feb/1900:00:00:00 +0000", None),
            ("31/Apr/2015:00:00:00 +0000", None),
            ("17/may/2015:10:05:03 +0000", None),
            ("17/May/2015:24:05:03 +0000", None),
            ("17/May/2015:10:05 +0000", None),
            ("17/May/2015:10:05:03:1 +0000", None),
            ("17/May/2015:10:05:03", None),
            ("17/May/2015:10:05:03 0000", None),
            ("01/Jan/1970:00:00:00 +0100", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(time_ms(text), expected, "{text}");
        }
    }

    #[test]
    fn lines_that_are_none_say_why() {
        let hash = |_: &str| String::new();
        let cases: [(&[u8], &str); 9] = [
            (b"one", "no user"),
            (b"1.2.3.4 - - \"GET / HTTP/1.1\"", "no time"),
            (b"1.2.3.4 - - [17/May/2015:10:05:03 +0000] GET", "no request in quotes"),
            (
                b"1.2.3.4 - - [17/May/2015:10:05:03 +0000] \"-\" 408 0 \"-\" \"-\"",
                "the request is not `METHOD path HTTP/version`",
            ),
            (
                b"1.2.3.4 - - [17/May/2015:10:05:03 +0000] \"\\x16\\x03\\x01 a\" 400 0 \"-\" \"-\"",
                "the request is not `METHOD path HTTP/version`",
            ),
            (
                b"1.2.3.4 - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 99 0 \"-\" \"-\"",
                "no status of 100 to 599",
            ),
            (b"1.2.3.4 - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 x \"-\" \"-\"", "no number of bytes"),
            (b"1.2.3.4 - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 5", "no referrer in quotes"),
            (
                b"1.2.3.4 - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"cut of",
                "no user agent in quotes",
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(signal(line, hash), Err(expected), "{}", String::from_utf8_lossy(line));
        }
        assert!(signal(&vec![b'a'; 70_000], hash).is_err());
    }
}
