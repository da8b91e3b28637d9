//! What lies in the panes of a window, a pane each so many milliseconds.

use std::collections::VecDeque;

use logystera_schemas::avro::{Datum, DecodeError, Reader, Writer};

/// The panes of a group that have something in them, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Panes<T> {
    /// The pane that the offsets are counted from.
    base: i64,
    /// (pane - base, what lies in it).
    kept: VecDeque<(u32, T)>,
}

impl<T: Copy + Default> Panes<T> {
    /// The oldest pane and what lies in it.
    #[inline]
    pub(super) fn oldest(&self) -> Option<(i64, T)> {
        self.kept.front().map(|(offset, kept)| (self.base + i64::from(*offset), *kept))
    }

    /// The newest pane.
    #[inline]
    pub(super) fn newest(&self) -> Option<i64> {
        self.kept.back().map(|(offset, _)| self.base + i64::from(*offset))
    }

    /// Drops the oldest pane.
    #[inline]
    pub(super) fn drop_oldest(&mut self) {
        self.kept.pop_front();
    }

    /// How many there are.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// The panes and what lies in each, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (i64, T)> {
        self.kept.iter().map(|(offset, kept)| (self.base + i64::from(*offset), *kept))
    }

    /// Makes `pane` an offset of 32 bits. What then lies out of reach left every window long ago: the longest window is
    /// 7 days, and 32 bits of milliseconds are 49 days. Whether anything may have been dropped.
    #[inline]
    pub(super) fn reach(&mut self, pane: i64) -> bool {
        if self.kept.is_empty() {
            self.base = pane;
            return false;
        }
        let is_within = fits(pane, self.base);
        if !is_within {
            self.rebase(pane);
        }
        !is_within
    }

    fn rebase(&mut self, pane: i64) {
        let all: Vec<(i64, T)> = self.iter().collect();
        let base = all.iter().map(|(p, _)| *p).chain([pane]).filter(|base| fits(pane, *base)).min().unwrap_or(pane);
        self.base = base;
        self.kept = all.iter().filter(|(p, _)| *p >= base).map(|(p, kept)| ((p - base) as u32, *kept)).collect();
    }

    /// What lies in `pane`, which was made reachable; the pane is made if it is missing.
    #[inline]
    pub(super) fn at(&mut self, pane: i64) -> &mut T {
        let offset = (pane - self.base) as u32;
        let place = match self.kept.back() {
            Some((last, _)) if *last == offset => self.kept.len() - 1,
            Some((last, _)) if *last > offset => {
                self.kept.binary_search_by_key(&offset, |(o, _)| *o).unwrap_or_else(|place| {
                    self.kept.insert(place, (offset, T::default()));
                    place
                })
            }
            _ => {
                self.kept.push_back((offset, T::default()));
                self.kept.len() - 1
            }
        };
        &mut self.kept[place].1
    }

    /// All go back by so many panes.
    pub(super) fn move_back(&mut self, panes: i64) {
        self.base = self.base.saturating_sub(panes);
    }
}

fn fits(pane: i64, base: i64) -> bool {
    pane.checked_sub(base).is_some_and(|offset| (0..=i64::from(u32::MAX)).contains(&offset))
}

impl<T: Datum> Datum for Panes<T> {
    fn write(&self, to: &mut Writer) {
        self.base.write(to);
        to.long(self.kept.len() as i64);
        let mut previous = 0;
        for (offset, kept) in &self.kept {
            to.long(i64::from(offset - previous));
            kept.write(to);
            previous = *offset;
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let base = i64::read(from)?;
        let mut kept = VecDeque::new();
        let mut offset = 0_u32;
        for _ in 0..from.block()? {
            offset = offset.checked_add(u32::read(from)?).ok_or(DecodeError::Range)?;
            kept.push_back((offset, T::read(from)?));
        }
        Ok(Self { base, kept })
    }
}
