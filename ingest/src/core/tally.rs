//! What was turned away, counted until the next `Refused` records are written: nothing vanishes.

use std::collections::BTreeMap;

use logystera_schemas::ids::{SiteId, SpoolId};
use logystera_schemas::limits::TALLY_ROWS_MAX;
use logystera_schemas::signals_topic::Refused;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    site: SiteId,
    spool: Option<SpoolId>,
    reason: &'static str,
    authenticated: bool,
}

/// Counts per site, spool and reason. Only known sites come here: a stranger cannot make rows by inventing names.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    rows: BTreeMap<Row, u64>,
    unrecorded: u64,
}

impl Tally {
    /// Counts `count` refusals. `spool` is given if the MAC held: only then can it be believed.
    pub(crate) fn add(&mut self, site: &SiteId, spool: Option<SpoolId>, reason: &'static str, count: u64) {
        self.add_row(Row { site: site.clone(), spool, reason, authenticated: spool.is_some() }, count);
    }

    fn add_row(&mut self, mut row: Row, count: u64) {
        if self.rows.len() >= TALLY_ROWS_MAX && !self.rows.contains_key(&row) {
            // A site can invent spools: without them it still has one row for each reason.
            row.spool = None;
            if self.rows.len() >= 2 * TALLY_ROWS_MAX && !self.rows.contains_key(&row) {
                self.unrecorded += count;
                return;
            }
        }
        let total = self.rows.entry(row).or_default();
        *total = total.saturating_add(count);
    }

    /// Takes the counts. If they cannot be written, [`Self::put_back`] takes them again.
    pub(crate) fn take(&mut self) -> Taken {
        Taken { rows: std::mem::take(&mut self.rows), unrecorded: std::mem::take(&mut self.unrecorded) }
    }

    /// Adds counts that could not be written.
    pub(crate) fn put_back(&mut self, taken: Taken) {
        for (row, count) in taken.rows {
            self.add_row(row, count);
        }
    }
}

/// Counts that were taken to be written.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    rows: BTreeMap<Row, u64>,
    /// Refusals that found no row. They are reported once: [`Tally::put_back`] leaves them out.
    pub(crate) unrecorded: u64,
}

impl Taken {
    /// The first `count` rows, and the rest.
    pub(crate) fn split(mut self, count: usize) -> (Self, Self) {
        let rest = match self.rows.keys().nth(count).cloned() {
            Some(first) => self.rows.split_off(&first),
            None => BTreeMap::new(),
        };
        (Self { rows: self.rows, unrecorded: 0 }, Self { rows: rest, unrecorded: 0 })
    }

    /// The rows by partition; `partition` gives that of a site.
    pub(crate) fn apart(self, partition: impl Fn(&SiteId) -> u32) -> BTreeMap<u32, Self> {
        let mut apart: BTreeMap<u32, Self> = BTreeMap::new();
        for (row, count) in self.rows {
            apart.entry(partition(&row.site)).or_default().rows.insert(row, count);
        }
        apart
    }

    /// Each row with its record, in the order of the sites.
    pub(crate) fn each(self) -> impl Iterator<Item = (Self, Refused)> {
        self.rows.into_iter().map(|(row, count)| {
            let record = record(&row, count);
            (Self { rows: BTreeMap::from([(row, count)]), unrecorded: 0 }, record)
        })
    }

    /// Whether there are no rows.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

fn record(row: &Row, count: u64) -> Refused {
    let Row { site, spool, reason, authenticated } = row.clone();
    Refused { site, spool, reason: reason.to_owned(), count, authenticated }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(n: usize) -> SiteId {
        format!("s{n}").parse().unwrap()
    }

    fn spool(n: usize) -> SpoolId {
        SpoolId((n as u64).to_be_bytes())
    }

    fn records(taken: Taken) -> Vec<Refused> {
        taken.each().map(|(_, record)| record).collect()
    }

    #[test]
    fn alike_refusals_are_one_record() {
        let mut tally = Tally::default();
        tally.add(&site(1), None, "key_unknown", 1);
        tally.add(&site(1), None, "key_unknown", 2);
        tally.add(&site(1), Some(spool(7)), "conflict", 1);
        let taken = tally.take();
        tally.add(&site(1), None, "key_unknown", 4);
        tally.put_back(taken);
        let taken = tally.take();
        let unrecorded = taken.unrecorded;
        let told = records(taken);
        let rows: Vec<_> = told.iter().map(|r| (r.spool, r.reason.as_str(), r.count, r.authenticated)).collect();
        assert_eq!(rows, [(None, "key_unknown", 7, false), (Some(spool(7)), "conflict", 1, true)]);
        assert_eq!(unrecorded, 0);
        assert_eq!(records(tally.take()), []);
    }

    #[test]
    fn a_flood_of_spools_falls_together_and_a_flood_of_sites_is_counted() {
        let mut tally = Tally::default();
        for n in 0..TALLY_ROWS_MAX + 50 {
            tally.add(&site(1), Some(spool(n)), "quota_exceeded", 1);
        }
        let told = records(tally.take());
        assert_eq!(told.len(), TALLY_ROWS_MAX + 1);
        let joined = told.iter().find(|r| r.spool.is_none()).unwrap();
        assert_eq!((joined.count, joined.authenticated), (50, true));

        for n in 0..2 * TALLY_ROWS_MAX + 3 {
            tally.add(&site(n), None, "key_unknown", 1);
        }
        let taken = tally.take();
        assert_eq!((taken.rows.len(), taken.unrecorded), (2 * TALLY_ROWS_MAX, 3));
        let apart = taken.apart(|site| u32::from(site.as_str().ends_with('7')));
        assert_eq!(apart.iter().map(|(p, rows)| (*p, rows.rows.len())).collect::<Vec<_>>(), [(0, 18_000), (1, 2_000)]);
    }
}
