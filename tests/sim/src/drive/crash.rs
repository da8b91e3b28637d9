//! The engine in its runtime, on a log that fails at every effect: what is committed in the end must be what an undisturbed
//! run says, each record once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use logystera_infra::log::{Entry, Record};
use logystera_infra::runtime::{Brought, Cycle, Halt, StateMachine};
use logystera_processor::core::{Engine, EngineError, Output as EngineOutput, RuleSet};
use logystera_schemas::ids::Sha256Digest;
use logystera_schemas::partition::PartitionRef;
use logystera_schemas::schema;
use logystera_schemas::series::Points;
use logystera_schemas::topic::{DetectionsRecord, SignalsRecord, Topic};

use super::Difference;
use super::memory::Memory;
use crate::generate::Log;
use crate::model::Output;
use crate::rng::Rng;

/// The engine as a state machine to which all bodies are known.
#[derive(Debug)]
struct Machine(Engine);

impl Machine {
    fn new(bodies: &[Arc<RuleSet>]) -> Self {
        let mut engine = Engine::new(PartitionRef::ONLY);
        for body in bodies {
            engine.learn(Arc::clone(body));
        }
        Self(engine)
    }
}

fn halt(offset: u64, error: &EngineError) -> Halt {
    Halt { offset, what: error.to_string() }
}

/// The bytes of an output in its topic.
pub fn encode(output: &Output) -> Vec<u8> {
    match output {
        Output::Detection(detection) => schema::encode(&**detection),
        Output::Tick(tick) => schema::encode(tick),
        Output::Points(points) => schema::encode(&**points),
    }
}

fn decode(value: &[u8]) -> Option<Output> {
    if let Ok(points) = schema::decode::<Points>(value) {
        return Some(Output::Points(Box::new(points)));
    }
    match DetectionsRecord::decode(value).ok()? {
        DetectionsRecord::Detection(d) => Some(Output::Detection(d)),
        DetectionsRecord::Tick(t) => Some(Output::Tick(t)),
        _ => None,
    }
}

impl StateMachine for Machine {
    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), Halt> {
        self.0.restore(key, value).map_err(|e| halt(0, &e))
    }

    fn restored(&mut self) {
        self.0.restored();
    }

    fn apply(&mut self, record: &Record, outputs: &mut Vec<Entry>) -> Result<Brought, Halt> {
        let decoded =
            SignalsRecord::decode(&record.value).map_err(|e| Halt { offset: record.offset, what: e.to_string() })?;
        let mut out: Vec<EngineOutput> = Vec::new();
        self.0.apply(record.offset, &decoded, &mut out).map_err(|e| halt(record.offset, &e))?;
        outputs.extend(out.into_iter().filter_map(super::direct::own).map(|output| Entry {
            topic: Topic::Detections,
            partition: 0,
            key: Vec::new(),
            value: encode(&output),
        }));
        Ok(Brought::More)
    }

    fn dirty_bytes(&self) -> usize {
        self.0.dirty_bytes()
    }

    fn take_puts(&mut self) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        self.0.take_puts()
    }
}

/// Runs `log` with faults drawn from `seed`; `expected` is what an undisturbed run says.
pub fn run(seed: u64, log: &Log, expected: &[Output]) -> Result<(), Difference> {
    let mut rng = Rng::new(seed).part(2);
    let mut offset = 0;
    let records = log.inputs.iter().map(|input| {
        offset += 1 + if rng.chance(10) { rng.below(3) } else { 0 };
        Record { offset, key: input.key().as_bytes().to_vec(), value: input.encode() }
    });
    let records: Vec<Record> = records.collect();
    let fault_percent = *rng.pick(&[0, 10, 30, 60]);
    let memory = Memory::new(records, rng.word(), fault_percent);
    let lived = live(&memory, &log.bodies, &mut rng, u64::MAX);
    compare(&memory, expected).map_err(|found| match &lived {
        Err(what) => Difference { what: format!("{what}; {}", found.what), ..found },
        Ok(()) => found,
    })?;
    lived.map_err(difference)
}

/// Runs `log` with a commit and a restart after about one record of `every`. Which ones depends on the records' bytes alone,
/// so that a log with records left out is disturbed at the same ones.
pub fn restart_often(every: u8, log: &Log, expected: &[Output]) -> Result<(), Difference> {
    let mut state: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut said = Vec::new();
    let mut machine = Machine::new(&log.bodies);
    for (place, input) in log.inputs.iter().enumerate() {
        let fails = |what: String| Difference { drive: RESTARTS, place: Some(place), ..difference(what) };
        let record = Record { offset: place as u64, key: Vec::new(), value: input.encode() };
        let before = said.len();
        machine.apply(&record, &mut said).map_err(|e| fails(e.to_string()))?;
        let same = said[before..].iter().zip(expected.iter().skip(before)).all(|(e, wanted)| e.value == encode(wanted));
        if !same || said.len() > expected.len() {
            let got = said[before..].iter().filter_map(|entry| decode(&entry.value)).collect();
            let expected = expected.iter().skip(before).take(said.len() - before + 1).cloned().collect();
            return Err(Difference { expected, got, ..fails("restarts change what is said".to_owned()) });
        }
        if !Sha256Digest::of(&record.value).0[0].is_multiple_of(every) {
            continue;
        }
        for (key, value) in machine.take_puts() {
            match value {
                Some(value) => drop(state.insert(key, value)),
                None => drop(state.remove(&key)),
            }
        }
        machine = Machine::new(&log.bodies);
        for (key, value) in &state {
            machine.restore(key, value).map_err(|e| fails(format!("it does not start again: {e}")))?;
        }
        machine.restored();
    }
    if said.len() == expected.len() {
        return Ok(());
    }
    Err(Difference { drive: RESTARTS, ..difference("too little is said".to_owned()) })
}

const RESTARTS: &str = "with restarts";

/// Lives, is killed and comes back until the input is done, or its records before `until` are.
pub(super) fn live(memory: &Memory, bodies: &[Arc<RuleSet>], rng: &mut Rng, until: u64) -> Result<(), String> {
    // With most effects failing a life gets far in one of a few, so that this many are plenty.
    for _ in 0..20_000 {
        let mut cycle = match Cycle::start(Machine::new(bodies), memory.take_over()) {
            Ok(cycle) => cycle,
            Err(logystera_infra::runtime::CycleError::Log(_)) => continue,
            Err(halt) => return Err(format!("it does not start again: {halt}")),
        };
        loop {
            let end = cycle.input_end().map_err(|e| e.to_string())?.min(until);
            match cycle.apply_next(Duration::ZERO) {
                Ok(_) => {}
                Err(logystera_infra::runtime::CycleError::Log(_)) => break,
                Err(halt) => return Err(format!("it stops: {halt}")),
            }
            if rng.chance(20) {
                // Killed with records applied that are not committed.
                break;
            }
            let done = cycle.position() >= end;
            if (done || rng.chance(60)) && cycle.commit(Vec::new()).is_err() {
                break;
            }
            if done {
                return Ok(());
            }
        }
    }
    Err("it gets nowhere".to_owned())
}

fn difference(what: String) -> Difference {
    Difference { drive: "through crashes", place: None, expected: Vec::new(), got: Vec::new(), what }
}

pub(super) fn compare(memory: &Memory, expected: &[Output]) -> Result<(), Difference> {
    let durable = memory.durable();
    let first = durable.outputs.iter().zip(expected).position(|(got, wanted)| got.value != encode(wanted));
    let at = match first {
        Some(at) => at,
        None if durable.outputs.len() == expected.len() => return Ok(()),
        None => durable.outputs.len().min(expected.len()),
    };
    let got = durable.outputs.get(at).and_then(|entry| decode(&entry.value));
    Err(Difference {
        expected: expected.get(at).cloned().into_iter().collect(),
        got: got.into_iter().collect(),
        ..difference(format!("output {at} of {} differs; {} were committed", expected.len(), durable.outputs.len()))
    })
}
