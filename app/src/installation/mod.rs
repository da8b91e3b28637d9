//! The installation that a command is about: a data folder, through the process that has it, or a cluster.

pub mod ask;
pub mod channels;
#[cfg(feature = "kafka")]
pub mod cluster;
#[cfg(feature = "kafka")]
pub mod cluster_log;
#[cfg(feature = "kafka")]
pub mod config;
pub mod deployment;
pub mod folder;
pub mod mail;
pub mod open;
pub mod reading;
#[cfg(feature = "kafka")]
mod redacted_toml;
pub mod rules;
pub mod socket;
