//! The engine and the task that runs it.
//!
//! `core/` is pure: it knows nothing of the log, the store, a clock, threads or files. `rules/` reads rule files.

pub mod core;
pub mod rules;
pub mod task;
