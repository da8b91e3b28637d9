//! Who may write to a topic that is about to grow: a gateway writes to `signals` only while it holds a lease, which it asks for
//! anew every few seconds in topic `control`. The lease also tells the other gateways what time this one has, and whether it would
//! write ticks.
//!
//! A growth begins with a record in the same topic. A gateway that reads on to its own newest lease has seen that record, if it
//! stands before it, and stops; one that has not seen it stops when the lease is over. So once every gateway has said that it
//! stopped, or two leases have passed, nothing more is acknowledged in the old generation.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use logystera_schemas::control::{Entity, GrowingTopic, Lease, ProcessRole};
use logystera_schemas::limits::{LEASE_MS, LEASE_RENEW_MS};
use logystera_schemas::topic::Topic;
use tokio::sync::{Notify, watch};

use super::super::config::KafkaConfig;
use super::layout::Layouts;
use crate::clock::Clock;
use crate::directory::{Directory, DirectoryView, entry};
use crate::log::{Entry, Log, LogError};
use crate::shutdown::Shutdown;
use logystera_schemas::partition::Generation;

/// How long the end of a process may wait for its lease to be given back.
const RELEASE_WAIT: Duration = Duration::from_secs(2);
/// How long a lease that could not be written is left alone.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// What a lease says, and what follows from it. Times are of a clock that never goes back.
#[derive(Debug)]
struct LeaseState {
    instance: String,
    incarnation: i64,
    layouts: Layouts,
    /// Renewals asked for so far.
    renewal: u64,
    /// When those were asked for that topic `control` has not shown yet, and the newest that it has.
    asked_ms: BTreeMap<u64, i64>,
    /// Until when the lease holds.
    until_ms: i64,
    /// Appends under way.
    inside: usize,
    /// The newest generation that was left.
    left: Option<u32>,
    /// Whether the gateway would write ticks, and what of that was told last.
    ticks: bool,
    told_ticks: Option<bool>,
    /// Whether topic `control` has shown a lease of this process: only then is one of another incarnation newer than its own,
    /// and not what an earlier process under the name has left.
    was_seen: bool,
    /// Another process has the name.
    is_superseded: bool,
}

impl LeaseState {
    /// What has to be written now: the next renewal, or that the closing generation was left.
    fn due(&mut self, now_ms: i64) -> Option<Lease> {
        let written = self.layouts.written(Topic::Signals).number;
        let leaves = self.layouts.is_closing(GrowingTopic::Signals) && self.inside == 0 && self.left < Some(written);
        let last_ms = self.asked_ms.get(&self.renewal).copied();
        let pause_ms = if now_ms < self.until_ms { LEASE_RENEW_MS } else { RETRY_PAUSE.as_millis() as i64 };
        let renews = last_ms.is_none_or(|last_ms| now_ms - last_ms >= pause_ms);
        // The others act by it.
        let turns = self.told_ticks != Some(self.ticks);
        if self.is_superseded || !(leaves || renews || turns) {
            return None;
        }
        self.told_ticks = Some(self.ticks);
        if leaves {
            self.left = Some(written);
        }
        self.renewal += 1;
        self.asked_ms.retain(|_, asked_ms| now_ms - *asked_ms < LEASE_MS);
        self.asked_ms.insert(self.renewal, now_ms);
        Some(self.lease(false))
    }

    fn lease(&self, released: bool) -> Lease {
        let (role, instance, incarnation) = (ProcessRole::Gateway, self.instance.clone(), self.incarnation);
        let Self { renewal, left, ticks, .. } = *self;
        Lease { role, instance, incarnation, renewal, left, released, at: None, ticks: ticks && !released }
    }

    /// Takes in what topic `control` says.
    fn see(&mut self, layouts: Layouts, lease: Option<&Lease>) {
        self.layouts = layouts;
        let Some(lease) = lease else {
            // Whoever had the name has given it back.
            self.is_superseded = false;
            return;
        };
        let is_own = lease.incarnation == self.incarnation;
        self.was_seen |= is_own;
        self.is_superseded = self.was_seen && !is_own;
        // While a growth shuts the door nothing prolongs what was promised before it.
        if !is_own || self.layouts.is_closing(GrowingTopic::Signals) {
            return;
        }
        if let Some(asked_ms) = self.asked_ms.get(&lease.renewal) {
            self.until_ms = asked_ms + LEASE_MS;
            self.asked_ms = self.asked_ms.split_off(&lease.renewal);
        }
    }

    /// The generation to write to, if that may be done now.
    fn writes(&self, now_ms: i64) -> Result<Generation, &'static str> {
        if self.is_superseded {
            return Err("another process has this one's name: give each its own --instance");
        }
        if self.layouts.is_closing(GrowingTopic::Signals) {
            return Err("the partitions of topic signals are growing");
        }
        self.holds(now_ms)?;
        Ok(self.layouts.written(Topic::Signals))
    }

    fn holds(&self, now_ms: i64) -> Result<(), &'static str> {
        if now_ms < self.until_ms { Ok(()) } else { Err("the lease to write to topic signals is over") }
    }

    /// Whether what the broker has acknowledged now, in this generation, may be acknowledged to the sender.
    fn counts(&self, generation: Generation, now_ms: i64) -> Result<(), &'static str> {
        let before = "it was written to partitions that have grown since";
        if self.layouts.written(Topic::Signals) == generation { self.holds(now_ms) } else { Err(before) }
    }
}

/// Lets a gateway write to `signals` while its lease holds; its clones are the same.
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
    /// The door of the gateway with this name, shut until [`Self::keep`] has got a lease. `incarnation` must be another one for
    /// each process.
    pub fn new(config: &KafkaConfig, instance: &str, incarnation: i64, clock: Arc<dyn Clock>) -> Self {
        let state = LeaseState {
            instance: instance.to_owned(),
            incarnation,
            layouts: Layouts::initial(config),
            renewal: 0,
            asked_ms: BTreeMap::new(),
            until_ms: i64::MIN,
            inside: 0,
            left: None,
            ticks: false,
            told_ticks: None,
            was_seen: false,
            is_superseded: false,
        };
        let shared = Shared { config: config.clone(), state: Mutex::new(state), clock, emptied: Notify::new() };
        Self { shared: Arc::new(shared) }
    }

    fn state(&self) -> MutexGuard<'_, LeaseState> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The generation of `signals` that is written.
    pub(in crate::log::kafka) fn generation(&self) -> Generation {
        self.state().layouts.written(Topic::Signals)
    }

    /// Whether `signals` can be written to now.
    pub fn is_open(&self) -> bool {
        self.state().writes(self.shared.clock.monotonic_ms()).is_ok()
    }

    /// Begins an append.
    pub(in crate::log::kafka) fn enter(&self) -> Result<AppendPermit<'_>, LogError> {
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

    /// Keeps the lease until `shutdown`; then gives it back. `log` must not be one that goes through this door. `ticks` says whether
    /// the gateway would write ticks.
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
                () = tokio::time::sleep(RETRY_PAUSE) => {}
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
pub(in crate::log::kafka) struct AppendPermit<'a> {
    lease: &'a WriteLease,
    pub(in crate::log::kafka) generation: Generation,
}

impl AppendPermit<'_> {
    /// Whether what the broker has acknowledged counts.
    pub(in crate::log::kafka) fn check(&self) -> Result<(), LogError> {
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

#[cfg(test)]
mod tests {
    use logystera_schemas::control::{GrowthPhase, Partitions};

    use super::*;
    use crate::clock::SystemClock;

    fn layouts(generations: &[u32], phase: GrowthPhase) -> Layouts {
        let mut directory = Directory::default();
        let (topic, generations) = (GrowingTopic::Signals, generations.to_vec());
        directory.put(Entity::Partitions(Partitions { topic, generations, phase }));
        Layouts::of(&KafkaConfig::new("b"), &directory)
    }

    /// A state of incarnation 1 that has seen its first lease, asked for at 0.
    fn state() -> LeaseState {
        let lease = WriteLease::new(&KafkaConfig::new("b"), "g", 1, Arc::new(SystemClock::new()));
        let mut state = Arc::into_inner(lease.shared).unwrap().state.into_inner().unwrap();
        assert!(state.writes(0).is_err(), "shut at first");
        let lease = state.due(0).unwrap();
        state.see(layouts(&[4], GrowthPhase::Open), Some(&lease));
        state
    }

    #[test]
    fn a_lease_holds_from_when_it_was_asked_for() {
        let mut state = state();
        assert!(state.writes(LEASE_MS - 1).is_ok() && state.writes(LEASE_MS).is_err());
        assert_eq!(state.due(LEASE_RENEW_MS - 1), None);
        let second = state.due(LEASE_RENEW_MS).unwrap();
        // Seen late: it counts from the asking.
        state.see(layouts(&[4], GrowthPhase::Open), Some(&second));
        assert!(state.writes(LEASE_RENEW_MS + LEASE_MS - 1).is_ok());
        assert!(state.writes(LEASE_RENEW_MS + LEASE_MS).is_err());
        // Seen again it renews nothing; and one that is seen when the next is on its way counts.
        let third = state.due(2 * LEASE_RENEW_MS).unwrap();
        state.see(layouts(&[4], GrowthPhase::Open), Some(&second));
        assert!(state.writes(LEASE_RENEW_MS + LEASE_MS).is_err());
        let fourth = state.due(3 * LEASE_RENEW_MS).unwrap();
        state.see(layouts(&[4], GrowthPhase::Open), Some(&third));
        assert!(state.writes(2 * LEASE_RENEW_MS + LEASE_MS - 1).is_ok());
        assert_eq!((second.renewal, third.renewal, fourth.renewal), (2, 3, 4));
    }

    #[test]
    fn a_growth_shuts_the_door_and_is_answered_when_nobody_is_inside() {
        let mut state = state();
        let before = state.writes(0).unwrap();
        state.inside = 1;
        let asked = state.due(LEASE_RENEW_MS).unwrap();
        state.see(layouts(&[4, 16], GrowthPhase::Closing), Some(&asked));
        assert!(state.writes(LEASE_RENEW_MS).is_err(), "nobody gets in");
        assert!(state.counts(before, LEASE_RENEW_MS).is_ok(), "who is inside still counts");
        assert!(state.counts(before, LEASE_MS).is_err(), "the lease was not renewed");
        state.inside = 0;
        let left = state.due(LEASE_RENEW_MS + 1).unwrap();
        assert_eq!((left.left, left.released), (Some(0), false));
        assert_eq!(state.due(LEASE_RENEW_MS + 2), None, "said once");

        // It goes on in the new generation, with a lease asked for anew.
        state.see(layouts(&[4, 16], GrowthPhase::Moving), Some(&left));
        let after = state.writes(LEASE_RENEW_MS + 2).unwrap();
        assert_eq!((after.number, after.partitions), (1, 16));
        assert!(state.counts(before, LEASE_RENEW_MS + 2).is_err(), "too late for the old one");
        assert!(state.writes(LEASE_RENEW_MS + 1 + LEASE_MS).is_err());
    }

    #[test]
    fn a_second_process_under_the_name_is_the_one() {
        let mut state = state();
        let other = Lease { incarnation: 2, ..state.lease(false) };
        state.see(layouts(&[4], GrowthPhase::Open), Some(&other));
        assert!(state.writes(1).unwrap_err().contains("--instance") && state.due(LEASE_MS).is_none());
        // It ends, and gives the lease back: this one asks anew.
        state.see(layouts(&[4], GrowthPhase::Open), None);
        let again = state.due(LEASE_MS).expect("it asks again");
        state.see(layouts(&[4], GrowthPhase::Open), Some(&again));
        assert!(state.writes(LEASE_MS + 1).is_ok());
    }

    #[test]
    fn that_it_would_write_ticks_or_not_any_more_is_told_at_once() {
        let mut state = state();
        assert_eq!(state.due(1), None);
        state.ticks = true;
        assert!(state.due(2).unwrap().ticks);
        assert_eq!(state.due(3), None, "said once");
        assert!(!state.lease(true).ticks, "who has ended writes none");
        state.ticks = false;
        assert_eq!(state.due(4).map(|lease| lease.ticks), Some(false));
    }

    #[test]
    fn what_an_earlier_process_left_behind_does_not_shut_the_door() {
        let lease = WriteLease::new(&KafkaConfig::new("b"), "g", 1, Arc::new(SystemClock::new()));
        let mut state = Arc::into_inner(lease.shared).unwrap().state.into_inner().unwrap();
        let stale = Lease { incarnation: 7, ..state.lease(false) };
        state.see(layouts(&[4], GrowthPhase::Open), Some(&stale));
        let first = state.due(0).unwrap();
        // Read before the first one is there.
        state.see(layouts(&[4], GrowthPhase::Open), Some(&stale));
        assert!(state.writes(0).is_err());
        state.see(layouts(&[4], GrowthPhase::Open), Some(&first));
        assert!(state.writes(0).is_ok());
    }

    /// The first lease gets lost on its way while topic `control` shows what an earlier process has left.
    #[test]
    fn a_first_lease_that_was_not_written_is_asked_for_again() {
        let lease = WriteLease::new(&KafkaConfig::new("b"), "g", 1, Arc::new(SystemClock::new()));
        let mut state = Arc::into_inner(lease.shared).unwrap().state.into_inner().unwrap();
        let stale = Lease { incarnation: 7, ..state.lease(false) };
        state.due(0).unwrap();
        state.see(layouts(&[4], GrowthPhase::Open), Some(&stale));
        assert!(!state.writes(0).unwrap_err().contains("--instance"), "nobody has its name");
        let pause_ms = RETRY_PAUSE.as_millis() as i64;
        let second = state.due(pause_ms).expect("it asks again");
        state.see(layouts(&[4], GrowthPhase::Open), Some(&second));
        assert!(state.writes(pause_ms).is_ok());
        let other = Lease { incarnation: 2, ..second };
        state.see(layouts(&[4], GrowthPhase::Open), Some(&other));
        assert!(state.writes(pause_ms).unwrap_err().contains("--instance"), "now somebody has");
    }
}
