//! How the brokers know us and we them: the settings of TLS and SASL, and the reason where the two do not come together.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use logystera_schemas::topic::Topic;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::KafkaConfig;
use super::client::{admin, away};
use crate::clock::Stopwatch;
use crate::log::LogError;

/// Whether this build has OpenSSL, which TLS and SCRAM rest on.
const HAS_TLS: bool = cfg!(feature = "kafka-tls");
/// How long the brokers may take to let us in.
const ENTRY_WAIT: Duration = Duration::from_secs(8);
/// The same where all of them were tried and none said why: a connection that was lost says nothing.
const AWAY_WAIT: Duration = Duration::from_secs(2);
/// How long it is waited at a time for the answer that they have.
const ENTRY_STEP: Duration = Duration::from_millis(100);
/// How long it is listened in between for what they say against it.
const ENTRY_LISTEN: Duration = Duration::from_millis(20);

const PROTOCOLS: [&str; 4] = ["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"];
const MECHANISMS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

/// Settings of librdkafka that are passed through; those that exist can be used. Some values are secrets: no value is shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties(BTreeMap<String, String>);

impl std::fmt::Debug for Properties {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Why settings can't be used. It names no value that could be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PropertyError {
    /// This build lacks what it asks for.
    #[error("{0} needs OpenSSL, which this build does not have: build with --features kafka-tls")]
    NeedsTls(String),
    /// The value is none of those that there are.
    #[error("{name}: expected one of {expected}")]
    Expected {
        /// The setting.
        name: &'static str,
        /// What it may be.
        expected: String,
    },
    /// What belongs to it is not there.
    #[error("{0} is missing: {1} asks for it")]
    Missing(&'static str, String),
    /// It would do nothing, and whoever wrote it would rely on it.
    #[error("{0} is for nothing: security.protocol is {1}")]
    Unused(String, String),
    /// What librdkafka has against it.
    #[error("{0}")]
    Refused(String),
}

impl Properties {
    /// Checks settings, as far as that can be done without a broker.
    pub fn new(properties: BTreeMap<String, String>) -> Result<Self, PropertyError> {
        check(&properties, HAS_TLS)?;
        Ok(Self(properties))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &String)> {
        self.0.iter()
    }

    /// Whether the brokers can turn us away, or we them.
    fn is_secured(&self) -> bool {
        self.0.get("security.protocol").is_some_and(|protocol| !protocol.eq_ignore_ascii_case("plaintext"))
    }
}

fn check(properties: &BTreeMap<String, String>, has_tls: bool) -> Result<(), PropertyError> {
    let get = |name: &str| properties.get(name).map(String::as_str);
    let needs_tls = |name: &str, value: &str| PropertyError::NeedsTls(format!("{name} = {value:?}"));
    let protocol = get("security.protocol").unwrap_or("plaintext").to_ascii_lowercase();
    if !PROTOCOLS.contains(&protocol.as_str()) {
        return Err(PropertyError::Expected { name: "security.protocol", expected: PROTOCOLS.join(", ") });
    }
    if protocol.ends_with("ssl") && !has_tls {
        return Err(needs_tls("security.protocol", &protocol));
    }
    // The library knows both names.
    match get("sasl.mechanism").or(get("sasl.mechanisms")) {
        Some(mechanism) if !MECHANISMS.contains(&mechanism) => {
            return Err(PropertyError::Expected { name: "sasl.mechanism", expected: MECHANISMS.join(", ") });
        }
        Some(mechanism) if mechanism != "PLAIN" && !has_tls => return Err(needs_tls("sasl.mechanism", mechanism)),
        None if protocol.starts_with("sasl") => return Err(PropertyError::Missing("sasl.mechanism", protocol)),
        _ => {}
    }
    if protocol.starts_with("sasl") {
        for name in ["sasl.username", "sasl.password"] {
            if get(name).is_none_or(str::is_empty) {
                return Err(PropertyError::Missing(name, protocol));
            }
        }
    }
    for (name, value) in properties {
        if name.starts_with("ssl.") && !has_tls {
            return Err(PropertyError::NeedsTls(name.clone()));
        }
        let mut one = ClientConfig::new();
        one.set(name, value);
        match one.create_native_config() {
            Ok(_) => {}
            // Without the value, which the error has too.
            Err(KafkaError::ClientConfig(_, why, ..)) => return Err(PropertyError::Refused(why)),
            // A zero byte.
            Err(_) => return Err(PropertyError::Refused(format!("{name}: not a value"))),
        }
        let is_used = match name.split('.').next() {
            Some("ssl") => protocol.ends_with("ssl"),
            Some("sasl") => protocol.starts_with("sasl"),
            _ => true,
        };
        if !is_used {
            return Err(PropertyError::Unused(name.clone(), protocol));
        }
    }
    Ok(())
}

/// Says why, where the brokers do not let us in or we do not trust them. librdkafka tells that only in events, while whatever
/// was asked of it runs into its timeout: so a client of its own listens for them. Brokers that are away are none of this:
/// whoever asks them something finds out.
pub(super) fn demand_entry(config: &KafkaConfig) -> Result<(), LogError> {
    if !config.properties.is_secured() {
        return Ok(());
    }
    let client = BaseConsumer::from_config_and_context(&admin(config), Entrance::default());
    let client = client.map_err(|e| away("the cluster", &e))?;
    let (topic, stopwatch) = (config.topic(Topic::Control, 0), Stopwatch::start());
    loop {
        // An answer is enough, whatever it says of the topic.
        if client.client().fetch_metadata(Some(&topic), ENTRY_STEP).is_ok() {
            return Ok(());
        }
        // For a while, not until there is nothing: a poll that took what the library logged gives nothing too.
        let listening = Stopwatch::start();
        while listening.elapsed() < ENTRY_LISTEN {
            client.poll(ENTRY_LISTEN.saturating_sub(listening.elapsed()));
        }
        let seen = client.context().0.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = match &*seen {
            Seen { all_down: true, reason: Some(_) } => Duration::ZERO,
            Seen { all_down: true, reason: None } => AWAY_WAIT,
            Seen { all_down: false, .. } => ENTRY_WAIT,
        };
        if stopwatch.elapsed() >= wait {
            return seen.reason.clone().map_or(Ok(()), |reason| Err(LogError::Away(reason)));
        }
    }
}

/// The same error, or the reason behind it where that is known only from asking.
pub(super) fn explained(config: &KafkaConfig, error: LogError) -> LogError {
    match error {
        LogError::Away(_) => demand_entry(config).err().unwrap_or(error),
        error => error,
    }
}

/// What an error says of us and the brokers, where it says that one does not take the other.
pub(super) fn mistrust(error: &KafkaError, reason: &str) -> Option<String> {
    let what = match error.rdkafka_error_code()? {
        RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed => "authentication failed",
        RDKafkaErrorCode::SSL => "no TLS with the brokers",
        // The other side hung up: it may be a listener without TLS.
        RDKafkaErrorCode::BrokerTransportFailure if reason.contains("SSL_HANDSHAKE") => "no TLS with the brokers",
        _ => return None,
    };
    Some(format!("{what}: {reason}"))
}

/// What is seen of the way in.
#[derive(Default)]
struct Entrance(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    reason: Option<String>,
    /// Every broker has been tried. One that lets us in is enough.
    all_down: bool,
}

impl ClientContext for Entrance {
    /// The reason is told by whoever asked.
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.all_down |= error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown);
        if let Some(reason) = mistrust(&error, reason) {
            seen.reason = Some(reason);
        }
    }
}

impl ConsumerContext for Entrance {}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(has_tls: bool, lines: &[(&str, &str)]) -> String {
        let properties = lines.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        check(&properties, has_tls).map_or_else(|e| e.to_string(), |()| "can be used".to_owned())
    }

    const WHO: [(&str, &str); 2] = [("sasl.username", "me"), ("sasl.password", "s3cret")];

    fn with_who<'a>(protocol: &'a str, mechanism: &'a str) -> Vec<(&'a str, &'a str)> {
        [&[("security.protocol", protocol), ("sasl.mechanism", mechanism)], &WHO[..]].concat()
    }

    #[test]
    fn a_build_without_openssl_says_which_one_is_needed() {
        let needs = |what: &str| {
            format!("{what} needs OpenSSL, which this build does not have: build with --features kafka-tls")
        };
        let plain = with_who("SASL_PLAINTEXT", "PLAIN");
        for (lines, says) in [
            (vec![], "can be used".to_owned()),
            (plain, "can be used".to_owned()),
            (vec![("security.protocol", "ssl")], needs("security.protocol = \"ssl\"")),
            (with_who("SASL_SSL", "PLAIN"), needs("security.protocol = \"sasl_ssl\"")),
            (with_who("sasl_plaintext", "SCRAM-SHA-256"), needs("sasl.mechanism = \"SCRAM-SHA-256\"")),
            (vec![("sasl.mechanisms", "SCRAM-SHA-512")], needs("sasl.mechanism = \"SCRAM-SHA-512\"")),
            (vec![("ssl.key.password", "s3cret")], needs("ssl.key.password")),
        ] {
            assert_eq!(checked(false, &lines), says, "{lines:?}");
        }
    }

    #[test]
    fn settings_that_cannot_work_are_refused_before_a_broker_is_asked() {
        let protocols = "security.protocol: expected one of plaintext, ssl, sasl_plaintext, sasl_ssl";
        let mechanisms = "sasl.mechanism: expected one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512";
        for (lines, says) in [
            (vec![("security.protocol", "tls")], protocols),
            (vec![("security.protocol", "3")], protocols),
            (with_who("sasl_plaintext", "GSSAPI"), mechanisms),
            (with_who("sasl_plaintext", "plain"), mechanisms),
            (vec![("security.protocol", "sasl_plaintext")], "sasl.mechanism is missing: sasl_plaintext asks for it"),
            (with_who("sasl_plaintext", "PLAIN")[..2].to_vec(), "sasl.username is missing: sasl_plaintext asks for it"),
            (with_who("sasl_plaintext", "PLAIN")[..3].to_vec(), "sasl.password is missing: sasl_plaintext asks for it"),
            (vec![("sasl.pasword", "s3cret")], "No such configuration property: \"sasl.pasword\""),
            (vec![("sasl.password", "s3cret\0")], "sasl.password: not a value"),
            (WHO.to_vec(), "sasl.password is for nothing: security.protocol is plaintext"),
            (vec![("socket.timeout.ms", "s3cret")], "Invalid value for configuration property \"socket.timeout.ms\""),
        ] {
            assert_eq!(checked(false, &lines), says, "{lines:?}");
        }
    }

    #[test]
    fn no_value_is_shown() {
        let properties = with_who("sasl_plaintext", "PLAIN").into_iter();
        let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let properties = Properties::new(properties).unwrap();
        let config = KafkaConfig { properties, ..KafkaConfig::new("b:9092") };
        let shown = format!("{config:?}{:?}", super::super::Kafka::new(config.clone()));
        assert!(shown.contains("sasl.password") && !shown.contains("s3cret"), "{shown}");
        assert!(!shown.contains("\"me\""), "{shown}");
    }

    #[test]
    fn an_error_of_a_setting_has_no_value() {
        let error = ClientConfig::new().set("sasl.pasword", "s3cret").create_native_config().err().unwrap();
        assert!(error.to_string().contains("s3cret"));
        let error = away("the producer", &error);
        assert!(matches!(error, LogError::Unusable(_)), "waiting does not mend it: {error:?}");
        assert_eq!(error.to_string(), "the producer: No such configuration property: \"sasl.pasword\"");
    }

    #[cfg(feature = "kafka-tls")]
    #[test]
    fn what_failed_later_is_explained_where_the_brokers_say_why() {
        let Some(tls) = logystera_system::services::kafka_tls() else { return };
        let with = |password: &str| {
            let mut properties = BTreeMap::from(tls.properties().map(|(name, value)| (name.to_owned(), value)));
            properties.insert("sasl.password".to_owned(), password.to_owned());
            KafkaConfig { properties: Properties::new(properties).unwrap(), ..KafkaConfig::new(&tls.brokers) }
        };
        let timeout = || LogError::Away("timed out".to_owned());
        let told = |password: &str, error: LogError| explained(&with(password), error).to_string();
        assert!(told("s3cret", timeout()).contains("authentication failed: "));
        assert_eq!(told("tests-only", timeout()), timeout().to_string());
        assert_eq!(told("s3cret", LogError::Fenced), LogError::Fenced.to_string());
    }
}
