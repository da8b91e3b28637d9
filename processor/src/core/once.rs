//! The machine of a group whose rule tells each match by itself, for which `docs/transitions.md` has a table of its own. Of an
//! [`Episode`] it uses the suppression, and what that holds back: nothing is ever open, so that nothing is ever over.

use logystera_schemas::detection::{DetectionReason, DetectionState};
use logystera_schemas::time::SiteMs;

use super::episode::Episode;

/// What is said of one match, or of those that were held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Once {
    /// The state of the detection: never resolved.
    pub(crate) state: DetectionState,
    /// Its reason.
    pub(crate) reason: DetectionReason,
    /// How many signals it is about.
    pub(crate) count: u64,
    /// Of a suppressed one: how many are held back now. Else how many were until now.
    pub(crate) held: u64,
    /// When it happened; of several, when the first of them did.
    pub(crate) started_at: SiteMs,
}

impl Episode {
    /// A match happened at `at` and stands for `count` signals; the site has reached `now`. It is told, and starts a suppression,
    /// unless one runs, which holds it back.
    pub(crate) fn happen(&mut self, at: SiteMs, count: u64, now: SiteMs, suppress_ms: i64) -> Once {
        let reason = DetectionReason::Firing;
        if self.suppressed_until.is_none() {
            self.suppress(now, suppress_ms);
            return Once { state: DetectionState::Firing, reason, count, held: 0, started_at: at };
        }
        self.started_at = if self.held == 0 { at } else { self.started_at.min(at) };
        self.count = self.count.saturating_add(count);
        self.held += 1;
        Once { state: DetectionState::Suppressed, reason, count, held: self.held, started_at: at }
    }

    /// The suppression has ended, at `now`. If it held anything back, that is told, and the next one begins.
    pub(crate) fn tell_held(&mut self, now: SiteMs, suppress_ms: i64) -> Option<Once> {
        self.suppressed_until = None;
        let told = self.take_held(DetectionReason::SuppressionExpired)?;
        self.suppress(now, suppress_ms);
        Some(told)
    }

    /// What is held back, told for `reason`. None: nothing is.
    pub(crate) fn take_held(&mut self, reason: DetectionReason) -> Option<Once> {
        let held = std::mem::take(&mut self.held);
        let (count, started_at) = (std::mem::take(&mut self.count), self.started_at);
        (held > 0).then_some(Once { state: DetectionState::Firing, reason, count, held, started_at })
    }

    fn suppress(&mut self, now: SiteMs, suppress_ms: i64) {
        self.suppressed_until = (suppress_ms > 0).then(|| now.plus(suppress_ms));
    }
}
