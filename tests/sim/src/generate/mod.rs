//! Makes the log of a run from its seed: sites, senders, gateways, and everything that goes wrong between them.

pub mod days;
pub mod rules;
pub mod sender;
mod spool_trouble;
mod trouble;
mod weather;
pub mod world;

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
}
