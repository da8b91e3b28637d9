//! What a sender gets that speaks the protocol.

use std::time::Duration;

use insta::assert_snapshot;
use logystera_infra::embedded::Embedded;
use logystera_infra::log::{Entry, Log};
use logystera_schemas::ids::KeyGroup;
use logystera_schemas::topic::{SignalsRecord, Topic};
use tokio::io::AsyncWriteExt;

use logystera_ingest::KeyEntry;

use super::support::{GOOD_SIGNAL, Mood, NOW, Post, World, body, gzip, live_key, read_answer};

#[tokio::test]
async fn a_batch_is_taken_once() {
    let world = World::of_partitions(64).await;
    assert_snapshot!(world.send(&Post::default()).await.text(), @r#"202 {"batch":"9f86d081884c7d65.1","accepted":1,"refused":[],"server_time":1767225600000}"#);
    assert_snapshot!(world.send(&Post::default()).await.text(), @r#"200 {"code":"duplicate","batch":"9f86d081884c7d65.1","same":true,"server_time":1767225600000}"#);
    // A retry signs anew.
    let again = Post { ts: Post::default().ts + 40, ..Post::default() };
    assert_eq!(world.send(&again).await.status, 200);
    // The same number with other bytes.
    assert_snapshot!(world.send(&Post::of(body(""))).await.text(), @r#"409 {"code":"conflict","message":"This batch id was used for other bytes.","batch":"9f86d081884c7d65.1","server_time":1767225600000}"#);

    let entries = world.log.entries();
    let [Entry { topic, partition, key, value }] = entries.as_slice() else { unreachable!("{entries:?}") };
    assert_eq!((*topic, *partition, key.as_slice()), (Topic::Signals, 115 % 64, &b"site_7qd"[..]));
    assert_eq!(KeyGroup::of("site_7qd").0, 115);
    let SignalsRecord::Batch(batch) = SignalsRecord::decode(value).unwrap() else { unreachable!() };
    assert_eq!(batch.signals().map(|s| s.unwrap().at).collect::<Vec<_>>(), [1_767_225_599_000]);
    let head = batch.head;
    assert_eq!((head.tenant.as_str(), head.site.as_str(), head.key.as_str()), ("acme", "site_7qd", "k2"));
    assert_eq!((head.received_at, head.through, head.refused), (NOW, NOW, 0));
    assert_eq!(head.digest.to_string(), "efbd3e3cfa72560f1b04c224c3489ac9d7dcc927bdcf712b9e53c601b88cd630");
}

/// A spool that was restored from a backup sends new signals under numbers that were used: none of them is called done.
#[tokio::test]
async fn what_cannot_be_compared_is_not_told_to_be_there() {
    let world = World::new().await;
    for seq in [1, 2, 67, 1_027] {
        assert_eq!(world.send(&Post::seq(seq)).await.status, 202);
    }
    for seq in 1_028..1_092 {
        assert_eq!(world.send(&Post::seq(seq)).await.status, 202);
    }
    let anew = |seq| Post { batch: Post::seq(seq).batch, ..Post::of(body("")) };
    assert_snapshot!(world.send(&anew(1_028)).await.text(), @r#"409 {"code":"conflict","message":"This batch id was used for other bytes.","batch":"9f86d081884c7d65.1028","server_time":1767225600000}"#);
    assert_snapshot!(world.send(&anew(67)).await.text(), @r#"200 {"code":"duplicate","batch":"9f86d081884c7d65.67","same":false,"server_time":1767225600000}"#);
    assert_snapshot!(world.send(&anew(2)).await.text(), @r#"409 {"code":"below_window","message":"The number lies so far below the highest of its spool that nobody can tell any more what was sent under it.","batch":"9f86d081884c7d65.2","server_time":1767225600000}"#);
    world.gateway.flush_refused().await;
    assert_eq!(
        world.log.refused(),
        [
            "site_7qd 9f86d081884c7d65 below_window 1 true",
            "site_7qd 9f86d081884c7d65 conflict 1 true",
            "site_7qd 9f86d081884c7d65 duplicate 1 true",
        ]
    );
}

/// A thief burns a spool's numbers and fills the site's slots: once the key is revoked as stolen, all of it is free again.
#[tokio::test]
async fn a_stolen_key_binds_nobody() {
    let world = World::new().await;
    let site = "site_7qd".parse().unwrap();
    world.keys.put_key(&site, &"k9".parse().unwrap(), live_key(5));
    let thief = |spool: String| Post { key: "k9", secret: 5, batch: spool, ..Post::default() };
    assert_eq!(world.send(&Post::seq(7)).await.status, 202);
    assert_eq!(world.send(&thief("9f86d081884c7d65.999999999999999999".into())).await.status, 202);
    for n in 1..64 {
        assert_eq!(world.send(&thief(format!("{n:016x}.1"))).await.status, 202);
    }
    let fresh = Post { batch: "aaaaaaaaaaaaaaaa.1".into(), ..Post::default() };
    assert_eq!(world.send(&Post::seq(8)).await.code(), "below_window");
    assert_eq!(world.send(&fresh).await.code(), "too_many_spools");
    // A plain revocation makes room, but what was sent under it stays known.
    world.keys.put_key(&site, &"k9".parse().unwrap(), KeyEntry { revoked: true, ..live_key(5) });
    assert_eq!(world.send(&Post::seq(8)).await.code(), "below_window");
    assert_eq!(world.send(&fresh).await.status, 202);
    world.keys.put_key(&site, &"k9".parse().unwrap(), KeyEntry { revoked: true, stolen: true, ..live_key(5) });
    assert_eq!(world.send(&Post::seq(8)).await.status, 202);
    assert_eq!(world.send(&Post::seq(7)).await.status, 200, "what the good key sent stays known");
    let taken_over = Post { batch: format!("{:016x}.1", 2), ..Post::of(body("")) };
    assert_eq!(world.send(&taken_over).await.status, 202);
}

#[tokio::test]
async fn times_in_seconds_are_named() {
    let world = World::new().await;
    let seconds = |text: &[u8]| String::from_utf8_lossy(text).replace("1767225600000", "1767225600").into_bytes();
    assert_snapshot!(world.send(&Post::of(seconds(&body(GOOD_SIGNAL)))).await.text(), @r#"400 {"code":"through_invalid","message":"`through` is not in milliseconds since the epoch (13 digits today, seconds have 10), or lies before the batch's newest signal.","batch":"9f86d081884c7d65.1","field":"through","server_time":1767225600000}"#);
    let at = GOOD_SIGNAL.replace("1767225599000", "1767225599");
    assert_snapshot!(world.send(&Post::of(body(&at))).await.text(), @r#"422 {"code":"nothing_acceptable","message":"The batch has signals and every one was refused.","batch":"9f86d081884c7d65.1","refused":[{"index":0,"code":"at_not_ms","field":"at"}],"server_time":1767225600000}"#);
    assert_eq!(world.log.batches(), []);
}

#[tokio::test]
async fn a_refused_signal_does_not_take_the_others_with_it() {
    let world = World::new().await;
    let bad = GOOD_SIGNAL.replace("\"job\"", "\"password\":\"hunter2\",\"job\"");
    let signals = [GOOD_SIGNAL, &bad, r#"{"type":"x.y"}"#, GOOD_SIGNAL].join(",");
    assert_snapshot!(world.send(&Post::of(body(&signals))).await.text(), @r#"202 {"batch":"9f86d081884c7d65.1","accepted":2,"refused":[{"index":1,"code":"field_not_allowed","field":"password"},{"index":2,"code":"type_unknown","field":"type"}],"server_time":1767225600000}"#);
    assert_eq!(world.log.batches(), [("9f86d081884c7d65.1".into(), 2)]);
    let many = [bad.as_str(); 150].join(",") + "," + GOOD_SIGNAL;
    let answer = world.send(&Post { batch: "9f86d081884c7d65.2".into(), ..Post::of(body(&many)) }).await;
    let json: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((json["accepted"].as_u64(), json["refused"].as_array().map(Vec::len)), (Some(1), Some(100)));
    assert_eq!(json["refused_more"], 50);
}

#[tokio::test]
async fn a_heartbeat_and_gzip_are_taken() {
    let world = World::new().await;
    assert_eq!(world.send(&Post::of(body(""))).await.status, 202);
    let zipped = Post { encoding: Some("gzip"), body: gzip(&body(GOOD_SIGNAL)), ..Post::seq(2) };
    assert_eq!(world.send(&zipped).await.status, 202);
    let explicit = Post { encoding: Some("identity"), ..Post::seq(3) };
    assert_eq!(world.send(&explicit).await.status, 202);
    // Large enough to be parsed on a thread of its own.
    let mut large = body(&[GOOD_SIGNAL; 1_000].join(","));
    large.resize(large.len() + 300_000, b' ');
    assert_eq!(world.send(&Post { body: large, ..Post::seq(4) }).await.status, 202);
    let counts: Vec<_> = world.log.batches().into_iter().map(|(_, count)| count).collect();
    assert_eq!(counts, [0, 1, 1, 1_000]);
}

#[tokio::test]
async fn up_to_three_keys_are_live_at_once() {
    let world = World::new().await;
    let site = "site_7qd".parse().unwrap();
    for (seq, key, fill) in [(1, "k2", 7), (2, "k3", 3), (3, "k4", 4)] {
        world.keys.put_key(&site, &key.parse().unwrap(), live_key(fill));
        assert_eq!(world.send(&Post { key, secret: fill, ..Post::seq(seq) }).await.status, 202);
    }
}

#[tokio::test]
async fn without_the_log_nothing_is_acknowledged() {
    let world = World::new().await;
    for (seq, mood) in [(1, Mood::Away), (2, Mood::Hangs)] {
        world.log.set(mood);
        let answer = world.send(&Post::seq(seq)).await;
        assert_eq!((answer.status, answer.code().as_str()), (503, "log_away"), "{mood:?}");
        assert_eq!(answer.header("retry-after"), Some("5"));
    }
    assert_eq!(world.log.batches(), []);
    world.log.set(Mood::Takes);
    assert_eq!(world.send(&Post::seq(1)).await.status, 202, "what the log did not take is no duplicate");
    assert_eq!(world.send(&Post::seq(2)).await.status, 200, "what the log took too late is one");
    world.still_serves().await;
}

#[tokio::test]
async fn a_retry_meets_the_first_try_in_the_log() {
    for (mood, same_bytes, expected) in [
        (Mood::Takes, true, (200, "duplicate")),
        (Mood::Takes, false, (409, "conflict")),
        (Mood::Away, true, (503, "log_away")),
        (Mood::Away, false, (503, "log_away")),
        // The first one's sender and the second's are told to come again.
        (Mood::Hangs, true, (503, "log_away")),
    ] {
        let world = World::with(|c| c.timing.append = Duration::from_secs(2), None).await;
        world.log.set(Mood::Hangs);
        let mut first = world.connect().await;
        first.write_all(&Post::default().request()).await.unwrap();
        world.log.waiting(1).await;
        let (second, settle) = (if same_bytes { Post::default() } else { Post::of(body("")) }, async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            world.log.set(mood);
        });
        let (answer, ()) = tokio::join!(world.send(&second), settle);
        assert_eq!((answer.status, answer.code().as_str()), expected, "{mood:?}, same bytes: {same_bytes}");
        assert_eq!(answer.header("retry-after"), (expected.0 == 503).then_some("5"));
        let first = read_answer(&mut first).await;
        assert_eq!(first.status, if mood == Mood::Takes { 202 } else { 503 });
        world.log.set(Mood::Takes);
        let again = world.send(&Post::default()).await;
        assert_eq!(again.status, if mood == Mood::Away { 202 } else { 200 }, "{mood:?}: {again:?}");
        assert_eq!(world.log.batches(), [("9f86d081884c7d65.1".into(), 1)], "{mood:?}, same bytes: {same_bytes}");
    }
}

#[tokio::test]
async fn a_sender_that_gave_up_and_comes_again_is_stored_once() {
    let world = World::with(|c| c.timing.append = Duration::from_secs(5), None).await;
    world.log.set(Mood::Hangs);
    let mut first = world.connect().await;
    first.write_all(&Post::default().request()).await.unwrap();
    world.log.waiting(1).await;
    drop(first);
    let mut second = world.connect().await;
    second.write_all(&Post::default().request()).await.unwrap();
    // The gateway has seen by then that the first one is gone.
    tokio::time::sleep(Duration::from_millis(100)).await;
    world.log.set(Mood::Takes);
    assert_eq!(read_answer(&mut second).await.status, 200);
    assert_eq!(world.log.batches(), [("9f86d081884c7d65.1".into(), 1)]);
}

#[tokio::test]
async fn the_embedded_log_has_what_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let embedded = Embedded::open(folder.path()).unwrap();
    let world = World::new().await;
    let gateway = logystera_ingest::Gateway::new(
        super::support::config(),
        embedded.log(),
        world.keys.clone(),
        std::sync::Arc::new(world.clock.clone()),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let real = World { address: listener.local_addr().unwrap(), ..world };
    let stops = real.shutdown.clone();
    let serving = tokio::spawn(async move { gateway.serve(listener, None, stops.wait()).await });
    assert_eq!(real.send(&Post::default()).await.status, 202);
    assert_eq!(real.send(&Post::default()).await.status, 200);
    real.shutdown.trigger();
    serving.await.unwrap();
    let records = embedded.log().read(Topic::Signals, 0, 0, 1 << 20).unwrap();
    let told = records.iter().map(|r| match SignalsRecord::decode(&r.value).unwrap() {
        SignalsRecord::Batch(b) => format!("batch {}", b.head.seq),
        SignalsRecord::Refused(r) => format!("refused {} {}", r.reason, r.count),
        other => format!("{other:?}"),
    });
    assert_eq!(told.collect::<Vec<_>>(), ["batch 1", "refused duplicate 1"]);
}
