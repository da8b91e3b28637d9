//! How far a replay is, on the terminal of whoever waits for it.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use logystera_infra::clock::Stopwatch;
use logystera_replay::{Asked, Replay, ReplayError, Watch};

/// How often it is shown.
const EVERY: Duration = Duration::from_millis(500);

/// Progress over all partitions. Says nothing where standard error is no terminal.
pub(super) struct Progress {
    shown: bool,
    /// Offsets of all partitions together, each from where it is replayed.
    total: u64,
    /// Of those, what the partitions before had.
    before: u64,
    records: u64,
    started: Stopwatch,
    newest: Stopwatch,
}

impl Progress {
    pub(super) fn new(asked: &Asked<'_>) -> Result<Self, ReplayError> {
        let total = asked.offsets()?;
        let shown = std::io::stderr().is_terminal();
        Ok(Self { shown, total, before: 0, records: 0, started: Stopwatch::start(), newest: Stopwatch::start() })
    }

    fn print(&self, offset: u64, records: u64, end: &str) {
        let percent = 100 * offset.min(self.total) / self.total.max(1);
        let per_second = u128::from(records) * 1_000 / self.started.elapsed().as_millis().max(1);
        // A terminal that is gone is no reason to stop.
        drop(write!(std::io::stderr(), "\rreplaying: {percent:3} %, {records} records, {per_second} a second{end}"));
    }
}

impl Watch for Progress {
    /// Shows how far it is, now and then.
    fn show(&mut self, replayed: &Replay<'_>) {
        if self.shown && self.newest.elapsed() >= EVERY {
            self.newest = Stopwatch::start();
            self.print(self.before + replayed.passed(), self.records + replayed.records(), "");
        }
    }

    fn done(&mut self, replayed: &Replay<'_>) -> Result<(), ReplayError> {
        // What stands behind a seal is not read.
        self.before += replayed.offsets()?;
        self.records += replayed.records();
        if self.shown && self.before >= self.total {
            self.print(self.total, self.records, "\n");
        }
        Ok(())
    }
}
