//! A seeded simulator and the naive model that it holds the engine against.
//!
//! [`model`] is written for clarity from the design (sections 2, 5, 6 and 7) and shares no code with the engine: it keeps
//! everything that it ever accepted and recomputes each window by scanning. [`generate`] makes hostile logs from a seed.

pub mod input;
pub mod model;

pub mod drive;
pub mod generate;
pub mod rng;

pub mod outage;
pub mod record;
mod where_text;
