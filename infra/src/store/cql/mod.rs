//! The store in ScyllaDB or Cassandra.
//!
//! Every row is written and deleted at the write time of its version, so that whoever comes late loses. A connection serves all
//! tasks of a process; it is made in the background and may come late.

mod batches;
mod migrations;
mod queue;
mod session;
mod tls;
mod writer;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use logystera_schemas::limits::{STORE_READS_MAX, STORE_RETRY_MS_MAX, STORE_RETRY_MS_MIN, STORE_TAKEOVER_WAIT_MS_MAX};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::{Change, Changes, Claim, Rewrite, StateOwner, StoreConfig, StoreError, is_keyspace, shown};
use crate::clock::Clock;
use batches::Place;
use queue::Budget;
use session::{Db, away};
use writer::Shared;
pub(crate) use writer::WriteBehind;

/// Threads that serve the store's connections.
const THREADS: usize = 2;
/// How long connecting may take, and creating the tables.
const CONNECT_WAIT: Duration = Duration::from_secs(30);
/// How often the age of what waits is shown.
const SHOW_EVERY: Duration = Duration::from_millis(500);
/// Entries that are copied at a time where everything is written anew.
const REWRITE_ENTRIES_MAX: usize = 10_000;

/// The store of an installation; its clones are the same.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    config: StoreConfig,
    clock: Arc<dyn Clock>,
    /// None when it ends.
    runtime: Option<Runtime>,
    db: watch::Receiver<Option<Arc<Db>>>,
    /// Whether writers wait.
    held: watch::Sender<bool>,
    writers: Mutex<Vec<Weak<Shared>>>,
    budget: Arc<Budget>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("config", &self.inner.config).finish_non_exhaustive()
    }
}

impl Inner {
    fn handle(&self) -> &Handle {
        match &self.runtime {
            Some(runtime) => runtime.handle(),
            None => unreachable!("it is taken when nobody holds this any more"),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Whoever drops the last clone may not be allowed to wait.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Store {
    /// The store that `config` describes. It is connected in the background, again and again until it is there.
    pub fn open(config: StoreConfig, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        if !is_keyspace(&config.keyspace) {
            return Err(StoreError::Unusable(format!("{:?} is no name of a keyspace", config.keyspace)));
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("store")
            .enable_all()
            .build()
            .map_err(|e| away(&e))?;
        let (connected, db) = watch::channel(None);
        runtime.spawn(connect(config.clone(), connected));
        let inner = Inner {
            budget: Arc::new(Budget::new(config.queue_bytes_max)),
            config,
            clock,
            runtime: Some(runtime),
            db,
            held: watch::Sender::new(false),
            writers: Mutex::default(),
        };
        let store = Self { inner: Arc::new(inner) };
        store.inner.handle().spawn(show(Arc::downgrade(&store.inner)));
        Ok(store)
    }

    /// Whether it is connected, waiting up to `wait` for it.
    pub fn is_connected(&self, wait: Duration) -> bool {
        self.inner.handle().block_on(self.connected(wait)).is_ok()
    }

    /// Makes writers wait, or go on, as an owner does that was stopped and comes back late: for tests.
    #[cfg(any(test, feature = "conformance"))]
    pub fn hold_writes(&self, held: bool) {
        self.inner.held.send_replace(held);
    }

    async fn connected(&self, wait: Duration) -> Result<Arc<Db>, StoreError> {
        let mut db = self.inner.db.clone();
        let found = tokio::time::timeout(wait, db.wait_for(Option::is_some)).await.map_err(|e| away(&e))?;
        found.map_err(|e| away(&e))?.clone().ok_or_else(|| away("not connected"))
    }

    /// The wall clock, milliseconds.
    pub(crate) fn now_ms(&self) -> i64 {
        self.inner.clock.wall_ms()
    }

    /// What the owner's rows are known to hold. Waits a bounded time.
    pub(crate) fn claim(&self, owner: &StateOwner) -> Result<Option<Claim>, StoreError> {
        self.in_time(async |db| db.claim(owner).await)
    }

    /// Which of all that were made under its name the store is now. Waits a bounded time.
    pub(crate) fn incarnation(&self) -> Result<String, StoreError> {
        self.in_time(async |db| db.incarnation().await)
    }

    fn in_time<T>(&self, ask: impl AsyncFnOnce(Arc<Db>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let wait = Duration::from_millis(STORE_TAKEOVER_WAIT_MS_MAX);
        self.inner.handle().block_on(async {
            let found = tokio::time::timeout(wait, async { ask(self.connected(wait).await?).await }).await;
            found.map_err(|e| away(&e))?
        })
    }

    /// Begins to load the owner's rows.
    pub(crate) fn load(&self, owner: &StateOwner) -> Load {
        let (store, owner) = (self.clone(), Arc::new(owner.clone()));
        let rows = self.inner.handle().spawn(async move {
            let db = store.connected(Duration::ZERO).await?;
            load(&db, &owner).await
        });
        Load { rows, handle: self.inner.handle().clone() }
    }

    /// Begins to write behind an owner's commits; first of all `rewrite`. `incarnation` is the store's that has the owner's rows
    /// already; where it is none, everything is to be written, to whichever the store is then.
    pub(crate) fn write_behind(
        &self,
        owner: StateOwner,
        rewrite: Option<Rewrite>,
        incarnation: Option<String>,
    ) -> WriteBehind {
        let writer = WriteBehind::start(self, owner, rewrite, incarnation);
        let mut writers = self.inner.writers.lock().unwrap_or_else(PoisonError::into_inner);
        writers.retain(|shared| shared.strong_count() > 0);
        writers.push(Arc::downgrade(writer.shared()));
        writer
    }
}

/// Rows that are being loaded.
pub(crate) struct Load {
    rows: JoinHandle<Result<Changes, StoreError>>,
    handle: Handle,
}

impl Load {
    /// The rows.
    pub(crate) fn wait(self) -> Result<Changes, StoreError> {
        self.handle.block_on(self.rows).map_err(|e| away(&e))?
    }
}

async fn load(db: &Arc<Db>, owner: &Arc<StateOwner>) -> Result<Changes, StoreError> {
    let (mut reading, mut rows) = (JoinSet::new(), Vec::new());
    let key_groups = owner.key_groups.iter().map(|key_group| Place::KeyGroup(*key_group));
    for place in key_groups.chain([Place::Own]) {
        if reading.len() >= STORE_READS_MAX {
            rows.extend(reading.join_next().await.transpose().map_err(|e| away(&e))?);
        }
        let (db, owner) = (Arc::clone(db), Arc::clone(owner));
        reading.spawn(async move {
            let mut rows: Vec<(Vec<u8>, Change)> = Vec::new();
            db.read(&owner, place, |key, change| rows.push((key, change))).await.map(|()| rows)
        });
    }
    while let Some(read) = reading.join_next().await {
        rows.push(read.map_err(|e| away(&e))?);
    }
    let rows = rows.into_iter().collect::<Result<Vec<_>, StoreError>>()?;
    Ok(rows.into_iter().flatten().collect())
}

/// The next live entries after `last`, all at `version`.
fn chunk(entries: &Changes, last: Option<&[u8]>, version: u64) -> Vec<(Vec<u8>, Change)> {
    let from = last.map_or(Bound::Unbounded, Bound::Excluded);
    let live = entries.range::<[u8], _>((from, Bound::Unbounded)).filter(|(_, change)| change.value.is_some());
    let at_version = |(key, change): (&Vec<u8>, &Change)| (key.clone(), Change { version, ..change.clone() });
    live.take(REWRITE_ENTRIES_MAX).map(at_version).collect()
}

async fn connect(config: StoreConfig, connected: watch::Sender<Option<Arc<Db>>>) {
    let mut pause_ms = STORE_RETRY_MS_MIN;
    loop {
        // The driver would wait for ever for a node that takes connections and answers nothing.
        let db = tokio::time::timeout(CONNECT_WAIT, Db::connect(&config)).await;
        match db.map_err(|e| away(&e)).flatten() {
            Ok(db) => {
                connected.send_replace(Some(Arc::new(db)));
                tracing::info!(keyspace = config.keyspace, "the store is connected");
                // Its readers are told that it is there for as long as this lives.
                return connected.closed().await;
            }
            Err(error) => {
                if pause_ms == STORE_RETRY_MS_MAX || pause_ms == STORE_RETRY_MS_MIN {
                    tracing::warn!(%error, "the store cannot be used yet");
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        pause_ms = (2 * pause_ms).min(STORE_RETRY_MS_MAX);
    }
}

/// Shows, for each application, how long its oldest commit has waited.
async fn show(store: Weak<Inner>) {
    let mut ages = BTreeMap::<String, i64>::new();
    loop {
        tokio::time::sleep(SHOW_EVERY).await;
        let Some(store) = store.upgrade() else { return };
        let writers = store.writers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for age_ms in ages.values_mut() {
            *age_ms = 0;
        }
        for writer in writers.iter().filter_map(Weak::upgrade) {
            let age_ms = ages.entry(writer.owner.label.clone()).or_default();
            *age_ms = (*age_ms).max(writer.age_ms());
        }
        for (app, age_ms) in &ages {
            let gauge = metrics::gauge!("logystera_store_flush_age_seconds", "app" => app.clone());
            gauge.set(shown(age_ms.unsigned_abs()) / 1_000.0);
        }
    }
}
