//! Names and settings of the topics.

use std::time::Duration;

use logystera_schemas::topic::Topic;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::types::RDKafkaErrorCode;

use super::KafkaConfig;
use super::client::{RECORD_BYTES_MAX, admin, away};
use crate::log::LogError;

/// How long the cluster may take to create the topics.
const CREATE_WAIT: Duration = Duration::from_secs(30);
/// How long a compacted topic keeps the mark of a deletion, milliseconds: 7 days. Who restores from an older store must not
/// miss it.
const DELETE_RETENTION_MS: u64 = 7 * 86_400_000;

impl KafkaConfig {
    /// Name of a topic.
    pub(super) fn topic(&self, topic: Topic) -> String {
        format!("{}{}", self.prefix, topic.name())
    }

    /// Name of an application's changelog.
    pub(super) fn changelog(&self, app: &str) -> String {
        format!("{}state-changelog-{app}", self.prefix)
    }
}

/// Copies that must have a record before it counts: one may be away, where there are enough for that.
fn in_sync_min(replication: u32) -> u32 {
    if replication > 2 { replication - 1 } else { replication.min(1) }
}

/// Creates what is not there.
pub(super) fn create(config: &KafkaConfig, apps: &[&str]) -> Result<(), LogError> {
    let mut wanted: Vec<(String, u32, bool)> = Vec::new();
    for topic in Topic::ALL {
        wanted.push((config.topic(topic), config.partitions(topic), topic == Topic::Control));
    }
    for app in apps {
        wanted.push((config.changelog(app), config.changelog_partitions, true));
    }
    let record_bytes_max = RECORD_BYTES_MAX.to_string();
    let delete_retention_ms = DELETE_RETENTION_MS.to_string();
    let in_sync_min = in_sync_min(config.replication).to_string();
    let new: Vec<NewTopic<'_>> = wanted
        .iter()
        .map(|(name, partitions, compacted)| {
            let replication = TopicReplication::Fixed(config.replication as i32);
            let topic = NewTopic::new(name, *partitions as i32, replication)
                .set("max.message.bytes", &record_bytes_max)
                .set("min.insync.replicas", &in_sync_min);
            if *compacted {
                topic.set("cleanup.policy", "compact").set("delete.retention.ms", &delete_retention_ms)
            } else {
                topic
            }
        })
        .collect();

    let client: AdminClient<DefaultClientContext> = admin(config).create().map_err(|e| away("the cluster", &e))?;
    let options = AdminOptions::new().operation_timeout(Some(CREATE_WAIT)).request_timeout(Some(CREATE_WAIT));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| LogError::Away(e.to_string()))?;
    let created = runtime.block_on(client.create_topics(&new, &options)).map_err(|e| away("creating topics", &e))?;
    for done in created {
        match done {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => return Err(LogError::Unusable(format!("topic {name} cannot be created: {code}"))),
        }
    }
    Ok(())
}
