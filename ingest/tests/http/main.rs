//! The gateway over real connections, against a log in memory: what a good sender gets, and what strangers get.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod support;

mod among;
mod batches;
mod connections;
mod crowd;
mod hostile;
mod idle;
mod leaks;
mod lifecycle;
mod refused_records;
