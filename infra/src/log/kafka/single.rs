//! Records appended one by one, each of which waits for its own acknowledgement alone.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use logystera_schemas::limits::APPEND_WAIT_MS_MAX;
use rdkafka::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, ProducerContext};
use tokio::sync::oneshot;

use super::client::{DELIVERY_MS_MAX, away, producer};
use super::lane::Lane;
use super::{KafkaConfig, hush};
use crate::clock::{Clock, SystemClock};
use crate::log::{Entry, LogError};

/// How long a record waits for those before it, in milliseconds, before librdkafka gets it all the same.
const WAIT_MS_MAX: u64 = 50;
/// How long the thread listens for acknowledgements, in milliseconds, before it looks whether it is needed still, and after
/// records whose senders have gone. Long, because the library's poll goes in circles for the last millisecond of it.
const LISTEN_MS: u64 = 500;
const _: () = assert!(
    WAIT_MS_MAX + LISTEN_MS + DELIVERY_MS_MAX < APPEND_WAIT_MS_MAX,
    "a batch that was refused must not turn up later"
);
/// Bytes of all records that wait for others. What was given to librdkafka has a bound of its own.
const WAITING_BYTES_MAX: usize = 64 << 20;

type Told = oneshot::Sender<Result<(), KafkaError>>;

/// A record that waits.
struct Waiting {
    key: Vec<u8>,
    value: Vec<u8>,
    told: Told,
}

impl Waiting {
    fn bytes(&self) -> usize {
        self.key.len() + self.value.len()
    }
}

/// By topic and partition.
type Lanes = BTreeMap<String, BTreeMap<i32, Lane<Waiting>>>;

struct Traffic {
    lanes: Mutex<Lanes>,
    waiting_bytes: AtomicUsize,
    clock: SystemClock,
    /// The producer whose context this is, as long as it has an owner.
    producer: OnceLock<Weak<BaseProducer<Arrivals>>>,
}

/// What librdkafka tells of what has arrived.
struct Arrivals(Arc<Traffic>);

impl ClientContext for Arrivals {
    fn log(&self, level: RDKafkaLogLevel, kind: &str, text: &str) {
        hush::line(level, kind, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        hush::error(&error.to_string(), reason);
    }
}

impl ProducerContext for Arrivals {
    type DeliveryOpaque = Box<Told>;

    fn delivery(&self, result: &DeliveryResult<'_>, told: Box<Told>) {
        let (message, outcome) = match result {
            Ok(message) => (message, Ok(())),
            Err((error, message)) => (message, Err(error.clone())),
        };
        // Who no longer waits for it is not told.
        let _ = told.send(outcome);
        let mut lanes = self.0.lanes();
        let lane = lanes.get_mut(message.topic()).and_then(|lanes| lanes.get_mut(&message.partition()));
        if let Some(lane) = lane {
            let group = lane.arrived();
            self.0.send_all(message.topic(), message.partition(), lane, group);
        }
    }
}

impl Traffic {
    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives librdkafka what has waited; where there is no producer any more, its senders learn that.
    fn send_all(
        &self,
        topic: &str,
        partition: i32,
        lane: &mut Lane<Waiting>,
        group: impl IntoIterator<Item = (i64, Waiting)>,
    ) {
        for (_, record) in group {
            self.waiting_bytes.fetch_sub(record.bytes(), Ordering::Relaxed);
            if let Some(producer) = self.producer.get().and_then(Weak::upgrade)
                && let Err((error, told)) = send(&producer, topic, partition, lane, record)
            {
                let _ = told.send(Err(error));
            }
        }
    }

    fn send_overdue(&self) {
        let since_ms = self.clock.monotonic_ms() - WAIT_MS_MAX as i64;
        for (topic, lanes) in self.lanes().iter_mut() {
            for (partition, lane) in lanes {
                let group = lane.overdue(since_ms);
                self.send_all(topic, *partition, lane, group);
            }
        }
    }
}

fn send(
    producer: &BaseProducer<Arrivals>,
    topic: &str,
    partition: i32,
    lane: &mut Lane<Waiting>,
    record: Waiting,
) -> Result<(), (KafkaError, Told)> {
    let Waiting { key, value, told } = record;
    let message = BaseRecord::<[u8], [u8], Box<Told>>::with_opaque_to(topic, Box::new(told))
        .partition(partition)
        .key(&key)
        .payload(&value);
    // A full queue is the bound: who appends is told at once.
    producer.send(message).map_err(|(error, message)| (error, *message.delivery_opaque))?;
    lane.set_out();
    Ok(())
}

/// The producer of single records, with a thread that listens for their acknowledgements as long as it is there.
pub(super) struct Single {
    producer: Arc<BaseProducer<Arrivals>>,
    traffic: Arc<Traffic>,
}

impl Single {
    pub(super) fn connect(config: &KafkaConfig) -> Result<Self, LogError> {
        let traffic = Arc::new(Traffic {
            lanes: Mutex::default(),
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
                    producer.poll(Duration::from_millis(LISTEN_MS));
                    traffic.send_overdue();
                }
            }
        };
        let started = thread::Builder::new().name("kafka-append".to_owned()).spawn(listen);
        started.map_err(|e| LogError::Away(format!("the thread for acknowledgements: {e}")))?;
        Ok(Self { producer, traffic })
    }

    /// Appends one record to a topic of that name; done when every copy of the partition has it. Needs a runtime with timers.
    pub(super) async fn append(&self, entry: Entry, topic: &str) -> Result<(), LogError> {
        let (told, mut outcome) = oneshot::channel();
        self.start(entry, topic, told)?;
        // Whoever has waited for those before it for too long sets out with all others of its lane.
        let overdue = Duration::from_millis(WAIT_MS_MAX + 1);
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

    fn start(&self, entry: Entry, topic: &str, told: Told) -> Result<(), LogError> {
        let record = Waiting { key: entry.key, value: entry.value, told };
        let (bytes, partition) = (record.bytes(), entry.partition as i32);
        let mut lanes = self.traffic.lanes();
        if !lanes.contains_key(topic) {
            lanes.insert(topic.to_owned(), BTreeMap::new());
        }
        let Some(lane) = lanes.get_mut(topic).map(|lanes| lanes.entry(partition).or_default()) else { return Ok(()) };
        if self.traffic.waiting_bytes.load(Ordering::Relaxed) + bytes > WAITING_BYTES_MAX {
            return Err(LogError::Away(format!("{topic}: more than {} MiB wait", WAITING_BYTES_MAX >> 20)));
        }
        if let Some(record) = lane.enter(record, self.traffic.clock.monotonic_ms()) {
            send(&self.producer, topic, partition, lane, record).map_err(|(error, _)| away(topic, &error))
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
        let single = Single::connect(&KafkaConfig::new("127.0.0.1:1")).expect("a producer needs no broker yet");
        let mut refused = Vec::new();
        let mut outcomes = Vec::new();
        for _ in 0..200 {
            let entry = Entry { topic: Topic::Signals, partition: 0, key: Vec::new(), value: vec![0; 1 << 20] };
            let (told, outcome) = oneshot::channel();
            outcomes.push(outcome);
            refused.extend(single.start(entry, "signals", told).err());
        }
        // As much again may have been given to librdkafka meanwhile.
        assert!((70..=135).contains(&refused.len()), "{} of 200 were refused", refused.len());
        assert!(refused.iter().all(|error| matches!(error, LogError::Away(_))), "{:?}", refused[0]);
        drop(single);
        for mut outcome in outcomes {
            assert!(!matches!(outcome.try_recv(), Ok(Ok(()))), "none has arrived");
        }
    }
}
