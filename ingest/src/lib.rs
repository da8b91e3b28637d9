//! The gateway: verifies batches and writes them to the log, and keeps the log's clock ticking.
//!
//! It keeps no batches of its own: an answer of 202 means that the log has the batch on disk, and where the log is away the
//! sender's spool holds.

pub mod core;
