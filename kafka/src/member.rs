//! A process's place among those that share an input's partitions.

use std::collections::BTreeSet;
use std::time::Duration;

use logystera_infra::clock::Stopwatch;
use logystera_infra::log::LogError;
use logystera_schemas::partition::{Generation, PartitionRef};
use logystera_schemas::topic::Topic;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::client::{Consuming, away, consumer, consuming};
use crate::config::KafkaConfig;
use crate::library_log;

/// How long a member may be silent before its partitions go to others, milliseconds. One that comes back under its name
/// sooner finds them waiting.
const SESSION_MS: u64 = 6_000;
/// How often a member says that it lives, milliseconds.
const HEARTBEAT_MS: u64 = 1_500;

/// How long leaving the group may take.
const LEAVE_WAIT: Duration = Duration::from_secs(1);
/// How long the library is served at a time while it leaves.
const LEAVE_STEP: Duration = Duration::from_millis(50);

/// A member of a consumer group. It only learns which partitions are its own: their tasks read for themselves, and what
/// fences an owner is its transactional id, not the group.
pub struct Member {
    consumer: Consuming,
    config: KafkaConfig,
    input: Topic,
    /// The generations that are read.
    read: Vec<Generation>,
    own: BTreeSet<PartitionRef>,
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member").field("input", &self.input).field("own", &self.own).finish_non_exhaustive()
    }
}

impl Member {
    /// Joins the group of `app` under a name that stays the same across restarts of the process.
    pub(crate) fn join(
        config: &KafkaConfig,
        app: &str,
        input: Topic,
        read: &[Generation],
        instance: &str,
    ) -> Result<Self, LogError> {
        let mut settings = consumer(config);
        settings
            .set("group.id", config.group(app))
            .set("group.instance.id", instance)
            .set("client.id", instance)
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", SESSION_MS.to_string())
            .set("heartbeat.interval.ms", HEARTBEAT_MS.to_string());
        let consumer = consuming(&settings, "the group's consumer")?;
        let mut member = Self { consumer, config: config.clone(), input, read: Vec::new(), own: BTreeSet::new() };
        member.read_generations(read)?;
        Ok(member)
    }

    /// Shares out the partitions of these generations from now on.
    pub fn read_generations(&mut self, read: &[Generation]) -> Result<(), LogError> {
        if self.read != read {
            let names: Vec<String> = read.iter().map(|g| self.config.topic(self.input, g.number)).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            self.consumer.subscribe(&names).map_err(|e| away(self.input.name(), &e))?;
            self.read = read.to_vec();
        }
        Ok(())
    }

    /// The partitions that are this member's, as of the last time that it was served.
    pub fn own(&self) -> &BTreeSet<PartitionRef> {
        &self.own
    }

    /// Serves the group for about `wait`. On an error the group has to be joined anew.
    pub fn serve(&mut self, wait: Duration) -> Result<(), LogError> {
        let topic = self.input.name();
        match self.consumer.poll(wait) {
            // A record that came before the partition was paused: its task reads it.
            Some(Ok(_) | Err(KafkaError::MessageConsumption(RDKafkaErrorCode::UnknownTopicOrPartition))) | None => {}
            Some(Err(error)) if self.consumer.client().fatal_error().is_some() => {
                return Err(away(topic, &error));
            }
            // The library goes on by itself.
            Some(Err(error)) => library_log::error("the group's consumer", &error.to_string()),
        }
        let assigned = self.consumer.assignment().map_err(|e| away(topic, &e))?;
        let place = |name: &str, partition: i32| {
            let generation = self.read.iter().find(|g| self.config.topic(self.input, g.number) == name)?;
            Some(PartitionRef { generation: *generation, partition: partition as u32 })
        };
        let own: BTreeSet<PartitionRef> =
            assigned.elements().iter().filter_map(|e| place(e.topic(), e.partition())).collect();
        if own != self.own {
            self.consumer.pause(&assigned).map_err(|e| away(topic, &e))?;
            self.own = own;
        }
        Ok(())
    }

    /// Leaves the group, so that others get its partitions at once. Without this they wait until it has been silent for
    /// too long: a member with a name of its own is expected back. Waits a bounded time.
    pub fn leave(self) {
        self.consumer.unsubscribe();
        let stopwatch = Stopwatch::start();
        while stopwatch.elapsed() < LEAVE_WAIT {
            // The library gives its partitions back while it is served, and then says that it goes.
            drop(self.consumer.poll(LEAVE_STEP));
            if self.consumer.assignment().is_ok_and(|assigned| assigned.count() == 0) {
                drop(self.consumer.poll(LEAVE_STEP));
                return;
            }
        }
    }

    /// Whether the group has taken it in: what it owns is what it was given, even if that is nothing.
    pub fn has_joined(&self) -> bool {
        self.consumer.context().has_joined()
    }

    /// Shows how far a partition is to those who look at the group. Nothing rests on it.
    pub fn show(&self, place: PartitionRef, position: u64) {
        let mut list = TopicPartitionList::new();
        let (topic, offset) = (self.config.topic(self.input, place.generation.number), Offset::Offset(position as i64));
        if list.add_partition_offset(&topic, place.partition as i32, offset).is_ok() {
            drop(self.consumer.commit(&list, CommitMode::Async));
        }
    }
}
