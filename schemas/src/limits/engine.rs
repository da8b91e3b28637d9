//! How long the engine waits for spools and sites, and what it takes for a gap in the log's time.

use super::{
    BLIND_AFTER_MS_MIN, OPEN_MS_MAX, PLANNER_TICKS_BELOW, SEND_PAUSE_MS_MAX, SPOOL_ROOM_MS, TICK_IDLE_MS, TICK_MS,
    TICKS_BELOW, TICKS_WITHHELD_MAX,
};

/// Of its own flush intervals, how many a spool or a site may be silent (design, section 5).
pub const FLUSHES_WAITED: i64 = 3;
/// Least silence after which a spool counts as silent, in milliseconds (design, section 5).
pub const SPOOL_WAIT_MS_MIN: i64 = 120_000;
/// Longest silence that its flush intervals give a spool, in milliseconds (design, section 5).
pub const SPOOL_WAIT_MS_MAX: i64 = 3_600_000;
/// Longest pause of a sender as the engine counts on it, in milliseconds: the sender's own bound.
pub const SENDER_PAUSE_MS_MAX: i64 = SEND_PAUSE_MS_MAX as i64;
/// Longest pause after an outage that the others are given if a new spool is heard, in milliseconds: mostly a new one
/// means that the site's sender was set up anew, and that the old one is gone.
pub const REPLACED_PAUSE_MS_MAX: i64 = 600_000;
/// What a sender's pause may take beyond twice the outage, in milliseconds: a try, and what follows of it.
pub const PAUSE_MARGIN_MS: i64 = 60_000;
/// Silence of a site after which it counts as cut off as a whole, in milliseconds.
pub const SITE_CUT_OFF_MS: i64 = 120_000;
/// Most that one tick moves open time on, in milliseconds, if it does not say more: two ticks' interval, so that one
/// may be lost.
pub const OPEN_STEP_MS_MAX: i64 = 2 * TICK_MS as i64;
/// A tick later than this after the one before ends a gap, in milliseconds.
pub const TICK_GAP_MS: i64 = 60_000;
/// Shortest time between two detections that say that a rule has too many groups, in milliseconds: a rule without
/// suppression must not tell of each group.
pub const OVERFLOW_MS_MIN: i64 = 60_000;

const _: () = assert!(SPOOL_WAIT_MS_MIN <= SPOOL_WAIT_MS_MAX, "the bounds of a spool's silence are a range");
const _: () = assert!(BLIND_AFTER_MS_MIN == SPOOL_WAIT_MS_MIN, "a site is silent no sooner than its only spool");
const _: () = assert!(SPOOL_ROOM_MS == SENDER_PAUSE_MS_MAX, "a spool that only pauses keeps its place");
const _: () = assert!(REPLACED_PAUSE_MS_MAX <= SENDER_PAUSE_MS_MAX, "a replaced sender is given no more than another");
const _: () = assert!(OPEN_STEP_MS_MAX <= OPEN_MS_MAX, "a tick may tell of more than it moves unasked");
const _: () = assert!(OPEN_MS_MAX < TICK_GAP_MS, "what one tick says is open time is less than a gap");
const _: () = assert!(TICK_IDLE_MS as i64 <= TICK_GAP_MS / 2, "a lost idle tick is no gap");
const _: () = assert!(TICKS_WITHHELD_MAX as i64 * TICK_MS as i64 > TICK_GAP_MS, "ticks that are withheld make a gap");
const _: () = assert!(PLANNER_TICKS_BELOW == TICKS_BELOW, "engine and planner set their clocks back at the same tick");
