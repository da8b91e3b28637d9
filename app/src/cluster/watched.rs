//! A task whose progress others can see.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use logystera_infra::clock::Stopwatch;
use logystera_infra::kafka::KafkaTask;
use logystera_infra::log::{Commit, LogError, Record, Task};

/// How often a task looks how far behind it is.
const LAG_EVERY: Duration = Duration::from_secs(5);

/// A task that says how far it is, and how far behind.
pub struct Watched {
    task: KafkaTask,
    committed: Arc<AtomicU64>,
    lag: metrics::Gauge,
    looked: Option<Stopwatch>,
}

impl Watched {
    /// Watches `task`, which reads this partition for `app`; `committed` is its position from now on.
    pub fn new(task: KafkaTask, app: &'static str, partition: u32, committed: Arc<AtomicU64>) -> Self {
        committed.store(task.position(), Ordering::Relaxed);
        let lag = metrics::gauge!("logystera_lag_records", "app" => app, "partition" => partition.to_string());
        Self { task, committed, lag, looked: None }
    }
}

impl Drop for Watched {
    /// The partition's next owner tells its lag.
    fn drop(&mut self) {
        self.lag.set(0.0);
    }
}

impl Task for Watched {
    fn position(&self) -> u64 {
        self.task.position()
    }

    fn restore(&mut self, restore: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), LogError> {
        self.task.restore(restore)
    }

    fn input_end(&mut self) -> Result<u64, LogError> {
        self.task.input_end()
    }

    fn read(&mut self, wait: Duration) -> Result<Vec<Record>, LogError> {
        self.task.read(wait)
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge for people: exact up to 2^52")]
    fn commit(&mut self, commit: Commit) -> Result<(), LogError> {
        self.task.commit(commit)?;
        let position = self.task.position();
        self.committed.store(position, Ordering::Relaxed);
        if self.looked.as_ref().is_none_or(|looked| looked.elapsed() >= LAG_EVERY) {
            self.looked = Some(Stopwatch::start());
            self.lag.set(self.task.input_end()?.saturating_sub(position) as f64);
        }
        Ok(())
    }
}
