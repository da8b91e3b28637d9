//! A task's progress, for others to see.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use logystera_infra::clock::Stopwatch;
use logystera_schemas::partition::PartitionRef;
use metrics::Gauge;

use crate::state_store::shown;

/// How often a task looks how far behind it is.
const LAG_EVERY: Duration = Duration::from_secs(5);

/// Says how far a task is, and how far behind.
pub(crate) struct Watch {
    committed: Arc<AtomicU64>,
    lag: Gauge,
    looked: Option<Stopwatch>,
}

impl Watch {
    pub(crate) fn new(app: &str, place: PartitionRef, committed: Arc<AtomicU64>, position: u64) -> Self {
        committed.store(position, Ordering::Relaxed);
        let labels = [("app", app.to_owned()), ("partition", place.to_string())];
        Self { committed, lag: metrics::gauge!("logystera_lag_records", &labels), looked: None }
    }

    /// Takes a commit in.
    pub(crate) fn committed(&self, position: u64) {
        self.committed.store(position, Ordering::Relaxed);
    }

    /// Whether it is time to look how far behind the task is.
    pub(crate) fn is_due(&mut self) -> bool {
        let due = self.looked.as_ref().is_none_or(|looked| looked.elapsed() >= LAG_EVERY);
        if due {
            self.looked = Some(Stopwatch::start());
        }
        due
    }

    /// Shows how far behind it is.
    pub(crate) fn lags(&self, records: u64) {
        self.lag.set(shown(records));
    }
}

impl Drop for Watch {
    /// The partition's next owner tells its lag.
    fn drop(&mut self) {
        self.lag.set(0.0);
    }
}
