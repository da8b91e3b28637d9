//! The engine and the task that runs it.
//!
//! `core/` is pure: it knows nothing of the log, the store, a clock, threads or files. It is handed checked
//! rule sets; how people write them is the affair of `logystera-rules`.

pub mod core;
pub mod task;
