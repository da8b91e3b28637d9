//! Hostile input: each is refused as the table says, and the gateway still serves.

use std::time::Duration;

use logystera_schemas::limits::WIRE_BYTES_MAX;
use proptest::prelude::*;
use tokio::io::AsyncWriteExt;

use logystera_ingest::core::quota::Quota;
use logystera_ingest::{KeyEntry, SiteEntry};

use super::support::{Answer, GOOD_SIGNAL, Post, World, body, gzip, live_key, read_answer};

/// Sends the bytes, checks status and code, and that a good sender is served after it.
async fn refused(world: &World, name: &str, request: &[u8], status: u16, code: &str) -> Answer {
    let before = world.log.batches();
    let answer = world.raw(request).await;
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{name}: {answer:?}");
    assert_eq!(world.log.batches(), before, "{name}: nothing of it is in the log");
    world.still_serves().await;
    answer
}

async fn refused_post(world: &World, name: &str, post: &Post, status: u16, code: &str) -> Answer {
    let answer = refused(world, name, &post.request(), status, code).await;
    assert!(answer.body.contains("\"server_time\":1767225600000"), "{name}: {answer:?}");
    answer
}

fn zipped(inner: Vec<u8>) -> Post {
    Post { encoding: Some("gzip"), ..Post::of(inner) }
}

#[tokio::test]
async fn bodies() {
    let world = World::new().await;
    let bomb = gzip(&vec![b' '; 7 << 20]);
    let many = body(&vec!["{}"; 300_000].join(","));
    let noise: Vec<u8> = (0..9 << 20_u32).map(|i: u32| b'a' + (i.wrapping_mul(2_654_435_761) >> 28) as u8).collect();
    let deep = body(&format!("{{\"x\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000)));
    let twice = GOOD_SIGNAL.replace("\"job\"", "\"job\":\"a\",\"job\"");
    let number = GOOD_SIGNAL.replace("1767225599000", "1e400");
    let mut invalid = body(GOOD_SIGNAL);
    invalid[20] = 0xff;
    let trailing = [body(GOOD_SIGNAL), b"{}".to_vec()].concat();
    for (name, post, status, code) in [
        ("gzip bomb", zipped(bomb.clone()), 413, "gzip_ratio"),
        ("more than 8 MiB", zipped(gzip(&noise)), 413, "inflated_too_large"),
        ("nested gzip bomb", zipped(gzip(&bomb)), 400, "not_utf8"),
        ("gzip that is not", zipped(body("")), 400, "gzip_malformed"),
        ("gzip, cut", zipped(gzip(&body(""))[..40].to_vec()), 400, "gzip_malformed"),
        ("gzip with a tail", zipped([gzip(&body("")), b"x".to_vec()].concat()), 400, "gzip_malformed"),
        ("300,000 empty signals", zipped(gzip(&many)), 413, "too_many_signals"),
        ("1,001 signals", Post::of(body(&vec!["{}"; 1_001].join(","))), 413, "too_many_signals"),
        ("depth 10,000", Post::of(deep), 400, "json_too_deep"),
        ("depth 10,000 at the top", Post::of("[".repeat(10_000)), 400, "head_invalid"),
        ("duplicate names", Post::of(body(&twice)), 400, "json_duplicate_name"),
        ("1e400", Post::of(body(&number)), 400, "json_malformed"),
        ("NaN", Post::of(body("NaN")), 400, "json_malformed"),
        ("a lone surrogate", Post::of(body(r#"{"x":"\udc00"}"#)), 400, "json_malformed"),
        ("invalid UTF-8", Post::of(invalid), 400, "not_utf8"),
        ("trailing bytes", Post::of(trailing), 400, "json_malformed"),
        ("nothing", Post::of(""), 400, "json_malformed"),
        ("no head", Post::of("{}"), 400, "head_invalid"),
        ("nothing acceptable", Post::of(body("{},{}")), 422, "nothing_acceptable"),
        ("over 1 MiB", Post::of(vec![b' '; WIRE_BYTES_MAX + 1]), 413, "body_too_large"),
        ("text", Post { content_type: "text/plain", ..Post::default() }, 415, "content_type_unsupported"),
        (
            "charset",
            Post { content_type: "application/json; charset=utf-8", ..Post::default() },
            415,
            "content_type_unsupported",
        ),
        ("brotli", Post { encoding: Some("br"), ..Post::default() }, 415, "content_encoding_unsupported"),
        ("gzip twice", Post { encoding: Some("gzip, gzip"), ..Post::default() }, 415, "content_encoding_unsupported"),
    ] {
        refused_post(&world, name, &post, status, code).await;
    }
    let full = Post::of([body(GOOD_SIGNAL), vec![b' '; WIRE_BYTES_MAX - 192]].concat());
    assert_eq!(world.send(&full).await.status, 202, "1 MiB itself is taken");
}

#[tokio::test]
async fn signatures() {
    let world = World::new().await;
    let site = "site_7qd".parse().unwrap();
    for (key, entry) in [
        ("revoked", KeyEntry { revoked: true, ..live_key(7) }),
        ("early", KeyEntry { not_before: super::support::NOW + 1, ..live_key(7) }),
        ("late", KeyEntry { not_after: Some(super::support::NOW), ..live_key(7) }),
        ("just", KeyEntry { not_before: super::support::NOW, not_after: Some(super::support::NOW + 1), ..live_key(7) }),
    ] {
        world.keys.put_key(&site, &key.parse().unwrap(), entry);
    }
    let good = Post::default();
    let now = good.ts;
    let closed = "closed".parse().unwrap();
    world.keys.put_site(&closed, SiteEntry { tenant: "acme".parse().unwrap(), closed: true });
    world.keys.put_key(&closed, &"k2".parse().unwrap(), live_key(7));
    for (name, post, status, code) in [
        ("wrong secret", Post { secret: 8, ..good.clone() }, 401, "unauthorized"),
        ("a valid key with another site", Post { site: "other", ..good.clone() }, 401, "unauthorized"),
        ("another site's secret", Post { site: "other", key: "k1", secret: 7, ..good.clone() }, 401, "unauthorized"),
        ("no such site", Post { site: "nobody", ..good.clone() }, 401, "unauthorized"),
        ("no such key", Post { key: "k9", ..good.clone() }, 401, "unauthorized"),
        ("the secret of keys that are not there", Post { key: "k9", secret: 0, ..good.clone() }, 401, "unauthorized"),
        ("revoked", Post { key: "revoked", ..good.clone() }, 401, "unauthorized"),
        ("not yet valid", Post { key: "early", ..good.clone() }, 401, "unauthorized"),
        ("no longer valid", Post { key: "late", ..good.clone() }, 401, "unauthorized"),
        ("another deployment's", Post { audience: "eu-staging", ..good.clone() }, 401, "unauthorized"),
        ("301 s behind", Post { ts: now - 301, ..good.clone() }, 401, "clock_skew"),
        ("301 s ahead", Post { ts: now + 301, ..good.clone() }, 401, "clock_skew"),
        ("301 s off with a wrong secret", Post { ts: now + 301, secret: 8, ..good.clone() }, 401, "unauthorized"),
        ("the first second of all", Post { ts: 0, ..good.clone() }, 401, "clock_skew"),
        ("the last second of all", Post { ts: 9_999_999_999, ..good.clone() }, 401, "clock_skew"),
        ("a closed site", Post { site: "closed", ..good.clone() }, 410, "site_closed"),
        ("a closed site and a stranger", Post { site: "closed", secret: 8, ..good.clone() }, 401, "unauthorized"),
    ] {
        refused_post(&world, name, &post, status, code).await;
    }
    for (seq, post) in [
        (1, Post { key: "just", ..good.clone() }),
        (2, Post { ts: now - 300, ..good.clone() }),
        (3, Post { ts: now + 300, ..good.clone() }),
    ] {
        assert_eq!(world.send(&Post { batch: format!("aaaaaaaaaaaaaaaa.{seq}"), ..post }).await.status, 202);
    }
}

#[tokio::test]
async fn a_strangers_answers_are_all_alike() {
    let world = World::new().await;
    let good = Post::default();
    let mut answers = Vec::new();
    for post in [
        Post { secret: 8, ..good.clone() },
        Post { site: "nobody", ..good.clone() },
        Post { key: "k9", ..good.clone() },
        Post { ts: 0, secret: 8, ..good.clone() },
        Post { content_type: "text/plain", secret: 8, ..good.clone() },
    ] {
        answers.push(world.send(&post).await.text());
    }
    answers.push(world.raw(b"POST /v1/batches HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").await.text());
    answers.dedup();
    insta::assert_snapshot!(answers.join("\n"), @r#"401 {"code":"unauthorized","message":"The request is not signed by a live key of the site.","server_time":1767225600000}"#);
}

#[tokio::test]
async fn signature_headers() {
    let world = World::new().await;
    let good = Post::default();
    let (head, value) = (good.head(), good.signature());
    let with = |head: &str| [head.as_bytes(), b"\r\n", &good.body].concat();
    let bad = |from: &str, to: &str| with(&head.replace(from, to));
    for (name, request) in [
        ("none", with(head.split_once("Logystera").unwrap().0)),
        ("twice the same", with(&format!("{head}Logystera-Signature: {value}\r\n"))),
        ("a second one that is empty", with(&format!("{head}logystera-signature:\r\n"))),
        ("empty", bad(&value, "")),
        ("two in one", bad(&value, &format!("{value}, {value}"))),
        ("ts -1", bad("ts=1767225600", "ts=-1")),
        ("ts i64::MIN", bad("ts=1767225600", "ts=-9223372036854775808")),
        ("ts over u64", bad("ts=1767225600", "ts=99999999999999999999")),
        ("uppercase", bad("sig=", "sig=A")),
        ("spaces", bad(",key", ", key")),
        ("another order", bad("site=site_7qd,key=k2", "key=k2,site=site_7qd")),
        ("seq 0", bad("7d65.1,", "7d65.0,")),
        ("not ASCII", bad("site_7qd", "s\u{ef}te")),
        ("very long", bad("site_7qd", &"a".repeat(10_000))),
    ] {
        refused(&world, name, &request, 401, "unauthorized").await;
    }
    assert_eq!(world.log.refused(), Vec::<String>::new());
}

#[tokio::test]
async fn framing() {
    let world = World::new().await;
    let good = Post::default();
    let length = format!("Content-Length: {}\r\n", good.body.len());
    let head = good.head();
    let chunked: Vec<u8> = good.body.iter().flat_map(|b| [b"1\r\n", &[*b, b'\r', b'\n'][..]].concat()).collect();
    let chunked = [&chunked[..], b"0\r\n\r\n"].concat();
    let with = |head: String, body: &[u8]| [head.as_bytes(), b"\r\n", body].concat();
    let te = "Transfer-Encoding: chunked\r\n";
    for (name, request, status, code) in [
        ("one-byte chunks", with(head.replace(&length, te), &chunked), 411, "length_required"),
        ("length, then chunked", with(format!("{head}{te}"), &chunked), 411, "length_required"),
        (
            "chunked, then length",
            with(head.replace(&length, &format!("{te}{length}")), &chunked),
            411,
            "length_required",
        ),
        (
            "chunked, then a wrong length",
            with(head.replace(&length, &format!("{te}Content-Length: 3\r\n")), &chunked),
            411,
            "length_required",
        ),
        ("two lengths", with(format!("{head}Content-Length: 3\r\n"), &good.body), 400, ""),
        ("a length that is none", with(head.replace(&length, "Content-Length: +192\r\n"), &good.body), 400, ""),
        ("a length over all", with(head.replace(&length, "Content-Length: 99999999999999999999999\r\n"), b""), 400, ""),
        (
            "a promise of 2 GiB",
            with(head.replace(&length, "Content-Length: 2147483648\r\n"), b""),
            413,
            "body_too_large",
        ),
        ("not HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(), 400, ""),
        ("GET", b"GET /v1/batches HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), 405, "method_not_allowed"),
        ("another path", with(head.replace("/v1/batches", "/v1/batches/"), &good.body), 404, "not_found"),
        ("a query", with(head.replace("/v1/batches", "/v1/batches?x=1"), &good.body), 404, "not_found"),
        ("metrics for strangers", b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), 404, "not_found"),
        ("10,000 headers", with(head.clone() + &"a: b\r\n".repeat(10_000), &good.body), 431, ""),
        ("65 headers", with(head.clone() + &"a: b\r\n".repeat(61), &good.body), 431, ""),
        ("20 KiB of headers", with(format!("{head}a: {}\r\n", "b".repeat(20_000)), &good.body), 431, ""),
    ] {
        refused(&world, name, &request, status, code).await;
    }
    let answer = world.raw(&with(format!("{head}{te}"), &chunked)).await;
    assert_eq!(answer.header("connection"), Some("close"), "what follows is not believed");
}

#[tokio::test]
async fn slow_peers() {
    let world = World::new().await;
    let request = Post::default().request();
    let split = request.len() - 60;
    // Headers that never end, or never begin: the connection ends without an answer.
    for start in [&b""[..], b"P", b"PRI", b"PRI * HTTP/2.0\r\n\r\nSM", b"POST /v1/batches HTTP/1.1\r\nHost: x\r\n"] {
        let mut stream = world.connect().await;
        stream.write_all(start).await.unwrap();
        assert_eq!(read_answer(&mut stream).await.status, 0, "{}", String::from_utf8_lossy(start));
    }
    // A header byte now and then does not keep it open.
    let mut stream = world.connect().await;
    let dripping = async {
        loop {
            if stream.write_all(b"a").await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    };
    super::support::patiently(dripping).await;
    // A body that stops, and one that drips: the deadline is for the whole of it.
    let mut stream = world.connect().await;
    stream.write_all(&request[..split]).await.unwrap();
    let answer = read_answer(&mut stream).await;
    assert_eq!((answer.status, answer.code().as_str()), (408, "body_timeout"));
    let mut stream = world.connect().await;
    stream.write_all(&request[..split]).await.unwrap();
    for byte in &request[split..split + 30] {
        if stream.write_all(&[*byte]).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    assert_eq!(read_answer(&mut stream).await.status, 408);
    world.still_serves().await;
    // One byte at a time, but in time.
    let mut stream = world.connect().await;
    for byte in &request {
        stream.write_all(&[*byte]).await.unwrap();
    }
    assert_eq!(read_answer(&mut stream).await.status, 202);
}

#[tokio::test]
async fn an_abort_in_mid_body() {
    let world = World::new().await;
    let request = Post::default().request();
    for left in [1, 60, 191] {
        let mut stream = world.connect().await;
        stream.write_all(&request[..request.len() - left]).await.unwrap();
        drop(stream);
        world.still_serves().await;
    }
    let mut stream = world.connect().await;
    stream.write_all(&request[..request.len() - 1]).await.unwrap();
    stream.shutdown().await.unwrap();
    assert!(matches!(read_answer(&mut stream).await.status, 0 | 408), "no sender drops a batch that a proxy cut");
    assert!(world.log.batches().iter().all(|(id, _)| !id.starts_with("9f86")));
}

#[tokio::test]
async fn sixty_four_spools_then_no_more() {
    let world = World::new().await;
    let spool = |n: u32| Post { batch: format!("{n:016x}.1"), ..Post::default() };
    for n in 0..64 {
        assert_eq!(world.send(&spool(n)).await.status, 202);
    }
    let answer = refused_post(&world, "the 65th spool", &spool(99), 429, "too_many_spools").await;
    assert_eq!(answer.header("retry-after"), Some("3600"));
    let other = Post { site: "other", key: "k1", secret: 9, ..spool(99) };
    assert_eq!(world.send(&other).await.status, 202, "another site has its own");
}

#[tokio::test]
async fn quotas_are_a_sites_own_and_fill_again() {
    let quota = Quota { bytes_per_s: 64, bytes_burst: 1 << 20, signals_per_s: 2, signals_burst: 10 };
    let world = World::with(|c| c.quota = quota, None).await;
    assert_eq!(world.send(&Post::of(body(&[GOOD_SIGNAL; 30].join(",")))).await.status, 202);
    let answer = world.send(&Post::seq(2)).await;
    assert_eq!((answer.status, answer.code().as_str()), (429, "quota_exceeded"));
    assert_eq!(answer.header("retry-after"), Some("11"), "20 below zero, one needed, two a second");
    assert_eq!(world.send(&Post { secret: 8, ..Post::seq(2) }).await.status, 401, "a stranger does not learn of it");
    let other = Post { site: "other", key: "k1", secret: 9, ..Post::default() };
    assert_eq!(world.send(&other).await.status, 202);
    world.clock.pass(11_000);
    assert_eq!(world.send(&Post::seq(2)).await.status, 202);

    let full = |seq| Post { body: [body(""), vec![b' '; WIRE_BYTES_MAX - 1_000]].concat(), ..Post::seq(seq) };
    world.clock.pass(60_000_000);
    let now = Post::default().ts + 60_011;
    assert_eq!(world.send(&Post { ts: now, ..full(3) }).await.status, 202);
    let answer = world.send(&Post { ts: now, ..full(4) }).await;
    assert_eq!((answer.status, answer.code().as_str()), (429, "quota_exceeded"), "bytes count as well");
}

/// A bomb costs what it inflates to, however few bytes it is on the wire.
#[tokio::test]
async fn quotas_count_what_a_body_costs() {
    let quota = Quota { bytes_per_s: 64, bytes_burst: 4 << 20, ..Quota::default() };
    let world = World::with(|c| c.quota = quota, None).await;
    let bomb = |seq| Post { batch: Post::seq(seq).batch, ..zipped(gzip(&[body(""), vec![b' '; 1_000_000]].concat())) };
    for seq in 1..=5 {
        assert!(bomb(seq).body.len() < 8_000);
        assert_eq!(world.send(&bomb(seq)).await.status, 202, "{seq}");
    }
    // The world's clock stands still: each of these waits for its turn behind those before it.
    let watch = logystera_infra::clock::Stopwatch::start();
    for _ in 0..8 {
        assert_eq!(world.send(&bomb(6)).await.code(), "quota_exceeded");
    }
    assert!(watch.elapsed() >= Duration::from_millis(10 + 20 + 30 + 40 + 50 + 60 + 70), "{:?}", watch.elapsed());
    // One that is refused costs what it came to as well.
    let other = |post: Post| Post { site: "other", key: "k1", secret: 9, ..post };
    let refused = |seq| other(Post { batch: Post::seq(seq).batch, ..zipped(gzip(&vec![b' '; 7 << 20])) });
    assert_eq!(world.send(&refused(1)).await.code(), "gzip_ratio");
    assert_eq!(world.send(&refused(2)).await.code(), "gzip_ratio");
    assert_eq!(world.send(&other(Post::seq(3))).await.code(), "quota_exceeded", "each was inflated to its bound");
}

/// Sixteen connections of small bombs from one site, and another tenant's sender beside them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bombs_hold_up_nobody_else() {
    let quota = Quota { bytes_per_s: u32::MAX, bytes_burst: u32::MAX, ..Quota::default() };
    let world = std::sync::Arc::new(World::with(|c| c.quota = quota, None).await);
    // Few bytes on the wire, a legal ratio, and nothing in it.
    let mut state = 1_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b'a' + (state >> 28) as u8
    };
    let noise: Vec<u8> = (0..30_000).map(|_| noise()).collect();
    let bomb = gzip(&[vec![b' '; 2_400_000], noise].concat());
    assert!(bomb.len() < 32 << 10 && bomb.len() * 100 > 2_430_000, "{}", bomb.len());
    let bombs = (0..16_u64).map(|n| {
        let (world, bomb) = (world.clone(), bomb.clone());
        tokio::spawn(async move {
            for seq in 0..200 {
                let post = Post { batch: format!("{:016x}.{}", n, seq + 1), ..zipped(bomb.clone()) };
                let answer = world.send(&Post { site: "other", key: "k1", secret: 9, ..post }).await;
                assert_eq!(answer.code(), "json_malformed");
            }
        })
    });
    let bombs: Vec<_> = bombs.collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut waits = Vec::new();
    for seq in 1..=60 {
        let watch = logystera_infra::clock::Stopwatch::start();
        assert_eq!(world.send(&Post::seq(seq)).await.status, 202);
        waits.push(watch.elapsed());
    }
    waits.sort_unstable();
    bombs.iter().for_each(tokio::task::JoinHandle::abort);
    assert!(waits[54] < Duration::from_millis(250), "the slowest tenth waited for {:?} and more", waits[54]);
}

#[tokio::test]
async fn unverified_bodies_share_a_budget() {
    let world = World::with(|c| c.unauthenticated_bytes_max = 100_000, None).await;
    let stranger = Post { secret: 8, ..Post::of(vec![b' '; 90_000]) };
    let request = stranger.request();
    let mut stream = world.connect().await;
    stream.write_all(&request[..request.len() - 1]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let large = Post::of([body(GOOD_SIGNAL), vec![b' '; 50_000]].concat());
    let answer = world.send(&large).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "busy"));
    assert_eq!(answer.header("retry-after"), Some("5"));
    world.still_serves().await;
    assert_eq!(read_answer(&mut stream).await.status, 408);
    assert_eq!(world.send(&large).await.status, 202, "the room is given back");
}

#[tokio::test]
async fn verified_batches_that_wait_for_the_log_share_a_budget() {
    let world = World::with(|c| c.unwritten_bytes_max = 100_000, None).await;
    world.log.set(super::support::Mood::Hangs);
    let large = |seq| Post { body: [body(GOOD_SIGNAL), vec![b' '; 60_000]].concat(), ..Post::seq(seq) };
    let mut first = world.connect().await;
    first.write_all(&large(1).request()).await.unwrap();
    world.log.waiting(1).await;
    let answer = world.send(&large(2)).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "busy"));
    world.log.set(super::support::Mood::Takes);
    assert_eq!(read_answer(&mut first).await.status, 202);
    assert_eq!(world.send(&large(2)).await.status, 202);
}

/// Every status that this listener can answer with.
const LISTED: [u16; 17] = [0, 200, 202, 400, 401, 404, 405, 408, 409, 410, 411, 413, 414, 415, 422, 429, 431];

#[test]
fn arbitrary_bytes_get_a_listed_status() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let world = runtime.block_on(World::new());
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(150));
    let bytes = proptest::collection::vec(any::<u8>(), 0..200);
    let tries = (any::<bool>(), any::<bool>(), bytes, any::<prop::sample::Index>());
    let outcome = runner.run(&tries, |(sign, zip, noise, at)| {
        let request = if sign {
            // What a good key signs can be anything too.
            Post { encoding: zip.then_some("gzip"), ..Post::of(noise) }.request()
        } else {
            let mut request = Post::default().request();
            let at = at.index(request.len());
            request.splice(at..(at + noise.len() / 4).min(request.len()), noise);
            request
        };
        let answer = runtime.block_on(async {
            let mut stream = world.connect().await;
            let _ = stream.write_all(&request).await;
            let _ = stream.shutdown().await;
            read_answer(&mut stream).await
        });
        prop_assert!(LISTED.contains(&answer.status), "{:?}", answer);
        Ok(())
    });
    outcome.unwrap();
    runtime.block_on(world.still_serves());
}
