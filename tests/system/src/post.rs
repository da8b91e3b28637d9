//! Requests for the gateway, good and bad: bytes over a socket exactly as they are given, and whatever comes back.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::wire::{self, Answer, Credentials, now_ms};

/// How long an answer may take. The gateway's longest wait is that for a body, 30 s.
const ANSWER_WAIT: Duration = Duration::from_secs(45);

/// A batch to send. What is not changed is good.
#[derive(Clone, Debug)]
pub struct Post {
    /// Who signs.
    pub by: Credentials,
    /// Spool and number.
    pub batch: String,
    /// Seconds since the epoch.
    pub ts: i64,
    /// Content type.
    pub content_type: String,
    /// Content encoding; none: no header.
    pub encoding: Option<String>,
    /// Body as sent.
    pub body: Vec<u8>,
}

impl Post {
    /// A batch as a good sender has it, signed now.
    pub fn new(by: &Credentials, batch: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self {
            by: by.clone(),
            batch: batch.into(),
            ts: now_ms() / 1_000,
            content_type: "application/json".to_owned(),
            encoding: None,
            body: body.into(),
        }
    }

    /// The same with its body compressed.
    #[must_use]
    pub fn zipped(self) -> Self {
        Self { body: gzip(&self.body), encoding: Some("gzip".to_owned()), ..self }
    }

    /// Value of the signature header.
    pub fn signature(&self) -> String {
        let forms = [self.content_type.as_str(), self.encoding.as_deref().unwrap_or("identity")];
        wire::signature(&self.by, &self.batch, self.ts, forms, &self.body)
    }

    /// Request line and headers, without the blank line.
    pub fn head(&self) -> String {
        let encoding = self.encoding.as_ref().map(|e| format!("Content-Encoding: {e}\r\n")).unwrap_or_default();
        format!(
            "POST /v1/batches HTTP/1.1\r\nHost: x\r\nContent-Type: {}\r\n{encoding}Content-Length: {}\r\n\
             Logystera-Signature: {}\r\n",
            self.content_type,
            self.body.len(),
            self.signature()
        )
    }

    /// The whole request.
    pub fn request(&self) -> Vec<u8> {
        self.with_head(&self.head())
    }

    /// The whole request, with `head` in place of its own.
    pub fn with_head(&self, head: &str) -> Vec<u8> {
        [head.as_bytes(), b"\r\n", &self.body].concat()
    }

    /// Sends it.
    pub fn send(&self, port: u16) -> Answer {
        raw(port, &self.request())
    }
}

/// Compresses.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory takes everything")
}

/// The body of a batch with these signals, a JSON object each, whose times are up to `through`.
pub fn body(through: i64, signals: &str) -> Vec<u8> {
    let enabled = r#"["auth.attempt","cron.run","http.request","user.change"]"#;
    let integration = format!(r#"{{"platform":"other","version":"1.0.0","enabled":{enabled}}}"#);
    format!(r#"{{"through":{through},"integration":{integration},"signals":[{signals}]}}"#).into_bytes()
}

/// A signal like many others.
pub fn signal(at: i64, job: &str) -> String {
    format!(r#"{{"type":"cron.run","at":{at},"job":"{job}","outcome":"ok"}}"#)
}

/// Opens a connection.
pub fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("the gateway listens");
    stream.set_read_timeout(Some(ANSWER_WAIT)).expect("a timeout can be set");
    stream
}

/// Sends bytes as they are and reads one answer.
pub fn raw(port: u16, bytes: &[u8]) -> Answer {
    let mut stream = connect(port);
    // The gateway may have answered and closed before it has read everything.
    let _ = stream.write_all(bytes);
    read_answer(&mut stream)
}

/// Reads one answer. Status 0: the connection ended without one.
pub fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let mut piece = [0; 4_096];
    loop {
        if let Some(answer) = parse(&String::from_utf8_lossy(&bytes)) {
            return answer;
        }
        match stream.read(&mut piece) {
            Ok(n) if n > 0 => bytes.extend_from_slice(&piece[..n]),
            Ok(_) | Err(_) => return Answer { status: 0, head: String::new(), body: String::new() },
        }
    }
}

fn parse(text: &str) -> Option<Answer> {
    let (head, rest) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    if status == 100 {
        return parse(rest);
    }
    let length = head.lines().find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let body = rest.get(..length.unwrap_or(0))?.to_owned();
    Some(Answer { status, head: head.to_owned(), body })
}

/// The `code` of an answer's body; empty where it has none.
pub fn code(answer: &Answer) -> String {
    let json: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_default();
    json["code"].as_str().unwrap_or_default().to_owned()
}
