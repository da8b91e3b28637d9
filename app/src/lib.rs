//! The binary's parts, so that tests reach them. `main.rs` only parses the command line and calls a module's `run`.

#[macro_use]
extern crate logystera_infra;

pub mod commands;

pub mod up;

#[cfg(feature = "kafka")]
pub mod roles;

pub mod serve;

use logystera_installation::when;
pub use logystera_installation::{self as installation, cli, listen};
