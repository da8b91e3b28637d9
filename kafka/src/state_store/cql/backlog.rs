//! What a task has committed and its writer has not written yet.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use logystera_infra::clock::Clock;
use metrics::{Counter, Gauge};
use tokio::sync::Notify;

use super::queue::{Budget, Queue};
use crate::state_store::{StateOwner, shown};

/// What a task and its writer share.
pub(super) struct Backlog {
    pub(super) owner: StateOwner,
    pub(super) clock: Arc<dyn Clock>,
    /// Of all tasks of the process.
    pub(super) budget: Arc<Budget>,
    pub(super) state: Mutex<State>,
    pub(super) pushed: Notify,
    /// Told when something was written.
    pub(super) written: Condvar,
    pub(super) queue_bytes: Gauge,
    pub(super) puts: Counter,
    pub(super) deletes: Counter,
    pub(super) retries: Counter,
}

/// What has to be written still.
pub(super) struct State {
    pub(super) queue: Queue,
    /// Whether what was found at the takeover still has to be written anew.
    pub(super) rewriting: bool,
    /// What the gauge and the budget have of this queue.
    pub(super) shown_bytes: usize,
}

impl Backlog {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows the queue's bytes; tasks of one application share the gauge, and all tasks the budget.
    pub(super) fn show(&self, state: &mut State, bytes: usize) {
        self.budget.change(state.shown_bytes, bytes);
        self.queue_bytes.increment(shown(bytes as u64) - shown(state.shown_bytes as u64));
        state.shown_bytes = bytes;
    }

    /// Age of the oldest commit that is not written yet, milliseconds.
    pub(super) fn age_ms(&self) -> i64 {
        self.lock().queue.oldest_ms().map_or(0, |since| self.clock.monotonic_ms() - since)
    }
}
