//! The engine beside the model, record by record.

use std::sync::Arc;

use logystera_processor::core::engine::{Engine, Output as EngineOutput};
use logystera_schemas::topic::SignalsRecord;

use super::{Difference, Figures};
use crate::generate::Log;
use crate::input::Input;
use crate::model::{Model, Output};

/// A run without a difference.
#[derive(Debug)]
pub struct Run {
    /// Everything that was said, in order.
    pub outputs: Vec<Output>,
    /// What it was like.
    pub figures: Figures,
}

/// Drives both with `log` until they differ.
pub fn run(log: &Log) -> Result<Run, Difference> {
    let (mut model, mut engine) = (Model::default(), Engine::new(0));
    for body in &log.bodies {
        model.learn(Arc::clone(body));
        engine.learn(Arc::clone(body));
    }
    let mut run = Run { outputs: Vec::new(), figures: Figures::default() };
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
        let got: Vec<Output> = out.into_iter().map(own).collect();
        if got != expected {
            return Err(differs(got, String::new()));
        }
        run.figures.records += 1;
        if let Input::Batch(batch) = input {
            run.figures.signals += batch.signals.len() as u64;
        }
        run.figures.detections += got.iter().filter(|o| matches!(o, Output::Detection(_))).count() as u64;
        run.outputs.extend(got);
    }
    Ok(run)
}

/// The engine's output as the model's type.
pub fn own(output: EngineOutput) -> Output {
    match output {
        EngineOutput::Detection(detection) => Output::Detection(detection),
        EngineOutput::Tick(tick) => Output::Tick(tick),
    }
}
