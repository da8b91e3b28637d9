//! The delivery history, as topic `attempts` tells it: how deliveries stand, the whole way of one, and how a channel fares.

pub mod chain;
pub mod channels;
pub mod letters;
pub mod words;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use logystera_infra::log::LogError;
use logystera_infra::reading::{PartitionId, Reading};
use logystera_schemas::delivery::{Attempt, AttemptState};
use logystera_schemas::ids::{DeliveryId, TenantId};
use logystera_schemas::limits::{DELIVERIES_LOOKED_AT_MAX, DELIVERY_ROWS_SHOWN_MAX, READ_BYTES_MAX};
use logystera_schemas::schema;
use logystera_schemas::topic::Topic;

use chain::Chain;

/// Records at the end of each partition that a list looks at first; four times as many each time they do not suffice.
const LOOK_BACK_RECORDS: u64 = 1_024;
/// Deliveries that are named if the beginning of an id means several.
const IDS_NAMED_MAX: usize = 5;

/// Which deliveries are asked for.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only those that stand like this.
    pub state: Option<AttemptState>,
    /// Only this site's.
    pub site: Option<String>,
    /// How the id of the detection begins.
    pub alert: Option<String>,
    /// Since when, milliseconds since the epoch.
    pub from_ms: Option<i64>,
}

impl Filter {
    /// Whether a delivery whose newest row is this one is asked for. `is_named`: a row of it was of the site and the detection
    /// that are asked for.
    fn takes(&self, row: &Attempt, is_named: bool) -> bool {
        self.state.is_none_or(|state| row.state == state)
            && (is_named || self.names(row))
            && self.from_ms.is_none_or(|from| row.at.0 >= from)
    }

    /// Whether a row is of the site and the detection that are asked for, if they are.
    fn names(&self, row: &Attempt) -> bool {
        self.site.as_deref().is_none_or(|site| row.site.as_str() == site)
            && self.alert.as_deref().is_none_or(|id| row.detection.to_string().starts_with(id))
    }
}

/// The newest rows of deliveries that a filter takes. Beyond what there is room for, the oldest are forgotten.
struct Newest<'a> {
    filter: &'a Filter,
    room: usize,
    /// When each was written, and its place in the order of reading.
    places: BTreeMap<DeliveryId, (i64, u64)>,
    rows: BTreeMap<(i64, u64), Attempt>,
    /// Deliveries that tell several detections, what is asked for among them.
    named: BTreeSet<DeliveryId>,
    read: u64,
}

impl<'a> Newest<'a> {
    fn new(filter: &'a Filter, room: usize) -> Self {
        Self { filter, room, places: BTreeMap::new(), rows: BTreeMap::new(), named: BTreeSet::new(), read: 0 }
    }

    /// Takes the next row of a delivery, which tells how it stands instead of the one before.
    fn take(&mut self, row: Attempt) {
        self.read += 1;
        if let Some(before) = self.places.remove(&row.delivery) {
            self.rows.remove(&before);
        }
        // Later rows of a bundle or a digest are of its first detection.
        let asks = self.filter.alert.is_some() || self.filter.site.is_some();
        if asks && self.filter.names(&row) && self.named.len() < self.room {
            self.named.insert(row.delivery);
        }
        if !self.filter.takes(&row, self.named.contains(&row.delivery)) {
            return;
        }
        let place = (row.at.0, self.read);
        self.places.insert(row.delivery, place);
        self.rows.insert(place, row);
        if self.rows.len() > self.room
            && let Some((_, oldest)) = self.rows.pop_first()
        {
            self.places.remove(&oldest.delivery);
        }
    }
}

/// The newest `limit` deliveries that `filter` takes, by their newest rows, the newest last; and how many records could not
/// be read. Looks back only as far as it has to.
pub fn newest<R: Reading + ?Sized>(log: &R, filter: &Filter, limit: usize) -> Result<(Vec<Attempt>, u64), LogError> {
    let mut look_back = LOOK_BACK_RECORDS;
    loop {
        let (mut newest, mut unreadable, mut whole) = (Newest::new(filter, DELIVERIES_LOOKED_AT_MAX), 0, true);
        for part in log.partitions(Topic::Attempts) {
            let bounds = log.bounds(Topic::Attempts, part)?;
            let start = bounds.end.saturating_sub(look_back).max(bounds.start);
            whole &= start == bounds.start;
            unreadable += each_row(log, part, start..bounds.end, |row| newest.take(row))?;
        }
        if whole || newest.rows.len() >= limit {
            let surplus = newest.rows.len().saturating_sub(limit);
            return Ok((newest.rows.into_values().skip(surplus).collect(), unreadable));
        }
        look_back = look_back.saturating_mul(4);
    }
}

/// All that there is of one delivery.
#[derive(Debug, Default)]
pub struct History {
    /// Its newest rows, in their order.
    pub rows: Vec<Attempt>,
    /// How many stand before these.
    pub omitted: u64,
    /// The deliveries whose ids begin as was asked, if there are several: some of them.
    pub ids: BTreeSet<DeliveryId>,
    /// Whether the chain of its tenant's rows holds as far as it was read.
    pub chain: ChainState,
}

/// Whether the chain of a tenant's rows holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChainState {
    /// No row is linked: a version before wrote them.
    #[default]
    Unlinked,
    /// Each is linked to the one before.
    Intact,
    /// This row is not: it was altered, or something before it was taken out, doubled or moved.
    BrokenAt(u64),
}

/// The rows of the delivery whose id begins with `id`.
pub fn of_one<R: Reading + ?Sized>(log: &R, id: &str) -> Result<History, LogError> {
    let (mut rows, mut omitted, mut ids) = (VecDeque::<Attempt>::new(), 0, BTreeSet::new());
    let (mut chains, mut is_cut) = (BTreeMap::<TenantId, (Chain, Option<u64>)>::new(), false);
    for part in log.partitions(Topic::Attempts) {
        let bounds = log.bounds(Topic::Attempts, part)?;
        is_cut |= bounds.start > 0;
        each_value(log, part, bounds, |row, value| {
            let (chain, broken_at) = chains.entry(row.tenant.clone()).or_default();
            if broken_at.is_none() && chain.follow(&row, value, is_cut).is_some() {
                *broken_at = Some(row.number);
            }
            if !row.delivery.to_string().starts_with(id) {
                return;
            }
            if ids.len() < IDS_NAMED_MAX {
                ids.insert(row.delivery);
            }
            rows.push_back(row);
            if rows.len() > DELIVERY_ROWS_SHOWN_MAX {
                rows.pop_front();
                omitted += 1;
            }
        })?;
    }
    let chain = rows.back().and_then(|row| chains.get(&row.tenant)).map_or(ChainState::Unlinked, |found| match found {
        (_, Some(number)) => ChainState::BrokenAt(*number),
        (chain, None) if chain.linked > 0 => ChainState::Intact,
        _ => ChainState::Unlinked,
    });
    Ok(History { rows: rows.into(), omitted, ids, chain })
}

/// Gives each row between two offsets to `take`; says how many records could not be read.
fn each_row<R: Reading + ?Sized>(
    log: &R,
    part: PartitionId,
    offsets: std::ops::Range<u64>,
    mut take: impl FnMut(Attempt),
) -> Result<u64, LogError> {
    each_value(log, part, offsets, |row, _| take(row))
}

/// The same, each row with the value that it was read from.
fn each_value<R: Reading + ?Sized>(
    log: &R,
    part: PartitionId,
    offsets: std::ops::Range<u64>,
    mut take: impl FnMut(Attempt, &[u8]),
) -> Result<u64, LogError> {
    let (mut from, mut unreadable) = (offsets.start, 0);
    while from < offsets.end {
        let records = match log.read(Topic::Attempts, part, from, READ_BYTES_MAX) {
            Err(LogError::Checksum { offset, .. }) => {
                from = offset + 1;
                unreadable += 1;
                continue;
            }
            records => records?,
        };
        let Some(last) = records.last() else { break };
        from = last.offset + 1;
        for record in records.iter().filter(|record| record.offset < offsets.end) {
            match schema::decode::<Attempt>(&record.value) {
                Ok(row) => take(row, &record.value),
                Err(_) => unreadable += 1,
            }
        }
    }
    Ok(unreadable)
}

#[cfg(test)]
mod tests;
