//! The log is put back to a backup while senders and receivers know what happened since: the runtime goes on from the state and
//! the position of the backup, the gateway recalls what that has, and the alerter tells what is new.

use logystera_infra::log::Record;

use super::memory::{Durable, Memory};
use super::{Difference, alerts, crash, direct, gateway};
use crate::generate::{Log, PutBack};
use crate::input::Input;
use crate::model::Output;
use crate::rng::Rng;

/// Plays both histories, if the log was put back; `expected` is what an undisturbed run says of the one that is left. Gives what
/// the gateway answered after it, if it was.
pub fn run(seed: u64, log: &Log, expected: &[Output]) -> Result<Option<gateway::Answers>, Difference> {
    let (Some(put_back), Some(before)) = (&log.put_back, log.before()) else { return Ok(None) };
    let PutBack { at, lost } = put_back;
    let lived = direct::run(&before).map_err(|found| Difference { drive: "before the log is put back", ..found })?;
    let mut rng = Rng::new(seed).part(10);
    let memory = Memory::new(records(&log.inputs[..*at], 0), rng.word(), *rng.pick(&[0, 10, 30]));
    // The backup's state may be behind its own records.
    let known = rng.below(*at as u64 + 1);
    let backup = go_on(&memory, log, &mut rng, known)?;
    memory.durable().input.extend(records(lost, *at));
    go_on(&memory, log, &mut rng, u64::MAX)?;
    crash::compare(&memory, &lived.outputs).map_err(named)?;
    memory.put_back(backup.clone());
    memory.durable().input.extend(records(&log.inputs[*at..], *at));
    go_on(&memory, log, &mut rng, u64::MAX)?;
    crash::compare(&memory, expected).map_err(named)?;
    let kept = lived.outputs_at.iter().take_while(|(place, _)| place < at).count();
    alerts::put_back(seed, &expected[..kept], &lived.outputs[kept..], &expected[kept..])?;
    gateway::run(seed, log, put_back, &backup).map(Some)
}

/// Runs up to a record, and gives what is durable then.
fn go_on(memory: &Memory, log: &Log, rng: &mut Rng, until: u64) -> Result<Durable, Difference> {
    crash::live(memory, &log.bodies, rng, until).map_err(difference)?;
    Ok(memory.durable().clone())
}

fn records(inputs: &[Input], from: usize) -> Vec<Record> {
    let record =
        |(offset, input): (u64, &Input)| Record { offset, key: input.key().as_bytes().to_vec(), value: input.encode() };
    (from as u64..).zip(inputs).map(record).collect()
}

fn named(found: Difference) -> Difference {
    Difference { drive: DRIVE, ..found }
}

fn difference(what: String) -> Difference {
    Difference { drive: DRIVE, place: None, expected: Vec::new(), got: Vec::new(), what }
}

const DRIVE: &str = "with the log put back";
