//! What the sender learns of its clock from the gateway's `server_time` (design, section 3).

use logystera_schemas::limits::{CLOCK_OFFSET_MS_MAX, CLOCK_STEP_MS};

/// The offset to keep: server minus sender rounded to a second, and the old one unless the new measurement differs from
/// it by more than two seconds, so that the way's jitter does not move the signals' times.
pub fn learn(kept_ms: i64, server_ms: i64, sender_ms: i64) -> i64 {
    let measured = server_ms.saturating_sub(sender_ms).clamp(-CLOCK_OFFSET_MS_MAX, CLOCK_OFFSET_MS_MAX);
    if (measured - kept_ms).abs() <= CLOCK_STEP_MS {
        return kept_ms;
    }
    (measured + 500).div_euclid(1_000) * 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_step_of_more_than_two_seconds_counts() {
        let cases = [
            // kept, measured -> kept
            (0, 0, 0),
            (0, 1_999, 0),
            (0, 2_000, 0),
            (0, 2_001, 2_000),
            (0, -2_001, -2_000),
            (0, 3_500, 4_000),
            (0, 3_499, 3_000),
            (0, -3_501, -4_000),
            (4_000, 2_000, 4_000),
            (4_000, 1_999, 2_000),
            (4_000, 0, 0),
            (0, i64::MAX, CLOCK_OFFSET_MS_MAX),
            (0, -CLOCK_OFFSET_MS_MAX - 1, -CLOCK_OFFSET_MS_MAX),
        ];
        for (kept, measured, expected) in cases {
            assert_eq!(learn(kept, measured, 0), expected, "{kept} {measured}");
        }
    }
}
