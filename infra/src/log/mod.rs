//! What the system needs of a log and a store, small enough that SQLite in one file and Kafka with ScyllaDB both fit.
//!
//! Reads, commits and takeovers block: a task owns a thread (librdkafka's transactional producer is synchronous too).
//! Only the gateway's append is asynchronous, because thousands of requests wait on it.

pub mod embedded;

use std::future::Future;
use std::ops::Range;
use std::time::Duration;

use logystera_schemas::topic::Topic;

/// A record to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Topic.
    pub topic: Topic,
    /// Partition: the key group's, mod the topic's partitions. 0 when embedded.
    pub partition: u32,
    /// What the topic is keyed by; empty for a tick.
    pub key: Vec<u8>,
    /// Single-object encoding of the record.
    pub value: Vec<u8>,
}

/// A record as it stands in the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Its place in its partition. Offsets rise; gaps are legal.
    pub offset: u64,
    /// What the topic is keyed by.
    pub key: Vec<u8>,
    /// Single-object encoding of the record.
    pub value: Vec<u8>,
}

/// Why the log did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Nothing can be appended or read now; what was asked for did not happen and will not happen later.
    #[error("the log is away: {0}")]
    Away(String),
    /// Another process took the task over. This one must stop and write nothing more.
    #[error("fenced: another process has taken this task over")]
    Fenced,
    /// The commit may or may not have happened: take the task over anew to find out.
    #[error("the outcome of a commit is not known: {0}")]
    Ambiguous(String),
    /// The stored bytes are not what was written.
    #[error(
        "{topic} partition {partition} offset {offset}: the record's checksum is {stored:08x}, its bytes have {actual:08x}; it was altered after it was written"
    )]
    Checksum {
        /// Topic's name.
        topic: &'static str,
        /// Partition.
        partition: u32,
        /// Offset.
        offset: u64,
        /// The checksum in the log.
        stored: u32,
        /// The checksum of what is there.
        actual: u32,
    },
    /// Records are gone that a task had not applied: they have passed their retention. Nobody knows what they would
    /// have changed.
    #[error(
        "{topic} partition {place}: the records from offset {from} to before {to} have passed their retention and were not applied; \
         to go on without them: logystera log skip {topic} {place} {from}..{to} --reason TEXT"
    )]
    Lost {
        /// Topic's name.
        topic: &'static str,
        /// Partition, as people name it.
        place: String,
        /// The first that is gone.
        from: u64,
        /// The first that is left.
        to: u64,
    },
    /// The stored data cannot be used by this binary.
    #[error("{0}")]
    Unusable(String),
}

/// The log for those that append records of their own or only read: the gateway, commands, replays.
pub trait Log: Clone + Send + Sync + 'static {
    /// Partitions of a topic.
    fn partitions(&self, topic: Topic) -> u32;

    /// Appends all entries or none, in order. Resolves when they are durable.
    fn append(&self, entries: Vec<Entry>) -> impl Future<Output = Result<(), LogError>> + Send;

    /// Whether topic `signals` may be written to now. Always, unless the log has a lease that says otherwise.
    fn is_open(&self) -> bool {
        true
    }

    /// Offsets from the oldest record to one past the newest committed one.
    fn bounds(&self, topic: Topic, partition: u32) -> Result<Range<u64>, LogError>;

    /// Committed records from offset `from` on, at least one if there is one, then as many as fit `bytes_max`.
    fn read(&self, topic: Topic, partition: u32, from: u64, bytes_max: usize) -> Result<Vec<Record>, LogError>;
}

/// Reads on to the end: `read` gives records from an offset on, first from `from`, and `visit` gets them, until none
/// are left. Gives the offset behind the last one.
pub fn scan<E>(
    mut from: u64,
    mut read: impl FnMut(u64) -> Result<Vec<Record>, E>,
    mut visit: impl FnMut(Vec<Record>) -> Result<(), E>,
) -> Result<u64, E> {
    loop {
        let records = read(from)?;
        let Some(last) = records.last() else { return Ok(from) };
        from = last.offset + 1;
        visit(records)?;
    }
}

/// What one commit of a task makes durable, all or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// Records that the task appends.
    pub outputs: Vec<Entry>,
    /// State that changed: key, and the new value or none if it was deleted. Each key at most once.
    pub puts: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// The input offset to read next: every record below it has been applied.
    pub position: u64,
    /// Whether that is behind the partition's seal: this is its last commit, and its state goes on in the next
    /// generation.
    pub sealed: bool,
}

/// The one owner of one input partition of one application: it alone commits for it. Taking over fences the owner
/// before.
pub trait Task: Send {
    /// The input offset to read next, as the newest commit has it.
    fn position(&self) -> u64;

    /// Gives every stored state entry to `restore`, in the order of the keys.
    fn restore(&mut self, restore: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), LogError>;

    /// One past the newest committed input record.
    fn input_end(&mut self) -> Result<u64, LogError>;

    /// One past the newest record that this task has appended to its own input itself.
    fn own_end(&mut self) -> Result<u64, LogError> {
        self.input_end()
    }

    /// Whether everything below `end` was read, even if no record stands right before it: gaps are legal. `end` is
    /// [`Self::input_end`] as it was before the first read.
    fn has_read(&self, _end: u64) -> bool {
        false
    }

    /// The input's next records after those already read, waiting up to `wait` for the first one. Empty: none came.
    fn read(&mut self, wait: Duration) -> Result<Vec<Record>, LogError>;

    /// Whether a record is passed over: somebody has said so, because it cannot be read.
    fn is_skipped(&self, _offset: u64) -> bool {
        false
    }

    /// Takes back records that nobody needs any more: their memory may serve the next read.
    fn take_back(&mut self, _records: Vec<Record>) {}

    /// Makes the commit durable.
    fn commit(&mut self, commit: Commit) -> Result<(), LogError>;
}
