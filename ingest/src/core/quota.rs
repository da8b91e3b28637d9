//! The quota of a site: two token buckets, one in bytes and one in signals, over a given time.

use std::collections::BTreeMap;

use logystera_schemas::ids::SiteId;
use logystera_schemas::limits::{
    OVER_QUOTA_EVERY_MS, OVER_QUOTA_WAIT_MS_MAX, QUOTA_BYTES_BURST, QUOTA_BYTES_PER_S, QUOTA_SIGNALS_BURST,
    QUOTA_SIGNALS_PER_S, WIRE_BYTES_MAX,
};

/// What every site may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Bytes of bodies, inflated, that a site gains each second.
    pub bytes_per_s: u32,
    /// Bytes that it can have saved up.
    pub bytes_burst: u32,
    /// Signals that a site gains each second.
    pub signals_per_s: u32,
    /// Signals that it can have saved up.
    pub signals_burst: u32,
}

impl Default for Quota {
    fn default() -> Self {
        Self {
            bytes_per_s: QUOTA_BYTES_PER_S,
            bytes_burst: QUOTA_BYTES_BURST,
            signals_per_s: QUOTA_SIGNALS_PER_S,
            signals_burst: QUOTA_SIGNALS_BURST,
        }
    }
}

/// Tokens in thousandths: a rate per second is a rate of thousandths per millisecond.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    level: i64,
    at_ms: i64,
}

impl Bucket {
    fn full(burst: u32, now_ms: i64) -> Self {
        Self { level: i64::from(burst) * 1_000, at_ms: now_ms }
    }

    fn fill(&mut self, per_s: u32, burst: u32, now_ms: i64) {
        let passed = now_ms.saturating_sub(self.at_ms).max(0);
        let gained = passed.saturating_mul(i64::from(per_s));
        self.level = self.level.saturating_add(gained).min(i64::from(burst) * 1_000);
        self.at_ms = self.at_ms.max(now_ms);
    }

    /// Milliseconds until the bucket holds `needed` thousandths; 0: it does.
    fn wait_ms(&self, needed: i64, per_s: u32) -> i64 {
        let short = (needed - self.level).max(0);
        short / i64::from(per_s.max(1)) + i64::from(short % i64::from(per_s.max(1)) != 0)
    }
}

/// Why a batch has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverQuota {
    /// Whole seconds after which to come again.
    pub retry_after_s: u32,
    /// Milliseconds to hold the answer back; 0 for the first refusal in a while.
    pub answer_in_ms: u64,
}

/// What is counted of one site.
#[derive(Clone, Copy, Debug)]
struct Use {
    bytes: Bucket,
    signals: Bucket,
    /// Before this time, monotonic milliseconds, no refusal is answered.
    answers_from_ms: i64,
}

/// The buckets of all sites that are not full: only batches whose MAC held come here, so there are no more than sites.
#[derive(Debug)]
pub struct Quotas {
    quota: Quota,
    sites: BTreeMap<SiteId, Use>,
}

impl Quotas {
    /// Every site starts full.
    pub fn new(quota: Quota) -> Self {
        // A burst below the largest batch would turn that batch away for ever.
        let bytes_burst = quota.bytes_burst.max(WIRE_BYTES_MAX as u32);
        Self { quota: Quota { bytes_burst, ..quota }, sites: BTreeMap::new() }
    }

    fn of(&mut self, site: &SiteId, now_ms: i64) -> &mut Use {
        let quota = self.quota;
        let used = self.sites.entry(site.clone()).or_insert_with(|| Use {
            bytes: Bucket::full(quota.bytes_burst, now_ms),
            signals: Bucket::full(quota.signals_burst, now_ms),
            answers_from_ms: now_ms,
        });
        used.bytes.fill(quota.bytes_per_s, quota.bytes_burst, now_ms);
        used.signals.fill(quota.signals_per_s, quota.signals_burst, now_ms);
        used
    }

    /// Takes the bytes of a batch, or says when to come again. How many signals it holds is not known before it is
    /// parsed: it may start while there is a signal left, and [`Self::charge`] takes them afterwards.
    pub fn take(&mut self, site: &SiteId, bytes: usize, now_ms: i64) -> Result<(), OverQuota> {
        let quota = self.quota;
        let needed = bytes as i64 * 1_000;
        let used = self.of(site, now_ms);
        let wait_ms =
            used.bytes.wait_ms(needed, quota.bytes_per_s).max(used.signals.wait_ms(1_000, quota.signals_per_s));
        if wait_ms == 0 {
            used.bytes.level -= needed;
            return Ok(());
        }
        let answer_in_ms = used.answers_from_ms.saturating_sub(now_ms).clamp(0, OVER_QUOTA_WAIT_MS_MAX);
        used.answers_from_ms = now_ms.saturating_add(answer_in_ms).saturating_add(OVER_QUOTA_EVERY_MS);
        Err(OverQuota {
            retry_after_s: u32::try_from(wait_ms.saturating_add(999) / 1_000).unwrap_or(u32::MAX),
            answer_in_ms: answer_in_ms.unsigned_abs(),
        })
    }

    /// Takes the signals of a batch that was parsed, and the bytes that it had more than were taken before; the buckets
    /// may fall below zero, by one batch.
    pub fn charge(&mut self, site: &SiteId, more_bytes: usize, signals: usize, now_ms: i64) {
        let used = self.of(site, now_ms);
        used.bytes.level -= more_bytes as i64 * 1_000;
        used.signals.level -= signals as i64 * 1_000;
    }

    /// Drops the buckets that are full again: an absent one means the same.
    pub fn forget(&mut self, now_ms: i64) {
        let quota = self.quota;
        self.sites.retain(|_, Use { bytes, signals, .. }| {
            bytes.fill(quota.bytes_per_s, quota.bytes_burst, now_ms);
            signals.fill(quota.signals_per_s, quota.signals_burst, now_ms);
            bytes.level < i64::from(quota.bytes_burst) * 1_000 || signals.level < i64::from(quota.signals_burst) * 1_000
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u32 = 1 << 20;

    fn quotas() -> Quotas {
        Quotas::new(Quota { bytes_per_s: 1_000, bytes_burst: 2 * MIB, signals_per_s: 100, signals_burst: 1_000 })
    }

    fn site() -> SiteId {
        "s".parse().unwrap()
    }

    fn retry_after(taken: Result<(), OverQuota>) -> Result<(), u32> {
        taken.map_err(|over| over.retry_after_s)
    }

    #[test]
    fn bytes_run_out_and_come_back() {
        let mut quotas = quotas();
        assert_eq!(quotas.take(&site(), MIB as usize, 0), Ok(()));
        assert_eq!(quotas.take(&site(), MIB as usize, 0), Ok(()));
        assert_eq!(retry_after(quotas.take(&site(), 1, 0)), Err(1));
        assert_eq!(retry_after(quotas.take(&site(), 5_001, 0)), Err(6));
        assert_eq!(retry_after(quotas.take(&site(), 5_000, 4_999)), Err(1));
        assert_eq!(quotas.take(&site(), 5_000, 5_000), Ok(()));
        assert_eq!(quotas.take(&"other".parse().unwrap(), 1, 0), Ok(()), "another site's quota is its own");
    }

    #[test]
    fn signals_are_taken_after_the_fact() {
        let mut quotas = quotas();
        quotas.charge(&site(), 0, 999, 0);
        assert_eq!(quotas.take(&site(), 1, 0), Ok(()));
        quotas.charge(&site(), 0, 1_000, 0);
        // 999 below zero, and one is needed: 1,000 signals at 100 a second.
        assert_eq!(retry_after(quotas.take(&site(), 1, 0)), Err(10));
        assert_eq!(retry_after(quotas.take(&site(), 1, 9_999)), Err(1));
        assert_eq!(quotas.take(&site(), 1, 10_000), Ok(()));
    }

    #[test]
    fn what_a_body_costs_is_taken_after_the_fact() {
        let mut quotas = quotas();
        assert_eq!(quotas.take(&site(), 1_000, 0), Ok(()));
        quotas.charge(&site(), 2 * MIB as usize, 0, 0);
        // 1,000 below zero, and one is needed: 1,001 bytes at 1,000 a second.
        assert_eq!(retry_after(quotas.take(&site(), 1, 0)), Err(2));
        assert_eq!(quotas.take(&site(), 1, 1_001), Ok(()));
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing() {
        let mut quotas = quotas();
        quotas.charge(&site(), 0, 1_000, 10_000);
        assert_eq!(retry_after(quotas.take(&site(), 1, 0)), Err(1));
        assert_eq!(retry_after(quotas.take(&site(), 1, 10_000)), Err(1));
        assert_eq!(quotas.take(&site(), 1, 10_010), Ok(()));
        assert_eq!(quotas.take(&site(), 1, i64::MAX), Ok(()));
    }

    #[test]
    fn the_largest_batch_always_fits_a_full_bucket() {
        let mut quotas = Quotas::new(Quota { bytes_burst: 10, ..Quota::default() });
        assert_eq!(quotas.take(&site(), WIRE_BYTES_MAX, 0), Ok(()));
    }

    #[test]
    fn answers_to_who_is_over_its_quota_come_one_by_one() {
        let mut quotas = quotas();
        quotas.charge(&site(), 4 * MIB as usize, 0, 0);
        let mut answer_in = |now_ms| quotas.take(&site(), 1, now_ms).map_err(|over| over.answer_in_ms);
        assert_eq!([0, 0, 0, 25, 25].map(&mut answer_in), [0, 10, 20, 5, 15].map(Err));
        assert_eq!(answer_in(1_000), Err(0), "the first for a while");
        let last = (0..1_000).map(|_| answer_in(1_000)).last();
        assert_eq!(last, Some(Err(5_000)), "no more than the longest wait");
    }

    #[test]
    fn full_buckets_are_forgotten() {
        let mut quotas = quotas();
        assert_eq!(quotas.take(&site(), 1_000, 0), Ok(()));
        quotas.forget(999);
        assert_eq!(quotas.sites.len(), 1);
        quotas.forget(1_000);
        assert_eq!(quotas.sites.len(), 0);
    }
}
