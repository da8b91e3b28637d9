//! How far the log is committed, for those who wait for more.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use logystera_schemas::topic::Topic;

use super::tables::Ends;

/// What the writer has done since the folder was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Transactions committed; each is one fsync.
    pub commits: u64,
    /// Appends, task commits and takeovers that were answered with success.
    pub answered: u64,
}

/// What is committed, for those who wait for more.
#[derive(Debug)]
pub(super) struct Progress {
    inner: Mutex<Committed>,
    moved: Condvar,
}

#[derive(Debug)]
struct Committed {
    ends: Ends,
    stats: Stats,
    closed: bool,
}

impl Progress {
    pub(super) fn new(ends: Ends) -> Self {
        let inner = Committed { ends, stats: Stats::default(), closed: false };
        Self { inner: Mutex::new(inner), moved: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Committed> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stats(&self) -> Stats {
        self.lock().stats
    }

    /// One past the newest committed record of `topic`.
    pub(super) fn end(&self, topic: Topic) -> u64 {
        self.lock().ends[topic as usize]
    }

    /// Waits up to `wait` until `topic` has a record at or after `offset`. False: it has none, or the log was closed.
    pub(super) fn wait_for(&self, topic: Topic, offset: u64, wait: Duration) -> bool {
        let short = |c: &mut Committed| c.ends[topic as usize] <= offset && !c.closed;
        let (inner, _) =
            self.moved.wait_timeout_while(self.lock(), wait, short).unwrap_or_else(PoisonError::into_inner);
        inner.ends[topic as usize] > offset
    }

    pub(super) fn publish(&self, ends: Ends, answered: u64) {
        let mut inner = self.lock();
        inner.ends = ends;
        inner.stats.commits += 1;
        inner.stats.answered += answered;
        drop(inner);
        self.moved.notify_all();
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.moved.notify_all();
    }
}
