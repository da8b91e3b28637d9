//! Writes behind the commits of one task.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use logystera_schemas::limits::{STORE_RETRY_MS_MAX, STORE_RETRY_MS_MIN, STORE_ROUND_MS_MIN, STORE_WRITES_MAX};
use metrics::{Counter, Gauge};
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinSet};

use super::Store;
use super::batches::{Batch, Batches, Place};
use super::queue::{Budget, Queue, Round};
use super::session::Db;
use crate::clock::Clock;
use crate::store::{Changes, Claim, Rewrite, StateOwner, StoreError, shown};

/// Where a task leaves what it has committed. Dropped, it ends the writing where it is.
pub(crate) struct WriteBehind {
    shared: Arc<Shared>,
    writing: AbortHandle,
    /// What runs the writing.
    _store: Store,
}

/// What a task and its writer share.
pub(super) struct Shared {
    pub(super) owner: StateOwner,
    clock: Arc<dyn Clock>,
    /// Of all tasks of the process.
    budget: Arc<Budget>,
    state: Mutex<State>,
    pushed: Notify,
    /// Told when something was written.
    written: Condvar,
    queue_bytes: Gauge,
    puts: Counter,
    deletes: Counter,
    retries: Counter,
}

struct State {
    queue: Queue,
    /// Whether what was found at the takeover still has to be written anew.
    rewriting: bool,
    /// What the gauge and the budget have of this queue.
    shown_bytes: usize,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows the queue's bytes; tasks of one application share the gauge, and all tasks the budget.
    fn show(&self, state: &mut State, bytes: usize) {
        self.budget.change(state.shown_bytes, bytes);
        self.queue_bytes.increment(shown(bytes as u64) - shown(state.shown_bytes as u64));
        state.shown_bytes = bytes;
    }

    /// Age of the oldest commit that is not written yet, milliseconds.
    pub(super) fn age_ms(&self) -> i64 {
        self.lock().queue.oldest_ms().map_or(0, |since| self.clock.monotonic_ms() - since)
    }
}

impl WriteBehind {
    /// Starts a writer. What `rewrite` has is written first.
    pub(super) fn start(
        store: &Store,
        owner: StateOwner,
        rewrite: Option<Rewrite>,
        incarnation: Option<String>,
    ) -> Self {
        let app = owner.label.clone();
        let rows =
            |kind: &'static str| metrics::counter!("logystera_store_rows_total", "app" => app.clone(), "kind" => kind);
        let shared = Arc::new(Shared {
            budget: Arc::clone(&store.inner.budget),
            state: Mutex::new(State { queue: Queue::default(), rewriting: rewrite.is_some(), shown_bytes: 0 }),
            clock: Arc::clone(&store.inner.clock),
            pushed: Notify::new(),
            written: Condvar::new(),
            queue_bytes: metrics::gauge!("logystera_store_queue_bytes", "app" => app.clone()),
            puts: rows("put"),
            deletes: rows("delete"),
            retries: metrics::counter!("logystera_store_retries_total", "app" => app.clone()),
            owner,
        });
        let writer = Writer {
            shared: Arc::clone(&shared),
            db: store.inner.db.clone(),
            held: store.inner.held.subscribe(),
            incarnation,
        };
        let writing = store.inner.handle().spawn(writer.run(rewrite)).abort_handle();
        Self { shared, writing, _store: store.clone() }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Leaves a commit to be written; never waits.
    pub(crate) fn push(&self, changes: Changes, claim: Claim) {
        let mut state = self.shared.lock();
        state.queue.push(changes, claim, self.shared.clock.monotonic_ms());
        let bytes = state.queue.bytes();
        self.shared.show(&mut state, bytes);
        self.shared.pushed.notify_one();
    }

    /// Waits up to `wait` for room, which another task's writes may make too: that is seen when the wait ends. Whether there is some.
    pub(crate) fn wait_for_room(&self, wait: Duration) -> bool {
        self.wait_while(wait, |_| self.shared.budget.is_full())
    }

    /// Waits up to `wait` until everything is written. Whether it is.
    pub(crate) fn wait_until_written(&self, wait: Duration) -> bool {
        self.wait_while(wait, |state| state.rewriting || state.queue.oldest_ms().is_some())
    }

    fn wait_while(&self, wait: Duration, mut so: impl FnMut(&State) -> bool) -> bool {
        let waited = self.shared.written.wait_timeout_while(self.shared.lock(), wait, |state| so(state));
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

impl Drop for WriteBehind {
    fn drop(&mut self) {
        self.writing.abort();
        self.shared.show(&mut self.shared.lock(), 0);
    }
}

/// One request to the store.
#[derive(Debug)]
enum Request {
    Write(Batch),
    WipeBefore(Place, u64),
    PutClaim(Claim),
}

/// The writer could not go on: it says nothing more of what the store has.
struct Stopped;

#[derive(Clone)]
struct Writer {
    shared: Arc<Shared>,
    db: watch::Receiver<Option<Arc<Db>>>,
    held: watch::Receiver<bool>,
    /// The store's that has what was written; a claim is one of it, whatever the store has become since. None: nothing was yet.
    incarnation: Option<String>,
}

impl Writer {
    async fn run(mut self, rewrite: Option<Rewrite>) {
        let Ok(db) = self.db.wait_for(Option::is_some).await.map(|db| db.clone()) else { return };
        let Some(db) = db else { return };
        if self.write_all(&db, rewrite).await.is_err() {
            tracing::error!(
                app = self.shared.owner.label,
                partition = self.shared.owner.partition,
                "the writer failed"
            );
        }
    }

    async fn write_all(&mut self, db: &Arc<Db>, rewrite: Option<Rewrite>) -> Result<(), Stopped> {
        if self.incarnation.is_none() {
            self.incarnation = Some(self.ask_incarnation(db).await);
        }
        if let Some(rewrite) = rewrite {
            self.wait_while_held().await?;
            self.rewrite(db, rewrite).await?;
            self.shared.lock().rewriting = false;
            self.shared.written.notify_all();
        }
        loop {
            self.shared.pushed.notified().await;
            self.wait_while_held().await?;
            let Some(round) = self.shared.lock().queue.take() else { continue };
            let next = tokio::time::sleep(Duration::from_millis(STORE_ROUND_MS_MIN));
            self.round(db, round).await?;
            {
                let mut state = self.shared.lock();
                state.queue.written();
                let bytes = state.queue.bytes();
                self.shared.show(&mut state, bytes);
            }
            self.shared.written.notify_all();
            next.await;
        }
    }

    /// Asks until the store says which it is: before the first row, so that it has all that follow or is another one.
    async fn ask_incarnation(&self, db: &Db) -> String {
        loop {
            match db.incarnation().await {
                Ok(incarnation) => return incarnation,
                Err(error) => {
                    self.shared.retries.increment(1);
                    tracing::debug!(%error, "the store does not say which it is");
                    tokio::time::sleep(Duration::from_millis(STORE_ROUND_MS_MIN)).await;
                }
            }
        }
    }

    /// The claim, as one of the store that has the rows.
    fn claimed(&self, mut claim: Claim) -> Request {
        claim.layout.incarnation = self.incarnation.clone().unwrap_or_default();
        Request::PutClaim(claim)
    }

    async fn wait_while_held(&mut self) -> Result<(), Stopped> {
        self.held.wait_for(|held| !held).await.map(drop).map_err(|_| Stopped)
    }

    /// The claim comes last: it speaks for all that is before it.
    async fn round(&self, db: &Arc<Db>, round: Round) -> Result<(), Stopped> {
        self.all(db, Batches::of(round.changes).map(Request::Write)).await?;
        self.one(db, &self.claimed(round.claim)).await;
        Ok(())
    }

    /// What lives is written before what is older is deleted: each row is true at its version all the while, so that a crash, or
    /// an owner that comes late with this, takes nothing from a claim that stands.
    async fn rewrite(&self, db: &Arc<Db>, rewrite: Rewrite) -> Result<(), Stopped> {
        let version = rewrite.claim.version;
        let mut last: Option<Vec<u8>> = None;
        loop {
            let some = super::chunk(&rewrite.entries, last.as_deref(), version);
            let Some((key, _)) = some.last() else { break };
            last = Some(key.clone());
            self.all(db, Batches::of(some).map(Request::Write)).await?;
        }
        let key_groups = self.shared.owner.key_groups.clone();
        let places = key_groups.into_iter().map(Place::KeyGroup).chain([Place::Own]);
        self.all(db, places.map(|place| Request::WipeBefore(place, version))).await?;
        self.one(db, &self.claimed(rewrite.claim)).await;
        Ok(())
    }

    /// Makes all requests, in any order, until each has succeeded.
    async fn all(&self, db: &Arc<Db>, requests: impl Iterator<Item = Request>) -> Result<(), Stopped> {
        let mut in_flight = JoinSet::new();
        for request in requests {
            if in_flight.len() >= STORE_WRITES_MAX {
                in_flight.join_next().await.transpose().map_err(|_| Stopped)?;
            }
            let (writer, db) = (self.clone(), Arc::clone(db));
            in_flight.spawn(async move { writer.one(&db, &request).await });
        }
        while let Some(done) = in_flight.join_next().await {
            done.map_err(|_| Stopped)?;
        }
        Ok(())
    }

    /// Makes a request until it succeeds.
    async fn one(&self, db: &Db, request: &Request) {
        let (owner, mut pause_ms) = (&self.shared.owner, STORE_RETRY_MS_MIN);
        while let Err(error) = perform(db, owner, request).await {
            self.shared.retries.increment(1);
            if pause_ms == STORE_RETRY_MS_MAX || pause_ms == STORE_RETRY_MS_MIN {
                tracing::warn!(app = owner.label, partition = owner.partition, %error, "a write to the store is tried again");
            }
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            pause_ms = (2 * pause_ms).min(STORE_RETRY_MS_MAX);
        }
        if let Request::Write(batch) = request {
            let puts = batch.rows.iter().filter(|(_, change)| change.value.is_some()).count();
            self.shared.puts.increment(puts as u64);
            self.shared.deletes.increment((batch.rows.len() - puts) as u64);
        }
    }
}

async fn perform(db: &Db, owner: &StateOwner, request: &Request) -> Result<(), StoreError> {
    match request {
        Request::Write(batch) => db.write(owner, batch).await,
        Request::WipeBefore(place, version) => db.wipe_before(owner, *place, *version).await,
        Request::PutClaim(claim) => db.put_claim(owner, claim).await,
    }
}
