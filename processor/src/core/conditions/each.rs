//! Each match by itself. It remembers nothing: [`once`](super::super::once) says what is told of a match, and what is held back.

use logystera_schemas::avro::{Datum, DecodeError, Reader, Writer};
use logystera_schemas::catalogue::SignalType;
use logystera_schemas::limits::EACH_AGE_MS_MAX;
use logystera_schemas::time::SiteMs;

use super::super::episode::Event;
use super::count::repeats;
use super::kind::{self, Match, Taken};

/// Such a condition has no numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan;

/// There is nothing to remember.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State;

impl kind::Plan for Plan {
    fn repeats(&self, signal: SignalType) -> Option<usize> {
        repeats(signal)
    }

    fn tells_each(&self) -> bool {
        true
    }

    fn bytes_max(&self) -> usize {
        0
    }
}

impl kind::State for State {
    type Plan = Plan;

    /// A match starts a suppression.
    const ONLY_PUTS_OFF: bool = false;

    #[inline]
    fn take(&mut self, _: &Plan, matching: &Match<'_>) -> Taken {
        let Match { at, now, times, .. } = *matching;
        if at.plus(EACH_AGE_MS_MAX) <= now {
            return Taken::Outside;
        }
        let count = u64::from(times);
        Taken::Inside { counted: count, becomes: Some(Event::Happened { at, count }), is_part: None }
    }

    #[inline]
    fn turns_at(&self, _: &Plan, _: bool, _: bool) -> Option<SiteMs> {
        None
    }

    /// A group without a suppression can go at once.
    #[inline]
    fn empties_at(&self, _: &Plan) -> Option<SiteMs> {
        Some(SiteMs::MIN)
    }

    fn move_back(&mut self, _: i64, _: SiteMs, _: &Plan) {}

    #[inline]
    fn bytes(&self) -> usize {
        0
    }
}

impl Datum for State {
    fn write(&self, _: &mut Writer) {}

    fn read(_: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self)
    }
}
