//! Bounds of the log, of what follows topic `control`, and of the state store.

/// Bytes of state puts after which the processor commits without waiting for its interval (design, section 7).
pub const COMMIT_BYTES_MAX: usize = 8 << 20;
/// Longest time between two commits of a task, in milliseconds (design, section 7).
pub const COMMIT_INTERVAL_MS: u64 = 100;
/// Longest time, in milliseconds, between two commits of a task for which only time passes, if nobody waits for it:
/// what is read again after a crash is a few ticks, and two tasks write 0.2 GB a day.
pub const IDLE_COMMIT_MS: u64 = 60_000;
/// Longest time between two commits of a processor that is behind, in milliseconds: it has more to do than to be quick
/// with each.
pub const COMMIT_INTERVAL_BEHIND_MS: u64 = 1_000;
/// Milliseconds that log time lies back from which on a processor is behind: more than ticks and commits explain.
pub const BEHIND_MS: i64 = 3_000;
/// Bytes of log records that a reader, or a task of the embedded log, takes at once.
pub const READ_BYTES_MAX: usize = 4 << 20;
/// Bytes of log records that a task on Kafka takes at once. Few: they are applied while the processor's cache has them
/// still.
pub const TASK_READ_BYTES_MAX: usize = 256 << 10;
/// Bytes of the state entries in one record of a snapshot: far below what a broker takes.
pub const SNAPSHOT_PART_BYTES_MAX: usize = 1 << 20;
/// Bytes of snapshots from which on a tick leaves the others to the next one.
pub const SNAPSHOT_TICK_BYTES_MAX: usize = 4 << 20;
/// Key groups whose snapshots one tick takes at most: each looks at all sites of the partition.
pub const SNAPSHOT_TICK_SLOTS_MAX: usize = 16;
/// Bytes of records that wait for the embedded log's writer; further appends wait for room.
pub const LOG_QUEUE_BYTES_MAX: usize = 64 << 20;
/// Appends that wait for the embedded log's writer; further ones wait for room.
pub const LOG_QUEUE_APPENDS_MAX: usize = 4_096;
/// Microseconds between the beginnings of two commits of the embedded log if several appends wait: under load one fsync
/// then serves more of them.
pub const LOG_COMMIT_SPACING_US: u64 = 2_000;
/// Connections for reading that the embedded log keeps open between reads; a read beyond them opens its own.
pub const LOG_READERS_KEPT_MAX: usize = 4;
/// Bytes of the disk that an embedded log keeps for changes of what is configured: some twenty commits of a few pages
/// each.
pub const LOG_RESERVE_BYTES: usize = 2 << 20;
/// Milliseconds between two tries to reserve them again, once they were needed.
pub const LOG_RESERVE_RETRY_MS: u64 = 5_000;
/// Milliseconds between two writes of how far an embedded log was acknowledged: a page of the disk each, without an
/// fsync.
pub const LOG_MARK_MS: u64 = 5_000;
/// Bytes of the embedded log's write-ahead log from which on a reader that holds it is told of: four times what is
/// folded in at once.
pub const LOG_WAL_BYTES_TOLD: u64 = 64 << 20;
/// Offsets of a changelog, of the partitions asked for together, that a command looks at: seconds. `channel list` looks for the
/// state of channels, and goes by the newest rows of topic `attempts` if there are more; `why` looks for a site's groups.
pub const CHANGELOG_LOOKED_AT_MAX: u64 = 1_000_000;
/// Milliseconds between two looks at topic `control`: a revocation takes effect within 5 s (design, section 3).
pub const CONTROL_REFRESH_MS: u64 = 500;
/// Milliseconds without a successful look at topic `control` after which a process is not ready: a revocation should
/// take 5 s, and a broker that moves its partitions takes less than this.
pub const CONTROL_STALE_MS_MAX: i64 = 30_000;
/// Entities whose unreadable records are told apart; more are only counted.
pub const CONTROL_UNREADABLE_KEPT_MAX: usize = 64;
/// Kinds of lines of librdkafka that are counted apart: it has some dozens.
pub const LIBRARY_KINDS_MAX: usize = 64;
/// Sites that are configured in one commit: two records each, far below what a transaction takes, and soon done.
pub const SITES_CONFIGURED_AT_ONCE_MAX: usize = 200;
/// How long a gateway may write to topic `signals` from when it asked, in milliseconds (design, section 5).
pub const LEASE_MS: i64 = 15_000;
/// How often a gateway renews its lease, in milliseconds: by that the others know that it is there, and what time it
/// has. Each process reads it.
pub const LEASE_RENEW_MS: i64 = 2_000;
/// How long a growth waits for gateways that do not say that they stopped, in milliseconds: two leases.
pub const GROWTH_WAIT_MS: i64 = 2 * LEASE_MS;
/// Partitions that one process may own: each has a transactional producer, and 64 in a process collapse.
pub const PARTITIONS_OWNED_MAX: usize = 16;
/// Bytes of state that wait for the store in all tasks of a process; at this their input pauses (design, section 7).
pub const WRITE_BEHIND_BYTES_MAX: usize = 256 << 20;
/// Bytes of one batch of state writes, all of one partition of the store (design, section 7).
pub const STORE_BATCH_BYTES_MAX: usize = 32 << 10;
/// Batches that one task has in the air to the store.
pub const STORE_WRITES_MAX: usize = 16;
/// Partitions of the store that a takeover reads at once.
pub const STORE_READS_MAX: usize = 32;
/// Milliseconds between the beginnings of two rounds of a task's writes: what changes often is written once a round.
pub const STORE_ROUND_MS_MIN: u64 = 200;
/// First pause before a write that failed is tried again, in milliseconds; it doubles each time.
pub const STORE_RETRY_MS_MIN: u64 = 50;
/// Longest pause before a write that failed is tried again, in milliseconds.
pub const STORE_RETRY_MS_MAX: u64 = 5_000;
/// Milliseconds that a takeover waits for a store that is away before it restores from the changelog alone.
pub const STORE_TAKEOVER_WAIT_MS_MAX: u64 = 3_000;
/// Age of a position in the store, in milliseconds, past which a takeover ignores the store: 3 days, where the
/// changelog keeps the marks of deletions for 7.
pub const POSITION_AGE_MS_MAX: u64 = 3 * 86_400_000;
/// First pause before a task that failed is taken over anew, in milliseconds; it doubles each time.
pub const TASK_RETRY_MS_MIN: u64 = 1_000;
/// Longest pause before a task that failed is taken over anew, in milliseconds.
pub const TASK_RETRY_MS_MAX: u64 = 60_000;
/// Bytes of the largest record on Kafka, with room for a batch whose body was 8 MiB.
pub const KAFKA_RECORD_BYTES_MAX: usize = 16 << 20;
/// How long a record may wait for the broker's acknowledgement, milliseconds. Less than an append waits
/// (`APPEND_WAIT_MS_MAX`), so that a batch that was refused can't turn up later.
pub const KAFKA_DELIVERY_MS_MAX: u64 = 8_000;
/// How long a record waits for those before it, in milliseconds, before librdkafka gets it all the same.
pub const KAFKA_WAIT_MS_MAX: u64 = 50;
/// How long the producer's thread listens for acknowledgements, in milliseconds, before it looks whether it is still
/// needed, and for overdue records whose appenders have gone. Long, because the library's poll goes in circles for the
/// last millisecond of it.
pub const KAFKA_LISTEN_MS: u64 = 500;
/// Bytes of all records that wait for others. What was given to librdkafka has a bound of its own.
pub const KAFKA_WAITING_BYTES_MAX: usize = 64 << 20;
/// How long a transaction stays open whose owner died, milliseconds, if nobody takes over.
pub const KAFKA_TRANSACTION_MS_MAX: u64 = 10_000;
/// How often a commit is tried if the coordinator asks to repeat it.
pub const KAFKA_COMMIT_TRIES: u32 = 10;
/// How long a compacted topic keeps the mark of a deletion, milliseconds: 7 days. A restore from an older store must
/// not miss it.
pub const CHANGELOG_DELETIONS_MS: u64 = 7 * 86_400_000;
/// Entries that are copied at a time if everything is written to the store anew.
pub const STORE_REWRITE_ENTRIES_MAX: usize = 10_000;
/// Longest name of a keyspace: what Cassandra allows.
pub const KEYSPACE_CHARS_MAX: usize = 48;
/// Characters of who asked for a detection to be sent again: a user and a machine.
pub const RESEND_BY_CHARS_MAX: usize = 128;
/// Rows of the delivery history that a replay reads ahead, looking for the next one of a tenant. A planner's rows stand in
/// the order in which it gives them: what stands between was not given by it.
pub const REPLAY_ROWS_AHEAD_MAX: usize = 10_000;
/// Lines, one of a rule at a site, that a backtest counts apart. What is beyond is counted together: its report must not
/// grow with the sites of an installation.
pub const BACKTEST_ROWS_MAX: usize = 10_000;
/// How long after the end of the log the messages of a backtest that wait then may still go out: the longest quiet hours.
pub const BACKTEST_REST_MS: i64 = 86_400_000;
/// Entries of a block of the directory's sorted maps; a block that has more becomes two, and a change copies one.
pub const DIRECTORY_BLOCK_ENTRIES_MAX: usize = 256;

const _: () = assert!(POSITION_AGE_MS_MAX < CHANGELOG_DELETIONS_MS, "an old store misses no deletion");
const _: () = assert!(COMMIT_INTERVAL_MS < COMMIT_INTERVAL_BEHIND_MS, "who is behind commits less often");
const _: () = assert!(STORE_RETRY_MS_MIN <= STORE_RETRY_MS_MAX, "a pause is at most the longest one");
const _: () = assert!(TASK_RETRY_MS_MIN <= TASK_RETRY_MS_MAX, "a pause is at most the longest one");
