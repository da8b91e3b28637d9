//! Crowds of connections that do nothing, real ones, and a sender beside them.

use std::net::Ipv4Addr;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use logystera_infra::clock::Stopwatch;
use logystera_infra::shutdown::Shutdown;
use logystera_ingest::serve_few;
use logystera_schemas::limits::ADMIN_CONNECTIONS_MAX;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::support::{Mood, Post, World, patiently};

/// How an HTTP/2 connection begins: the preface and empty settings.
const H2_START: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
/// A ping.
const H2_PING: &[u8] = b"\x00\x00\x08\x06\x00\x00\x00\x00\x00logyster";

/// A connection from an address of this machine's own network.
async fn connect_from(world: &World, from: Ipv4Addr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    socket.connect(world.address).await.unwrap()
}

/// Waits until the gateway ends the connection.
async fn ended(stream: &mut TcpStream) {
    let mut piece = [0; 1024];
    patiently(async { while matches!(stream.read(&mut piece).await, Ok(n) if n > 0) {} }).await;
}

/// Five thousand idle connections of HTTP/2 from one address, or as many as this machine allows two ends each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_from_one_place_keeps_nobody_out() {
    let world = World::with(|c| c.timing.header_read = Duration::from_mins(1), None).await;
    let count = 5_000.min(logystera_infra::handles::raise().now.saturating_sub(500) / 2);
    let mut crowd = Vec::with_capacity(count);
    for _ in 0..count {
        let mut stream = connect_from(&world, Ipv4Addr::new(127, 0, 0, 2)).await;
        let _ = stream.write_all(H2_START).await;
        crowd.push(stream);
    }
    let watch = Stopwatch::start();
    assert_eq!(world.send(&Post::default()).await.status, 202);
    assert!(watch.elapsed() < Duration::from_secs(2), "{:?}", watch.elapsed());
    world.gateway.tick().await;
    assert_eq!(world.log.entries().len(), 2, "whoever is a crowd does not stop the clock");
}

#[tokio::test]
async fn while_the_door_is_too_small_the_clock_stands_still() {
    let world = World::with(|c| c.connections_max = 32, None).await;
    let mut crowd = Vec::new();
    for n in 0..40 {
        let mut stream = connect_from(&world, Ipv4Addr::new(127, 0, 1, n + 1)).await;
        stream.write_all(H2_START).await.unwrap();
        crowd.push(stream);
    }
    ended(&mut crowd[0]).await;
    assert_eq!(world.send(&Post::default()).await.status, 202);
    world.gateway.tick().await;
    assert_eq!(world.log.entries().len(), 1, "somebody who may be honest had to leave");
    world.gateway.tick().await;
    assert_eq!(world.log.entries().len(), 2, "and nobody since");
}

#[tokio::test]
async fn while_every_place_is_a_senders_the_clock_stands_still_and_who_comes_waits() {
    let world = World::with(|c| c.connections_max = 2, None).await;
    let mut senders = [world.connect().await, world.connect().await];
    for (seq, stream) in (1..).zip(&mut senders) {
        stream.write_all(&Post::seq(seq).request()).await.unwrap();
        assert_eq!(super::support::read_answer(stream).await.status, 202);
    }
    let _waits = world.connect().await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    world.gateway.tick().await;
    assert_eq!(world.log.entries().len(), 2);
    drop(senders);
    tokio::time::sleep(Duration::from_millis(50)).await;
    world.gateway.tick().await;
    assert_eq!(world.log.entries().len(), 3);
}

#[tokio::test]
async fn an_idle_connection_of_http2_ends_as_one_of_http1_does() {
    let world = World::new().await;
    let mut idle = world.connect().await;
    idle.write_all(H2_START).await.unwrap();
    let (mut read, mut write) = world.connect().await.into_split();
    write.write_all(H2_START).await.unwrap();
    let pinging = tokio::spawn(async move {
        while write.write_all(H2_PING).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    ended(&mut idle).await;
    let mut piece = [0; 1024];
    patiently(async { while matches!(read.read(&mut piece).await, Ok(n) if n > 0) {} }).await;
    pinging.abort();
}

#[tokio::test]
async fn a_request_that_takes_long_keeps_its_connection() {
    let world = World::with(|c| c.timing.append = Duration::from_secs(3), None).await;
    world.log.set(Mood::Hangs);
    let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    let post = Post::default();
    let request = client.post(format!("http://{}/v1/batches", world.address)).header("content-type", post.content_type);
    let request = request.header("logystera-signature", post.signature()).body(post.body.clone());
    let settle = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        world.log.set(Mood::Takes);
    };
    let (answer, ()) = tokio::join!(request.send(), settle);
    assert_eq!(answer.unwrap().status().as_u16(), 202);
}

/// The operators' ports of a cluster's roles, and the demo's receiver.
#[tokio::test]
async fn what_few_people_use_holds_few_connections_however_many_come() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, shutdown) = (listener.local_addr().unwrap(), Shutdown::new());
    let until = shutdown.clone();
    let router = Router::new().route("/", get(|| async { "here" }));
    let served = tokio::spawn(async move { serve_few("test", listener, router, until.wait()).await });
    let mut crowd = Vec::new();
    for _ in 0..3 * ADMIN_CONNECTIONS_MAX {
        crowd.push(TcpStream::connect(address).await.unwrap());
    }
    let watch = Stopwatch::start();
    for stream in &mut crowd[..2 * ADMIN_CONNECTIONS_MAX] {
        ended(stream).await;
    }
    // Those that idle end anyway, but much later.
    assert!(watch.elapsed() < Duration::from_secs(5), "{:?}", watch.elapsed());
    let mut asking = TcpStream::connect(address).await.unwrap();
    asking.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    patiently(asking.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("here"), "{answer}");
    shutdown.trigger();
    patiently(served).await.unwrap();
}
