//! A site at work: its spools, what is held until the watermark passes it, and its board of rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use logystera_schemas::avro::DecodeError;
use logystera_schemas::batch::{Batch, Frame};
use logystera_schemas::catalogue::SignalTypes;
use logystera_schemas::detection::{Detection, DetectionReason};
use logystera_schemas::ids::{KeyGroup, SpoolId};
use logystera_schemas::limits::AHEAD_MS_MAX;
use logystera_schemas::signals_topic::SiteConfigured;
use logystera_schemas::time::{OpenMs, SiteMs, WallMs};

use super::board::Board;
use super::head::{Changes, Head, Held, HeldKey, Outcomes, Version};
use super::holding::Share;
use super::log_time::LogTime;
use super::program::Program;
use super::spool::Spool;
use super::voice::Voice;

/// One site.
#[derive(Debug)]
pub struct Site {
    /// Which state is kept together with its own.
    pub key_group: KeyGroup,
    /// What is stored of it at every change.
    pub head: Head,
    /// Its spools.
    pub spools: BTreeMap<SpoolId, Spool>,
    /// What waits for the watermark.
    pub held: BTreeMap<HeldKey, Held>,
    /// Bytes of what waits.
    pub held_bytes: usize,
    /// Its rules at work.
    pub board: Board,
    /// What changed since it was put.
    pub changes: Changes,
    /// Open time of its entry among those that must be looked at.
    pub wake_at: Option<OpenMs>,
    /// The same in wall time.
    pub wake_wall: Option<WallMs>,
    /// What it holds, as the engine knows it.
    pub share: Option<Share>,
}

impl Site {
    /// A site from its first configuration.
    pub fn new(configured: &SiteConfigured, program: Arc<Program>, time: &LogTime) -> Self {
        let voice = Voice::new(configured.tenant.clone(), configured.site.clone(), configured.name.clone());
        let head = Head {
            voice,
            digest: configured.digest,
            watermark: None,
            heard_open: time.open,
            heard_wall: time.wall(),
            enabled: SignalTypes::default(),
            absences_unset: true,
            absences_wait: false,
            outcomes: Outcomes::default(),
            semantics: configured.semantics,
        };
        Self::from_head(head, program)
    }

    /// A site from its stored head; the rest is added as it is restored.
    pub fn from_head(head: Head, program: Arc<Program>) -> Self {
        let mut board = Board::new(program);
        board.restore_switches(head.enabled);
        board.absences_unset = head.absences_unset;
        board.absences_wait = head.absences_wait;
        board.evicted = head.outcomes.evicted;
        let changes = Changes { head: true, ..Changes::default() };
        let key_group = KeyGroup::of(head.voice.site.as_str());
        Self {
            key_group,
            head,
            spools: BTreeMap::new(),
            held: BTreeMap::new(),
            held_bytes: 0,
            board,
            changes,
            wake_at: None,
            wake_wall: None,
            share: None,
        }
    }

    pub(super) fn now(&self) -> SiteMs {
        self.head.watermark.unwrap_or(SiteMs::MIN)
    }

    /// Whether this configuration is the one it has.
    pub fn is_configured(&self, to: &SiteConfigured) -> bool {
        let voice = &self.head.voice;
        let same = self.head.digest == to.digest && voice.tenant == to.tenant && voice.name == to.name;
        // What stands in the log before there were versions, and what was stored then, is the first one's.
        same && self.head.semantics.max(1) == to.semantics.max(1)
    }

    /// Goes on under another configuration.
    pub fn configure(&mut self, to: &SiteConfigured, program: &Arc<Program>, out: &mut Vec<Detection>) {
        let now = self.head.watermark.unwrap_or_default();
        let before = self.head.version();
        self.board.reprogram(program, now, &mut self.head.voice, out);
        self.head.voice.tenant = to.tenant.clone();
        self.head.voice.name.clone_from(&to.name);
        self.head.digest = to.digest;
        self.head.semantics = to.semantics;
        self.changes.head = true;
        // What ended with the old configuration may have left a deadline at the very time that was reached.
        self.run_deadlines_before(now.plus(1), out);
        if self.head.version() != before {
            // What is on is from here what this version takes for it.
            self.switch(self.now());
        }
    }

    /// The site is closed: its alerts resolve.
    pub fn close(&mut self, out: &mut Vec<Detection>) {
        let now = self.head.watermark.unwrap_or_default();
        self.board.close(DetectionReason::SiteClosed, now, &mut self.head.voice, out);
    }

    /// Takes a batch from the log.
    pub fn take(&mut self, batch: &Batch<'_>, time: &LogTime, out: &mut Vec<Detection>) -> Result<(), DecodeError> {
        let head = &batch.head;
        self.forget_spools(time.wall());
        if !self.is_new(batch, time.wall()) {
            return Ok(());
        }
        let (through, mut signals) = self.in_site_time(batch)?;
        self.head.outcomes.batches += 1;
        self.head.outcomes.signals += signals.len() as u64;
        let switched = self.hear_batch(batch, through, time);
        self.hear_site(time, out);
        if let Some(from) = switched {
            self.hold_or_switch(from, head.spool, head.seq, head.enabled, out)?;
        }
        self.switch_as_live();
        let now = self.now();
        let watermark = self.next_watermark(Some(head.spool));
        if !signals.is_sorted_by_key(|(at, _)| *at) {
            signals.sort_by_key(|(at, _)| *at);
        }
        let late = signals.partition_point(|(at, _)| *at <= now);
        self.head.outcomes.late += late as u64;
        for (at, signal) in &signals[..late] {
            if self.board.watches(signal.kind) {
                self.board.judge(signal, *at, now, &mut self.head.voice, out)?;
            }
        }
        let fresh = &signals[late..];
        if self.held.is_empty() && fresh.last().is_none_or(|(at, _)| *at <= watermark) {
            // Nothing waits and nothing will: the usual case of one spool goes straight from the log's bytes.
            for (at, signal) in fresh {
                if self.board.watches(signal.kind) {
                    self.run_deadlines_before(*at, out);
                    self.board.judge(signal, *at, *at, &mut self.head.voice, out)?;
                }
            }
        } else {
            for (index, (at, signal)) in fresh.iter().enumerate() {
                let key = (*at, head.spool, head.seq, index as u32 + 1);
                self.hold(key, Held::Signal(signal.bytes.into()));
            }
        }
        self.release(watermark, out)?;
        self.release_overflow(out)
    }

    /// The batch's watermark and signals in site time. A signal that lies ahead of the gateway's clock is cut back to it;
    /// where most of them do, or the watermark does, the batch is shifted back whole.
    fn in_site_time<'a>(&mut self, batch: &Batch<'a>) -> Result<(SiteMs, Vec<(SiteMs, Frame<'a>)>), DecodeError> {
        let head = &batch.head;
        let mut signals = Vec::with_capacity(128);
        let mut latest = head.through;
        for signal in batch.frames() {
            let signal = signal?;
            latest = latest.max(signal.at);
            signals.push((SiteMs(signal.at), signal));
        }
        let limit = SiteMs(head.received_at + AHEAD_MS_MAX);
        let in_site_time = |at: SiteMs| at.plus(head.clock_offset_ms);
        let excess = in_site_time(SiteMs(latest)).since(limit).max(0);
        if excess > 0 && self.head.version() >= Version::Two && in_site_time(SiteMs(head.through)) <= limit {
            let ahead = signals.iter().filter(|(at, _)| in_site_time(*at) > limit).count();
            if 2 * ahead <= signals.len() {
                self.head.outcomes.cut += ahead as u64;
                for (at, _) in &mut signals {
                    let time = in_site_time(*at);
                    *at = if time > limit { SiteMs(head.received_at) } else { time };
                }
                return Ok((in_site_time(SiteMs(head.through)), signals));
            }
        }
        self.head.outcomes.shifted += u64::from(excess > 0);
        let shift = head.clock_offset_ms.saturating_sub(excess);
        for (at, _) in &mut signals {
            *at = at.plus(shift);
        }
        Ok((SiteMs(head.through).plus(shift), signals))
    }

    /// Ends a record: what is on is what the live spools say, and what is to be stored beside the board stands in the head.
    pub fn settle(&mut self) {
        self.switch_as_live();
        let (head, board) = (&mut self.head, &self.board);
        let stored = (head.absences_unset, head.absences_wait, head.enabled);
        if stored != (board.absences_unset, board.absences_wait, board.said) {
            (head.absences_unset, head.absences_wait, head.enabled) =
                (board.absences_unset, board.absences_wait, board.said);
            self.changes.head = true;
        }
    }
}
