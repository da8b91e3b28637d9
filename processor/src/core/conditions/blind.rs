//! The whole site is silent: blindness. Site time can't tell it, since nothing moves that. How long the silence lasts
//! is counted in open time; its suppressions and reminders run in wall time.

use logystera_ruleset::Rule;
use logystera_schemas::avro_record;
use logystera_schemas::detection::{Detection, DetectionReason, DetectionState};
use logystera_schemas::limits::{FLUSHES_WAITED, REMINDERS_MAX, SENDER_PAUSE_MS_MAX};
use logystera_schemas::time::{OpenMs, WallMs};

use super::super::chain::{DetectionChain, Emission};

/// The numbers of a silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// How long the site may be silent, in milliseconds.
    pub(crate) after_ms: i64,
}

avro_record! {
    /// What a rule knows of the site's own silence.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub(crate) struct State {
        /// Whether the site is silent for too long.
        pub(crate) firing: bool,
        /// Whether a firing of this episode was emitted: only then its end is emitted too.
        pub(crate) announced: bool,
        /// Wall time at which the site was last heard before the silence.
        pub(crate) started_at: WallMs,
        /// End of the suppression that runs.
        pub(crate) suppressed_until: Option<WallMs>,
        /// Firings that were held back since the last one emitted.
        pub(crate) held: u64,
        /// Reminders of the episode so far: firings that only time brought about.
        pub(crate) reminders: u32 where since 2,
    }
}

impl Plan {
    /// Open time from which on a site that was last heard at `heard` is blind: `after_ms` later, and no sooner than
    /// after three of its flush intervals. If a gap in the ticks has ended at `gap_end` since, senders may pause
    /// because of it: they are given their longest pause more, counted from the end of the gap at the earliest.
    pub(crate) fn blind_from(self, heard: OpenMs, flush_every_s: u32, gap_end: Option<OpenMs>) -> OpenMs {
        let due = heard.plus(self.after_ms.max(FLUSHES_WAITED * 1_000 * i64::from(flush_every_s)));
        match gap_end {
            Some(gap) if gap >= heard => due.max(gap).plus(SENDER_PAUSE_MS_MAX),
            _ => due,
        }
    }
}

impl State {
    /// At `wall` the site, silent since `since`, is blind.
    pub(crate) fn fire(&mut self, chain: &mut DetectionChain, rule: &Rule, since: WallMs, wall: WallMs) -> Detection {
        (self.firing, self.started_at, self.reminders) = (true, since, 0);
        if self.suppressed_until.is_some_and(|until| wall < until) {
            self.held += 1;
            return self.emit(chain, rule, DetectionState::Suppressed, DetectionReason::Blind, wall.0);
        }
        self.announce(chain, rule, DetectionReason::Blind, wall)
    }

    /// When the suppression of a silence that goes on ends.
    pub(crate) fn reminds_at(&self) -> Option<WallMs> {
        self.suppressed_until.filter(|_| self.firing)
    }

    /// At `wall` the suppression has ended and the silence goes on: it is told again, but not for ever.
    pub(crate) fn remind(&mut self, chain: &mut DetectionChain, rule: &Rule, wall: WallMs) -> Option<Detection> {
        self.suppressed_until = None;
        if self.reminders >= REMINDERS_MAX {
            return None;
        }
        self.reminders += 1;
        Some(self.announce(chain, rule, DetectionReason::SuppressionExpired, wall))
    }

    fn announce(
        &mut self,
        chain: &mut DetectionChain,
        rule: &Rule,
        reason: DetectionReason,
        wall: WallMs,
    ) -> Detection {
        self.announced = true;
        self.suppressed_until = (rule.suppress_ms > 0).then(|| wall.plus(rule.suppress_ms));
        let detection = self.emit(chain, rule, DetectionState::Firing, reason, wall.0);
        self.held = 0;
        detection
    }

    /// The site was heard at `wall`.
    pub(crate) fn end(&mut self, chain: &mut DetectionChain, rule: &Rule, wall: WallMs) -> Option<Detection> {
        self.firing = false;
        std::mem::take(&mut self.announced)
            .then(|| self.emit(chain, rule, DetectionState::Resolved, DetectionReason::Resolved, wall.0))
    }

    /// The detection of this silence, at `now` (wall time in milliseconds).
    pub(crate) fn emit(
        &self,
        chain: &mut DetectionChain,
        rule: &Rule,
        state: DetectionState,
        reason: DetectionReason,
        now: i64,
    ) -> Detection {
        chain.emit(
            rule,
            Emission {
                group: &[],
                severity: rule.severity,
                state,
                reason,
                count: 0,
                held: self.held,
                started_at: self.started_at.0,
                now,
                evidence: Vec::new(),
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_gives_a_sender_its_longest_pause() {
        let hour = 3_600_000;
        for (heard, after_ms, flush, gap, expected) in [
            (0, hour, 60, None, hour),
            (500, hour, 60, None, hour + 500),
            (0, hour, 7_200, None, 6 * hour),
            (0, hour, 60, Some(10), 2 * hour),
            (100, hour, 60, Some(99), hour + 100),
            (100, hour, 60, Some(100), 2 * hour + 100),
            (0, hour, 60, Some(hour + 5), 2 * hour + 5),
        ] {
            let from = Plan { after_ms }.blind_from(OpenMs(heard), flush, gap.map(OpenMs));
            assert_eq!(from, OpenMs(expected), "{heard} {after_ms} {flush} {gap:?}");
        }
    }
}
