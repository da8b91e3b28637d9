//! No match for so long. [`absences`](super::super::absences) says from when on an absence is counted.

use logystera_schemas::avro_record;
use logystera_schemas::detection::DetectionReason;
use logystera_schemas::time::SiteMs;

use super::super::episode::Event;
use super::super::rule::Expected;
use super::kind::{self, Match, Progress, Taken};

/// The numbers of an absence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// How long no match may come, in milliseconds, until the condition is true.
    pub(crate) for_ms: i64,
    /// Whether it counts before the first match.
    pub(crate) expected: Expected,
}

avro_record! {
    /// The wait for a match that should come.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) struct State {
        /// Time that the absence is counted from. None: it waits for a first match, for a watermark, or until the type is
        /// switched on.
        pub(crate) base: Option<SiteMs>,
        /// Whether a match was ever seen.
        pub(crate) seen: bool,
    }
}

impl kind::Plan for Plan {
    /// No match would make the group of what is expected always.
    fn has_standing_group(&self) -> bool {
        self.expected == Expected::Always
    }

    fn bytes_max(&self) -> usize {
        0
    }
}

impl kind::State for State {
    type Plan = Plan;

    /// A first match starts the wait.
    const ONLY_PUTS_OFF: bool = false;

    fn take(&mut self, plan: &Plan, matching: &Match<'_>) -> Taken {
        let Match { at, now, is_on, .. } = *matching;
        if at.plus(plan.for_ms) <= now {
            return Taken::Outside;
        }
        self.seen = true;
        if is_on {
            self.base = Some(self.base.map_or(at, |base| base.max(at)));
        }
        Taken::Inside { counted: 0, becomes: is_on.then_some(Event::Unmet), is_part: None }
    }

    #[inline]
    fn turns_at(&self, plan: &Plan, holds: bool, stand_still: bool) -> Option<SiteMs> {
        if holds || stand_still { None } else { self.base.map(|base| base.plus(plan.for_ms)) }
    }

    /// It waits for as long as its group is there.
    #[inline]
    fn empties_at(&self, _: &Plan) -> Option<SiteMs> {
        None
    }

    fn move_back(&mut self, ms: i64, _: SiteMs, _: &Plan) {
        self.base = self.base.map(|base| base.plus(-ms));
    }

    #[inline]
    fn bytes(&self) -> usize {
        0
    }

    fn firing_reason(&self) -> DetectionReason {
        if self.seen { DetectionReason::Stopped } else { DetectionReason::NeverSeen }
    }

    fn progress(&self, _: &Plan, _: SiteMs) -> Vec<Progress> {
        vec![Progress::Wait { since: self.base, seen: self.seen }]
    }
}

impl State {
    /// Whether a match is expected: from the start, or since one was seen.
    pub(crate) fn is_expected(&self, plan: &Plan) -> bool {
        plan.expected == Expected::Always || self.seen
    }
}
