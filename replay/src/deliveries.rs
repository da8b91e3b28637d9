//! Each row that the planner gives for topic `detections` beside the recorded one in topic `attempts`.

use std::collections::BTreeMap;
use std::rc::Rc;

use logystera_alerter::core::Planner;
use logystera_alerter::task::APP;
use logystera_infra::directory::Skips;
use logystera_infra::reading::PartitionId;
use logystera_schemas::delivery::Attempt;
use logystera_schemas::ids::{KEY_GROUPS, KeyGroup, TenantId};
use logystera_schemas::topic::{DetectionsRecord, Topic};
use serde_json::json;

use crate::asked::Asked;
use crate::chain::{RowDifference, Stored, TenantRows, Unjudged};
use crate::engine::State;
use crate::error::ReplayError;
use crate::rows::Rows;

/// What a comparison of the delivery history came to.
#[derive(Debug, Default)]
pub struct Deliveries {
    /// Each tenant that has rows.
    pub tenants: BTreeMap<TenantId, TenantRows>,
    /// Records of `detections` that were applied.
    pub records: u64,
    /// Of those that were read, how many are passed over: somebody has said so.
    pub skipped: u64,
    /// Rows that the alerter has not come to yet.
    pub unrecorded: u64,
    /// Rows that have passed their time.
    pub gone: u64,
}

impl Deliveries {
    /// Whether each row that stands there is what the planner gives, and linked.
    pub fn is_proved(&self) -> bool {
        self.tenants.values().all(TenantRows::is_judged)
    }

    /// The first thing that is not as it should be of each tenant that has one.
    pub fn differences(&self) -> impl Iterator<Item = (&TenantId, &RowDifference)> {
        self.tenants.iter().filter_map(|(tenant, rows)| Some((tenant, rows.difference.as_ref()?)))
    }
}

/// A partition of `detections` that is to be replayed.
struct Stop {
    part: PartitionId,
    /// What the planner knows as it begins. None: nobody knows.
    state: Option<Rc<State>>,
    /// Whether rows of the partitions that it came from have passed their time.
    is_cut: bool,
}

/// Replays topic `detections` and compares, each tenant up to its first difference. A site stands for its tenant.
pub fn verify_deliveries(asked: &Asked<'_>) -> Result<Deliveries, ReplayError> {
    let mut seen = Deliveries::default();
    let tenant = match &asked.site {
        Some(site) => match asked.known.directory.site(site.as_str()) {
            Some(site) => Some(site.tenant.clone()),
            None => return Ok(seen),
        },
        None => None,
    };
    let of = tenant.as_ref().map(|tenant| KeyGroup::of(tenant.as_str()));
    let parts =
        of.map_or_else(|| asked.log.partitions(Topic::Detections), |of| asked.log.partitions_of(Topic::Detections, of));
    let generations = asked.log.generations(Topic::Detections);
    let first = parts.iter().filter(|part| part.generation == 0);
    let mut left: Vec<Stop> =
        first.map(|part| Stop { part: *part, state: Some(Rc::default()), is_cut: false }).collect();
    left.reverse();
    while let Some(stop) = left.pop() {
        let part = stop.part;
        let mut replayed = Planned::new(asked, stop, tenant.as_ref(), &generations)?;
        replayed.compare(&mut seen)?;
        let is_cut = replayed.rows.is_cut;
        let state = replayed.into_state().map(Rc::new);
        let is_next = |next: &&PartitionId| {
            next.generation == part.generation + 1
                && next.partition % generations[part.generation as usize] == part.partition
        };
        left.extend(parts.iter().filter(is_next).map(|next| Stop { part: *next, state: state.clone(), is_cut }));
    }
    Ok(seen)
}

/// A planner on its way through a partition, and the rows that were recorded of it.
struct Planned<'a> {
    asked: &'a Asked<'a>,
    part: PartitionId,
    tenant: Option<&'a TenantId>,
    /// None: nobody knows what it knew as it began.
    planner: Option<Planner>,
    /// What is stored so far, for those that go on with it.
    state: State,
    rows: Rows<'a>,
    skips: Skips,
    /// Offset that the alerter applies next: what it had committed up to there is among the rows.
    position: u64,
}

impl<'a> Planned<'a> {
    fn new(
        asked: &'a Asked<'a>,
        stop: Stop,
        tenant: Option<&'a TenantId>,
        generations: &[u32],
    ) -> Result<Self, ReplayError> {
        let Stop { part, state, is_cut } = stop;
        // In this order: all that the alerter had committed up to `position` is among the rows up to their end.
        let position = asked.log.position(APP, Topic::Detections, part)?;
        let rows = Rows::new(asked.log, part, tenant.cloned(), is_cut)?;
        let starts_late = asked.log.bounds(Topic::Detections, part)?.start > 0;
        let partitions = generations[part.generation as usize];
        let (mut planner, mut own) = (None, State::new());
        if let Some(state) = state.filter(|_| !starts_late) {
            let is_its = |key: &[u8]| {
                let group = key.split_first_chunk().map_or(KEY_GROUPS, |(head, _)| u16::from_be_bytes(*head));
                // What is of no key group is the partition's own, and of all that it became.
                group >= KEY_GROUPS || KeyGroup(group).partition(partitions) == part.partition
            };
            own = state.iter().filter(|(key, _)| is_its(key)).map(|(k, v)| (k.clone(), v.clone())).collect();
            let mut restored = Planner::new();
            for (key, value) in &own {
                restored.restore(key, value).map_err(|error| ReplayError::Damaged(error.to_string()))?;
            }
            planner = Some(restored);
        }
        let skips = asked.known.directory.skips(Topic::Detections, part.generation, part.partition);
        Ok(Self { asked, part, tenant, planner, state: own, rows, skips, position })
    }

    /// What those go on with that the partition has become. None: nobody knows, or it has not ended.
    fn into_state(self) -> Option<State> {
        self.planner.filter(Planner::is_sealed).map(|_| self.state)
    }

    fn compare(&mut self, seen: &mut Deliveries) -> Result<(), ReplayError> {
        let mut next = self.asked.log.bounds(Topic::Detections, self.part)?.start;
        while let Some(mut planner) = self.planner.take() {
            let records = self.asked.log.read_on(Topic::Detections, self.part, next, &self.skips)?;
            for record in &records {
                next = record.offset + 1;
                if self.skips.has(record.offset) {
                    seen.skipped += 1;
                    continue;
                }
                // Ticks concern every tenant; tenants do not concern each other.
                let concerns = |tenant: &TenantId| record.key.is_empty() || record.key == tenant.as_str().as_bytes();
                if !self.tenant.is_none_or(concerns) || planner.is_sealed() {
                    continue;
                }
                let decoded = DetectionsRecord::decode(&record.value).map_err(|error| {
                    ReplayError::Damaged(format!("topic detections offset {}: {error}", record.offset))
                })?;
                seen.records += 1;
                let mut rows = Vec::new();
                planner.apply(decoded, &mut rows);
                for row in rows {
                    self.beside(row, record.offset, seen)?;
                }
            }
            for (key, value) in planner.take_puts() {
                match value {
                    Some(value) => drop(self.state.insert(key, value)),
                    None => drop(self.state.remove(&key)),
                }
            }
            planner.take_notices();
            let is_done = records.is_empty() || planner.is_sealed();
            self.planner = Some(planner);
            if is_done {
                return self.rows.end(&mut seen.tenants);
            }
        }
        self.follow_only(seen)
    }

    /// Compares a row that the planner gives with the recorded one.
    fn beside(&mut self, given: Attempt, applied: u64, seen: &mut Deliveries) -> Result<(), ReplayError> {
        if seen.tenants.get(&given.tenant).is_some_and(|tenant| !tenant.is_judged()) {
            return Ok(());
        }
        let recorded = self.rows.next_of(&given.tenant, &mut seen.tenants)?;
        let tenant = seen.tenants.entry(given.tenant.clone()).or_default();
        if !tenant.is_judged() {
            return Ok(());
        }
        let is_cut = self.rows.is_cut && !tenant.is_met;
        let Some(stored) = recorded else {
            if applied >= self.position {
                seen.unrecorded += 1;
            } else if is_cut {
                seen.gone += 1;
            } else if tenant.is_of_other_version(None) {
                tenant.unjudged = Some(Unjudged::OtherVersion);
            } else {
                let newest = tenant.chain.numbers.map_or(0, |(_, newest)| newest);
                tenant.differs(newest + 1, "the replay finds it, and topic attempts does not have it".to_owned());
            }
            return Ok(());
        };
        let is_same = |one: &Attempt, other: &Attempt| {
            (one.delivery, one.attempt, one.state) == (other.delivery, other.attempt, other.state)
        };
        if is_cut && !is_same(&given, &stored.row) {
            seen.gone += 1;
            self.rows.put_back(stored);
            return Ok(());
        }
        tenant.is_met = true;
        match self.differing_fields(given, &stored) {
            fields if fields.is_empty() => {
                tenant.planned += 1;
                tenant.newest_semantics = Some(stored.row.semantics);
            }
            _ if tenant.is_of_other_version(Some(&stored.row)) => tenant.unjudged = Some(Unjudged::OtherVersion),
            fields => {
                let (offset, fields) = (stored.offset, fields.join(", "));
                let what = format!("at offset {offset} of topic attempts: the replay gives other values of {fields}");
                tenant.differs(stored.row.number, what);
            }
        }
        Ok(())
    }

    /// Names of the fields whose values differ; never the values. Number and chain value are the chain's to prove; a
    /// row of before lacks them, and what else was not there then.
    fn differing_fields(&self, mut given: Attempt, stored: &Stored) -> Vec<String> {
        let recorded = &stored.row;
        if given.at.max(recorded.at).0 < self.asked.from_ms {
            return Vec::new();
        }
        (given.number, given.chain, given.semantics) = (recorded.number, recorded.chain, recorded.semantics);
        if recorded.semantics == 0 {
            given.outcome = None;
        }
        if given == *recorded {
            return Vec::new();
        }
        let (one, other) = (json!(given), json!(recorded));
        let fields = one.as_object().into_iter().flatten();
        let differing = fields.filter(|(name, value)| other.get(name.as_str()) != Some(value));
        let differing: Vec<String> = differing.map(|(name, _)| name.clone()).collect();
        if differing.is_empty() { vec!["encryption_key".to_owned()] } else { differing }
    }

    /// Follows the chains of a partition whose planner is not known.
    fn follow_only(&mut self, seen: &mut Deliveries) -> Result<(), ReplayError> {
        self.rows.unjudged = Some(Unjudged::BeginningGone);
        self.rows.end(&mut seen.tenants)
    }
}

#[cfg(test)]
mod log_tests;
#[cfg(test)]
mod tests;
