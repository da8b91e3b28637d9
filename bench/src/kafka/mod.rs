//! The roles as processes of their own, on a real Kafka.

pub mod cli;
pub mod drain;
pub mod gateway;
pub mod latency;
pub mod outage;
pub mod place;
pub mod process;
pub mod takeover;
pub mod told;
pub mod workload;
