//! The planner: a pure function of topic `detections`. No I/O, clock, randomness, locks or async in here, and nothing of
//! `logystera_infra`: the shell around it reads the log, performs the attempts and commits what the planner says.

pub mod planner;

mod attempts;
mod beginnings;
mod counted;
mod crowds;
mod episodes;
mod holding;
mod labels;
mod noise;

mod lost;
mod tenant;
mod turns;
mod untold;
mod waiting;

mod stages;

mod delivery;

mod channel;
mod channel_entries;
mod clock;
mod digest;
mod rate;

mod chain;
pub mod reason;
mod report;
mod resend;
pub mod retry;
mod row;

mod due;
mod entries;
mod key;
pub mod state;
mod status;

/// Version of the planner's semantics, in each row that it makes: raised with each change that gives other rows for the
/// same records. A replay judges the rows of its own version, and only links those of others.
pub const SEMANTICS: u32 = 4;

pub use due::AttemptRef;
pub use logystera_schemas::alert::{About, Digest, DigestCount, Due, Failed, Frozen, Merged, Told};
pub use planner::Planner;
pub use report::{Counters, Notice};
pub use status::{ChannelStatus, Condition};
