//! What a sender keeps to.

/// Bytes of signals that a sender puts into one batch: with its frame a body stays well under
/// [`WIRE_BYTES_MAX`](super::WIRE_BYTES_MAX), so that it fits even if gzip does not pay.
pub const CUT_BYTES_MAX: usize = 512 << 10;
/// Bytes of one line of a sender's input, which is one signal.
pub const LINE_BYTES_MAX: usize = 64 << 10;
/// Bytes that `send --follow` keeps on disk for batches to come; what does not fit is counted as `overflow`. A file
/// that is given to `send` has no such bound: none of it is dropped.
pub const SPOOL_BYTES_MAX: u64 = 4 << 20;
/// Bytes of the gateway's answer that a sender reads: [`REFUSED_LISTED_MAX`](super::REFUSED_LISTED_MAX) refusals and
/// room.
pub const ANSWER_BYTES_MAX: u64 = 256 << 10;
/// First back-off of a sender, in milliseconds; it doubles with each failure (issue: 30 s, 2 to the n).
pub const SEND_BACKOFF_MS: u64 = 30_000;
/// How long a key may take to reach every gateway, in milliseconds: what a sender waits if its key is not known
/// (design, section 3: a revocation takes no longer).
pub const SEND_NEW_KEY_MS: u64 = 5_000;
/// Refusals in a row that a sender puts down to a new key; then it waits for the operator.
pub const SEND_NEW_KEY_TRIES: u32 = 3;
/// Longest pause of a sender, in milliseconds: an hour, on which the engine relies (design, section 5).
pub const SEND_PAUSE_MS_MAX: u64 = 3_600_000;
/// Failures in a row after which a sender only probes, once in [`SEND_PAUSE_MS_MAX`].
pub const SEND_FAILURES_MAX: u32 = 8;
/// Spools that a sender draws in a row, each because others used the last one's numbers, before it takes the answer for
/// a failure.
pub const SPOOLS_DRAWN_MAX: u32 = 3;
/// Time that one try of a sender may take, in milliseconds.
pub const SEND_TIMEOUT_MS: u64 = 60_000;
/// Milliseconds by which a sender's new measurement of its clock must differ to replace the old (design, section 3).
pub const CLOCK_STEP_MS: i64 = 2_000;
/// How far times of a spool may lie ahead of the sender's clock and still hold later ones back, in milliseconds. A
/// clock that went back by more was wrong before: the spool's time starts anew.
pub const CLOCK_BACK_MS: i64 = 300_000;
/// Files that a sender's spool remembers as sent; each takes some 200 bytes of its state, which is written twice a
/// batch.
pub const SENT_FILES_MAX: usize = 100;
/// Lines of its input that `send` and `convert` complain about one by one; more are only counted.
pub const EXPLAINED_LINES_MAX: u64 = 100;
