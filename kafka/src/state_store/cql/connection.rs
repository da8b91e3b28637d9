//! The connection of a process to the store: made in the background, and again until it is there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use logystera_infra::backoff::Backoff;
use logystera_infra::clock::Clock;
use logystera_schemas::limits::{STORE_RETRY_MS_MAX, STORE_RETRY_MS_MIN};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::watch;

use super::away;
use super::backlog::Backlog;
use super::queue::Budget;
use super::session::Db;
use crate::state_store::{StoreConfig, StoreError, is_keyspace, shown};

/// Threads that serve the store's connections.
const THREADS: usize = 2;
/// How long connecting may take, and creating the tables.
const CONNECT_WAIT: Duration = Duration::from_secs(30);
/// How often the age of what waits is shown.
const SHOW_EVERY: Duration = Duration::from_millis(500);
/// The connection that all clones of a store share; it is made in the background, and ends with the last of them.
pub(super) struct Connection {
    pub(super) config: StoreConfig,
    pub(super) clock: Arc<dyn Clock>,
    /// None when it ends.
    runtime: Option<Runtime>,
    pub(super) db: watch::Receiver<Option<Arc<Db>>>,
    /// Whether writers wait.
    pub(super) held: watch::Sender<bool>,
    pub(super) writers: Mutex<Vec<Weak<Backlog>>>,
    pub(super) budget: Arc<Budget>,
}

impl Connection {
    /// Begins to connect to the store that `config` describes, again and again until it is there.
    pub(super) fn open(config: StoreConfig, clock: Arc<dyn Clock>) -> Result<Arc<Self>, StoreError> {
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
        let connection = Arc::new(Self {
            budget: Arc::new(Budget::new(config.queue_bytes_max)),
            config,
            clock,
            runtime: Some(runtime),
            db,
            held: watch::Sender::new(false),
            writers: Mutex::default(),
        });
        connection.handle().spawn(show(Arc::downgrade(&connection)));
        Ok(connection)
    }

    pub(super) fn handle(&self) -> &Handle {
        match &self.runtime {
            Some(runtime) => runtime.handle(),
            None => unreachable!("it is taken when nobody holds this any more"),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Whoever drops the last clone may not be allowed to wait.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn connect(config: StoreConfig, connected: watch::Sender<Option<Arc<Db>>>) {
    let mut backoff = Backoff::new(STORE_RETRY_MS_MIN, STORE_RETRY_MS_MAX);
    loop {
        // The driver would wait for ever for a node that takes connections and answers nothing.
        let db = tokio::time::timeout(CONNECT_WAIT, Db::connect(&config)).await;
        match db.map_err(|e| away(&e)).flatten() {
            Ok(db) => {
                connected.send_replace(Some(Arc::new(db)));
                tracing::info!(keyspace = config.keyspace, "the store is connected");
                // The readers see the connection only as long as this sender lives.
                return connected.closed().await;
            }
            Err(error) => {
                if backoff.is_told() {
                    tracing::warn!(%error, "the store cannot be used yet");
                }
            }
        }
        tokio::time::sleep(backoff.pause()).await;
    }
}

/// Shows, for each application, how long its oldest commit has waited.
async fn show(store: Weak<Connection>) {
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
