//! HTTP by hand over a socket, and the signature of a batch by the specification.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, SystemTime};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// A site's credentials, as `site add --json` prints them.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Site.
    pub site: String,
    /// Key.
    pub key: String,
    /// Secret bytes.
    pub secret: Vec<u8>,
    /// Audience.
    pub audience: String,
    /// DSN.
    pub dsn: String,
}

impl Credentials {
    /// From the JSON of `site add`.
    pub fn from_json(json: &serde_json::Value) -> Self {
        let text = |field: &str| json[field].as_str().unwrap_or_else(|| panic!("no {field} in {json}")).to_owned();
        Self {
            site: text("site"),
            key: text("key"),
            secret: from_hex(&text("secret")),
            audience: text("audience"),
            dsn: text("dsn"),
        }
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Header lines.
    pub head: String,
    /// Body.
    pub body: String,
}

/// Milliseconds since the epoch.
#[expect(clippy::disallowed_methods, reason = "a sender signs with the time it is")]
pub fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.expect("the clock is past 1970").as_millis() as i64
}

/// Lowercase hex.
pub fn to_hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}

/// The bytes of some hex.
pub fn from_hex(text: &str) -> Vec<u8> {
    let byte = |i| u8::from_str_radix(&text[i..i + 2], 16).expect("hex digits");
    (0..text.len()).step_by(2).map(byte).collect()
}

/// The signature header of a batch. `forms` are its content type and its content encoding.
pub fn signature(by: &Credentials, batch: &str, ts: i64, forms: [&str; 2], body: &[u8]) -> String {
    let digest = to_hex(&Sha256::digest(body));
    let signed = [
        "v1",
        "POST",
        "/v1/batches",
        &by.audience,
        &by.site,
        &by.key,
        &format!("{ts:010}"),
        batch,
        forms[0],
        forms[1],
        &digest,
    ]
    .join("\n");
    let mut mac = Hmac::<Sha256>::new_from_slice(&by.secret).expect("a key of any length");
    mac.update(signed.as_bytes());
    let sig = to_hex(&mac.finalize().into_bytes());
    format!("v1 site={},key={},ts={ts:010},batch={batch},sig={sig}", by.site, by.key)
}

/// Sends a batch. None: there was no answer.
pub fn post_batch(port: u16, by: &Credentials, batch: &str, body: &[u8]) -> Option<Answer> {
    let header = signature(by, batch, now_ms() / 1_000, ["application/json", "identity"], body);
    let head = format!(
        "POST /v1/batches HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Logystera-Signature: {header}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    exchange(port, head.as_bytes(), body)
}

/// Gets a path. None: there was no answer.
pub fn get(port: u16, path: &str) -> Option<Answer> {
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    exchange(port, head.as_bytes(), b"")
}

/// Sends bytes as they are and reads the answer to the end of the connection.
pub fn exchange(port: u16, head: &[u8], body: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    stream.write_all(head).ok()?;
    stream.write_all(body).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head: head.to_owned(), body: body.to_owned() })
}
