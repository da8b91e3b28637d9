//! Too few matches for so long: an absence that a few matches do not end. It is counted from where an absence is, and holds
//! for as long as no more than so many matches lie in the span.

use std::collections::VecDeque;

use logystera_ruleset::Expected;
use logystera_schemas::avro::{Datum, DecodeError, Reader, Writer};
use logystera_schemas::batch::Fields;
use logystera_schemas::catalogue::SignalType;
use logystera_schemas::detection::DetectionReason;
use logystera_schemas::time::SiteMs;

use super::super::episode::Event;
use super::super::group_key::GroupKey;
use super::absence;
use super::count::repeats;
use super::kind::{self, Match, Progress, Taken};

/// Bytes that the time of a match counts for.
const TIME_BYTES: usize = 8;

/// The numbers of a scarcity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Its span, and what is expected.
    pub(crate) absence: absence::Plan,
    /// Matches in the span that are still too few; at least 1.
    pub(crate) at_most: usize,
}

/// The wait for more matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// From when on they are waited for. A match moves it only if it is the first.
    pub(crate) absence: absence::State,
    /// The times of the newest matches, oldest first: one more than are too few. A match that stands for several has its time
    /// here as often.
    newest: VecDeque<SiteMs>,
}

impl kind::Plan for Plan {
    fn repeats(&self, signal: SignalType) -> Option<usize> {
        repeats(signal)
    }

    #[inline]
    fn is_match(&self, fields: &Fields<'_>) -> bool {
        self.absence.is_match(fields)
    }

    fn standing_groups(&self) -> Option<Vec<GroupKey>> {
        self.absence.standing_groups()
    }

    fn bytes_max(&self) -> usize {
        TIME_BYTES * (self.at_most + 1)
    }
}

impl kind::State for State {
    type Plan = Plan;

    /// A first match starts the wait.
    const ONLY_PUTS_OFF: bool = false;

    fn take(&mut self, plan: &Plan, matching: &Match<'_>) -> Taken {
        let Match { at, now, times, is_on, .. } = *matching;
        if at.plus(plan.absence.for_ms) <= now {
            return Taken::Outside;
        }
        self.absence.seen = true;
        // What is expected from the start is counted from the first watermark, which may lie later.
        if is_on && plan.absence.expected == Expected::OnceSeen {
            self.absence.base.get_or_insert(at);
        }
        let place = self.newest.partition_point(|time| *time <= at);
        for _ in 0..plan.at_most.saturating_add(1).min(times as usize) {
            self.newest.insert(place, at);
        }
        while self.newest.len() > plan.at_most + 1 {
            self.newest.pop_front();
        }
        let is_enough = self.enough_from(plan).is_some_and(|from| from.plus(plan.absence.for_ms) > now);
        Taken::Inside { counted: 0, becomes: (is_on && is_enough).then_some(Event::Unmet), is_part: None }
    }

    #[inline]
    fn turns_at(&self, plan: &Plan, holds: bool, stand_still: bool) -> Option<SiteMs> {
        if holds || stand_still {
            return None;
        }
        let base = self.absence.base?;
        Some(self.enough_from(plan).map_or(base, |from| from.max(base)).plus(plan.absence.for_ms))
    }

    /// So long after the newest match, or since it is waited for.
    #[inline]
    fn forgets_at(&self, plan: &Plan, stand_still: bool) -> Option<SiteMs> {
        let base = self.absence.base?;
        let base = self.newest.back().map_or(base, |newest| base.max(*newest));
        absence::State { base: Some(base), ..self.absence }.forgets_at(&plan.absence, stand_still)
    }

    /// It waits for as long as its group is there.
    #[inline]
    fn empties_at(&self, _: &Plan) -> Option<SiteMs> {
        None
    }

    fn move_back(&mut self, ms: i64, now: SiteMs, plan: &Plan) {
        self.absence.move_back(ms, now, &plan.absence);
        self.newest.iter_mut().for_each(|time| *time = time.plus(-ms));
    }

    #[inline]
    fn bytes(&self) -> usize {
        TIME_BYTES * self.newest.len()
    }

    fn firing_reason(&self) -> DetectionReason {
        self.absence.firing_reason()
    }

    fn progress(&self, plan: &Plan, now: SiteMs) -> Vec<Progress> {
        let inside = self.newest.iter().filter(|at| at.plus(plan.absence.for_ms) > now).count();
        let count = Progress::Count { now: inside as u64, wanted: plan.at_most as u64 + 1 };
        vec![count, Progress::Wait { since: self.absence.base, seen: self.absence.seen }]
    }
}

impl State {
    /// The oldest of as many matches as are enough. None: there are too few.
    fn enough_from(&self, plan: &Plan) -> Option<SiteMs> {
        self.newest.front().copied().filter(|_| self.newest.len() > plan.at_most)
    }
}

impl Datum for State {
    fn write(&self, to: &mut Writer) {
        self.absence.write(to);
        to.long(self.newest.len() as i64);
        self.newest.iter().for_each(|time| time.write(to));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let absence = Datum::read(from)?;
        let newest = (0..from.block()?).map(|_| SiteMs::read(from)).collect::<Result<_, _>>()?;
        Ok(Self { absence, newest })
    }
}
