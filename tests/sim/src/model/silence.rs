//! The silence of a whole site, in open time (design, section 6, *blind*). What it says, and its suppressions, run in wall time.

use std::collections::BTreeMap;

use logystera_processor::core::Rule;
use logystera_schemas::detection::{DetectionReason, DetectionState};
use logystera_schemas::limits::REMINDERS_MAX;

use super::group::Said;
use super::log_time::LogTime;

const HOUR: i64 = 3_600_000;

/// What a rule has said of its site's silence.
#[derive(Debug, Default)]
struct Blindness {
    /// Wall time at which the silence began for which it fires; none while it does not.
    began: Option<i64>,
    /// Whether a firing of it was emitted.
    announced: bool,
    /// End of the newest suppression.
    suppressed_until: Option<i64>,
    /// Firings held back since the last one emitted.
    held: u64,
    /// How often the end of a suppression told it again.
    reminders: u32,
}

/// When a site was last heard, and which rules say that it is silent.
#[derive(Debug)]
pub struct Silence {
    /// Open time of the last sign of life, or of the configuration.
    heard_open: i64,
    /// Wall time of it.
    heard_wall: i64,
    /// By rule.
    blind: BTreeMap<String, Blindness>,
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

    /// Wall time of the last sign of life.
    pub fn heard_wall(&self) -> i64 {
        self.heard_wall
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

    /// A rule fires: aloud, or held while its suppression runs. Nothing where it does already.
    pub fn begin(&mut self, rule: &Rule, wall: i64) -> Option<Said> {
        let heard_wall = self.heard_wall;
        let blind = self.blind.entry(rule.name.as_str().to_owned()).or_default();
        if blind.began.is_some() {
            return None;
        }
        (blind.began, blind.reminders) = (Some(heard_wall), 0);
        if blind.suppressed_until.is_some_and(|until| wall < until) {
            blind.held += 1;
            return blind.say(DetectionState::Suppressed, DetectionReason::Blind, wall);
        }
        blind.announce(rule, DetectionReason::Blind, wall)
    }

    /// Tells a silence again that outlasts its suppression.
    pub fn remind(&mut self, rule: &Rule, wall: i64) -> Option<Said> {
        let blind = self.blind.get_mut(rule.name.as_str())?;
        if blind.began.is_none() || blind.suppressed_until.is_none_or(|until| wall < until) {
            return None;
        }
        blind.suppressed_until = None;
        // Told often enough.
        if blind.reminders >= REMINDERS_MAX {
            return None;
        }
        blind.reminders += 1;
        blind.announce(rule, DetectionReason::SuppressionExpired, wall)
    }

    /// When the silence began for which a rule fires.
    pub fn began(&self, rule: &str) -> Option<i64> {
        self.blind.get(rule).and_then(|blind| blind.began)
    }

    /// The site was heard at `wall`: a rule's alert ends. Only what was announced is resolved.
    pub fn end(&mut self, rule: &str, reason: DetectionReason, at: i64) -> Option<Said> {
        let blind = self.blind.get_mut(rule)?;
        let said = blind.say(DetectionState::Resolved, reason, at)?;
        self.wait |= reason == DetectionReason::Resolved;
        blind.began = None;
        std::mem::take(&mut blind.announced).then_some(said)
    }

    /// A rule is no longer there, or another one.
    pub fn forget(&mut self, rule: &str) {
        self.blind.remove(rule);
    }

    /// There is a wall time now, and was none when the site was heard.
    pub fn first_told(&mut self, now: i64) {
        self.heard_wall = now;
    }

    /// Wall time was set back from `old` to `new`.
    pub fn set_back(&mut self, old: i64, new: i64) {
        self.heard_wall = self.heard_wall.min(new);
        for blind in self.blind.values_mut() {
            blind.suppressed_until = blind.suppressed_until.map(|until| until - (old - new));
        }
    }

    /// The site's other absences wait, as after a blindness.
    pub fn hold_absences(&mut self) {
        self.wait = true;
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

impl Blindness {
    fn announce(&mut self, rule: &Rule, reason: DetectionReason, wall: i64) -> Option<Said> {
        let said = self.say(DetectionState::Firing, reason, wall);
        (self.held, self.announced) = (0, true);
        self.suppressed_until = (rule.suppress_ms > 0).then_some(wall + rule.suppress_ms);
        said
    }

    fn say(&self, state: DetectionState, reason: DetectionReason, at: i64) -> Option<Said> {
        let started_at = self.began?;
        Some(Said { state, reason, at, started_at, count: 0, held: self.held, level: 0 })
    }
}
