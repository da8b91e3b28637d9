//! Every bound of the system, with its unit and its reason. Relations between bounds are checked at compile time.

mod channels;
mod engine;
mod log;
mod metrics;
mod noise;
mod rules;
mod sending;

pub use channels::*;
pub use engine::*;
pub use log::*;
pub use metrics::*;
pub use noise::*;
pub use rules::*;
pub use sending::*;

/// Bytes of a batch on the wire (design, section 3).
pub const WIRE_BYTES_MAX: usize = 1 << 20;
/// Bytes of a batch's JSON once inflated (design, section 3).
pub const BODY_BYTES_MAX: usize = 8 << 20;
/// Signals in one batch (design, section 3).
pub const BATCH_SIGNALS_MAX: usize = 1_000;
/// Levels of nesting in a batch's JSON (design, section 3).
pub const JSON_DEPTH_MAX: usize = 16;
/// Fields of one signal's JSON object: the widest type has 14 with `type` and `at`, the rest is room for a newer
/// integration's.
pub const SIGNAL_FIELDS_MAX: usize = 32;
/// Refusals that an answer lists; more are only counted.
pub const REFUSED_LISTED_MAX: usize = 100;
/// Bytes of all bodies that are being read and whose MAC has not been checked yet, together (design, section 3).
pub const UNAUTHENTICATED_BYTES_MAX: usize = 256 << 20;
/// Characters of a site's or a key's id (design, section 3).
pub const ID_CHARS_MAX: usize = 64;
/// Characters of the name of a tenant, a site or a rule.
pub const NAME_CHARS_MAX: usize = 128;
/// Seconds that a signature's `ts` may be off, either way (design, section 3).
pub const SKEW_S_MAX: u64 = 300;
/// Live keys of one site (design, section 3).
pub const LIVE_KEYS_MAX: usize = 3;
/// Days that an old key stays valid after a rotation (design, section 3).
pub const ROTATION_OVERLAP_DAYS: u32 = 7;
/// Spools of one site (design, section 3).
pub const SPOOLS_MAX: usize = 64;
/// Batch numbers below the highest that the replay window remembers (design, section 3; RFC 6479).
pub const REPLAY_WINDOW: u64 = 1_024;
/// Newest batches of a spool whose digests are remembered (design, section 3).
pub const REPLAY_DIGESTS: usize = 64;
/// Milliseconds of silence from which on a spool makes room for another one if there are too many: as long as a sender
/// may pause, so that one that is only slow keeps its place.
pub const SPOOL_ROOM_MS: i64 = SEND_PAUSE_MS_MAX as i64;
/// Signing keys whose batches are remembered of one spool, each with its own numbers: those that live at once, and one
/// that was revoked.
pub const KEY_WINDOWS_MAX: usize = LIVE_KEYS_MAX + 1;
/// Keys of a site that are remembered as stolen, the newest. Only gateways that have not heard of a revocation yet take
/// batches under them, for seconds: more keys than these are not revoked meanwhile.
pub const STOLEN_KEYS_MAX: usize = 8;
/// Milliseconds without a batch after which a spool makes room for another at the gateway. The engine's bound is an
/// hour of log time; what a gateway's clock and the log's may differ by comes on top, so that the engine has room for
/// what was let in.
pub const SPOOL_SILENT_MS: i64 = 65 * 60_000;
/// Milliseconds after its last batch at which a spool is forgotten (design, section 3): a day more than a signal's age.
pub const SPOOL_FORGOTTEN_MS: i64 = 8 * 86_400_000;
/// Milliseconds before `received_at` at which a signal is too old, by default (design, section 5).
pub const SIGNAL_AGE_MS_MAX: i64 = 7 * 86_400_000;
/// Milliseconds that a batch may lie ahead of the gateway's clock before it is shifted back (design, section 5).
pub const AHEAD_MS_MAX: i64 = 5_000;
/// Bound on `clock_offset_ms` either way: a century. More is a broken sender.
pub const CLOCK_OFFSET_MS_MAX: i64 = 100 * 366 * 86_400_000;
/// Bound on `flush_every_s`: a day.
pub const FLUSH_EVERY_S_MAX: u32 = 86_400;
/// `flush_every_s` if the batch says none (design, section 3).
pub const FLUSH_EVERY_S_DEFAULT: u32 = 60;
/// Earliest time that a signal's `at` or a batch's `through` may carry: March 1973, milliseconds since the epoch. What
/// lies below is in seconds.
pub const TIME_MS_MIN: i64 = 100_000_000_000;
/// Latest time that any field may carry: the end of the year 9999, milliseconds since the epoch.
pub const TIME_MS_MAX: i64 = 253_402_300_799_999;

/// Names of one JSON object that the catalogue does not know, below a signal's level: enough for any honest body, and
/// no memory for others.
pub const OBJECT_NAMES_MAX: usize = 1_024;
/// Items of one JSON list that are looked at: the longest that the catalogue knows has 12.
pub const LIST_ITEMS_MAX: usize = 64;
/// Characters of an integration's version.
pub const INTEGRATION_VERSION_CHARS_MAX: usize = 64;
/// Connections that the senders' listener holds open; for further ones those make room that carried no batch.
pub const CONNECTIONS_MAX: usize = 4_096;
/// Fewest connections that a listener holds open, however few open files the machine allows.
pub const CONNECTIONS_MIN: usize = 16;
/// One peer may hold one of so many equal parts of all connections, not counting those that carried a batch: nobody
/// fills the door alone. A half leaves room for the senders behind one proxy that shows its own address.
pub const CONNECTIONS_PEER_SHARE: usize = 2;
/// Connections without a batch from which on a peer is a crowd: what it loses to others does not count as turned away.
pub const PEER_CROWD: usize = 16;
/// Connections that the operators' listener holds open: scrapers and probes, not strangers.
pub const ADMIN_CONNECTIONS_MAX: usize = 64;
/// Open files that are no sender's connection: the log with its readers, operators, and attempts of alerts, which must
/// get through when strangers hold all the rest; the rest is for brokers and the store.
pub const HANDLES_RESERVED: usize = 256;
/// Milliseconds that a listener pauses after an accept that failed, mostly for want of open files.
pub const ACCEPT_PAUSE_MS: u64 = 100;
/// Requests that one HTTP/2 connection may have open.
pub const H2_STREAMS_MAX: u32 = 32;
/// Bytes that one HTTP/2 connection may send ahead of what was read.
pub const H2_WINDOW_BYTES: u32 = 1 << 20;
/// Header fields of one request.
pub const HEADERS_MAX: usize = 64;
/// Bytes of one request's headers.
pub const HEADER_BYTES_MAX: usize = 16 << 10;
/// Milliseconds within which the TLS handshake, and the headers of a request, must come; also how long an idle
/// connection is kept.
pub const HEADER_READ_MS_MAX: u64 = 10_000;
/// Milliseconds within which a body must come, from its first byte to its last.
pub const BODY_READ_MS_MAX: u64 = 30_000;
/// Milliseconds after which a connection is asked to end: a peer that only answers pings cannot hold its place for
/// ever.
pub const CONNECTION_AGE_MS_MAX: u64 = 600_000;
/// Milliseconds that the gateway waits for the log before it answers 503: for the append of a batch, or for that of
/// another try of the same batch.
pub const APPEND_WAIT_MS_MAX: u64 = 10_000;
/// Milliseconds that a stopping gateway waits for requests in flight: longer than the log may take.
pub const SHUTDOWN_WAIT_MS_MAX: u64 = 15_000;
/// Bytes of verified batches that wait for the log, together; beyond that 503.
pub const UNWRITTEN_BYTES_MAX: usize = 256 << 20;
/// Largest ratio of a body's inflated bytes to the bytes sent, if it inflates beyond [`WIRE_BYTES_MAX`]. Signals shrink
/// to a tenth; a thousand equal ones shrink to a two-hundredth, but stay below that size.
pub const INFLATE_RATIO_MAX: usize = 100;
/// Bytes of a body, inflated, from which it is parsed apart from the threads that serve connections; a compressed one
/// counts as eight times its size until it is inflated.
pub const LARGE_BODY_BYTES: usize = 256 << 10;
/// Large bodies that are parsed at once, at most: each may hold 8 MiB inflated.
pub const LARGE_BODIES_MAX: usize = 4;
/// Spools that a gateway's replay cache remembers, of all sites and keys together: about 2.5 KiB each.
pub const REPLAY_SPOOLS_CACHED_MAX: usize = 100_000;
/// Rows of refusals that are counted until the next minute; above it a site's spools share a row, above its double they
/// are only counted.
pub const TALLY_ROWS_MAX: usize = 10_000;
/// Milliseconds by which a gateway's clock may differ from the others', or lie behind the log's: as much as a batch may
/// lie ahead.
pub const CLOCK_DIFFERS_MS: i64 = AHEAD_MS_MAX;
/// Milliseconds by which a clock moves against the monotonic one from one look to the next if it was set.
pub const CLOCK_JUMP_MS: i64 = 1_000;
/// Milliseconds that a gateway listens for others before it takes the first batch, if there may be any: each renews its
/// lease twice meanwhile.
pub const CLOCK_LISTEN_MS: i64 = 2 * LEASE_RENEW_MS;
/// Milliseconds for which a gateway's lease says something of its clock: five renewals.
pub const LEASE_HEARD_MS: i64 = 5 * LEASE_RENEW_MS;
/// Milliseconds without a renewed lease after which the others count a gateway as gone, and the next one writes the
/// ticks: for so long the log's time stands still after a kill. Two renewals may come late.
pub const GATEWAY_SILENT_MS: i64 = 5_000;
/// Other gateways that are told apart.
pub const GATEWAYS_HEARD_MAX: usize = 256;
/// Ticks in a row below the log's wall time that set it back (design, section 5).
pub const TICKS_BELOW: u32 = 60;
/// Newest records of a partition of topic `signals` that a starting gateway looks through for the log's time and for
/// batches: minutes of ticks.
pub const RECORDS_RECALLED: u64 = 1_000;
/// Bytes of such records in a cluster, of all partitions together, beyond which a starting gateway looks no further
/// back: on a busy log a thousand records of each partition would be gigabytes.
pub const RECALLED_BYTES_MAX: usize = 64 << 20;
/// Milliseconds after which a starting gateway takes batches, read or not: what it has not read by then, the engine
/// finds.
pub const RECALL_WAIT_MS: u64 = 3_000;
/// Milliseconds within which a log line that can repeat is written once; the others are counted.
pub const LOG_REPEAT_MS: i64 = 30_000;
/// Milliseconds between two ticks of a gateway (design, section 5).
pub const TICK_MS: u64 = 1_000;
/// Milliseconds without a batch after which a gateway that is alone writes ticks seldom: if somebody sends every
/// minute, it writes one a second.
pub const IDLE_AFTER_MS: u64 = 60_000;
/// Milliseconds between two ticks while nobody sends: by so much a silence may be told late then. At 50 KB a commit a
/// day of them is 0.4 GB; well below a minute, at which the engine sees a gap.
pub const TICK_IDLE_MS: u64 = 10_000;
/// Milliseconds of open time that one tick may tell of: a few idle ticks, so that none makes an outage look like open
/// time.
pub const OPEN_MS_MAX: i64 = 3 * TICK_IDLE_MS as i64;
/// `Refused` records in one append.
pub const REFUSED_APPEND_MAX: usize = 1_000;
/// Bytes of bodies, inflated, that a site may send each second, by default.
pub const QUOTA_BYTES_PER_S: u32 = 4 << 20;
/// Bytes of bodies that a site may have saved up, by default: a minute's outage of a busy site in one go.
pub const QUOTA_BYTES_BURST: u32 = 256 << 20;
/// Signals that a site may send each second, by default.
pub const QUOTA_SIGNALS_PER_S: u32 = 20_000;
/// Signals that a site may have saved up, by default.
pub const QUOTA_SIGNALS_BURST: u32 = 1_000_000;
/// Between two answers that tell one site that it is over its quota, in milliseconds: a sender that asks again at once
/// would cost the others more by what is refused than by what is taken.
pub const OVER_QUOTA_EVERY_MS: i64 = 10;
/// Longest that such an answer waits for its turn, in milliseconds.
pub const OVER_QUOTA_WAIT_MS_MAX: i64 = 5_000;

/// Signals held for one site until its watermark passes them (design, section 5).
pub const HELD_SIGNALS_MAX: usize = 50_000;
/// Bytes of the signals held for one site (design, section 5).
pub const HELD_BYTES_MAX: usize = 8 << 20;
/// Bytes of the signals held for all sites of a partition; beyond, the site that holds most judges its oldest before
/// their time. Thirty-two sites can hold all that one may.
pub const HELD_BYTES_TOTAL_MAX: usize = 256 << 20;

/// Attempts of one delivery: at 0, 5 s, 30 s, 5 m, 30 m, 2 h, 5 h, 10 h (design, section 8).
pub const RETRY_DELAYS_MS: [i64; 8] = [0, 5_000, 30_000, 300_000, 1_800_000, 7_200_000, 18_000_000, 36_000_000];
/// Deliveries of one tenant that wait at once; more are recorded as not sent, but for [`DELIVERIES_KEPT`].
pub const DELIVERIES_MAX: usize = 10_000;
/// Deliveries that wait at once for which each channel of a tenant has room, however many wait for the others: what fills up
/// before one that is slow keeps no alert from one that works.
pub const DELIVERIES_KEPT: usize = 100;
/// Dead letters that one command sends again: a channel always has room for so many of its own.
pub const RESENT_AT_ONCE_MAX: usize = 100;
/// Deliveries that a command lists at once.
pub const DELIVERIES_LISTED_MAX: u32 = 10_000;
/// Deliveries that a command remembers to list the newest: of more the oldest are forgotten.
pub const DELIVERIES_LOOKED_AT_MAX: usize = 100_000;
/// Rows of a delivery that a command shows, the newest ones. One that is throttled for a day has about as many.
pub const DELIVERY_ROWS_SHOWN_MAX: usize = 1_000;
/// Attempts in the air at once, all tenants together.
pub const ATTEMPTS_IN_FLIGHT_MAX: usize = 128;
/// Attempts in the air at once of one tenant: no tenant can hold all the places.
pub const ATTEMPTS_IN_FLIGHT_TENANT_MAX: usize = 16;
/// Channels of one tenant.
pub const CHANNELS_MAX: usize = 20;
/// Attempts in the air at once of one channel: a receiver that takes 50 ms takes 160 a second, and one that hangs leaves its
/// tenant's other channels room.
pub const ATTEMPTS_IN_FLIGHT_CHANNEL_MAX: usize = 8;
/// Attempts in the air at once of all channels of one tenant whose last attempt failed, one each: channels that hang
/// leave those that answer half of the tenant's places.
pub const ATTEMPTS_IN_FLIGHT_FAILING_MAX: usize = 8;
/// Largest share of a retry's delay, in percent, that is added to it, so that retries do not come in step.
pub const RETRY_JITTER_PERCENT_MAX: i64 = 20;
/// Milliseconds that a channel is left alone after a 429 that names no time.
pub const CHANNEL_PAUSE_MS_DEFAULT: i64 = 30_000;
/// Shortest time, in milliseconds, that a throttling channel is left alone: the planner's time moves in ticks of a
/// second.
pub const CHANNEL_PAUSE_MS_MIN: i64 = 1_000;
/// Longest time, in milliseconds, that a `Retry-After` is honoured: a channel can't silence itself for a year.
pub const CHANNEL_PAUSE_MS_MAX: i64 = 3_600_000;
/// Throttlings of a channel in a row after which each pause is twice the one before: it takes nothing, whatever it
/// says.
pub const THROTTLES_BELIEVED: u32 = 3;
/// Milliseconds up to which such a pause grows, if the channel does not ask for more.
pub const THROTTLE_PAUSE_MS_MAX: i64 = 60_000;
/// Milliseconds between two attempts below which a channel that asked for less is paced no more: one at a time is as
/// fast.
pub const PACE_GAP_MS_MIN: i64 = 50;
/// Milliseconds between the first attempts after a throttling, at most: who asks for minutes mostly counts by the
/// minute, and takes many of them in the next one.
pub const PACE_GAP_MS_START_MAX: i64 = 10_000;
/// Milliseconds after its last throttling for which a channel is paced.
pub const PACE_MS: i64 = 3_600_000;
/// Milliseconds by which a paced attempt may be early: ticks are not exact, and one that comes a little before its
/// second must not cost a whole one.
pub const PACE_SLACK_MS: i64 = 100;
/// Milliseconds for which one delivery is put off by a channel that throttles: as long as all its retries take, and
/// more.
pub const THROTTLED_MS_MAX: i64 = 86_400_000;
/// Milliseconds that a channel is left alone after its first 410, then tried once more: longer than a receiver is
/// wrongly configured while somebody works on it.
pub const CHANNEL_GONE_MS: i64 = 3_600_000;
/// Milliseconds from a detection's evaluation to its delivery's plan from which on it is of a backlog, and others of
/// the same fault may follow at once: more than clocks and spools explain.
pub const BACKLOG_AGE_MS: i64 = 300_000;
/// Milliseconds that such a delivery waits for the others: little beside its age.
pub const BACKLOG_WAIT_MS: i64 = 30_000;
/// Rules whose advice the alerter keeps at hand; beyond that it forgets them all and reads on.
pub const ADVICE_CACHED_MAX: usize = 1_000;
/// Failures of a channel in a row that open its breaker.
pub const BREAKER_FAILURES: u32 = 5;
/// Milliseconds that a breaker stays open at first; twice as long after each probe that fails.
pub const BREAKER_OPEN_MS: i64 = 60_000;
/// Longest time, in milliseconds, that a breaker stays open before the next probe.
pub const BREAKER_OPEN_MS_MAX: i64 = 1_800_000;
/// Ticks in a row that a gateway leaves out while connections find no room; then it writes one. The engine takes what
/// lies more than a minute after the tick before for a gap.
pub const TICKS_WITHHELD_MAX: u32 = 61;
/// Ticks in a row below the planner's wall time that set it back, and after which a silent partition's clock is
/// forgotten (design, section 5).
pub const PLANNER_TICKS_BELOW: u32 = 60;
/// Milliseconds that a webhook may take to take the connection, TLS included.
pub const WEBHOOK_CONNECT_MS: u64 = 5_000;
/// Milliseconds that an attempt on a webhook may take as a whole.
pub const WEBHOOK_TOTAL_MS: u64 = 15_000;
/// Bytes of an answer over HTTP that are read; the rest is left.
pub const WEBHOOK_ANSWER_BYTES_MAX: usize = 20 << 10;
/// Characters of the code that says what a channel answered: a protocol's prefix and one of its codes.
pub const ATTEMPT_DETAIL_CHARS_MAX: usize = 64;
/// Milliseconds that a stopping alerter waits for the attempts in the air: one attempt's whole time and a little.
pub const ALERTER_STOP_MS: u64 = WEBHOOK_TOTAL_MS + 2_000;

const _: () = assert!(WIRE_BYTES_MAX <= BODY_BYTES_MAX, "a body that is not compressed must fit");
const _: () = assert!(WIRE_BYTES_MAX <= UNAUTHENTICATED_BYTES_MAX, "one body must fit the shared budget");
const _: () = assert!(SPOOL_FORGOTTEN_MS > SIGNAL_AGE_MS_MAX, "a forgotten spool's signals must all be too old");
const _: () = assert!(REPLAY_DIGESTS as u64 <= REPLAY_WINDOW, "digests are kept for numbers in the window");
const _: () = assert!(SPOOL_SILENT_MS > SPOOL_ROOM_MS, "the engine has room for a spool that the gateway lets in");
const _: () = assert!(SPOOL_SILENT_MS < SPOOL_FORGOTTEN_MS, "a silent spool makes room before it is forgotten");
const _: () = assert!(STOLEN_KEYS_MAX > 2 * LIVE_KEYS_MAX, "every live key can be stolen, and those that replace them");
const _: () = assert!(KEY_WINDOWS_MAX > LIVE_KEYS_MAX, "every live key of a site has its window in a spool");
const _: () = assert!(BATCH_SIGNALS_MAX <= HELD_SIGNALS_MAX, "one batch must fit the hold");
const _: () = assert!(HELD_BYTES_MAX <= HELD_BYTES_TOTAL_MAX, "one site's hold must fit all sites'");
const _: () = assert!(BODY_BYTES_MAX <= LOG_QUEUE_BYTES_MAX, "one batch must fit the queue");
const _: () =
    assert!(2 * LEASE_RENEW_MS + (CONTROL_REFRESH_MS as i64) < GATEWAY_SILENT_MS, "one lost renewal elects nobody");
const _: () = assert!(GATEWAY_SILENT_MS < LEASE_HEARD_MS, "a clock is known for longer than it is waited for");
const _: () = assert!(2 * CLOCK_LISTEN_MS < LEASE_HEARD_MS, "an odd clock is out within 10 s");
const _: () = assert!(CONTROL_REFRESH_MS <= 2_500, "a revocation takes effect within 5 s, even if one look is missed");
const _: () = assert!(
    ATTEMPTS_IN_FLIGHT_MAX + ADMIN_CONNECTIONS_MAX + LOG_READERS_KEPT_MAX < HANDLES_RESERVED,
    "alerts, operators and the log have open files when strangers hold all the rest"
);
const _: () = assert!(ATTEMPTS_IN_FLIGHT_TENANT_MAX < ATTEMPTS_IN_FLIGHT_MAX, "fair between tenants");
const _: () = assert!(ATTEMPTS_IN_FLIGHT_FAILING_MAX < ATTEMPTS_IN_FLIGHT_TENANT_MAX, "who answers has places");
const _: () = assert!(ATTEMPTS_IN_FLIGHT_CHANNEL_MAX < ATTEMPTS_IN_FLIGHT_TENANT_MAX, "fair between channels");
const _: () = assert!(CHANNEL_PAUSE_MS_DEFAULT <= CHANNEL_PAUSE_MS_MAX, "a pause is at most the longest one");
const _: () = assert!(CHANNEL_PAUSE_MS_MIN <= CHANNEL_PAUSE_MS_DEFAULT, "a pause is at least the shortest one");
const _: () = assert!(CHANNEL_PAUSE_MS_MIN >= TICK_MS as i64, "a pause is at least a tick");
const _: () = assert!(TICK_IDLE_MS.is_multiple_of(TICK_MS), "an idle tick is due at a second's");
const _: () = assert!(PACE_SLACK_MS * 2 <= CHANNEL_PAUSE_MS_MIN, "slack must not eat a pause up");
const _: () = assert!(BACKLOG_WAIT_MS < BACKLOG_AGE_MS, "waiting for a backlog is little beside its age");
const _: () = assert!(CHANNEL_PAUSE_MS_MAX < THROTTLED_MS_MAX, "the longest pause alone gives no delivery up");
const _: () = assert!(BREAKER_OPEN_MS <= BREAKER_OPEN_MS_MAX, "a breaker starts with its shortest time");
const _: () = assert!(WEBHOOK_CONNECT_MS < WEBHOOK_TOTAL_MS, "connecting is a part of the attempt");
const _: () = assert!(CUT_BYTES_MAX + LINE_BYTES_MAX < WIRE_BYTES_MAX, "a batch that is cut must fit the wire");
const _: () = assert!(SEND_BACKOFF_MS <= SEND_PAUSE_MS_MAX, "a sender's back-off must fit its longest pause");
const _: () = assert!(QUOTA_BYTES_BURST as usize >= WIRE_BYTES_MAX, "the largest batch must fit a full quota");
const _: () = assert!(QUOTA_SIGNALS_BURST as usize >= BATCH_SIGNALS_MAX, "the largest batch must fit a full quota");
const _: () = assert!(SHUTDOWN_WAIT_MS_MAX > APPEND_WAIT_MS_MAX, "a request that waits for the log must be waited for");
const _: () = assert!(SPOOLS_MAX <= REPLAY_SPOOLS_CACHED_MAX, "one site's spools must fit the cache");
const _: () = assert!(BLIND_AFTER_MS_MIN >= 2_000 * FLUSH_EVERY_S_DEFAULT as i64, "a batch that is late is no silence");
const _: () = assert!(BLIND_AFTER_MS_MIN > OPEN_MS_MAX, "one tick alone makes nobody silent");
const _: () = assert!(BODY_BYTES_MAX < KAFKA_RECORD_BYTES_MAX, "a batch fits a record, with what is around it");
const _: () = assert!(RULE_SET_BYTES_MAX < READ_BYTES_MAX, "one look at topic `control` shows a rule set");
const _: () = assert!(
    KAFKA_WAIT_MS_MAX + KAFKA_LISTEN_MS + KAFKA_DELIVERY_MS_MAX < APPEND_WAIT_MS_MAX,
    "a batch that was refused must not turn up later"
);
