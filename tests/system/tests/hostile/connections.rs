//! Connections: framing that two readers would read differently, peers that are slow or gone, and bounds that many share.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use logystera_system::hostile::Expected::{Duplicate, Ended, NotHttp, Refused, Taken};
use logystera_system::hostile::Target;
use logystera_system::post::{Post, body, connect, raw, read_answer, signal};
use logystera_system::refusals::status;
use logystera_system::wire::{Answer, Credentials, now_ms};

use super::bodies::spaces;

/// How long the gateway waits for headers, and for a body.
const HEADERS_S: u64 = 10;
const BODY_S: u64 = 30;
/// How much later than that an end may come on a machine that is busy.
const SLACK_S: u64 = 10;
/// All room for bodies that are not verified yet, in bodies of nearly 1 MiB.
const BODIES_IN_ROOM: usize = 256;

pub(crate) fn framing(target: &Target) {
    let good = target.good_post();
    let head = good.head();
    let length = format!("Content-Length: {}\r\n", good.body.len());
    let chunked: Vec<u8> = good.body.iter().flat_map(|b| [b"1\r\n", &[*b, b'\r', b'\n'][..]].concat()).collect();
    let chunked = [&chunked[..], b"0\r\n\r\n"].concat();
    let with = |head: String, body: &[u8]| [head.as_bytes(), b"\r\n", body].concat();
    let (te, lengthless) = ("Transfer-Encoding: chunked\r\n", head.replace(&length, ""));
    let beside = |length: &str| with(format!("{lengthless}{te}Content-Length: {length}\r\n"), &chunked);
    let long = |count: usize| format!("a: {}\r\n", "b".repeat(count));
    for (input, request, expected) in [
        ("one-byte chunks", with(format!("{lengthless}{te}"), &chunked), Refused("length_required")),
        ("length, then chunked", with(format!("{head}{te}"), &chunked), Refused("length_required")),
        ("chunked, then length", beside(&good.body.len().to_string()), Refused("length_required")),
        ("chunked, then a wrong length", beside("3"), Refused("length_required")),
        ("two lengths", with(format!("{head}Content-Length: 3\r\n"), &good.body), NotHttp(400)),
        ("a length with a sign", with(head.replace("Length: ", "Length: +"), &good.body), NotHttp(400)),
        ("a length over u64", with(head.replace("Length: ", "Length: 9999999999999999999"), b""), NotHttp(400)),
        (
            "a promise of 2 GiB",
            with(head.replace(&length, "Content-Length: 2147483648\r\n"), b""),
            Refused("body_too_large"),
        ),
        ("10,000 headers", with(head.clone() + &"a: b\r\n".repeat(10_000), &good.body), NotHttp(431)),
        ("65 headers", with(head.clone() + &"a: b\r\n".repeat(61), &good.body), NotHttp(431)),
        ("20 KiB of headers", with(format!("{head}{}", long(20_000)), &good.body), NotHttp(431)),
        (
            "an address of 70,000 characters",
            with(head.replace("/v1/batches", &format!("/{}", "a".repeat(70_000))), b""),
            NotHttp(431),
        ),
        ("TLS to a plain port", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(), NotHttp(400)),
        ("HTTP/2 that is none", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nGET / HTTP/1.1\r\n\r\n".to_vec(), Ended),
        ("GET", b"GET /v1/batches HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), Refused("method_not_allowed")),
        ("another path", with(head.replace("/v1/batches", "/v1/batches/"), &good.body), Refused("not_found")),
        ("a path around", with(head.replace("/v1/batches", "/v1/x/../batches"), &good.body), Refused("not_found")),
        ("a query", with(head.replace("/v1/batches", "/v1/batches?x=1"), &good.body), Refused("not_found")),
        ("metrics, asked by a stranger", b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), Refused("not_found")),
    ] {
        target.check(input, &request, expected);
    }
    // A body behind a refused one must not be taken for the next request.
    let two = [with(format!("{head}{te}"), &chunked), target.good_post().request()].concat();
    let mut stream = connect(target.port);
    let _ = stream.write_all(&two);
    assert_eq!(read_answer(&mut stream).status, status("length_required"));
    target.note("a request behind a refused one", Ended, &read_answer(&mut stream));
}

pub(crate) fn replays(target: &Target) {
    let first = target.good_post();
    let captured = first.request();
    target.check("a good batch", &captured, Taken);
    target.check("the same request again", &captured, Duplicate);
    sleep(Duration::from_millis(1_050));
    let again = Post { ts: now_ms() / 1_000, ..first.clone() };
    target.check("the same batch, signed anew", &again.request(), Duplicate);
    let now = now_ms();
    let other = Post { body: body(now, &signal(now - 1_000, "another")), ..again };
    target.check("the same id, another body", &other.request(), Refused("conflict"));
    target.check("the same id and body, zipped", &other.clone().zipped().request(), Refused("conflict"));
    // In a spool of its own, which it spoils: everything else would be below its window.
    let far = |number: &str| Post { batch: format!("00000000000000cc.{number}"), ..target.good_post() }.request();
    target.check("a number of 19 digits", &far("1000000000000000000"), Refused("signature_malformed"));
    target.check("the highest number", &far("999999999999999999"), Taken);
    target.check("a number below the window", &far("1"), Refused("below_window"));
}

pub(crate) fn aborts(target: &Target) {
    let request = target.good_post().request();
    for (input, left) in
        [("gone after the headers", 300), ("gone in mid-body", 60), ("gone one byte before the end", 1)]
    {
        let mut stream = connect(target.port);
        let sent = request.len().saturating_sub(left);
        stream.write_all(&request[..sent]).expect("bytes can be sent");
        drop(stream);
        target.note(input, Ended, &Answer { status: 0, head: String::new(), body: String::new() });
    }
    let post = target.good_post();
    let request = post.request();
    let mut stream = connect(target.port);
    stream.write_all(&request[..request.len() - 1]).expect("bytes can be sent");
    stream.shutdown(Shutdown::Write).expect("a connection can be half closed");
    target.note("half closed in mid-body", Refused("body_broken"), &read_answer(&mut stream));
    target.check("then the whole of it", &request, Taken);
    let mut stream = connect(target.port);
    let request = target.good_post().request();
    for byte in &request {
        stream.write_all(&[*byte]).expect("a byte can be sent");
    }
    target.note("a byte a packet, but in time", Taken, &read_answer(&mut stream));
}

/// What a slow peer sends: something at once, then a byte now and then.
pub(crate) struct Slow {
    input: &'static str,
    start: Vec<u8>,
    drip: &'static [u8],
    is_body: bool,
}

pub(crate) fn slow_peers(target: &Target) -> Vec<Slow> {
    let half = || {
        let request = target.good_post().request();
        request[..request.len() - 100].to_vec()
    };
    let slow = |input, start: &[u8], drip, is_body| Slow { input, start: start.to_vec(), drip, is_body };
    let headers = b"POST /v1/batches HTTP/1.1\r\nHost: x\r\n";
    vec![
        slow("nothing at all", b"", b"", false),
        slow("headers that stop", headers, b"", false),
        slow("headers that drip", headers, b"a", false),
        slow("half of HTTP/2's greeting", b"PRI * HTTP/2.0\r\n\r\nSM", b"", false),
        slow("a body that stops", &half(), b"", true),
        slow("a body that drips", &half(), b" ", true),
    ]
}

impl Slow {
    /// Is slow until the gateway ends it, and no longer than it may take.
    pub(crate) fn run(&self, target: &Target) {
        let mut stream = connect(target.port);
        let since = now();
        stream.write_all(&self.start).expect("bytes can be sent");
        let answer = self.outlast(&mut stream);
        let took = since.elapsed().as_secs();
        let limit = if self.is_body { BODY_S } else { HEADERS_S };
        assert!((limit - 1..=limit + SLACK_S).contains(&took), "{}: {took} s", self.input);
        target.note(self.input, if self.is_body { Refused("body_timeout") } else { Ended }, &answer);
    }

    fn outlast(&self, stream: &mut TcpStream) -> Answer {
        if self.drip.is_empty() {
            return read_answer(stream);
        }
        stream.set_nonblocking(true).expect("a socket can be told not to wait");
        let mut first = [0];
        // Until there is an answer, or the end of the connection.
        while stream.peek(&mut first).is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock) {
            let _ = stream.write_all(self.drip);
            sleep(Duration::from_millis(500));
        }
        stream.set_nonblocking(false).expect("a socket can be told to wait");
        read_answer(stream)
    }
}

#[expect(clippy::disallowed_methods, reason = "a test measures what a peer waits")]
fn now() -> Instant {
    Instant::now()
}

/// Strangers hold all the room for bodies that are not verified, and let go again.
pub(crate) fn all_room(target: &Target) {
    let stranger = Credentials { secret: vec![7; 32], ..target.site.clone() };
    let large = Post { by: stranger, ..target.post(spaces((1 << 20) - 1)) };
    let request = large.request();
    let mut held = Vec::new();
    let full = loop {
        let answer = raw_small(target);
        if answer.status != 202 || held.len() > BODIES_IN_ROOM + 8 {
            break answer;
        }
        let mut stream = connect(target.port);
        if stream.write_all(&request[..request.len() - 1]).is_ok() {
            held.push(stream);
        }
    };
    println!("{} strangers hold all the room for bodies", held.len());
    drop(held);
    logystera_system::process::wait_for("the room is given back", Duration::from_secs(10), || {
        (target.serve_the_good().status == 202).then_some(())
    });
    target.note("256 strangers with a body each", Refused("busy"), &full);
}

/// A batch that needs more room than a held body leaves free.
fn raw_small(target: &Target) -> Answer {
    let now = now_ms();
    let large = [body(now, &signal(now - 1_000, "large")), spaces(200 << 10)].concat();
    target.post(large).send(target.port)
}

/// A site's own bounds: 64 spools, and a quota.
pub(crate) fn quotas(target: &Target, crowded: &Credentials, greedy: &Credentials) {
    let now = now_ms();
    let spool = |n: u64| Post::new(crowded, format!("{n:016x}.1"), body(now, &signal(now - 1_000, "one")));
    for n in 0..64 {
        assert_eq!(spool(n).send(target.port).status, 202, "spool {n}");
    }
    target.check("a 65th spool", &spool(64).request(), Refused("too_many_spools"));
    let empty = body(now, &vec!["{}"; 1_000].join(","));
    let mut seq = 0;
    let answer = loop {
        seq += 1;
        let answer = Post::new(greedy, format!("00000000000000dd.{seq}"), &empty[..]).send(target.port);
        if answer.status != 422 || seq > 5_000 {
            break answer;
        }
    };
    println!("the quota was used up after {seq} batches of 1,000 signals");
    target.note("1,000,000 signals in a few seconds", Refused("quota_exceeded"), &answer);
    let stranger = Credentials { secret: vec![7; 32], ..greedy.clone() };
    let answer = raw(target.port, &Post::new(&stranger, "00000000000000dd.9999", &empty[..]).request());
    target.note("the same site, by a stranger", Refused("signature_wrong"), &answer);
}
