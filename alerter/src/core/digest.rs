//! What a channel had no room for, counted.

use std::cmp::Reverse;

use logystera_schemas::avro_record;
use logystera_schemas::detection::{Detection, DetectionState, Severity};
use logystera_schemas::ids::RuleName;
use logystera_schemas::limits::DIGEST_COUNTS_MAX;
use logystera_schemas::time::WallMs;

avro_record! {
    /// Alerts of a rule in a digest.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct DigestCount {
        /// The rule.
        pub rule: RuleName,
        /// Its title.
        pub title: String,
        /// How bad.
        pub severity: Severity,
        /// Whether they are over.
        pub is_over: bool,
        /// How many.
        pub alerts: u64,
    }
}

avro_record! {
    /// Alerts that a channel had no room for.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Digest {
        /// When the first was held back.
        pub since: WallMs,
        /// By rule, the worst first: at most [`DIGEST_COUNTS_MAX`].
        pub counts: Vec<DigestCount>,
        /// Alerts of rules for which that has no room.
        pub rest: u64,
    }
}

impl Digest {
    pub(super) fn new(since: WallMs) -> Self {
        Self { since, counts: Vec::new(), rest: 0 }
    }

    /// All alerts that it tells.
    pub fn alerts(&self) -> u64 {
        self.counts.iter().map(|count| count.alerts).sum::<u64>() + self.rest
    }

    /// Counts a detection; and, if it is over and its beginning was not told, that too.
    pub(super) fn add(&mut self, detection: &Detection, began_untold: bool) {
        let is_over = detection.state == DetectionState::Resolved;
        if is_over && began_untold {
            self.count(detection, false);
        }
        self.count(detection, is_over);
    }

    fn count(&mut self, detection: &Detection, is_over: bool) {
        let (rule, severity) = (&detection.rule, detection.severity);
        let known = self.counts.iter_mut().find(|c| c.rule == *rule && c.severity == severity && c.is_over == is_over);
        if let Some(count) = known {
            count.alerts += 1;
            return;
        }
        let (rule, title) = (rule.clone(), detection.title.clone());
        self.counts.push(DigestCount { rule, title, severity, is_over, alerts: 1 });
        self.counts
            .sort_by(|a, b| (a.is_over, Reverse(a.severity), &a.rule).cmp(&(b.is_over, Reverse(b.severity), &b.rule)));
        if self.counts.len() > DIGEST_COUNTS_MAX {
            self.rest += self.counts.pop().map_or(0, |count| count.alerts);
        }
    }
}

/// How much an alert is worth a name in a digest.
pub(super) fn rank(detection: &Detection) -> (bool, Severity) {
    (detection.state != DetectionState::Resolved, detection.severity)
}
