//! So many matches in a window.

use logystera_schemas::catalogue::SignalType;
use logystera_schemas::time::SiteMs;

use super::super::episode::Event;
use super::kind::{self, Levels, Match, Progress, Taken};
use super::window::{Size, Window};

/// The field that says how many signals a sender merged into one.
const REPEATS: &str = "repeats";
/// Bytes that a pane (in an exact window: a match) counts for.
const PANE_BYTES: usize = 8;

/// The numbers of a window: how many matches make the condition true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan(pub(crate) Size);

/// The newest matches of a group, as many as can matter.
pub(crate) type State = Window<u32>;

/// The field of `signal` that says how many signals one stands for.
pub(super) fn repeats(signal: SignalType) -> Option<usize> {
    signal.def().field(REPEATS).map(|(field, _)| field)
}

impl Plan {
    /// A window of `within_ms` in panes of `resolution_ms`. None: it is exact.
    pub(super) fn new(threshold: u32, within_ms: i64, resolution_ms: Option<i64>, levels: Levels) -> Self {
        let pane_ms = resolution_ms.unwrap_or(1);
        Self(Size { threshold: u64::from(threshold), levels, pane_ms, panes: within_ms / pane_ms })
    }
}

impl kind::Plan for Plan {
    fn repeats(&self, signal: SignalType) -> Option<usize> {
        repeats(signal)
    }

    fn bytes_max(&self) -> usize {
        // A window in panes touches at most as many as it has, an exact one as many as there are matches to keep.
        let Size { pane_ms, panes, .. } = self.0;
        let keeps = self.0.keeps() as usize;
        PANE_BYTES * if pane_ms == 1 { keeps } else { keeps.min(panes as usize) }
    }
}

impl kind::State for State {
    type Plan = Plan;

    const ONLY_PUTS_OFF: bool = true;

    #[inline]
    fn take(&mut self, Plan(size): &Plan, matching: &Match<'_>) -> Taken {
        let Match { at, now, times, .. } = *matching;
        let Some(count) = self.add(at, u64::from(times), now, size) else { return Taken::Outside };
        let holds = self.clears_at(size).is_some_and(|clears| clears > now);
        Taken::Inside { counted: u64::from(times), becomes: holds.then_some(Event::Met { count }), is_part: None }
    }

    #[inline]
    fn turns_at(&self, Plan(size): &Plan, holds: bool, _: bool) -> Option<SiteMs> {
        if holds { self.clears_at(size) } else { None }
    }

    fn holds_at(&self, Plan(size): &Plan, held: bool, now: SiteMs) -> bool {
        held && self.clears_at(size).is_some_and(|clears| clears > now)
    }

    #[inline]
    fn level(&self, Plan(size): &Plan, now: SiteMs) -> u8 {
        Window::levels_reached(self, now, size)
    }

    fn begins_with(&self, Plan(size): &Plan) -> u64 {
        size.threshold
    }

    #[inline]
    fn empties_at(&self, Plan(size): &Plan) -> Option<SiteMs> {
        Some(Window::newest_leaves_at(self, size))
    }

    fn move_back(&mut self, ms: i64, now: SiteMs, Plan(size): &Plan) {
        Window::go_back(self, ms, now, size);
    }

    #[inline]
    fn bytes(&self) -> usize {
        PANE_BYTES * self.len()
    }

    fn progress(&self, Plan(size): &Plan, now: SiteMs) -> Vec<Progress> {
        vec![Progress::Count { now: self.inside(now, size), wanted: size.threshold }]
    }
}
