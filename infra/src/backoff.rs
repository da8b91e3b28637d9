//! How long to wait before something is tried again. Pure.

use std::time::Duration;

/// Pauses that double from one try to the next, up to a longest one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "units stand last in names")]
pub struct Backoff {
    min_ms: u64,
    max_ms: u64,
    next_ms: u64,
}

impl Backoff {
    /// Pauses from `min_ms` to `max_ms`, milliseconds.
    pub const fn new(min_ms: u64, max_ms: u64) -> Self {
        Self { min_ms, max_ms, next_ms: min_ms }
    }

    /// The pause before the next try.
    pub fn pause(&mut self) -> Duration {
        let pause_ms = self.next_ms;
        self.next_ms = pause_ms.saturating_mul(2).min(self.max_ms);
        Duration::from_millis(pause_ms)
    }

    /// Whether a failure now is worth a line of the log: the first one, and those after the longest pause.
    pub fn is_told(&self) -> bool {
        self.next_ms == self.min_ms || self.next_ms == self.max_ms
    }

    /// It went well for a while: the next pause is the shortest again.
    pub fn reset(&mut self) {
        self.next_ms = self.min_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let mut backoff = Backoff::new(100, 700);
        let pauses: Vec<_> = (0..5).map(|_| (backoff.is_told(), backoff.pause().as_millis())).collect();
        assert_eq!(pauses, [(true, 100), (false, 200), (false, 400), (true, 700), (true, 700)]);
        backoff.reset();
        assert_eq!(backoff.pause(), Duration::from_millis(100));
    }
}
