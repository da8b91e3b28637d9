//! Writes behind the commits of one task.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use logystera_infra::backoff::Backoff;
use logystera_schemas::limits::{STORE_RETRY_MS_MAX, STORE_RETRY_MS_MIN, STORE_ROUND_MS_MIN, STORE_WRITES_MAX};
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinSet};

use super::backlog::{Backlog, State};
use super::batches::{Batch, Batches, RowPartition, chunk};
use super::connection::Connection;
use super::queue::{Queue, Round};
use super::session::Db;
use crate::state_store::{Changes, Claim, Rewrite, StateOwner, StoreError};

/// Where a task leaves what it has committed. Dropping it ends the writing at once.
pub(crate) struct WriteBehind {
    backlog: Arc<Backlog>,
    writing: AbortHandle,
    /// What runs the writing.
    _connection: Arc<Connection>,
}

impl WriteBehind {
    /// Starts a writer. What `rewrite` has is written first.
    pub(super) fn start(
        connection: &Arc<Connection>,
        owner: StateOwner,
        rewrite: Option<Rewrite>,
        incarnation: Option<String>,
    ) -> Self {
        let app = owner.label.clone();
        let rows =
            |kind: &'static str| metrics::counter!("logystera_store_rows_total", "app" => app.clone(), "kind" => kind);
        let backlog = Arc::new(Backlog {
            budget: Arc::clone(&connection.budget),
            state: Mutex::new(State { queue: Queue::default(), rewriting: rewrite.is_some(), shown_bytes: 0 }),
            clock: Arc::clone(&connection.clock),
            pushed: Notify::new(),
            written: Condvar::new(),
            queue_bytes: metrics::gauge!("logystera_store_queue_bytes", "app" => app.clone()),
            puts: rows("put"),
            deletes: rows("delete"),
            retries: metrics::counter!("logystera_store_retries_total", "app" => app.clone()),
            owner,
        });
        let writer = Writer {
            backlog: Arc::clone(&backlog),
            db: connection.db.clone(),
            held: connection.held.subscribe(),
            incarnation,
        };
        let writing = connection.handle().spawn(writer.run(rewrite)).abort_handle();
        Self { backlog, writing, _connection: Arc::clone(connection) }
    }

    pub(super) fn backlog(&self) -> &Arc<Backlog> {
        &self.backlog
    }

    /// Leaves a commit to be written; never waits.
    pub(crate) fn push(&self, changes: Changes, claim: Claim) {
        let mut state = self.backlog.lock();
        state.queue.push(changes, claim, self.backlog.clock.monotonic_ms());
        let bytes = state.queue.bytes();
        self.backlog.show(&mut state, bytes);
        self.backlog.pushed.notify_one();
    }

    /// Waits up to `wait` for room, which another task's writes may make too: that is seen when the wait ends. Whether
    /// there is some.
    pub(crate) fn wait_for_room(&self, wait: Duration) -> bool {
        self.wait_while(wait, |_| self.backlog.budget.is_full())
    }

    /// Waits up to `wait` until everything is written. Whether it is.
    pub(crate) fn wait_until_written(&self, wait: Duration) -> bool {
        self.wait_while(wait, |state| state.rewriting || state.queue.oldest_ms().is_some())
    }

    fn wait_while(&self, wait: Duration, mut so: impl FnMut(&State) -> bool) -> bool {
        let waited = self.backlog.written.wait_timeout_while(self.backlog.lock(), wait, |state| so(state));
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

impl Drop for WriteBehind {
    fn drop(&mut self) {
        self.writing.abort();
        self.backlog.show(&mut self.backlog.lock(), 0);
    }
}

/// One request to the store.
#[derive(Debug)]
enum Request {
    Write(Batch),
    WipeBefore(RowPartition, u64),
    PutClaim(Claim),
}

/// The writer could not go on: it says nothing more of what the store has.
struct Stopped;

#[derive(Clone)]
struct Writer {
    backlog: Arc<Backlog>,
    db: watch::Receiver<Option<Arc<Db>>>,
    held: watch::Receiver<bool>,
    /// Incarnation of the store that has what was written; claims name it, even if the store was made anew since. None:
    /// nothing was written yet.
    incarnation: Option<String>,
}

impl Writer {
    async fn run(mut self, rewrite: Option<Rewrite>) {
        let Ok(db) = self.db.wait_for(Option::is_some).await.map(|db| db.clone()) else { return };
        let Some(db) = db else { return };
        if self.write_all(&db, rewrite).await.is_err() {
            tracing::error!(
                app = self.backlog.owner.label,
                partition = self.backlog.owner.partition,
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
            self.backlog.lock().rewriting = false;
            self.backlog.written.notify_all();
        }
        loop {
            self.backlog.pushed.notified().await;
            self.wait_while_held().await?;
            let Some(round) = self.backlog.lock().queue.take() else { continue };
            let next = tokio::time::sleep(Duration::from_millis(STORE_ROUND_MS_MIN));
            self.round(db, round).await?;
            {
                let mut state = self.backlog.lock();
                state.queue.written();
                let bytes = state.queue.bytes();
                self.backlog.show(&mut state, bytes);
            }
            self.backlog.written.notify_all();
            next.await;
        }
    }

    /// Asks until the store tells its incarnation. Asked before the first row is written: a store that is made anew
    /// later, and so lacks rows, has another one.
    async fn ask_incarnation(&self, db: &Db) -> String {
        loop {
            match db.incarnation().await {
                Ok(incarnation) => return incarnation,
                Err(error) => {
                    self.backlog.retries.increment(1);
                    tracing::debug!(%error, "the store does not say which it is");
                    tokio::time::sleep(Duration::from_millis(STORE_ROUND_MS_MIN)).await;
                }
            }
        }
    }

    /// The claim, with the incarnation of the store that has the rows.
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

    /// What lives is written before what is older is deleted: each row is true at its version all the while, so that a
    /// crash, or an owner that comes late with this, takes nothing from a claim that stands.
    async fn rewrite(&self, db: &Arc<Db>, rewrite: Rewrite) -> Result<(), Stopped> {
        let version = rewrite.claim.version;
        let mut last: Option<Vec<u8>> = None;
        loop {
            let some = chunk(&rewrite.entries, last.as_deref(), version);
            let Some((key, _)) = some.last() else { break };
            last = Some(key.clone());
            self.all(db, Batches::of(some).map(Request::Write)).await?;
        }
        let key_groups = self.backlog.owner.key_groups.clone();
        let places = key_groups.into_iter().map(RowPartition::KeyGroup).chain([RowPartition::Own]);
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
        let owner = &self.backlog.owner;
        let mut backoff = Backoff::new(STORE_RETRY_MS_MIN, STORE_RETRY_MS_MAX);
        while let Err(error) = perform(db, owner, request).await {
            self.backlog.retries.increment(1);
            if backoff.is_told() {
                tracing::warn!(app = owner.label, partition = owner.partition, %error, "a write to the store is tried again");
            }
            tokio::time::sleep(backoff.pause()).await;
        }
        if let Request::Write(batch) = request {
            let puts = batch.rows.iter().filter(|(_, change)| change.value.is_some()).count();
            self.backlog.puts.increment(puts as u64);
            self.backlog.deletes.increment((batch.rows.len() - puts) as u64);
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
