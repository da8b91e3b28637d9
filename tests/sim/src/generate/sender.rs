//! A sender as design section 3 wants it: one spool on a site with a clock of its own. It says what it would send; the
//! world decides what arrives.

use logystera_schemas::catalogue::SignalTypes;
use logystera_schemas::ids::{KeyId, Sha256Digest, SiteId, SpoolId, TenantId};

use super::rules::Palette;
use crate::input::{BatchIn, SignalIn};
use crate::rng::Rng;

/// One spool.
#[derive(Clone, Debug)]
pub struct Sender {
    /// Tenant of the site.
    pub tenant: TenantId,
    /// Its site.
    pub site: SiteId,
    /// Key that it signs with.
    pub key: KeyId,
    /// The spool.
    pub spool: SpoolId,
    /// Its clock minus the true one.
    pub skew_ms: i64,
    /// What it learnt of that.
    pub clock_offset_ms: i64,
    /// How often it sends.
    pub flush_every_s: u32,
    /// Types that are switched on.
    pub enabled: SignalTypes,
    /// Signals a second, in percent.
    pub rate: u64,
    /// When it sends next, in true time.
    pub next_flush: i64,
    /// Until when nothing of it arrives.
    pub cut_off_until: i64,
    /// By how much its `through` stays behind what it could say.
    pub lag_ms: i64,
    /// Whether its next batch with nothing behind it is its last.
    pub is_done: bool,
    unsent: Vec<SignalIn>,
    last_at: i64,
    last_through: i64,
    next_seq: u64,
    /// The batch that has no final answer yet.
    pub claimed: Option<BatchIn>,
    /// A batch that was answered for good.
    pub answered: Vec<BatchIn>,
}

impl Sender {
    /// A new spool.
    pub fn new(site: &SiteId, tenant: &TenantId, palette: &Palette, now: i64, rng: &mut Rng) -> Self {
        let step = palette.step_ms.max(250);
        let mut enabled = SignalTypes::default();
        palette.types.iter().filter(|_| rng.chance(90)).for_each(|t| enabled.insert(*t));
        let skew_ms = if rng.chance(60) { 0 } else { step * rng.range(-40, 40) };
        Self {
            tenant: tenant.clone(),
            site: site.clone(),
            key: key(1),
            spool: SpoolId(rng.word().to_be_bytes()),
            skew_ms,
            clock_offset_ms: if rng.chance(70) { -skew_ms } else { 0 },
            flush_every_s: *rng.pick(&[1, 1, 5, 10, 60]),
            enabled,
            rate: *rng.pick(&[2, 20, 60, 150]),
            next_flush: now + rng.range(0, 5_000),
            cut_off_until: 0,
            lag_ms: if rng.chance(4) { step * rng.range(1, 60) } else { 0 },
            is_done: false,
            unsent: Vec::new(),
            last_at: i64::MIN,
            last_through: i64::MIN,
            next_seq: 1 + rng.below(3),
            claimed: None,
            answered: Vec::new(),
        }
    }

    fn clock(&self, now: i64, palette: &Palette) -> i64 {
        let clock = now + self.skew_ms;
        clock - clock.rem_euclid(palette.step_ms)
    }

    /// Something happened on the site.
    pub fn emit(&mut self, palette: &Palette, now: i64, rng: &mut Rng) {
        let kind = *rng.pick(&palette.types);
        let at = self.clock(now, palette).max(self.last_at).max(self.last_through.saturating_add(1));
        let fields = kind.def().fields.iter().map(|def| palette.field(def, rng)).collect();
        self.last_at = at;
        self.unsent.push(SignalIn { kind, at, fields });
    }

    /// It was away for `span_ms`: so many signals of that time wait.
    pub fn fall_behind(&mut self, palette: &Palette, now: i64, span_ms: i64, signals: i64, rng: &mut Rng) {
        for nth in 0..signals {
            self.emit(palette, now - span_ms + nth * (span_ms / signals), rng);
        }
    }

    /// Goes on from a backup of `numbers` batches ago.
    pub fn restore(&mut self, numbers: u64) {
        self.next_seq = self.next_seq.saturating_sub(numbers).max(1);
        (self.claimed, self.last_at, self.last_through) = (None, i64::MIN, i64::MIN);
    }

    /// Cuts the next batch of at most `most` signals, under the rules of design section 3.
    pub fn claim(&mut self, palette: &Palette, now: i64, most: usize) {
        let count = self.unsent.len().min(most);
        let signals: Vec<SignalIn> = self.unsent.drain(..count).collect();
        let through = match self.unsent.first() {
            Some(next) => next.at - 1,
            None => self.clock(now, palette),
        };
        let through = through - self.lag_ms;
        let last = signals.last().map_or(i64::MIN, |s| s.at - 1);
        self.last_through = through.max(last).max(self.last_through);
        let ends = self.is_done && self.unsent.is_empty();
        let mut batch = BatchIn {
            tenant: self.tenant.clone(),
            site: self.site.clone(),
            key: self.key.clone(),
            spool: self.spool,
            seq: self.next_seq,
            digest: Sha256Digest([0; 32]),
            received_at: 0,
            through: self.last_through,
            clock_offset_ms: self.clock_offset_ms,
            flush_every_s: self.flush_every_s,
            enabled: self.enabled,
            signals,
            ends,
        };
        batch.digest = batch.content_digest();
        self.next_seq += 1;
        self.claimed = Some(batch);
    }

    /// Skips batch numbers, as after a 413.
    pub fn skip(&mut self, numbers: u64) {
        self.next_seq += numbers;
    }

    /// The claimed batch has its final answer.
    pub fn finish(&mut self) {
        self.answered.extend(self.claimed.take());
    }
}

/// The nth key of a site.
#[expect(clippy::expect_used, reason = "the id is well formed")]
pub fn key(nth: u64) -> KeyId {
    format!("k{nth}").parse().expect("a key id")
}
