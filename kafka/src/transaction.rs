//! Transactions, with librdkafka's traps behind one small type.
//!
//! A commit through the library alone waits in steps of 100 ms, because its flush polls for that long; an abort with
//! undelivered records waits out its whole timeout. So everything is delivered, or thrown away, before either is
//! called.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use logystera_infra::clock::Stopwatch;
use logystera_infra::log::{Entry, LogError};
use logystera_schemas::limits::{KAFKA_COMMIT_TRIES, KAFKA_DELIVERY_MS_MAX, KAFKA_TRANSACTION_MS_MAX};
use logystera_schemas::topic::Topic;
use metrics::Counter;
use rdkafka::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext, PurgeConfig};
use rdkafka::types::RDKafkaErrorCode;

use crate::client::{away, is_fenced, transactional};
use crate::config::KafkaConfig;
use crate::library_log;

/// How long fencing the owner before, a commit, or an abort may take.
const COORDINATOR_WAIT: Duration = Duration::from_secs(20);
/// How long each answer of a cluster may take to which the producer connects.
const CONNECT_WAIT: Duration = Duration::from_millis(500);
/// How long a delivery is waited for at a time. Short, because a commit waits for the last one.
const DELIVERY_STEP: Duration = Duration::from_micros(200);

/// Notes the first record that could not be delivered, and how far those of some topics reach.
#[derive(Default)]
struct Deliveries {
    failed: Mutex<Option<KafkaError>>,
    /// The topics.
    noted: Vec<String>,
    /// For each of their partitions that got a record, one past the newest one: by place among the topics, and
    /// partition.
    ends: Mutex<BTreeMap<(usize, u32), u64>>,
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, kind: &str, text: &str) {
        library_log::line(level, kind, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        library_log::error(&error.to_string(), reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(message) => {
                if let Some(place) = self.noted.iter().position(|topic| topic == message.topic()) {
                    let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
                    let end = ends.entry((place, message.partition() as u32)).or_default();
                    *end = (*end).max(message.offset() as u64 + 1);
                }
            }
            Err((error, _)) => {
                self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error.clone());
            }
        }
    }
}

/// A record of a transaction.
#[derive(Debug)]
pub(crate) struct Outgoing<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: u32,
    pub(crate) key: Cow<'a, [u8]>,
    /// None deletes the key from a compacted topic.
    pub(crate) value: Option<Cow<'a, [u8]>>,
}

impl<'a> Outgoing<'a> {
    /// The record for an entry, in the topic of that name.
    pub(crate) fn of(entry: &'a Entry, topic: &'a str) -> Self {
        let value = Some(Cow::Borrowed(entry.value.as_slice()));
        Self { topic, partition: entry.partition, key: Cow::Borrowed(&entry.key), value }
    }
}

/// The one producer with a transactional id: the next one with the id fences it.
pub(crate) struct Transactions {
    producer: BaseProducer<Deliveries>,
    fenced: bool,
    aborted: Counter,
}

impl std::fmt::Debug for Transactions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transactions").field("fenced", &self.fenced).finish_non_exhaustive()
    }
}

/// A producer with a transactional id that has fenced nobody yet. It connects by itself, on a thread of its own.
pub(crate) struct Unfenced {
    connecting: JoinHandle<BaseProducer<Deliveries>>,
}

impl Unfenced {
    /// Begins to connect.
    ///
    /// If the library is connected to no broker when it looks for the coordinator, it looks again after 50 or 500 ms. It
    /// leaves the broker that it was given as soon as it knows the cluster's. So it is asked for something first, once
    /// to learn them and once to be connected to one.
    pub(crate) fn connect(config: &KafkaConfig, id: &str, noted: Vec<String>) -> Result<Self, LogError> {
        let settings = transactional(config, id, KAFKA_TRANSACTION_MS_MAX);
        let context = Deliveries { noted, ..Deliveries::default() };
        let producer = BaseProducer::from_config_and_context(&settings, context);
        let producer = producer.map_err(|e| away("the transactional producer", &e))?;
        let topic = config.topic(Topic::Control, 0);
        let connect = move || {
            for _ in 0..2 {
                // A cluster that does not answer is told of by what follows.
                drop(producer.client().fetch_metadata(Some(&topic), CONNECT_WAIT));
            }
            producer
        };
        let started = thread::Builder::new().name("kafka-connect".to_owned()).spawn(connect);
        let connecting = started.map_err(|e| LogError::Away(format!("the thread that connects: {e}")))?;
        Ok(Self { connecting })
    }

    /// Fences every producer that had this id, and aborts what it had open.
    pub(crate) fn take_over(self, aborted: Counter) -> Result<Transactions, LogError> {
        let joined = self.connecting.join();
        let producer = joined.map_err(|_| LogError::Away("the thread that connects has ended".to_owned()))?;
        producer.init_transactions(COORDINATOR_WAIT).map_err(|e| away("fencing the owner before", &e))?;
        Ok(Transactions { producer, fenced: false, aborted })
    }
}

impl Transactions {
    /// Fences every producer that had this id, and aborts what it had open.
    pub(crate) fn take_over(config: &KafkaConfig, id: &str) -> Result<Self, LogError> {
        Self::noting(config, id, Vec::new(), Counter::noop())
    }

    /// The same; notes how far the records of these topics reach, and counts what it aborts.
    pub(crate) fn noting(
        config: &KafkaConfig,
        id: &str,
        noted: Vec<String>,
        aborted: Counter,
    ) -> Result<Self, LogError> {
        Unfenced::connect(config, id, noted)?.take_over(aborted)
    }

    /// For each partition of a noted topic that got a record in the newest transaction, one past the last one.
    pub(crate) fn ends(&self, topic: usize) -> BTreeMap<u32, u64> {
        let ends = self.producer.context().ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.iter().filter(|((of, _), _)| *of == topic).map(|((_, partition), end)| (*partition, *end)).collect()
    }

    /// Makes all records visible at once, or none.
    pub(crate) fn commit<'a>(&mut self, records: impl Iterator<Item = Outgoing<'a>>) -> Result<(), LogError> {
        if self.fenced {
            return Err(LogError::Fenced);
        }
        let done = self.try_commit(records);
        self.fenced = matches!(done, Err(LogError::Fenced));
        done
    }

    fn try_commit<'a>(&mut self, records: impl Iterator<Item = Outgoing<'a>>) -> Result<(), LogError> {
        let deliveries = self.producer.context();
        *deliveries.failed.lock().unwrap_or_else(PoisonError::into_inner) = None;
        deliveries.ends.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.producer.begin_transaction().map_err(|e| self.gone("beginning a transaction", &e))?;
        if let Err(error) = self.deliver(records) {
            return Err(self.abort(&error));
        }
        for _ in 0..KAFKA_COMMIT_TRIES {
            match self.producer.commit_transaction(COORDINATOR_WAIT) {
                Ok(()) => return Ok(()),
                Err(KafkaError::Transaction(e)) if e.txn_requires_abort() => {
                    return Err(self.abort(&KafkaError::Transaction(e)));
                }
                Err(KafkaError::Transaction(e)) if e.is_retriable() => {}
                Err(error) if is_fenced(&error) => return Err(self.gone("committing", &error)),
                Err(error) => return Err(LogError::Ambiguous(error.to_string())),
            }
        }
        Err(LogError::Ambiguous("the coordinator does not answer".to_owned()))
    }

    /// Hands all records to the brokers and waits until they have them.
    fn deliver<'a>(&self, records: impl Iterator<Item = Outgoing<'a>>) -> Result<(), KafkaError> {
        for record in records {
            self.send(&record)?;
        }
        let stopwatch = Stopwatch::start();
        while self.producer.in_flight_count() > 0 {
            if stopwatch.elapsed() > Duration::from_millis(KAFKA_DELIVERY_MS_MAX) + COORDINATOR_WAIT {
                return Err(KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut));
            }
            self.serve();
        }
        match self.producer.context().failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn send(&self, record: &Outgoing<'_>) -> Result<(), KafkaError> {
        let mut outgoing =
            BaseRecord::<[u8], [u8]>::to(record.topic).partition(record.partition as i32).key(&*record.key);
        if let Some(value) = &record.value {
            outgoing = outgoing.payload(value);
        }
        loop {
            match self.producer.send(outgoing) {
                Ok(()) => return Ok(()),
                // The queue's bound: deliveries make room, and their own timeout ends the wait.
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                    outgoing = again;
                    self.serve();
                }
                Err((error, _)) => return Err(error),
            }
        }
    }

    /// Takes the delivery reports that are there. The library's poll waits for its whole timeout even if one is there.
    fn serve(&self) {
        let before = self.producer.in_flight_count();
        self.producer.poll(Duration::ZERO);
        if self.producer.in_flight_count() == before {
            thread::sleep(DELIVERY_STEP);
        }
    }

    /// Aborts the transaction. Gives the cause as the log's error.
    fn abort(&mut self, cause: &KafkaError) -> LogError {
        if is_fenced(cause) {
            return self.gone("a transaction", cause);
        }
        self.aborted.increment(1);
        self.producer.purge(PurgeConfig::default().queue().inflight());
        while self.producer.in_flight_count() > 0 {
            self.serve();
        }
        match self.producer.abort_transaction(COORDINATOR_WAIT) {
            Ok(()) => away("a transaction was aborted", cause),
            Err(error) => self.gone("aborting a transaction", &error),
        }
    }

    fn gone(&self, what: &str, error: &KafkaError) -> LogError {
        if is_fenced(error) || self.producer.client().fatal_error().is_some_and(|(code, _)| is_fence(code)) {
            return LogError::Fenced;
        }
        away(what, error)
    }
}

fn is_fence(code: RDKafkaErrorCode) -> bool {
    is_fenced(&KafkaError::Global(code))
}
