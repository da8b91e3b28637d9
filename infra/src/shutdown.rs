//! The wish to stop: one signal that every loop waits on, or asks for between two steps.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Exit code of a process that a second signal ended (128 + SIGINT, as shells count).
const EXIT_IMPATIENT: i32 = 130;

/// A handle to the wish to stop; its clones are the same wish. Once set it stays.
#[derive(Clone, Debug)]
pub struct Shutdown {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    set: Mutex<bool>,
    woken: Condvar,
    asynchronous: watch::Sender<bool>,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

impl Shutdown {
    /// A wish that nobody has had yet.
    pub fn new() -> Self {
        let inner = Inner { set: Mutex::new(false), woken: Condvar::new(), asynchronous: watch::Sender::new(false) };
        Self { inner: Arc::new(inner) }
    }

    /// Asks everybody to stop.
    pub fn trigger(&self) {
        *self.inner.set.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.inner.woken.notify_all();
        self.inner.asynchronous.send_replace(true);
    }

    /// Whether to stop.
    pub fn is_set(&self) -> bool {
        *self.inner.set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks until it is set, at most `wait`. True: stop.
    pub fn wait_timeout(&self, wait: Duration) -> bool {
        let set = self.inner.set.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.inner.woken.wait_timeout_while(set, wait, |set| !*set);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Resolves when it is set.
    pub async fn wait(&self) {
        // The sender lives as long as `self`, so that waiting cannot fail.
        drop(self.inner.asynchronous.subscribe().wait_for(|set| *set).await);
    }

    /// Sets it on the first SIGTERM or SIGINT, from a tokio runtime. The second ends the process at once.
    pub fn on_signals(&self) -> std::io::Result<()> {
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let shutdown = self.clone();
        tokio::spawn(async move {
            loop {
                let name = tokio::select! {
                    _ = term.recv() => "SIGTERM",
                    _ = int.recv() => "SIGINT",
                };
                if shutdown.is_set() {
                    tracing::warn!(signal = name, "second signal: stopping at once; what was acknowledged is on disk");
                    std::process::exit(EXIT_IMPATIENT);
                }
                tracing::info!(signal = name, "stopping; once more to stop at once");
                shutdown.trigger();
            }
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everybody_hears_of_it_once_and_for_all() {
        let shutdown = Shutdown::new();
        assert!(!shutdown.is_set() && !shutdown.wait_timeout(Duration::from_millis(1)));

        let (asynchronous, blocking) = (shutdown.clone(), shutdown.clone());
        let waits = tokio::spawn(async move { asynchronous.wait().await });
        let blocks = tokio::task::spawn_blocking(move || blocking.wait_timeout(Duration::from_mins(1)));
        shutdown.trigger();
        waits.await.unwrap();
        assert!(blocks.await.unwrap());

        shutdown.wait().await;
        assert!(shutdown.is_set() && shutdown.wait_timeout(Duration::from_mins(1)));
    }
}
