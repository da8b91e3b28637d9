//! Topic `snapshots`, read for a replay.

use std::collections::{BTreeMap, BTreeSet};

use logystera_infra::log::Record;
use logystera_infra::reading::{PartitionId, Reading};
use logystera_schemas::ids::KeyGroup;
use logystera_schemas::limits::READ_BYTES_MAX;
use logystera_schemas::schema;
use logystera_schemas::snapshot::Snapshot;
use logystera_schemas::topic::Topic;

use crate::error::ReplayError;
use crate::plan::Taken;

/// The snapshots of each key group, or of one, in the order in which they were taken.
pub(crate) fn find(log: &dyn Reading, of: Option<KeyGroup>) -> Result<BTreeMap<u32, Vec<Taken>>, ReplayError> {
    let mut found: BTreeMap<u32, Vec<Taken>> = BTreeMap::new();
    let parts = of.map_or_else(|| log.partitions(Topic::Snapshots), |group| log.partitions_of(Topic::Snapshots, group));
    for stands in parts {
        let mut next = log.bounds(Topic::Snapshots, stands)?.start;
        loop {
            let records = log.read(Topic::Snapshots, stands, next, READ_BYTES_MAX)?;
            let Some(last) = records.last() else { break };
            next = last.offset + 1;
            for record in &records {
                note(&mut found, stands, record, &decode(record)?);
            }
        }
    }
    found.retain(|key_group, _| of.is_none_or(|of| u32::from(of.0) == *key_group));
    Ok(found)
}

/// The parts of one stand in their order, though others' may stand between them.
fn note(found: &mut BTreeMap<u32, Vec<Taken>>, stands: PartitionId, record: &Record, snapshot: &Snapshot) {
    let of_group = found.entry(snapshot.key_group).or_default();
    let part = PartitionId { generation: snapshot.generation, partition: snapshot.partition };
    if snapshot.part == 1 {
        let (position, at_ms) = (snapshot.position, snapshot.at.0);
        of_group.push(Taken { part, position, at_ms, stands: (stands, vec![record.offset]) });
    } else if let Some(taken) = of_group.last_mut() {
        taken.stands.1.push(record.offset);
    }
}

/// The parts of each of these, by key group. Read in the topic's order: to go from one to the next by itself takes long.
pub(crate) fn load(log: &dyn Reading, taken: &[(u32, Taken)]) -> Result<BTreeMap<u32, Vec<Snapshot>>, ReplayError> {
    let mut wanted: BTreeMap<PartitionId, BTreeSet<u64>> = BTreeMap::new();
    for (stands, offsets) in taken.iter().map(|(_, taken)| &taken.stands) {
        wanted.entry(*stands).or_default().extend(offsets);
    }
    let mut loaded: BTreeMap<u32, Vec<Snapshot>> = BTreeMap::new();
    for (stands, mut offsets) in wanted {
        let mut next = offsets.first().copied().unwrap_or_default();
        while !offsets.is_empty() {
            let records = log.read(Topic::Snapshots, stands, next, READ_BYTES_MAX)?;
            let Some(last) = records.last() else {
                return Err(ReplayError::Unavailable(
                    "snapshots have passed their time meanwhile: try again".to_owned(),
                ));
            };
            next = last.offset + 1;
            for record in records.iter().filter(|record| offsets.remove(&record.offset)) {
                let snapshot = decode(record)?;
                loaded.entry(snapshot.key_group).or_default().push(snapshot);
            }
        }
    }
    Ok(loaded)
}

fn decode(record: &Record) -> Result<Snapshot, ReplayError> {
    schema::decode(&record.value)
        .map_err(|error| ReplayError::Damaged(format!("topic snapshots offset {}: {error}", record.offset)))
}
