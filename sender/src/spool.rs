//! The spool: a folder that holds batches until the gateway has them. A batch's bytes are fixed, on disk, before it is
//! first sent, and stay the same over every try and restart.
//!
//! ```text
//! lock                     held by the one sender that uses the spool
//! state.json               see `State`; replaced as a whole
//! batches/<seq>.batch      one claimed batch: a line of JSON (`Header`), then the body as it is sent; gone when settled
//! open-<number>.ndjson     signals that are in no batch yet: see `pending`
//! ```

use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use logystera_schemas::ids::{BatchId, SpoolId};
use serde::Deserialize;

use crate::batch_file::{Batch, Header, Says, gzip};
use crate::core::body::{self, BatchHead, Brief};
use crate::core::dropped::Reason;
use crate::core::line::Signal;
use crate::disk::{self, DiskError, at};
use crate::state::{Feed, SpoolOwner, State, Totals, VERSION};

/// Why a spool cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// A file operation failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Another sender is at it.
    #[error("{}: another `logystera send` is using this spool", .0.display())]
    InUse(PathBuf),
    /// A file of it is not what a sender wrote.
    #[error("{}: not a file of a spool; if it was damaged, move it away", .0.display())]
    Damaged(PathBuf),
    /// It was written by another version.
    #[error("{}: a spool of version {found}, this program reads version {VERSION}", path.display())]
    Version {
        /// The spool.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// There is a file in its place.
    #[error("{}: a file, where the spool needs a folder; give another --spool", .0.display())]
    NoFolder(PathBuf),
    /// It is fed the other way.
    #[error("{}: this spool was made {}; give another --spool", .0.display(), .1)]
    OtherFeed(PathBuf, &'static str),
    /// No random number is to be had.
    #[error("no random number from the system: {0}")]
    Random(getrandom::Error),
}

/// An open spool.
pub(crate) struct Spool {
    pub(crate) dir: PathBuf,
    _lock: File,
    pub(crate) state: State,
    /// Numbers of the batches that wait, in order.
    pub(crate) queue: VecDeque<u64>,
    /// What the run that opened it has had an answer for.
    pub(crate) run: Totals,
    /// A file that this run was asked to send, of which nothing is taken in while these batches wait.
    pub(crate) next_file: Option<PathBuf>,
    pub(crate) flush_every_s: u32,
}

/// A spool id, drawn at random.
fn draw() -> Result<SpoolId, SpoolError> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(SpoolError::Random)?;
    Ok(SpoolId(bytes))
}

impl AsMut<Spool> for Spool {
    fn as_mut(&mut self) -> &mut Spool {
        self
    }
}

impl Spool {
    /// Opens the spool in `dir`, or makes one. Says whether a new id was drawn because its owner changed.
    pub(crate) fn open(
        dir: &Path,
        owner: SpoolOwner,
        feed: Feed,
        flush_every_s: u32,
    ) -> Result<(Self, bool), SpoolError> {
        if dir.is_file() {
            return Err(SpoolError::NoFolder(dir.to_owned()));
        }
        let batches = dir.join("batches");
        at(&batches, DirBuilder::new().recursive(true).mode(0o700).create(&batches))?;
        let lock = take_lock(dir)?;
        let path = dir.join("state.json");
        let old = if path.exists() { Some(read_state(dir, &path)?) } else { None };
        let (mut state, is_new) = match old {
            Some(state) => (state, false),
            None => (State::new(draw()?, owner.clone(), feed), true),
        };
        if state.feed != feed {
            let how = if state.feed == Feed::File { "from a file" } else { "with --follow" };
            return Err(SpoolError::OtherFeed(dir.to_owned(), how));
        }
        let is_elsewhere = !state.owner.has_address_of(&owner);
        let moved = is_elsewhere || state.owner.host != owner.host;
        if is_elsewhere {
            // What was sent to another site or installation is not at this one.
            state.sent.clear();
        }
        let is_named = !moved && state.owner.audience != owner.audience;
        if is_named {
            state.owner.audience.clone_from(&owner.audience);
        }
        if moved {
            state.spool = draw()?.to_string();
            state.tried_seq = Some(state.done_seq);
            state.owner = owner;
            state.closed = false;
        }
        let mut spool = Self {
            dir: dir.to_owned(),
            _lock: lock,
            state,
            queue: VecDeque::new(),
            run: Totals::default(),
            next_file: None,
            flush_every_s,
        };
        spool.recover()?;
        if is_new || moved || is_named {
            spool.save()?;
        }
        Ok((spool, moved))
    }

    /// Mends what a crash left half done.
    fn recover(&mut self) -> Result<(), SpoolError> {
        if let Some(seq) = self.state.splitting.take() {
            if self.batch_path(seq).exists() {
                disk::remove(&self.batch_path(seq + 1))?;
                disk::remove(&self.batch_path(seq + 2))?;
            }
            self.save()?;
        }
        if let Some(input) = self.state.input.take_if(|i| !i.cut) {
            self.list()?;
            for seq in self.queue.iter().filter(|seq| **seq >= input.first_seq) {
                disk::remove(&self.batch_path(*seq))?;
            }
            self.save()?;
        }
        self.list()?;
        if self.state.tried_seq.is_none() {
            // An older version did not note its tries: what is to go out next may have been tried.
            let first = self.queue.iter().find(|seq| **seq > self.state.done_seq);
            self.state.tried_seq = Some(first.copied().unwrap_or(self.state.done_seq));
        }
        while self.queue.front().is_some_and(|seq| *seq <= self.state.done_seq) {
            let Some(seq) = self.queue.pop_front() else { break };
            disk::remove(&self.batch_path(seq))?;
        }
        if let Some(last) = self.queue.back().copied().filter(|seq| *seq >= self.state.next_seq) {
            let header = self.load(last)?.header;
            self.state.next_seq = last + 1;
            self.state.open = self.state.open.max(header.open);
            self.state.last_at = self.state.last_at.max(header.last_at);
            self.state.last_through = self.state.last_through.max(header.through);
            if header.tells_drops {
                self.state.dropped = crate::core::dropped::Dropped::default();
            }
            self.save()?;
        }
        Ok(())
    }

    fn list(&mut self) -> Result<(), SpoolError> {
        let dir = self.dir.join("batches");
        let mut seqs = Vec::new();
        for entry in at(&dir, fs::read_dir(&dir))? {
            let path = at(&dir, entry)?.path();
            let seq = path.file_stem().and_then(|s| s.to_str()).and_then(|s| s.parse().ok());
            match (seq, path.extension().and_then(|e| e.to_str())) {
                (Some(seq), Some("batch")) => seqs.push(seq),
                (_, Some("new")) => disk::remove(&path)?,
                _ => return Err(SpoolError::Damaged(path)),
            }
        }
        seqs.sort_unstable();
        self.queue = seqs.into();
        Ok(())
    }

    /// The state that lies in `dir`, and how many batches wait there; none if there is no spool. Changes nothing.
    pub(crate) fn peek(dir: &Path) -> Result<Option<(State, usize)>, SpoolError> {
        let path = dir.join("state.json");
        if !path.exists() {
            return Ok(None);
        }
        let batches = dir.join("batches");
        let waiting = at(&batches, fs::read_dir(&batches))?.count();
        Ok(Some((read_state(dir, &path)?, waiting)))
    }

    fn batch_path(&self, seq: u64) -> PathBuf {
        self.dir.join("batches").join(format!("{seq:012}.batch"))
    }

    /// Makes the state durable.
    pub(crate) fn save(&self) -> Result<(), SpoolError> {
        let path = self.dir.join("state.json");
        let text = serde_json::to_vec(&self.state).map_err(|_| SpoolError::Damaged(path.clone()))?;
        disk::write(&path, &[&text])?;
        Ok(disk::sync_dir(&self.dir)?)
    }

    /// Id of a batch.
    pub(crate) fn id(&self, seq: u64) -> Result<BatchId, SpoolError> {
        let spool = self.state.spool.parse().map_err(|_| SpoolError::Damaged(self.dir.join("state.json")))?;
        Ok(BatchId { spool, seq })
    }

    /// Reads a batch.
    pub(crate) fn load(&self, seq: u64) -> Result<Batch, SpoolError> {
        let path = self.batch_path(seq);
        let mut bytes = at(&path, fs::read(&path))?;
        let end = bytes.iter().position(|b| *b == b'\n');
        let header = end.and_then(|end| serde_json::from_slice(&bytes[..end]).ok());
        let (Some(end), Some(header)) = (end, header) else { return Err(SpoolError::Damaged(path)) };
        Ok(Batch { header, body: bytes.split_off(end + 1) })
    }

    /// Signals of the input in the batches that wait.
    pub(crate) fn waiting(&self) -> Result<u64, SpoolError> {
        self.queue.iter().map(|seq| Ok(self.load(*seq)?.header.of_the_input())).sum()
    }

    /// Notes durably that a batch is about to be tried; true if it is its first try.
    pub(crate) fn mark(&mut self, seq: u64) -> Result<bool, SpoolError> {
        let is_first = self.state.tried_seq.is_none_or(|tried| tried < seq);
        if is_first {
            self.state.tried_seq = Some(seq);
            self.save()?;
        }
        Ok(is_first)
    }

    /// Fixes the bytes of the next batch and its number. It counts once [`Self::save`] was called.
    pub(crate) fn claim(&mut self, signals: &[Signal], says: Says) -> Result<(), SpoolError> {
        let Says { through, tells_drops, ends } = says;
        let seq = self.state.next_seq;
        let enabled: Vec<&str> = self.state.enabled.iter().map(String::as_str).collect();
        let head = BatchHead {
            through,
            clock_offset_ms: self.state.clock_offset_ms,
            flush_every_s: self.flush_every_s,
            ends,
            enabled: &enabled,
        };
        let jsons: Vec<String> = signals.iter().map(Signal::json).collect();
        let text = body::body(&head, jsons.iter().map(String::as_str));
        let last_at = signals.last().map_or(self.state.last_at, |s| s.at);
        let lines = signals.iter().map(|s| s.line).collect();
        let open = self.state.open;
        let header = Header { gzip: false, signals: signals.len(), last_at, through, open, tells_drops, lines };
        self.store(seq, header, &text)?;
        self.queue.push_back(seq);
        self.state.next_seq = seq + 1;
        self.state.last_at = last_at;
        self.state.last_through = through;
        Ok(())
    }

    fn store(&self, seq: u64, mut header: Header, text: &str) -> Result<(), SpoolError> {
        let path = self.batch_path(seq);
        let packed = at(&path, gzip(text))?;
        header.gzip = packed.is_some();
        let mut first = serde_json::to_vec(&header).map_err(|_| SpoolError::Damaged(path.clone()))?;
        first.push(b'\n');
        disk::write(&path, &[&first, packed.as_deref().unwrap_or(text.as_bytes())])?;
        Ok(disk::sync_dir(&self.dir.join("batches"))?)
    }

    /// Takes a batch out that had a final answer, after `note` has written down what became of it.
    pub(crate) fn settle(&mut self, seq: u64, note: impl FnOnce(&mut State)) -> Result<(), SpoolError> {
        note(&mut self.state);
        self.state.totals.batches += 1;
        self.state.done_seq = seq;
        self.save()?;
        self.queue.retain(|waiting| *waiting != seq);
        Ok(disk::remove(&self.batch_path(seq))?)
    }

    /// Type and time of each signal of a batch.
    pub(crate) fn briefs(&self, seq: u64) -> Result<Vec<Brief>, SpoolError> {
        let briefs = self.load(seq)?.json().ok().and_then(|json| body::briefs(&json).ok());
        briefs.ok_or_else(|| SpoolError::Damaged(self.batch_path(seq)))
    }

    /// Takes a batch out that the gateway will never take, and counts its signals as dropped.
    pub(crate) fn drop_refused(&mut self, seq: u64) -> Result<(), SpoolError> {
        let of_the_input = self.load(seq)?.header.of_the_input();
        let briefs = self.briefs(seq)?;
        self.settle(seq, |state| {
            state.totals.dropped += of_the_input;
            for brief in &briefs {
                state.dropped.add(&brief.r#type, Reason::Refused, brief.at);
            }
        })
    }

    /// Retires a batch that is too large and puts two in its place, before all others: those move up by two, which is
    /// allowed: none of them was ever sent. False if it cannot be halved.
    pub(crate) fn split(&mut self, seq: u64) -> Result<bool, SpoolError> {
        let batch = self.load(seq)?;
        let damaged = || SpoolError::Damaged(self.batch_path(seq));
        let json = batch.json().map_err(|_| damaged())?;
        let Some(halves) = body::halves(&json).map_err(|_| damaged())? else { return Ok(false) };
        for later in self.queue.iter().rev().take_while(|later| **later > seq) {
            let (from, to) = (self.batch_path(*later), self.batch_path(later + 2));
            at(&from, fs::rename(&from, &to))?;
        }
        disk::sync_dir(&self.dir.join("batches"))?;
        self.state.next_seq = self.state.next_seq.max(seq + 1) + 2;
        self.state.splitting = Some(seq);
        self.save()?;
        let mut first_line = 0;
        for (new_seq, (text, signals)) in (seq + 1..).zip(halves) {
            let lines = batch.header.lines[first_line..first_line + signals].to_vec();
            first_line += signals;
            self.store(new_seq, Header { signals, lines, ..batch.header.clone() }, &text)?;
        }
        self.state.done_seq = seq;
        self.state.splitting = None;
        self.save()?;
        disk::remove(&self.batch_path(seq))?;
        self.list()?;
        Ok(true)
    }

    /// Draws a new id: all waiting batches go out under it, with their bytes. Gaps in the numbers are legal.
    pub(crate) fn renew(&mut self) -> Result<(), SpoolError> {
        self.state.spool = draw()?.to_string();
        self.state.tried_seq = Some(self.state.done_seq);
        self.save()
    }
}

fn take_lock(dir: &Path) -> Result<File, SpoolError> {
    let path = dir.join("lock");
    let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let lock = at(&path, lock)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(SpoolError::InUse(dir.to_owned())),
        Err(TryLockError::Error(source)) => Err(DiskError { path, source }.into()),
    }
}

fn read_state(dir: &Path, path: &Path) -> Result<State, SpoolError> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let bytes = at(path, fs::read(path))?;
    let damaged = |_| SpoolError::Damaged(path.to_owned());
    let Versioned { version } = serde_json::from_slice(&bytes).map_err(damaged)?;
    if version != VERSION {
        return Err(SpoolError::Version { path: dir.to_owned(), found: version });
    }
    serde_json::from_slice(&bytes).map_err(damaged)
}

#[cfg(test)]
#[path = "spool_tests.rs"]
pub(crate) mod tests;
