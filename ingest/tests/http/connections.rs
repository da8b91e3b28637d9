//! HTTP/2 and TLS by a real client, kept-alive connections, and the cap on open ones.

use std::time::Duration;

use rcgen::{CertificateParams, CertifiedKey, KeyPair, generate_simple_self_signed};
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

/// A certificate for `localhost` that is valid until this year, with its key, both PEM.
fn pair(until: i32) -> (String, String) {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

#[test]
fn tls_files_that_cannot_be_used_are_named_with_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let (chain, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
    let ((good, good_key), (_, other_key)) = (pair(2999), pair(2999));
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let legacy = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    for (in_chain, in_key, says) in [
        (None, None, "chain.pem: No such file"),
        (Some(&*good), None, "key.pem: No such file"),
        (
            Some(&good_key),
            Some(&*good),
            "chain.pem: it holds a private key and no certificate: are the two files swapped?",
        ),
        (Some(&good), Some(&good), "key.pem: it holds a certificate and no private key: are the two files swapped?"),
        (
            Some(&good),
            Some(encrypted),
            "key.pem: the private key is encrypted, and nobody is asked for its passphrase: openssl",
        ),
        (Some(&good), Some(legacy), "key.pem: the private key is encrypted"),
        (Some(""), Some(&good_key), "chain.pem: it is empty; expected a certificate in PEM"),
        (Some("\u{30}\u{5}"), Some(&good_key), "chain.pem: it is DER; expected PEM: openssl x509 -inform der"),
        (Some("hello"), Some(&good_key), "chain.pem: it is no PEM file"),
        (Some(&good), Some(&other_key), "chain.pem: name the key that the certificate was made with"),
    ] {
        for (path, text) in [(&chain, in_chain), (&key, in_key)] {
            match text {
                Some(text) => std::fs::write(path, text).unwrap(),
                None => drop(std::fs::remove_file(path)),
            }
        }
        let error = Tls::from_files(&chain, &key).err().unwrap().to_string();
        assert!(error.contains(says), "expected {says:?}: {error}");
    }
    for (until, fault) in [(2999, None), (2021, Some("chain.pem ended on 2021-01-01 00:00 UTC: senders refuse it"))] {
        let (certificate, secret) = pair(until);
        std::fs::write(&chain, certificate).unwrap();
        std::fs::write(&key, secret).unwrap();
        let tls = Tls::from_files(&chain, &key).unwrap();
        assert_eq!(
            tls.fault().map(|f| fault.is_some_and(|says| f.ends_with(says))),
            fault.map(|_| true),
            "{:?}",
            tls.fault()
        );
    }
}

#[tokio::test]
async fn a_certificate_is_replaced_while_it_serves() {
    let folder = tempfile::tempdir().unwrap();
    let (chain, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
    let read = |(certificate, secret): &(String, String)| {
        std::fs::write(&chain, certificate).unwrap();
        std::fs::write(&key, secret).unwrap();
        Tls::from_files(&chain, &key).unwrap()
    };
    let (before, after) = (pair(2998), pair(2999));
    let tls = read(&before);
    let world = World::with(|_| {}, Some(tls.clone())).await;
    let url = format!("https://localhost:{}/v1/batches", world.address.port());
    let trusting = |pair: &(String, String)| {
        let root = reqwest::Certificate::from_pem(pair.0.as_bytes()).unwrap();
        client().tls_certs_only([root]).resolve("localhost", world.address).build().unwrap()
    };
    let open = trusting(&before);
    assert_eq!(post(&open, &url, &Post::seq(1)).await.0, 202);
    tls.replace_by(&read(&after));
    assert_eq!(post(&trusting(&after), &url, &Post::seq(2)).await.0, 202);
    assert!(trusting(&before).post(&url).send().await.is_err(), "the old one is shown no more");
    assert_eq!(post(&open, &url, &Post::seq(3)).await.0, 202, "what was open goes on");
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
