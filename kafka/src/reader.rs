//! Reads committed records.
//!
//! A reader keeps to one partition: librdkafka aborts the process if an assignment is changed before it has begun.

use std::time::Duration;

use logystera_infra::clock::Stopwatch;
use logystera_infra::log::{LogError, Record};
use logystera_schemas::limits::TASK_READ_BYTES_MAX;
use rdkafka::ClientConfig;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::client::{Consuming, FETCH_WAIT_MS, TASK_FETCH_WAIT_MS, away, consumer, consuming};
use crate::config::KafkaConfig;

/// How long going to another offset may take.
const SEEK_WAIT: Duration = Duration::from_secs(10);
/// How long a read waits for records that the brokers say are there.
pub(crate) const READ_WAIT: Duration = Duration::from_secs(10);
/// The same of a reader that follows, once the end was seen: what is left may only be marks of transactions, or records
/// newer than that end. If they take longer than this to come, the read gives none: it is asked again anyway.
pub(crate) const END_WAIT: Duration = Duration::from_millis(100);
/// Bytes of spent records that are kept to use their memory again: twice what a task reads at once.
const SPENT_BYTES_MAX: usize = 2 * TASK_READ_BYTES_MAX;

/// Reads one partition.
pub(crate) struct Reader {
    consumer: Consuming,
    topic: String,
    partition: u32,
    /// How long the brokers wait for records, milliseconds.
    wait_ms: u64,
    /// Offset to read next.
    next: u64,
    /// A record that did not fit the read before.
    left: Option<Record>,
    /// Records whose memory serves again.
    spent: Vec<Record>,
    /// Whether the end was seen since the newest record.
    end_seen: bool,
    /// Everything before this offset was read: behind the newest record stand only marks of transactions.
    complete_to: u64,
    /// Whether the brokers are asked from where it stands since the bounds were: the next end that is seen is not older.
    asked_anew: bool,
    /// Whether the broker has the next record no more.
    lost: bool,
}

impl Reader {
    /// A reader that stands at `from`, and goes on behind what the broker has no more. The brokers may wait `wait_ms` for
    /// records.
    pub(crate) fn open(
        config: &KafkaConfig,
        topic: &str,
        partition: u32,
        from: u64,
        wait_ms: u64,
    ) -> Result<Self, LogError> {
        Self::new(config, topic, partition, (from, "earliest"), wait_ms)
    }

    /// A task's reader, which stands at `from`, never goes elsewhere, and stops if the broker has the next record no
    /// more: see [`Self::has_lost`].
    pub(crate) fn open_strict(config: &KafkaConfig, topic: &str, partition: u32, from: u64) -> Result<Self, LogError> {
        Self::new(config, topic, partition, (from, "error"), TASK_FETCH_WAIT_MS)
    }

    fn new(
        config: &KafkaConfig,
        topic: &str,
        partition: u32,
        (from, reset): (u64, &str),
        wait_ms: u64,
    ) -> Result<Self, LogError> {
        let mut settings = consumer(config);
        settings.set("fetch.wait.max.ms", wait_ms.to_string());
        let consumer = assigned(settings, topic, [(partition, Offset::Offset(from as i64))].into_iter(), reset)?;
        Ok(Self {
            consumer,
            topic: topic.to_owned(),
            partition,
            wait_ms,
            next: from,
            left: None,
            spent: Vec::new(),
            end_seen: false,
            complete_to: 0,
            asked_anew: true,
            lost: false,
        })
    }

    /// Whether the broker has the next record no more, though it was there.
    pub(crate) fn has_lost(&self) -> bool {
        self.lost
    }

    /// Offset of the next record.
    pub(crate) fn next(&self) -> u64 {
        self.left.as_ref().map_or(self.next, |left| left.offset)
    }

    fn follows(&self) -> bool {
        self.wait_ms > FETCH_WAIT_MS
    }

    /// Whether it reads this partition, and in this way.
    pub(crate) fn is_of(&self, topic: &str, partition: u32, wait_ms: u64) -> bool {
        (self.topic.as_str(), self.partition, self.wait_ms) == (topic, partition, wait_ms)
    }

    /// Whether the partition's end was seen behind the newest record.
    pub(crate) fn is_at_end(&self) -> bool {
        self.end_seen && self.left.is_none()
    }

    /// Goes to an offset.
    pub(crate) fn go_to(&mut self, from: u64) -> Result<(), LogError> {
        if self.next == from {
            return Ok(());
        }
        (self.next, self.left, self.complete_to) = (from, None, 0);
        self.ask_anew()
    }

    /// Has the brokers asked from where it stands. What they answered before is forgotten.
    fn ask_anew(&mut self) -> Result<(), LogError> {
        let (offset, partition) = (Offset::Offset(self.next as i64), self.partition as i32);
        self.consumer.seek(&self.topic, partition, offset, SEEK_WAIT).map_err(|e| away(&self.topic, &e))?;
        (self.end_seen, self.asked_anew) = (false, true);
        Ok(())
    }

    /// The next records before the partition's end, which is at `end` and was asked for just now: at least one if there
    /// is one, then as many as have arrived and fit `bytes_max`. One that follows may give none though there are some.
    pub(crate) fn read_before(&mut self, end: u64, bytes_max: usize) -> Result<Vec<Record>, LogError> {
        if self.next.max(self.complete_to) >= end {
            return Ok(Vec::new());
        }
        if self.follows() {
            return self.read_some(if self.end_seen { END_WAIT } else { READ_WAIT }, bytes_max, true);
        }
        let read = self.read_all_before(end, bytes_max);
        self.asked_anew = false;
        read
    }

    /// An end that was seen may be older than `end`: only if the brokers were asked since is it known that nothing is
    /// left.
    fn read_all_before(&mut self, end: u64, bytes_max: usize) -> Result<Vec<Record>, LogError> {
        let stopwatch = Stopwatch::start();
        loop {
            let left = if self.end_seen { Duration::ZERO } else { READ_WAIT.saturating_sub(stopwatch.elapsed()) };
            let records = self.read_some(left, bytes_max, true)?;
            if !records.is_empty() {
                return Ok(records);
            }
            if !self.end_seen {
                return Err(LogError::Away(format!("{}: the brokers do not give what they say is there", self.topic)));
            }
            if self.asked_anew {
                self.complete_to = end;
                return Ok(records);
            }
            self.ask_anew()?;
        }
    }

    /// The next records, waiting up to `wait` for the first, then as many as have arrived and fit `bytes_max`.
    pub(crate) fn read(&mut self, wait: Duration, bytes_max: usize) -> Result<Vec<Record>, LogError> {
        self.read_some(wait, bytes_max, false)
    }

    /// Takes back records of a read: their memory serves the next ones.
    pub(crate) fn take_back(&mut self, records: Vec<Record>) {
        keep(&mut self.spent, records);
    }

    fn read_some(&mut self, wait: Duration, bytes_max: usize, to_end: bool) -> Result<Vec<Record>, LogError> {
        let (mut records, mut bytes) = (Vec::new(), 0);
        let (stopwatch, mut wait, mut lost_contact) = (Stopwatch::start(), wait, None);
        loop {
            let left = if records.is_empty() { wait.saturating_sub(stopwatch.elapsed()) } else { Duration::ZERO };
            let record = match self.left.take() {
                Some(record) => record,
                None => match self.consumer.poll(whole_ms(left)) {
                    Some(Ok(message)) => record(&message, self.spent.pop()),
                    Some(Err(KafkaError::PartitionEOF(_))) => {
                        (self.end_seen, lost_contact) = (true, None);
                        if to_end {
                            let more = if self.follows() { END_WAIT } else { Duration::ZERO };
                            wait = wait.min(stopwatch.elapsed() + more);
                        }
                        continue;
                    }
                    Some(Err(error)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AutoOffsetReset) => {
                        self.lost = true;
                        return Ok(records);
                    }
                    Some(Err(error)) if is_lost_contact(&error) => {
                        lost_contact = Some(error);
                        continue;
                    }
                    Some(Err(error)) => return Err(away(&self.topic, &error)),
                    None if records.is_empty() && stopwatch.elapsed() < wait => continue,
                    None => {
                        let error = lost_contact.filter(|_| records.is_empty());
                        return error.map_or(Ok(records), |error| Err(away(&self.topic, &error)));
                    }
                },
            };
            let size = record.key.len() + record.value.len();
            if !records.is_empty() && bytes + size > bytes_max {
                self.left = Some(record);
                return Ok(records);
            }
            (self.next, self.end_seen) = (record.offset + 1, false);
            bytes += size;
            records.push(record);
        }
    }
}

/// Whether a connection ended, or for a moment there was none: the library makes another by itself. It says so of any
/// connection, also of one that it needs no more, so that only a wait that brings nothing shows that the brokers are
/// away.
pub(crate) fn is_lost_contact(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure};
    matches!(error.rdkafka_error_code(), Some(AllBrokersDown | BrokerTransportFailure))
}

/// The library counts in milliseconds, and goes in circles for what is left of one.
pub(crate) fn whole_ms(wait: Duration) -> Duration {
    Duration::from_millis(wait.as_micros().div_ceil(1_000) as u64)
}

pub(crate) fn assigned(
    mut settings: ClientConfig,
    topic: &str,
    partitions: impl Iterator<Item = (u32, Offset)>,
    reset: &str,
) -> Result<Consuming, LogError> {
    settings.set("enable.partition.eof", "true").set("auto.offset.reset", reset);
    let consumer = consuming(&settings, "the consumer")?;
    assign(&consumer, topic, partitions)?;
    Ok(consumer)
}

/// Has a consumer read these partitions from here on, and no others.
pub(crate) fn assign(
    consumer: &Consuming,
    topic: &str,
    partitions: impl Iterator<Item = (u32, Offset)>,
) -> Result<(), LogError> {
    let mut list = TopicPartitionList::new();
    for (partition, from) in partitions {
        let added = list.add_partition_offset(topic, partition as i32, from);
        added.map_err(|e| away(topic, &e))?;
    }
    consumer.assign(&list).map_err(|e| away(topic, &e))
}

/// Adds as many of `records` to the spent ones as there is room for.
fn keep(spent: &mut Vec<Record>, records: Vec<Record>) {
    let bytes_of = |record: &Record| record.key.capacity() + record.value.capacity();
    let mut bytes: usize = spent.iter().map(bytes_of).sum();
    spent.extend(records.into_iter().filter(|record| {
        let fits = bytes + bytes_of(record) <= SPENT_BYTES_MAX;
        bytes += if fits { bytes_of(record) } else { 0 };
        fits
    }));
}

/// The message as a record, in the memory of a spent one.
fn record(message: &BorrowedMessage<'_>, spent: Option<Record>) -> Record {
    let Record { mut key, mut value, .. } = spent.unwrap_or_default();
    let fill = |to: &mut Vec<u8>, from: Option<&[u8]>| {
        to.clear();
        to.extend_from_slice(from.unwrap_or_default());
    };
    fill(&mut key, message.key());
    fill(&mut value, message.payload());
    Record { offset: message.offset().max(0) as u64, key, value }
}

#[cfg(test)]
mod tests {
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

    use super::*;

    /// The library's own model of a broker: a real one would be away for all tests.
    #[test]
    fn a_broker_that_is_away_for_a_moment_is_waited_for_and_one_that_stays_away_is_told() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 1, 1).unwrap();
        let config = KafkaConfig::new(&cluster.bootstrap_servers());
        let producer: BaseProducer = crate::client::admin(&config).create().unwrap();
        producer.send(BaseRecord::<(), [u8]>::to("t").partition(0).payload(b"x")).unwrap();
        producer.flush(READ_WAIT).unwrap();
        cluster.broker_down(1).unwrap();
        let mut reader = Reader::open(&config, "t", 0, 0, FETCH_WAIT_MS).unwrap();
        let reading = std::thread::spawn(move || (reader.read_before(1, 1_000), reader));
        std::thread::sleep(Duration::from_millis(1_500));
        cluster.broker_up(1).unwrap();
        let (back, mut reader) = reading.join().unwrap();
        assert_eq!(back.unwrap().len(), 1);
        cluster.broker_down(1).unwrap();
        let away = reader.read(Duration::from_secs(2), 1_000).unwrap_err();
        assert!(away.to_string().contains("down"), "{away}");
    }

    #[test]
    fn no_more_is_kept_for_its_memory_than_has_room() {
        let record = |bytes| Record { offset: 1, key: Vec::new(), value: Vec::with_capacity(bytes) };
        let mut spent = vec![record(SPENT_BYTES_MAX - 100)];
        keep(&mut spent, vec![record(60), record(SPENT_BYTES_MAX), record(60), record(40)]);
        let kept: Vec<_> = spent.iter().map(|record| record.value.capacity()).collect();
        assert_eq!(kept, [SPENT_BYTES_MAX - 100, 60, 40]);
    }

    #[test]
    fn a_wait_is_rounded_up_to_milliseconds() {
        for (micros, ms) in [(0, 0), (1, 1), (999, 1), (1_000, 1), (1_001, 2), (249_999, 250)] {
            assert_eq!(whole_ms(Duration::from_micros(micros)), Duration::from_millis(ms), "{micros} us");
        }
    }
}
