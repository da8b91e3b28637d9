//! Email against a scripted mail server, over TCP and TLS: what is said, and what each fault means.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

mod common;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{START_MS, detection, due_of_detection};
use logystera_channels::address::AddressPolicy;
use logystera_channels::email::server::MailConfig;
use logystera_channels::http::HttpConfig;
use logystera_channels::kinds::{self, Kinds};
use logystera_channels::{Answer, Refusal, Target};
use logystera_schemas::alert::Due;
use logystera_schemas::control::ChannelKind;
use logystera_schemas::delivery::{AttemptCause, AttemptOutcome};
use logystera_schemas::detection::DetectionState;
use logystera_schemas::limits::{MAIL_ANSWERS_BYTES_MAX, MAIL_LINE_BYTES_MAX, MAIL_RECIPIENTS_MAX};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// What the server answers instead of the usual: to the first line that begins with this. An empty answer hangs up.
type Script = &'static [(&'static str, &'static str)];
type Log = Arc<Mutex<Vec<String>>>;

/// What is said to a connection that begins, for [`Script`].
const GREETING: &str = "(greeting)";
/// What is said to the end of a mail.
const END: &str = "(end)";
/// An answer that never comes.
const SILENCE: &str = "(silence)";
/// Answers without an end of a line, longer than a line may be, and than a conversation.
const LONG: &str = "(long)";
const ENDLESS: &str = "(endless)";
/// An answer that comes after more time than [`BEGIN`].
const LATE: &str = "(late) 250 2.0.0 ok";
/// What a conversation has before its mail, where that is short for a test.
const BEGIN: Duration = Duration::from_secs(2);

struct Server {
    address: SocketAddr,
    log: Log,
    root: CertificateDer<'static>,
}

/// Gives an answer. None: it was to hang up, or the client is gone.
async fn say<S: AsyncWrite + Unpin>(stream: &mut S, answer: &str) -> Option<()> {
    let text = match answer {
        "" => return None,
        SILENCE => std::future::pending().await,
        LONG => "a".repeat(2 * MAIL_LINE_BYTES_MAX),
        ENDLESS => "a".repeat(2 * MAIL_ANSWERS_BYTES_MAX),
        answer => format!("{}\r\n", answer.trim_start_matches("(late) ")),
    };
    if answer == LATE {
        tokio::time::sleep(BEGIN + Duration::from_millis(500)).await;
    }
    stream.write_all(text.as_bytes()).await.ok()?;
    stream.flush().await.ok()?;
    if matches!(answer, LONG | ENDLESS) { std::future::pending().await } else { Some(()) }
}

/// Talks until the client goes, says QUIT or wants TLS. Gives the stream back for TLS.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    greets: bool,
    is_tls: bool,
    script: Script,
    log: &Log,
) -> Option<S> {
    let mut stream = BufReader::new(stream);
    let scripted = |line: &str| script.iter().find(|(begin, _)| line.starts_with(begin)).map(|(_, answer)| *answer);
    if greets {
        say(stream.get_mut(), scripted(GREETING).unwrap_or("220 mail.example.com")).await?;
    }
    let mut in_mail = false;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end_matches(['\r', '\n']).to_owned();
        log.lock().unwrap().push(line.clone());
        if in_mail && line != "." {
            continue;
        }
        let asked = if in_mail { END } else { line.as_str() };
        let usual = match asked.split(' ').next().unwrap() {
            "EHLO" if is_tls => "250-mail.example.com\r\n250 AUTH PLAIN LOGIN",
            "EHLO" => "250-mail.example.com\r\n250 STARTTLS",
            "DATA" => "354 go on",
            "AUTH" => "235 2.7.0 welcome",
            "QUIT" => "221 bye",
            _ => "250 2.0.0 ok",
        };
        let answer = scripted(asked).unwrap_or(usual);
        say(stream.get_mut(), answer).await?;
        in_mail = answer.starts_with("354");
        if asked == "STARTTLS" {
            return Some(stream.into_inner());
        }
    }
}

async fn serve(script: Script, implicit: bool) -> Server {
    let issued = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let root: CertificateDer<'static> = issued.cert.der().clone();
    let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
    let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![root.clone()], key)
        .unwrap();
    let tls = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, log) = (listener.local_addr().unwrap(), Log::default());
    let shared = Arc::clone(&log);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (log, tls) = (Arc::clone(&shared), tls.clone());
            tokio::spawn(async move {
                if implicit {
                    let Ok(stream) = tls.accept(stream).await else { return };
                    talk(stream, true, true, script, &log).await;
                } else if let Some(stream) = talk(stream, true, false, script, &log).await {
                    let Ok(stream) = tls.accept(stream).await else { return };
                    log.lock().unwrap().push("(tls)".to_owned());
                    talk(stream, false, true, script, &log).await;
                }
            });
        }
    });
    Server { address, log, root }
}

type Root<'a> = Option<&'a CertificateDer<'static>>;
type Limit = fn(&mut MailConfig);

fn kinds_of(server: &str, user: bool, root: Root<'_>) -> Kinds {
    kinds_within(server, user, root, |_| ())
}

fn kinds_within(server: &str, user: bool, root: Root<'_>, limit: Limit) -> Kinds {
    let mut config = MailConfig::new(server, user.then_some("s3cret\n"), "alerts@logystera.example").unwrap();
    config.extra_roots = root.cloned().into_iter().collect();
    limit(&mut config);
    Kinds::new(HttpConfig::new(AddressPolicy::PublicOnly), Some(config)).unwrap()
}

fn target(to: &[&str]) -> Target {
    let stored = serde_json::json!({"addresses": to}).to_string();
    kinds::parse(ChannelKind::Email, stored.as_bytes()).unwrap()
}

async fn deliver(kinds: &Kinds, due: &Due, to: &[&str]) -> Answer {
    let (messenger, target) = (kinds.of(ChannelKind::Email), target(to));
    let message = messenger.render(due, &target, "https://logystera.example", None);
    messenger.send(&target, due.delivery, message, START_MS).await
}

fn due() -> Due {
    due_of_detection(detection("t", 1, DetectionState::Firing))
}

#[tokio::test]
async fn a_mail_is_handed_over_after_tls_and_signing_in() {
    for implicit in [false, true] {
        let server = serve(&[], implicit).await;
        let scheme = if implicit { "smtps" } else { "smtp" };
        let url = format!("{scheme}://me@localhost:{}", server.address.port());
        let kinds = kinds_of(&url, true, Some(&server.root));
        let answer = deliver(&kinds, &due(), &["ops@example.com", "on-call@example.com"]).await;
        assert_eq!(answer, Answer::none(AttemptOutcome::Delivered));
        let lines = server.log.lock().unwrap().clone();
        let begin: &[&str] = if implicit { &[] } else { &["EHLO logystera.example", "STARTTLS", "(tls)"] };
        let said: Vec<&str> = lines.iter().take_while(|line| *line != "DATA").map(String::as_str).collect();
        let then = [
            "EHLO logystera.example",
            "AUTH PLAIN AG1lAHMzY3JldA==",
            "MAIL FROM:<alerts@logystera.example>",
            "RCPT TO:<ops@example.com>",
            "RCPT TO:<on-call@example.com>",
        ];
        assert_eq!(said, [begin, &then].concat());
        assert_eq!(lines.last().map(String::as_str), Some("QUIT"));
    }
}

#[tokio::test]
async fn nothing_is_said_without_tls_that_is_trusted() {
    use AttemptCause::Tls;
    let server = serve(&[], false).await;
    let url = format!("smtp://me@localhost:{}", server.address.port());
    let untrusted = deliver(&kinds_of(&url, true, None), &due(), &["ops@example.com"]).await;
    assert_eq!(untrusted.cause, Some(Tls), "{untrusted:?}");
    let other_name = format!("smtp://me@127.0.0.1:{}", server.address.port());
    let other_name = deliver(&kinds_of(&other_name, true, Some(&server.root)), &due(), &["ops@example.com"]).await;
    assert_eq!(other_name.cause, Some(Tls), "{other_name:?}");

    let stripped = serve(&[("EHLO", "250 mail.example.com")], false).await;
    let url = format!("smtp://me@localhost:{}", stripped.address.port());
    let answer = deliver(&kinds_of(&url, true, Some(&stripped.root)), &due(), &["ops@example.com"]).await;
    assert_eq!(answer.detail.as_deref(), Some("smtp_no_starttls"));

    // Whoever sits between takes the offer out, or writes an answer in the clear, to be taken for one under TLS.
    let injected = serve(&[("STARTTLS", "220 go\r\n250 AUTH PLAIN")], false).await;
    for user in ["", "me@"] {
        let url = format!("smtp://{user}localhost:{}", injected.address.port());
        let kinds = kinds_of(&url, !user.is_empty(), Some(&injected.root));
        assert_eq!(deliver(&kinds, &due(), &["ops@example.com"]).await, Answer::unreachable(Tls), "{user}");
    }
    for server in [server, stripped, injected] {
        let lines = server.log.lock().unwrap().join("\n");
        assert!(!lines.contains("AUTH") && !lines.contains("MAIL"), "{lines}");
    }
}

#[tokio::test]
async fn each_fault_has_its_outcome() {
    use AttemptOutcome::{Delivered, Failed, Gone, Rejected, Throttled, Unknown};
    let table: [(Script, AttemptOutcome, &str); 26] = [
        (&[(GREETING, "421 4.3.2 too busy")], Throttled, "smtp_421_4.3.2"),
        (&[(GREETING, "554 no service")], Failed, "smtp_554"),
        (&[(GREETING, "")], Failed, "smtp_reset"),
        (&[(GREETING, "HTTP/1.1 400 Bad Request")], Failed, "smtp_not_understood"),
        (&[("EHLO", "")], Failed, "smtp_reset"),
        (&[("MAIL", "")], Failed, "smtp_reset"),
        (&[("MAIL", "550 5.7.1 not from you")], Failed, "smtp_550_5.7.1"),
        (&[("MAIL", "530 5.7.0 sign in first")], Failed, "smtp_530_5.7.0"),
        (&[("RCPT", "")], Failed, "smtp_reset"),
        (&[("RCPT", "530 5.7.0 sign in first")], Failed, "smtp_530_5.7.0"),
        (&[("RCPT", "450 4.2.0 greylisted")], Throttled, "smtp_450_4.2.0"),
        (&[("RCPT", "550 5.1.1 no such user")], Gone, "smtp_550_5.1.1"),
        (&[("RCPT", "550 5.7.1 no relaying")], Rejected, "smtp_550_5.7.1"),
        (&[("RCPT TO:<ops", "550 5.1.1 no such user")], Delivered, "smtp_1_of_2_refused"),
        (&[("RCPT TO:<ops", "550 5.1.1 no"), ("RCPT", "452 4.2.2 full")], Failed, "smtp_452_4.2.2"),
        (&[("RCPT TO:<ops", "421 4.3.2 closing")], Throttled, "smtp_421_4.3.2"),
        (&[("DATA", "554 5.5.1 no")], Rejected, "smtp_554_5.5.1"),
        (&[("DATA", "250 2.0.0 ok")], Failed, "smtp_250_2.0.0"),
        (&[("DATA", "")], Failed, "smtp_reset"),
        (&[(END, "552 5.3.4 too large")], Rejected, "smtp_552_5.3.4"),
        (&[(END, "451 4.3.0 later")], Throttled, "smtp_451_4.3.0"),
        (&[(END, "")], Unknown, "smtp_lost_after_data"),
        (&[(END, "what is this")], Unknown, "smtp_lost_after_data"),
        (&[(END, "354 go on")], Unknown, "smtp_lost_after_data"),
        (&[("QUIT", "")], Delivered, ""),
        (&[], Delivered, ""),
    ];
    let mut wrong = Vec::new();
    for (script, outcome, detail) in table {
        let server = serve(script, false).await;
        let kinds = kinds_of(&format!("smtp+plain://localhost:{}", server.address.port()), false, None);
        let answer = deliver(&kinds, &due(), &["ops@example.com", "on-call@example.com"]).await;
        let said = answer.detail.clone().or(answer.cause.map(|cause| format!("({cause})"))).unwrap_or_default();
        if (answer.outcome, said.as_str()) != (outcome, detail) {
            wrong.push((script, answer.outcome, said));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let kinds = kinds_of(&format!("smtp+plain://localhost:{}", closed.port()), false, None);
    let answer = deliver(&kinds, &due(), &["ops@example.com"]).await;
    assert_eq!(answer, Answer::unreachable(AttemptCause::Refused));
}

#[tokio::test]
async fn a_server_that_lets_one_wait_has_its_outcome() {
    use AttemptOutcome::{Delivered, Failed, Unknown};
    let short: Limit = |config| config.total = Duration::from_millis(500);
    let end: Limit = |config| config.end = Duration::from_millis(500);
    let begin: Limit = |config| (config.total, config.quit) = (BEGIN, BEGIN + Duration::from_secs(1));
    let table: [(Script, Limit, AttemptOutcome, &str); 9] = [
        (&[(GREETING, SILENCE)], short, Failed, "smtp_timeout"),
        (&[("EHLO", SILENCE)], short, Failed, "smtp_timeout"),
        (&[("MAIL", SILENCE)], short, Failed, "smtp_timeout"),
        (&[("RCPT", SILENCE)], short, Failed, "smtp_timeout"),
        (&[("DATA", SILENCE)], short, Failed, "smtp_timeout"),
        (&[(END, SILENCE)], end, Unknown, "smtp_lost_after_data"),
        (&[(END, LATE)], begin, Delivered, ""),
        (&[("QUIT", SILENCE)], begin, Delivered, ""),
        (&[(GREETING, LONG)], |_| (), Failed, "smtp_not_understood"),
    ];
    let mut running = tokio::task::JoinSet::new();
    for (script, limit, outcome, detail) in table {
        running.spawn(async move {
            let server = serve(script, false).await;
            let url = format!("smtp+plain://localhost:{}", server.address.port());
            let answer = deliver(&kinds_within(&url, false, None, limit), &due(), &["ops@example.com"]).await;
            let said = (answer.outcome, answer.detail.unwrap_or_default(), answer.cause);
            (said != (outcome, detail.to_owned(), None)).then_some((script, said))
        });
    }
    let wrong: Vec<_> = running.join_all().await.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    // Under TLS it is the whole that has an end.
    let server = serve(&[("MAIL", ENDLESS)], false).await;
    let url = format!("smtp://localhost:{}", server.address.port());
    let answer = deliver(&kinds_of(&url, false, Some(&server.root)), &due(), &["ops@example.com"]).await;
    assert_eq!(answer.detail.as_deref(), Some("smtp_not_understood"), "{answer:?}");
}

/// Reads a mail with Python's parser: headers, and both bodies.
const PARSER: &str = r#"
import email, email.policy, json, sys
mail = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
part = lambda kind: mail.get_body((kind,)).get_content()
print(json.dumps({"headers": [[name, str(value)] for name, value in mail.items()], "plain": part("plain"), "html": part("html"),
                  "defects": [str(d) for p in mail.walk() for d in p.defects], "parts": [p.get_content_type() for p in mail.walk()]}))
"#;

fn parsed(mail: &[u8]) -> serde_json::Value {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let mut python =
        Command::new("python3").args(["-c", PARSER]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    python.stdin.take().unwrap().write_all(mail).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_mail_is_whole_for_another_parser_whatever_is_in_the_alert() {
    let kinds = kinds_of("smtp+plain://localhost", false, None);
    let messenger = kinds.of(ChannelKind::Email);
    for text in [
        "Mail delivery is failing",
        "Größe 商店 🛒 שלום",
        "a\r\nBcc: all@evil.example\r\n\r\nhello",
        "=?utf-8?q?x?= <b>\"quoted\"</b> --logystera-",
        ".\r\n.\r\nQUIT",
        &"long ".repeat(400),
    ] {
        let mut found = detection("t", 1, DetectionState::Firing);
        (found.title, found.message) = (text.to_owned(), text.to_owned());
        found.group[0].value = text.to_owned();
        let due = due_of_detection(found);
        let target = target(&["ops@example.com", "on-call@example.com"]);
        let mail = messenger.render(&due, &target, "https://logystera.example", None);
        assert_eq!(mail, messenger.render(&due, &target, "https://logystera.example", None), "a retry says the same");
        let is_short = mail.split(|b| *b == b'\n').all(|line| line.len() <= 998);
        assert!(mail.is_ascii() && is_short, "lines that any server takes");
        let subject = std::str::from_utf8(&mail).unwrap().split("Subject: ").nth(1).unwrap();
        let mut subject = subject.split("\r\n").take_while(|line| line.contains("=?"));
        assert!("Subject: ".len() + subject.next().unwrap().len() <= 76 && subject.all(|line| line.len() <= 76));
        let read = parsed(&mail);
        let headers: Vec<(String, String)> = serde_json::from_value(read["headers"].clone()).unwrap();
        let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        let of = |name: &str| headers.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value.as_str());
        assert!(!names.contains(&"Bcc"), "{names:?}");
        assert_eq!(read["parts"], serde_json::json!(["multipart/alternative", "text/plain", "text/html"]), "{names:?}");
        assert_eq!(read["defects"], serde_json::json!([]));
        assert_eq!(of("Message-ID"), format!("<{}@logystera.example>", due.delivery));
        assert_eq!(of("In-Reply-To"), format!("<episode-{}@logystera.example>", due.detection.id));
        assert_eq!(of("References"), of("In-Reply-To"));
        assert_eq!(of("Auto-Submitted"), "auto-generated");
        assert_eq!(of("List-ID"), "Logystera alerts <alerts.t.logystera.example>");
        assert_eq!(of("To"), "ops@example.com, on-call@example.com");
        let shown = logystera_schemas::text::Shown(text).to_string();
        let begin: String = shown.chars().take(100).collect();
        assert!(of("Subject").starts_with(&format!("Critical: {}", begin.trim_end())), "{}", of("Subject"));
        assert!(read["plain"].as_str().unwrap().contains(&begin), "{}", read["plain"]);
    }
}

#[tokio::test]
async fn a_channel_of_mail_needs_a_server_and_addresses() {
    let with = kinds_of("smtp+plain://localhost", false, None);
    let without = Kinds::new(HttpConfig::new(AddressPolicy::PublicOnly), None).unwrap();
    let settings = |kinds: &Kinds, to: &[&str]| {
        let to: Vec<String> = to.iter().map(|text| (*text).to_owned()).collect();
        kinds.of(ChannelKind::Email).settings(&to, &[0; 32]).map(|made| made.stored.to_string())
    };
    let many = (0..=MAIL_RECIPIENTS_MAX).map(|n| format!("ops{n}@example.com")).collect::<Vec<_>>().join(" ");
    let many: Vec<&str> = many.split(' ').collect();
    let wrong = |text: &str| Err(Refusal::MailAddress(text.to_owned()));
    assert_eq!(settings(&with, &["ops@example.com"]), Ok(r#"{"addresses":["ops@example.com"]}"#.to_owned()));
    let once = r#"{"addresses":["a@x","b@x","A@x"]}"#.to_owned();
    assert_eq!(settings(&with, &["a@x", "b@x", "a@X", "A@x", "a@x"]), Ok(once));
    assert!(settings(&with, &many[1..]).is_ok());
    assert_eq!(settings(&with, &many), Err(Refusal::Recipients(MAIL_RECIPIENTS_MAX + 1)));
    assert_eq!(settings(&with, &[]), Err(Refusal::Recipients(0)));
    assert_eq!(settings(&without, &["ops@example.com"]), Err(Refusal::NoMailServer));
    for text in
        ["ops", "ops@", "a b@example.com", "ops@example.com\r\nRCPT TO:<x@y>", "ops@größe.example", "<ops@example.com>"]
    {
        assert_eq!(settings(&with, &[text]), wrong(text));
    }
    let answer = deliver(&without, &due(), &["ops@example.com"]).await;
    assert_eq!((answer.outcome, answer.detail.as_deref()), (AttemptOutcome::Failed, Some("smtp_not_configured")));
}
