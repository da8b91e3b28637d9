//! Replays: the detections that a log gives, computed again from topic `signals` as the engine did, from the log's start
//! or from snapshots; and compared with the recorded ones.
//!
//! A log comes as a [`Reading`](logystera_infra::reading::Reading); what was [`Asked`] says which sites, since when, and by
//! which rules. [`Asked::each`] gives what is found, a partition after the other; [`verify`] compares it. Nothing is
//! printed here, and nothing written.

mod plan;
mod snapshots;

mod asked;
mod chain;
mod deliveries;
mod engine;
mod error;
mod rows;
mod together;
mod verify;

pub mod series;
pub mod show;

#[cfg(test)]
mod tests;

pub use asked::{Asked, Question};
pub use chain::{RowDifference, TenantRows, Unjudged};
pub use deliveries::{Deliveries, verify_deliveries};
pub use engine::{Found, Replay};
pub use error::ReplayError;
pub use together::{Step, Together};
pub use verify::{Comparison, Difference, Watch, verify};
