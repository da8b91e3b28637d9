//! The kinds of conditions, one file each: its plan (the rule's numbers), its state (what a group remembers), what a match
//! does, when time alone turns it, its bytes and its encoding. [`kind`] says what a kind answers.
//!
//! A new kind is a file, a line in `kinds!`, and a line in [`ConditionPlan::new`].

pub(crate) mod absence;
pub(crate) mod blind;
pub(crate) mod count;
pub(crate) mod distinct;
pub(crate) mod kind;

use logystera_schemas::avro::{Datum, DecodeError, Reader, Writer};
use logystera_schemas::batch::{FieldSet, Fields};
use logystera_schemas::catalogue::SignalType;
use logystera_schemas::detection::DetectionReason;
use logystera_schemas::time::SiteMs;

use super::rule::Condition;
use kind::{Match, Plan as _, State as _, Taken};

/// Declares the kinds whose state is kept by group, each with the number that its state is stored under.
macro_rules! kinds {
    ($($(#[$doc:meta])* $number:literal => $kind:ident($module:ident)),* $(,)?) => {
        /// The plan of a rule's condition.
        #[derive(Clone, Copy, Debug)]
        pub(crate) enum ConditionPlan {
            $($(#[$doc])* $kind($module::Plan),)*
            /// The site's own silence. It has no groups: [`RuleExtras`](super::rule_groups::RuleExtras) has its state.
            Blind(blind::Plan),
        }

        /// What a group remembers of its matches.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(crate) enum ConditionState {
            $($(#[$doc])* $kind($module::State),)*
        }

        impl ConditionPlan {
            /// The state of a group that has seen nothing. None: the rule has no groups.
            pub(crate) fn state(&self) -> Option<ConditionState> {
                match self {
                    $(Self::$kind(_) => Some(ConditionState::$kind($module::State::default())),)*
                    Self::Blind(_) => None,
                }
            }

            /// See [`kind::Plan::read`].
            pub(crate) fn read(&self, signal: SignalType, fields: &mut FieldSet) {
                match self {
                    $(Self::$kind(plan) => plan.read(signal, fields),)*
                    Self::Blind(_) => {}
                }
            }

            /// See [`kind::Plan::repeats`].
            pub(crate) fn repeats(&self, signal: SignalType) -> Option<usize> {
                match self {
                    $(Self::$kind(plan) => plan.repeats(signal),)*
                    Self::Blind(_) => None,
                }
            }

            /// See [`kind::Plan::is_match`].
            #[inline]
            pub(crate) fn is_match(&self, fields: &Fields<'_>) -> bool {
                match self {
                    $(Self::$kind(plan) => plan.is_match(fields),)*
                    Self::Blind(_) => false,
                }
            }

            /// See [`kind::Plan::has_standing_group`].
            pub(crate) fn has_standing_group(&self) -> bool {
                match self {
                    $(Self::$kind(plan) => plan.has_standing_group(),)*
                    Self::Blind(_) => false,
                }
            }

            /// See [`kind::Plan::bytes_max`].
            pub(crate) fn bytes_max(&self) -> usize {
                match self {
                    $(Self::$kind(plan) => plan.bytes_max(),)*
                    Self::Blind(_) => 0,
                }
            }
        }

        // A group is made by its rule's plan and goes when that changes: a state never meets a plan of another kind.
        impl ConditionState {
            /// See [`kind::State::ONLY_PUTS_OFF`].
            #[inline]
            pub(crate) fn only_puts_off(&self) -> bool {
                match self {
                    $(Self::$kind(_) => $module::State::ONLY_PUTS_OFF,)*
                }
            }

            /// See [`kind::State::take`].
            #[inline]
            pub(crate) fn take(&mut self, plan: &ConditionPlan, matching: &Match<'_>) -> Taken {
                match (self, plan) {
                    $((Self::$kind(state), ConditionPlan::$kind(plan)) => state.take(plan, matching),)*
                    _ => Taken::Outside,
                }
            }

            /// See [`kind::State::turns_at`].
            #[inline]
            pub(crate) fn turns_at(&self, plan: &ConditionPlan, holds: bool, stand_still: bool) -> Option<SiteMs> {
                match (self, plan) {
                    $((Self::$kind(state), ConditionPlan::$kind(plan)) => state.turns_at(plan, holds, stand_still),)*
                    _ => None,
                }
            }

            /// See [`kind::State::empties_at`].
            #[inline]
            pub(crate) fn empties_at(&self, plan: &ConditionPlan) -> Option<SiteMs> {
                match (self, plan) {
                    $((Self::$kind(state), ConditionPlan::$kind(plan)) => state.empties_at(plan),)*
                    _ => None,
                }
            }

            /// See [`kind::State::move_back`].
            pub(crate) fn move_back(&mut self, ms: i64, now: SiteMs, plan: &ConditionPlan) {
                match (self, plan) {
                    $((Self::$kind(state), ConditionPlan::$kind(plan)) => state.move_back(ms, now, plan),)*
                    _ => {}
                }
            }

            /// See [`kind::State::bytes`].
            #[inline]
            pub(crate) fn bytes(&self) -> usize {
                match self {
                    $(Self::$kind(state) => state.bytes(),)*
                }
            }

            /// See [`kind::State::firing_reason`].
            pub(crate) fn firing_reason(&self) -> DetectionReason {
                match self {
                    $(Self::$kind(state) => state.firing_reason(),)*
                }
            }
        }

        impl Datum for ConditionState {
            fn write(&self, to: &mut Writer) {
                match self {
                    $(Self::$kind(state) => {
                        to.long($number);
                        state.write(to);
                    })*
                }
            }

            fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
                match from.index([$($number),*].len())? {
                    $($number => Ok(Self::$kind(Datum::read(from)?)),)*
                    _ => Err(DecodeError::Range),
                }
            }
        }
    };
}

kinds! {
    /// So many matches in a window.
    0 => Count(count),
    /// So many different values in a window.
    1 => Distinct(distinct),
    /// No match for so long.
    2 => Absence(absence),
}

impl ConditionPlan {
    /// The plan of a checked condition.
    pub(crate) fn new(condition: &Condition) -> Self {
        match *condition {
            Condition::Count { threshold, within_ms, resolution_ms } => {
                Self::Count(count::Plan::new(threshold, within_ms, resolution_ms))
            }
            Condition::Distinct { field, at_least, within_ms } => {
                Self::Distinct(distinct::Plan { field, at_least, within_ms })
            }
            Condition::Absent { for_ms, expected } => Self::Absence(absence::Plan { for_ms, expected }),
            Condition::Blind { after_ms } => Self::Blind(blind::Plan { after_ms }),
        }
    }
}
