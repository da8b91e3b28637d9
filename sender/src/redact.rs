//! The path of a request as a signal may have it: without what a person or a secret could be read from.

/// Characters of a path (schema of `http.request`).
const PATH_CHARS_MAX: usize = 256;
/// Letters and digits in a row from which a segment is taken for a token.
const TOKEN_CHARS_MIN: usize = 20;
/// The same for hex digits: half a SHA-1 is nobody's word.
const HEX_TOKEN_CHARS_MIN: usize = 16;
/// Digits in a row from which a segment is taken for a number of a person, an order or a phone.
const NUMBER_CHARS_MIN: usize = 9;
/// Stands for a segment that is not told.
const HIDDEN: &str = "*";

/// What was cut from a line that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Note {
    /// The query string.
    Query,
    /// A segment of the path.
    Segment,
    /// The end of a long path.
    PathLength,
    /// The end of a long user agent.
    AgentLength,
    /// Characters of the user agent.
    AgentCharacters,
    /// The method's name.
    Method,
}

impl Note {
    /// The same, for people.
    pub fn text(self) -> &'static str {
        match self {
            Self::Query => "query string or parameters left out",
            Self::Segment => "a part of the path looked like a token, an address or a one-time link: now *",
            Self::PathLength => "path longer than 256 characters",
            Self::AgentLength => "user agent longer than 256 characters",
            Self::AgentCharacters => "user agent with characters other than visible ASCII: now ?",
            Self::Method => "method that the catalogue does not have: now OTHER",
        }
    }
}

/// The path of a request target (RFC 9112, section 3.2), and what was cut from it.
pub fn path(target: &[u8], notes: &mut Vec<Note>) -> String {
    let origin = origin_form(target);
    let end = origin.iter().position(|b| b"?#;".contains(b)).unwrap_or(origin.len());
    if end < origin.len() {
        notes.push(Note::Query);
    }
    let mut text = String::new();
    let mut is_hidden = false;
    for (i, segment) in origin[..end].split(|b| *b == b'/').enumerate() {
        if i > 0 {
            text.push('/');
        }
        if is_personal(segment) {
            is_hidden = true;
            text.push_str(HIDDEN);
        } else {
            text.extend(segment.iter().map(|b| if b.is_ascii_graphic() { *b as char } else { '_' }));
        }
    }
    if is_hidden {
        notes.push(Note::Segment);
    }
    if !text.starts_with('/') {
        text.insert(0, '/');
    }
    if text.len() > PATH_CHARS_MAX {
        notes.push(Note::PathLength);
        text.truncate(PATH_CHARS_MAX);
    }
    text
}

/// The target without scheme and host; what names no path at all (`*`, the `host:port` of a CONNECT) becomes `/*`.
fn origin_form(target: &[u8]) -> &[u8] {
    if target.starts_with(b"/") {
        return target;
    }
    let scheme = target.windows(3).position(|w| w == b"://");
    let Some(host) = scheme.map(|at| &target[at + 3..]) else { return b"/*" };
    host.iter().position(|b| *b == b'/').map_or(b"/", |at| &host[at..])
}

/// Whether a segment looks like a token, an address or a one-time link. Rather one too many than one too few.
fn is_personal(segment: &[u8]) -> bool {
    let decoded = percent_decoded(segment);
    let mut runs = decoded.split(|b| !b.is_ascii_alphanumeric());
    decoded.contains(&b'@') || is_ip_address(&decoded) || is_uuid(&decoded) || runs.any(is_token)
}

fn is_token(run: &[u8]) -> bool {
    let digits = run.iter().filter(|b| b.is_ascii_digit()).count();
    let is_hex = run.iter().all(u8::is_ascii_hexdigit);
    let mixed = digits > 0 && digits < run.len();
    (digits == run.len() && run.len() >= NUMBER_CHARS_MIN)
        || (is_hex && mixed && run.len() >= HEX_TOKEN_CHARS_MIN)
        || (digits >= 2 && run.len() >= TOKEN_CHARS_MIN)
}

fn is_ip_address(segment: &[u8]) -> bool {
    std::str::from_utf8(segment).is_ok_and(|text| text.parse::<std::net::IpAddr>().is_ok())
}

/// `8-4-4-4-12` hex digits (RFC 9562).
fn is_uuid(segment: &[u8]) -> bool {
    let lengths = segment.split(|b| *b == b'-').map(<[u8]>::len);
    lengths.eq([8, 4, 4, 4, 12]) && segment.iter().all(|b| b.is_ascii_hexdigit() || *b == b'-')
}

/// `%40` is an `@` too.
fn percent_decoded(segment: &[u8]) -> Vec<u8> {
    let nibble = |b: u8| (b as char).to_digit(16).map(|d| d as u8);
    let mut decoded = Vec::with_capacity(segment.len());
    let mut rest = segment;
    while let Some((first, tail)) = rest.split_first() {
        let pair = tail.first().zip(tail.get(1)).filter(|_| *first == b'%');
        let byte = pair.and_then(|(high, low)| Some(nibble(*high)? << 4 | nibble(*low)?));
        decoded.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(target: &str, expected: &str, expected_notes: &[Note]) {
        let mut notes = Vec::new();
        assert_eq!(path(target.as_bytes(), &mut notes), expected, "{target}");
        assert_eq!(notes, expected_notes, "{target}");
    }

    #[test]
    fn a_path_keeps_what_is_of_the_site_and_hides_what_is_of_a_person() {
        let plain = [
            "/",
            "/wp-login.php",
            "/wp-content/plugins/akismet/_inc/akismet.js",
            "/2015/05/17/a-post-with-a-long-title/",
            "/images/jordan-80.png",
            "/blog/tags/puppet",
            "/a%20b",
            "/files/logstash-1.1.9-monolithic.jar",
            "//x",
            "/presentations/logstash-puppetconf-2012/images/office-space-printer-beat-down-gif.gif",
            "/v1.2.3.tar.gz",
        ];
        for target in plain {
            check(target, target, &[]);
        }
        let hidden = [
            ("/reset/9f86d081884c7d659a2feaa0c55ad015", "/reset/*"),
            ("/verify/eyJhbGciOiJIUzI1NiIsInR5cCI6/now", "/verify/*/now"),
            ("/order/550e8400-e29b-41d4-a716-446655440000", "/order/*"),
            ("/order/ABCDEFAB-cdef-abcd-efab-cdefabcdefab", "/order/*"),
            ("/user/alice@example.org/edit", "/user/*/edit"),
            ("/user/alice%40example.org", "/user/*"),
            ("/ban/203.0.113.9", "/ban/*"),
            ("/ban/2001:db8::1", "/ban/*"),
            ("/call/004915112345678", "/call/*"),
            ("/f/0123456789abcdef.pdf", "/f/*"),
        ];
        for (target, expected) in hidden {
            check(target, expected, &[Note::Segment]);
        }
    }

    #[test]
    fn queries_hosts_and_length_are_cut() {
        check("/s?q=hunter2", "/s", &[Note::Query]);
        check("/s;jsessionid=1", "/s", &[Note::Query]);
        check("/s#f@g", "/s", &[Note::Query]);
        check("?q", "/*", &[]);
        check("http://example.org/a?b", "/a", &[Note::Query]);
        check("http://example.org", "/", &[]);
        check("*", "/*", &[]);
        check("example.org:443", "/*", &[]);
        check("/caf\u{e9}\u{1}", "/caf___", &[]);
        check(&format!("/{}", "a/".repeat(200)), &format!("/{}a", "a/".repeat(127)), &[Note::PathLength]);
    }
}
