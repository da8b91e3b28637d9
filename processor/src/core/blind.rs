//! Blindness: the whole site is silent. The one condition that site time can't tell; it lives in open time, and its spans
//! run in wall time.

use logystera_schemas::avro_record;
use logystera_schemas::detection::{Detection, DetectionReason, DetectionState};
use logystera_schemas::limits::REMINDERS_MAX;
use logystera_schemas::time::{OpenMs, WallMs};

use super::rule::Rule;
use super::spool::{FLUSHES, SENDER_PAUSE_MS_MAX};
use super::voice::{Saying, Voice};

avro_record! {
    /// What a rule knows of the site's own silence.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Blind {
        /// Whether the site is silent for too long.
        pub firing: bool,
        /// Whether that was told.
        pub announced: bool,
        /// Since when it is silent, wall time.
        pub started_at: WallMs,
        /// End of the suppression.
        pub suppressed_until: Option<WallMs>,
        /// Firings that were held back since the last one told.
        pub held: u64,
        /// How often time alone has told the episode again.
        pub reminders: u32 where since 2,
    }
}

/// Open time from which on a site is blind that was last heard at `heard`: `after_ms`, never under three flush intervals;
/// after a gap in the ticks an hour more, and an hour after the newest gap, since a sender may pause that long.
pub fn blind_from(heard: OpenMs, after_ms: i64, flush_every_s: u32, gap_end: Option<OpenMs>) -> OpenMs {
    let due = heard.plus(after_ms.max(FLUSHES * 1_000 * i64::from(flush_every_s)));
    match gap_end {
        Some(gap) if gap >= heard => due.max(gap).plus(SENDER_PAUSE_MS_MAX),
        _ => due,
    }
}

impl Blind {
    /// The site has been silent since `since` for too long at `wall`.
    pub fn fire(&mut self, voice: &mut Voice, rule: &Rule, since: WallMs, wall: WallMs) -> Detection {
        (self.firing, self.started_at, self.reminders) = (true, since, 0);
        if self.suppressed_until.is_some_and(|until| wall < until) {
            self.held += 1;
            return self.said(voice, rule, DetectionState::Suppressed, DetectionReason::Blind, wall.0);
        }
        self.announce(voice, rule, DetectionReason::Blind, wall)
    }

    /// When the suppression of a silence that goes on ends.
    pub fn reminds_at(&self) -> Option<WallMs> {
        self.suppressed_until.filter(|_| self.firing)
    }

    /// The suppression has ended at `wall` and the silence goes on: it is told, be it again, but not for ever.
    pub fn remind(&mut self, voice: &mut Voice, rule: &Rule, wall: WallMs) -> Option<Detection> {
        self.suppressed_until = None;
        if self.reminders >= REMINDERS_MAX {
            return None;
        }
        self.reminders += 1;
        Some(self.announce(voice, rule, DetectionReason::SuppressionExpired, wall))
    }

    fn announce(&mut self, voice: &mut Voice, rule: &Rule, reason: DetectionReason, wall: WallMs) -> Detection {
        self.announced = true;
        self.suppressed_until = (rule.suppress_ms > 0).then(|| wall.plus(rule.suppress_ms));
        let detection = self.said(voice, rule, DetectionState::Firing, reason, wall.0);
        self.held = 0;
        detection
    }

    /// The site was heard at `wall`.
    pub fn end(&mut self, voice: &mut Voice, rule: &Rule, wall: WallMs) -> Option<Detection> {
        self.firing = false;
        std::mem::take(&mut self.announced)
            .then(|| self.said(voice, rule, DetectionState::Resolved, DetectionReason::Resolved, wall.0))
    }

    /// The detection for this state.
    pub fn said(
        &self,
        voice: &mut Voice,
        rule: &Rule,
        state: DetectionState,
        reason: DetectionReason,
        now: i64,
    ) -> Detection {
        voice.speak(
            rule,
            Saying {
                group: &[],
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
        for (heard, after, flush, gap, expected) in [
            (0, hour, 60, None, hour),
            (500, hour, 60, None, hour + 500),
            (0, hour, 7_200, None, 6 * hour),
            (0, hour, 60, Some(10), 2 * hour),
            (100, hour, 60, Some(99), hour + 100),
            (100, hour, 60, Some(100), 2 * hour + 100),
            (0, hour, 60, Some(hour + 5), 2 * hour + 5),
        ] {
            let from = blind_from(OpenMs(heard), after, flush, gap.map(OpenMs));
            assert_eq!(from, OpenMs(expected), "{heard} {after} {flush} {gap:?}");
        }
    }
}
