//! Whether the brokers let us in, and the reason if they do not.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use logystera_infra::clock::Stopwatch;
use logystera_infra::log::LogError;
use logystera_schemas::topic::Topic;
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::client::{admin, away};
use crate::config::KafkaConfig;
use crate::security::mistrust;

/// How long the brokers may take to let us in.
const ENTRY_WAIT: Duration = Duration::from_secs(8);
/// The same if all of them were tried and none said why: a connection that was lost says nothing.
const AWAY_WAIT: Duration = Duration::from_secs(2);
/// How long each wait for their answer is.
const ENTRY_STEP: Duration = Duration::from_millis(100);
/// How long the client listens for errors in between.
const ENTRY_LISTEN: Duration = Duration::from_millis(20);

/// Says why, if the brokers do not let us in or we do not trust them. librdkafka tells that only in events, while
/// whatever was asked of it runs into its timeout: so a client of its own listens for them. Brokers that are away are
/// no concern here: the next request to them fails by itself.
pub(crate) fn demand_access(config: &KafkaConfig) -> Result<(), LogError> {
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

/// The same error, or the reason behind it, which may be found only by asking the brokers.
pub(crate) fn explained(config: &KafkaConfig, error: LogError) -> LogError {
    match error {
        LogError::Away(_) => demand_access(config).err().unwrap_or(error),
        error => error,
    }
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
    /// Only for debugging: the caller reports the reason.
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

#[cfg(all(test, feature = "tls"))]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::security::Properties;

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
