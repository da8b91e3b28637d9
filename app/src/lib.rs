//! The subcommands of `logystera`, one module each, so that tests reach them. `main.rs` only parses the command line and
//! calls a module's `run`; a new subcommand is one more line here.

pub mod convert;
pub mod send;
pub mod sign;
