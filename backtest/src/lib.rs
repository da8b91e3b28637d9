//! What an edit of rules would have changed. Two revisions judge the same signals side by side, and what each tells goes
//! through the tenant's channels as a planner would send it.
//!
//! [`run`] reads a log that two [`Asked`](logystera_replay::Asked) differ about in their rules alone. What is told is
//! compared by [`core::Alerts`] as it comes, and counted as messages by [`core::Messages`]: neither keeps more than what is
//! open.

pub mod core;
mod run;

pub use run::{Backtest, Configured, Watch, run};
