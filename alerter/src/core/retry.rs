//! Pure arithmetic of attempts: the idempotency key, the delays, and what an outcome means.

use logystera_schemas::delivery::{AttemptEnded, AttemptOutcome};
use logystera_schemas::detection::Detection;
use logystera_schemas::ids::{ChannelId, DeliveryId};
use logystera_schemas::limits::{
    CHANNEL_PAUSE_MS_DEFAULT, CHANNEL_PAUSE_MS_MAX, RETRY_DELAYS_MS, RETRY_JITTER_PERCENT_MAX,
};
use sha2::{Digest, Sha256};

/// The idempotency key: the first 16 bytes of SHA-256 over tenant, channel, the detection's site and `seq`, joined by LF.
/// The news that a channel was disabled has `channel_disabled` and that channel's id besides. `channel` is empty where the
/// tenant has none.
pub fn delivery_id(detection: &Detection, channel: &str, disabled: Option<&ChannelId>) -> DeliveryId {
    let mut text = format!("{}\n{channel}\n{}\n{}", detection.tenant, detection.site, detection.seq);
    if let Some(disabled) = disabled {
        text.push_str("\nchannel_disabled\n");
        text.push_str(disabled.as_str());
    }
    let mut id = [0; 16];
    id.copy_from_slice(&Sha256::digest(text.as_bytes())[..16]);
    DeliveryId(id)
}

/// Milliseconds from the failure before to attempt number `attempt` (from 1): [`RETRY_DELAYS_MS`] and up to a fifth more,
/// from a hash of delivery and attempt. The last delay holds for every attempt beyond.
pub fn delay_ms(delivery: DeliveryId, attempt: u32) -> i64 {
    let index = (attempt.saturating_sub(1) as usize).min(RETRY_DELAYS_MS.len() - 1);
    let delay = RETRY_DELAYS_MS[index];
    let mut sha = Sha256::new();
    sha.update(delivery.0);
    sha.update(attempt.to_be_bytes());
    let digest: [u8; 32] = sha.finalize().into();
    let thousandths = i64::from(u16::from_be_bytes([digest[0], digest[1]]) % 1_000);
    delay + delay * RETRY_JITTER_PERCENT_MAX * thousandths / 100_000
}

/// What an outcome means for the delivery and its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The channel took it.
    Delivered,
    /// The channel answers but does not want this: one retry, then dead.
    Refusal,
    /// The address may not be called: one retry, then dead.
    Forbidden,
    /// The channel asks to be left alone for so long, in milliseconds.
    Pause {
        /// How long.
        ms: i64,
    },
    /// The channel is no more.
    Gone,
    /// The channel does not work now: retried until the attempts are used up; counts for the breaker.
    Failure,
    /// Nobody knows: it is sent again.
    Unknown,
}

/// Judges an outcome.
pub fn judge(ended: &AttemptEnded) -> Verdict {
    match (ended.outcome, ended.status) {
        (AttemptOutcome::Delivered, _) => Verdict::Delivered,
        (AttemptOutcome::Refused, Some(429 | 503)) => Verdict::Pause { ms: pause_ms(ended.retry_after_s) },
        (AttemptOutcome::Refused, Some(410)) => Verdict::Gone,
        (AttemptOutcome::Refused, Some(400..=499)) => Verdict::Refusal,
        (AttemptOutcome::AddressForbidden, _) => Verdict::Forbidden,
        (AttemptOutcome::Unknown, _) => Verdict::Unknown,
        (AttemptOutcome::Refused | AttemptOutcome::Unreachable | AttemptOutcome::Timeout, _) => Verdict::Failure,
    }
}

fn pause_ms(retry_after_s: Option<u64>) -> i64 {
    match retry_after_s {
        None => CHANNEL_PAUSE_MS_DEFAULT,
        Some(s) => i64::try_from(s).unwrap_or(i64::MAX).saturating_mul(1_000).min(CHANNEL_PAUSE_MS_MAX),
    }
}

/// Whether another attempt follows after `attempts` of them, `refusals` of these being [`Verdict::Refusal`] or
/// [`Verdict::Forbidden`], the last one included.
pub fn goes_on(verdict: Verdict, attempts: u32, refusals: u32) -> bool {
    let left = (attempts as usize) < RETRY_DELAYS_MS.len();
    match verdict {
        Verdict::Delivered | Verdict::Gone => false,
        Verdict::Refusal | Verdict::Forbidden => left && refusals < 2,
        Verdict::Pause { .. } | Verdict::Failure | Verdict::Unknown => left,
    }
}

#[cfg(test)]
mod tests {
    use logystera_schemas::ids::TenantId;

    use super::*;

    fn ended(outcome: AttemptOutcome, status: Option<u32>, retry_after_s: Option<u64>) -> AttemptEnded {
        let tenant: TenantId = "t".parse().unwrap();
        AttemptEnded {
            tenant,
            delivery: DeliveryId([0; 16]),
            attempt: 1,
            outcome,
            status,
            retry_after_s,
            duration_ms: 1,
        }
    }

    #[test]
    fn each_outcome_has_one_meaning() {
        use AttemptOutcome::{AddressForbidden, Delivered, Refused, Timeout, Unknown, Unreachable};
        for (outcome, status, retry_after_s, expected) in [
            (Delivered, Some(200), None, Verdict::Delivered),
            (Delivered, Some(204), Some(9), Verdict::Delivered),
            (Refused, Some(429), None, Verdict::Pause { ms: 30_000 }),
            (Refused, Some(429), Some(7), Verdict::Pause { ms: 7_000 }),
            (Refused, Some(429), Some(0), Verdict::Pause { ms: 0 }),
            (Refused, Some(503), Some(3_601), Verdict::Pause { ms: 3_600_000 }),
            (Refused, Some(503), Some(u64::MAX), Verdict::Pause { ms: 3_600_000 }),
            (Refused, Some(410), None, Verdict::Gone),
            (Refused, Some(400), None, Verdict::Refusal),
            (Refused, Some(404), None, Verdict::Refusal),
            (Refused, Some(499), None, Verdict::Refusal),
            (Refused, Some(301), None, Verdict::Failure),
            (Refused, Some(500), None, Verdict::Failure),
            (Refused, Some(502), Some(9), Verdict::Failure),
            (Refused, None, None, Verdict::Failure),
            (Unreachable, None, None, Verdict::Failure),
            (Timeout, None, None, Verdict::Failure),
            (AddressForbidden, None, None, Verdict::Forbidden),
            (Unknown, None, None, Verdict::Unknown),
        ] {
            assert_eq!(
                judge(&ended(outcome, status, retry_after_s)),
                expected,
                "{outcome} {status:?} {retry_after_s:?}"
            );
        }
    }

    #[test]
    fn delays_are_the_schedule_and_at_most_a_fifth_more() {
        let mut distinct = std::collections::BTreeSet::new();
        for seed in 0..200_u8 {
            let delivery = DeliveryId([seed; 16]);
            for (attempt, delay) in (1..).zip(RETRY_DELAYS_MS) {
                let actual = delay_ms(delivery, attempt);
                assert!((delay..=delay + delay / 5).contains(&actual), "attempt {attempt}: {actual}");
                assert_eq!(actual, delay_ms(delivery, attempt), "the same again");
            }
            distinct.insert(delay_ms(delivery, 8));
        }
        assert!(distinct.len() > 150, "only {} delays among 200 deliveries", distinct.len());
    }
}
