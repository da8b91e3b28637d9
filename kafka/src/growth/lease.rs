//! The gateway's write lease on topic `signals`: a gateway writes to `signals` only while it holds a lease, which it
//! asks for anew every few seconds in topic `control`. The lease also tells the other gateways what time this one has,
//! and whether it would write ticks.
//!
//! A growth begins with a record in the same topic. A gateway that reads on to its own newest lease has seen that
//! record, if it stands before it, and stops; one that has not seen it stops when the lease is over. So once every
//! gateway has said that it stopped, or two leases have passed, nothing more is acknowledged in the old generation.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use logystera_infra::clock::Clock;
use logystera_infra::directory::{Directory, DirectoryView, entry};
use logystera_infra::log::{Entry, Log, LogError};
use logystera_infra::shutdown::Shutdown;
use logystera_schemas::control::{Entity, GrowingTopic, Lease, ProcessRole};
use logystera_schemas::partition::Generation;
use logystera_schemas::topic::Topic;
use tokio::sync::{Notify, watch};

use super::layout::Layouts;
use super::lease_state::{LeaseState, RETRY_PAUSE_MS};
use crate::config::KafkaConfig;

/// How long the end of a process may wait for its lease to be given back.
const RELEASE_WAIT: Duration = Duration::from_secs(2);

/// The gateway's write lease on topic `signals`; its clones are the same.
#[derive(Clone)]
pub struct WriteLease {
    shared: Arc<Shared>,
}

struct Shared {
    config: KafkaConfig,
    state: Mutex<LeaseState>,
    clock: Arc<dyn Clock>,
    /// The last append under way has ended.
    emptied: Notify,
}

impl std::fmt::Debug for WriteLease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("WriteLease").field(&self.state()).finish()
    }
}

impl WriteLease {
    /// The lease of the gateway with this name. It does not hold before [`Self::keep`] has got it. `incarnation` must
    /// differ from process to process.
    pub fn new(config: &KafkaConfig, instance: &str, incarnation: i64, clock: Arc<dyn Clock>) -> Self {
        let state = LeaseState::new(instance, incarnation, Layouts::initial(config));
        let shared = Shared { config: config.clone(), state: Mutex::new(state), clock, emptied: Notify::new() };
        Self { shared: Arc::new(shared) }
    }

    fn state(&self) -> MutexGuard<'_, LeaseState> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The generation of `signals` that is written.
    pub(crate) fn generation(&self) -> Generation {
        self.state().layouts.written(Topic::Signals)
    }

    /// Whether `signals` can be written to now.
    pub fn is_open(&self) -> bool {
        self.state().writes(self.shared.clock.monotonic_ms()).is_ok()
    }

    /// Begins an append.
    pub(crate) fn enter(&self) -> Result<AppendPermit<'_>, LogError> {
        let mut state = self.state();
        let generation = state.writes(self.shared.clock.monotonic_ms()).map_err(shut)?;
        state.inside += 1;
        Ok(AppendPermit { lease: self, generation })
    }

    fn see(&self, directory: &Directory) {
        let layouts = Layouts::of(&self.shared.config, directory);
        let mut state = self.state();
        let lease = directory.lease(ProcessRole::Gateway, &state.instance).cloned();
        let was_closing = state.layouts.is_closing(GrowingTopic::Signals);
        state.see(layouts, lease.as_deref());
        match (was_closing, state.layouts.is_closing(GrowingTopic::Signals)) {
            (false, true) => tracing::info!("the partitions of topic signals grow: senders are told to come again"),
            (true, false) => {
                let Generation { number, partitions, .. } = state.layouts.written(Topic::Signals);
                tracing::info!(generation = number, partitions, "the partitions of topic signals have grown");
            }
            _ => {}
        }
    }

    /// Keeps the lease until `shutdown`; then gives it back. `log` must not be one that this lease guards. `ticks` says
    /// whether the gateway would write ticks.
    pub async fn keep(
        self,
        log: impl Log,
        mut view: DirectoryView,
        mut ticks: watch::Receiver<bool>,
        shutdown: Shutdown,
    ) {
        let mut was_away = false;
        self.see(&view.current());
        while !shutdown.is_set() {
            let due = {
                let mut state = self.state();
                state.ticks = *ticks.borrow_and_update();
                state.due(self.shared.clock.monotonic_ms())
            };
            if let Some(lease) = due {
                match log.append(vec![self.written(lease)]).await {
                    Ok(()) => was_away = false,
                    Err(error) if !was_away => {
                        was_away = true;
                        tracing::warn!(%error, "the lease to write to topic signals cannot be renewed");
                    }
                    Err(_) => {}
                }
            }
            tokio::select! {
                directory = view.changed() => self.see(&directory),
                () = self.shared.emptied.notified() => {}
                Ok(()) = ticks.changed() => {}
                () = tokio::time::sleep(Duration::from_millis(RETRY_PAUSE_MS as u64)) => {}
                () = shutdown.wait() => {}
            }
        }
        let released = self.state().lease(true);
        drop(tokio::time::timeout(RELEASE_WAIT, log.append(vec![self.written(released)])).await);
    }

    /// A lease as it is written now.
    fn written(&self, lease: Lease) -> Entry {
        entry(&Entity::Lease(Lease { at: Some(self.shared.clock.wall_ms()), ..lease }))
    }
}

fn shut(why: &str) -> LogError {
    LogError::Away(why.to_owned())
}

/// An append under way.
pub(crate) struct AppendPermit<'a> {
    lease: &'a WriteLease,
    pub(crate) generation: Generation,
}

impl AppendPermit<'_> {
    /// Whether an append that the broker has acknowledged counts: the lease still holds, in the same generation.
    pub(crate) fn check(&self) -> Result<(), LogError> {
        self.lease.state().counts(self.generation, self.lease.shared.clock.monotonic_ms()).map_err(shut)
    }
}

impl Drop for AppendPermit<'_> {
    fn drop(&mut self) {
        let mut state = self.lease.state();
        state.inside -= 1;
        if state.inside == 0 {
            self.lease.shared.emptied.notify_one();
        }
    }
}
