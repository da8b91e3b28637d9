//! Makes the log of a run from its seed: sites, senders, gateways, and everything that goes wrong between them.

mod absences;
mod backup;
pub mod days;
mod escalations;
mod filters;
mod measures;
mod metrics;
pub mod palette;
mod putting_back;
pub mod rules;
pub mod sender;
mod spool_trouble;
mod stepping_back;
mod trouble;
mod turn;
mod weather;
pub mod world;

use std::ops::Range;
use std::sync::Arc;

use logystera_processor::core::RuleSet;

use crate::input::Input;

/// A run's input.
#[derive(Clone, Debug)]
pub struct Log {
    /// The bodies that configurations name.
    pub bodies: Vec<Arc<RuleSet>>,
    /// The records, in the order of the log.
    pub inputs: Vec<Input>,
    /// What the log had besides before it was put back to a backup; none if it was not.
    pub put_back: Option<PutBack>,
}

/// The log was put back once: what came behind the backup is gone, and senders do not know.
#[derive(Clone, Debug)]
pub struct PutBack {
    /// Records that the backup has: the first ones of the log.
    pub at: usize,
    /// What came behind them, in the order of the log, and is gone.
    pub lost: Vec<Input>,
}

impl Log {
    /// A log that was never put back.
    pub fn new(bodies: Vec<Arc<RuleSet>>, inputs: Vec<Input>) -> Self {
        Self { bodies, inputs, put_back: None }
    }

    /// The log as it was before it was put back.
    pub fn before(&self) -> Option<Self> {
        let PutBack { at, lost } = self.put_back.as_ref()?;
        let inputs = self.inputs[..*at].iter().chain(lost).cloned().collect();
        Some(Self::new(self.bodies.clone(), inputs))
    }

    /// How many records it has, those that are gone too.
    pub fn records(&self) -> usize {
        self.inputs.len() + self.put_back.as_ref().map_or(0, |put_back| put_back.lost.len())
    }

    /// The log without these records, of which those that are gone come last. Any part of a log is a log.
    #[must_use]
    pub fn without(&self, records: Range<usize>) -> Self {
        let mut less = self.clone();
        let end = self.inputs.len();
        less.inputs.drain(records.start.min(end)..records.end.min(end));
        if let Some(PutBack { at, lost }) = &mut less.put_back {
            *at -= records.end.min(*at) - records.start.min(*at);
            let from = records.start.saturating_sub(end).min(lost.len());
            lost.drain(from..records.end.saturating_sub(end).min(lost.len()));
        }
        less
    }
}
