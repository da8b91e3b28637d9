//! The engine beside the model, record by record.

use std::collections::BTreeSet;
use std::sync::Arc;

use logystera_processor::core::{Engine, Outcomes, Output as EngineOutput};
use logystera_schemas::ids::{KeyGroup, Sha256Digest};
use logystera_schemas::partition::PartitionRef;
use logystera_schemas::snapshot::Snapshot;
use logystera_schemas::topic::SignalsRecord;

use super::{Difference, Figures};
use crate::generate::Log;
use crate::input::Input;
use crate::model::counts::Counts;
use crate::model::{Model, Output};

/// A run without a difference.
#[derive(Debug)]
pub struct Run {
    /// Everything that was said, in order.
    pub outputs: Vec<Output>,
    /// For each of them the place of the record that brought it about, and its own.
    pub outputs_at: Vec<(usize, usize)>,
    /// Snapshots of all key groups that have sites, taken behind some of the records.
    pub snapshots: Vec<Snapshot>,
    /// What it was like.
    pub figures: Figures,
}

/// Drives both with `log` until they differ.
pub fn run(log: &Log) -> Result<Run, Difference> {
    let (mut model, mut engine) = (Model::default(), Engine::new(PartitionRef::ONLY));
    for body in &log.bodies {
        model.learn(Arc::clone(body));
        engine.learn(Arc::clone(body));
    }
    let mut run =
        Run { outputs: Vec::new(), outputs_at: Vec::new(), snapshots: Vec::new(), figures: Figures::default() };
    for (place, input) in log.inputs.iter().enumerate() {
        let expected = model.apply(input);
        let differs = |got: Vec<Output>, what: String| Difference {
            drive: "record by record",
            place: Some(place),
            expected: expected.clone(),
            got,
            what,
        };
        let bytes = input.encode();
        let record = SignalsRecord::decode(&bytes).map_err(|e| differs(Vec::new(), e.to_string()))?;
        let mut out = Vec::new();
        engine.apply(place as u64, &record, &mut out).map_err(|e| differs(Vec::new(), e.to_string()))?;
        let got: Vec<Output> = out.into_iter().filter_map(own).collect();
        if got != expected {
            return Err(differs(got, String::new()));
        }
        let counted: Vec<_> = engine.outcomes().map(|(site, outcomes)| (site, counts(outcomes))).collect();
        if !model.counts().eq(counted.iter().copied()) {
            let wanted: Vec<_> = model.counts().collect();
            return Err(differs(got, format!("model counts {wanted:?}\nengine counts {counted:?}")));
        }
        run.figures.records += 1;
        if let Input::Batch(batch) = input {
            run.figures.signals += batch.signals.len() as u64;
        }
        run.figures.detections += got.iter().filter(|o| matches!(o, Output::Detection(_))).count() as u64;
        run.figures.points += got.iter().filter(|o| matches!(o, Output::Points(_))).count() as u64;
        run.snapshots.extend(snapshots(&engine, place, &bytes));
        run.outputs_at.extend((run.outputs.len()..).take(got.len()).map(|output| (place, output)));
        run.outputs.extend(got);
    }
    Ok(run)
}

/// What the engine counts, as the model does.
fn counts(of: &Outcomes) -> Counts {
    Counts {
        batches: of.batches,
        duplicates: of.duplicates,
        conflicts: of.conflicts,
        below_window: of.below_window,
        spool_overflows: of.spool_overflows,
        spools_evicted: of.spools_evicted,
        shifted: of.shifted,
        cut: of.cut,
        late: of.late,
        time_resets: of.time_resets,
        stolen: of.stolen,
    }
}

/// A snapshot of each key group that has sites, behind about one record of [`SNAPSHOTS_EVERY`]. Which ones depends on the records'
/// bytes alone, so that a log with records left out has the same ones.
pub fn snapshots(engine: &Engine, place: usize, record: &[u8]) -> Vec<Snapshot> {
    if !Sha256Digest::of(record).0[1].is_multiple_of(SNAPSHOTS_EVERY) {
        return Vec::new();
    }
    let of: BTreeSet<KeyGroup> = engine.outcomes().map(|(site, _)| KeyGroup::of(site.as_str())).collect();
    of.into_iter().flat_map(|of| engine.snapshot(of, place as u64 + 1)).collect()
}

/// How rare they are.
const SNAPSHOTS_EVERY: u8 = 32;

/// The engine's output as the model's type, which has no snapshots.
pub fn own(output: EngineOutput) -> Option<Output> {
    match output {
        EngineOutput::Detection(detection) => Some(Output::Detection(detection)),
        EngineOutput::Tick(tick) => Some(Output::Tick(tick)),
        EngineOutput::Points(points) => Some(Output::Points(points)),
        EngineOutput::Snapshot(_) => None,
    }
}
