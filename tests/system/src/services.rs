//! The real servers that `tests/run services` starts.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The broker to test against. None where nobody named one: the test has nothing to say then, except in CI, where it fails.
pub fn kafka() -> Option<String> {
    named("LOGYSTERA_TEST_KAFKA")
}

/// The CQL server to test against; as [`kafka`].
pub fn cql() -> Option<String> {
    named("LOGYSTERA_TEST_CQL")
}

/// The broker as its script serves it; as [`kafka`].
pub fn kafka_server() -> Option<Server> {
    Some(Server { script: "kafka", address: kafka()?, folder: named("LOGYSTERA_TEST_KAFKA_DIR")? })
}

/// The CQL server as its script serves it; as [`kafka`].
pub fn cql_server() -> Option<Server> {
    Some(Server { script: "cassandra", address: cql()?, folder: named("LOGYSTERA_TEST_CASSANDRA_DIR")? })
}

/// The broker's listener that takes TLS with SCRAM. None as of [`kafka`], and where the script started it without.
pub fn kafka_tls() -> Option<TlsListener> {
    let (address, folder) = (kafka()?, named("LOGYSTERA_TEST_KAFKA_DIR")?);
    let (host, port) = address.rsplit_once(':')?;
    let ca = Path::new(&folder).join("tls/ca.pem");
    if !ca.exists() {
        assert!(!in_ci(), "{folder} has no tls: start it with KAFKA_TLS=1");
        println!("not tested: {folder} has no tls; `tests/run services` starts it with KAFKA_TLS=1");
        return None;
    }
    let port: u16 = port.parse().expect("a port");
    Some(TlsListener { brokers: format!("{host}:{}", port + 2), ca })
}

/// Where the broker takes TLS with SCRAM, from user `tests` with password `tests-only`.
#[derive(Clone, Debug)]
pub struct TlsListener {
    /// Its address.
    pub brokers: String,
    /// Certificate of the authority that it is to be believed.
    pub ca: PathBuf,
}

impl TlsListener {
    /// librdkafka's settings for it.
    pub fn properties(&self) -> [(&'static str, String); 5] {
        [
            ("security.protocol", "sasl_ssl".to_owned()),
            ("ssl.ca.location", self.ca.display().to_string()),
            ("sasl.mechanism", "SCRAM-SHA-512".to_owned()),
            ("sasl.username", "tests".to_owned()),
            ("sasl.password", "tests-only".to_owned()),
        ]
    }
}

/// A server that a test may disturb.
#[derive(Clone, Debug)]
pub struct Server {
    script: &'static str,
    address: String,
    /// The instance's folder.
    folder: String,
}

impl Server {
    /// `kill -9`; then it is started again at the same address, and serves.
    pub fn kill_and_start(&self) {
        self.run("kill");
        self.run("start");
    }

    /// SIGSTOP: it takes connections and answers nothing.
    pub fn pause(&self) {
        self.run("pause");
    }

    /// SIGCONT.
    pub fn go_on(&self) {
        self.run("continue");
    }

    fn run(&self, command: &str) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../services").join(self.script);
        let port = self.address.rsplit(':').next().unwrap_or_default();
        let variable = |what: &str| format!("{}_{what}", self.script.to_uppercase());
        let mut asked = Command::new(script);
        asked.arg(command).env(variable("DIR"), &self.folder).env(variable("PORT"), port);
        let done = asked.output();
        let done = done.expect("the script can be run");
        assert!(done.status.success(), "{} {command}: {}", self.script, String::from_utf8_lossy(&done.stderr));
    }
}

fn in_ci() -> bool {
    std::env::var_os("CI").is_some()
}

#[expect(clippy::disallowed_methods, reason = "a test is told where its server is by the script that started it")]
fn named(variable: &str) -> Option<String> {
    let value = std::env::var(variable).ok();
    if value.is_none() {
        assert!(!in_ci(), "{variable} is not set: run this by `tests/run services`");
        println!("not tested: {variable} is not set; `tests/run services` sets it");
    }
    value
}
