//! Why a change was not made.

use std::fmt::Display;

use logystera_infra::log::LogError;

/// What kind of reason it was; the command line, the API and pages each have their own code for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// What was asked cannot be done as it was asked.
    Invalid,
    /// What is needed is not there.
    Unavailable,
    /// The log did not answer, or not for certain: the change was not made, or may have been. Look, then try later.
    Away,
    /// Another writer wrote meanwhile: what was to be done may be decided anew.
    Fenced,
    /// A record is damaged.
    Damaged,
}

/// Why a change was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ControlError {
    /// What kind of reason.
    pub kind: ErrorKind,
    /// For people: what is wrong, and the way out.
    pub message: String,
}

impl ControlError {
    /// What was asked cannot be done as it was asked.
    pub fn invalid(message: impl Display) -> Self {
        Self { kind: ErrorKind::Invalid, message: message.to_string() }
    }

    /// What is needed is not there.
    pub fn unavailable(message: impl Display) -> Self {
        Self { kind: ErrorKind::Unavailable, message: message.to_string() }
    }
}

impl From<LogError> for ControlError {
    fn from(error: LogError) -> Self {
        let kind = match &error {
            LogError::Checksum { .. } => ErrorKind::Damaged,
            LogError::Away(_) | LogError::Ambiguous(_) => ErrorKind::Away,
            LogError::Fenced => {
                let message = "another command has written to this installation meanwhile: try again".to_owned();
                return Self { kind: ErrorKind::Fenced, message };
            }
            _ => ErrorKind::Unavailable,
        };
        Self { kind, message: error.to_string() }
    }
}
