//! Appends each batch at most once at a time. A retry waits for the append in flight, even if the first request was
//! cancelled.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use logystera_infra::log::{Entry, Log, LogError};
use logystera_schemas::ids::{BatchId, KeyId, Sha256Digest, SiteId};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;

use crate::core::replay::{Reserving, Seen, Try};
use crate::gateway::{Gateway, Inner};
use crate::lock::lock;
use logystera_schemas::signature::SignatureHeader;

impl<L: Log> Gateway<L> {
    /// Reserves the batch's number for an append. If another try of it is being appended, waits until that has ended
    /// and fails with what is known then: `New` means that it did not get into the log, none that it did not end in
    /// time.
    pub(crate) async fn reserve(
        &self,
        header: &SignatureHeader,
        digest: &Sha256Digest,
        now_ms: i64,
    ) -> Result<Reserved<L>, Option<Seen>> {
        let (site, batch) = (&header.site, header.batch);
        let asked = Try { site, key: &header.key, batch, digest, now_ms };
        let keyring = |key: &KeyId| self.0.keys.standing(site.as_str(), key.as_str());
        let claimed = lock(&self.0.replay).reserve(&asked, &keyring);
        match claimed {
            Reserving::Append => {
                return Ok(Reserved { inner: Arc::clone(&self.0), site: site.clone(), batch, at_ms: now_ms });
            }
            Reserving::Known(seen) => return Err(Some(seen)),
            Reserving::Wait => {}
        }
        let settled = async {
            loop {
                let mut some_ended = std::pin::pin!(self.0.some_ended.notified());
                some_ended.as_mut().enable();
                if !lock(&self.0.replay).is_reserved(site, batch) {
                    return lock(&self.0.replay).look(&asked, &keyring);
                }
                some_ended.await;
            }
        };
        Err(tokio::time::timeout(self.0.config.timing.append, settled).await.ok())
    }
}

/// A batch number reserved for one append. Dropping this gives it back.
pub(crate) struct Reserved<L: Log> {
    inner: Arc<Inner<L>>,
    site: SiteId,
    batch: BatchId,
    at_ms: i64,
}

impl<L: Log> Reserved<L> {
    /// Asks the log for the append. `room` is held until the log has answered.
    pub(crate) fn append(self, entries: Vec<Entry>, room: OwnedSemaphorePermit) -> Appending<L> {
        let log = self.inner.log.clone();
        let answer = async move {
            let answer = log.append(entries).await;
            drop(room);
            answer
        };
        Appending(Some(Asked { answer: Box::pin(answer), reserved: self }))
    }

    fn settle(&self, durable: bool) {
        let awaited = lock(&self.inner.replay).settle(&self.site, self.batch, durable, self.at_ms);
        if awaited {
            self.inner.some_ended.notify_waiters();
        }
    }
}

impl<L: Log> Drop for Reserved<L> {
    fn drop(&mut self) {
        // Without effect if it was settled.
        self.settle(false);
    }
}

struct Asked<L: Log> {
    answer: Pin<Box<dyn Future<Output = Result<(), LogError>> + Send>>,
    reserved: Reserved<L>,
}

/// An append in flight. Dropping it does not undo it: the number stays reserved until the log has answered, so that a
/// sender's retry is not stored twice.
pub(crate) struct Appending<L: Log>(Option<Asked<L>>);

impl<L: Log> Future for Appending<L> {
    type Output = Result<(), LogError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(asked) = &mut self.0 else { return Poll::Pending };
        let answer = ready!(asked.answer.as_mut().poll(context));
        asked.reserved.settle(answer.is_ok());
        self.0 = None;
        Poll::Ready(answer)
    }
}

impl<L: Log> Drop for Appending<L> {
    fn drop(&mut self) {
        let Some(asked) = self.0.take() else { return };
        // Without a runtime the process is about to end.
        if let Ok(runtime) = Handle::try_current() {
            drop(runtime.spawn(async move {
                let Asked { answer, reserved } = asked;
                reserved.settle(answer.await.is_ok());
            }));
        }
    }
}
