//! The engine: one partition's sites, fed by topic `signals` in its order.

use std::collections::BTreeMap;
use std::sync::Arc;

use logystera_ruleset::RuleSet;
use logystera_schemas::avro::DecodeError;
use logystera_schemas::detection::Detection;
use logystera_schemas::ids::{KeyGroup, Sha256Digest, SiteId};
use logystera_schemas::partition::PartitionRef;
use logystera_schemas::series::Points;
use logystera_schemas::signals_topic::{SiteConfigured, Tick};
use logystera_schemas::snapshot::Snapshot;
use logystera_schemas::topic::SignalsRecord;

use super::holding::{HeldTotal, Holding};
use super::log_time::{LogTime, Turn};
use super::program::Program;
use super::record::Outcomes;
use super::schedule::SnapshotSchedule;
use super::site::Site;
use super::version::Version;
use super::wakes::Wakes;

/// The newest version of the semantics that this engine knows. Raised when a fix changes results.
pub const SEMANTICS: u32 = 2;

/// What the engine brings about, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A detection, mostly of a group that changed its state.
    Detection(Box<Detection>),
    /// The tick, passed on to the planner.
    Tick(Tick),
    /// A part of the state of a key group.
    Snapshot(Box<Snapshot>),
    /// What the metrics of a site counted within a minute.
    Points(Box<Points>),
}

/// Why the engine can't go on. To skip a record would make its state a lie.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// A configuration's body is not known: let the engine [learn](Engine::learn) it and apply the record again.
    #[error("the configuration {0} is not known")]
    UnknownConfiguration(Sha256Digest),
    /// The log was written for a newer engine.
    #[error("the log asks for semantics {0}, this binary knows up to {SEMANTICS}: use a newer one")]
    NewerSemantics(u32),
    /// A record can't be read.
    #[error("a batch of site {site} can't be read: {cause}")]
    Batch {
        /// The site.
        site: SiteId,
        /// Why.
        cause: DecodeError,
    },
    /// A stored state entry can't be read.
    #[error("a stored state entry can't be read: {0}")]
    State(DecodeError),
}

/// The engine of one partition.
#[derive(Debug, Default)]
pub struct Engine {
    pub(crate) partition: PartitionRef,
    pub(crate) time: LogTime,
    pub(crate) schedule: SnapshotSchedule,
    pub(crate) programs: BTreeMap<Sha256Digest, Arc<Program>>,
    pub(crate) sites: BTreeMap<SiteId, Site>,
    pub(crate) wakes: Wakes,
    pub(crate) holding: Holding,
    /// Sites that changed since their entries were taken. A site that was closed since may still stand here.
    pub(crate) changed: Vec<(KeyGroup, SiteId)>,
    /// Sites that were closed since: their entries are to be deleted.
    pub(crate) closed: Vec<(SiteId, Site)>,
    /// About how many bytes the entries of the changed sites take.
    pub(crate) changed_bytes: usize,
    pub(crate) time_changed: bool,
    /// A buffer that is used again.
    emitted: Vec<Detection>,
    /// Minutes that the record has closed.
    points: Vec<Points>,
    ignored: u64,
    sealed: bool,
}

impl Engine {
    /// The engine of a partition of topic `signals`, with no state.
    pub fn new(partition: PartitionRef) -> Self {
        Self { partition, ..Self::default() }
    }

    /// Makes a configuration's body known. It must be before a record, or stored state, names it.
    pub fn learn(&mut self, set: Arc<RuleSet>) {
        self.programs.entry(set.digest).or_insert_with(|| Arc::new(Program::new(set)));
    }

    /// Forgets the configurations that no site has any more. One that is named again has to be learnt again.
    pub fn forget_unused(&mut self) {
        self.programs.retain(|_, program| Arc::strong_count(program) > 1);
    }

    /// Whether a configuration's body is known.
    pub fn knows(&self, digest: &Sha256Digest) -> bool {
        self.programs.contains_key(digest)
    }

    /// Applies the next record of the partition and appends what it brings about. After
    /// [`EngineError::UnknownConfiguration`] nothing has changed; after any other error the engine must not go on.
    pub fn apply(&mut self, offset: u64, record: &SignalsRecord<'_>, out: &mut Vec<Output>) -> Result<(), EngineError> {
        if self.sealed {
            self.ignored += 1;
            return Ok(());
        }
        let mut emitted = std::mem::take(&mut self.emitted);
        let done = self.apply_record(offset, record, &mut emitted, out);
        out.extend(emitted.drain(..).map(|d| Output::Detection(Box::new(d))));
        self.emitted = emitted;
        out.extend(self.points.drain(..).map(|points| Output::Points(Box::new(points))));
        done
    }

    fn apply_record(
        &mut self,
        offset: u64,
        record: &SignalsRecord<'_>,
        emitted: &mut Vec<Detection>,
        out: &mut Vec<Output>,
    ) -> Result<(), EngineError> {
        match record {
            SignalsRecord::Tick(tick) => {
                self.tick(tick, emitted)?;
                out.push(Output::Tick(Tick { partition: self.partition.partition, at: tick.at, open_ms: 0 }));
                self.take_snapshots(offset + 1, out);
                Ok(())
            }
            SignalsRecord::SiteConfigured(configured) => self.configure(configured, emitted),
            SignalsRecord::Batch(batch) => {
                self.with_site(&batch.head.site, emitted, |site, time, out| site.take(batch, time, out))?;
                self.bound_held(emitted)
            }
            SignalsRecord::Refused(refused) => {
                self.with_site(&refused.site, emitted, |site, time, out| site.refused(refused, time, out))
            }
            SignalsRecord::Seal(_) => {
                self.sealed = true;
                Ok(())
            }
            SignalsRecord::KeyRevoked(revoked) => self.with_site(&revoked.site, emitted, |site, _, _| {
                site.key_revoked(&revoked.key, revoked.stolen);
                Ok(())
            }),
            SignalsRecord::SiteClosed(closed) => {
                if let Some(mut site) = self.sites.remove(&closed.site) {
                    site.close(emitted);
                    self.points.extend(site.series.take_closed());
                    self.wakes.forget(&closed.site, &site);
                    self.holding.forget(&closed.site, &site);
                    self.closed.push((closed.site.clone(), site));
                }
                Ok(())
            }
        }
    }

    /// Lets a site take a record, and notes what changed. A record that comes before the configuration of its site is
    /// counted, not judged; the log keeps it.
    fn with_site(
        &mut self,
        id: &SiteId,
        emitted: &mut Vec<Detection>,
        take: impl FnOnce(&mut Site, &LogTime, &mut Vec<Detection>) -> Result<(), DecodeError>,
    ) -> Result<(), EngineError> {
        let Some(site) = self.sites.get_mut(id) else {
            self.ignored += 1;
            return Ok(());
        };
        take(site, &self.time, emitted).map_err(|cause| EngineError::Batch { site: id.clone(), cause })?;
        site.settle();
        self.points.extend(site.series.take_closed());
        list(&mut self.changed, id, site);
        let bytes = site.changed_bytes();
        self.changed_bytes = self.changed_bytes + bytes - std::mem::replace(&mut site.changes.bytes, bytes);
        self.holding.note(id, site);
        self.wakes.set(id, site, &self.time);
        Ok(())
    }

    /// Makes the sites that hold most judge their oldest early, until all together hold no more than they may.
    fn bound_held(&mut self, emitted: &mut Vec<Detection>) -> Result<(), EngineError> {
        while let Some(id) = self.holding.must_yield() {
            self.with_site(&id, emitted, |site, _, out| site.release_oldest(out).map(drop))?;
        }
        Ok(())
    }

    fn tick(&mut self, tick: &Tick, emitted: &mut Vec<Detection>) -> Result<(), EngineError> {
        let turn = self.time.tick(tick.at, tick.open_ms);
        self.time_changed = true;
        match turn {
            Turn::On => {}
            Turn::Begins => self.with_each_second(emitted, |site, time, _| {
                site.time_begins(time.wall());
                Ok(())
            })?,
            Turn::Back(before) => {
                self.with_each_second(emitted, |site, time, out| site.set_back(before, time.wall(), out))?;
            }
        }
        for id in self.wakes.due(&self.time, &mut self.sites) {
            self.with_site(&id, emitted, |site, time, out| {
                site.time_passed(time, out);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Does something to each site that is judged by the second version.
    fn with_each_second(
        &mut self,
        emitted: &mut Vec<Detection>,
        change: impl Fn(&mut Site, &LogTime, &mut Vec<Detection>) -> Result<(), DecodeError>,
    ) -> Result<(), EngineError> {
        let second = self.sites.iter().filter(|(_, site)| site.record.version() >= Version::Two);
        let ids: Vec<SiteId> = second.map(|(id, _)| id.clone()).collect();
        ids.iter().try_for_each(|id| self.with_site(id, emitted, &change))
    }

    fn configure(&mut self, configured: &SiteConfigured, emitted: &mut Vec<Detection>) -> Result<(), EngineError> {
        if configured.semantics > SEMANTICS {
            return Err(EngineError::NewerSemantics(configured.semantics));
        }
        let unknown = EngineError::UnknownConfiguration(configured.digest);
        let program = Arc::clone(self.programs.get(&configured.digest).ok_or(unknown)?);
        let id = &configured.site;
        if let Some(site) = self.sites.get_mut(id) {
            if site.is_configured(configured) {
                return Ok(());
            }
            site.configure(configured, &program, emitted);
        } else {
            self.sites.insert(id.clone(), Site::new(configured, program, &self.time));
        }
        self.with_site(id, emitted, |_, _, _| Ok(()))
    }

    /// The clocks of the log.
    pub fn time(&self) -> &LogTime {
        &self.time
    }

    /// The sites and what happened to their batches.
    pub fn outcomes(&self) -> impl Iterator<Item = (&SiteId, &Outcomes)> {
        self.sites.iter().map(|(id, site)| (id, &site.record.outcomes))
    }

    /// What all sites hold until their watermarks pass it.
    pub fn held(&self) -> HeldTotal {
        self.holding.total()
    }

    /// The version of the semantics that a site is judged by. None: it is not configured.
    pub fn semantics(&self, site: &SiteId) -> Option<u32> {
        self.sites.get(site).map(|site| site.record.semantics.max(1))
    }

    /// Whether the partition has ended: what follows is ignored, and its sites go on in the topic's next generation.
    pub fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// How many records were ignored: those of sites that are not configured, and those behind a seal.
    pub fn ignored(&self) -> u64 {
        self.ignored
    }
}

/// Notes that a site changed.
fn list(changed: &mut Vec<(KeyGroup, SiteId)>, id: &SiteId, site: &mut Site) {
    if !std::mem::replace(&mut site.changes.listed, true) {
        changed.push((site.key_group, id.clone()));
    }
}
