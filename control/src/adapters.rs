//! What the service needs of the outside, as traits: it knows no channel's protocol itself.

use std::pin::Pin;

use logystera_schemas::control::Channel;
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
}

/// Speaks the channels' protocols.
pub trait ChannelAdapter: Send + Sync {
    /// The address as it is kept, if alerts may go there. The error says what is wrong, and the way out.
    fn vet(&self, url: &str) -> Result<String, String>;

    /// A new secret, in the form that its receiver is given.
    fn new_secret(&self) -> Zeroizing<String>;

    /// Sends a test message at `at_ms`, milliseconds since the epoch. `settings` is the channel's configuration in the
    /// clear.
    fn test<'a>(
        &'a self,
        channel: &'a Channel,
        settings: &'a [u8],
        at_ms: i64,
    ) -> Later<'a, Result<TestOutcome, ControlError>>;
}
