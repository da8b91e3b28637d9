//! The store, as tasks see it.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use logystera_infra::clock::Clock;
use logystera_schemas::limits::{STORE_READS_MAX, STORE_TAKEOVER_WAIT_MS_MAX};
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, JoinSet};

use super::away;
use super::batches::RowPartition;
use super::connection::Connection;
use super::session::Db;
use super::writer::WriteBehind;
use crate::state_store::{Change, Changes, Claim, Rewrite, StateOwner, StoreConfig, StoreError};

/// The store of an installation; its clones are the same.
#[derive(Clone)]
pub struct Store {
    connection: Arc<Connection>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("config", &self.connection.config).finish_non_exhaustive()
    }
}

impl Store {
    /// The store that `config` describes. It is connected in the background, again and again until it is there.
    pub fn open(config: StoreConfig, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        Ok(Self { connection: Connection::open(config, clock)? })
    }

    /// Whether it is connected, waiting up to `wait` for it.
    pub fn is_connected(&self, wait: Duration) -> bool {
        self.connection.handle().block_on(self.connected(wait)).is_ok()
    }

    /// Makes writers wait, or go on, as an owner does that was stopped and comes back late: for tests.
    #[cfg(any(test, feature = "conformance"))]
    pub fn hold_writes(&self, held: bool) {
        self.connection.held.send_replace(held);
    }

    async fn connected(&self, wait: Duration) -> Result<Arc<Db>, StoreError> {
        let mut db = self.connection.db.clone();
        let found = tokio::time::timeout(wait, db.wait_for(Option::is_some)).await.map_err(|e| away(&e))?;
        found.map_err(|e| away(&e))?.clone().ok_or_else(|| away("not connected"))
    }

    /// The wall clock, milliseconds.
    pub(crate) fn now_ms(&self) -> i64 {
        self.connection.clock.wall_ms()
    }

    /// What the owner's rows are known to hold. Waits a bounded time.
    pub(crate) fn claim(&self, owner: &StateOwner) -> Result<Option<Claim>, StoreError> {
        self.in_time(async |db| db.claim(owner).await)
    }

    /// Tells the store from all that were made under its name. Waits a bounded time.
    pub(crate) fn incarnation(&self) -> Result<String, StoreError> {
        self.in_time(async |db| db.incarnation().await)
    }

    fn in_time<T>(&self, ask: impl AsyncFnOnce(Arc<Db>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let wait = Duration::from_millis(STORE_TAKEOVER_WAIT_MS_MAX);
        self.connection.handle().block_on(async {
            let found = tokio::time::timeout(wait, async { ask(self.connected(wait).await?).await }).await;
            found.map_err(|e| away(&e))?
        })
    }

    /// Begins to load the owner's rows.
    pub(crate) fn load(&self, owner: &StateOwner) -> Load {
        let (store, owner) = (self.clone(), Arc::new(owner.clone()));
        let rows = self.connection.handle().spawn(async move {
            let db = store.connected(Duration::ZERO).await?;
            load(&db, &owner).await
        });
        Load { rows, handle: self.connection.handle().clone() }
    }

    /// Begins to write behind an owner's commits; first of all `rewrite`. `incarnation`: that of the store which has
    /// the owner's rows already. None: everything is to be written, to the store as it is then.
    pub(crate) fn write_behind(
        &self,
        owner: StateOwner,
        rewrite: Option<Rewrite>,
        incarnation: Option<String>,
    ) -> WriteBehind {
        let writer = WriteBehind::start(&self.connection, owner, rewrite, incarnation);
        let mut writers = self.connection.writers.lock().unwrap_or_else(PoisonError::into_inner);
        writers.retain(|backlog| backlog.strong_count() > 0);
        writers.push(Arc::downgrade(writer.backlog()));
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
    let key_groups = owner.key_groups.iter().map(|key_group| RowPartition::KeyGroup(*key_group));
    for place in key_groups.chain([RowPartition::Own]) {
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
