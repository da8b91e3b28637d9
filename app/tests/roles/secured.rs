//! Roles over TLS with SCRAM: what they say while the brokers do not let them in, and that they work when they do.

use std::fmt::Write as _;

use logystera_system::process::{PATIENCE, wait_for};
use logystera_system::services;

use crate::support::Installation;

/// Settings of an installation, for the listener with TLS, and with everything logged that can be.
fn settings(place: &Installation, tls: &services::TlsListener, plain: &str, password: &str) -> String {
    let mut settings = std::fs::read_to_string(place.path("logystera.toml")).unwrap().replace(plain, &tls.brokers);
    settings.insert_str(0, "log = \"trace\"\n");
    settings.push_str("[kafka.properties]\n\"debug\" = \"conf,security\"\n");
    for (name, value) in tls.properties() {
        let value = if name == "sasl.password" { password } else { &value };
        writeln!(settings, "\"{name}\" = \"{value}\"").unwrap();
    }
    settings
}

#[test]
fn a_role_that_is_not_let_in_says_why_again_and_again_and_works_with_the_right_password() {
    let (Some(tls), Some(plain)) = (services::kafka_tls(), services::kafka()) else { return };
    let Some(place) = Installation::new(1, None) else { return };
    let write = |settings: String| std::fs::write(place.path("logystera.toml"), settings).unwrap();
    let log = |name: &str| std::fs::read_to_string(place.path(name)).unwrap();
    let [wrong, right] = ["s3cret", "tests-only"].map(|password| settings(&place, &tls, &plain, password));

    write(wrong);
    let refused = place.start("processor", "refused");
    wait_for("the reason, twice", PATIENCE, || {
        let says = |line: &&str| line.contains("waiting for the cluster") && line.contains("authentication failed");
        (log("processor-refused.log").lines().filter(says).count() >= 2).then_some(())
    });
    drop(refused);

    write(right);
    place.start("processor", "taken").is_ready();

    for (name, password) in [("processor-refused.log", "s3cret"), ("processor-taken.log", "tests-only")] {
        let log = log(name);
        // So the library did tell its settings.
        assert!(log.contains("sasl.password"), "{log}");
        assert!(!log.contains(password), "{log}");
    }
}
