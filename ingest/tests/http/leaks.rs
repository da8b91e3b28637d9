//! A forbidden value is found nowhere afterwards.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use metrics_exporter_prometheus::PrometheusBuilder;

use super::support::{GOOD_SIGNAL, NOW, Post, World, body, gzip};

/// What is written here is read by the test.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_forbidden_value_is_found_nowhere() {
    let output = Output::default();
    let writer = output.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
    let _logs = tracing::subscriber::set_default(subscriber);
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    let _metrics = metrics::set_default_local_recorder(&recorder);

    // One thread: what this test's gateway logs and counts, it logs and counts here.
    let world = World::new().await;
    let user = format!(
        r#"{{"type":"user.change","at":{NOW},"action":"created","role":"editor","user_hash":"S3cretAnn Smith"}}"#
    );
    let bad = [
        GOOD_SIGNAL.replace("\"job\"", "\"password\":\"S3cret\",\"job\""),
        GOOD_SIGNAL.replace("\"job\"", "\"S3cret\":1,\"job\""),
        GOOD_SIGNAL.replace("\"job\"", "\"x\":{\"y\":[\"S3cret\"]},\"job\""),
        GOOD_SIGNAL.replace("wp_version_check", "a S3cret"),
        GOOD_SIGNAL.replace("\"ok\"", "\"S3cret\""),
        GOOD_SIGNAL.replace("cron.run", "S3cret"),
        user,
        "\"S3cret\"".to_owned(),
    ];
    let mixed = body(&(bad.join(",") + "," + GOOD_SIGNAL));
    let mut posts = vec![
        Post::of(mixed.clone()),
        Post { encoding: Some("gzip"), ..Post { body: gzip(&mixed), ..Post::seq(2) } },
        Post { body: body(&bad.join(",")), ..Post::seq(3) },
        Post { body: body(&bad.join(",")).into_iter().chain(*b" S3cret").collect(), ..Post::seq(4) },
        Post { body: body("").into_iter().chain(*b"\"S3cret\"").collect(), ..Post::seq(5) },
        Post { body: br#"{"S3cret":1,"through":"S3cret"}"#.to_vec(), ..Post::seq(6) },
        Post { body: br#"{"integration":{"platform":"S3cret"}}"#.to_vec(), ..Post::seq(7) },
        Post { body: br#"{"x":{"S3cret":1,"S3cret":2}}"#.to_vec(), ..Post::seq(8) },
        Post { content_type: "application/S3cret", ..Post::seq(9) },
        Post { encoding: Some("S3cret"), ..Post::seq(10) },
    ];
    posts.push(Post { secret: 8, ..Post::of(mixed) });
    let mut told = String::new();
    for post in &posts {
        let answer = world.send(post).await;
        told = format!("{told}{} {}\n{}\n", answer.status, answer.head, answer.body);
    }
    assert!(told.contains("password"), "the name of a field may be told");
    let request = String::from_utf8_lossy(&Post::default().request()).replace("site_7qd", "S3cret");
    let answer = world.raw(request.as_bytes()).await;
    told = format!("{told}{answer:?}");
    world.gateway.flush_refused().await;

    assert_eq!(world.log.batches(), [("9f86d081884c7d65.1".into(), 1), ("9f86d081884c7d65.2".into(), 1)]);
    let logged = String::from_utf8_lossy(&output.0.lock().unwrap()).into_owned();
    let rendered = metrics.render();
    assert!(rendered.contains("logystera_gateway_signals_total{outcome=\"field_not_allowed\"} 9"), "{rendered}");
    let places = [("answers", told.as_bytes()), ("output", logged.as_bytes()), ("metrics", rendered.as_bytes())];
    let entries: Vec<u8> = world.log.entries().into_iter().flat_map(|e| [e.key, e.value].concat()).collect();
    for (place, bytes) in places.into_iter().chain([("log", &entries[..])]) {
        assert!(!bytes.is_empty() || place == "output");
        let found = String::from_utf8_lossy(bytes).to_lowercase().contains("s3cret");
        assert!(!found, "{place}: {}", String::from_utf8_lossy(bytes));
        let hex = String::from_utf8_lossy(bytes).contains("533363726574");
        assert!(!hex, "{place}");
    }
}
