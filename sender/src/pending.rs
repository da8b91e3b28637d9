//! Signals that are on disk but not in a batch yet: what `--follow` has read.
//!
//! They stand in `open-<number>.ndjson`, a line each: the input's line number, a tab, the signal. A claim writes what
//! stays behind to the next file first and the batch, which names that file, second: its being there is what makes the
//! older file obsolete, so that a crash neither loses nor repeats a signal.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use logystera_schemas::limits::{BATCH_SIGNALS_MAX, SPOOL_BYTES_MAX};

use crate::batch_file::Says;
use crate::core::cut::{self, CutPoint};
use crate::core::dropped::Reason;
use crate::core::line::{self, Signal};
use crate::disk::{self, at};
use crate::spool::{Spool, SpoolError};

/// A spool that a stream feeds.
pub(crate) struct Pending {
    pub(crate) spool: Spool,
    signals: VecDeque<(Signal, usize)>,
    file: File,
    bytes: u64,
    bytes_max: u64,
    unsynced: bool,
    uncounted: bool,
}

impl AsMut<Spool> for Pending {
    fn as_mut(&mut self) -> &mut Spool {
        &mut self.spool
    }
}

impl Pending {
    /// Takes up the signals that an earlier sender left.
    pub(crate) fn open(spool: Spool) -> Result<Self, SpoolError> {
        Self::with_limit(spool, SPOOL_BYTES_MAX)
    }

    fn with_limit(spool: Spool, bytes_max: u64) -> Result<Self, SpoolError> {
        let live = open_path(&spool, spool.state.open);
        for entry in at(&spool.dir, fs::read_dir(&spool.dir))? {
            let path = at(&spool.dir, entry)?.path();
            let is_open = path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with("open-"));
            if is_open && path != live {
                disk::remove(&path)?;
            }
        }
        let text = if live.exists() { at(&live, fs::read(&live))? } else { Vec::new() };
        // A line without its end was being written when the sender died.
        let whole = text.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1);
        let signals: VecDeque<_> = text[..whole].split(|b| *b == b'\n').filter_map(read_entry).collect();
        let file = at(&live, OpenOptions::new().append(true).create(true).mode(0o600).open(&live))?;
        at(&live, file.set_len(whole as u64))?;
        let mut pending =
            Self { spool, signals, file, bytes: whole as u64, bytes_max, unsynced: false, uncounted: false };
        if let Some((last, _)) = pending.signals.back() {
            pending.spool.state.last_at = pending.spool.state.last_at.max(last.at);
        }
        for (signal, _) in &pending.signals {
            pending.spool.state.enable(&signal.kind);
        }
        Ok(pending)
    }

    /// Takes a signal in, with the time that it has in the spool; false if the spool is full, which is counted. It is
    /// durable after [`Self::sync`].
    pub(crate) fn push(&mut self, mut signal: Signal, now: i64) -> Result<bool, SpoolError> {
        let state = &mut self.spool.state;
        signal.at = cut::ordered_at(signal.at, now, state.last_at, state.last_through);
        let entry = entry(&signal);
        if self.bytes + entry.len() as u64 > self.bytes_max {
            state.totals.overflow += 1;
            state.dropped.add(&signal.kind, Reason::Overflow, signal.at);
            self.uncounted = true;
            return Ok(false);
        }
        at(&open_path(&self.spool, self.spool.state.open), self.file.write_all(entry.as_bytes()))?;
        self.bytes += entry.len() as u64;
        self.unsynced = true;
        self.spool.state.last_at = signal.at;
        self.spool.state.enable(&signal.kind);
        self.signals.push_back((signal, entry.len()));
        Ok(true)
    }

    /// Makes durable what was pushed, and the counts of what found no room.
    pub(crate) fn sync(&mut self) -> Result<(), SpoolError> {
        if std::mem::take(&mut self.uncounted) {
            self.spool.save()?;
        }
        if std::mem::take(&mut self.unsynced) {
            at(&open_path(&self.spool, self.spool.state.open), self.file.sync_data())?;
        }
        Ok(())
    }

    /// How many signals wait.
    pub(crate) fn len(&self) -> usize {
        self.signals.len()
    }

    /// Whether the next batch would be full.
    pub(crate) fn is_batch_full(&self) -> bool {
        self.fit() < self.signals.len()
    }

    fn fit(&self) -> usize {
        cut::fit(self.signals.iter().map(|(_, bytes)| *bytes))
    }

    /// Claims a batch: the signals that fit, and the counts of what was dropped if all fit. With none it is a
    /// heartbeat. `is_end`: nothing more comes in; the batch then ends the spool if nothing is left. Says whether it
    /// does.
    pub(crate) fn claim(&mut self, now: i64, is_end: bool) -> Result<bool, SpoolError> {
        cut::settle(self.signals.iter_mut().map(|(signal, _)| &mut signal.at), now);
        let mut own: Vec<Signal> = self.signals.iter().take(self.fit()).map(|(s, _)| s.clone()).collect();
        let rest = self.signals.split_off(own.len());
        self.signals.clear();
        let next_at = rest.front().map(|(s, _)| s.at);
        let drops = self.spool.state.dropped.len();
        let tells_drops = next_at.is_none() && drops > 0 && own.len() + drops <= BATCH_SIGNALS_MAX;
        if tells_drops {
            let state = &mut self.spool.state;
            let time = cut::ordered_at(now, now, state.last_at, state.last_through);
            own.extend(state.dropped.take(time));
            state.enable(crate::core::dropped::DROPPED_TYPE);
        }
        let ends = is_end && next_at.is_none() && self.spool.state.dropped.is_empty();
        let point =
            CutPoint { last_at: own.last().map(|s| s.at), next_at, now, previous: self.spool.state.last_through };
        let last_at = rest.back().map(|(s, _)| s.at);

        let open = self.spool.state.open;
        let next_path = open_path(&self.spool, open + 1);
        let text: String = rest.iter().map(|(s, _)| entry(s)).collect();
        disk::write(&next_path, &[text.as_bytes()])?;
        disk::sync_dir(&self.spool.dir)?;
        self.spool.state.open = open + 1;
        self.spool.claim(&own, Says { through: cut::through(point), tells_drops, ends })?;
        self.spool.state.last_at = last_at.unwrap_or(self.spool.state.last_at);
        self.spool.save()?;
        disk::remove(&open_path(&self.spool, open))?;

        self.file = at(&next_path, OpenOptions::new().append(true).open(&next_path))?;
        self.bytes = text.len() as u64;
        self.unsynced = false;
        self.signals = rest;
        Ok(ends)
    }
}

fn open_path(spool: &Spool, number: u64) -> PathBuf {
    spool.dir.join(format!("open-{number:012}.ndjson"))
}

fn entry(signal: &Signal) -> String {
    format!("{}\t{}\n", signal.line, signal.json())
}

fn read_entry(bytes: &[u8]) -> Option<(Signal, usize)> {
    let tab = bytes.iter().position(|b| *b == b'\t')?;
    let number = std::str::from_utf8(&bytes[..tab]).ok()?.parse().ok()?;
    Some((line::read(number, &bytes[tab + 1..]).ok()?, bytes.len() + 1))
}

#[cfg(test)]
#[path = "pending_tests.rs"]
mod tests;
