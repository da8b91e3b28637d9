//! What a condition does, handed to the kind that it is of.

/// Declares the kinds whose state is kept by group, each with the number that its state is stored under.
macro_rules! kinds {
    ($($(#[$doc:meta])* $number:literal => $kind:ident($module:ident)),* $(,)?) => {
        /// The plan of a rule's condition.
        #[derive(Clone, Debug)]
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

            /// See [`kind::Plan::standing_groups`].
            pub(crate) fn standing_groups(&self) -> Option<Vec<GroupKey>> {
                match self {
                    $(Self::$kind(plan) => plan.standing_groups(),)*
                    Self::Blind(_) => None,
                }
            }

            /// See [`kind::Plan::tells_each`].
            #[inline]
            pub(crate) fn tells_each(&self) -> bool {
                match self {
                    $(Self::$kind(plan) => plan.tells_each(),)*
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

            /// See [`kind::State::turn`].
            pub(crate) fn turn(&mut self, plan: &ConditionPlan, held: bool, at: SiteMs) -> Event {
                match (self, plan) {
                    $((Self::$kind(state), ConditionPlan::$kind(plan)) => state.turn(plan, held, at),)*
                    _ => Event::Unmet,
                }
            }

            /// See [`kind::State::forgets_at`].
            #[inline]
            pub(crate) fn forgets_at(&self, plan: &ConditionPlan, stand_still: bool) -> Option<SiteMs> {
                match (self, plan) {
                    $((Self::$kind(state), ConditionPlan::$kind(plan)) => state.forgets_at(plan, stand_still),)*
                    _ => None,
                }
            }

            /// See [`kind::State::holds_at`].
            pub(crate) fn holds_at(&self, plan: &ConditionPlan, held: bool, now: SiteMs) -> bool {
                match (self, plan) {
                    $((Self::$kind(state), ConditionPlan::$kind(plan)) => state.holds_at(plan, held, now),)*
                    _ => false,
                }
            }

            /// See [`kind::State::level`].
            #[inline]
            pub(crate) fn level(&self, plan: &ConditionPlan, now: SiteMs) -> u8 {
                match (self, plan) {
                    $((Self::$kind(state), ConditionPlan::$kind(plan)) => state.level(plan, now),)*
                    _ => 0,
                }
            }

            /// See [`kind::State::begins_with`].
            pub(crate) fn begins_with(&self, plan: &ConditionPlan) -> u64 {
                match (self, plan) {
                    $((Self::$kind(state), ConditionPlan::$kind(plan)) => state.begins_with(plan),)*
                    _ => 0,
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

            /// See [`kind::State::progress`].
            pub(crate) fn progress(&self, plan: &ConditionPlan, now: SiteMs) -> Vec<kind::Progress> {
                match (self, plan) {
                    $((Self::$kind(state), ConditionPlan::$kind(plan)) => state.progress(plan, now),)*
                    _ => Vec::new(),
                }
            }

            /// See [`kind::State::firing_reason`].
            pub(crate) fn firing_reason(&self) -> DetectionReason {
                match self {
                    $(Self::$kind(state) => state.firing_reason(),)*
                }
            }

            /// Reads the state of the kind that is stored under this number.
            fn read_kind(number: usize, from: &mut Reader<'_>) -> Result<Self, DecodeError> {
                match number {
                    $($number => Ok(Self::$kind(Datum::read(from)?)),)*
                    _ => Err(DecodeError::Range),
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
                Self::read_kind(from.index([$($number),*].len())?, from)
            }
        }
    };
}
