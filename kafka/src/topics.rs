//! Creates the topics, with their settings.

use std::time::Duration;

use logystera_infra::clock::Stopwatch;
use logystera_infra::log::LogError;
use logystera_schemas::control::GrowingTopic;
use logystera_schemas::limits::{CHANGELOG_DELETIONS_MS, KAFKA_RECORD_BYTES_MAX};
use logystera_schemas::partition::{Generation, PartitionRef};
use logystera_schemas::topic::Topic;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::Consumer;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode;

use crate::client::{admin, away, consumer, consuming};
use crate::config::KafkaConfig;
use crate::growth::Layouts;

/// How long the cluster may take to create the topics.
const CREATE_WAIT: Duration = Duration::from_secs(30);
/// How often a topic that was just made is asked for.
const KNOWN_STEP: Duration = Duration::from_millis(50);
/// How long the newest part of topic `control` is left uncompacted, milliseconds: processes renew their leases in it.
const CONTROL_SEGMENT_MS: u64 = 3_600_000;

/// Copies that must have a record before it counts: one may be away, if there are enough for that.
fn in_sync_min(replication: u32) -> u32 {
    if replication > 2 { replication - 1 } else { replication.min(1) }
}

/// A topic of Kafka's that should be there.
struct Wanted {
    name: String,
    partitions: u32,
    cleanup: Cleanup,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Cleanup {
    /// The cluster's retention.
    ByTime,
    /// The newest record of each key stays.
    Compacted,
    /// The same, of a topic that every process reads from its start: it is compacted soon.
    CompactedSoon,
}

/// Creates what is not there of the first generation.
pub(crate) fn create(config: &KafkaConfig, apps: &[&str]) -> Result<(), LogError> {
    let first = Layouts::initial(config);
    let mut wanted: Vec<Wanted> = Vec::new();
    for topic in Topic::ALL {
        let cleanup = if topic == Topic::Control { Cleanup::CompactedSoon } else { Cleanup::ByTime };
        wanted.push(Wanted { name: config.topic(topic, 0), partitions: first.written(topic).partitions, cleanup });
    }
    for app in apps {
        let (name, partitions) = (config.changelog(app), config.changelog_partitions);
        wanted.push(Wanted { name, partitions, cleanup: Cleanup::Compacted });
    }
    create_all(config, &wanted).map(drop)
}

/// Creates a generation if it is not there. One that is there must have the partitions: somebody else may have made it.
pub(crate) fn create_generation(
    config: &KafkaConfig,
    topic: GrowingTopic,
    generation: Generation,
) -> Result<(), LogError> {
    let topics: &[Topic] = match topic {
        GrowingTopic::Signals => &[Topic::Signals],
        GrowingTopic::Detections => &[Topic::Detections, Topic::Attempts],
    };
    let wanted = topics.iter().map(|topic| Wanted {
        name: config.topic(*topic, generation.number),
        partitions: generation.partitions,
        cleanup: Cleanup::ByTime,
    });
    let wanted: Vec<Wanted> = wanted.collect();
    let there = create_all(config, &wanted)?;
    let consumer = consuming(&consumer(config), "the cluster")?;
    for Wanted { name, partitions, .. } in wanted.iter().filter(|wanted| there.contains(&wanted.name)) {
        let stopwatch = Stopwatch::start();
        let found = loop {
            let metadata = consumer.fetch_metadata(Some(name), CREATE_WAIT).map_err(|e| away(name, &e))?;
            let found = metadata.topics().iter().map(|topic| topic.partitions().len()).sum::<usize>();
            // What was made a moment ago is known to have none yet.
            if found > 0 || stopwatch.elapsed() >= CREATE_WAIT {
                break found;
            }
            std::thread::sleep(KNOWN_STEP);
        };
        if found != *partitions as usize {
            return Err(LogError::Unusable(format!(
                "topic {name} is there already, with {found} partitions instead of {partitions}; nothing uses it yet: delete it"
            )));
        }
    }
    Ok(())
}

/// Deletes the records of a partition below `below`: the brokers keep none of them, in no copy.
pub(crate) fn delete_records(
    config: &KafkaConfig,
    topic: Topic,
    place: PartitionRef,
    below: u64,
) -> Result<(), LogError> {
    let name = config.topic(topic, place.generation.number);
    let mut offsets = TopicPartitionList::new();
    let added = offsets.add_partition_offset(&name, place.partition as i32, Offset::Offset(below as i64));
    added.map_err(|e| away(&name, &e))?;
    let client: AdminClient<DefaultClientContext> = admin(config).create().map_err(|e| away("the cluster", &e))?;
    let options = AdminOptions::new().operation_timeout(Some(CREATE_WAIT)).request_timeout(Some(CREATE_WAIT));
    let deleted = blocking()?.block_on(client.delete_records(&offsets, &options)).map_err(|e| away(&name, &e))?;
    deleted.elements().iter().try_for_each(|element| element.error().map_err(|e| away(&name, &e)))
}

fn blocking() -> Result<tokio::runtime::Runtime, LogError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|e| LogError::Away(e.to_string()))
}

/// Creates what is not there; gives the names of what was.
fn create_all(config: &KafkaConfig, wanted: &[Wanted]) -> Result<Vec<String>, LogError> {
    let record_bytes_max = KAFKA_RECORD_BYTES_MAX.to_string();
    let delete_retention_ms = CHANGELOG_DELETIONS_MS.to_string();
    let in_sync_min = in_sync_min(config.replication).to_string();
    let segment_ms = CONTROL_SEGMENT_MS.to_string();
    let new: Vec<NewTopic<'_>> = wanted
        .iter()
        .map(|Wanted { name, partitions, cleanup }| {
            let replication = TopicReplication::Fixed(config.replication as i32);
            let topic = NewTopic::new(name, *partitions as i32, replication)
                .set("max.message.bytes", &record_bytes_max)
                .set("min.insync.replicas", &in_sync_min);
            if *cleanup == Cleanup::ByTime {
                return topic;
            }
            let topic = topic.set("cleanup.policy", "compact").set("delete.retention.ms", &delete_retention_ms);
            if *cleanup == Cleanup::CompactedSoon { topic.set("segment.ms", &segment_ms) } else { topic }
        })
        .collect();

    let client: AdminClient<DefaultClientContext> = admin(config).create().map_err(|e| away("the cluster", &e))?;
    let options = AdminOptions::new().operation_timeout(Some(CREATE_WAIT)).request_timeout(Some(CREATE_WAIT));
    let created =
        blocking()?.block_on(client.create_topics(&new, &options)).map_err(|e| away("creating topics", &e))?;
    let mut there = Vec::new();
    for done in created {
        match done {
            Ok(_) => {}
            Err((name, RDKafkaErrorCode::TopicAlreadyExists)) => there.push(name),
            Err((name, code)) => return Err(LogError::Unusable(format!("topic {name} cannot be created: {code}"))),
        }
    }
    Ok(there)
}
