//! The log for those who append records of their own or only read.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use logystera_schemas::limits::LOG_READERS_KEPT_MAX;
use logystera_schemas::topic::Topic;
use rdkafka::producer::{FutureProducer, FutureRecord};

use super::KafkaConfig;
use super::client::{away, producer};
use super::reader::{Bounds, Reader};
use super::transaction::{Outgoing, Transactions};
use crate::log::{Entry, Log, LogError, Record};
use crate::secrets::random_bytes;

/// The log on Kafka; its clones are the same.
#[derive(Clone)]
pub struct KafkaLog {
    shared: Arc<Shared>,
}

struct Shared {
    config: Arc<KafkaConfig>,
    producer: FutureProducer,
    /// Appends several records at once; made when it is needed first.
    transactions: Mutex<Option<Transactions>>,
    /// Readers of partitions that were read lately, the newest last.
    readers: Mutex<Vec<Reader>>,
    bounds: Bounds,
}

impl std::fmt::Debug for KafkaLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaLog").field("brokers", &self.shared.config.brokers).finish_non_exhaustive()
    }
}

impl KafkaLog {
    pub(super) fn connect(config: &Arc<KafkaConfig>) -> Result<Self, LogError> {
        let producer = producer(config).create().map_err(|e| away("the producer", &e))?;
        let shared = Shared {
            config: Arc::clone(config),
            producer,
            transactions: Mutex::default(),
            readers: Mutex::default(),
            bounds: Bounds::committed(config)?,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// One record: nothing else has to be there with it, so that it waits for its own acknowledgement alone.
    async fn append_one(&self, entry: &Entry) -> Result<(), LogError> {
        let topic = self.shared.config.topic(entry.topic);
        let record = FutureRecord::<[u8], [u8]>::to(&topic)
            .partition(entry.partition as i32)
            .key(&entry.key)
            .payload(&entry.value);
        // A full queue is the bound: who appends is told at once.
        let sent = self.shared.producer.send_result(record).map_err(|(error, _)| away(&topic, &error))?;
        match sent.await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err((error, _))) => Err(away(&topic, &error)),
            Err(_) => Err(LogError::Away("the producer was closed".to_owned())),
        }
    }

    fn append_all(&self, entries: &[Entry]) -> Result<(), LogError> {
        let config = &self.shared.config;
        let mut transactions = self.shared.transactions.lock().unwrap_or_else(PoisonError::into_inner);
        let open = if let Some(open) = transactions.take() {
            open
        } else {
            let id = format!("{}append-{:016x}", config.prefix, u64::from_be_bytes(random_bytes()));
            Transactions::take_over(config, &id)?
        };
        // One that failed is not used again.
        let open = transactions.insert(open);
        let topics: Vec<String> = entries.iter().map(|entry| config.topic(entry.topic)).collect();
        let records = entries.iter().zip(&topics).map(|(entry, topic)| Outgoing {
            topic,
            partition: entry.partition,
            key: &entry.key,
            value: Some(&entry.value),
        });
        let done = open.commit(records);
        if done.is_err() {
            *transactions = None;
        }
        done
    }
}

impl Log for KafkaLog {
    fn partitions(&self, topic: Topic) -> u32 {
        self.shared.config.partitions(topic)
    }

    async fn append(&self, entries: Vec<Entry>) -> Result<(), LogError> {
        match entries.as_slice() {
            [] => return Ok(()),
            [entry] => return self.append_one(entry).await,
            _ => {}
        }
        let log = self.clone();
        let done = tokio::task::spawn_blocking(move || log.append_all(&entries)).await;
        done.unwrap_or_else(|error| Err(LogError::Away(error.to_string())))
    }

    fn bounds(&self, topic: Topic, partition: u32) -> Result<Range<u64>, LogError> {
        self.shared.bounds.get(&self.shared.config.topic(topic), partition)
    }

    fn read(&self, topic: Topic, partition: u32, from: u64, bytes_max: usize) -> Result<Vec<Record>, LogError> {
        let name = self.shared.config.topic(topic);
        let bounds = self.shared.bounds.get(&name, partition)?;
        let from = from.max(bounds.start);
        if from >= bounds.end {
            return Ok(Vec::new());
        }
        let mut readers = self.shared.readers.lock().unwrap_or_else(PoisonError::into_inner);
        // Taken out, so that one that failed is not used again.
        let mut reader = match readers.iter().position(|reader| reader.is_of(&name, partition)) {
            Some(place) => readers.remove(place),
            None => Reader::open(&self.shared.config, &name, partition, from)?,
        };
        reader.go_to(from)?;
        let records = reader.read_before(bounds.end, bytes_max)?;
        if readers.len() >= LOG_READERS_KEPT_MAX {
            readers.remove(0);
        }
        readers.push(reader);
        Ok(records)
    }
}
