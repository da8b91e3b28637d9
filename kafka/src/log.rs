//! The log, to append records of one's own or only to read.

use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use logystera_infra::log::{Entry, Log, LogError, Record};
use logystera_infra::secrets::random_bytes;
use logystera_schemas::ids::KeyGroup;
use logystera_schemas::limits::LOG_READERS_KEPT_MAX;
use logystera_schemas::partition::{Generation, PartitionRef};
use logystera_schemas::topic::Topic;
use metrics::Counter;

use crate::bounds::Bounds;
use crate::client::{COMMAND_FETCH_WAIT_MS, FETCH_WAIT_MS, FOLLOW_FETCH_WAIT_MS};
use crate::config::KafkaConfig;
use crate::growth::{AppendPermit, Layouts, WriteLease};
use crate::producer::Producer;
use crate::reader::Reader;
use crate::transaction::{Outgoing, Transactions, Unfenced};

/// The log on Kafka; its clones are the same.
#[derive(Clone)]
pub struct KafkaLog {
    shared: Arc<Shared>,
    layouts: Arc<Layouts>,
    writes: Writes,
    /// How long the brokers may wait for records that it asks for, milliseconds.
    wait_ms: u64,
}

/// A sole writer to be: see [`KafkaLog::next_writer`].
pub struct NextWriter(Unfenced);

impl std::fmt::Debug for NextWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NextWriter").finish_non_exhaustive()
    }
}

/// How a log is written to.
#[derive(Clone)]
enum Writes {
    /// At any time: the caller knows that nothing grows.
    Freely,
    /// To topic `signals` through a lease.
    Through(WriteLease),
    /// In transactions of the sole writer of a name; this log and its clones share them. The next one to take the name,
    /// on the same connection or another, fences them for good. None: fenced, or failed.
    Alone(Arc<Mutex<Option<Transactions>>>),
}

struct Shared {
    config: Arc<KafkaConfig>,
    /// Made when it is first needed: most commands only read, or write in transactions.
    producer: OnceLock<Producer>,
    /// Appends several records at once if writes are free; made when it is first needed.
    transactions: Mutex<Option<Transactions>>,
    /// Readers of partitions that were read lately, the newest last.
    readers: Mutex<Vec<Reader>>,
    bounds: Bounds,
}

impl Shared {
    fn producer(&self) -> Result<&Producer, LogError> {
        if let Some(producer) = self.producer.get() {
            return Ok(producer);
        }
        // Of two that are made at once, one is used.
        let made = Producer::connect(&self.config)?;
        Ok(self.producer.get_or_init(|| made))
    }
}

impl std::fmt::Debug for KafkaLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaLog").field("brokers", &self.shared.config.brokers).finish_non_exhaustive()
    }
}

impl KafkaLog {
    pub(crate) fn connect(config: &Arc<KafkaConfig>, layouts: &Arc<Layouts>) -> Result<Self, LogError> {
        let shared = Shared {
            config: Arc::clone(config),
            producer: OnceLock::new(),
            transactions: Mutex::default(),
            readers: Mutex::default(),
            bounds: Bounds::committed(config)?,
        };
        Ok(Self {
            shared: Arc::new(shared),
            layouts: Arc::clone(layouts),
            writes: Writes::Freely,
            wait_ms: FETCH_WAIT_MS,
        })
    }

    /// The same log, with its topics laid out like this.
    #[must_use]
    pub fn with_layouts(&self, layouts: Layouts) -> Self {
        Self { layouts: Arc::new(layouts), ..self.clone() }
    }

    /// The same log, written to while `lease` is open, and laid out as that says.
    #[must_use]
    pub fn through(&self, lease: WriteLease) -> Self {
        Self { writes: Writes::Through(lease), ..self.clone() }
    }

    /// The same log for the sole writer that `name` stands for. The one before is fenced: what it has not committed yet
    /// will not be.
    pub fn sole_writer(&self, name: &str) -> Result<Self, LogError> {
        self.written_by(self.next_writer(name)?)
    }

    /// Who will be the sole writer that `name` stands for. It connects while its caller does something else, and fences
    /// nobody yet.
    pub fn next_writer(&self, name: &str) -> Result<NextWriter, LogError> {
        let id = format!("{}{name}", self.shared.config.prefix);
        Unfenced::connect(&self.shared.config, &id, Vec::new()).map(NextWriter)
    }

    /// The same log for the sole writer, who takes over now: see [`Self::sole_writer`].
    pub fn written_by(&self, next: NextWriter) -> Result<Self, LogError> {
        let transactions = next.0.take_over(Counter::noop())?;
        Ok(Self { writes: Writes::Alone(Arc::new(Mutex::new(Some(transactions)))), ..self.clone() })
    }

    /// Whether the cluster has a topic, in its first generation.
    pub fn has_topic(&self, topic: Topic) -> Result<bool, LogError> {
        self.shared.bounds.has_topic(&self.shared.config.topic(topic, 0))
    }

    /// The same log, for a reader that follows partitions: if nothing comes that costs the brokers next to nothing, but
    /// to go elsewhere takes half a second. What was read before, in the other way, is not followed any more.
    #[must_use]
    pub fn followed(self) -> Self {
        self.shared.readers.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Self { wait_ms: FOLLOW_FETCH_WAIT_MS, ..self }
    }

    /// The same log, for a command: somebody waits for what it reads, and it soon ends.
    #[must_use]
    pub fn for_command(self) -> Self {
        Self { wait_ms: COMMAND_FETCH_WAIT_MS, ..self }
    }

    /// Begins to read a topic's first partition from its start, while the caller does something else. The next read from there
    /// finds what has come meanwhile.
    pub fn begin_reading(&self, topic: Topic) -> Result<(), LogError> {
        let name = self.shared.config.topic(topic, self.generation(topic).number);
        let reader = Reader::open(&self.shared.config, &name, 0, 0, self.wait_ms)?;
        self.shared.readers.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
        Ok(())
    }

    /// How the topics are laid out, as far as this log knows.
    pub fn layouts(&self) -> &Layouts {
        &self.layouts
    }

    /// Offsets of a partition of any generation.
    pub fn bounds_at(&self, topic: Topic, place: PartitionRef) -> Result<Range<u64>, LogError> {
        self.shared.bounds.get(&self.shared.config.topic(topic, place.generation.number), place.partition)
    }

    fn generation(&self, topic: Topic) -> Generation {
        match &self.writes {
            Writes::Through(lease) if topic == Topic::Signals => lease.generation(),
            _ => self.layouts.written(topic),
        }
    }

    fn place(&self, topic: Topic, partition: u32) -> PartitionRef {
        PartitionRef { generation: self.generation(topic), partition }
    }

    /// Lets the entries through, or not. A keyed entry must be in its key's partition: the partitions may have grown
    /// since the caller chose it.
    fn permit(&self, entries: &[Entry]) -> Result<Option<AppendPermit<'_>>, LogError> {
        let Writes::Through(lease) = &self.writes else { return Ok(None) };
        if entries.iter().all(|entry| entry.topic != Topic::Signals) {
            return Ok(None);
        }
        let permit = lease.enter()?;
        let partitions = permit.generation.partitions;
        let strays = |entry: &&Entry| {
            let own = std::str::from_utf8(&entry.key).map(|key| KeyGroup::of(key).partition(partitions));
            entry.topic == Topic::Signals && !entry.key.is_empty() && own != Ok(entry.partition)
        };
        match entries.iter().find(strays) {
            Some(_) => Err(LogError::Away("the partitions of topic signals have just grown".to_owned())),
            None => Ok(Some(permit)),
        }
    }

    fn append_all(&self, entries: &[Entry], topics: &[String]) -> Result<(), LogError> {
        let config = &self.shared.config;
        let own = match &self.writes {
            Writes::Alone(own) => own,
            Writes::Freely | Writes::Through(_) => &self.shared.transactions,
        };
        let mut transactions = own.lock().unwrap_or_else(PoisonError::into_inner);
        let open = if let Some(open) = transactions.take() {
            open
        } else if let Writes::Alone(_) = self.writes {
            return Err(LogError::Fenced);
        } else {
            let id = format!("{}append-{:016x}", config.prefix, u64::from_be_bytes(random_bytes()));
            Transactions::take_over(config, &id)?
        };
        // One that failed is not used again.
        let open = transactions.insert(open);
        let records = entries.iter().zip(topics).map(|(entry, topic)| Outgoing::of(entry, topic));
        let done = open.commit(records);
        if done.is_err() {
            *transactions = None;
        }
        done
    }
}

impl Log for KafkaLog {
    fn partitions(&self, topic: Topic) -> u32 {
        self.generation(topic).partitions
    }

    async fn append(&self, mut entries: Vec<Entry>) -> Result<(), LogError> {
        let permit = self.permit(&entries)?;
        // The generation that was let through, even if it is no longer the one that is written.
        let generation = |topic| match &permit {
            Some(permit) if topic == Topic::Signals => permit.generation,
            _ => self.generation(topic),
        };
        let name = |entry: &Entry| self.shared.config.topic(entry.topic, generation(entry.topic).number);
        let topics: Vec<String> = entries.iter().map(name).collect();
        match topics.as_slice() {
            [] => return Ok(()),
            // One record: nothing else has to be there with it, so that it waits for its own acknowledgement alone.
            [topic] if !matches!(self.writes, Writes::Alone(_)) => {
                if let Some(entry) = entries.pop() {
                    self.shared.producer()?.append(entry, topic).await?;
                }
            }
            _ => {
                let log = self.clone();
                let done = tokio::task::spawn_blocking(move || log.append_all(&entries, &topics)).await;
                done.unwrap_or_else(|error| Err(LogError::Away(error.to_string())))?;
            }
        }
        permit.map_or(Ok(()), |permit| permit.check())
    }

    fn is_open(&self) -> bool {
        match &self.writes {
            Writes::Through(lease) => lease.is_open(),
            Writes::Freely | Writes::Alone(_) => true,
        }
    }

    fn bounds(&self, topic: Topic, partition: u32) -> Result<Range<u64>, LogError> {
        self.bounds_at(topic, self.place(topic, partition))
    }

    fn read(&self, topic: Topic, partition: u32, from: u64, bytes_max: usize) -> Result<Vec<Record>, LogError> {
        self.read_at(topic, self.place(topic, partition), from, bytes_max)
    }
}

impl KafkaLog {
    /// Records of a partition of any generation, as [`Log::read`].
    pub fn read_at(
        &self,
        topic: Topic,
        place: PartitionRef,
        from: u64,
        bytes_max: usize,
    ) -> Result<Vec<Record>, LogError> {
        let (name, partition) = (self.shared.config.topic(topic, place.generation.number), place.partition);
        let bounds = self.shared.bounds.get(&name, partition)?;
        let from = from.max(bounds.start);
        if from >= bounds.end {
            return Ok(Vec::new());
        }
        let mut readers = self.shared.readers.lock().unwrap_or_else(PoisonError::into_inner);
        // Taken out, so that one that failed is not used again.
        let mut reader = match readers.iter().position(|reader| reader.is_of(&name, partition, self.wait_ms)) {
            Some(place) => readers.remove(place),
            None => Reader::open(&self.shared.config, &name, partition, from, self.wait_ms)?,
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
