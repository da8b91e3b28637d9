//! How alerts leave: what every kind of channel does ([`Messenger`]), one file for each kind, and what they share.

pub mod courier;
pub mod kinds;

pub mod webhook;

pub mod message;

pub mod address;
pub mod secret;

use std::future::Future;
use std::pin::Pin;

use logystera_schemas::control::ChannelKind;
use logystera_schemas::delivery::{AttemptCause, AttemptOutcome};
use logystera_schemas::ids::{ChannelId, DeliveryId, RuleName, TenantId};

use crate::core::Due;
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

/// What comes of an attempt, once it is known.
pub type Attempting<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// One kind of channel. The file of a kind has `parse` and `vet` for its settings, which are checked before there is a
/// target. [`kinds`] has the messenger of each kind.
pub trait Messenger: Send + Sync {
    /// The message of a delivery. Its bytes are a function of what goes in, so that a retry says the same. `public_url` is the
    /// deployment's address; `advice` what the rule says to a person.
    fn render(&self, due: &Due, public_url: &str, advice: Option<&Advice>) -> Vec<u8>;

    /// Makes one attempt, and says what its answer means. `id` is the idempotency key, `now_ms` the time now in
    /// milliseconds since the epoch. The target is vetted once more: what may be called can have changed since it was
    /// configured.
    fn send<'a>(&'a self, target: &'a Target, id: DeliveryId, message: Vec<u8>, now_ms: i64) -> Attempting<'a>;
}

/// Finds a channel's address and secret, which the log does not carry.
pub trait Channels: Send + Sync + 'static {
    /// Where the messages of the channel go. None: the tenant has no such channel.
    fn find(&self, tenant: &TenantId, channel: &ChannelId) -> Option<Target>;
}

/// What a rule says to the person who gets its alert.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advice {
    /// Why it matters.
    pub why: Option<String>,
    /// What to do about it.
    pub what_to_do: Option<String>,
}

/// Finds a rule's advice, which a detection does not carry.
pub trait Advisor: Send + Sync + 'static {
    /// The advice of this revision of a rule. None: no known configuration has that revision.
    fn find(&self, rule: &RuleName, revision: &str) -> Option<Advice>;
}

/// What was seen of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// How it went.
    pub outcome: AttemptOutcome,
    /// HTTP status, if there was an answer.
    pub status: Option<u32>,
    /// For how many seconds the channel asked to be left alone.
    pub retry_after_s: Option<u64>,
    /// Why it was unreachable, if that was seen.
    pub cause: Option<AttemptCause>,
}

impl Answer {
    /// An attempt without an answer.
    pub const fn none(outcome: AttemptOutcome) -> Self {
        Self { outcome, status: None, retry_after_s: None, cause: None }
    }

    /// No connection, or one that broke.
    pub const fn unreachable(cause: AttemptCause) -> Self {
        Self { outcome: AttemptOutcome::Unreachable, status: None, retry_after_s: None, cause: Some(cause) }
    }
}
