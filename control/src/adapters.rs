//! What the service needs of the outside, as traits: it knows no channel's protocol itself.

use std::pin::Pin;

use logystera_schemas::control::{Channel, ChannelKind};
use logystera_schemas::delivery::{AttemptCause, AttemptOutcome};
use zeroize::Zeroizing;

use crate::error::ControlError;

/// A boxed future.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How a test message fared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestOutcome {
    /// What came of it.
    pub outcome: AttemptOutcome,
    /// Why its receiver was not reached, if that was seen.
    pub cause: Option<AttemptCause>,
    /// HTTP status. None: no answer came.
    pub status: Option<u32>,
    /// Code of what the receiver said, if its kind has such codes.
    pub detail: Option<String>,
}

/// The settings of a new channel. They can hold a secret: no `Debug`.
pub struct NewChannel {
    /// As they are stored, sealed.
    pub settings: Zeroizing<String>,
    /// Its addresses as they are kept, for the one who added it.
    pub addresses: Vec<String>,
    /// What its receiver is given to check signatures with, if its kind signs.
    pub secret: Option<Zeroizing<String>>,
}

/// Speaks the channels' protocols.
pub trait ChannelAdapter: Send + Sync {
    /// The settings of a new channel of this kind, if alerts may go to these addresses. The error says what is wrong,
    /// and the way out.
    fn settings(&self, kind: ChannelKind, addresses: &[String]) -> Result<NewChannel, String>;

    /// Sends a test message at `at_ms`, milliseconds since the epoch. `settings` is the channel's configuration in the
    /// clear.
    fn test<'a>(
        &'a self,
        channel: &'a Channel,
        settings: &'a [u8],
        at_ms: i64,
    ) -> Later<'a, Result<TestOutcome, ControlError>>;
}
