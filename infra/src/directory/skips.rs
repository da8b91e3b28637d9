//! Which offsets of a partition are passed over. Pure.

use std::ops::Range;

/// The offsets that every task which applies a partition passes over: their records cannot be read, or are gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skips {
    /// Sorted, and apart from each other.
    ranges: Vec<Range<u64>>,
}

impl Skips {
    /// Adds some.
    pub fn add(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        self.ranges.push(range);
        self.ranges.sort_by_key(|range| range.start);
        let mut joined: Vec<Range<u64>> = Vec::new();
        for range in self.ranges.drain(..) {
            match joined.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => joined.push(range),
            }
        }
        self.ranges = joined;
    }

    /// Whether a record is passed over.
    pub fn has(&self, offset: u64) -> bool {
        self.covers(&(offset..offset + 1))
    }

    /// Whether all of these are passed over.
    pub fn covers(&self, range: &Range<u64>) -> bool {
        range.is_empty() || self.ranges.iter().any(|own| own.start <= range.start && range.end <= own.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_touch_are_one() {
        let mut skips = Skips::default();
        for range in [7..8, 3..5, 5..6, 20..20, 4..5] {
            skips.add(range);
        }
        assert_eq!(skips.ranges, [3..6, 7..8]);
        let has: Vec<u64> = (0..30).filter(|offset| skips.has(*offset)).collect();
        assert_eq!(has, [3, 4, 5, 7]);
        assert!(skips.covers(&(3..6)) && skips.covers(&(9..9)) && !skips.covers(&(5..8)) && !skips.covers(&(2..4)));
    }
}
