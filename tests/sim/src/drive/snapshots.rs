//! An engine that begins in the middle of the log, with each key group at a snapshot that another one took.

use std::collections::BTreeMap;
use std::sync::Arc;

use logystera_processor::core::Engine;
use logystera_schemas::ids::KeyGroup;
use logystera_schemas::partition::PartitionRef;
use logystera_schemas::snapshot::Snapshot;
use logystera_schemas::topic::SignalsRecord;

use super::Difference;
use super::direct::{self, Run};
use crate::generate::Log;
use crate::model::Output;

/// What was said of a key group's sites, each with the place of its record, and the snapshots that were taken of it.
#[derive(Default)]
struct Told {
    said: Vec<(usize, Output)>,
    taken: Vec<Snapshot>,
}

/// By key group.
type ByGroup = BTreeMap<u32, Told>;

/// The snapshots to begin with, by key group.
type Chosen<'a> = BTreeMap<u32, &'a Snapshot>;

/// Begins with the first snapshot of each key group, with the last ones, and with the first of one and the last of another.
pub fn run(log: &Log, run: &Run) -> Result<(), Difference> {
    let (mut first, mut last) = (Chosen::new(), Chosen::new());
    for snapshot in run.snapshots.iter().filter(|snapshot| snapshot.parts == 1) {
        first.entry(snapshot.key_group).or_insert(snapshot);
        last.insert(snapshot.key_group, snapshot);
    }
    let mut mixed = first.clone();
    mixed.extend(last.iter().step_by(2).map(|(of, snapshot)| (*of, *snapshot)));
    let mut undisturbed = ByGroup::new();
    for (place, output) in &run.outputs_at {
        hear(&mut undisturbed, *place, &run.outputs[*output]);
    }
    for snapshot in &run.snapshots {
        undisturbed.entry(snapshot.key_group).or_default().taken.push(snapshot.clone());
    }
    for chosen in [first, last, mixed] {
        let told = begin_with(log, &chosen)?;
        for (of, snapshot) in &chosen {
            compare(&undisturbed[of], told.get(of).unwrap_or(&Told::default()), snapshot)?;
        }
    }
    Ok(())
}

fn hear(told: &mut ByGroup, place: usize, output: &Output) {
    let site = match output {
        Output::Detection(detection) => &detection.site,
        Output::Points(points) => &points.site,
        Output::Tick(_) => return,
    };
    told.entry(group_of(site.as_str())).or_default().said.push((place, output.clone()));
}

fn begin_with(log: &Log, chosen: &Chosen<'_>) -> Result<ByGroup, Difference> {
    let mut told = ByGroup::new();
    let Some(begin) = chosen.values().map(|snapshot| snapshot.position as usize).min() else { return Ok(told) };
    let mut engine = Engine::new(PartitionRef::ONLY);
    log.bodies.iter().for_each(|body| engine.learn(Arc::clone(body)));
    // The clocks stand in each one's first entry: from the first one on they go on by themselves.
    let mut clocks = 0;
    for (place, input) in log.inputs.iter().enumerate().skip(begin) {
        let fails = |what: String| Difference { place: Some(place), ..difference(what) };
        for snapshot in chosen.values().filter(|snapshot| snapshot.position as usize == place) {
            for entry in snapshot.entries.iter().skip(clocks) {
                engine.restore(&entry.key.0, &entry.value.0).map_err(|e| fails(e.to_string()))?;
            }
            engine.restored();
            clocks = 1;
        }
        let is_entered = |of| chosen.get(&of).is_some_and(|snapshot| snapshot.position as usize <= place);
        let (bytes, mut out) = (input.encode(), Vec::new());
        if input.key().is_empty() || is_entered(group_of(input.key())) {
            let record = SignalsRecord::decode(&bytes).map_err(|e| fails(e.to_string()))?;
            engine.apply(place as u64, &record, &mut out).map_err(|e| fails(e.to_string()))?;
        }
        out.into_iter().filter_map(direct::own).for_each(|output| hear(&mut told, place, &output));
        for snapshot in direct::snapshots(&engine, place, &bytes) {
            told.entry(snapshot.key_group).or_default().taken.push(snapshot);
        }
    }
    Ok(told)
}

/// Holds what was told behind `snapshot` against what was told behind it without a break.
fn compare(undisturbed: &Told, got: &Told, snapshot: &Snapshot) -> Result<(), Difference> {
    let fails = |what: &str| {
        let (of, position) = (snapshot.key_group, snapshot.position);
        difference(format!("{what}; of key group {of}, which began with its snapshot before record {position}"))
    };
    let wanted: Vec<_> = undisturbed.said.iter().filter(|(place, _)| *place as u64 >= snapshot.position).collect();
    let differs = |at: &usize| wanted.get(*at).copied() != got.said.get(*at);
    if let Some(at) = (0..wanted.len().max(got.said.len())).find(differs) {
        let shown = |of: Option<&(usize, Output)>| of.map(|(_, output)| output.clone()).into_iter().collect();
        let place = wanted.get(at).copied().or(got.said.get(at)).map(|(place, _)| *place);
        let (expected, got) = (shown(wanted.get(at).copied()), shown(got.said.get(at)));
        return Err(Difference { place, expected, got, ..fails("other detections") });
    }
    let wanted = undisturbed.taken.iter().filter(|taken| taken.position > snapshot.position);
    if !wanted.eq(&got.taken) {
        return Err(fails("other snapshots"));
    }
    Ok(())
}

fn group_of(site: &str) -> u32 {
    u32::from(KeyGroup::of(site).0)
}

fn difference(what: String) -> Difference {
    Difference { drive: "from snapshots", place: None, expected: Vec::new(), got: Vec::new(), what }
}
