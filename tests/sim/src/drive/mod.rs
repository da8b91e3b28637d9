//! Drives the engine with a log and holds what it says against the model: undisturbed, record by record ([`direct`]), and
//! through the runtime on a log whose every effect can fail ([`crash`]), from the middle on ([`snapshots`]), and from a backup on
//! ([`put_back`]).

pub mod alerts;
pub mod crash;
pub mod direct;
pub mod gateway;
pub mod memory;
pub mod put_back;
pub mod snapshots;

use std::collections::BTreeSet;
use std::fmt;

use logystera_schemas::catalogue::SignalType;
use logystera_schemas::detection::Detection;

use crate::generate::Log;
use crate::input::{Input, show_time};
use crate::model::Output;

/// The first place at which the engine and the model differ.
#[derive(Clone, Debug)]
pub struct Difference {
    /// Which way of driving found it.
    pub drive: &'static str,
    /// Place of the record in the log; none where it is not known.
    pub place: Option<usize>,
    /// What the model says.
    pub expected: Vec<Output>,
    /// What the engine says.
    pub got: Vec<Output>,
    /// What went wrong, where it is not the outputs.
    pub what: String,
}

/// Runs everything that the simulator knows on one log.
pub fn check(seed: u64, log: &Log) -> Result<Figures, Difference> {
    let run = direct::run(log)?;
    crash::restart_often(1, log, &run.outputs)?;
    crash::restart_often(8, log, &run.outputs)?;
    crash::run(seed, log, &run.outputs)?;
    snapshots::run(log, &run)?;
    alerts::run(seed, &run.outputs)?;
    put_back::run(seed, log, &run.outputs)?;
    Ok(run.figures)
}

/// What a run was like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Records.
    pub records: u64,
    /// Signals in them.
    pub signals: u64,
    /// Detections.
    pub detections: u64,
}

impl Figures {
    /// Adds another run's.
    pub fn add(&mut self, other: Self) {
        self.records += other.records;
        self.signals += other.signals;
        self.detections += other.detections;
    }
}

/// Logs that are tried to find a smaller one.
const TRIES_MAX: usize = 3_000;

/// The smallest log found by leaving records out for which `fails` still holds. Any part of a log is a log.
pub fn shrink(log: &Log, fails: impl Fn(&Log) -> bool) -> Log {
    let tries = std::cell::Cell::new(0);
    let fails = |candidate: &Log| {
        tries.set(tries.get() + 1);
        tries.get() < TRIES_MAX && fails(candidate)
    };
    let mut smallest = log.clone();
    let mut chunk = smallest.records() / 2;
    while chunk > 0 {
        let before = smallest.records();
        let mut from = 0;
        while from < smallest.records() {
            let candidate = smallest.without(from..from + chunk);
            if fails(&candidate) {
                smallest = candidate;
            } else {
                from += chunk;
            }
        }
        if chunk > 1 || smallest.records() == before {
            chunk /= 2;
        }
    }
    drop_signals(&mut smallest, fails);
    smallest
}

fn drop_signals(smallest: &mut Log, fails: impl Fn(&Log) -> bool) {
    for place in 0..smallest.inputs.len() {
        let mut index = 0;
        while let Input::Batch(batch) = &smallest.inputs[place]
            && index < batch.signals.len()
        {
            let mut fewer = batch.clone();
            fewer.signals.remove(index);
            let mut candidate = smallest.clone();
            candidate.inputs[place] = Input::Batch(fewer);
            if fails(&candidate) {
                *smallest = candidate;
            } else {
                index += 1;
            }
        }
    }
}

/// One detection on one line.
pub fn show_detection(d: &Detection) -> String {
    let group: Vec<String> = d.group.iter().map(|l| format!("{}={}", l.field, l.value)).collect();
    let evidence: Vec<String> = d
        .evidence
        .iter()
        .map(|e| {
            let fields: Vec<String> = e.fields.iter().map(|l| format!("{}={:.20}", l.field, l.value)).collect();
            format!("{}{{{}}}", show_time(e.at), fields.join(" "))
        })
        .collect();
    format!(
        "{} {} rule={} [{}] {}/{} count={} held={} started={} now={} evidence=[{}] message={:?} rev={} id={} chain={:.6}",
        d.site,
        d.seq,
        d.rule,
        group.join(" "),
        d.state,
        d.reason,
        d.count,
        d.held,
        show_time(d.started_at),
        show_time(d.last_evaluated_at),
        evidence.join(" "),
        d.message,
        d.revision,
        d.id,
        d.chain.to_string(),
    )
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "driven by: {}", self.drive)?;
        if !self.what.is_empty() {
            writeln!(f, "{}", self.what)?;
        }
        if let Some(place) = self.place {
            writeln!(f, "at record {place}")?;
        }
        let same = self.expected.iter().zip(&self.got).take_while(|(a, b)| a == b).count();
        if same > 0 {
            writeln!(f, "the first {same} outputs of the record are the same; then:")?;
        }
        for (who, outputs) in [("model ", &self.expected), ("engine", &self.got)] {
            if outputs.len() == same {
                writeln!(f, "{who}: nothing")?;
            }
            for output in outputs.iter().skip(same).take(SHOWN_MAX) {
                match output {
                    Output::Detection(d) => writeln!(f, "{who}: {}", show_detection(d))?,
                    Output::Tick(t) => writeln!(f, "{who}: tick {}", show_time(t.at.0))?,
                }
            }
        }
        Ok(())
    }
}

/// Outputs of each side that a difference shows.
const SHOWN_MAX: usize = 4;

/// The log as a person reads it: the rule sets, then record by record.
pub fn show_log(log: &Log) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    let lost = log.put_back.iter().flat_map(|put_back| &put_back.lost);
    let configured = log.inputs.iter().chain(lost).filter_map(|input| match input {
        Input::Configured(configured) => Some(configured.digest),
        _ => None,
    });
    let configured: BTreeSet<_> = configured.collect();
    let named = |digest| configured.contains(&digest);
    for body in log.bodies.iter().filter(|b| named(b.digest)) {
        // Writing to a string does not fail.
        let disabled: Vec<&str> = body.disabled.iter().map(SignalType::name).collect();
        let _ = writeln!(text, "configuration {} {:?} disabled={disabled:?}", body.digest, body.limits);
        for r in &body.rules {
            let kind = r.signal.map_or("-", |s| s.name());
            let _ = writeln!(
                text,
                "    {} {kind} where {:?} by {:?} {:?} for={} suppress={} resolve_after={} evidence={:?}",
                r.name, r.filter, r.group_by, r.condition, r.for_ms, r.suppress_ms, r.resolve_after_ms, r.evidence
            );
        }
    }
    let at = log.put_back.as_ref().map_or(usize::MAX, |put_back| put_back.at);
    for (place, input) in log.inputs.iter().enumerate() {
        if place == at {
            show_lost(log, &mut text);
        }
        let _ = writeln!(text, "{place:4}  {input}");
    }
    if at == log.inputs.len() {
        show_lost(log, &mut text);
    }
    text
}

fn show_lost(log: &Log, text: &mut String) {
    use std::fmt::Write as _;
    for input in log.put_back.iter().flat_map(|put_back| &put_back.lost) {
        // Writing to a string does not fail.
        let _ = writeln!(text, "gone  {input}");
    }
    let _ = writeln!(text, "      the log is put back");
}
