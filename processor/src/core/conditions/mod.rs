//! The kinds of conditions, one file each: its plan (the rule's numbers), its state (what a group remembers), what a match
//! does, when time alone turns it, its bytes and its encoding. [`kind`] says what a kind answers.
//!
//! A new kind is a file, a line in `kinds!`, and a line in [`ConditionPlan::new`].

#[macro_use]
mod kinds;

pub(crate) mod absence;
pub(crate) mod blind;
pub(crate) mod count;
pub(crate) mod distinct;
pub(crate) mod each;
pub(crate) mod kind;
mod panes;
pub(crate) mod ratio;
pub(crate) mod scarcity;
pub(crate) mod sum;
pub(crate) mod window;

use logystera_ruleset::Condition;
use logystera_schemas::avro::{Datum, DecodeError, Reader, Writer};
use logystera_schemas::batch::{FieldSet, Fields};
use logystera_schemas::catalogue::SignalType;
use logystera_schemas::detection::DetectionReason;
use logystera_schemas::time::SiteMs;

use super::episode::Event;
use super::group_key::GroupKey;
use kind::{Levels, Match, Plan as _, State as _, Taken};

kinds! {
    /// So many matches in a window.
    0 => Count(count),
    /// So many different values in a window.
    1 => Distinct(distinct),
    /// No match for so long.
    2 => Absence(absence),
    /// So much of a number in a window.
    3 => Sum(sum),
    /// So large a part of the matches in a window.
    4 => Ratio(ratio),
    /// Several of the others but for an absence, all of which must hold.
    5 => All(all),
    /// Each match by itself.
    6 => Each(each),
    /// Too few matches for so long.
    7 => Scarcity(scarcity),
}

/// The number that the state of several measures is stored under.
const ALL: usize = 5;

impl ConditionState {
    /// Reads one of several measures, which is never several itself.
    pub(crate) fn read_measure(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::read_kind(from.index(ALL)?, from)
    }
}

impl ConditionPlan {
    /// The plan of a checked condition, whose alert grows worse at these levels.
    pub(crate) fn new(condition: &Condition, levels: Levels) -> Self {
        match *condition {
            Condition::Count { threshold, within_ms, resolution_ms } => {
                Self::Count(count::Plan::new(threshold, within_ms, resolution_ms, levels))
            }
            Condition::Distinct { field, at_least, within_ms } => {
                Self::Distinct(distinct::Plan { field, at_least, levels, within_ms })
            }
            Condition::Sum { field, at_least, within_ms, pane_ms } => {
                let size = window::Size { threshold: at_least, levels, pane_ms, panes: within_ms / pane_ms };
                Self::Sum(sum::Plan { field, size })
            }
            Condition::Ratio { ref of, at_least, min, within_ms, pane_ms } => Self::Ratio(ratio::Plan {
                field: None,
                of: of.clone(),
                share: ratio::Share::AtLeast(at_least),
                min,
                pane_ms,
                panes: within_ms / pane_ms,
            }),
            Condition::Percentile { field, thousandths, at_least, min, within_ms, pane_ms } => {
                Self::Ratio(ratio::Plan::percentile(field, thousandths, at_least, min, (within_ms, pane_ms)))
            }
            Condition::All(ref measures) => {
                Self::All(all::Plan(measures.iter().map(|one| Self::new(one, levels)).collect()))
            }
            Condition::Each => Self::Each(each::Plan),
            Condition::Absent { for_ms, ref expected, at_most, forget_after_ms } => {
                let absence = absence::Plan { for_ms, expected: expected.clone(), forget_after_ms };
                match at_most {
                    0 => Self::Absence(absence),
                    at_most => Self::Scarcity(scarcity::Plan { absence, at_most: at_most as usize }),
                }
            }
            Condition::Blind { after_ms } => Self::Blind(blind::Plan { after_ms }),
        }
    }
}

impl ConditionPlan {
    /// The numbers of an absence, if it is one.
    pub(crate) fn absence(&self) -> Option<&absence::Plan> {
        match self {
            Self::Absence(plan) | Self::Scarcity(scarcity::Plan { absence: plan, .. }) => Some(plan),
            _ => None,
        }
    }
}

impl ConditionState {
    /// The wait of an absence, if it is one.
    pub(crate) fn absence_mut(&mut self) -> Option<&mut absence::State> {
        match self {
            Self::Absence(state) | Self::Scarcity(scarcity::State { absence: state, .. }) => Some(state),
            _ => None,
        }
    }
}

/// Several measures, all of which must hold. Each is what it would be alone, and remembers whether it holds.
pub(crate) mod all {
    use logystera_schemas::avro::{Datum, DecodeError, Reader, Writer};
    use logystera_schemas::batch::{FieldSet, Fields};
    use logystera_schemas::catalogue::SignalType;
    use logystera_schemas::time::SiteMs;

    use super::super::episode::Event;
    use super::kind::{self, Match, Progress, Taken};
    use super::{ConditionPlan, ConditionState};

    /// Bytes that a measure counts for besides what it remembers.
    const MEASURE_BYTES: usize = 64;

    /// The measures of a rule. The first is the one whose number is the episode's.
    #[derive(Clone, Debug)]
    pub(crate) struct Plan(pub(crate) Vec<ConditionPlan>);

    /// The measures of a group, in the order of the plan; none before the first match.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub(crate) struct State(Vec<Measure>);

    /// One of them.
    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Measure {
        /// Whether it holds.
        holds: bool,
        state: ConditionState,
    }

    impl kind::Plan for Plan {
        fn read(&self, signal: SignalType, fields: &mut FieldSet) {
            self.0.iter().for_each(|measure| measure.read(signal, fields));
        }

        fn repeats(&self, signal: SignalType) -> Option<usize> {
            self.0.iter().find_map(|measure| measure.repeats(signal))
        }

        fn is_match(&self, fields: &Fields<'_>) -> bool {
            self.0.iter().any(|measure| measure.is_match(fields))
        }

        fn bytes_max(&self) -> usize {
            self.0.iter().map(|measure| MEASURE_BYTES + measure.bytes_max()).sum()
        }
    }

    impl kind::State for State {
        type Plan = Plan;

        const ONLY_PUTS_OFF: bool = false;

        fn take(&mut self, Plan(plans): &Plan, matching: &Match<'_>) -> Taken {
            if self.0.is_empty() {
                let states = plans.iter().filter_map(ConditionPlan::state);
                self.0 = states.map(|state| Measure { holds: false, state }).collect();
            }
            let (mut is_inside, mut count, mut is_part) = (false, 0, None);
            for (place, (measure, plan)) in self.0.iter_mut().zip(plans).enumerate() {
                if !plan.is_match(matching.fields) {
                    continue;
                }
                let Taken::Inside { counted, becomes, is_part: belongs } = measure.state.take(plan, matching) else {
                    continue;
                };
                is_inside = true;
                measure.holds |= becomes.is_some();
                if place == 0 {
                    count = counted;
                }
                if let Some(belongs) = belongs {
                    is_part = Some(belongs || is_part == Some(true));
                }
            }
            if is_inside {
                Taken::Inside { counted: count, becomes: self.met(plans, matching.now), is_part }
            } else {
                Taken::Outside
            }
        }

        fn turns_at(&self, Plan(plans): &Plan, _: bool, _: bool) -> Option<SiteMs> {
            self.0.iter().zip(plans).filter_map(|(measure, plan)| measure.turns_at(plan)).min()
        }

        fn turn(&mut self, Plan(plans): &Plan, _: bool, at: SiteMs) -> Event {
            for (measure, plan) in self.0.iter_mut().zip(plans) {
                if measure.turns_at(plan).is_some_and(|due| due <= at) {
                    measure.holds = measure.state.turn(plan, measure.holds, at) != Event::Unmet;
                }
            }
            self.met(plans, at).unwrap_or(Event::Unmet)
        }

        fn begins_with(&self, Plan(plans): &Plan) -> u64 {
            self.0.first().zip(plans.first()).map_or(0, |(measure, plan)| measure.state.begins_with(plan))
        }

        /// When the last of them has nothing left.
        fn empties_at(&self, Plan(plans): &Plan) -> Option<SiteMs> {
            let ends = self.0.iter().zip(plans).filter_map(|(measure, plan)| measure.state.empties_at(plan));
            Some(ends.max().unwrap_or(SiteMs::MIN))
        }

        fn move_back(&mut self, ms: i64, now: SiteMs, Plan(plans): &Plan) {
            for (measure, plan) in self.0.iter_mut().zip(plans) {
                measure.state.move_back(ms, now, plan);
            }
        }

        fn bytes(&self) -> usize {
            self.0.iter().map(|measure| MEASURE_BYTES + measure.state.bytes()).sum()
        }

        fn progress(&self, Plan(plans): &Plan, now: SiteMs) -> Vec<Progress> {
            self.0.iter().zip(plans).flat_map(|(measure, plan)| measure.state.progress(plan, now)).collect()
        }
    }

    impl State {
        /// That the condition holds, if all measures do.
        fn met(&self, plans: &[ConditionPlan], now: SiteMs) -> Option<Event> {
            let mut measures = self.0.iter().zip(plans);
            let holds = measures.all(|(measure, plan)| measure.state.holds_at(plan, measure.holds, now));
            holds.then(|| Event::Met {
                count: self.0.first().zip(plans.first()).map_or(0, |(measure, plan)| measure.state.begins_with(plan)),
            })
        }
    }

    impl Measure {
        fn turns_at(&self, plan: &ConditionPlan) -> Option<SiteMs> {
            self.state.turns_at(plan, self.holds, false)
        }
    }

    impl Datum for Measure {
        fn write(&self, to: &mut Writer) {
            self.holds.write(to);
            self.state.write(to);
        }

        fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
            Ok(Self { holds: bool::read(from)?, state: ConditionState::read_measure(from)? })
        }
    }

    impl Datum for State {
        fn write(&self, to: &mut Writer) {
            to.long(self.0.len() as i64);
            self.0.iter().for_each(|measure| measure.write(to));
        }

        fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
            let measures = (0..from.block()?).map(|_| Measure::read(from)).collect::<Result<_, _>>()?;
            Ok(Self(measures))
        }
    }
}
