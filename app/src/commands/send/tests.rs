//! The whole sender against a gateway that answers as it is told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use clap::Parser;
use logystera_infra::clock::{Clock, SystemClock};
use logystera_schemas::ids::Sha256Digest;
use logystera_schemas::limits::{BATCH_SIGNALS_MAX, SPOOLS_DRAWN_MAX};
use logystera_schemas::signature::{Secret, SignatureHeader, Signed};

use super::*;

const SECRET: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// A request as the gateway saw it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    batch: String,
    ts: i64,
    gzip: bool,
    pub(super) body: Vec<u8>,
}

impl Seen {
    pub(super) fn json(&self) -> serde_json::Value {
        let mut text = Vec::new();
        if self.gzip {
            flate2::read::GzDecoder::new(&self.body[..]).read_to_end(&mut text).unwrap();
        } else {
            text.clone_from(&self.body);
        }
        serde_json::from_slice(&text).unwrap()
    }

    pub(super) fn times(&self) -> Vec<i64> {
        self.json()["signals"].as_array().unwrap().iter().map(|s| s["at"].as_i64().unwrap()).collect()
    }

    pub(super) fn seq(&self) -> u64 {
        self.batch.split_once('.').unwrap().1.parse().unwrap()
    }

    pub(super) fn spool(&self) -> &str {
        self.batch.split_once('.').unwrap().0
    }
}

/// An answer: status, further headers, body.
type Reply = (u16, String, String);

pub(super) fn reply(status: u16, code: &str) -> Reply {
    later(status, code, 0)
}

/// An answer whose `server_time` is the real time and so many milliseconds.
fn later(status: u16, code: &str, ahead_ms: i64) -> Reply {
    let time = SystemClock::new().wall_ms() + ahead_ms;
    (status, String::new(), format!("{{\"server_time\":{time},\"code\":\"{code}\",\"accepted\":1}}"))
}

/// A gateway that checks signatures, answers by a script (then 202) and remembers what it saw. No answer for status 0.
pub(super) struct Fake {
    pub(super) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Fake {
    pub(super) fn start(script: Vec<Reply>) -> Self {
        Self::answering(move |n, _| script.get(n).cloned().unwrap_or_else(|| reply(202, "")))
    }

    pub(super) fn answering(answer: impl Fn(usize, &Seen) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&seen);
        std::thread::spawn(move || {
            for (n, stream) in listener.incoming().enumerate() {
                serve(&stream.unwrap(), |seen| {
                    to.lock().unwrap().push(seen.clone());
                    answer(n, &seen)
                });
            }
        });
        Self { url, seen }
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(mut stream: &TcpStream, answer: impl FnOnce(Seen) -> Reply) {
    let mut reader = BufReader::new(stream);
    let (mut signature, mut length, mut gzip, mut content_type) = (String::new(), 0, false, String::new());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, "POST /v1/batches HTTP/1.1\r\n");
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "logystera-signature" => signature = value.to_owned(),
            "content-length" => length = value.parse().unwrap(),
            "content-encoding" => gzip = value == "gzip",
            "content-type" => content_type = value.to_owned(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let header = SignatureHeader::parse(signature.as_bytes()).unwrap();
    let signed = Signed {
        audience: "test",
        site: &"site_1".parse().unwrap(),
        key: &"k1".parse().unwrap(),
        ts: header.ts,
        batch: header.batch,
        content_type: content_type.as_bytes(),
        content_encoding: if gzip { b"gzip" } else { b"identity" },
        body_digest: Sha256Digest::of(&body),
    };
    assert!(signed.holds(&Secret::from_hex(SECRET).unwrap(), &header.mac));
    let (status, headers, text) = answer(Seen { batch: header.batch.to_string(), ts: header.ts, gzip, body });
    if status > 0 {
        let _ = write!(
            stream,
            "HTTP/1.1 {status} x\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{text}",
            text.len()
        );
    }
}

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    args: Args,
}

/// The arguments of `logystera send`, with short waits.
pub(super) fn parsed(dir: &Path, input: &str, url: &str, more: &[&str]) -> Args {
    let secret = dir.join("secret");
    std::fs::write(&secret, SECRET).unwrap();
    let mut line = vec!["send", input, "--url", url, "--site", "site_1", "--key", "k1", "--audience", "test"];
    line.extend(["--secret-file", secret.to_str().unwrap(), "--backoff-ms", "3", "--probe-ms", "20"]);
    line.extend(more);
    Command::try_parse_from(line).unwrap().args
}

/// Runs it on a file in `dir`.
pub(super) fn run_in(dir: &Path, url: &str, more: &[&str]) -> u8 {
    exit_code(&parsed(dir, dir.join("in.ndjson").to_str().unwrap(), url, more), &Interrupt::default())
}

pub(super) fn write_input(dir: &Path, times: impl IntoIterator<Item = i64>) {
    let lines =
        times.into_iter().map(|at| format!("{{\"type\":\"cron.run\",\"at\":{at},\"job\":\"a\",\"outcome\":\"ok\"}}\n"));
    std::fs::write(dir.join("in.ndjson"), lines.collect::<Vec<_>>().concat()).unwrap();
}

#[test]
fn a_file_goes_out_in_the_order_of_its_times() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = Fake::start(vec![]);
    write_input(dir.path(), (0..2_500).map(|i| (i * 7_919) % 2_500 + 10));
    let mut text = std::fs::read_to_string(dir.path().join("in.ndjson")).unwrap();
    text.push_str("not a signal\n\n{\"type\":\"cron.run\"}\n");
    std::fs::write(dir.path().join("in.ndjson"), text).unwrap();
    assert_eq!(run_in(dir.path(), &gateway.url, &[]), 1, "two lines are no signals");
    let seen = gateway.seen();
    assert_eq!(seen.iter().map(Seen::seq).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(seen.iter().flat_map(Seen::times).collect::<Vec<_>>(), (10..2_510).collect::<Vec<_>>());
    let through: Vec<_> = seen.iter().map(|s| s.json()["through"].as_i64().unwrap()).collect();
    assert_eq!(through, [1_009, 2_009, 2_509]);
    assert!(seen.iter().all(|s| s.gzip && s.spool() == seen[0].spool()));
    assert_eq!(seen[0].json()["integration"]["enabled"], serde_json::json!(["cron.run"]));

    assert_eq!(run_in(dir.path(), &gateway.url, &[]), 1, "the same outcome again");
    assert_eq!(gateway.seen().len(), 3, "and nothing is sent twice");
}

#[test]
fn a_byte_order_mark_before_a_file_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = Fake::start(vec![]);
    write_input(dir.path(), [5, 6]);
    let text = std::fs::read(dir.path().join("in.ndjson")).unwrap();
    std::fs::write(dir.path().join("in.ndjson"), [b"\xef\xbb\xbf", &text[..]].concat()).unwrap();
    assert_eq!(run_in(dir.path(), &gateway.url, &[]), 0);
    assert_eq!(gateway.seen()[0].times(), [5, 6]);
}

#[test]
fn every_try_has_the_same_id_and_bytes_and_a_fresh_signature() {
    let dir = tempfile::tempdir().unwrap();
    write_input(dir.path(), [5]);
    let gateway = Fake::start(vec![
        (0, String::new(), String::new()),
        reply(500, "x"),
        (503, "Retry-After: 0\r\n".into(), r#"{"server_time":1}"#.replace('1', &later_ms(0).to_string())),
        (202, String::new(), "<html>Please log in</html>".into()),
        reply(429, "quota_exceeded"),
        reply(401, "unauthorized"),
        later(401, "clock_skew", 3_600_000),
        later(202, "", 3_600_000),
    ]);
    assert_eq!(run_in(dir.path(), &gateway.url, &["--json"]), 0);
    let seen = gateway.seen();
    assert_eq!(seen.len(), 8);
    assert!(seen.iter().all(|s| s.batch == seen[0].batch && s.body == seen[0].body));
    let ahead_s = seen[7].ts - seen[6].ts;
    assert!((3_599..=3_605).contains(&ahead_s), "the clock was corrected: {ahead_s}");
    let state = std::fs::read_to_string(dir.path().join("secret.spool/state.json")).unwrap();
    assert!(state.contains("\"clock_offset_ms\":3600000"), "{state}");
}

pub(super) fn later_ms(ahead_ms: i64) -> i64 {
    SystemClock::new().wall_ms() + ahead_ms
}

#[test]
fn a_batch_too_large_for_a_proxy_is_halved_until_it_fits() {
    let dir = tempfile::tempdir().unwrap();
    write_input(dir.path(), 0..2_000);
    let gateway = Fake::answering(|_, seen| {
        if seen.times().len() > 300 { (413, String::new(), "too large".into()) } else { reply(202, "") }
    });
    assert_eq!(run_in(dir.path(), &gateway.url, &[]), 0);
    let taken: Vec<_> = gateway.seen().into_iter().filter(|s| s.times().len() <= 300).collect();
    assert_eq!(taken.iter().flat_map(Seen::times).collect::<Vec<_>>(), (0..2_000).collect::<Vec<_>>());
    assert!(taken.windows(2).all(|pair| pair[0].seq() < pair[1].seq()));
    for pair in taken.windows(2) {
        let through = pair[0].json()["through"].as_i64().unwrap();
        assert!(through < pair[1].times()[0] && through >= pair[0].times().last().unwrap() - 1);
    }
}

#[test]
fn a_refused_batch_is_dropped_counted_and_told() {
    let dir = tempfile::tempdir().unwrap();
    write_input(dir.path(), 0..=BATCH_SIGNALS_MAX as i64);
    let gateway = Fake::start(vec![reply(422, "nothing_acceptable")]);
    assert_eq!(run_in(dir.path(), &gateway.url, &[]), 1);
    let seen = gateway.seen();
    assert_eq!(seen.iter().map(Seen::seq).collect::<Vec<_>>(), [1, 2, 3]);
    let told = &seen[2].json()["signals"][0];
    assert_eq!(
        (&told["type"], &told["count"], &told["reason"]),
        (&"integration.dropped".into(), &1_000.into(), &"refused".into())
    );
    assert!(seen[2].times()[0] > seen[1].json()["through"].as_i64().unwrap());
    let state = std::fs::read_to_string(dir.path().join("secret.spool/state.json")).unwrap();
    assert!(
        state.contains("\"accepted\":1,") && state.contains("\"dropped\":1000,"),
        "the news of it is not counted: {state}"
    );

    let dir = tempfile::tempdir().unwrap();
    write_input(dir.path(), [1]);
    let gateway = Fake::answering(|_, _| reply(400, "json_malformed"));
    assert_eq!(run_in(dir.path(), &gateway.url, &[]), 1);
    assert_eq!(gateway.seen().len(), 2, "a report that is refused makes no further report");
}

#[test]
fn a_conflict_draws_a_new_spool_but_not_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    write_input(dir.path(), 0..1_001);
    let gateway = Fake::start(vec![reply(409, "conflict")]);
    assert_eq!(run_in(dir.path(), &gateway.url, &[]), 0);
    let seen = gateway.seen();
    assert_eq!(seen.len(), 3);
    assert_ne!(seen[0].spool(), seen[1].spool());
    assert_eq!((seen[1].spool(), &seen[1].body), (seen[2].spool(), &seen[0].body));

    let dir = tempfile::tempdir().unwrap();
    write_input(dir.path(), [1]);
    let gateway = Fake::answering(|_, _| reply(409, "conflict"));
    assert_eq!(run_in(dir.path(), &gateway.url, &["--give-up-after-s", "0"]), 3);
    assert_eq!(gateway.seen().len() as u32, SPOOLS_DRAWN_MAX + 1);
}

#[test]
fn a_closed_site_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    write_input(dir.path(), 0..1_001);
    let gateway = Fake::start(vec![reply(410, "site_closed")]);
    assert_eq!(run_in(dir.path(), &gateway.url, &[]), 3);
    assert_eq!(run_in(dir.path(), &gateway.url, &[]), 3);
    assert_eq!(gateway.seen().len(), 1);
}

#[test]
fn what_did_not_get_through_waits_and_a_copy_of_it_is_the_same() {
    let dir = tempfile::tempdir().unwrap();
    write_input(dir.path(), 0..2_001);
    let gateway = Fake::answering(|n, _| if n == 1 { (0, String::new(), String::new()) } else { reply(202, "") });
    assert_eq!(run_in(dir.path(), &gateway.url, &["--give-up-after-s", "0"]), 3);
    let copied = tempfile::tempdir().unwrap();
    let copied = copied.path().join("spool");
    logystera_system::send::copy(&dir.path().join("secret.spool"), &copied);
    assert_eq!(run_in(dir.path(), &gateway.url, &[]), 0);
    let before = gateway.seen();
    assert_eq!(before.iter().map(Seen::seq).collect::<Vec<_>>(), [1, 2, 2, 3]);
    assert_eq!(before[1].body, before[2].body);
    assert_eq!(run_in(dir.path(), &gateway.url, &["--spool", copied.to_str().unwrap()]), 0);
    let again = gateway.seen().split_off(4);
    let same: Vec<_> = before[2..].iter().map(|s| (&s.batch, &s.body)).collect();
    assert_eq!(again.iter().map(|s| (&s.batch, &s.body)).collect::<Vec<_>>(), same);
}

#[test]
fn another_file_goes_on_in_the_same_spool_unless_it_goes_back_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = Fake::start(vec![]);
    // The third one lacks the last lines of the others: it would be taken for one of them, changed.
    let third: Vec<_> = [3, 5, 6, 7].into_iter().chain(10..20).collect();
    for times in [&(0..5).collect(), &(5..9).collect(), &third] {
        write_input(dir.path(), times.iter().copied());
        assert_eq!(run_in(dir.path(), &gateway.url, &[]), 0);
    }
    let seen = gateway.seen();
    assert_eq!(seen[0].spool(), seen[1].spool());
    assert_ne!(seen[1].spool(), seen[2].spool());
    assert_eq!(seen[2].times(), third);
    assert!(seen.iter().all(|s| s.json()["ends"] == true), "each file ends its spool");

    // Batches of one file wait: they go first.
    let down = Fake::answering(|_, _| (0, String::new(), String::new()));
    write_input(dir.path(), [50]);
    assert_eq!(run_in(dir.path(), &down.url, &["--give-up-after-s", "0"]), 3);
    write_input(dir.path(), [77]);
    assert_eq!(run_in(dir.path(), &down.url, &["--give-up-after-s", "0"]), 3);
    assert_eq!(run_in(dir.path(), &gateway.url, &[]), 0);
    assert_eq!(gateway.seen().split_off(3).iter().flat_map(Seen::times).collect::<Vec<_>>(), [50, 77]);
}

#[test]
fn only_the_last_batch_of_a_file_ends_its_spool_also_where_it_is_halved_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    write_input(dir.path(), 0..1_002);
    let gateway = Fake::start(vec![reply(202, ""), reply(413, "body_too_large"), reply(422, "nothing_acceptable")]);
    assert_eq!(run_in(dir.path(), &gateway.url, &[]), 1);
    let ends: Vec<_> = gateway.seen().iter().map(|s| s.json().get("ends").cloned()).collect();
    // Whole, too large, its halves, the report of what was refused.
    assert_eq!(ends, [None, Some(true.into()), None, Some(true.into()), Some(true.into())]);
}

#[test]
fn rebasing_moves_the_last_signal_to_now() {
    let dir = tempfile::tempdir().unwrap();
    write_input(dir.path(), [1_000, 61_000, 31_000]);
    let gateway = Fake::start(vec![]);
    let before = later_ms(0);
    assert_eq!(run_in(dir.path(), &gateway.url, &["--rebase-time"]), 0);
    let times = gateway.seen()[0].times();
    assert!((before..=later_ms(0)).contains(&times[2]));
    assert_eq!([times[2] - times[0], times[2] - times[1]], [60_000, 30_000]);
}

#[test]
fn wrong_use_says_so() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(run_in(dir.path(), "http://127.0.0.1:9", &[]), 2, "no such file");
    assert!(!dir.path().join("secret.spool").exists());
    write_input(dir.path(), [1]);
    assert_eq!(run_in(dir.path(), "http://example.com", &[]), 2, "plain http to another machine");
    assert_eq!(run_in(dir.path(), "http://127.0.0.1:9", &["--follow"]), 2, "a file is not followed");
    let a_file = dir.path().join("in.ndjson").display().to_string();
    assert_eq!(run_in(dir.path(), "http://127.0.0.1:9", &["--spool", &a_file]), 2, "a file is no spool");
    let no_ca = dir.path().join("secret").display().to_string();
    assert_eq!(run_in(dir.path(), "https://127.0.0.1:9", &["--ca", &no_ca]), 2, "not a certificate");
    assert_eq!(run_in(dir.path(), "http://127.0.0.1:9", &["--dry-run"]), 1, "too old, says the gateway's own code");
    assert!(!dir.path().join("secret.spool").exists());
    for foreign in
        [&b"\x1f\x8b\x08\0"[..], b"\xff\xfe{\0", b"[{\"type\":\"x\",\"at\":1}]\n", b"{\n \"type\": \"x\"\n}\n"]
    {
        std::fs::write(dir.path().join("in.ndjson"), foreign).unwrap();
        assert_eq!(run_in(dir.path(), "http://127.0.0.1:9", &[]), 2, "{}", String::from_utf8_lossy(foreign));
        assert!(!dir.path().join("secret.spool").exists());
    }
    std::fs::write(dir.path().join("in.ndjson"), "https://s.k:0@h/v1/batches?audience=a").unwrap();
    assert_eq!(run_in(dir.path(), "http://127.0.0.1:9", &[]), 2, "a DSN in the place of the signals");
}
