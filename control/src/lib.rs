//! The control plane: it changes what is configured. Each change is one append to topic `control`, decided on its
//! newest state by one writer at a time; gateways and processors only read what came of it.

pub mod service;

pub mod channels;
mod deliveries;
pub mod deployment;
mod rule_names;
pub mod rules;
pub mod said;
pub mod settings;
pub mod silences;
pub mod site_change;
pub mod sites;

pub mod adapters;
mod context;
pub mod error;

pub use error::{ControlError, ErrorKind};
pub use service::{Answer, ControlService, Parts, Request};
pub use sites::TENANT_DEFAULT;

#[cfg(test)]
mod tests;
