//! The planner: a pure function of topic `detections`. No I/O, clock, randomness, locks or async in here, and nothing of
//! `logystera_infra`: the shell around it reads the log, performs the attempts and commits what the planner says.

pub mod planner;

mod tenant;

mod delivery;
mod lane;

mod channel;
mod clock;

pub mod reason;
pub mod retry;
mod row;

mod due;
pub mod state;
mod status;

pub use delivery::Merged;
pub use due::{About, AttemptRef, Due};
pub use planner::{Counters, Notice, Planner};
pub use status::{ChannelStatus, Condition};
