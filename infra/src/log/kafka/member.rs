//! A process's place among those that share an input's partitions.

use std::collections::BTreeSet;
use std::time::Duration;

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::KafkaConfig;
use super::client::{Consuming, away, consumer, consuming};
use crate::log::LogError;

/// How long a member may be silent before its partitions go to others, milliseconds. One that comes back under its name sooner
/// finds them waiting.
const SESSION_MS: u64 = 6_000;
/// How often a member says that it lives, milliseconds.
const HEARTBEAT_MS: u64 = 1_500;

/// A member of a consumer group. It only learns which partitions are its own: their tasks read for themselves, and what fences an
/// owner is its transactional id, not the group.
pub struct Member {
    consumer: Consuming,
    topic: String,
    own: BTreeSet<u32>,
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member").field("topic", &self.topic).field("own", &self.own).finish_non_exhaustive()
    }
}

impl Member {
    /// Joins the group of `app` under a name that stays the same across restarts of the process.
    pub(super) fn join(config: &KafkaConfig, app: &str, topic: String, instance: &str) -> Result<Self, LogError> {
        let mut settings = consumer(config);
        settings
            .set("group.id", format!("{}logystera-{app}", config.prefix))
            .set("group.instance.id", instance)
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", SESSION_MS.to_string())
            .set("heartbeat.interval.ms", HEARTBEAT_MS.to_string());
        let consumer = consuming(&settings, "the group's consumer")?;
        consumer.subscribe(&[&topic]).map_err(|e| away(&topic, &e))?;
        Ok(Self { consumer, topic, own: BTreeSet::new() })
    }

    /// The partitions that are this member's, as of the last time that it was served.
    pub fn own(&self) -> &BTreeSet<u32> {
        &self.own
    }

    /// Serves the group for about `wait`. On an error the group has to be joined anew.
    pub fn serve(&mut self, wait: Duration) -> Result<(), LogError> {
        match self.consumer.poll(wait) {
            // A record that came before the partition was paused: its task reads it.
            Some(Ok(_) | Err(KafkaError::MessageConsumption(RDKafkaErrorCode::UnknownTopicOrPartition))) | None => {}
            Some(Err(error)) if self.consumer.client().fatal_error().is_some() => {
                return Err(away(&self.topic, &error));
            }
            // The library goes on by itself.
            Some(Err(error)) => tracing::warn!(%error, topic = self.topic, "the group's consumer"),
        }
        let assigned = self.consumer.assignment().map_err(|e| away(&self.topic, &e))?;
        let own: BTreeSet<u32> = assigned.elements().iter().map(|e| e.partition() as u32).collect();
        if own != self.own {
            self.consumer.pause(&assigned).map_err(|e| away(&self.topic, &e))?;
            self.own = own;
        }
        Ok(())
    }

    /// Whether the group has taken it in: what it owns is what it was given, even if that is nothing.
    pub fn has_joined(&self) -> bool {
        self.consumer.context().has_joined()
    }

    /// Shows how far a partition is to those who look at the group. Nothing rests on it.
    pub fn show(&self, partition: u32, position: u64) {
        let mut list = TopicPartitionList::new();
        let offset = Offset::Offset(position as i64);
        if list.add_partition_offset(&self.topic, partition as i32, offset).is_ok() {
            drop(self.consumer.commit(&list, CommitMode::Async));
        }
    }
}
