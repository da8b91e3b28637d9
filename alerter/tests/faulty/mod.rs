//! A receiver over TCP that does as it is told, HTTP or SMTP: a connection for each attempt.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test helper: whoever fails here fails a test")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Behind what is said, or in its place: nothing more comes.
pub(crate) const HANGS: &str = "(hangs)";
/// Behind what is said: the connection ends there. Else an answer over HTTP is made whole.
const ENDS: &str = "(ends)";
/// In place of an answer: `102 Processing`, again and again.
pub(crate) const ENDLESS: &str = "(1xx)";

/// What is spoken.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Protocol {
    Http,
    Smtp,
}

/// A receiver.
pub(crate) struct Faulty {
    pub(crate) port: u16,
    /// The idempotency key of each attempt, as far as it was said, and the message.
    seen: Arc<Mutex<Vec<(String, String)>>>,
}

impl Faulty {
    /// Serves until the test ends. The n-th connection gets the n-th answer, those beyond the last one that.
    pub(crate) async fn serve(protocol: Protocol, answers: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, seen) = (listener.local_addr().unwrap().port(), Arc::default());
        let shared = Arc::clone(&seen);
        tokio::spawn(async move {
            for nth in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let answer = answers.get(nth).or(answers.last()).copied().unwrap_or("");
                let seen = Arc::clone(&shared);
                tokio::spawn(async move {
                    let mut stream = BufReader::new(stream);
                    let _ = match protocol {
                        Protocol::Http => http(&mut stream, answer, &seen).await,
                        Protocol::Smtp => smtp(&mut stream, answer, &seen).await,
                    };
                });
            }
        });
        Self { port, seen }
    }

    /// There was one request an attempt, and each said the same.
    pub(crate) fn check(&self, what: &str, attempts: usize) {
        let seen = self.seen.lock().unwrap();
        assert_eq!(seen.len(), attempts, "{what}: requests");
        let whole: BTreeSet<_> = seen.iter().filter(|(_, message)| !message.is_empty()).collect();
        assert!(whole.len() <= 1, "{what}: another key or another message at a repeat: {whole:#?}");
    }
}

/// Says this. If it hangs behind that, it never ends.
async fn say(stream: &mut BufReader<TcpStream>, text: &str) -> Option<()> {
    let hangs = text.contains(HANGS);
    stream.write_all(text.replace(HANGS, "").replace(ENDS, "").as_bytes()).await.ok()?;
    stream.flush().await.ok()?;
    if hangs { std::future::pending().await } else { Some(()) }
}

async fn http(stream: &mut BufReader<TcpStream>, answer: &str, seen: &Mutex<Vec<(String, String)>>) -> Option<()> {
    let (mut key, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        if line.trim_end().is_empty() {
            break;
        }
        let Some((name, value)) = line.trim_end().split_once(": ") else { continue };
        match name {
            "webhook-id" => value.clone_into(&mut key),
            "content-length" => length = value.parse().unwrap(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    seen.lock().unwrap().push((key, String::from_utf8(body).unwrap()));
    if answer == ENDLESS {
        loop {
            say(stream, "HTTP/1.1 102 Processing\r\n\r\n").await?;
        }
    }
    let is_whole = !answer.is_empty() && !answer.contains(HANGS) && !answer.contains(ENDS);
    let (head, body) = answer.split_once("\n\n").unwrap_or((answer, ""));
    let lines = head.replace('\n', "\r\n");
    if is_whole {
        return say(stream, &format!("{lines}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()))
            .await;
    }
    let body = if answer.contains("\n\n") { format!("\r\n\r\n{body}") } else { String::new() };
    say(stream, &format!("{lines}{body}")).await
}

/// `LINE => ANSWER` says what is said to the first lines that begin so, in place of the usual; an empty answer hangs up.
async fn smtp(stream: &mut BufReader<TcpStream>, answer: &str, seen: &Mutex<Vec<(String, String)>>) -> Option<()> {
    let nth = {
        let mut seen = seen.lock().unwrap();
        seen.push(Default::default());
        seen.len() - 1
    };
    let (to, instead) = answer.split_once(" => ").unwrap_or(("(nothing)", ""));
    let (mut asked, mut usual) = ("(greeting)".to_owned(), "220 mail.example.com");
    let mut is_mail = false;
    loop {
        let said = if asked.starts_with(to) { instead } else { usual };
        if said.is_empty() {
            return None;
        }
        say(stream, &if said == HANGS { said.to_owned() } else { format!("{said}\r\n") }).await?;
        is_mail |= said.starts_with("354");
        if is_mail {
            let mail = read_mail(stream).await?;
            let key = mail.lines().find_map(|line| line.strip_prefix("Message-ID: ")).unwrap().to_owned();
            // Only its Date is of the attempt.
            let same: Vec<&str> = mail.lines().filter(|line| !line.starts_with("Date: ")).collect();
            seen.lock().unwrap()[nth] = (key, same.join("\n"));
            (asked, is_mail, usual) = ("(end)".to_owned(), false, "250 2.0.0 ok");
            continue;
        }
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        asked = line;
        usual = match asked.split_whitespace().next().unwrap_or("") {
            "DATA" => "354 go on",
            "QUIT" => "221 bye",
            _ => "250 2.0.0 ok",
        };
    }
}

/// The lines up to the one that is a dot.
async fn read_mail(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut mail = String::new();
    loop {
        let begin = mail.len();
        if stream.read_line(&mut mail).await.ok()? == 0 {
            return None;
        }
        if mail[begin..].trim_end() == "." {
            return Some(mail);
        }
    }
}
