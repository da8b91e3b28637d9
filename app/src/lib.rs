//! The subcommands of `logystera`, one module each, so that tests reach them. `main.rs` only parses the command line and
//! calls a module's `run`; a new subcommand is one more line here.

#[macro_use]
extern crate logystera_infra;

pub mod up;

#[cfg(feature = "kafka")]
pub mod cluster;

pub mod channel;
pub mod site;

pub mod convert;
pub mod send;
pub mod sign;

pub mod log;
pub mod partitions;
pub mod replay;
pub mod rules;
pub mod tail;

mod advice;
pub mod cli;
mod demo;
pub mod listen;
mod quota;
mod reading;
pub mod target;
mod when;
