//! How far a replay is, on the terminal of whoever waits for it.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use logystera_infra::clock::Stopwatch;
use logystera_replay::{Asked, Replay, ReplayError, Watch};

/// How often it is shown.
const EVERY: Duration = Duration::from_millis(500);

/// Progress over all partitions. Says nothing where standard error is no terminal.
pub(in crate::commands) struct Progress {
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
    pub(in crate::commands) fn new(asked: &Asked<'_>) -> Result<Self, ReplayError> {
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

impl Progress {
    /// Shows how far it is, now and then.
    pub(in crate::commands) fn reached(&mut self, offset: u64, records: u64) {
        if self.shown && self.newest.elapsed() >= EVERY {
            self.newest = Stopwatch::start();
            self.print(offset, records, "");
        }
    }

    /// It is done.
    pub(in crate::commands) fn end(&self, records: u64) {
        if self.shown {
            self.print(self.total, records, "\n");
        }
    }
}

impl Watch for Progress {
    fn show(&mut self, replayed: &Replay<'_>) {
        self.reached(self.before + replayed.passed(), self.records + replayed.records());
    }

    fn done(&mut self, replayed: &Replay<'_>) -> Result<(), ReplayError> {
        // What stands behind a seal is not read.
        self.before += replayed.offsets()?;
        self.records += replayed.records();
        if self.before >= self.total {
            self.end(self.records);
        }
        Ok(())
    }
}
