//! The teller of the story.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use logystera_infra::clock::{Clock, SystemClock};
use logystera_schemas::text::Shown;

/// How often the story looks for detections.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The teller: one line an event, with the minutes and seconds since the start.
#[derive(Clone)]
pub struct Story {
    pub(crate) clock: Arc<SystemClock>,
}

impl Story {
    /// Begins at 0:00.
    pub fn begin() -> Self {
        Self { clock: Arc::new(SystemClock::new()) }
    }

    /// Says a text, line by line.
    pub fn say(&self, text: &str) {
        let seconds = self.clock.monotonic_ms() / 1_000;
        let mut stamp = format!("[{}:{:02}]", seconds / 60, seconds % 60);
        let mut out = std::io::stdout().lock();
        for line in text.lines() {
            // A terminal that is gone hears no story; the installation goes on.
            drop(writeln!(out, "{stamp:6} {}", Shown(line)));
            stamp.clear();
        }
        drop(out.flush());
    }
}
