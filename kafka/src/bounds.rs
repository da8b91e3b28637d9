//! Where partitions begin and end.

use std::ops::Range;
use std::time::Duration;

use logystera_infra::clock::Stopwatch;
use logystera_infra::log::LogError;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::client::{Consuming, away, consumer, consuming};
use crate::config::KafkaConfig;
use crate::reader::is_lost_contact;

/// How long a question for a partition's bounds may take.
const BOUNDS_WAIT: Duration = Duration::from_secs(10);
/// How long a partition without a leader is left alone before it is asked again.
const MOVING_STEP: Duration = Duration::from_millis(50);

/// Answers where partitions begin and end. It reads nothing itself: asked of a client that reads, the question takes
/// half a second.
pub(crate) struct Bounds {
    consumer: Consuming,
}

impl Bounds {
    /// Of what is committed.
    pub(crate) fn committed(config: &KafkaConfig) -> Result<Self, LogError> {
        Self::of(config, "read_committed")
    }

    /// Of everything, open transactions included.
    pub(crate) fn uncommitted(config: &KafkaConfig) -> Result<Self, LogError> {
        Self::of(config, "read_uncommitted")
    }

    fn of(config: &KafkaConfig, isolation: &str) -> Result<Self, LogError> {
        let mut settings = consumer(config);
        settings.set("isolation.level", isolation);
        Ok(Self { consumer: consuming(&settings, "the consumer")? })
    }

    /// The cluster's id.
    pub(crate) fn cluster(&self) -> Result<String, LogError> {
        let id = self.consumer.client().fetch_cluster_id(BOUNDS_WAIT);
        id.ok_or_else(|| LogError::Away("the cluster does not say its id".to_owned()))
    }

    /// Whether the cluster has a topic of that name.
    pub(crate) fn has_topic(&self, name: &str) -> Result<bool, LogError> {
        let metadata = self.consumer.fetch_metadata(Some(name), BOUNDS_WAIT).map_err(|e| away(name, &e))?;
        Ok(metadata.topics().iter().any(|topic| topic.name() == name && !topic.partitions().is_empty()))
    }

    /// Offsets from the oldest record to one past the newest.
    pub(crate) fn get(&self, topic: &str, partition: u32) -> Result<Range<u64>, LogError> {
        let stopwatch = Stopwatch::start();
        loop {
            match self.consumer.fetch_watermarks(topic, partition as i32, BOUNDS_WAIT) {
                Ok((low, high)) => return Ok(low.max(0) as u64..high.max(0) as u64),
                Err(error) if will_pass(&error) && stopwatch.elapsed() < BOUNDS_WAIT => std::thread::sleep(MOVING_STEP),
                Err(error) => return Err(away(topic, &error)),
            }
        }
    }
}

/// Whether a connection ended, a partition's leadership is moving or has not begun, or a topic that was just created is
/// not known everywhere yet.
fn will_pass(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{
        LeaderNotAvailable, NotLeaderForPartition, UnknownPartition, UnknownTopic, UnknownTopicOrPartition,
    };
    let is_moving = matches!(
        error.rdkafka_error_code(),
        Some(NotLeaderForPartition | LeaderNotAvailable | UnknownPartition | UnknownTopic | UnknownTopicOrPartition)
    );
    is_moving || is_lost_contact(error)
}
