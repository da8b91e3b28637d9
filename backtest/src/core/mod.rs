//! The decisions, as pure functions of what the two revisions told.

mod alerts;
mod messages;

pub use alerts::{Alert, Alerts, Counts, Difference, Side, What};
pub use messages::Messages;
