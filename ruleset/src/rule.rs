//! A rule as the engine runs it. A `Rule` that exists is valid: `logystera-rules` checks it when it reads it.

use logystera_schemas::batch::Fields;
use logystera_schemas::catalogue::{SignalType, SignalTypes};
use logystera_schemas::detection::{BundleSpec, Severity};
use logystera_schemas::ids::{RuleName, Sha256Digest};
use logystera_schemas::limits::{ESCALATIONS_MAX, RULE_GROUPS_MAX, SITE_GROUPS_MAX, SITE_STATE_BYTES_MAX};

use crate::filter::{Filter, Predicate};
use crate::metric::Metric;
use crate::template::Template;

/// A checked set of rules and limits: what a `SiteConfigured` names.
#[derive(Debug)]
pub struct RuleSet {
    /// SHA-256 of `body`.
    pub digest: Sha256Digest,
    /// Canonical JSON, from which the same set is read again.
    pub body: String,
    /// The rules, sorted by name; names are unique.
    pub rules: Vec<Rule>,
    /// The metrics, sorted by name; names are unique.
    pub metrics: Vec<Metric>,
    /// Bounds of a site's state.
    pub limits: StateLimits,
    /// Types that are switched off for the site: their signals are not judged, and no absence of them is told.
    pub disabled: SignalTypes,
}

impl RuleSet {
    /// The types that a site has on of those that its senders declare: the configuration can disable some, and those that only
    /// the engine makes have no sender.
    pub fn allowed(&self, declared: SignalTypes) -> SignalTypes {
        SignalTypes((declared.0 | SignalTypes::MADE_BY_ENGINE.0) & !self.disabled.0)
    }
}

/// Bounds of a site's state (design, section 6). Part of the digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateLimits {
    /// Groups of one rule.
    pub rule_groups: usize,
    /// Groups of one site.
    pub site_groups: usize,
    /// Bytes of a site's groups.
    pub site_bytes: usize,
}

impl Default for StateLimits {
    fn default() -> Self {
        Self { rule_groups: RULE_GROUPS_MAX, site_groups: SITE_GROUPS_MAX, site_bytes: SITE_STATE_BYTES_MAX }
    }
}

/// One checked rule.
#[derive(Debug)]
pub struct Rule {
    /// Name, unique in the set.
    pub name: RuleName,
    /// 12 hex digits of SHA-256 of the rule's canonical form.
    pub revision: String,
    /// Digest of what the rule counts: signal, where, condition, window, grouping. Groups keep their state across an edit
    /// that leaves it the same.
    pub counts: Sha256Digest,
    /// Title.
    pub title: String,
    /// How bad.
    pub severity: Severity,
    /// The part of the site that it is about.
    pub subsystem: String,
    /// The type that it watches. None: it watches the site itself, for its silence.
    pub signal: Option<SignalType>,
    /// What must hold for a signal to match. Cheap tests come first.
    pub filter: Filter,
    /// Indexes of the fields that tell groups apart, in the rule's order.
    pub group_by: Vec<usize>,
    /// When the rule's condition is true.
    pub condition: Condition,
    /// When its alert grows worse, and how bad it is then: each later step is reached later and is more severe; at most
    /// [`ESCALATIONS_MAX`](logystera_schemas::limits::ESCALATIONS_MAX).
    pub escalate: Vec<Escalation>,
    /// How long the condition must hold, in milliseconds.
    pub for_ms: i64,
    /// How long after an emitted firing no other is emitted for the group, in milliseconds.
    pub suppress_ms: i64,
    /// How long the condition must be false before the alert resolves, in milliseconds.
    pub resolve_after_ms: i64,
    /// Indexes of the fields that evidence shows.
    pub evidence: Vec<usize>,
    /// The message, with places for values.
    pub message: Template,
    /// Why it matters, in a sentence; for people, the engine does not read it.
    pub why: Option<String>,
    /// What to do about it; for people, the engine does not read it.
    pub advice: Option<String>,
    /// How its alerts may be put together; for the alerter, the engine only hands it on.
    pub bundle: Option<BundleSpec>,
}

/// A step at which an alert grows worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Escalation {
    /// When it is reached.
    pub when: Worse,
    /// How bad it is from then on.
    pub severity: Severity,
}

/// When an alert grows worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worse {
    /// When the measure of the condition, a count, a sum or different values, reaches so much.
    At(u64),
    /// When it has fired for so long, in milliseconds.
    After(i64),
}

/// When a rule's condition is true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// At least `threshold` matches in the window `(t - within_ms, t]`.
    Count {
        /// Matches that make it true; at least 1.
        threshold: u32,
        /// Length of the window, in milliseconds.
        within_ms: i64,
        /// Length of a pane, in milliseconds; `within_ms` is a multiple of it. None: the window is exact.
        resolution_ms: Option<i64>,
    },
    /// At least `at_least` different values of a field in the window. A match without the field does not count.
    Distinct {
        /// Index of the field.
        field: usize,
        /// Values that make it true; at least 2.
        at_least: u32,
        /// Length of the window, in milliseconds.
        within_ms: i64,
    },
    /// The values of a field in the window add up to at least `at_least`. A match without the field does not count.
    Sum {
        /// Index of the field, whose values are not negative.
        field: usize,
        /// Sum that makes it true; at least 1.
        at_least: u64,
        /// Length of the window, in milliseconds.
        within_ms: i64,
        /// Length of a pane, in milliseconds; `within_ms` is a multiple of it.
        pane_ms: i64,
    },
    /// At least a part of the matches in the window are of a kind. Judged at the end of each pane.
    Ratio {
        /// What belongs to the part.
        of: Filter,
        /// The part that makes it true, in hundredths of a percent: 1 to 10,000.
        at_least: u32,
        /// Matches below which it is false; at least 1.
        min: u32,
        /// Length of the window, in milliseconds.
        within_ms: i64,
        /// Length of a pane, in milliseconds; `within_ms` is a multiple of it.
        pane_ms: i64,
    },
    /// A percentile (by nearest rank) of the values of a field in the window is at least `at_least`. A match without the field
    /// does not count. Judged at the end of each pane.
    Percentile {
        /// Index of the field.
        field: usize,
        /// Which percentile, in thousandths: 500 to 999.
        thousandths: u32,
        /// The value that makes it true.
        at_least: i64,
        /// Matches below which it is false; at least 1.
        min: u32,
        /// Length of the window, in milliseconds.
        within_ms: i64,
        /// Length of a pane, in milliseconds; `within_ms` is a multiple of it.
        pane_ms: i64,
    },
    /// Several measures, two or more, all of which hold: of ratio, percentile, count, sum and distinct at most one each, in
    /// this order. The count of an episode is that of the first.
    All(Vec<Condition>),
    /// Each match by itself.
    Each,
    /// At most `at_most` matches in the window `(t - for_ms, t]`.
    Absent {
        /// How long, in milliseconds.
        for_ms: i64,
        /// What is expected, and from when on.
        expected: Expected,
        /// Matches that are still too few; 0: that none came.
        at_most: u32,
        /// How long a group is missed until it is forgotten, in milliseconds; longer than `for_ms`. None: for ever. It is no part
        /// of what the rule counts.
        forget_after_ms: Option<i64>,
    },
    /// The whole site is silent for `after_ms` of open time.
    Blind {
        /// How long, in milliseconds.
        after_ms: i64,
    },
}

/// What an absence waits for, and from when on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// A match, from the first watermark after the configuration.
    Always,
    /// A match, only once a first one was seen.
    OnceSeen,
    /// As `Always`, a match with each value that passes this test of the rule's one field of `group_by`. A signal with another
    /// value is no match.
    Values(Predicate),
}

impl Condition {
    /// Whether each match is told by itself: then nothing is ever open, and nothing is ever over.
    pub fn tells_each(&self) -> bool {
        matches!(self, Self::Each)
    }

    /// The window in which matches are counted, or for how long they are missed, in milliseconds. None: it has no such span.
    pub fn span_ms(&self) -> Option<i64> {
        match self {
            Self::Count { within_ms, .. }
            | Self::Distinct { within_ms, .. }
            | Self::Sum { within_ms, .. }
            | Self::Ratio { within_ms, .. }
            | Self::Percentile { within_ms, .. } => Some(*within_ms),
            Self::All(measures) => measures.first().and_then(Self::span_ms),
            Self::Absent { for_ms, .. } => Some(*for_ms),
            Self::Blind { after_ms } => Some(*after_ms),
            Self::Each => None,
        }
    }
}

impl Rule {
    /// How bad it is after so many steps.
    pub fn severity_at(&self, level: u8) -> Severity {
        let reached = self.escalate.get(..usize::from(level)).unwrap_or(&self.escalate);
        reached.last().map_or(self.severity, |step| step.severity)
    }

    /// What the measure must reach for each step, in their order; the largest number for one that it does not reach.
    pub fn levels(&self) -> [u64; ESCALATIONS_MAX] {
        let mut levels = [u64::MAX; ESCALATIONS_MAX];
        for (level, step) in levels.iter_mut().zip(&self.escalate) {
            if let Worse::At(at) = step.when {
                *level = at;
            }
        }
        levels
    }

    /// How long it fires until each step, in milliseconds.
    pub fn worse_after_ms(&self) -> [Option<i64>; ESCALATIONS_MAX] {
        let mut after = [None; ESCALATIONS_MAX];
        for (after, step) in after.iter_mut().zip(&self.escalate) {
            if let Worse::After(ms) = step.when {
                *after = Some(ms);
            }
        }
        after
    }

    /// Whether a signal of the rule's type passes the filter.
    pub fn matches(&self, fields: &Fields<'_>) -> bool {
        self.filter.holds(fields)
    }
}
