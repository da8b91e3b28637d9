//! What a change is made with: the one writer of topic `control`, and what it asks besides.

use std::sync::Arc;

use logystera_infra::clock::Clock;
use logystera_infra::directory::{Directory, DirectoryWatch};
use logystera_infra::embedded::ControlSeat;
use logystera_infra::log::{Log, LogError};
use logystera_infra::secrets::MasterKey;

use crate::adapters::ChannelAdapter;

/// The one writer of an installation's topic `control`.
pub(crate) struct ControlWriter<L> {
    pub(crate) log: L,
    /// Shared with all that follow the topic in this process, as the gateway and the alerter of `up` do: they know of a
    /// change before it is answered. So a key that was just shown is not refused, and one that was just revoked is not
    /// accepted.
    control: DirectoryWatch<L>,
    seat: Option<ControlSeat>,
}

/// What a change is made with.
pub(crate) struct Context<L> {
    pub(crate) writer: ControlWriter<L>,
    pub(crate) master: MasterKey,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) channels: Arc<dyn ChannelAdapter>,
    /// Name of this machine.
    pub(crate) host: String,
}

impl<L: Log> ControlWriter<L> {
    /// `seat`: what makes it the only one on a data folder; on Kafka the log's own fence does.
    pub(crate) fn new(log: L, control: DirectoryWatch<L>, seat: Option<ControlSeat>) -> Self {
        Self { log, control, seat }
    }

    /// The newest state of the topic.
    pub(crate) fn directory(&self) -> Result<Arc<Directory>, LogError> {
        self.control.refresh()?;
        Ok(self.control.view().current())
    }

    /// Makes all that follow the topic in this process see a change. On Kafka none does: there a command makes it.
    pub(crate) fn tell_followers(&self) {
        if self.seat.is_none() {
            return;
        }
        // If the topic can't be read just now, the change is made all the same: they look again by themselves.
        if let Err(error) = self.control.refresh() {
            tracing::warn!(%error, "a change is made, and known here when topic control can be read again");
        }
    }
}
