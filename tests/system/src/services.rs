//! The real servers that `tests/run services` starts.

use std::path::Path;
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

#[expect(clippy::disallowed_methods, reason = "a test is told where its server is by the script that started it")]
fn named(variable: &str) -> Option<String> {
    let value = std::env::var(variable).ok();
    if value.is_none() {
        assert!(std::env::var_os("CI").is_none(), "{variable} is not set: run this by `tests/run services`");
        println!("not tested: {variable} is not set; `tests/run services` sets it");
    }
    value
}
