//! So many matches in a window. A window is `(t - W, t]` in site time, or the same in panes.

use std::collections::VecDeque;

use logystera_schemas::avro::{Datum, DecodeError, Reader, Writer};
use logystera_schemas::batch::FieldSet;
use logystera_schemas::catalogue::SignalType;
use logystera_schemas::time::SiteMs;

use super::super::episode::Event;
use super::kind::{self, Match, Taken};

/// The field that says how many signals a sender merged into one.
const REPEATS: &str = "repeats";
/// Bytes that a pane (in an exact window: a match) counts for.
const PANE_BYTES: usize = 8;

/// The numbers of a window.
///
/// An exact window is one with panes of a millisecond. With panes of `r`, the window at `t` is the panes
/// `floor(t / r) - W / r + 1 ..= floor(t / r)`, and the condition clears at `(p + W / r) * r` for `p` the pane of the
/// threshold-th newest match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Matches that make the condition true.
    pub(crate) threshold: u32,
    /// Length of a pane in milliseconds; 1 if the window is exact.
    pub(crate) pane_ms: i64,
    /// Panes of the window.
    pub(crate) panes: i64,
}

/// The newest matches of a group, as many as can matter: those in the window, and of these the shortest run of panes from
/// the newest back whose sum reaches the threshold. Everything older can't change whether, or until when, the condition
/// holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// The pane that the offsets are counted from.
    base: i64,
    /// (pane - base, matches), oldest first.
    kept: VecDeque<(u32, u32)>,
    /// Sum of the matches.
    total: u64,
}

impl Plan {
    /// A window of `within_ms` in panes of `resolution_ms`. None: it is exact.
    pub(super) fn new(threshold: u32, within_ms: i64, resolution_ms: Option<i64>) -> Self {
        let pane_ms = resolution_ms.unwrap_or(1);
        Self { threshold, pane_ms, panes: within_ms / pane_ms }
    }

    fn pane(&self, at: SiteMs) -> i64 {
        at.0.div_euclid(self.pane_ms)
    }

    /// Site time at which a match in `pane` leaves the window.
    fn leaves(&self, pane: i64) -> SiteMs {
        SiteMs(pane.saturating_add(self.panes).saturating_mul(self.pane_ms))
    }
}

impl kind::Plan for Plan {
    fn read(&self, signal: SignalType, fields: &mut FieldSet) {
        self.repeats(signal).into_iter().for_each(|field| fields.insert(field));
    }

    fn repeats(&self, signal: SignalType) -> Option<usize> {
        signal.def().field(REPEATS).map(|(field, _)| field)
    }

    fn bytes_max(&self) -> usize {
        // A window in panes touches at most as many as it has, an exact one as many as there are matches to keep.
        let threshold = self.threshold as usize;
        let panes = if self.pane_ms == 1 { threshold } else { threshold.min(self.panes as usize) };
        PANE_BYTES * panes
    }
}

impl kind::State for State {
    type Plan = Plan;

    const ONLY_PUTS_OFF: bool = true;

    #[inline]
    fn take(&mut self, plan: &Plan, matching: &Match<'_>) -> Taken {
        let Match { at, now, times, .. } = *matching;
        let Some(count) = self.add(at, times, now, plan) else { return Taken::Outside };
        let holds = self.clears_at(plan).is_some_and(|clears| clears > now);
        Taken::Inside { counted: u64::from(times), becomes: holds.then_some(Event::Met { count }) }
    }

    #[inline]
    fn turns_at(&self, plan: &Plan, holds: bool, _: bool) -> Option<SiteMs> {
        if holds { self.clears_at(plan) } else { None }
    }

    /// When the newest match leaves the window.
    #[inline]
    fn empties_at(&self, plan: &Plan) -> Option<SiteMs> {
        Some(self.kept.back().map_or(SiteMs::MIN, |(newest, _)| plan.leaves(self.base + i64::from(*newest))))
    }

    /// The panes go back by `ms`, rounded down to whole ones. Those that have left the window at `now` go, or they could come
    /// back into it.
    fn move_back(&mut self, ms: i64, now: SiteMs, plan: &Plan) {
        self.forget(now.plus(1), plan);
        self.base = self.base.saturating_sub(ms.div_euclid(plan.pane_ms));
    }

    #[inline]
    fn bytes(&self) -> usize {
        PANE_BYTES * self.kept.len()
    }
}

impl State {
    /// Adds a match at `at` that stands for `times`, judged at `now`. Gives how many lie in the window then; the number
    /// is exact if the condition becomes true by this match. None: the match no longer lies in the window.
    pub(crate) fn add(&mut self, at: SiteMs, times: u32, now: SiteMs, plan: &Plan) -> Option<u64> {
        let pane = plan.pane(at);
        if plan.leaves(pane) <= now {
            return None;
        }
        self.forget(now, plan);
        self.rebase(pane);
        let offset = (pane - self.base) as u32;
        let place = match self.kept.back() {
            Some((last, _)) if *last >= offset => self.at(offset),
            _ => {
                self.kept.push_back((offset, 0));
                self.kept.len() - 1
            }
        };
        let count = &mut self.kept[place].1;
        // A pane counts no further than this, far beyond every threshold.
        let taken = times.min(u32::MAX - *count);
        *count += taken;
        self.total += u64::from(taken);
        let left = self.kept.front().filter(|(oldest, _)| plan.leaves(self.base + i64::from(*oldest)) <= now);
        let inside = self.total - left.map_or(0, |(_, count)| u64::from(*count));
        while let Some((_, oldest)) = self.kept.front()
            && self.total - u64::from(*oldest) >= u64::from(plan.threshold)
        {
            self.total -= u64::from(*oldest);
            self.kept.pop_front();
        }
        Some(inside)
    }

    /// Drops panes that have left the window before `now`. A pane that leaves at `now` stays: its deadline has still to
    /// run.
    fn forget(&mut self, now: SiteMs, plan: &Plan) {
        while let Some((oldest, count)) = self.kept.front()
            && plan.leaves(self.base + i64::from(*oldest)) < now
        {
            self.total -= u64::from(*count);
            self.kept.pop_front();
        }
    }

    /// Index of the pane with this offset, which is made if it is missing.
    fn at(&mut self, offset: u32) -> usize {
        if self.kept.back().is_some_and(|(last, _)| *last == offset) {
            return self.kept.len() - 1;
        }
        self.kept.binary_search_by_key(&offset, |(o, _)| *o).unwrap_or_else(|place| {
            self.kept.insert(place, (offset, 0));
            place
        })
    }

    /// Chooses a base from which `pane` is an offset of 32 bits. What then lies out of reach left every window long
    /// ago: the longest window is 7 days, and 32 bits of milliseconds are 49 days.
    fn rebase(&mut self, pane: i64) {
        let fits = |base: i64| pane.checked_sub(base).is_some_and(|o| (0..=i64::from(u32::MAX)).contains(&o));
        if self.kept.is_empty() {
            self.base = pane;
        } else if !fits(self.base) {
            let old = self.base;
            let all: Vec<(i64, u32)> = self.kept.iter().map(|(o, n)| (old + i64::from(*o), *n)).collect();
            self.base = all.iter().map(|(p, _)| *p).chain([pane]).filter(|p| fits(*p)).min().unwrap_or(pane);
            self.kept =
                all.iter().filter(|(p, _)| *p >= self.base).map(|(p, n)| ((p - self.base) as u32, *n)).collect();
            self.total = self.kept.iter().map(|(_, n)| u64::from(*n)).sum();
        }
    }

    /// Until when the condition holds with the matches that are kept. None: they are too few.
    pub(crate) fn clears_at(&self, plan: &Plan) -> Option<SiteMs> {
        let (oldest, _) = self.kept.front()?;
        (self.total >= u64::from(plan.threshold)).then(|| plan.leaves(self.base + i64::from(*oldest)))
    }

    /// Matches and panes that are kept.
    #[cfg(test)]
    pub(crate) fn kept(&self) -> (u64, usize) {
        (self.total, self.kept.len())
    }
}

impl Datum for State {
    fn write(&self, to: &mut Writer) {
        self.base.write(to);
        to.long(self.kept.len() as i64);
        let mut previous = 0;
        for (offset, count) in &self.kept {
            to.long(i64::from(offset - previous));
            to.long(i64::from(*count));
            previous = *offset;
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let base = i64::read(from)?;
        let mut panes = VecDeque::new();
        let (mut offset, mut total) = (0_u32, 0);
        for _ in 0..from.block()? {
            offset = offset.checked_add(u32::read(from)?).ok_or(DecodeError::Range)?;
            let count = u32::read(from)?;
            total += u64::from(count);
            panes.push_back((offset, count));
        }
        Ok(Self { base, kept: panes, total })
    }
}
