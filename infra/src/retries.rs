//! When a task that stopped is taken over anew: after a pause that doubles, and begins anew once a task has lasted. Pure.

use std::time::Duration;

use logystera_schemas::limits::{TASK_RETRY_MS_MAX, TASK_RETRY_MS_MIN};

use crate::backoff::Backoff;

/// The pauses of one task, over all its runs.
#[derive(Clone, Copy, Debug)]
pub struct Retries(Backoff);

impl Default for Retries {
    fn default() -> Self {
        Self(Backoff::new(TASK_RETRY_MS_MIN, TASK_RETRY_MS_MAX))
    }
}

impl Retries {
    /// How long to wait now that a run has stopped which lasted so many milliseconds.
    pub fn pause_after(&mut self, lasted_ms: i64) -> Duration {
        if lasted_ms > TASK_RETRY_MS_MAX as i64 {
            self.0.reset();
        }
        self.0.pause()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_lasted_begins_the_pauses_anew() {
        let mut retries = Retries::default();
        let pauses: Vec<_> = [0, 0, TASK_RETRY_MS_MAX as i64, TASK_RETRY_MS_MAX as i64 + 1, 0]
            .map(|lasted_ms| retries.pause_after(lasted_ms).as_millis() as u64)
            .to_vec();
        let min = TASK_RETRY_MS_MIN;
        assert_eq!(pauses, [min, 2 * min, 4 * min, min, 2 * min]);
    }
}
