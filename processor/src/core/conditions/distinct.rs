//! So many different values of a field in a window `(t - W, t]`.

use logystera_ruleset::digest;
use logystera_schemas::avro::{Datum, DecodeError, Reader, Writer};
use logystera_schemas::batch::{FieldSet, Fields, Value};
use logystera_schemas::catalogue::SignalType;
use logystera_schemas::time::SiteMs;

use super::super::episode::Event;
use super::kind::{self, Levels, Match, Progress, Taken};

/// Bytes that a value counts for.
const VALUE_BYTES: usize = 24;

/// The numbers of such a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Index of the field.
    pub(crate) field: usize,
    /// Values that make the condition true.
    pub(crate) at_least: u32,
    /// Values that make its alert worse, step by step.
    pub(crate) levels: Levels,
    /// Length of the window in milliseconds.
    pub(crate) within_ms: i64,
}

/// The different values that a group saw last, each with its newest time. It keeps as many as the rule asks for: the
/// condition holds if all of them lie in the window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// (newest time, value), in the order of time, then value.
    kept: Vec<(SiteMs, [u8; 16])>,
}

impl kind::Plan for Plan {
    fn read(&self, _: SignalType, fields: &mut FieldSet) {
        fields.insert(self.field);
    }

    #[inline]
    fn is_match(&self, fields: &Fields<'_>) -> bool {
        fields[self.field] != Value::Absent
    }

    fn bytes_max(&self) -> usize {
        VALUE_BYTES * self.keeps()
    }
}

impl Plan {
    /// The most values that are asked for.
    fn keeps(&self) -> usize {
        let most = self.levels.iter().copied().filter(|level| *level != u64::MAX).max().unwrap_or(0);
        (self.at_least as usize).max(most as usize)
    }
}

impl kind::State for State {
    type Plan = Plan;

    const ONLY_PUTS_OFF: bool = true;

    #[inline]
    fn take(&mut self, plan: &Plan, matching: &Match<'_>) -> Taken {
        let Match { fields, at, now, .. } = *matching;
        let Some(is_new) = self.add(digest(&fields[plan.field]), at, now, plan) else { return Taken::Outside };
        let holds = self.clears_at(plan).is_some_and(|clears| clears > now);
        let count = self.kept.iter().filter(|(at, _)| at.plus(plan.within_ms) > now).count() as u64;
        Taken::Inside { counted: u64::from(is_new), becomes: holds.then_some(Event::Met { count }), is_part: None }
    }

    #[inline]
    fn turns_at(&self, plan: &Plan, holds: bool, _: bool) -> Option<SiteMs> {
        if holds { self.clears_at(plan) } else { None }
    }

    fn holds_at(&self, plan: &Plan, held: bool, now: SiteMs) -> bool {
        held && self.clears_at(plan).is_some_and(|clears| clears > now)
    }

    fn level(&self, plan: &Plan, now: SiteMs) -> u8 {
        let reached = |level: &&u64| {
            let values = usize::try_from(**level).unwrap_or(usize::MAX);
            self.leaves_below(values, plan).is_some_and(|until| until > now)
        };
        plan.levels.iter().take_while(reached).count() as u8
    }

    fn begins_with(&self, plan: &Plan) -> u64 {
        u64::from(plan.at_least)
    }

    /// When the newest value leaves the window.
    #[inline]
    fn empties_at(&self, plan: &Plan) -> Option<SiteMs> {
        Some(self.kept.last().map_or(SiteMs::MIN, |(newest, _)| newest.plus(plan.within_ms)))
    }

    fn move_back(&mut self, ms: i64, _: SiteMs, _: &Plan) {
        self.kept.iter_mut().for_each(|(at, _)| *at = at.plus(-ms));
    }

    #[inline]
    fn bytes(&self) -> usize {
        VALUE_BYTES * self.kept.len()
    }

    fn progress(&self, plan: &Plan, now: SiteMs) -> Vec<Progress> {
        let inside = self.kept.iter().filter(|(at, _)| at.plus(plan.within_ms) > now).count();
        vec![Progress::Distinct { now: inside as u64, wanted: u64::from(plan.at_least) }]
    }
}

impl State {
    /// Adds a value seen at `at`, judged at `now`. Gives whether it is new among those that are kept. None: it no
    /// longer lies in the window.
    pub(crate) fn add(&mut self, value: [u8; 16], at: SiteMs, now: SiteMs, plan: &Plan) -> Option<bool> {
        if at.plus(plan.within_ms) <= now {
            return None;
        }
        let known = self.kept.iter().position(|(_, v)| *v == value);
        let newest = match known {
            Some(place) => self.kept.remove(place).0.max(at),
            None => at,
        };
        let place = self.kept.partition_point(|entry| *entry < (newest, value));
        self.kept.insert(place, (newest, value));
        if self.kept.len() > plan.keeps() {
            self.kept.remove(0);
        }
        Some(known.is_none())
    }

    /// Until when the condition holds with the values that are kept. None: they are too few.
    pub(crate) fn clears_at(&self, plan: &Plan) -> Option<SiteMs> {
        self.leaves_below(plan.at_least as usize, plan)
    }

    /// Until when so many values lie in the window, with those that are kept. None: they are too few.
    fn leaves_below(&self, values: usize, plan: &Plan) -> Option<SiteMs> {
        let place = self.kept.len().checked_sub(values)?;
        Some(self.kept.get(place)?.0.plus(plan.within_ms))
    }
}

impl Datum for State {
    fn write(&self, to: &mut Writer) {
        to.long(self.kept.len() as i64);
        let mut previous = 0;
        for (at, value) in &self.kept {
            to.long(at.0 - previous);
            to.raw(value);
            previous = at.0;
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut values = Vec::new();
        let mut at = 0_i64;
        for _ in 0..from.block()? {
            at = at.checked_add(from.long()?).ok_or(DecodeError::Range)?;
            values.push((SiteMs(at), *from.fixed()?));
        }
        Ok(Self { kept: values })
    }
}
