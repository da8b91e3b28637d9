//! The recorded rows of a partition of topic `attempts`, in order.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use logystera_infra::reading::{PartitionId, Reading};
use logystera_schemas::delivery::Attempt;
use logystera_schemas::ids::TenantId;
use logystera_schemas::limits::{READ_BYTES_MAX, REPLAY_ROWS_AHEAD_MAX};
use logystera_schemas::schema;
use logystera_schemas::topic::Topic;

use crate::chain::{Stored, TenantRows, Unjudged};
use crate::error::ReplayError;

/// Recorded rows on their way beside those that the planner gives.
pub(crate) struct Rows<'a> {
    log: &'a dyn Reading,
    part: PartitionId,
    left: Range<u64>,
    /// Only this tenant's. None: everybody's.
    tenant: Option<TenantId>,
    /// Whether rows of this partition, or of those that it came from, have passed their time.
    pub(crate) is_cut: bool,
    /// Why the planner says nothing of them. None: it does.
    pub(crate) unjudged: Option<Unjudged>,
    /// Rows that were read, linked to those before, and not compared yet.
    ahead: VecDeque<Stored>,
}

impl<'a> Rows<'a> {
    /// Those of one partition, as far as they stand there now.
    pub(crate) fn new(
        log: &'a dyn Reading,
        part: PartitionId,
        tenant: Option<TenantId>,
        is_cut: bool,
    ) -> Result<Self, ReplayError> {
        let left = log.bounds(Topic::Attempts, part)?;
        let is_cut = is_cut || left.start > 0;
        Ok(Self { log, part, left, tenant, is_cut, unjudged: None, ahead: VecDeque::new() })
    }

    /// The next row of a tenant that was not compared yet. Others are kept for later; if that becomes too many, the
    /// planner does not give what stands first among them.
    pub(crate) fn next_of(
        &mut self,
        tenant: &TenantId,
        tenants: &mut BTreeMap<TenantId, TenantRows>,
    ) -> Result<Option<Stored>, ReplayError> {
        loop {
            if let Some(place) = self.ahead.iter().position(|stored| stored.row.tenant == *tenant) {
                return Ok(self.ahead.remove(place));
            }
            while self.ahead.len() > REPLAY_ROWS_AHEAD_MAX
                && let Some(first) = self.ahead.pop_front()
            {
                let blamed = first.row.tenant.clone();
                not_given(tenants.entry(blamed.clone()).or_default(), &first);
                self.ahead.retain(|stored| stored.row.tenant != blamed);
            }
            if !self.read(tenants)? {
                return Ok(None);
            }
        }
    }

    /// Gives back a row that stays the next one of its tenant.
    pub(crate) fn put_back(&mut self, stored: Stored) {
        self.ahead.push_front(stored);
    }

    /// Follows the rest; what is left of those that are compared the planner does not give.
    pub(crate) fn end(&mut self, tenants: &mut BTreeMap<TenantId, TenantRows>) -> Result<(), ReplayError> {
        loop {
            for stored in self.ahead.drain(..) {
                let tenant = tenants.entry(stored.row.tenant.clone()).or_default();
                if tenant.is_judged() {
                    not_given(tenant, &stored);
                }
            }
            if !self.read(tenants)? {
                return Ok(());
            }
        }
    }

    /// Reads on, and follows the chains of what was read. False: there is nothing more.
    fn read(&mut self, tenants: &mut BTreeMap<TenantId, TenantRows>) -> Result<bool, ReplayError> {
        if self.left.is_empty() {
            return Ok(false);
        }
        let records = self.log.read(Topic::Attempts, self.part, self.left.start, READ_BYTES_MAX)?;
        for record in records.iter().filter(|record| record.offset < self.left.end) {
            let row: Attempt = schema::decode(&record.value)
                .map_err(|error| ReplayError::Damaged(format!("topic attempts offset {}: {error}", record.offset)))?;
            if self.tenant.as_ref().is_some_and(|tenant| *tenant != row.tenant) {
                continue;
            }
            let tenant = tenants.entry(row.tenant.clone()).or_default();
            if tenant.difference.is_some() {
                continue;
            }
            tenant.unjudged = tenant.unjudged.or(self.unjudged);
            let stored = Stored { offset: record.offset, row };
            tenant.follow(&stored, &record.value, self.is_cut);
            if tenant.is_judged() {
                self.ahead.push_back(stored);
            }
        }
        self.left.start = records.last().map_or(self.left.end, |last| last.offset + 1);
        Ok(true)
    }
}

/// The planner does not give this row.
fn not_given(tenant: &mut TenantRows, Stored { offset, row }: &Stored) {
    if tenant.is_of_other_version(Some(row)) {
        tenant.unjudged = Some(Unjudged::OtherVersion);
    } else {
        let what = format!("it stands at offset {offset} of topic attempts, and the replay does not find it");
        tenant.differs(row.number, what);
    }
}
