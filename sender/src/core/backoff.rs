//! How long to wait between tries.

use logystera_schemas::limits::{SEND_BACKOFF_MS, SEND_FAILURES_MAX, SEND_NEW_KEY_MS, SEND_PAUSE_MS_MAX};

/// The delays of a sender; tests shorten them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delays {
    /// First back-off.
    pub base_ms: u64,
    /// How long a new key may take to reach every gateway.
    pub new_key_ms: u64,
    /// Longest pause, and the time between two probes.
    pub probe_ms: u64,
}

impl Default for Delays {
    fn default() -> Self {
        Self { base_ms: SEND_BACKOFF_MS, new_key_ms: SEND_NEW_KEY_MS, probe_ms: SEND_PAUSE_MS_MAX }
    }
}

impl Delays {
    /// The wait after this many failures in a row (from 1): full jitter over `base · 2^(failures - 1)`, so that senders
    /// which failed together do not return together; once the circuit is open, one probe in `probe_ms`.
    pub fn after(self, failures: u32, random: u64) -> u64 {
        if failures >= SEND_FAILURES_MAX {
            return self.probe_ms;
        }
        let doubled = self.base_ms.saturating_mul(1 << failures.saturating_sub(1));
        let longest = doubled.min(self.probe_ms);
        random % (longest + 1)
    }

    /// The wait that a `Retry-After` asks for: at least a second, so that a 0 does not spin, and at most the longest
    /// pause.
    pub fn asked(self, retry_after_s: u64) -> u64 {
        retry_after_s.saturating_mul(1_000).clamp(1_000.min(self.probe_ms), self.probe_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_to_an_hour_and_then_probe() {
        let delays = Delays::default();
        // The largest delay that the jitter can give.
        let longest = |failures| (0..20_000).map(|r| delays.after(failures, r * 181)).max().unwrap();
        let expected = [30_000, 60_000, 120_000, 240_000, 480_000, 960_000, 1_920_000];
        for (failures, expected) in (1..).zip(expected) {
            let got = longest(failures);
            assert!(got <= expected && got > expected * 9 / 10, "{failures}: {got}");
            assert_eq!(delays.after(failures, 0), 0, "full jitter");
            assert_eq!(delays.after(failures, expected), expected);
        }
        assert_eq!(delays.after(SEND_FAILURES_MAX, 0), 3_600_000, "the circuit is open");
        assert_eq!(delays.after(u32::MAX, 7), 3_600_000);
        let short = Delays { base_ms: 4_000_000, probe_ms: 10, ..delays };
        assert!(short.after(1, 9_999) <= 10);
    }

    #[test]
    fn a_retry_after_is_honoured_within_bounds() {
        let delays = Delays::default();
        for (asked_s, expected_ms) in [(0, 1_000), (1, 1_000), (7, 7_000), (3_600, 3_600_000), (u64::MAX, 3_600_000)] {
            assert_eq!(delays.asked(asked_s), expected_ms);
        }
    }
}
