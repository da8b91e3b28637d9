//! Records appended one by one, each of which waits for its own acknowledgement alone.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use logystera_infra::clock::{Clock, SystemClock};
use logystera_infra::log::{Entry, LogError};
use logystera_schemas::limits::{KAFKA_LISTEN_MS, KAFKA_WAIT_MS_MAX, KAFKA_WAITING_BYTES_MAX};
use rdkafka::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, ProducerContext};
use tokio::sync::oneshot;

use crate::client::{away, producer};
use crate::config::KafkaConfig;
use crate::library_log;
use crate::partition_queue::PartitionQueue;

type Ack = oneshot::Sender<Result<(), KafkaError>>;

/// A record that waits.
struct Waiting {
    key: Vec<u8>,
    value: Vec<u8>,
    ack: Ack,
}

impl Waiting {
    fn bytes(&self) -> usize {
        self.key.len() + self.value.len()
    }
}

/// By topic and partition.
type Queues = BTreeMap<String, BTreeMap<i32, PartitionQueue<Waiting>>>;

struct Traffic {
    queues: Mutex<Queues>,
    waiting_bytes: AtomicUsize,
    clock: SystemClock,
    /// The producer whose context this is, as long as it has an owner.
    producer: OnceLock<Weak<BaseProducer<Arrivals>>>,
}

/// What librdkafka tells of what has arrived.
struct Arrivals(Arc<Traffic>);

impl ClientContext for Arrivals {
    fn log(&self, level: RDKafkaLogLevel, kind: &str, text: &str) {
        library_log::line(level, kind, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        library_log::error(&error.to_string(), reason);
    }
}

impl ProducerContext for Arrivals {
    type DeliveryOpaque = Box<Ack>;

    fn delivery(&self, result: &DeliveryResult<'_>, ack: Box<Ack>) {
        let (message, outcome) = match result {
            Ok(message) => (message, Ok(())),
            Err((error, message)) => (message, Err(error.clone())),
        };
        // An appender that no longer waits is not told.
        let _ = ack.send(outcome);
        let mut queues = self.0.queues();
        let queue = queues.get_mut(message.topic()).and_then(|queues| queues.get_mut(&message.partition()));
        if let Some(queue) = queue {
            let group = queue.arrived();
            self.0.send_all(message.topic(), message.partition(), queue, group);
        }
    }
}

impl Traffic {
    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives librdkafka what has waited; if there is no producer any more, its senders learn that.
    fn send_all(
        &self,
        topic: &str,
        partition: i32,
        queue: &mut PartitionQueue<Waiting>,
        group: impl IntoIterator<Item = (i64, Waiting)>,
    ) {
        for (_, record) in group {
            self.waiting_bytes.fetch_sub(record.bytes(), Ordering::Relaxed);
            if let Some(producer) = self.producer.get().and_then(Weak::upgrade)
                && let Err((error, ack)) = send(&producer, topic, partition, queue, record)
            {
                let _ = ack.send(Err(error));
            }
        }
    }

    fn send_overdue(&self) {
        let since_ms = self.clock.monotonic_ms() - KAFKA_WAIT_MS_MAX as i64;
        for (topic, queues) in self.queues().iter_mut() {
            for (partition, queue) in queues {
                let group = queue.overdue(since_ms);
                self.send_all(topic, *partition, queue, group);
            }
        }
    }
}

fn send(
    producer: &BaseProducer<Arrivals>,
    topic: &str,
    partition: i32,
    queue: &mut PartitionQueue<Waiting>,
    record: Waiting,
) -> Result<(), (KafkaError, Ack)> {
    let Waiting { key, value, ack } = record;
    let message = BaseRecord::<[u8], [u8], Box<Ack>>::with_opaque_to(topic, Box::new(ack))
        .partition(partition)
        .key(&key)
        .payload(&value);
    // librdkafka's queue is bounded: if it is full, the appender is told at once.
    producer.send(message).map_err(|(error, message)| (error, *message.delivery_opaque))?;
    queue.set_out();
    Ok(())
}

/// The producer of appended records, with a thread that listens for their acknowledgements as long as this lives.
pub(crate) struct Producer {
    producer: Arc<BaseProducer<Arrivals>>,
    traffic: Arc<Traffic>,
}

impl Producer {
    pub(crate) fn connect(config: &KafkaConfig) -> Result<Self, LogError> {
        let traffic = Arc::new(Traffic {
            queues: Mutex::default(),
            waiting_bytes: AtomicUsize::new(0),
            clock: SystemClock::new(),
            producer: OnceLock::new(),
        });
        let producer = BaseProducer::from_config_and_context(&producer(config), Arrivals(Arc::clone(&traffic)));
        let producer = Arc::new(producer.map_err(|e| away("the producer", &e))?);
        let listened = Arc::downgrade(&producer);
        let _ = traffic.producer.set(Weak::clone(&listened));
        let listen = {
            let traffic = Arc::clone(&traffic);
            move || {
                while let Some(producer) = listened.upgrade() {
                    producer.poll(Duration::from_millis(KAFKA_LISTEN_MS));
                    traffic.send_overdue();
                }
            }
        };
        let started = thread::Builder::new().name("kafka-append".to_owned()).spawn(listen);
        started.map_err(|e| LogError::Away(format!("the thread for acknowledgements: {e}")))?;
        Ok(Self { producer, traffic })
    }

    /// Appends one record to a topic of that name; done when every copy of the partition has it. Needs a runtime with
    /// timers.
    pub(crate) async fn append(&self, entry: Entry, topic: &str) -> Result<(), LogError> {
        let (ack, mut outcome) = oneshot::channel();
        self.start(entry, topic, ack)?;
        // A record that has waited too long for those before it sets out with all others of its queue.
        let overdue = Duration::from_millis(KAFKA_WAIT_MS_MAX + 1);
        let outcome = if let Ok(outcome) = tokio::time::timeout(overdue, &mut outcome).await {
            outcome
        } else {
            self.traffic.send_overdue();
            outcome.await
        };
        match outcome {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(away(topic, &error)),
            Err(_) => Err(LogError::Away("the producer was closed".to_owned())),
        }
    }

    fn start(&self, entry: Entry, topic: &str, ack: Ack) -> Result<(), LogError> {
        let record = Waiting { key: entry.key, value: entry.value, ack };
        let (bytes, partition) = (record.bytes(), entry.partition as i32);
        let mut queues = self.traffic.queues();
        if !queues.contains_key(topic) {
            queues.insert(topic.to_owned(), BTreeMap::new());
        }
        let Some(queue) = queues.get_mut(topic).map(|queues| queues.entry(partition).or_default()) else {
            return Ok(());
        };
        if self.traffic.waiting_bytes.load(Ordering::Relaxed) + bytes > KAFKA_WAITING_BYTES_MAX {
            return Err(LogError::Away(format!("{topic}: more than {} MiB wait", KAFKA_WAITING_BYTES_MAX >> 20)));
        }
        if let Some(record) = queue.enter(record, self.traffic.clock.monotonic_ms()) {
            send(&self.producer, topic, partition, queue, record).map_err(|(error, _)| away(topic, &error))
        } else {
            self.traffic.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use logystera_schemas::topic::Topic;

    #[test]
    fn more_than_fits_is_refused_at_once() {
        // Nobody listens there: nothing arrives.
        let appender = Producer::connect(&KafkaConfig::new("127.0.0.1:1")).expect("a producer needs no broker yet");
        let mut refused = Vec::new();
        let mut outcomes = Vec::new();
        for _ in 0..200 {
            let entry = Entry { topic: Topic::Signals, partition: 0, key: Vec::new(), value: vec![0; 1 << 20] };
            let (ack, outcome) = oneshot::channel();
            outcomes.push(outcome);
            refused.extend(appender.start(entry, "signals", ack).err());
        }
        // As much again may have been given to librdkafka meanwhile.
        assert!((70..=135).contains(&refused.len()), "{} of 200 were refused", refused.len());
        assert!(refused.iter().all(|error| matches!(error, LogError::Away(_))), "{:?}", refused[0]);
        drop(appender);
        for mut outcome in outcomes {
            assert!(!matches!(outcome.try_recv(), Ok(Ok(()))), "none has arrived");
        }
    }
}
