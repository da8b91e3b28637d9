//! What waits for the writer. Appends are bounded in bytes and in number: beyond that they wait for room.

use std::collections::VecDeque;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use logystera_schemas::limits::{LOG_QUEUE_APPENDS_MAX, LOG_QUEUE_BYTES_MAX};
use logystera_schemas::topic::Topic;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::log::{Commit, Entry, LogError};

/// What an append takes of the queue's bytes at least, so that the bound on bytes bounds the appends too.
const APPEND_BYTES_MIN: usize = LOG_QUEUE_BYTES_MAX / LOG_QUEUE_APPENDS_MAX;

/// The owner of a task, as a takeover made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TaskOwner {
    pub(super) app: String,
    pub(super) input: Topic,
    pub(super) epoch: u64,
}

/// Something that the writer is asked to do. It answers when that is durable.
#[derive(Debug)]
pub(super) enum Request {
    /// Append records. It holds its room in the queue until it is answered, also if its caller has gone away.
    Append { entries: Vec<Entry>, answer: oneshot::Sender<Result<(), LogError>>, room: OwnedSemaphorePermit },
    /// Commit for a task. At most one waits for each task, so the number of tasks bounds them.
    Commit { owner: TaskOwner, commit: Commit, answer: SyncSender<Result<(), LogError>> },
    /// Take a task over: answers with its new epoch and its position.
    TakeOver { app: String, input: Topic, answer: SyncSender<Result<(u64, u64), LogError>> },
}

/// The queue.
#[derive(Debug)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    filled: Condvar,
    room: Arc<Semaphore>,
    length: Length,
}

#[derive(Debug, Default)]
struct Inner {
    requests: VecDeque<Request>,
    closed: bool,
    /// Whether the writer waits to be notified: else a notification would be a needless system call for each request.
    writer_waits: bool,
}

/// The metric of what waits. A handle: to look it up by name for each request costs more than all else here.
struct Length(metrics::Gauge);

impl std::fmt::Debug for Length {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Length")
    }
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            inner: Mutex::default(),
            filled: Condvar::new(),
            room: Arc::new(Semaphore::new(LOG_QUEUE_BYTES_MAX)),
            length: Length(metrics::gauge!("logystera_log_queue_requests")),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for room, then for the writer's answer. An append whose caller goes away still happens once it waits here.
    pub(super) async fn append(&self, entries: Vec<Entry>) -> Result<(), LogError> {
        let bytes: usize = entries.iter().map(|e| e.key.len() + e.value.len()).sum();
        let cost = bytes.clamp(APPEND_BYTES_MIN, LOG_QUEUE_BYTES_MAX) as u32;
        let room = Arc::clone(&self.room).acquire_many_owned(cost).await.map_err(|_| closed())?;
        let (answer, answered) = oneshot::channel();
        self.push(Request::Append { entries, answer, room })?;
        answered.await.unwrap_or_else(|_| Err(writer_gone()))
    }

    /// Puts a request behind the others.
    pub(super) fn push(&self, request: Request) -> Result<(), LogError> {
        let mut inner = self.lock();
        if inner.closed {
            return Err(closed());
        }
        inner.requests.push_back(request);
        self.length.0.set(f64::from(inner.requests.len() as u32));
        let notify = std::mem::take(&mut inner.writer_waits);
        drop(inner);
        if notify {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Waits until something is there and takes all of it; if several requests are there, waits `pause` for more. None:
    /// the queue is closed and empty.
    pub(super) fn take_all(&self, pause: Duration) -> Option<VecDeque<Request>> {
        let inner = self.lock();
        let idle = |inner: &mut Inner| {
            inner.writer_waits = inner.requests.is_empty() && !inner.closed;
            inner.writer_waits
        };
        let mut inner = self.filled.wait_while(inner, idle).unwrap_or_else(PoisonError::into_inner);
        if inner.requests.len() > 1 && !pause.is_zero() {
            let gathering = |inner: &mut Inner| !inner.closed;
            let waited = self.filled.wait_timeout_while(inner, pause, gathering);
            inner = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let requests = std::mem::take(&mut inner.requests);
        self.length.0.set(0.0);
        (!requests.is_empty()).then_some(requests)
    }

    /// Bytes that are free.
    #[cfg(test)]
    pub(super) fn room_left(&self) -> usize {
        self.room.available_permits()
    }

    /// Takes nothing more; what waits is still done.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.room.close();
        self.filled.notify_all();
    }
}

/// The answer of a log that was closed.
pub(super) fn closed() -> LogError {
    LogError::Away("the log is closed".to_owned())
}

/// The answer if the writer died with the request in its hands.
pub(super) fn writer_gone() -> LogError {
    LogError::Ambiguous("the log's writer is gone".to_owned())
}
