//! The silence of a whole site, in open time (design, section 6, *blind*).

use std::collections::BTreeMap;

use logystera_schemas::detection::{DetectionReason, DetectionState};

use super::group::Said;
use super::log_time::LogTime;

const HOUR: i64 = 3_600_000;

/// When a site was last heard, and which rules say that it is silent.
#[derive(Debug)]
pub struct Silence {
    /// Open time of the last sign of life, or of the configuration.
    heard_open: i64,
    /// Wall time of it.
    heard_wall: i64,
    /// Rules that fire, each with the wall time at which the silence began.
    blind: BTreeMap<String, i64>,
    /// Whether a blindness ended and the watermark has not moved since: the other absences wait for that.
    wait: bool,
}

impl Silence {
    /// A site that was configured now.
    pub fn new(clock: &LogTime) -> Self {
        let (open, wall) = (clock.open, clock.wall());
        Self { heard_open: open, heard_wall: wall, blind: BTreeMap::new(), wait: false }
    }

    /// A sign of life.
    pub fn heard(&mut self, clock: &LogTime) {
        (self.heard_open, self.heard_wall) = (clock.open, clock.wall());
    }

    /// Open time of the last sign of life.
    pub fn heard_open(&self) -> i64 {
        self.heard_open
    }

    /// Open time at which a rule fires: never under three times the longest flush, and an hour more after a gap, so that
    /// every sender had the time to come back.
    pub fn deadline(&self, after_ms: i64, longest_flush_s: i64, clock: &LogTime) -> i64 {
        let deadline = self.heard_open + after_ms.max(3 * 1_000 * longest_flush_s);
        match clock.gap_end {
            Some(end) if end >= self.heard_open => deadline.max(end) + HOUR,
            _ => deadline,
        }
    }

    /// A rule fires; false where it does already.
    pub fn begin(&mut self, rule: &str) -> bool {
        self.blind.insert(rule.to_owned(), self.heard_wall).is_none()
    }

    /// When the silence began for which a rule fires.
    pub fn began(&self, rule: &str) -> Option<i64> {
        self.blind.get(rule).copied()
    }

    /// A rule's alert ends; none where it did not fire.
    pub fn end(&mut self, rule: &str, reason: DetectionReason, at: i64) -> Option<Said> {
        let started_at = self.blind.remove(rule)?;
        self.wait |= reason == DetectionReason::Resolved;
        Some(Said { state: DetectionState::Resolved, reason, at, started_at, count: 0, held: 0 })
    }

    /// What a rule says that fires.
    pub fn said(&self, state: DetectionState, reason: DetectionReason, at: i64) -> Said {
        Said { state, reason, at, started_at: self.heard_wall, count: 0, held: 0 }
    }

    /// Whether the site's other absences wait.
    pub fn holds_absences(&self) -> bool {
        self.wait
    }

    /// Ends their wait; whether there was one.
    pub fn take_wait(&mut self) -> bool {
        std::mem::take(&mut self.wait)
    }
}
