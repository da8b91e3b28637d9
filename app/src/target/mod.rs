//! The installation that a command is about: a data folder, through the process that has it, or a cluster.

pub mod ask;
pub mod channels;
pub mod deployment;
pub mod folder;
pub mod rules;
pub mod socket;
