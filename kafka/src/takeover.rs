//! Restores a task's state when it is taken over: from the store and the changelog's tail, or from the changelog alone.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use logystera_infra::clock::Stopwatch;
use logystera_infra::log::LogError;
use logystera_schemas::partition::PartitionRef;
use metrics::Gauge;

use crate::bounds::Bounds;
use crate::changelog::{Committed, InChangelog, Restored, state_key, state_value};
use crate::config::KafkaConfig;
use crate::restore::read_changelog;
use crate::state_store::claim::{Facts, Layout, Verdict, judge};
use crate::state_store::{Changes, Claim, Rewrite, StateOwner, Store, StoreError, WriteBehind};

/// State entries, by key.
pub type StateEntries = BTreeMap<Vec<u8>, Vec<u8>>;

/// The committed state of `app` that belongs to these key groups, by state key, whoever owns them. None: there are more
/// than `offsets_max` offsets to look at for it.
pub(crate) fn read_state(
    config: &KafkaConfig,
    app: &str,
    key_groups: &BTreeSet<u16>,
    offsets_max: u64,
) -> Result<Option<StateEntries>, LogError> {
    let (topic, committed) = (config.changelog(app), Bounds::committed(config)?);
    let places: BTreeSet<u32> =
        key_groups.iter().map(|group| u32::from(*group) % config.changelog_partitions).collect();
    let mut ranges = BTreeMap::new();
    for place in places {
        ranges.insert(place, committed.get(&topic, place)?);
    }
    if ranges.values().map(|range| range.end - range.start).sum::<u64>() > offsets_max {
        return Ok(None);
    }
    let mut state = BTreeMap::new();
    read_changelog(config, &topic, ranges, &Gauge::noop(), |key, value| {
        if let Some((_, key)) = state_key(key).filter(|(group, _)| key_groups.contains(group)) {
            match value.map(state_value) {
                None => drop(state.remove(key)),
                Some(Some(value)) => drop(state.insert(key.to_vec(), value.to_vec())),
                Some(None) => {
                    return Err(LogError::Unusable(format!("{topic}: a record that is not of this version")));
                }
            }
        }
        Ok(())
    })?;
    Ok(Some(state))
}

/// The changelog, for an owner that has just fenced the one before.
pub(crate) struct Changelog<'a> {
    config: &'a KafkaConfig,
    owner: &'a PartitionRef,
    app: &'a str,
    /// What stands there of each partition that holds something of the owner's, committed or not: another owner's open
    /// transaction must not hide the end of ours.
    bounds: BTreeMap<u32, Range<u64>>,
    cluster: String,
    remaining: Gauge,
}

/// State as it was committed last.
pub(crate) struct Taken {
    pub(crate) entries: Arc<Changes>,
    pub(crate) commit: Committed,
    pub(crate) copy: Option<StoreCopy>,
}

/// The copy of a task's state in the store.
pub(crate) struct StoreCopy {
    pub(crate) writer: WriteBehind,
    store: Store,
    layout: Layout,
    /// For each partition of the changelog that holds something of the owner's, one past its newest record.
    offsets: BTreeMap<u32, u64>,
}

impl StoreCopy {
    /// Leaves a commit to be written. `ends` is how far its records reach in the changelog.
    pub(crate) fn push(&mut self, version: u64, position: u64, changes: Changes, ends: BTreeMap<u32, u64>) {
        self.offsets.extend(ends);
        self.writer.push(changes, self.claim(version, position));
    }

    fn claim(&self, version: u64, position: u64) -> Claim {
        let (layout, offsets) = (self.layout.clone(), self.offsets.clone());
        Claim { committed_at_ms: self.store.now_ms(), version, position, layout, offsets }
    }
}

impl<'a> Changelog<'a> {
    /// The owner before must be fenced already.
    pub(crate) fn of(config: &'a KafkaConfig, owner: &'a PartitionRef, app: &'a str) -> Result<Self, LogError> {
        let uncommitted = Bounds::uncommitted(config)?;
        let places = owner.changelog_partitions(config.changelog_partitions);
        let topic = config.changelog(app);
        let bounds = places.into_iter().map(|place| Ok((place, uncommitted.get(&topic, place)?)));
        let bounds = bounds.collect::<Result<_, LogError>>()?;
        let remaining = metrics::gauge!("logystera_restore_remaining_records", "app" => app.to_owned());
        Ok(Self { config, owner, app, bounds, cluster: uncommitted.cluster()?, remaining })
    }

    /// Reads each partition from its offset in `from` to its end.
    fn read(&self, from: impl Fn(u32, &Range<u64>) -> u64) -> Result<Restored, LogError> {
        let ranges = self.bounds.iter().map(|(place, range)| (*place, from(*place, range)..range.end)).collect();
        let (topic, mut restored) = (self.config.changelog(self.app), Restored::default());
        read_changelog(self.config, &topic, ranges, &self.remaining, |key, value| {
            restored
                .take(self.owner, key, value)
                .map_err(|_| LogError::Unusable(format!("{topic}: a record that is not of this version")))
        })?;
        Ok(restored)
    }

    /// The state as the changelog alone has it, and how far that is.
    pub(crate) fn read_all(&self) -> Result<(Changes, Committed), LogError> {
        let mut restored = self.read(|_, range| range.start)?;
        if !restored.inherit(self.owner) {
            return Err(LogError::Away(
                "the partition whose state it goes on with has not come to its seal".to_owned(),
            ));
        }
        restored.entries.retain(|_, change| change.value.is_some());
        self.count("changelog", restored.entries.len());
        Ok((restored.entries, restored.commit.unwrap_or_default()))
    }

    fn count(&self, from: &'static str, entries: usize) {
        let counter =
            metrics::counter!("logystera_restored_entries_total", "app" => self.app.to_owned(), "from" => from);
        counter.increment(entries as u64);
    }

    /// The state, from the store if there is one that can be used.
    pub(crate) fn restore(&self, store: Option<&Store>) -> Result<Taken, LogError> {
        let Some(store) = store else {
            let (entries, commit) = self.read_all()?;
            return Ok(Taken { entries: Arc::new(entries), commit, copy: None });
        };
        let owner = StateOwner {
            app: format!("{}{}", self.config.prefix, self.app),
            label: self.app.to_owned(),
            generation: self.owner.generation.number,
            partition: self.owner.partition,
            key_groups: self.owner.key_groups(),
        };
        let (incarnation, claim) = match store.incarnation() {
            Ok(incarnation) => (incarnation, store.claim(&owner)),
            // An incarnation that no claim has: nothing in the store counts.
            Err(error) => (String::new(), Err(error)),
        };
        let layout = Layout {
            log: self.cluster.clone(),
            incarnation,
            changelog_partitions: self.config.changelog_partitions,
            partitions: self.owner.generation.partitions,
        };
        let facts = Facts { layout: &layout, bounds: &self.bounds, now_ms: store.now_ms() };
        let why = match claim {
            Ok(claim) => match (judge(claim.as_ref(), &facts), claim) {
                (Verdict::Foreign(why), _) => {
                    return Err(LogError::Unusable(format!("{why}: empty its keyspace, or use another one")));
                }
                (Verdict::Usable, Some(claim)) => match self.restore_from(store, &owner, &layout, &claim)? {
                    Ok(taken) => return Ok(taken),
                    Err(error) => error.to_string(),
                },
                (Verdict::Rewrite(why), _) => why.to_owned(),
                (Verdict::Usable, None) => "the store has no position".to_owned(),
            },
            Err(error) => error.to_string(),
        };
        tracing::info!(app = self.app, partition = owner.partition, why, "restoring from the changelog alone");
        let (entries, commit) = self.read_all()?;
        let entries = Arc::new(entries);
        let offsets = self.ends();
        let version = self.owner.version(commit.position);
        let claim = Claim {
            committed_at_ms: store.now_ms(),
            version,
            position: commit.position,
            layout: layout.clone(),
            offsets: offsets.clone(),
        };
        let rewrite = Rewrite { entries: Arc::clone(&entries), claim };
        let writer = store.write_behind(owner, Some(rewrite), None);
        Ok(Taken { entries, commit, copy: Some(StoreCopy { writer, store: store.clone(), layout, offsets }) })
    }

    /// The rows of the store with the changelog's tail over them, or what the store said.
    fn restore_from(
        &self,
        store: &Store,
        owner: &StateOwner,
        layout: &Layout,
        claim: &Claim,
    ) -> Result<Result<Taken, StoreError>, LogError> {
        let (stopwatch, rows) = (Stopwatch::start(), store.load(owner));
        let mut tail = self.read(|place, range| claim.offsets.get(&place).copied().unwrap_or(range.start))?;
        let tail_read = stopwatch.elapsed();
        // Asked after the rows were read: of a store that was made anew meanwhile they are not all.
        let rows = rows.wait().and_then(|rows| match store.incarnation()? {
            now if now == layout.incarnation => Ok(rows),
            _ => Err(StoreError::Away("it was made anew while it was read".to_owned())),
        });
        let rows = match rows {
            Ok(rows) => rows,
            Err(error) => return Ok(Err(error)),
        };
        let (app, partition, tail_entries) = (self.app, owner.partition, tail.entries.len());
        tracing::info!(app, partition, rows = rows.len(), tail_entries, ?tail_read, rows_read = ?stopwatch.elapsed(), "restored from the store");
        let commit = tail.commit.unwrap_or(Committed { position: claim.position, sealed: false });
        let version = self.owner.version(commit.position);
        self.count("store", rows.len());
        self.count("changelog", tail.entries.len());
        let entries = tail.over(rows);
        // Deletions that the owner before committed and may not have written.
        for change in tail.entries.values_mut().filter(|change| change.value.is_none()) {
            change.version = version;
        }
        let writer = store.write_behind(owner.clone(), None, Some(layout.incarnation.clone()));
        let (store, layout, offsets) = (store.clone(), layout.clone(), self.ends());
        let mut copy = StoreCopy { writer, store, layout, offsets };
        copy.push(version, commit.position, tail.entries, BTreeMap::new());
        Ok(Ok(Taken { entries: Arc::new(entries), commit, copy: Some(copy) }))
    }

    fn ends(&self) -> BTreeMap<u32, u64> {
        self.bounds.iter().map(|(place, range)| (*place, range.end)).collect()
    }
}
