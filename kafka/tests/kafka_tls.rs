//! The log on a real Apache Kafka over TLS with SCRAM, and what is said where the two sides do not take each other.
//!
//! `tests/run services` starts the broker. Without one nothing is tested, and CI fails.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::collections::BTreeMap;
use std::time::Duration;

use logystera_infra::clock::Stopwatch;
use logystera_infra::log::{Commit, Entry, Log, LogError, Task};
use logystera_infra::secrets::random_bytes;
use logystera_kafka::{Kafka, KafkaConfig, Properties};
use logystera_schemas::topic::Topic;
use logystera_system::process::{PATIENCE, wait_for};
use logystera_system::services;

/// How long an error may take: less than an operation that waits for an answer.
const BOUND: Duration = Duration::from_secs(10);

/// Topics of its own at `brokers`, with these settings in place of or besides the listener's; none leaves one out.
fn on(tls: &services::TlsListener, brokers: &str, other: &[(&str, Option<&str>)]) -> Kafka {
    let mut properties: BTreeMap<_, _> = tls.properties().map(|(name, value)| (name.to_owned(), value)).into();
    for (name, value) in other {
        match value {
            Some(value) => drop(properties.insert((*name).to_owned(), (*value).to_owned())),
            None => drop(properties.remove(*name)),
        }
    }
    Kafka::new(KafkaConfig {
        prefix: format!("tls-{:08x}-", u32::from_be_bytes(random_bytes())),
        signals_partitions: 1,
        detections_partitions: 1,
        changelog_partitions: 2,
        properties: Properties::new(properties).unwrap(),
        ..KafkaConfig::new(brokers)
    })
}

fn entry(topic: Topic, value: &str) -> Entry {
    Entry { topic, partition: 0, key: b"key".to_vec(), value: value.as_bytes().to_vec() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_read_back() {
    let Some(tls) = services::kafka_tls() else { return };
    let pem = std::fs::read_to_string(&tls.ca).unwrap();
    let other = [("sasl.mechanism", Some("SCRAM-SHA-256")), ("ssl.ca.location", None), ("ssl.ca.pem", Some(&*pem))];
    for other in [&[], &other[..]] {
        let kafka = on(&tls, &tls.brokers, other);
        tokio::task::block_in_place(|| kafka.create_topics(&["engine"])).unwrap();
        let log = kafka.log().unwrap();
        log.append(vec![entry(Topic::Signals, "in")]).await.unwrap();
        tokio::task::block_in_place(|| {
            let mut task = kafka.task("engine", Topic::Signals, 0).unwrap();
            let read = task.read(BOUND).unwrap();
            assert_eq!(read.iter().map(|record| record.value.as_slice()).collect::<Vec<_>>(), [b"in"]);
            let puts = vec![(b"state".to_vec(), Some(b"1".to_vec()))];
            let position = read[0].offset + 1;
            task.commit(Commit { outputs: vec![entry(Topic::Detections, "out")], puts, position, ..Commit::default() })
                .unwrap();
            // A commit holds before it can be read.
            let out = wait_for("what was committed", PATIENCE, || {
                log.read(Topic::Detections, 0, 0, 1 << 20).unwrap().into_iter().next()
            });
            assert_eq!(out.value, b"out");
            // Who comes next finds it too, and has fenced this one.
            assert_eq!(kafka.task("engine", Topic::Signals, 0).unwrap().position(), position);
            assert!(matches!(task.commit(Commit::default()), Err(LogError::Fenced)));
        });
    }
}

/// Whatever is asked of `kafka` first says `reason`, and soon.
fn is_told(kafka: &Kafka, reason: &str) {
    let told = |what: &str, asked: &dyn Fn() -> Result<(), LogError>| {
        let stopwatch = Stopwatch::start();
        let error = asked().unwrap_err();
        assert!(stopwatch.elapsed() < BOUND, "{what} took {:?}: {error}", stopwatch.elapsed());
        assert!(matches!(error, LogError::Away(_)), "it may be mended while we wait: {error:?}");
        assert!(error.to_string().contains(reason), "{what}: {error}");
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{what}: {error}");
    };
    told("topics", &|| kafka.create_topics(&["engine"]));
    told("log", &|| kafka.log().map(drop));
}

#[test]
fn who_is_not_let_in_is_told_why() {
    let Some(tls) = services::kafka_tls() else { return };
    let secured = |other: &[(&str, Option<&str>)]| on(&tls, &tls.brokers, other);
    let refused = "authentication failed: ";
    is_told(&secured(&[("sasl.password", Some("s3cret"))]), refused);
    is_told(&secured(&[("sasl.username", Some("s3cret"))]), refused);
    // The system's authorities do not know ours.
    is_told(&secured(&[("ssl.ca.location", None)]), "certificate verify failed");
    let plain = services::kafka().unwrap();
    is_told(&on(&tls, &plain, &[]), "no TLS with the brokers: ");
}

#[test]
fn brokers_that_are_away_are_not_mistaken_for_ones_that_refuse() {
    let Some(tls) = services::kafka_tls() else { return };
    // Nobody listens at port 1. The log waits for who asks it something.
    assert!(on(&tls, "127.0.0.1:1", &[]).log().is_ok());
}

#[test]
fn what_waiting_does_not_mend_is_no_outage() {
    let Some(tls) = services::kafka_tls() else { return };
    for (name, value) in [
        ("ssl.ca.location", "/nowhere/ca.pem"),
        ("ssl.key.pem", "-----BEGIN PRIVATE KEY-----\ns3cret\n-----END PRIVATE KEY-----"),
        ("ssl.certificate.pem", "s3cret"),
    ] {
        let error = on(&tls, &tls.brokers, &[(name, Some(value))]).log().unwrap_err();
        assert!(matches!(error, LogError::Unusable(_)), "{error:?}");
        assert!(error.to_string().contains(name) && !error.to_string().contains("s3cret"), "{error}");
    }
}
