//! Why a replay ended before it was done.

use logystera_infra::log::LogError;

/// Why a replay ended before it was done.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A record cannot be applied, or is none: the log is not what was written. Says of which record.
    #[error("{0}")]
    Damaged(String),
    /// What is needed is not there, or not known to this binary. Says what to do.
    #[error("{0}")]
    Unavailable(String),
}
