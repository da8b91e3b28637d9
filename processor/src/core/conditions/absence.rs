//! No match for so long. [`absences`](super::super::absences) says from when on an absence is counted.

use logystera_ruleset::{Expected, Predicate, Test};
use logystera_schemas::avro_record;
use logystera_schemas::batch::{Fields, Value};
use logystera_schemas::detection::DetectionReason;
use logystera_schemas::time::SiteMs;

use super::super::episode::Event;
use super::super::group_key::GroupKey;
use super::kind::{self, Match, Progress, Taken};

/// The numbers of an absence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// How long no match may come, in milliseconds, until the condition is true.
    pub(crate) for_ms: i64,
    /// What is expected, and from when on.
    pub(crate) expected: Expected,
    /// How long it is missed until its group is forgotten, in milliseconds.
    pub(crate) forget_after_ms: Option<i64>,
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
    #[inline]
    fn is_match(&self, fields: &Fields<'_>) -> bool {
        match &self.expected {
            Expected::Values(test) => test.holds(fields),
            Expected::Always | Expected::OnceSeen => true,
        }
    }

    /// No match would make the groups of what is expected from the start.
    fn standing_groups(&self) -> Option<Vec<GroupKey>> {
        match &self.expected {
            Expected::Always => Some(vec![GroupKey::default()]),
            Expected::Values(Predicate { test, .. }) => {
                let mut keys = groups_of(test);
                keys.sort();
                Some(keys)
            }
            Expected::OnceSeen => None,
        }
    }

    fn bytes_max(&self) -> usize {
        0
    }
}

/// The group of each value that passes a test that lists them.
fn groups_of(test: &Test) -> Vec<GroupKey> {
    match test {
        Test::EnumIn(mask) => {
            (0..u32::BITS as u8).filter(|i| mask & 1 << i != 0).map(|i| GroupKey::of_value(&Value::Enum(i))).collect()
        }
        Test::BoolIs(truth) => vec![GroupKey::of_value(&Value::Bool(*truth))],
        Test::IntOneOf(numbers) => numbers.iter().map(|number| GroupKey::of_value(&Value::Int(*number))).collect(),
        Test::HashOneOf(hashes) => hashes.iter().map(|hash| GroupKey::of_value(&Value::Hash(hash))).collect(),
        Test::IdentOneOf(names) => names.iter().map(|name| GroupKey::of_value(&Value::Ident(name))).collect(),
        Test::ListHas(_)
        | Test::ListHasAll(_)
        | Test::IntIn { .. }
        | Test::IdentPart(_)
        | Test::Present
        | Test::SameAs(_) => Vec::new(),
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

    #[inline]
    fn forgets_at(&self, plan: &Plan, stand_still: bool) -> Option<SiteMs> {
        if stand_still { None } else { Some(self.base?.plus(plan.forget_after_ms?)) }
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
        plan.expected != Expected::OnceSeen || self.seen
    }
}
