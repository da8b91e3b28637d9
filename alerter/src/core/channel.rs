//! What is known of a channel: whether it is disabled, paused, or its breaker open.

use logystera_schemas::limits::{
    ATTEMPTS_IN_FLIGHT_CHANNEL_MAX, BREAKER_FAILURES, BREAKER_OPEN_MS, BREAKER_OPEN_MS_MAX,
};
use logystera_schemas::time::WallMs;

use super::clock::Timer;
use super::planner::Counters;
use super::retry::Verdict;

/// A channel of a tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Channel {
    /// What it speaks.
    pub(super) kind: String,
    /// It answered 410. It stays so until it is removed.
    pub(super) disabled: bool,
    /// It asked to be left alone.
    pub(super) pause: Option<Timer>,
    /// Failures in a row.
    pub(super) failures: u32,
    /// How often the breaker opened without a sign of life between.
    pub(super) opens: u32,
    /// The breaker is open until this is over; then half open: one attempt at a time.
    pub(super) open: Option<Timer>,
}

impl Channel {
    /// How many attempts it may have in the air now.
    pub(super) fn places(&self, wall: WallMs) -> usize {
        let paused = self.pause.is_some_and(|p| !p.is_over(wall));
        match self.open {
            _ if self.disabled || paused => 0,
            Some(open) if !open.is_over(wall) => 0,
            Some(_) => 1,
            None => ATTEMPTS_IN_FLIGHT_CHANNEL_MAX,
        }
    }

    /// The first time at which an attempt due at `due` can be made, as far as is known now.
    pub(super) fn not_before(&self, due: WallMs) -> WallMs {
        [self.pause, self.open].into_iter().flatten().fold(due, |at, gate| at.max(gate.at))
    }

    /// An attempt ended.
    pub(super) fn heard(&mut self, verdict: Verdict, wall: WallMs, counters: &mut Counters) {
        match verdict {
            Verdict::Delivered | Verdict::Refusal => {
                self.failures = 0;
                self.opens = 0;
                self.open = None;
                self.pause = self.pause.filter(|p| !p.is_over(wall));
            }
            Verdict::Pause { ms } => {
                let pause = Timer::after(wall, ms);
                if self.pause.is_none_or(|p| p.at < pause.at) {
                    self.pause = Some(pause);
                }
                counters.channel_pauses += 1;
            }
            Verdict::Gone => self.disabled = true,
            Verdict::Failure => self.failed(wall, counters),
            // It says nothing of the channel: no request may have reached it.
            Verdict::Forbidden | Verdict::Unknown => {}
        }
    }

    fn failed(&mut self, wall: WallMs, counters: &mut Counters) {
        self.failures = self.failures.saturating_add(1);
        let opens = match self.open {
            None => self.failures >= BREAKER_FAILURES,
            // An attempt that was in the air when the breaker opened says nothing new.
            Some(open) => open.is_over(wall),
        };
        if opens {
            // Sixteen doublings are far beyond the longest time, and far from an overflow.
            let doubled = BREAKER_OPEN_MS << self.opens.min(16);
            self.open = Some(Timer::after(wall, doubled.min(BREAKER_OPEN_MS_MAX)));
            self.opens = self.opens.saturating_add(1);
            counters.breaker_opens += 1;
        }
    }

    /// Wall time was set back.
    pub(super) fn set_back(&mut self, wall: WallMs) -> bool {
        let before = (self.pause, self.open);
        self.pause = self.pause.map(|t| t.set_back(wall));
        self.open = self.open.map(|t| t.set_back(wall));
        before != (self.pause, self.open)
    }
}
