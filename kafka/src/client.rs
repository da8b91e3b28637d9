//! Settings of librdkafka's clients, and what its errors mean here.

use std::sync::atomic::{AtomicBool, Ordering};

use logystera_infra::log::LogError;
use logystera_schemas::limits::{KAFKA_DELIVERY_MS_MAX, KAFKA_RECORD_BYTES_MAX};
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::config::KafkaConfig;
use crate::library_log;
use crate::security::mistrust;

/// How long a client waits before it connects anew, milliseconds; twice as long each time, up to the library's ten seconds. It does
/// so once in any case: it leaves the broker that it was given when it learns of the cluster's. The library's 100 would be half
/// of what a command takes.
const RECONNECT_MS: u64 = 10;
/// How long a producer may wait with its first record for others, milliseconds.
/// Short: a group of records that has waited for the one before is given to it all at once.
const LINGER_MS: f64 = 0.5;
/// How long the broker may wait for records that a consumer asks for, milliseconds. Short, because an assignment waits
/// for the answer before it.
pub(crate) const FETCH_WAIT_MS: u64 = 20;
/// The same for a command: it learns that it stands at the end when the brokers have waited this long, and somebody waits for
/// that.
pub(crate) const COMMAND_FETCH_WAIT_MS: u64 = 1;
/// The same for a reader that follows a partition and never goes elsewhere: if nothing comes it asks twice a second,
/// not fifty times. What comes is there at once in any case.
pub(crate) const FOLLOW_FETCH_WAIT_MS: u64 = 500;
/// The same for a task: longer than from tick to tick, so that an idle partition is asked for once a tick.
pub(crate) const TASK_FETCH_WAIT_MS: u64 = 1_500;
/// Bytes that a producer keeps in its queue, in KiB.
const QUEUE_KIB_MAX: u64 = 64 << 10;
/// Bytes of a partition that a consumer asks for at a time; a larger batch of records still comes, alone.
const FETCH_BYTES: usize = 4 << 20;
/// Bytes that a consumer fetches ahead, in KiB.
const AHEAD_KIB_MAX: u64 = 16 << 10;
/// How long a consumer that has fetched enough ahead waits until it looks again, milliseconds. The library does not
/// look when its queue empties, and by itself waits a second: a partition would give its 16 MiB a second and no more.
const AHEAD_LOOK_MS: u64 = 10;

/// What every client has.
fn common(config: &KafkaConfig) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("reconnect.backoff.ms", RECONNECT_MS.to_string());
    for (name, value) in config.properties.iter() {
        client.set(name, value);
    }
    client.set("bootstrap.servers", &config.brokers).set("client.id", "logystera");
    client
}

/// A client of the cluster's administration.
pub(crate) fn admin(config: &KafkaConfig) -> ClientConfig {
    common(config)
}

/// A producer whose records are there once and in order, on every copy of the partition, before they count.
pub(crate) fn producer(config: &KafkaConfig) -> ClientConfig {
    let mut client = common(config);
    client
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", LINGER_MS.to_string())
        .set("message.timeout.ms", KAFKA_DELIVERY_MS_MAX.to_string())
        .set("message.max.bytes", KAFKA_RECORD_BYTES_MAX.to_string())
        .set("queue.buffering.max.kbytes", QUEUE_KIB_MAX.to_string());
    client
}

/// A producer that commits. `timeout_ms` is how long a transaction of one that died stays open if nobody takes over.
pub(crate) fn transactional(config: &KafkaConfig, id: &str, timeout_ms: u64) -> ClientConfig {
    let mut client = producer(config);
    client.set("transactional.id", id).set("transaction.timeout.ms", timeout_ms.to_string()).set("linger.ms", "1");
    client
}

/// A consumer of committed records that reads what it is assigned. It joins no group.
pub(crate) fn consumer(config: &KafkaConfig) -> ClientConfig {
    let mut client = common(config);
    client
        .set("group.id", format!("{}logystera-reader", config.prefix))
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("check.crcs", "true")
        .set("fetch.wait.max.ms", FETCH_WAIT_MS.to_string())
        .set("fetch.message.max.bytes", FETCH_BYTES.to_string())
        .set("fetch.max.bytes", KAFKA_RECORD_BYTES_MAX.to_string())
        .set("receive.message.max.bytes", (2 * KAFKA_RECORD_BYTES_MAX).to_string())
        .set("queued.max.messages.kbytes", AHEAD_KIB_MAX.to_string())
        .set("fetch.queue.backoff.ms", AHEAD_LOOK_MS.to_string());
    client
}

/// Keeps what librdkafka has logged already from being told twice, and the ends of partitions from being told at all:
/// every reader comes to one several times a second.
#[derive(Default)]
pub(crate) struct ConsumerEvents {
    joined: AtomicBool,
}

impl ConsumerEvents {
    /// Whether the group has ever said which partitions are this consumer's, even if none.
    pub(crate) fn has_joined(&self) -> bool {
        self.joined.load(Ordering::Relaxed)
    }
}

impl ClientContext for ConsumerEvents {
    fn log(&self, level: RDKafkaLogLevel, kind: &str, text: &str) {
        library_log::line(level, kind, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // The library repeats one that stays the same every 30 s.
        if let Some(reason) = mistrust(&error, reason) {
            tracing::warn!(reason, "a broker cannot be used");
        } else if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
            tracing::debug!(%error, reason, "the consumer");
        }
    }
}

impl ConsumerContext for ConsumerEvents {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if matches!(rebalance, Rebalance::Assign(_)) {
            self.joined.store(true, Ordering::Relaxed);
        }
    }
}

/// Any of our consumers.
pub(crate) type Consuming = BaseConsumer<ConsumerEvents>;

/// A consumer with these settings.
pub(crate) fn consuming(settings: &ClientConfig, what: &str) -> Result<Consuming, LogError> {
    settings.create_with_context(ConsumerEvents::default()).map_err(|e| away(what, &e))
}

/// The log cannot be reached, or does not do what it was asked; or the settings can't be used, and waiting does not
/// mend them.
pub(crate) fn away(what: &str, error: &KafkaError) -> LogError {
    match error {
        // Without the value, which may be a secret.
        KafkaError::ClientConfig(_, why, ..) | KafkaError::ClientCreation(why) => {
            LogError::Unusable(format!("{what}: {why}"))
        }
        error => LogError::Away(format!("{what}: {error}")),
    }
}

/// Whether another owner has taken the transactional id.
pub(crate) fn is_fenced(error: &KafkaError) -> bool {
    let code = match error {
        KafkaError::Transaction(e) => Some(e.code()),
        other => other.rdkafka_error_code(),
    };
    matches!(
        code,
        Some(RDKafkaErrorCode::Fenced | RDKafkaErrorCode::InvalidProducerEpoch | RDKafkaErrorCode::ProducerFenced)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_a_setting_has_no_value() {
        let error = ClientConfig::new().set("sasl.pasword", "s3cret").create_native_config().err().unwrap();
        assert!(error.to_string().contains("s3cret"));
        let error = away("the producer", &error);
        assert!(matches!(error, LogError::Unusable(_)), "waiting does not mend it: {error:?}");
        assert_eq!(error.to_string(), "the producer: No such configuration property: \"sasl.pasword\"");
    }
}
