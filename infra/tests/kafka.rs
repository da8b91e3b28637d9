//! The log and the tasks on a real Apache Kafka keep every promise of `conformance`.
//!
//! `tests/run services` starts the broker. Without one, `LOGYSTERA_TEST_KAFKA=host:port` names it; where that is not set
//! nothing is tested, and CI fails.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use logystera_infra::conformance::{Backend, conformance};
use logystera_infra::log::LogError;
use logystera_infra::log::kafka::{Kafka, KafkaConfig, KafkaLog, KafkaTask};
use logystera_infra::secrets::random_bytes;
use logystera_schemas::topic::Topic;
use logystera_system::services;

struct OnKafka(Kafka);

impl OnKafka {
    /// Topics of its own, so that nothing of another test is there.
    fn fresh(brokers: &str) -> Self {
        let prefix = format!("test-{:08x}-", u32::from_be_bytes(random_bytes()));
        let layout = KafkaConfig::new(brokers);
        let kafka = Kafka::new(KafkaConfig {
            prefix,
            signals_partitions: 2,
            detections_partitions: 2,
            changelog_partitions: 4,
            ..layout
        });
        kafka.create_topics(&["engine", "alerter"]).unwrap();
        Self(kafka)
    }
}

impl Backend for OnKafka {
    type Log = KafkaLog;
    type Task = KafkaTask;

    fn log(&self) -> KafkaLog {
        self.0.log().unwrap()
    }

    fn task(&self, app: &str, input: Topic) -> Result<KafkaTask, LogError> {
        self.0.task(app, input, 0)
    }

    fn restart(self) -> Self {
        // Clients know nothing that the brokers do not.
        Self(Kafka::new(self.0.config().clone()))
    }
}

#[test]
fn kafka_keeps_the_promises_of_the_log() {
    let Some(brokers) = services::kafka() else { return };
    conformance(|| OnKafka::fresh(&brokers));
}
