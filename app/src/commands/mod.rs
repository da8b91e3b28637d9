//! The subcommands, one module each, but for those that serve.

pub mod channel;
pub mod delivery;
pub mod silence;
pub mod site;

pub mod convert;
pub mod send;
pub mod sign;

pub mod log;
pub mod partitions;
pub mod replay;
pub mod rules;
pub mod series;
pub mod tail;
pub mod why;

mod progress;
