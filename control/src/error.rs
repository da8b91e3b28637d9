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
    /// The log did not answer: the change was not made. Try later.
    Away,
    /// Nobody knows whether the change was made. To make it once more could make it twice.
    Unsure,
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
            LogError::Away(_) => ErrorKind::Away,
            LogError::Ambiguous(why) => {
                let message = format!(
                    "whether this was done is not known, the log did not answer: {why}. Look before you try again"
                );
                return Self { kind: ErrorKind::Unsure, message };
            }
            LogError::Fenced => {
                let message = "another command has written to this installation meanwhile: try again".to_owned();
                return Self { kind: ErrorKind::Fenced, message };
            }
            _ => ErrorKind::Unavailable,
        };
        Self { kind, message: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_surely_not_done_may_be_tried_again() {
        for (error, kind, says) in [
            (LogError::Away("no broker".to_owned()), ErrorKind::Away, "no broker"),
            (LogError::Fenced, ErrorKind::Fenced, "try again"),
            (LogError::Ambiguous("no answer".to_owned()), ErrorKind::Unsure, "Look before you try again"),
            (LogError::Unusable("a setting".to_owned()), ErrorKind::Unavailable, "a setting"),
        ] {
            let error = ControlError::from(error);
            assert_eq!(error.kind, kind, "{error}");
            assert!(error.message.contains(says), "{error}");
        }
    }
}
