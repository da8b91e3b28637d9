//! A gateway: what all its requests share.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::sync::{Arc, Mutex};

use logystera_infra::clock::Clock;
use logystera_infra::log::Log;
use logystera_infra::telemetry::Seldom;
use logystera_schemas::ids::{KeyId, SiteId, SpoolId};
use logystera_schemas::replay::ReplayWindow;
use logystera_schemas::signature::Secret;
use tokio::sync::{Notify, Semaphore, watch};

use crate::config::GatewayConfig;
use crate::core::clock::ClockWatch;
use crate::core::election::Election;
use crate::core::quota::Quotas;
use crate::core::recall::{Recall, Recalled};
use crate::core::replay::Replay;
use crate::core::rhythm::Rhythm;
use crate::core::tally::Tally;
use crate::keys::Keys;
use crate::lock::lock;
use crate::meters::Meters;
use crate::places::Places;
use crate::server::Saturation;

/// A gateway; its clones are the same one.
pub struct Gateway<L>(pub(crate) Arc<Inner<L>>);

impl<L> Clone for Gateway<L> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

pub(crate) struct Inner<L> {
    pub(crate) config: GatewayConfig,
    pub(crate) log: L,
    pub(crate) keys: Arc<dyn Keys>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) meters: Meters,
    /// Secret that unknown keys are checked with, so that they cost as much as known ones.
    pub(crate) dummy: Secret,
    pub(crate) replay: Mutex<Replay>,
    pub(crate) quotas: Mutex<Quotas>,
    pub(crate) tally: Mutex<Tally>,
    /// Wakes requests that wait for another try of their batch when such a try has ended.
    pub(crate) some_ended: Notify,
    pub(crate) unauthenticated: Arc<Semaphore>,
    pub(crate) unwritten: Arc<Semaphore>,
    pub(crate) large_bodies: Places,
    pub(crate) clock_watch: Mutex<ClockWatch>,
    /// Whether the clock was believed when it was judged last for a tick.
    pub(crate) clock_agreed: AtomicBool,
    /// Which of several gateways writes the ticks; none: there is but this one.
    pub(crate) election: Option<Mutex<Election>>,
    /// Whether this gateway would write ticks: it believes its clock, the log takes its appends, and its door has room.
    pub(crate) stands: watch::Sender<bool>,
    /// Whether the senders' door is too small for those who come.
    pub(crate) saturation: Arc<Saturation>,
    pub(crate) rush_told: Seldom,
    /// Ticks in a row that were not written because of `saturation`.
    pub(crate) ticks_withheld: AtomicU32,
    /// When ticks are written; of use only if the configuration lets them be seldom.
    pub(crate) rhythm: Mutex<Rhythm>,
    pub(crate) log_told: Seldom,
    /// No new batch is taken.
    pub(crate) closing: AtomicBool,
    /// The partitions that did not take their newest append.
    pub(crate) missed: Mutex<BTreeSet<u32>>,
    /// Some partition took its newest append, as far as is known.
    pub(crate) log_ready: AtomicBool,
}

impl<L: Log> Gateway<L> {
    /// A gateway that appends to `log`. The metrics' recorder, if there is one, must be installed before.
    pub fn new(config: GatewayConfig, log: L, keys: Arc<dyn Keys>, clock: Arc<dyn Clock>) -> Self {
        let budget = |bytes: usize| Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS)));
        Self(Arc::new(Inner {
            meters: Meters::new(),
            dummy: Secret::new([0; 32]),
            replay: Mutex::new(Replay::new()),
            quotas: Mutex::new(Quotas::new(config.quota)),
            tally: Mutex::new(Tally::default()),
            some_ended: Notify::new(),
            unauthenticated: budget(config.unauthenticated_bytes_max),
            unwritten: budget(config.unwritten_bytes_max),
            large_bodies: Places::new(),
            clock_watch: Mutex::new(match &config.among_others {
                Some(_) => ClockWatch::among_others(),
                None => ClockWatch::alone(),
            }),
            clock_agreed: AtomicBool::new(true),
            election: config.among_others.as_deref().map(|own| Mutex::new(Election::new(own))),
            stands: watch::Sender::new(false),
            saturation: Arc::default(),
            rush_told: Seldom::new(),
            ticks_withheld: AtomicU32::new(0),
            rhythm: Mutex::default(),
            log_told: Seldom::new(),
            closing: AtomicBool::new(false),
            missed: Mutex::default(),
            log_ready: AtomicBool::new(true),
            config,
            log,
            keys,
            clock,
        }))
    }

    /// Takes what is known of a spool under a key from before this process, so that a repetition across a restart is
    /// not stored twice. No key: it is not known under which.
    pub fn remember_spool(&self, site: &SiteId, spool: SpoolId, key: Option<&KeyId>, seen: ReplayWindow, last_ms: i64) {
        lock(&self.0.replay).restore(site, spool, key, seen, last_ms);
    }

    /// Takes what stands in a partition of the log, record by record in its order.
    pub fn recall(&self, recall: &mut Recall, recalled: impl IntoIterator<Item = Recalled>) {
        let mut replay = lock(&self.0.replay);
        recalled.into_iter().for_each(|recalled| recall.take(&mut replay, recalled));
    }
}
