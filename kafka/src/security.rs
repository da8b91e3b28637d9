//! How the brokers know us and we them: the settings of TLS and SASL, and what an error says of the two.

use std::collections::BTreeMap;

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// Whether this build has OpenSSL, which TLS and SCRAM rest on.
const HAS_TLS: bool = cfg!(feature = "tls");
const PROTOCOLS: [&str; 4] = ["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"];
const MECHANISMS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

/// Settings of librdkafka that are passed through; those that exist can be used. Some values are secrets: no value is
/// shown.
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

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &String)> {
        self.0.iter()
    }

    /// Whether the brokers can turn us away, or we them.
    pub(crate) fn is_secured(&self) -> bool {
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

/// What an error says of us and the brokers, if it says that one does not take the other.
pub(crate) fn mistrust(error: &KafkaError, reason: &str) -> Option<String> {
    let what = match error.rdkafka_error_code()? {
        RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed => "authentication failed",
        RDKafkaErrorCode::SSL => "no TLS with the brokers",
        // The other side hung up: it may be a listener without TLS.
        RDKafkaErrorCode::BrokerTransportFailure if reason.contains("SSL_HANDSHAKE") => "no TLS with the brokers",
        _ => return None,
    };
    Some(format!("{what}: {reason}"))
}

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
}
