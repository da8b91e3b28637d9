//! The roles as processes on a real Apache Kafka: a site is added, a batch is sent, an alert arrives; a processor dies and
//! another goes on where it was.
//!
//! `tests/run services` starts the broker; see `cluster.rs`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use logystera_infra::clock::{Clock, SystemClock};
use logystera_infra::kafka::{Kafka, KafkaConfig};
use logystera_infra::log::Log;
use logystera_infra::secrets::random_bytes;
use logystera_schemas::detection::Detection;
use logystera_schemas::limits::READ_BYTES_MAX;
use logystera_schemas::topic::{DetectionsRecord, Topic};
use logystera_system::process::{PATIENCE, free_port, wait_for};
use logystera_system::receiver::{Delivery, Receiver};
use logystera_system::wire;

/// A process of a role, killed when it is dropped.
struct Role(Child);

impl Role {
    fn start(role: &str, instance: &str, dir: &Path) -> Self {
        let log = File::create(dir.join(format!("{role}-{instance}.log"))).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_logystera"))
            .args([role, "--instance", instance, "--config"])
            .arg(dir.join("logystera.toml"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        Self(child.unwrap())
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        // kill -9: nothing may rest on an orderly end.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn ok(dir: &Path, args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_logystera")).args(args).current_dir(dir).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{args:?}: {}\n{}{}", output.status, text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn detections(kafka: &Kafka) -> Vec<Detection> {
    let log = kafka.log().unwrap();
    let (mut found, mut next) = (Vec::new(), 0);
    loop {
        let records = log.read(Topic::Detections, 0, next, READ_BYTES_MAX).unwrap();
        let Some(last) = records.last() else { return found };
        next = last.offset + 1;
        for record in records {
            if let DetectionsRecord::Detection(detection) = DetectionsRecord::decode(&record.value).unwrap() {
                found.push(*detection);
            }
        }
    }
}

/// Failed mails, and then failed sign-ins from one address, which end now.
fn signals(now_ms: i64, signal: &str, times: i64) -> String {
    let mut lines = String::new();
    for i in 0..times {
        let at = now_ms - 1_000 * (times - i);
        writeln!(lines, "{{\"at\":{at},{signal}}}").unwrap();
    }
    lines
}

#[expect(clippy::disallowed_methods, reason = "a test is told where its broker is by the script that started it")]
#[test]
fn an_alert_goes_all_the_way_and_a_dead_processor_is_replaced() {
    let Ok(brokers) = std::env::var("LOGYSTERA_TEST_KAFKA") else {
        assert!(std::env::var_os("CI").is_none(), "LOGYSTERA_TEST_KAFKA names no broker: `tests/run services`");
        return println!("not tested: LOGYSTERA_TEST_KAFKA names no broker");
    };
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let prefix = format!("roles-{:08x}-", u32::from_be_bytes(random_bytes()));
    let (port, admin_port) = (free_port(), free_port());
    let settings = format!(
        "audience = \"test\"\npublic-url = \"http://127.0.0.1:{port}\"\nsecrets = \"{}\"\n\
         listen = \"127.0.0.1:{port}\"\nadmin-listen = \"127.0.0.1:{admin_port}\"\nallow-private-addresses = true\n\
         [kafka]\nbrokers = \"{brokers}\"\nprefix = \"{prefix}\"\nsignals-partitions = 4\ndetections-partitions = 1\n\
         changelog-partitions = 4\nreplication = 1\n",
        dir.join("secrets").display(),
    );
    std::fs::write(dir.join("logystera.toml"), settings).unwrap();
    ok(dir, &["gateway", "--check-config", "--config", "logystera.toml"]);

    let gateway = Role::start("gateway", "g1", dir);
    wait_for("the gateway is ready", PATIENCE, || wire::get(admin_port, "/health/ready").filter(|a| a.status == 200));
    ok(dir, &["site", "add", "shop", "--config", "logystera.toml", "--dsn-file", "dsn"]);
    let receiver = Receiver::start(Duration::ZERO);
    let url = format!("http://127.0.0.1:{}/alerts", receiver.port);
    ok(dir, &["channel", "add", "webhook", &url, "--config", "logystera.toml"]);

    let first = Role::start("processor", "p1", dir);
    let _alerter = Role::start("alerter", "a1", dir);
    let send = |name: &str, lines: String| {
        std::fs::write(dir.join(name), lines).unwrap();
        ok(dir, &["send", name, "--dsn-file", "dsn", "--spool", "spool"]);
    };
    let clock = SystemClock::new();
    send("mails.ndjson", signals(clock.wall_ms(), "\"type\":\"mail.outcome\",\"outcome\":\"failed\"", 6));
    let heard = |rule: &str| {
        let body = |d: &Delivery| d.body.to_string().contains(rule);
        receiver.deliveries().iter().any(body).then_some(())
    };
    wait_for("the alert of the failed mails", PATIENCE, || heard("mail-delivery-failing"));

    drop(first);
    let _second = Role::start("processor", "p2", dir);
    let source = "ab".repeat(16);
    let attempt =
        format!("\"type\":\"auth.attempt\",\"outcome\":\"failure\",\"method\":\"form\",\"source\":\"{source}\"");
    send("attempts.ndjson", signals(clock.wall_ms(), &attempt, 25));
    wait_for("the alert of the failed sign-ins", PATIENCE, || heard("login-brute-force"));
    drop(gateway);

    let kafka = Kafka::new(KafkaConfig { prefix, detections_partitions: 1, ..KafkaConfig::new(&brokers) });
    let found = detections(&kafka);
    let seqs: Vec<u64> = found.iter().map(|d| d.seq).collect();
    assert_eq!(seqs, (1..=found.len() as u64).collect::<Vec<_>>(), "no gap, nothing twice");
    let mut chain = Detection::genesis(&found[0].site);
    for detection in &found {
        assert_eq!(detection.link(&chain), detection.chain, "the chain holds at {}", detection.seq);
        chain = detection.chain;
    }
}
