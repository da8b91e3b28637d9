//! So much in a window that slides with each signal: matches, or what they add up to. A window is `(t - W, t]` in site
//! time, or the same in panes.

use logystera_schemas::avro::{Datum, DecodeError, Reader, Writer};
use logystera_schemas::limits::ESCALATIONS_MAX;
use logystera_schemas::time::SiteMs;

use super::panes::Panes;

/// The numbers of a window.
///
/// An exact window is one with panes of a millisecond. With panes of `r`, the window at `t` is the panes
/// `floor(t / r) - W / r + 1 ..= floor(t / r)`, and the condition clears at `(p + W / r) * r` for `p` the pane of what
/// the threshold rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    /// What makes the condition true.
    pub(crate) threshold: u64,
    /// What makes its alert worse, step by step: none is less than the threshold. The largest number: nothing does.
    pub(crate) levels: [u64; ESCALATIONS_MAX],
    /// Length of a pane in milliseconds; 1 if the window is exact.
    pub(crate) pane_ms: i64,
    /// Panes of the window.
    pub(crate) panes: i64,
}

/// What a pane can hold.
pub(crate) trait Weight: Copy + Default + Datum {
    /// A pane weighs no more than this, far beyond every threshold.
    const MAX: u64;

    /// As a number.
    fn get(self) -> u64;

    /// Of a number that is no more than `MAX`.
    fn of(weight: u64) -> Self;
}

impl Weight for u32 {
    const MAX: u64 = u32::MAX as u64;

    #[inline]
    fn get(self) -> u64 {
        u64::from(self)
    }

    #[inline]
    fn of(weight: u64) -> Self {
        weight as Self
    }
}

impl Weight for u64 {
    const MAX: u64 = 1 << 53;

    #[inline]
    fn get(self) -> u64 {
        self
    }

    #[inline]
    fn of(weight: u64) -> Self {
        weight
    }
}

/// The newest matches of a group, as many as can matter: those in the window, and of these the shortest run of panes from
/// the newest back whose sum reaches the threshold. Everything older can't change whether, or until when, the condition
/// holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window<W> {
    panes: Panes<W>,
    /// Sum of what lies in them.
    total: u64,
}

impl Size {
    /// The most that is asked for: so much is kept.
    pub(super) fn keeps(&self) -> u64 {
        self.levels.iter().copied().filter(|level| *level != u64::MAX).fold(self.threshold, u64::max)
    }

    /// The pane of a time.
    #[inline]
    pub(super) fn pane(&self, at: SiteMs) -> i64 {
        at.0.div_euclid(self.pane_ms)
    }

    /// Site time at which a match in `pane` leaves the window.
    #[inline]
    pub(super) fn leaves(&self, pane: i64) -> SiteMs {
        SiteMs(pane.saturating_add(self.panes).saturating_mul(self.pane_ms))
    }
}

impl<W: Weight> Window<W> {
    /// Adds a match at `at` of this weight, judged at `now`. Gives how much lies in the window then; the number is exact
    /// if the condition becomes true by this match. None: the match no longer lies in the window.
    pub(crate) fn add(&mut self, at: SiteMs, weight: u64, now: SiteMs, size: &Size) -> Option<u64> {
        let pane = size.pane(at);
        if size.leaves(pane) <= now {
            return None;
        }
        self.forget(now, size);
        if self.panes.reach(pane) {
            self.total = self.panes.iter().map(|(_, kept)| kept.get()).sum();
        }
        let kept = self.panes.at(pane);
        let taken = weight.min(W::MAX - kept.get());
        *kept = W::of(kept.get() + taken);
        self.total += taken;
        let left = self.panes.oldest().filter(|(oldest, _)| size.leaves(*oldest) <= now);
        let inside = self.total - left.map_or(0, |(_, kept)| kept.get());
        let keeps = size.keeps();
        while let Some((_, oldest)) = self.panes.oldest()
            && self.total - oldest.get() >= keeps
        {
            self.total -= oldest.get();
            self.panes.drop_oldest();
        }
        Some(inside)
    }

    /// Drops panes that have left the window before `now`. A pane that leaves at `now` stays: its deadline has still to
    /// run.
    fn forget(&mut self, now: SiteMs, size: &Size) {
        while let Some((oldest, kept)) = self.panes.oldest()
            && size.leaves(oldest) < now
        {
            self.total -= kept.get();
            self.panes.drop_oldest();
        }
    }

    /// Until when the condition holds with what is kept. None: it is too little.
    #[inline]
    pub(crate) fn clears_at(&self, size: &Size) -> Option<SiteMs> {
        self.leaves_below(size.threshold, size)
    }

    /// Until when at least `level` lies in the window with what is kept. None: it is too little.
    #[inline]
    fn leaves_below(&self, level: u64, size: &Size) -> Option<SiteMs> {
        if self.total < level {
            return None;
        }
        // Whatever is older can't change it.
        let mut rest = self.total;
        let mut panes = self.panes.iter();
        let (mut oldest, mut kept) = panes.next()?;
        while rest - kept.get() >= level {
            rest -= kept.get();
            (oldest, kept) = panes.next()?;
        }
        Some(size.leaves(oldest))
    }

    /// How many steps at which it grows worse are reached at `now`.
    #[inline]
    pub(crate) fn levels_reached(&self, now: SiteMs, size: &Size) -> u8 {
        let reached = |level: &&u64| self.leaves_below(**level, size).is_some_and(|until| until > now);
        size.levels.iter().take_while(reached).count() as u8
    }

    /// When the newest match leaves the window.
    #[inline]
    pub(crate) fn newest_leaves_at(&self, size: &Size) -> SiteMs {
        self.panes.newest().map_or(SiteMs::MIN, |newest| size.leaves(newest))
    }

    /// The panes go back by `ms`, rounded down to whole ones. Those that have left the window at `now` go, or they could come
    /// back into it.
    pub(crate) fn go_back(&mut self, ms: i64, now: SiteMs, size: &Size) {
        self.forget(now.plus(1), size);
        self.panes.move_back(ms.div_euclid(size.pane_ms));
    }

    /// How many panes are kept.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.panes.len()
    }

    /// What lies in the window at `now`, of what is kept.
    pub(crate) fn inside(&self, now: SiteMs, size: &Size) -> u64 {
        self.panes.iter().filter(|(pane, _)| size.leaves(*pane) > now).map(|(_, kept)| kept.get()).sum()
    }

    /// What lies in the panes that are kept.
    #[cfg(test)]
    pub(crate) fn total(&self) -> u64 {
        self.total
    }
}

impl<W: Weight> Datum for Window<W> {
    fn write(&self, to: &mut Writer) {
        self.panes.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let panes: Panes<W> = Panes::read(from)?;
        let total = panes.iter().try_fold(0_u64, |total, (_, kept)| total.checked_add(kept.get()));
        Ok(Self { panes, total: total.ok_or(DecodeError::Range)? })
    }
}
