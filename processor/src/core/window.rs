//! Windows: which matches of a group still count. A window is `(t - W, t]` in site time, or the same in panes.

use std::collections::VecDeque;

use logystera_schemas::avro::{Datum, DecodeError, Reader, Writer};
use logystera_schemas::time::SiteMs;

/// The newest matches of a group, as many as can matter: those in the window, and of these the shortest run of panes from
/// the newest back whose sum reaches the threshold. Everything older can't change whether, or until when, the condition
/// holds.
///
/// An exact window is one with panes of a millisecond. With panes of `r`, the window at `t` is the panes
/// `floor(t / r) - W / r + 1 ..= floor(t / r)`, and the condition clears at `(p + W / r) * r` for `p` the pane of the
/// threshold-th newest match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Panes {
    /// The pane that the offsets are counted from.
    base: i64,
    /// (pane - base, matches), oldest first.
    kept: VecDeque<(u32, u32)>,
    /// Sum of the matches.
    total: u64,
}

/// The numbers of a rule that a window needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowSize {
    /// Matches that make the condition true.
    pub threshold: u32,
    /// Length of a pane in milliseconds; 1 where the window is exact.
    pub pane_ms: i64,
    /// Panes of the window.
    pub panes: i64,
}

impl WindowSize {
    fn pane(&self, at: SiteMs) -> i64 {
        at.0.div_euclid(self.pane_ms)
    }

    /// When a match in `pane` leaves the window.
    fn leaves(&self, pane: i64) -> SiteMs {
        SiteMs(pane.saturating_add(self.panes).saturating_mul(self.pane_ms))
    }
}

impl Panes {
    /// Adds a match at `at` that stands for so many, judged at `now`. Gives how many lie in the window then, if it is a match by
    /// which the condition becomes true; none where it no longer lies in the window.
    pub fn add(&mut self, at: SiteMs, times: u32, now: SiteMs, size: &WindowSize) -> Option<u64> {
        let pane = size.pane(at);
        if size.leaves(pane) <= now {
            return None;
        }
        self.forget(now, size);
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
        // A pane that is full says so many: far beyond every threshold.
        let taken = times.min(u32::MAX - *count);
        *count += taken;
        self.total += u64::from(taken);
        let left = self.kept.front().filter(|(oldest, _)| size.leaves(self.base + i64::from(*oldest)) <= now);
        let inside = self.total - left.map_or(0, |(_, count)| u64::from(*count));
        while let Some((_, oldest)) = self.kept.front()
            && self.total - u64::from(*oldest) >= u64::from(size.threshold)
        {
            self.total -= u64::from(*oldest);
            self.kept.pop_front();
        }
        Some(inside)
    }

    /// Drops panes that have left the window. One that leaves right now stays: the deadline that says so is still to run.
    fn forget(&mut self, now: SiteMs, size: &WindowSize) {
        while let Some((oldest, count)) = self.kept.front()
            && size.leaves(self.base + i64::from(*oldest)) < now
        {
            self.total -= u64::from(*count);
            self.kept.pop_front();
        }
    }

    /// Place of the pane with this offset, which is made where it is missing.
    fn at(&mut self, offset: u32) -> usize {
        if self.kept.back().is_some_and(|(last, _)| *last == offset) {
            return self.kept.len() - 1;
        }
        self.kept.binary_search_by_key(&offset, |(o, _)| *o).unwrap_or_else(|place| {
            self.kept.insert(place, (offset, 0));
            place
        })
    }

    /// Makes `pane` an offset that fits 32 bits. What then lies out of reach left every window long ago: the longest is
    /// 7 days, and 32 bits of milliseconds are 49.
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

    /// The panes go back by `ms`, rounded down to whole ones. Those that have left the window at `now` go, or they could come
    /// back into it.
    pub fn move_back(&mut self, ms: i64, now: SiteMs, size: &WindowSize) {
        self.forget(now.plus(1), size);
        self.base = self.base.saturating_sub(ms.div_euclid(size.pane_ms));
    }

    /// Until when the condition holds with the matches there are; none where they are too few.
    pub fn clears_at(&self, size: &WindowSize) -> Option<SiteMs> {
        let (oldest, _) = self.kept.front()?;
        (self.total >= u64::from(size.threshold)).then(|| size.leaves(self.base + i64::from(*oldest)))
    }

    /// When the newest match leaves the window.
    pub fn empties_at(&self, size: &WindowSize) -> SiteMs {
        self.kept.back().map_or(SiteMs::MIN, |(newest, _)| size.leaves(self.base + i64::from(*newest)))
    }

    /// Matches that are kept.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Panes that are kept.
    pub fn count(&self) -> usize {
        self.kept.len()
    }
}

impl Datum for Panes {
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

/// The different values of a field that a group saw last, each with its newest time. As many as the rule asks for are
/// enough: when that many lie in the window, the newest that many do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values {
    /// (newest time, value), in the order of time, then value.
    kept: Vec<(SiteMs, [u8; 16])>,
}

impl Values {
    /// Adds a value seen at `at`, judged at `now`. None where it no longer lies in the window, else whether it is new among
    /// the kept ones.
    pub fn add(&mut self, value: [u8; 16], at: SiteMs, now: SiteMs, size: &WindowSize) -> Option<bool> {
        if at.plus(size.panes) <= now {
            return None;
        }
        let known = self.kept.iter().position(|(_, v)| *v == value);
        let newest = match known {
            Some(place) => self.kept.remove(place).0.max(at),
            None => at,
        };
        let place = self.kept.partition_point(|entry| *entry < (newest, value));
        self.kept.insert(place, (newest, value));
        if self.kept.len() > size.threshold as usize {
            self.kept.remove(0);
        }
        Some(known.is_none())
    }

    /// The values' times go back by `ms`.
    pub fn move_back(&mut self, ms: i64) {
        self.kept.iter_mut().for_each(|(at, _)| *at = at.plus(-ms));
    }

    /// Until when the condition holds with the values there are; none where they are too few.
    pub fn clears_at(&self, size: &WindowSize) -> Option<SiteMs> {
        (self.kept.len() >= size.threshold as usize).then(|| self.kept[0].0.plus(size.panes))
    }

    /// When the newest value leaves the window.
    pub fn empties_at(&self, size: &WindowSize) -> SiteMs {
        self.kept.last().map_or(SiteMs::MIN, |(newest, _)| newest.plus(size.panes))
    }

    /// Values that are kept.
    pub fn count(&self) -> usize {
        self.kept.len()
    }
}

impl Datum for Values {
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

/// The wait for a match that should come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Absence {
    /// Time that the absence is counted from; none while it waits for a first match, a watermark, or the type to be
    /// switched on.
    pub base: Option<SiteMs>,
    /// Whether a match was ever seen.
    pub seen: bool,
}

impl Datum for Absence {
    fn write(&self, to: &mut Writer) {
        self.base.write(to);
        self.seen.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { base: Datum::read(from)?, seen: Datum::read(from)? })
    }
}
