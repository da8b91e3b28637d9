//! The codes in [`Attempt::reason`](logystera_schemas::delivery::Attempt::reason): a bounded set, documented in
//! `docs/deliveries.md`.

use std::fmt;

use logystera_schemas::delivery::{AttemptCause, AttemptEnded, AttemptOutcome};
use logystera_schemas::limits::ATTEMPT_DETAIL_CHARS_MAX;

/// Code of [`Reason::Superseded`].
pub const SUPERSEDED: &str = "superseded";
/// Code of [`Reason::Bundled`].
pub const BUNDLED: &str = "bundled";
/// Code of [`Reason::RateLimited`].
pub const RATE_LIMITED: &str = "rate_limited";
/// Code of [`Reason::QueueFull`].
pub const QUEUE_FULL: &str = "queue_full";

/// Code of [`Reason::NobodyTold`].
pub const NOBODY_TOLD: &str = "nobody_told";

/// Why an attempt has the state that its row says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The request is about to leave.
    Started,
    /// The channel took it.
    Delivered,
    /// What the channel answered, as the code of its kind: see [`AttemptEnded::detail`].
    Detail(String),
    /// The channel answered this status, 100 to 599.
    Status(u16),
    /// The channel answered with a status outside that range.
    StatusOther,
    /// No connection, or it broke: why, if that was seen.
    Unreachable(Option<AttemptCause>),
    /// No answer in time.
    Timeout,
    /// The channel's address may not be called.
    AddressForbidden,
    /// The process that made the attempt is gone.
    Unknown,
    /// It waits for others of its rule, and goes with them: its delivery is theirs.
    Bundled,
    /// The channel has as many messages as it takes a minute: it is told of this one in a digest.
    RateLimited,
    /// A suppression holds the detection back.
    Suppressed,
    /// The tenant has no channel; or no other one that is on, to be told that a channel was switched off.
    NoChannel,
    /// Too many deliveries of the tenant wait.
    QueueFull,
    /// The channel is switched off: it answered 410.
    ChannelDisabled,
    /// The channel was removed before the delivery could be made.
    ChannelRemoved,
    /// A newer detection of the same fault, for the same channel, tells it too.
    Superseded,
    /// A silence holds it back.
    Silenced,
    /// The channel's quiet hours hold it back.
    QuietHours,
    /// No channel of the tenant takes it.
    NoRoute,
    /// It ends what the channel was never told of.
    NeverTold,
    /// The channel does not want to hear that something is over.
    ResolvedNotWanted,
    /// Somebody asked that the channel gets the detection again.
    Resent,
    /// No other channel took it: the tenant's fallback channel gets it.
    Fallback,
    /// No channel took it, and no fallback channel either.
    NobodyTold,
    /// The channel throttled it until it was given up: `THROTTLED_MS_MAX`.
    Throttled,
}

impl Reason {
    /// The code of an outcome. What a channel said of itself counts before its status.
    pub fn of(ended: &AttemptEnded) -> Self {
        match (ended.outcome, &ended.detail) {
            (AttemptOutcome::Delivered, _) => Self::Delivered,
            (_, Some(detail)) => Self::Detail(detail.chars().take(ATTEMPT_DETAIL_CHARS_MAX).collect()),
            (AttemptOutcome::Timeout, None) => Self::Timeout,
            (AttemptOutcome::Forbidden, None) => Self::AddressForbidden,
            (AttemptOutcome::Unknown, None) => Self::Unknown,
            (AttemptOutcome::Unreachable, None) => Self::Unreachable(ended.cause),
            (AttemptOutcome::Failed, None) if ended.status.is_none() => Self::Unreachable(ended.cause),
            (
                AttemptOutcome::Refused
                | AttemptOutcome::Throttled
                | AttemptOutcome::Rejected
                | AttemptOutcome::Gone
                | AttemptOutcome::Failed,
                None,
            ) => match ended.status.and_then(|s| u16::try_from(s).ok()) {
                Some(status @ 100..=599) => Self::Status(status),
                _ => Self::StatusOther,
            },
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Detail(code) => code,
            Self::Status(status) => return write!(f, "status_{status}"),
            Self::Unreachable(Some(cause)) => return write!(f, "unreachable_{cause}"),
            Self::Started => "started",
            Self::Delivered => "delivered",
            Self::StatusOther => "status_other",
            Self::Unreachable(None) => "unreachable",
            Self::Timeout => "timeout",
            Self::AddressForbidden => "address_forbidden",
            Self::Unknown => "unknown",
            Self::Bundled => BUNDLED,
            Self::RateLimited => RATE_LIMITED,
            Self::Suppressed => "suppressed",
            Self::NoChannel => "no_channel",
            Self::QueueFull => QUEUE_FULL,
            Self::ChannelDisabled => "channel_disabled",
            Self::ChannelRemoved => "channel_removed",
            Self::Superseded => SUPERSEDED,
            Self::Silenced => "silenced",
            Self::QuietHours => "quiet_hours",
            Self::NoRoute => "no_route",
            Self::NeverTold => "never_told",
            Self::ResolvedNotWanted => "resolved_not_wanted",
            Self::Throttled => "throttled",
            Self::Resent => "resent",
            Self::Fallback => "fallback",
            Self::NobodyTold => NOBODY_TOLD,
        })
    }
}
