//! So large a part of the matches in a window: a ratio, or (as a part that is at least so large) a percentile. It is counted in
//! panes and judged at the end of each pane only, so that the order inside a pane makes no difference and one signal cannot
//! flap it.

use logystera_ruleset::{Clause, Filter, Predicate, Test};
use logystera_schemas::avro_record;
use logystera_schemas::batch::{FieldSet, Fields, Value};
use logystera_schemas::catalogue::SignalType;
use logystera_schemas::time::SiteMs;

use super::super::episode::Event;
use super::count::repeats;
use super::kind::{self, Match, Progress, Taken};
use super::panes::Panes;

/// Bytes that a pane counts for.
const PANE_BYTES: usize = 12;

/// How large the part must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// At least so many hundredths of a percent.
    AtLeast(u32),
    /// More than so many thousandths.
    MoreThan(u32),
}

/// The numbers of a ratio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Index of the field that a match must have. None: every match is counted.
    pub(crate) field: Option<usize>,
    /// What belongs to the part.
    pub(crate) of: Filter,
    /// How large the part must be.
    pub(crate) share: Share,
    /// Matches below which it is not judged: the condition is false.
    pub(crate) min: u32,
    /// Length of a pane in milliseconds.
    pub(crate) pane_ms: i64,
    /// Panes of the window.
    pub(crate) panes: i64,
}

avro_record! {
    /// What lies in a pane.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    struct Pane {
        /// Matches.
        total: u32,
        /// Those of them that belong to the part.
        part: u32,
    }
}

avro_record! {
    /// The panes of a group that lie in the window, or will.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub(crate) struct State {
        panes: Panes<Pane>,
        /// The pane at whose end it is judged next. None: not before another match comes.
        next: Option<i64>,
        /// The part in the window when it was judged last.
        part: u64,
    }
}

/// What lies in a window.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    total: u64,
    part: u64,
}

impl Plan {
    /// A percentile by nearest rank: of n values, the `⌈p * n⌉`-th is at least `at_least` if more than `(1 - p) * n` of them are.
    pub(super) fn percentile(
        field: usize,
        thousandths: u32,
        at_least: i64,
        min: u32,
        (within_ms, pane_ms): (i64, i64),
    ) -> Self {
        let test = Test::IntIn { min: at_least, max: i64::MAX };
        Self {
            field: Some(field),
            of: Filter(vec![Clause::Test(Predicate { field, negated: false, test })]),
            share: Share::MoreThan(1_000 - thousandths),
            min,
            pane_ms,
            panes: within_ms / pane_ms,
        }
    }

    fn pane(&self, at: SiteMs) -> i64 {
        at.0.div_euclid(self.pane_ms)
    }

    /// The end of a pane.
    fn end(&self, pane: i64) -> SiteMs {
        SiteMs(pane.saturating_add(1).saturating_mul(self.pane_ms))
    }

    /// The last end at which a pane is counted.
    fn leaves(&self, pane: i64) -> SiteMs {
        SiteMs(pane.saturating_add(self.panes).saturating_mul(self.pane_ms))
    }

    /// Whether so much makes the condition true. The numbers have room: at most 720 panes of 32 bits, times 10,000.
    fn holds(&self, Sum { total, part }: Sum) -> bool {
        total >= u64::from(self.min)
            && match self.share {
                Share::AtLeast(hundredths) => part * 10_000 >= u64::from(hundredths) * total,
                Share::MoreThan(thousandths) => part * 1_000 > u64::from(thousandths) * total,
            }
    }
}

impl kind::Plan for Plan {
    fn read(&self, _: SignalType, fields: &mut FieldSet) {
        if let Some(field) = self.field {
            fields.insert(field);
        }
        self.of.read(fields);
    }

    fn repeats(&self, signal: SignalType) -> Option<usize> {
        repeats(signal)
    }

    #[inline]
    fn is_match(&self, fields: &Fields<'_>) -> bool {
        self.field.is_none_or(|field| fields[field] != Value::Absent)
    }

    fn bytes_max(&self) -> usize {
        // The pane that begins at the end of another is there before that end is judged.
        PANE_BYTES * (self.panes as usize + 1)
    }
}

impl kind::State for State {
    type Plan = Plan;

    /// A match in a pane that has not ended brings the next judgement forward.
    const ONLY_PUTS_OFF: bool = false;

    fn take(&mut self, plan: &Plan, matching: &Match<'_>) -> Taken {
        let Match { fields, at, now, times, .. } = *matching;
        let pane = plan.pane(at);
        if plan.leaves(pane) <= now {
            return Taken::Outside;
        }
        self.forget(now, plan);
        self.panes.reach(pane);
        let is_part = plan.of.holds(fields);
        let kept = self.panes.at(pane);
        // A pane counts no further than this, far beyond every number that a rule asks for.
        let taken = times.min(u32::MAX - kept.total);
        kept.total += taken;
        if is_part {
            kept.part += taken;
        }
        // A pane that has ended counts from the next end on.
        let running = plan.pane(now);
        self.next = Some(self.next.map_or(running, |next| next.min(running)));
        Taken::Inside { counted: if is_part { u64::from(times) } else { 0 }, becomes: None, is_part: Some(is_part) }
    }

    #[inline]
    fn turns_at(&self, plan: &Plan, _: bool, _: bool) -> Option<SiteMs> {
        self.next.map(|pane| plan.end(pane))
    }

    fn turn(&mut self, plan: &Plan, _: bool, at: SiteMs) -> Event {
        let ended = plan.pane(at) - 1;
        self.forget(at, plan);
        let sum = self.window(plan, ended);
        let holds = plan.holds(sum);
        self.part = sum.part;
        self.next = self.next_turn(plan, ended, holds);
        if holds { Event::Met { count: sum.part } } else { Event::Unmet }
    }

    fn begins_with(&self, _: &Plan) -> u64 {
        self.part
    }

    /// When the newest pane is counted for the last time.
    #[inline]
    fn empties_at(&self, plan: &Plan) -> Option<SiteMs> {
        Some(self.panes.newest().map_or(SiteMs::MIN, |newest| plan.leaves(newest)))
    }

    /// The panes go back by `ms`, rounded down to whole ones; ends that lie ahead of the new time are judged, also those that
    /// were before.
    fn move_back(&mut self, ms: i64, now: SiteMs, plan: &Plan) {
        self.forget(now.plus(1), plan);
        let panes = ms.div_euclid(plan.pane_ms);
        self.panes.move_back(panes);
        let running = plan.pane(now.plus(-ms));
        self.next = match self.next {
            Some(next) if panes * plan.pane_ms == ms => Some(next - panes),
            None if panes * plan.pane_ms == ms || self.panes.len() == 0 => None,
            _ => Some(running),
        };
    }

    #[inline]
    fn bytes(&self) -> usize {
        PANE_BYTES * self.panes.len()
    }

    fn progress(&self, plan: &Plan, now: SiteMs) -> Vec<Progress> {
        let Sum { total, part } = self.window(plan, plan.pane(now) - 1);
        vec![Progress::Part { part, total, min: u64::from(plan.min) }]
    }
}

impl State {
    /// Drops panes that were counted for the last time before `now`.
    fn forget(&mut self, now: SiteMs, plan: &Plan) {
        while let Some((oldest, _)) = self.panes.oldest()
            && plan.leaves(oldest) < now
        {
            self.panes.drop_oldest();
        }
    }

    /// What lies in the window at the end of a pane.
    fn window(&self, plan: &Plan, ended: i64) -> Sum {
        let inside = self.panes.iter().filter(|(pane, _)| (ended - plan.panes + 1..=ended).contains(pane));
        inside.fold(Sum::default(), |sum, (_, pane)| sum.with(pane))
    }

    /// The first pane behind `ended` at whose end the condition is not what it is now, or holds with another part than was
    /// judged last, if no other match comes.
    fn next_turn(&self, plan: &Plan, ended: i64, holds: bool) -> Option<i64> {
        let last = self.panes.newest().map_or(ended, |newest| newest.max(ended)) + plan.panes;
        let (mut joining, mut leaving) = (self.panes.iter().peekable(), self.panes.iter().peekable());
        let mut sum = Sum::default();
        (ended + 1..=last).find(|ended| {
            while let Some((_, pane)) = joining.next_if(|(pane, _)| pane <= ended) {
                sum = sum.with(pane);
            }
            while let Some((_, pane)) = leaving.next_if(|(pane, _)| pane + plan.panes <= *ended) {
                sum = sum.without(pane);
            }
            plan.holds(sum) != holds || holds && sum.part != self.part
        })
    }
}

impl Sum {
    fn with(self, Pane { total, part }: Pane) -> Self {
        Self { total: self.total + u64::from(total), part: self.part + u64::from(part) }
    }

    fn without(self, Pane { total, part }: Pane) -> Self {
        Self { total: self.total - u64::from(total), part: self.part - u64::from(part) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `total` values, `part` are at least as large as asked for: that at the nearest rank is, or is not.
    #[test]
    fn a_percentile_is_the_value_at_its_nearest_rank() {
        for thousandths in [500, 501, 667, 750, 900, 950, 990, 999] {
            let plan = Plan::percentile(0, thousandths, 7, 1, (10_000, 1_000));
            for total in 1..=300_u64 {
                let rank = (u64::from(thousandths) * total).div_ceil(1_000) as usize;
                for part in 0..=total {
                    let values: Vec<i64> = (0..total).map(|place| if place < total - part { 6 } else { 7 }).collect();
                    let sum = Sum { total, part };
                    assert_eq!(plan.holds(sum), values[rank - 1] >= 7, "p{thousandths} of {sum:?}");
                }
            }
        }
    }

    #[test]
    fn a_part_is_compared_without_a_division() {
        let plan = |share, min| Plan { share, min, ..Plan::percentile(0, 500, 0, 1, (720_000, 1_000)) };
        let most = 720 * u64::from(u32::MAX);
        for (hundredths, min, total, part, holds) in [
            (500, 20, 20, 1, true),
            (501, 20, 20, 1, false),
            (500, 21, 20, 20, false),
            (100, 1, 0, 0, false),
            (10_000, 1, 3, 3, true),
            (10_000, 1, 3, 2, false),
            (3_333, 1, 3, 1, true),
            (3_334, 1, 3, 1, false),
            (10_000, 1, most, most, true),
            (10_000, 1, most, most - 1, false),
        ] {
            let sum = Sum { total, part };
            assert_eq!(plan(Share::AtLeast(hundredths), min).holds(sum), holds, "{hundredths} of {sum:?}");
        }
    }
}
