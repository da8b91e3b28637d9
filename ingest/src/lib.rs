//! The gateway: verifies batches and writes them to the log, and keeps the log's clock ticking.
//!
//! It keeps no batches of its own: an answer of 202 means that the log has the batch on disk, and while the log is away
//! the sender's spool keeps the batch. What it decides stands in [`core`]; around it is the shell that reads requests
//! and appends.

pub mod core;

pub mod config;
pub mod keys;

mod gateway;

mod batch;
mod checks;

mod body;

mod places;

mod others;
mod publish;
mod reservation;

mod answer;

mod lock;
mod meters;

mod http;

mod server;

pub mod tls;

pub use config::{GatewayConfig, Timing};
pub use gateway::Gateway;
pub use http::{Render, serve_few};
pub use keys::{KeyEntry, Keys, MemoryKeys, SiteEntry};
