//! So much of a number in a window: each match adds its value, as many times as it stands for.

use logystera_schemas::batch::{FieldSet, Fields, Value};
use logystera_schemas::catalogue::SignalType;
use logystera_schemas::time::SiteMs;

use super::super::episode::Event;
use super::count::repeats;
use super::kind::{self, Match, Progress, Taken};
use super::window::{Size, Window};

/// Bytes that a pane counts for.
const PANE_BYTES: usize = 16;

/// The numbers of such a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Index of the field whose values are added up.
    pub(crate) field: usize,
    /// The window: the sum that makes the condition true.
    pub(crate) size: Size,
}

/// The newest panes of a group, as many as can matter.
pub(crate) type State = Window<u64>;

impl kind::Plan for Plan {
    fn read(&self, _: SignalType, fields: &mut FieldSet) {
        fields.insert(self.field);
    }

    fn repeats(&self, signal: SignalType) -> Option<usize> {
        repeats(signal)
    }

    #[inline]
    fn is_match(&self, fields: &Fields<'_>) -> bool {
        fields[self.field] != Value::Absent
    }

    fn bytes_max(&self) -> usize {
        // One that leaves the window at this moment stays until its deadline has run.
        PANE_BYTES * (self.size.panes as usize + 1)
    }
}

impl kind::State for State {
    type Plan = Plan;

    const ONLY_PUTS_OFF: bool = true;

    #[inline]
    fn take(&mut self, plan: &Plan, matching: &Match<'_>) -> Taken {
        let Match { fields, at, now, times, .. } = *matching;
        let value = match fields[plan.field] {
            Value::Int(value) => u64::try_from(value).unwrap_or(0),
            _ => 0,
        };
        let weight = value.saturating_mul(u64::from(times));
        let Some(count) = self.add(at, weight, now, &plan.size) else { return Taken::Outside };
        let holds = self.clears_at(&plan.size).is_some_and(|clears| clears > now);
        Taken::Inside { counted: weight, becomes: holds.then_some(Event::Met { count }), is_part: None }
    }

    #[inline]
    fn turns_at(&self, plan: &Plan, holds: bool, _: bool) -> Option<SiteMs> {
        if holds { self.clears_at(&plan.size) } else { None }
    }

    fn holds_at(&self, plan: &Plan, held: bool, now: SiteMs) -> bool {
        held && self.clears_at(&plan.size).is_some_and(|clears| clears > now)
    }

    #[inline]
    fn level(&self, plan: &Plan, now: SiteMs) -> u8 {
        Window::levels_reached(self, now, &plan.size)
    }

    fn begins_with(&self, plan: &Plan) -> u64 {
        plan.size.threshold
    }

    #[inline]
    fn empties_at(&self, plan: &Plan) -> Option<SiteMs> {
        Some(Window::newest_leaves_at(self, &plan.size))
    }

    fn move_back(&mut self, ms: i64, now: SiteMs, plan: &Plan) {
        Window::go_back(self, ms, now, &plan.size);
    }

    #[inline]
    fn bytes(&self) -> usize {
        PANE_BYTES * self.len()
    }

    fn progress(&self, plan: &Plan, now: SiteMs) -> Vec<Progress> {
        vec![Progress::Sum { now: self.inside(now, &plan.size), wanted: plan.size.threshold }]
    }
}
