//! What a command needs: the installation that it is about, a data folder, through the process that has it, or a cluster; and
//! what commands share: flags, exit codes, standard output, times.

#[macro_use]
extern crate logystera_infra;

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

pub mod cli;
pub mod listen;
pub mod quota;
pub mod when;
