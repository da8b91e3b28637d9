//! HTTP/2 and TLS by a real client, kept-alive connections, and the cap on open ones.

use std::time::Duration;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use reqwest::Version;
use tokio::io::AsyncWriteExt;

use logystera_ingest::tls::Tls;

use super::support::{Post, World, read_answer};

fn client() -> reqwest::ClientBuilder {
    // The second test to get here finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy()
}

async fn post(client: &reqwest::Client, url: &str, post: &Post) -> (u16, Version) {
    let request = client.post(url).header("content-type", post.content_type);
    let request = request.header("logystera-signature", post.signature()).body(post.body.clone());
    let response = request.send().await.unwrap();
    let (status, version) = (response.status().as_u16(), response.version());
    assert!(response.text().await.unwrap().contains("\"server_time\":"));
    (status, version)
}

#[tokio::test]
async fn http2_without_tls() {
    let world = World::new().await;
    let client = client().http2_prior_knowledge().build().unwrap();
    let url = format!("http://{}/v1/batches", world.address);
    for (seq, status) in [(1, 202), (1, 200), (2, 202)] {
        assert_eq!(post(&client, &url, &Post::seq(seq)).await, (status, Version::HTTP_2));
    }
    assert_eq!(post(&client, &url, &Post { secret: 8, ..Post::seq(3) }).await, (401, Version::HTTP_2));
    let large = Post { body: vec![b' '; (1 << 20) + 1], ..Post::seq(3) };
    assert_eq!(post(&client, &url, &large).await, (413, Version::HTTP_2));
    let requests = (10..40).map(|seq| {
        let (client, url) = (client.clone(), url.clone());
        tokio::spawn(async move { post(&client, &url, &Post::seq(seq)).await })
    });
    for request in requests.collect::<Vec<_>>() {
        assert_eq!(request.await.unwrap(), (202, Version::HTTP_2));
    }
    assert_eq!(world.log.batches().len(), 32);
}

#[tokio::test]
async fn tls_offers_both_versions() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (chain, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
    std::fs::write(&chain, cert.pem()).unwrap();
    std::fs::write(&key, signing_key.serialize_pem()).unwrap();
    let tls = Tls::from_files(&chain, &key).unwrap();
    let world = World::with(|_| {}, Some(tls)).await;
    let root = reqwest::Certificate::from_pem(cert.pem().as_bytes()).unwrap();
    let url = format!("https://localhost:{}/v1/batches", world.address.port());
    for (seq, builder, version) in [(1, client(), Version::HTTP_2), (2, client().http1_only(), Version::HTTP_11)] {
        let client = builder.tls_certs_only([root.clone()]).resolve("localhost", world.address).build().unwrap();
        assert_eq!(post(&client, &url, &Post::seq(seq)).await, (202, version));
    }
    // Who does not speak TLS gets nothing, and holds no place for long.
    let mut stream = world.connect().await;
    stream.write_all(&Post::seq(3).request()).await.unwrap();
    assert_eq!(read_answer(&mut stream).await.status, 0);
    let mut silent = world.connect().await;
    assert_eq!(read_answer(&mut silent).await.status, 0);
    assert_eq!(world.log.batches().len(), 2);
}

#[test]
fn tls_files_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (chain, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
    let error = Tls::from_files(&chain, &key).err().unwrap().to_string();
    assert!(error.contains("chain.pem"), "{error}");
    std::fs::write(&chain, "").unwrap();
    let error = Tls::from_files(&chain, &key).err().unwrap().to_string();
    assert!(error.contains("key.pem"), "{error}");
}

#[tokio::test]
async fn a_connection_carries_many_requests() {
    let world = World::new().await;
    let mut stream = world.connect().await;
    for seq in 1..20 {
        stream.write_all(&Post::seq(seq).request()).await.unwrap();
        assert_eq!(read_answer(&mut stream).await.status, 202);
    }
    // A refusal that leaves the framing sound leaves the connection open too.
    stream.write_all(&Post { secret: 8, ..Post::default() }.request()).await.unwrap();
    assert_eq!(read_answer(&mut stream).await.status, 401);
    stream.write_all(&Post::seq(20).request()).await.unwrap();
    assert_eq!(read_answer(&mut stream).await.status, 202);
}

#[tokio::test]
async fn who_comes_too_many_waits() {
    let world = World::with(|c| c.connections_max = 2, None).await;
    let (mut first, mut second) = (world.connect().await, world.connect().await);
    for (seq, stream) in [(2, &mut first), (3, &mut second)] {
        stream.write_all(&Post::seq(seq).request()).await.unwrap();
        assert_eq!(read_answer(stream).await.status, 202);
    }
    let mut third = world.connect().await;
    third.write_all(&Post::default().request()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(world.log.batches().len(), 2, "two senders hold both places");
    drop(first);
    assert_eq!(read_answer(&mut third).await.status, 202);
}

#[tokio::test]
async fn a_connection_has_an_age() {
    let world = World::with(|c| c.timing.connection_age = Duration::from_millis(300), None).await;
    let client = client().http2_prior_knowledge().build().unwrap();
    let url = format!("http://{}/v1/batches", world.address);
    assert_eq!(post(&client, &url, &Post::seq(1)).await.0, 202);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(post(&client, &url, &Post::seq(2)).await.0, 202, "a client just opens another");
}
