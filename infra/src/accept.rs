//! What an accept loop does with an error: it says so, now and then, and pauses. To try again at once would only spin, and fill
//! the disk with the same line.

use std::io;
use std::time::Duration;

use logystera_schemas::limits::ACCEPT_PAUSE_MS;

use crate::clock::{Clock, SystemClock};
use crate::telemetry::Seldom;

/// The faults of one listener.
#[derive(Debug)]
pub struct AcceptFaults {
    listener: &'static str,
    clock: SystemClock,
    seldom: Seldom,
}

impl AcceptFaults {
    /// Those of a listener of this name, for the log.
    pub fn of(listener: &'static str) -> Self {
        Self { listener, clock: SystemClock::new(), seldom: Seldom::new() }
    }

    /// An accept failed: says so and pauses.
    pub async fn pause(&self, error: &io::Error) {
        // A peer that went away while it waited is no fault, and a pause would let it hold up those behind it.
        if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
            return;
        }
        metrics::counter!("logystera_accept_failures_total", "listener" => self.listener).increment(1);
        if let Some(left_out) = self.seldom.due(self.clock.monotonic_ms()) {
            let hint = crate::handles::hint(error);
            tracing::warn!(listener = self.listener, %error, left_out, "a connection could not be accepted{hint}");
        }
        tokio::time::sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Stopwatch;

    #[tokio::test]
    async fn it_pauses_but_not_for_a_peer_that_went_away() {
        let faults = AcceptFaults::of("test");
        let pause = Duration::from_millis(ACCEPT_PAUSE_MS);
        let watch = Stopwatch::start();
        faults.pause(&io::ErrorKind::ConnectionAborted.into()).await;
        assert!(watch.elapsed() < pause);
        let watch = Stopwatch::start();
        faults.pause(&io::Error::from_raw_os_error(24)).await;
        assert!(watch.elapsed() >= pause);
    }
}
