//! Pure arithmetic of attempts: the idempotency key, the delays, and what an outcome means.

use logystera_schemas::delivery::{AttemptCause, AttemptEnded, AttemptOutcome};
use logystera_schemas::detection::Detection;
use logystera_schemas::ids::{ChannelId, DeliveryId, ResendId, Sha256Digest};
use logystera_schemas::limits::{
    CHANNEL_PAUSE_MS_DEFAULT, CHANNEL_PAUSE_MS_MAX, CHANNEL_PAUSE_MS_MIN, RETRY_DELAYS_MS, RETRY_JITTER_PERCENT_MAX,
};
use sha2::{Digest, Sha256};

/// The idempotency key: the first 16 bytes of SHA-256 over the detection's chain value (32 bytes), LF and the channel.
/// The chain value depends on all detections of the site before, so that a log that was put back to a backup and then
/// went on in another way gives other keys. For the news that a channel was switched off, LF, `channel_disabled`, LF
/// and that channel's id follow. `channel` is empty if the tenant has none.
pub fn delivery_id(detection: &Detection, channel: &str, disabled: Option<&ChannelId>) -> DeliveryId {
    id_of(&detection.chain, channel, disabled)
}

/// The same of a detection with this chain value.
pub(super) fn id_of(chain: &Sha256Digest, channel: &str, disabled: Option<&ChannelId>) -> DeliveryId {
    let mut sha = Sha256::new();
    sha.update(chain.0);
    sha.update(format!("\n{channel}"));
    if let Some(disabled) = disabled {
        sha.update(format!("\nchannel_disabled\n{disabled}"));
    }
    let digest: [u8; 32] = sha.finalize().into();
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    DeliveryId(id)
}

/// The idempotency key of the digest whose first detection this is: as that of its delivery, with LF and `digest` behind
/// the channel.
pub fn digest_id(detection: &Detection, channel: &str) -> DeliveryId {
    delivery_id(detection, &format!("{channel}\ndigest"), None)
}

/// The idempotency key of what the fallback channel is told: as that of its delivery, with LF and `fallback` behind the
/// channel.
pub fn fallback_id(detection: &Detection, channel: &ChannelId) -> DeliveryId {
    delivery_id(detection, &format!("{channel}\nfallback"), None)
}

/// The idempotency key of a digest that the fallback channel is told: with `fallback`, LF and `digest` behind the channel.
pub fn fallback_digest_id(detection: &Detection, channel: &ChannelId) -> DeliveryId {
    delivery_id(detection, &format!("{channel}\nfallback\ndigest"), None)
}

/// The idempotency key of a delivery that somebody asked for: the first 16 bytes of SHA-256 over the detection's chain
/// value (32 bytes), LF, the channel, LF, `resend`, LF and the id of the record that asks (16 bytes). It differs from
/// that of the delivery before, so that a receiver that remembers ids shows it.
pub fn resent_id(detection: &Detection, channel: &ChannelId, resend: &ResendId) -> DeliveryId {
    let mut sha = Sha256::new();
    sha.update(detection.chain.0);
    sha.update(format!("\n{channel}\nresend\n"));
    sha.update(resend.0);
    let digest: [u8; 32] = sha.finalize().into();
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    DeliveryId(id)
}

/// Milliseconds from the failure before to step `attempt` of the schedule (from 1): [`RETRY_DELAYS_MS`] and up to a
/// fifth more, from a hash of delivery and step. The last delay holds for every step beyond.
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

/// The step of the schedule that a delay in milliseconds belongs to, from 1.
pub fn step_of(delay_ms: i64) -> u32 {
    RETRY_DELAYS_MS.iter().filter(|delay| **delay <= delay_ms).count().max(1) as u32
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
    /// The channel asks to be left alone for so long, in milliseconds: it works, and takes less than it gets.
    Throttle {
        /// How long.
        ms: i64,
    },
    /// The channel says that it is no more.
    Gone,
    /// The channel does not work now: retried until the attempts are used up; counts for the breaker.
    Failure,
    /// Nobody knows what became of it: it is sent again.
    Unknown,
}

impl Verdict {
    /// Whether the attempt used a step of the schedule.
    pub const fn is_step(self) -> bool {
        !matches!(self, Self::Throttle { .. } | Self::Gone)
    }
}

/// Judges an outcome. Only in records of before does a status say what it means.
pub fn judge(ended: &AttemptEnded) -> Verdict {
    match ended.outcome {
        AttemptOutcome::Delivered => Verdict::Delivered,
        AttemptOutcome::Throttled => Verdict::Throttle { ms: pause_ms(ended.retry_after_s) },
        AttemptOutcome::Rejected => Verdict::Refusal,
        AttemptOutcome::Gone => Verdict::Gone,
        AttemptOutcome::Forbidden => Verdict::Forbidden,
        AttemptOutcome::Unknown => Verdict::Unknown,
        AttemptOutcome::Failed | AttemptOutcome::Timeout | AttemptOutcome::Unreachable => Verdict::Failure,
        AttemptOutcome::Refused => judge_status(ended.status, ended.retry_after_s),
    }
}

/// What a status meant before outcomes said it.
fn judge_status(status: Option<u32>, retry_after_s: Option<u64>) -> Verdict {
    match status {
        Some(429) => Verdict::Throttle { ms: pause_ms(retry_after_s) },
        // Without a time it may as well be broken.
        Some(503) if retry_after_s.is_some() => Verdict::Throttle { ms: pause_ms(retry_after_s) },
        Some(410) => Verdict::Gone,
        Some(400..=499) => Verdict::Refusal,
        _ => Verdict::Failure,
    }
}

/// Whether the channel may know now what the attempt told. An answer that is no acceptance says that the channel did
/// not take it.
pub fn may_have_arrived(ended: &AttemptEnded) -> bool {
    let is_answer = ended.status.is_some() || ended.detail.is_some();
    match (ended.outcome, ended.cause) {
        (AttemptOutcome::Delivered | AttemptOutcome::Timeout | AttemptOutcome::Unknown, _) => true,
        (AttemptOutcome::Failed, None) if is_answer => false,
        (AttemptOutcome::Failed | AttemptOutcome::Unreachable, cause) => {
            matches!(cause, None | Some(AttemptCause::Reset | AttemptCause::Other))
        }
        (
            AttemptOutcome::Throttled
            | AttemptOutcome::Rejected
            | AttemptOutcome::Gone
            | AttemptOutcome::Forbidden
            | AttemptOutcome::Refused,
            _,
        ) => false,
    }
}

fn pause_ms(retry_after_s: Option<u64>) -> i64 {
    match retry_after_s {
        None => CHANNEL_PAUSE_MS_DEFAULT,
        Some(s) => {
            let asked = i64::try_from(s).unwrap_or(i64::MAX).saturating_mul(1_000);
            asked.clamp(CHANNEL_PAUSE_MS_MIN, CHANNEL_PAUSE_MS_MAX)
        }
    }
}

/// Whether another attempt follows after `steps` of them, `refusals` of these being [`Verdict::Refusal`] or
/// [`Verdict::Forbidden`], the last one included. Throttlings and a 410 are no steps.
pub fn goes_on(verdict: Verdict, steps: u32, refusals: u32) -> bool {
    let left = (steps as usize) < RETRY_DELAYS_MS.len();
    match verdict {
        Verdict::Delivered => false,
        Verdict::Refusal | Verdict::Forbidden => left && refusals < 2,
        Verdict::Throttle { .. } | Verdict::Gone | Verdict::Failure | Verdict::Unknown => left,
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
            cause: None,
            detail: None,
        }
    }

    #[test]
    fn each_outcome_has_one_meaning() {
        use AttemptOutcome::{
            Delivered, Failed, Forbidden, Gone, Refused, Rejected, Throttled, Timeout, Unknown, Unreachable,
        };
        for (outcome, status, retry_after_s, expected) in [
            (Delivered, Some(200), None, Verdict::Delivered),
            (Delivered, Some(204), Some(9), Verdict::Delivered),
            (Throttled, Some(429), None, Verdict::Throttle { ms: 30_000 }),
            (Throttled, Some(503), Some(7), Verdict::Throttle { ms: 7_000 }),
            (Throttled, None, Some(0), Verdict::Throttle { ms: 1_000 }),
            (Throttled, None, Some(u64::MAX), Verdict::Throttle { ms: 3_600_000 }),
            // What a status means is not asked again.
            (Rejected, Some(429), Some(7), Verdict::Refusal),
            (Gone, Some(404), None, Verdict::Gone),
            (Gone, None, None, Verdict::Gone),
            (Failed, Some(410), Some(7), Verdict::Failure),
            (Failed, None, None, Verdict::Failure),
            (Refused, Some(429), None, Verdict::Throttle { ms: 30_000 }),
            (Refused, Some(429), Some(7), Verdict::Throttle { ms: 7_000 }),
            (Refused, Some(429), Some(0), Verdict::Throttle { ms: 1_000 }),
            (Refused, Some(503), Some(3_601), Verdict::Throttle { ms: 3_600_000 }),
            (Refused, Some(503), Some(u64::MAX), Verdict::Throttle { ms: 3_600_000 }),
            (Refused, Some(503), None, Verdict::Failure),
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
            (Forbidden, None, None, Verdict::Forbidden),
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
    fn a_refused_message_was_not_heard() {
        use AttemptCause::{Dns, NoAddress, Other, Reset, Tls};
        use AttemptOutcome::{Failed, Forbidden, Gone, Rejected, Throttled, Timeout, Unknown, Unreachable};
        for (outcome, status, cause, detail, expected) in [
            (Timeout, None, None, None, true),
            (Unknown, None, None, Some("smtp_lost"), true),
            (Throttled, Some(429), None, None, false),
            (Rejected, None, None, Some("smtp_550"), false),
            (Gone, None, None, Some("slack_no_service"), false),
            (Forbidden, None, None, None, false),
            (Failed, Some(500), None, None, false),
            (Failed, None, None, Some("smtp_451"), false),
            (Failed, None, None, None, true),
            (Failed, None, Some(Reset), None, true),
            (Failed, None, Some(Other), None, true),
            (Failed, None, Some(Dns), None, false),
            (Failed, None, Some(Tls), None, false),
            (Failed, None, Some(NoAddress), None, false),
            (Unreachable, None, None, None, true),
            (Unreachable, None, Some(Dns), None, false),
        ] {
            let ended = AttemptEnded { cause, detail: detail.map(str::to_owned), ..ended(outcome, status, None) };
            assert_eq!(may_have_arrived(&ended), expected, "{outcome} {status:?} {cause:?} {detail:?}");
        }
    }

    #[test]
    fn a_delay_tells_its_step() {
        for seed in 0..200_u8 {
            for step in 1..=8 {
                assert_eq!(step_of(delay_ms(DeliveryId([seed; 16]), step)), step);
            }
        }
        assert_eq!((step_of(-1), step_of(i64::MAX)), (1, 8));
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
