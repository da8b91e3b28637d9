//! The alerter: turns detections into alerts that reach a person, and records every attempt.
//!
//! [`core`] plans and knows nothing of clocks, networks or the log's backend; [`courier`] has the channels speak to the world; [`history`] reads what came
//! of it; [`task`] runs the one with the other. `docs/deliveries.md` tells what a delivery goes through and how a receiver verifies it.

pub mod core;

pub mod courier;
mod gauges;
pub mod history;
pub mod task;
