//! Health, metrics, ticks, and the end.

use std::sync::Arc;
use std::time::Duration;

use logystera_infra::clock::ManualClock;
use logystera_infra::shutdown::Shutdown;
use logystera_ingest::{Gateway, MemoryKeys, SiteEntry};
use logystera_schemas::ids::KeyGroup;
use logystera_schemas::topic::SignalsRecord;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use super::support::{Answer, FakeLog, Mood, NOW, Post, World, patiently, read_answer};

pub(crate) async fn get(address: std::net::SocketAddr, path: &str) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
    read_answer(&mut stream).await
}

#[tokio::test]
async fn health_is_on_both_listeners_and_metrics_on_one() {
    let world = World::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let admin = listener.local_addr().unwrap();
    let (gateway, stops) = (world.gateway.clone(), world.shutdown.clone());
    let render: logystera_ingest::Render = Arc::new(|| "up 1\n".to_owned());
    let serving = tokio::spawn(async move { gateway.serve_admin(listener, render, stops.wait()).await });

    for address in [world.address, admin] {
        let (live, ready) = (get(address, "/health/live").await.text(), get(address, "/health/ready").await.text());
        assert_eq!(live, r#"200 {"status":"live","server_time":1767225600000}"#);
        assert_eq!(ready, r#"200 {"status":"ready","server_time":1767225600000}"#);
    }
    assert_eq!(get(world.address, "/metrics").await.status, 404);
    let metrics = get(admin, "/metrics").await;
    assert_eq!((metrics.status, metrics.body.as_str()), (200, "up 1\n"));
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let mut stream = TcpStream::connect(admin).await.unwrap();
    stream.write_all(&Post::default().request()).await.unwrap();
    assert_eq!(read_answer(&mut stream).await.status, 404, "no batches by the admin's door");

    world.log.set(Mood::Away);
    world.gateway.tick().await;
    let away = get(admin, "/health/ready").await.text();
    assert_eq!(away, r#"503 {"status":"log_away","server_time":1767225600000}"#);
    assert_eq!(get(admin, "/health/live").await.status, 200);
    world.log.set(Mood::Takes);
    world.gateway.tick().await;
    assert_eq!(get(admin, "/health/ready").await.status, 200);

    // Keys that were revoked since may be served: another gateway is better.
    world.keys.set_stale(true);
    let stale = get(admin, "/health/ready").await.text();
    assert_eq!(stale, r#"503 {"status":"control_stale","server_time":1767225600000}"#);
    world.keys.set_stale(false);
    assert_eq!(get(admin, "/health/ready").await.status, 200);
    world.shutdown.trigger();
    serving.await.unwrap();
}

#[tokio::test]
async fn each_partition_has_its_tick() {
    let world = World::of_partitions(3).await;
    world.gateway.tick().await;
    world.clock.pass(1_000);
    world.gateway.tick().await;
    let ticks: Vec<_> = world
        .log
        .entries()
        .iter()
        .map(|e| match SignalsRecord::decode(&e.value).unwrap() {
            SignalsRecord::Tick(t) => (e.partition, t.partition, e.key.len(), t.at.0 - super::support::NOW),
            other => unreachable!("{other:?}"),
        })
        .collect();
    assert_eq!(ticks, [(0, 0, 0, 0), (1, 1, 0, 0), (2, 2, 0, 0), (0, 0, 0, 1_000), (1, 1, 0, 1_000), (2, 2, 0, 1_000)]);
}

#[tokio::test]
async fn a_clock_behind_the_logs_takes_no_batch_until_the_logs_time_is_set_back() {
    let world = World::new().await;
    world.gateway.tick().await;
    world.clock.set_wall(NOW - 7_200_000);
    let ready = get(world.address, "/health/ready").await.text();
    assert_eq!(
        ready,
        r#"503 {"status":"clock_differs","clock_ms":1767218400000,"log_ms":1767225600000,"skew_ms":-7200000,"server_time":1767225600000}"#
    );
    assert_eq!(get(world.address, "/health/live").await.status, 200);
    let answer = world.send(&Post::default()).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "clock_differs"));
    assert!(answer.body.contains("\"server_time\":1767225600000"), "no sender is told the wrong time: {answer:?}");
    assert_eq!(answer.header("retry-after"), Some("5"));
    for _ in 0..60 {
        assert_eq!(get(world.address, "/health/ready").await.status, 503);
        world.gateway.tick().await;
        world.clock.pass(1_000);
    }
    let now = Post { ts: (NOW - 7_200_000) / 1_000 + 60, ..Post::default() };
    assert_eq!(get(world.address, "/health/ready").await.status, 200);
    assert_eq!(world.send(&now).await.status, 202);
    assert_eq!(world.log.entries().len(), 62, "its ticks went on");
}

#[tokio::test]
async fn a_partition_that_takes_no_tick_holds_up_no_other_and_does_not_shut_the_gateway() {
    let log = FakeLog::new(3);
    let keys: Arc<MemoryKeys> = Arc::default();
    let mut config = super::support::config();
    (config.timing.tick, config.timing.append) = (Duration::from_millis(10), Duration::from_secs(10));
    let gateway = Gateway::new(config, log.clone(), keys, Arc::new(ManualClock::at(super::support::NOW)));
    log.set(Mood::HangsAt(0));
    let stops = Shutdown::new();
    let timers = tokio::spawn({
        let (gateway, stops) = (gateway.clone(), stops.clone());
        async move { gateway.run_timers(stops.wait()).await }
    });
    let ticks = |partition| log.entries().iter().filter(|entry| entry.partition == partition).count();
    patiently(async {
        while ticks(1) < 5 || ticks(2) < 5 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(ticks(0), 0, "it has no leader");
    log.set(Mood::Takes);
    patiently(async {
        while ticks(0) < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    stops.trigger();
    timers.await.unwrap();
}

/// As many that the two sites are in different ones.
const PARTITIONS: u32 = 16;

/// What is refused, and batches, of other partitions go on; and the gateway stays in the load balancer for them.
#[tokio::test]
async fn a_partition_without_a_leader_holds_up_nobody_elses_records() {
    let partition_of = |site: &str| KeyGroup::of(site).partition(PARTITIONS);
    let (away, there) = (partition_of("site_7qd"), partition_of("other"));
    assert_ne!(away, there);
    let world = World::of_partitions(PARTITIONS).await;
    for site in ["site_7qd", "other"] {
        assert_eq!(world.send(&Post { site, secret: 8, ..Post::default() }).await.status, 401);
    }
    world.log.set(Mood::HangsAt(away));
    assert_eq!(world.send(&Post::default()).await.code(), "log_away");
    assert_eq!(get(world.address, "/health/ready").await.status, 200, "others' partitions take theirs");
    let own = Post { site: "other", key: "k1", secret: 9, ..Post::default() };
    assert_eq!(world.send(&own).await.status, 202);
    world.gateway.flush_refused().await;
    assert_eq!(world.log.refused(), ["other - key_unknown 1 false"]);
    world.log.set(Mood::Takes);
    world.gateway.flush_refused().await;
    assert!(world.log.refused().contains(&"site_7qd - signature_wrong 1 false".to_owned()), "kept until then");
}

/// Ticks go on while refusals wait for a partition.
#[tokio::test]
async fn the_clock_does_not_wait_for_refusals() {
    let log = FakeLog::new(3);
    let keys: Arc<MemoryKeys> = Arc::default();
    let site = "site_7qd".parse().unwrap();
    keys.put_site(&site, SiteEntry { tenant: "acme".parse().unwrap(), closed: false });
    let mut config = super::support::config();
    (config.timing.tick, config.timing.append) = (Duration::from_millis(5), Duration::from_secs(10));
    let gateway = Gateway::new(config, log.clone(), keys, Arc::new(ManualClock::at(NOW)));
    let stops = Shutdown::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn({
        let (gateway, stops) = (gateway.clone(), stops.clone());
        async move { tokio::join!(gateway.serve(listener, None, stops.wait()), gateway.run_timers(stops.wait())) }
    });
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&Post { key: "k9", ..Post::default() }.request()).await.unwrap();
    assert_eq!(read_answer(&mut stream).await.status, 401);
    log.set(Mood::HangsAt(KeyGroup::of("site_7qd").partition(3)));
    patiently(async {
        while log.entries().len() < 2 * 100 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    log.set(Mood::Takes);
    stops.trigger();
    patiently(serving).await.unwrap();
    assert_eq!(log.refused(), ["site_7qd - key_unknown 1 false"]);
}

#[tokio::test]
async fn refusals_come_once_in_sixty_ticks() {
    let world = World::with(|c| c.timing.tick = Duration::from_millis(5), None).await;
    assert_eq!(world.send(&Post { secret: 8, ..Post::default() }).await.status, 401);
    let (gateway, stops) = (world.gateway.clone(), world.shutdown.clone());
    let timers = tokio::spawn(async move { gateway.run_timers(stops.wait()).await });
    patiently(async {
        while world.log.refused().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    world.shutdown.trigger();
    patiently(timers).await.unwrap();
    let entries = world.log.entries();
    let refused = entries.iter().position(|e| !e.key.is_empty());
    assert!(matches!(refused, Some(60 | 61)), "a minute's ticks stand before it: {refused:?}");
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(world.log.entries().len(), entries.len(), "it has stopped");
}

#[tokio::test]
async fn stopping_loses_no_batch_and_takes_no_new_one() {
    let world = World::new().await;
    let mut idle = world.connect().await;
    idle.write_all(&Post::seq(1).request()).await.unwrap();
    assert_eq!(read_answer(&mut idle).await.status, 202);
    assert_eq!(world.send(&Post { secret: 8, ..Post::default() }).await.status, 401);

    world.log.set(Mood::Hangs);
    let mut in_flight = world.connect().await;
    in_flight.write_all(&Post::seq(2).request()).await.unwrap();
    world.log.waiting(1).await;
    // A second request stands behind the one that is in flight, on the same connection.
    in_flight.write_all(&Post::seq(3).request()).await.unwrap();
    // And one is in the middle of its headers.
    let request = Post::seq(4).request();
    let mut half = world.connect().await;
    half.write_all(&request[..50]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    world.shutdown.trigger();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!world.serving.is_finished(), "it waits for what is in flight");
    assert!(TcpStream::connect(world.address).await.is_err(), "nobody new is let in");
    let _ = half.write_all(&request[50..]).await;
    let answer = read_answer(&mut half).await;
    assert!(answer.status == 0 || answer.code() == "shutting_down", "{answer:?}");

    world.log.set(Mood::Takes);
    assert_eq!(read_answer(&mut in_flight).await.status, 202);
    assert_eq!(read_answer(&mut in_flight).await.status, 0);
    patiently(world.serving).await.unwrap();
    assert_eq!(world.log.batches(), [("9f86d081884c7d65.1".into(), 1), ("9f86d081884c7d65.2".into(), 1)]);
    assert_eq!(world.log.refused(), ["site_7qd - signature_wrong 1 false"]);
}

#[tokio::test]
async fn stopping_does_not_wait_for_ever() {
    let world = World::with(
        |c| {
            c.timing.append = Duration::from_hours(1);
            c.timing.shutdown = Duration::from_millis(200);
        },
        None,
    )
    .await;
    world.log.set(Mood::Hangs);
    let mut stuck = world.connect().await;
    stuck.write_all(&Post::default().request()).await.unwrap();
    world.log.waiting(1).await;
    world.shutdown.trigger();
    patiently(world.serving).await.unwrap();
    assert_eq!(read_answer(&mut stuck).await.status, 0, "it was not acknowledged");
}
