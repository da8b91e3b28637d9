//! A site at work: its spools, what it holds until the watermark passes it, and the groups of its rules.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use logystera_schemas::avro::DecodeError;
use logystera_schemas::batch::{Batch, Frame};
use logystera_schemas::catalogue::SignalTypes;
use logystera_schemas::detection::{Detection, DetectionReason};
use logystera_schemas::ids::{KeyGroup, SpoolId};
use logystera_schemas::limits::AHEAD_MS_MAX;
use logystera_schemas::signals_topic::SiteConfigured;
use logystera_schemas::time::{OpenMs, SiteMs, WallMs};
use logystera_series::SiteSeries;

use super::chain::DetectionChain;
use super::held::{HeldItem, HeldKey, HeldShare};
use super::log_time::LogTime;
use super::program::Program;
use super::record::{Outcomes, SiteRecord};
use super::rule_groups::RuleGroups;
use super::spool::Spool;
use super::version::Version;

/// One site.
#[derive(Debug)]
pub(crate) struct Site {
    /// The key group that its state belongs to.
    pub(crate) key_group: KeyGroup,
    /// What is stored of it at every log record.
    pub(crate) record: SiteRecord,
    /// Its spools.
    pub(crate) spools: BTreeMap<SpoolId, Spool>,
    /// What waits for the watermark.
    pub(crate) held: BTreeMap<HeldKey, HeldItem>,
    /// Bytes of what waits.
    pub(crate) held_bytes: usize,
    /// Its rules at work.
    pub(crate) groups: RuleGroups,
    /// What its metrics count.
    pub(crate) series: SiteSeries,
    /// What changed since it was put.
    pub(crate) changes: Changes,
    /// Open time of its entry among the engine's wakes.
    pub(crate) wake_at: Option<OpenMs>,
    /// The same in wall time.
    pub(crate) wake_wall: Option<WallMs>,
    /// What it holds, as the engine noted it last.
    pub(crate) held_share: Option<HeldShare>,
}

/// What changed of a site since its entries were taken.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Whether the site is in the engine's list of changed ones.
    pub(crate) listed: bool,
    /// About how many bytes its entries take, as the engine counted them last.
    pub(crate) bytes: usize,
    /// Its record.
    pub(crate) record: bool,
    /// Spools that changed or went.
    pub(crate) spools: BTreeSet<SpoolId>,
    /// Held things that came or went.
    pub(crate) held: BTreeSet<HeldKey>,
}

impl Site {
    /// A site from its first configuration.
    pub(crate) fn new(configured: &SiteConfigured, program: Arc<Program>, time: &LogTime) -> Self {
        let chain = DetectionChain::new(configured.tenant.clone(), configured.site.clone(), configured.name.clone());
        let record = SiteRecord {
            chain,
            digest: configured.digest,
            watermark: None,
            heard_open: time.open,
            heard_wall: time.wall(),
            declared_types: SignalTypes::default(),
            absences_unset: true,
            absences_wait: false,
            outcomes: Outcomes::default(),
            semantics: configured.semantics,
            stolen_keys: Vec::new(),
        };
        Self::from_record(record, program)
    }

    /// A site from its stored record; the rest is added as it is restored.
    pub(crate) fn from_record(record: SiteRecord, program: Arc<Program>) -> Self {
        let mut groups = RuleGroups::new(program);
        groups.restore_switches(record.declared_types);
        groups.absences_unset = record.absences_unset;
        groups.absences_wait = record.absences_wait;
        groups.evicted = record.outcomes.evicted;
        let changes = Changes { record: true, ..Changes::default() };
        let key_group = KeyGroup::of(record.chain.site.as_str());
        Self {
            key_group,
            record,
            spools: BTreeMap::new(),
            held: BTreeMap::new(),
            held_bytes: 0,
            groups,
            series: SiteSeries::default(),
            changes,
            wake_at: None,
            wake_wall: None,
            held_share: None,
        }
    }

    /// The watermark; the least time before there is one.
    pub(crate) fn now(&self) -> SiteMs {
        self.record.watermark.unwrap_or(SiteMs::MIN)
    }

    /// Whether this configuration is the one it has.
    pub(crate) fn is_configured(&self, to: &SiteConfigured) -> bool {
        let chain = &self.record.chain;
        let same = self.record.digest == to.digest && chain.tenant == to.tenant && chain.name == to.name;
        // What stands in the log before there were versions, and what was stored then, is the first one's.
        same && self.record.semantics.max(1) == to.semantics.max(1)
    }

    /// Goes on under another configuration: of its rules, its name, or the version of the semantics.
    pub(crate) fn configure(&mut self, to: &SiteConfigured, program: &Arc<Program>, out: &mut Vec<Detection>) {
        let now = self.record.watermark.unwrap_or_default();
        let before = self.record.version();
        if self.record.chain.tenant != to.tenant {
            // What was counted is the tenant's that had the site.
            self.close_minute();
        }
        let old = Arc::clone(&self.groups.program);
        self.groups.reprogram(program, now, &mut self.record.chain, out);
        self.remeasure(&old, program);
        self.record.chain.tenant = to.tenant.clone();
        self.record.chain.name.clone_from(&to.name);
        self.record.digest = to.digest;
        self.record.semantics = to.semantics;
        self.changes.record = true;
        // What ended with the old configuration may have left a deadline at the very time that was reached.
        self.run_deadlines_before(now.plus(1), out);
        if self.record.version() != before {
            // The versions differ in which spools count for what is on.
            self.declare_spool_types(self.now());
        }
    }

    /// The site is closed: its alerts resolve.
    pub(crate) fn close(&mut self, out: &mut Vec<Detection>) {
        let now = self.record.watermark.unwrap_or_default();
        self.groups.close(DetectionReason::SiteClosed, now, &mut self.record.chain, out);
        self.close_minute();
    }

    /// Takes a batch from the log.
    pub(crate) fn take(
        &mut self,
        batch: &Batch<'_>,
        time: &LogTime,
        out: &mut Vec<Detection>,
    ) -> Result<(), DecodeError> {
        let head = &batch.head;
        self.forget_spools(time.wall());
        if !self.is_new(batch, time.wall()) {
            return Ok(());
        }
        let (through, mut signals) = self.in_site_time(batch)?;
        self.record.outcomes.batches += 1;
        self.record.outcomes.signals += signals.len() as u64;
        let switched = self.hear_batch(batch, through, time);
        self.hear_site(time, out);
        if let Some(from) = switched {
            self.hold_or_switch(from, head.spool, head.seq, head.enabled, out)?;
        }
        self.declare_live_types();
        let now = self.now();
        let watermark = self.next_watermark(Some(head.spool));
        if !signals.is_sorted_by_key(|(at, _)| *at) {
            signals.sort_by_key(|(at, _)| *at);
        }
        let late = signals.partition_point(|(at, _)| *at <= now);
        self.record.outcomes.late += late as u64;
        for (at, signal) in &signals[..late] {
            self.measure(signal, *at, true)?;
            if self.groups.has_subscriber(signal.kind) {
                self.groups.judge(signal, *at, now, &mut self.record.chain, out)?;
            }
        }
        let fresh = &signals[late..];
        if self.held.is_empty() && fresh.last().is_none_or(|(at, _)| *at <= watermark) {
            // Nothing waits and nothing will: the usual case of one spool goes straight from the log's bytes.
            for (at, signal) in fresh {
                self.measure(signal, *at, false)?;
                if self.groups.has_subscriber(signal.kind) {
                    self.run_deadlines_before(*at, out);
                    self.groups.judge(signal, *at, *at, &mut self.record.chain, out)?;
                }
            }
        } else {
            for (index, (at, signal)) in fresh.iter().enumerate() {
                let key = (*at, head.spool, head.seq, index as u32 + 1);
                self.hold(key, HeldItem::Signal(signal.bytes.into()));
            }
        }
        self.release(watermark, out)?;
        self.release_overflow(out)
    }

    /// The batch's watermark and signals in site time. A signal that lies ahead of the gateway's clock is cut back to
    /// it; if most of them do, or the watermark does, the whole batch is shifted back. Under the first version of the
    /// semantics the whole batch always is.
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
        if excess > 0 && self.record.version() >= Version::Two && in_site_time(SiteMs(head.through)) <= limit {
            let ahead = signals.iter().filter(|(at, _)| in_site_time(*at) > limit).count();
            if 2 * ahead <= signals.len() {
                self.record.outcomes.cut += ahead as u64;
                for (at, _) in &mut signals {
                    let time = in_site_time(*at);
                    *at = if time > limit { SiteMs(head.received_at) } else { time };
                }
                return Ok((in_site_time(SiteMs(head.through)), signals));
            }
        }
        self.record.outcomes.shifted += u64::from(excess > 0);
        let shift = head.clock_offset_ms.saturating_sub(excess);
        for (at, _) in &mut signals {
            *at = at.plus(shift);
        }
        Ok((SiteMs(head.through).plus(shift), signals))
    }

    /// Ends a log record: switches on what the live spools declare, and copies what is stored of the groups into the
    /// record of the site.
    pub(crate) fn settle(&mut self) {
        self.declare_live_types();
        let (record, groups) = (&mut self.record, &self.groups);
        let stored = (record.absences_unset, record.absences_wait, record.declared_types);
        let now = (groups.absences_unset, groups.absences_wait, groups.declared_types);
        if stored != now {
            (record.absences_unset, record.absences_wait, record.declared_types) = now;
            self.changes.record = true;
        }
    }
}
