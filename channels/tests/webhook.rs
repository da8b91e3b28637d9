//! The webhook against a real HTTP server, over TCP and TLS.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

mod common;
mod receiver;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::{detection, due_of_detection};
use http_body_util::Full;
use hyper::{Response, Version};
use logystera_channels::address::{AddressPolicy, LookedUp, Lookup};
use logystera_channels::http::{Http, HttpConfig};
use logystera_channels::kinds::Kinds;
use logystera_channels::secret::Secret;
use logystera_channels::webhook::Webhook;
use logystera_channels::{Advice, Answer, Target, message};
use logystera_schemas::alert::{About, Due, Frozen, Merged, NamedSite};
use logystera_schemas::delivery::{AttemptCause, AttemptOutcome};
use logystera_schemas::detection::{DetectionState, Label};
use logystera_schemas::ids::DeliveryId;
use receiver::serve;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

const NOW_MS: i64 = 1_767_225_600_500;
const DELIVERY: DeliveryId = DeliveryId([0xab; 16]);

fn status(path: &str) -> Response<Full<Bytes>> {
    let status: u16 = path.trim_start_matches('/').split('/').next().unwrap().parse().unwrap_or(200);
    let mut response = Response::builder().status(status);
    if let Some((_, retry_after)) = path.split_once("/retry-after/") {
        response = response.header("retry-after", retry_after);
    }
    if (300..400).contains(&status) {
        response = response.header("location", "/200");
    }
    response.body(Full::from("thank you")).unwrap()
}

fn webhook(change: impl FnOnce(&mut HttpConfig)) -> Webhook {
    let mut config = HttpConfig::new(AddressPolicy::AllowPrivate);
    change(&mut config);
    Webhook::new(Http::new(config).unwrap())
}

fn secret() -> Secret {
    Secret::from_bytes(&[7; 32])
}

async fn attempt(webhook: &Webhook, url: String) -> Answer {
    webhook.attempt(&url, &secret(), DELIVERY, b"{}".to_vec(), NOW_MS).await
}

#[tokio::test]
async fn a_message_is_signed_and_whole() {
    let (address, log) = serve(status, None).await;
    let body =
        message::body(&due_of_detection(detection("t", 1, DetectionState::Firing)), "https://logystera.example/", None);
    let url = format!("http://{address}/200?token=1");
    let answer = webhook(|_| {}).attempt(&url, &secret(), DELIVERY, body.clone(), NOW_MS).await;
    assert_eq!(answer, Answer { status: Some(200), ..Answer::none(AttemptOutcome::Delivered) });

    let seen = log.lock().unwrap().clone();
    let [seen] = &seen[..] else { panic!("{} requests", seen.len()) };
    assert_eq!((seen.path.as_str(), seen.version), ("/200?token=1", Version::HTTP_11));
    assert_eq!(seen.body, body);
    assert_eq!(seen.header("content-type"), "application/json");
    assert_eq!(seen.header("user-agent"), concat!("Logystera/", env!("CARGO_PKG_VERSION")));
    assert_eq!(seen.header("webhook-id"), "abababababababababababababababab");
    assert_eq!(seen.header("webhook-timestamp"), "1767225600");
    let expected = secret().sign("abababababababababababababababab", 1_767_225_600, &body);
    assert_eq!(seen.header("webhook-signature"), expected);
    let headers: Vec<&str> = seen.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert!(!headers.contains(&"accept-encoding") && !headers.contains(&"referer"), "{headers:?}");
}

#[test]
fn bodies_are_as_documented() {
    let mut found = detection("t", 1, DetectionState::Firing);
    let label = |field: &str, value: &str| Label { field: field.to_owned(), value: value.to_owned() };
    found.group.push(label("component", ""));
    found.evidence[0].fields.extend([
        label("status", "404"),
        label("size_delta", "-7"),
        label("privileged", "true"),
        label("heuristics", "core_file,php_in_uploads"),
        label("code", "404"),
    ]);
    let firing = due_of_detection(found);
    let mut resolved = due_of_detection(detection("t", 2, DetectionState::Resolved));
    let mut news = firing.clone();
    news.about = About::ChannelDisabled("old".parse().unwrap());
    let whole = Advice { why: Some("Customers get no mail.".to_owned()), what_to_do: Some("Call them.".to_owned()) };
    let mut shown = Vec::new();
    let mut show = |due: &Due, advice: Option<&Advice>| {
        let body = message::body(due, "https://logystera.example/", advice);
        assert_eq!(body, message::body(&due.clone(), "https://logystera.example", advice), "the same bytes again");
        shown.push(String::from_utf8(body).unwrap());
    };
    show(&firing, Some(&whole));
    show(&resolved, None);
    resolved.merged = Merged { lines: 143, firings: 72, since: 1_766_707_200_000, untold: true };
    show(&resolved, Some(&Advice { why: None, ..whole.clone() }));
    show(&news, Some(&whole));
    show(&common::messages::bundle(), Some(&whole));
    show(&common::messages::digest(), None);
    assert_eq!(shown.join("\n"), include_str!("golden/bodies.txt").trim_end(), "\n{}", shown.join("\n"));
}

#[test]
fn what_people_read_hides_nothing_and_what_programs_read_is_exact() {
    let mut found = detection("t", 1, DetectionState::Firing);
    let hides = "Shop\u{202e}\u{200b} \u{1b}[2J\nall is well";
    found.title = hides.to_owned();
    found.message = hides.to_owned();
    found.group[0].value = hides.to_owned();
    found.evidence[0].fields.push(Label { field: "plugin".to_owned(), value: hides.to_owned() });
    let advice = Advice { why: Some("One.\nTwo\u{2028}.".to_owned()), what_to_do: Some("\u{feff}Look.".to_owned()) };
    let body = message::body(&due_of_detection(found), "https://logystera.example", Some(&advice));
    let data = &serde_json::from_slice::<serde_json::Value>(&body).unwrap()["data"];
    let shown = r"Shop\u{202e}\u{200b} \u{1b}[2J\u{a}all is well";
    assert_eq!([&data["title"], &data["message"]], [shown; 2], "{data}");
    assert_eq!([&data["why"], &data["do"]], ["One.\nTwo\\u{2028}.", r"\u{feff}Look."]);
    assert_eq!([&data["group"]["transport"], &data["evidence"][0]["plugin"]], [hides; 2]);
}

#[test]
fn the_sample_in_the_guide_is_a_message() {
    let guide = include_str!("../../docs/deliveries.md");
    let sample = guide.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    let sample: serde_json::Value = serde_json::from_str(sample).unwrap();
    let mut found = detection("t", 1, DetectionState::Firing);
    found.evidence[0].fields.push(Label { field: "recipients".to_owned(), value: "1".to_owned() });
    let text = |name: &str| sample["data"][name].as_str().map(str::to_owned);
    let advice = Advice { why: text("why"), what_to_do: text("do") };
    let site = NamedSite {
        site: found.site.clone(),
        name: "Shop".to_owned(),
        url: Some("https://shop.example".to_owned()),
        labels: vec!["env=production".parse().unwrap()],
    };
    let frozen = Frozen { sites: vec![site], ..Frozen::default() };
    let due = Due { frozen: Some(Arc::new(frozen)), ..due_of_detection(found) };
    let body = message::body(&due, "https://logystera.example", Some(&advice));
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&body).unwrap(), sample);
}

/// A server that takes connections and answers each request with these bytes, then keeps silent.
async fn raw(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut buffer = [0; 4_096];
                drop(stream.read(&mut buffer).await);
                drop(stream.write_all(answer).await);
                tokio::time::sleep(Duration::from_mins(1)).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn a_channel_that_hangs_is_left_in_time() {
    let quick = webhook(|config| config.total = Duration::from_millis(300));
    let silent = raw(b"").await;
    assert_eq!(attempt(&quick, format!("http://{silent}/")).await, Answer::none(AttemptOutcome::Timeout));
    let half_a_head = raw(b"HTTP/1.1 200 OK\r\ncontent-").await;
    assert_eq!(attempt(&quick, format!("http://{half_a_head}/")).await, Answer::none(AttemptOutcome::Timeout));
    // Nobody ever shakes hands.
    assert_eq!(attempt(&quick, format!("https://{silent}/")).await, Answer::none(AttemptOutcome::Timeout));
}

#[tokio::test]
async fn an_answer_counts_by_its_status_however_its_body_goes_on() {
    let delivered = Answer { status: Some(200), ..Answer::none(AttemptOutcome::Delivered) };
    let stalls = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await;
    assert_eq!(attempt(&webhook(|_| {}), format!("http://{stalls}/")).await, delivered);
    let (endless, _) = serve(|_| Response::new(Full::from(vec![b'x'; 64 << 20])), None).await;
    assert_eq!(attempt(&webhook(|_| {}), format!("http://{endless}/")).await, delivered);
}

/// A server that ends each connection, with a reset if `rudely`.
async fn closing(rudely: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            if !rudely {
                drop(stream.read(&mut [0; 4_096]).await);
            }
        }
    });
    address
}

#[tokio::test]
async fn why_a_channel_is_unreachable_is_told() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let garbage = raw(b"220 mail.example ESMTP\r\n").await;
    let (polite, rude) = (closing(false).await, closing(true).await);
    for (url, causes) in [
        (format!("http://{closed}/"), &[AttemptCause::Refused][..]),
        (format!("https://{closed}/"), &[AttemptCause::Refused]),
        (format!("http://{garbage}/"), &[AttemptCause::Other]),
        (format!("https://{garbage}/"), &[AttemptCause::Tls]),
        (format!("http://{polite}/"), &[AttemptCause::Reset]),
        (format!("https://{polite}/"), &[AttemptCause::Reset]),
        // Whether the end or the reset is seen first is a matter of luck.
        (format!("http://{rude}/"), &[AttemptCause::Reset, AttemptCause::Other]),
        ("http://nowhere.invalid/".to_owned(), &[AttemptCause::Dns]),
        ("https://nowhere.invalid/".to_owned(), &[AttemptCause::Dns]),
    ] {
        let answer = attempt(&webhook(|_| {}), url.clone()).await;
        assert_eq!((answer.outcome, answer.status), (AttemptOutcome::Failed, None), "{url}");
        assert!(causes.contains(&answer.cause.unwrap()), "{url}: {:?}", answer.cause);
    }
}

/// A name server that gives these addresses for every name.
struct Names(Vec<IpAddr>);

impl Lookup for Names {
    fn lookup(&self, _: &str) -> LookedUp {
        let addresses = self.0.clone();
        Box::pin(async move { Ok(addresses) })
    }
}

#[tokio::test]
async fn names_that_lead_inside_are_not_called() {
    let (address, log) = serve(status, None).await;
    let port = address.port();
    let inside: IpAddr = "127.0.0.1".parse().unwrap();
    let outside: IpAddr = "8.8.8.8".parse().unwrap();
    for (names, url) in [
        (vec![inside], format!("https://hook.example:{port}/")),
        (vec!["::1".parse().unwrap()], format!("https://hook.example:{port}/")),
        (vec![outside, inside], format!("https://hook.example:{port}/")),
        (vec![outside], format!("https://127.0.0.1:{port}/")),
        (vec![outside], format!("https://2130706433:{port}/")),
        (vec![outside], format!("https://[::ffff:127.0.0.1]:{port}/")),
        (vec![outside], format!("http://hook.example:{port}/")),
    ] {
        let webhook = webhook(|config| {
            config.policy = AddressPolicy::PublicOnly;
            config.lookup = Arc::new(Names(names.clone()));
        });
        let answer = attempt(&webhook, url.clone()).await;
        assert_eq!(answer, Answer::none(AttemptOutcome::Forbidden), "{names:?} {url}");
    }
    assert_eq!(log.lock().unwrap().len(), 0);

    // Where the operator allows it, the connection goes to the address that was looked up.
    let webhook = webhook(|config| config.lookup = Arc::new(Names(vec![inside])));
    let answer = attempt(&webhook, format!("http://hook.example:{port}/200")).await;
    assert_eq!(answer.outcome, AttemptOutcome::Delivered);
    assert_eq!(log.lock().unwrap()[0].header("host"), format!("hook.example:{port}"));
}

/// A certificate for `hook.example`, and a server's side of it.
fn certificate(alpn: &[&[u8]]) -> (CertificateDer<'static>, TlsAcceptor) {
    let made = rcgen::generate_simple_self_signed(vec!["hook.example".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let certificate: CertificateDer<'static> = made.cert.der().clone();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
    (certificate, TlsAcceptor::from(Arc::new(config)))
}

#[tokio::test]
async fn tls_is_spoken_with_either_http_and_only_with_whom_is_trusted() {
    for (alpn, expected) in
        [(&[b"h2".as_slice(), b"http/1.1"][..], Version::HTTP_2), (&[b"http/1.1".as_slice()][..], Version::HTTP_11)]
    {
        let (certificate, acceptor) = certificate(alpn);
        let (address, log) = serve(status, Some(acceptor)).await;
        let of = |trusted: bool| {
            let roots = if trusted { vec![certificate.clone()] } else { Vec::new() };
            webhook(|config| {
                config.lookup = Arc::new(Names(vec!["127.0.0.1".parse().unwrap()]));
                config.extra_roots = roots;
            })
        };
        let url = |host: &str| format!("https://{host}:{}/200", address.port());

        assert_eq!(attempt(&of(true), url("hook.example")).await.outcome, AttemptOutcome::Delivered);
        assert_eq!(log.lock().unwrap()[0].version, expected);
        let no_tls = Answer::unreachable(AttemptCause::Tls);
        assert_eq!(attempt(&of(false), url("hook.example")).await, no_tls, "not trusted");
        assert_eq!(attempt(&of(true), url("other.example")).await, no_tls, "another name");
        assert_eq!(log.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_channel_can_be_tested() {
    let (address, log) = serve(status, None).await;
    let target = Target::Webhook { url: format!("http://{address}/204"), secret: secret() };
    let kinds = Kinds::new(HttpConfig::new(AddressPolicy::AllowPrivate), None).unwrap();
    let answer = kinds.test(&target, &"ops".parse().unwrap(), NOW_MS).await;
    assert_eq!(answer.status, Some(204));
    let seen = log.lock().unwrap()[0].clone();
    assert_eq!(
        String::from_utf8(seen.body.clone()).unwrap(),
        r#"{"type":"channel.test","timestamp":"2026-01-01T00:00:00.500Z","data":{"channel":"ops","message":"This is a test of the channel. No detection is behind it."}}"#
    );
    assert_eq!(seen.header("webhook-signature"), secret().sign(seen.header("webhook-id"), 1_767_225_600, &seen.body));
}

/// Runs the verifier of `docs/deliveries.md` on a message.
fn verified_by_python(headers: &[(&str, &str)], body: &str, secret: &str, now_s: i64) -> String {
    let docs = include_str!("../../docs/deliveries.md");
    let code = docs.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    let headers: Vec<String> = headers.iter().map(|(n, v)| format!("{n:?}: {v:?}")).collect();
    let call = format!("{code}\nprint(verify({{{}}}, {body:?}.encode(), {secret:?}, {now_s}))", headers.join(", "));
    let run = std::process::Command::new("python3").args(["-c", &call]).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap().trim().to_owned()
}

#[test]
fn the_documented_verifier_takes_ours_and_no_other() {
    let secret = Secret::from_bytes(&[9; 32]);
    let (id, body) = ("00112233445566778899aabbccddeeff", r#"{"type":"channel.test"}"#);
    let signature = secret.sign(id, 1_767_225_600, body.as_bytes());
    let two = format!("v1,AAAA {signature}");
    let exposed = secret.expose();
    let other = Secret::from_bytes(&[8; 32]).expose();
    for (what, id, timestamp, signature, body, secret, now_s, expected) in [
        ("ours", id, "1767225600", &*signature, body, &*exposed, 1_767_225_600, "True"),
        ("one of two signatures", id, "1767225600", &*two, body, &*exposed, 1_767_225_800, "True"),
        (
            "another body",
            id,
            "1767225600",
            &*signature,
            r#"{"type":"channel.best"}"#,
            &*exposed,
            1_767_225_600,
            "False",
        ),
        ("another id", "0", "1767225600", &*signature, body, &*exposed, 1_767_225_600, "False"),
        ("another time", id, "1767225601", &*signature, body, &*exposed, 1_767_225_600, "False"),
        ("too old", id, "1767225600", &*signature, body, &*exposed, 1_767_225_901, "False"),
        ("another secret", id, "1767225600", &*signature, body, &*other, 1_767_225_600, "False"),
    ] {
        let headers = [("webhook-id", id), ("webhook-timestamp", timestamp), ("webhook-signature", signature)];
        assert_eq!(verified_by_python(&headers, body, secret, now_s), expected, "{what}");
    }
}
