//! Drives the engine with a log and holds what it says against the model: undisturbed, record by record ([`direct`]), and
//! through the runtime on a log whose every effect can fail ([`crash`]), from the middle on ([`snapshots`]), and from a backup on
//! ([`put_back`]).

pub mod alerts;
pub mod crash;
mod difference;
pub mod direct;
pub mod gateway;
pub mod memory;
pub mod put_back;
pub mod snapshots;

use std::collections::BTreeSet;

use logystera_schemas::catalogue::SignalType;

pub use difference::{Difference, Figures};

use crate::generate::Log;
use crate::input::Input;

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
        for m in &body.metrics {
            let _ = writeln!(text, "    {m:?}");
        }
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
