//! How long the batch codec takes for a signal: decode borrowed, and encode again; and the way from JSON.

use std::hint::black_box;

use logystera_ingest::core::admit::{Terms, admit};
use logystera_schemas::avro::Writer;
use logystera_schemas::batch::{self, Batch};
use logystera_schemas::topic::SignalsRecord;

use crate::body;
use crate::clock::Stopwatch;
use crate::convert::Converter;
use crate::w1::{BATCH_SIGNALS, Generator};

const BATCHES: usize = 500;

/// Prints nanoseconds a signal, the best of `rounds`.
pub fn run(rounds: usize) {
    let (mut generator, mut converter) = (Generator::new(42, 0), Converter::new());
    let records: Vec<_> = (0..BATCHES).map(|_| converter.record(&generator.batch())).collect();
    let signals = BATCHES * BATCH_SIGNALS;
    let bytes: usize = records.iter().map(Vec::len).sum();
    println!("{signals} signals of W1 in {BATCHES} batches, {:.1} bytes a signal", bytes as f64 / signals as f64);

    let decode = best(rounds, || records.iter().map(|record| decoded(record)).sum());
    println!("decode  {:6.1} ns a signal", decode / signals as f64);
    let skipped = best(rounds, || records.iter().map(|record| skipped(record)).sum());
    println!("skip    {:6.1} ns a signal", skipped / signals as f64);
    let copy = best(rounds, || records.iter().map(|record| encoded(record)).sum());
    println!("encode  {:6.1} ns a signal", (copy - decode) / signals as f64);

    let mut generator = Generator::new(42, 0);
    let bodies: Vec<_> = (0..BATCHES).map(|_| body::json(&generator.batch(), 0)).collect();
    let admit = best(rounds, || bodies.iter().map(|body| admitted(body)).sum());
    println!("admit   {:6.1} ns a signal, from JSON", admit / signals as f64);
}

fn open(record: &[u8]) -> Option<Batch<'_>> {
    match SignalsRecord::decode(record) {
        Ok(SignalsRecord::Batch(batch)) => Some(batch),
        _ => None,
    }
}

/// Decodes a whole batch and looks at each signal, as a rule's filter would.
fn decoded(record: &[u8]) -> usize {
    let Some(batch) = open(record) else { return 0 };
    let mut matches = 0;
    for signal in batch.signals().flatten() {
        matches += usize::from(black_box(signal).fields[0] == batch::Value::Enum(1));
    }
    matches
}

/// Goes through a batch of which no rule reads a field.
fn skipped(record: &[u8]) -> usize {
    let Some(batch) = open(record) else { return 0 };
    let mut count = 0;
    for frame in batch.frames().flatten() {
        count += usize::from(black_box(frame).at != 0);
    }
    count
}

/// Checks the JSON of a batch against the catalogue and encodes it, as the gateway does.
fn admitted(body: &str) -> usize {
    let terms = Terms { received_at: 0, signal_age_ms_max: 0 };
    admit(body.as_bytes(), &terms).map_or(0, |admitted| admitted.accepted)
}

fn encoded(record: &[u8]) -> usize {
    let Some(batch) = open(record) else { return 0 };
    let mut to = Writer::with(Vec::with_capacity(record.len()));
    for signal in batch.signals().flatten() {
        batch::write_signal(&mut to, signal.kind, signal.at, batch.head.base_at, &signal.fields);
    }
    batch::encode(&batch.head, &to.into_bytes()).len()
}

/// Nanoseconds of the fastest run: what else the machine did is not in it.
fn best(rounds: usize, mut run: impl FnMut() -> usize) -> f64 {
    let times = (0..rounds).map(|_| {
        let watch = Stopwatch::start();
        black_box(run());
        watch.elapsed_s() * 1e9
    });
    times.fold(f64::INFINITY, f64::min)
}
