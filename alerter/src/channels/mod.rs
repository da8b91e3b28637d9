//! How alerts leave: one file for each kind of channel, and what they share.

pub mod courier;
pub mod message;

pub mod webhook;

pub mod address;
pub mod secret;

use logystera_schemas::control::ChannelKind;
use logystera_schemas::delivery::AttemptOutcome;
use logystera_schemas::ids::{ChannelId, TenantId};

use secret::Secret;

/// Where a channel's messages go. It has no `Debug`: addresses often carry tokens, and the secret is one.
#[derive(Clone)]
pub struct Target {
    /// What the channel speaks.
    pub kind: ChannelKind,
    /// Its address.
    pub url: String,
    /// What its messages are signed with.
    pub secret: Secret,
}

/// Finds a channel's address and secret, which the log does not carry.
pub trait Channels: Send + Sync + 'static {
    /// The channel, where it is the tenant's and is there.
    fn find(&self, tenant: &TenantId, channel: &ChannelId) -> Option<Target>;
}

/// What was seen of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// How it went.
    pub outcome: AttemptOutcome,
    /// HTTP status, where there was one.
    pub status: Option<u32>,
    /// Seconds that the channel asked to be left alone.
    pub retry_after_s: Option<u64>,
}

impl Answer {
    /// An attempt without an answer.
    pub const fn none(outcome: AttemptOutcome) -> Self {
        Self { outcome, status: None, retry_after_s: None }
    }
}
