//! What each kind of condition answers, so that a group need not know which one it has.

use logystera_schemas::avro::Datum;
use logystera_schemas::batch::{FieldSet, Fields};
use logystera_schemas::catalogue::SignalType;
use logystera_schemas::detection::DetectionReason;
use logystera_schemas::limits::ESCALATIONS_MAX;
use logystera_schemas::time::SiteMs;

use super::super::episode::Event;
use super::super::group_key::GroupKey;

/// A signal that passed a rule's filter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Match<'a> {
    /// Its type.
    pub(crate) signal: SignalType,
    /// Its fields, as far as the rules need them.
    pub(crate) fields: &'a Fields<'a>,
    /// Its time.
    pub(crate) at: SiteMs,
    /// Time that the site has reached: after `at` if the signal is late.
    pub(crate) now: SiteMs,
    /// How many signals it stands for: a sender merges those that are alike.
    pub(crate) times: u32,
    /// Whether the site has its type switched on.
    pub(crate) is_on: bool,
}

/// What a match did to a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Nothing: it lies outside the window.
    Outside,
    /// It is remembered.
    Inside {
        /// How many matches it adds to the episode.
        counted: u64,
        /// What the condition is now. None: what it was.
        becomes: Option<Event>,
        /// Whether it belongs to the part of the matches that the condition is about, which evidence is taken of. None: all
        /// of them are.
        is_part: Option<bool>,
    },
}

/// How far a measure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Matches in the window; as far as is kept, which is no more than `wanted` and what came with the last one.
    Count {
        /// So many there are.
        now: u64,
        /// So many make it true.
        wanted: u64,
    },
    /// Different values in the window, of which no more than `wanted` are kept.
    Distinct {
        /// So many there are.
        now: u64,
        /// So many make it true.
        wanted: u64,
    },
    /// The sum in the window; as far as is kept.
    Sum {
        /// So much it is.
        now: u64,
        /// So much makes it true.
        wanted: u64,
    },
    /// The part of the matches in the window.
    Part {
        /// So many belong to it.
        part: u64,
        /// Of so many.
        total: u64,
        /// So many there must be at least.
        min: u64,
    },
    /// The wait for a match.
    Wait {
        /// It is counted from then on. None: not yet.
        since: Option<SiteMs>,
        /// Whether a match was ever seen.
        seen: bool,
    },
}

/// What a measure must reach for each step at which its alert grows worse; the largest number: nothing does.
pub(crate) type Levels = [u64; ESCALATIONS_MAX];

/// The numbers of one rule, worked out when the rule is loaded.
pub(crate) trait Plan: Clone {
    /// Adds to `fields` those of `signal` that the condition reads of a match, besides that of [`Self::repeats`].
    fn read(&self, _signal: SignalType, _fields: &mut FieldSet) {}

    /// The field that says how many signals one signal stands for. None: the condition does not ask.
    fn repeats(&self, _signal: SignalType) -> Option<usize> {
        None
    }

    /// Whether a signal that passes the rule's filter is a match.
    fn is_match(&self, _fields: &Fields<'_>) -> bool {
        true
    }

    /// The groups that the rule has from the start and for as long as it is there, in the order of their keys; then it has
    /// no others. None: signals make them.
    fn standing_groups(&self) -> Option<Vec<GroupKey>> {
        None
    }

    /// Whether each match is told by itself, so that no episode is ever open.
    fn tells_each(&self) -> bool {
        false
    }

    /// The most bytes that [`State::bytes`] can give.
    fn bytes_max(&self) -> usize;
}

/// What one group remembers of its matches. Its encoding is a part of the group's state entry.
pub(crate) trait State: Datum + Clone + Default {
    /// The plan that it goes by.
    type Plan: Plan;

    /// Whether a match that does not turn the condition can only put deadlines off: then no earlier one needs to be
    /// looked for.
    const ONLY_PUTS_OFF: bool;

    /// Takes a match.
    fn take(&mut self, plan: &Self::Plan, matching: &Match<'_>) -> Taken;

    /// When time alone turns the condition, or may: false if it `holds`, else true. None: never. While the absences of the
    /// site `stand_still`, no absence becomes true.
    fn turns_at(&self, plan: &Self::Plan, holds: bool, stand_still: bool) -> Option<SiteMs>;

    /// The time that [`Self::turns_at`] gave is reached: what the condition, which `held` or not, is from then on.
    fn turn(&mut self, _plan: &Self::Plan, held: bool, _at: SiteMs) -> Event {
        if held { Event::Unmet } else { Event::Met { count: 0 } }
    }

    /// When the group is forgotten if no match comes, whatever its episode. None: never. While the absences of the site
    /// `stand_still`, none is.
    fn forgets_at(&self, _plan: &Self::Plan, _stand_still: bool) -> Option<SiteMs> {
        None
    }

    /// Whether the condition, which `held`, holds at `now`, with deadlines of that very time still to run.
    fn holds_at(&self, _plan: &Self::Plan, held: bool, _now: SiteMs) -> bool {
        held
    }

    /// How many steps at which the alert grows worse the measure reaches at `now`.
    fn level(&self, _plan: &Self::Plan, _now: SiteMs) -> u8 {
        0
    }

    /// The count that an episode begins with if it is another measure that makes it begin.
    fn begins_with(&self, _plan: &Self::Plan) -> u64 {
        0
    }

    /// When nothing is left to remember, so that an idle group can go. None: never.
    fn empties_at(&self, plan: &Self::Plan) -> Option<SiteMs>;

    /// All times go back by `ms`; the site had reached `now` before.
    fn move_back(&mut self, ms: i64, now: SiteMs, plan: &Self::Plan);

    /// Bytes that it counts for against the site's bound.
    fn bytes(&self) -> usize;

    /// How far it is at `now`, for people; of several measures a line each. It changes nothing.
    fn progress(&self, _plan: &Self::Plan, _now: SiteMs) -> Vec<Progress> {
        Vec::new()
    }

    /// The reason of a firing.
    fn firing_reason(&self) -> DetectionReason {
        DetectionReason::Firing
    }
}
