//! A fresh engine on its way through the records of a partition.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use logystera_infra::directory::Skips;
use logystera_infra::log::{Entry, Record};
use logystera_infra::reading::{PartitionId, Reading};
use logystera_infra::runtime::StateMachine;
use logystera_processor::core::{RuleSet, SEMANTICS};
use logystera_processor::task::{EngineMachine, OutputPartitions};
use logystera_schemas::detection::Detection;
use logystera_schemas::ids::{KEY_GROUPS, KeyGroup, SiteId};
use logystera_schemas::limits::READ_BYTES_MAX;
use logystera_schemas::partition::{Generation, PartitionRef};
use logystera_schemas::schema;
use logystera_schemas::signals_topic::SiteConfigured;
use logystera_schemas::snapshot::{Snapshot, SnapshotSite};
use logystera_schemas::time::WallMs;
use logystera_schemas::topic::{DetectionsRecord, SignalsRecord, Topic};

use crate::asked::{Asked, Known};
use crate::error::ReplayError;
use crate::snapshots;

/// The engine's state, as it travels with the key groups.
pub(crate) type State = BTreeMap<Vec<u8>, Vec<u8>>;

/// The signals of a partition on their way through an engine.
pub struct Replay<'a> {
    pub(crate) log: &'a dyn Reading,
    pub(crate) machine: EngineMachine<Known<'a>>,
    pub(crate) part: PartitionId,
    /// What is stored so far, where others go on with it.
    state: State,
    /// Whether the topic has grown since.
    has_next: bool,
    site: Option<SiteId>,
    known: Known<'a>,
    /// The key groups that are being replayed.
    entered: BTreeSet<u32>,
    /// Whether those are all that the partition has.
    is_whole: bool,
    /// The parts of snapshots whose place has not been reached, the next one last.
    ahead: Vec<Vec<Snapshot>>,
    /// Offset that it began with.
    pub(crate) begin: u64,
    pub(crate) next: u64,
    pub(crate) records: u64,
    pub(crate) batches: u64,
    /// Records that were passed over, as the engine did.
    pub(crate) skipped: u64,
    skips: Skips,
}

/// A detection that the replay gives.
pub struct Found {
    /// Offset of the record that brought it about.
    pub applied: u64,
    /// Wall time of the log behind that record.
    pub wall: WallMs,
    /// Partition of the newest generation of `detections` that it belongs to.
    pub partition: u32,
    /// The detection.
    pub detection: Detection,
}

impl Asked<'_> {
    /// Replays one partition after the other, each behind the one that it goes on with: sites do not concern each other.
    /// `visit` gives false to end it.
    pub fn each<E: From<ReplayError>>(
        &self,
        mut visit: impl FnMut(&mut Replay<'_>) -> Result<bool, E>,
    ) -> Result<(), E> {
        let mut left: Vec<(PartitionId, Rc<State>)> = self.first().map(|part| (part, Rc::default())).collect();
        left.reverse();
        while let Some((part, state)) = left.pop() {
            let mut replayed = Replay::new(self, part, &state)?;
            if !visit(&mut replayed)? {
                return Ok(());
            }
            if replayed.machine.is_sealed() {
                let state = Rc::new(replayed.into_state());
                left.extend(self.next(part).map(|next| (next, Rc::clone(&state))));
            }
        }
        Ok(())
    }
}

impl<'a> Replay<'a> {
    /// An engine that goes on with `state`, which the partition before has left.
    pub(crate) fn new(asked: &Asked<'a>, part: PartitionId, state: &State) -> Result<Self, ReplayError> {
        let (log, known) = (asked.log, asked.known.clone());
        let partitions = asked.facts.generations[part.generation as usize];
        let parents = part.generation.checked_sub(1).map(|before| asked.facts.generations[before as usize]);
        let generation = Generation { number: part.generation, partitions, parents };
        let home = PartitionRef { generation, partition: part.partition };
        let outputs = OutputPartitions::of(|topic| log.generations(topic).pop().unwrap_or(1));
        let has_next = asked.next(part).next().is_some();
        let (mut entered, mut ahead) = (BTreeSet::new(), Vec::new());
        for (key_group, entry) in asked.entries_in(part) {
            match entry.taken().filter(|taken| taken.part == part) {
                Some(taken) => ahead.push((key_group, taken.clone())),
                None => drop(entered.insert(key_group)),
            }
        }
        let mut ahead: Vec<Vec<Snapshot>> = snapshots::load(log, &ahead)?.into_values().collect();
        ahead.sort_by_key(|parts| std::cmp::Reverse(parts.first().map(|part| part.position)));
        let begin = asked.begin(part);
        let skips = known.directory.skips(Topic::Signals, part.generation, part.partition);
        let mut replay = Self {
            log,
            machine: EngineMachine::new(home, outputs, known.clone()),
            part,
            state: State::new(),
            has_next,
            site: asked.site.clone(),
            known,
            is_whole: false,
            entered,
            ahead,
            begin,
            next: begin,
            records: 0,
            batches: 0,
            skipped: 0,
            skips,
        };
        for (key, value) in state {
            let key_group = key.split_first_chunk().map(|(head, _)| u16::from_be_bytes(*head));
            // What is of no key group is the partition's own, and of all that it became.
            if key_group.is_none_or(|group| group >= KEY_GROUPS || asked.holds(part, u32::from(group))) {
                replay.restore(key, value)?;
            }
        }
        replay.machine.restored();
        let all = (0..u32::from(KEY_GROUPS)).filter(|group| asked.holds(part, *group)).count();
        replay.is_whole = replay.entered.len() + replay.ahead.len() == all;
        Ok(replay)
    }

    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), ReplayError> {
        self.machine.restore(key, value).map_err(|halt| altered(&halt.to_string()))?;
        if self.has_next {
            self.state.insert(key.to_vec(), value.to_vec());
        }
        Ok(())
    }

    /// The sites as the snapshots have them that this partition begins with.
    pub(crate) fn sites_ahead(&self) -> impl Iterator<Item = &SnapshotSite> {
        self.ahead.iter().flatten().flat_map(|part| &part.sites)
    }

    /// Goes on with the snapshots that were taken before this record.
    fn enter(&mut self, offset: u64) -> Result<(), ReplayError> {
        while let Some(parts) = self.ahead.pop_if(|parts| parts.first().is_some_and(|part| part.position <= offset)) {
            // The log's clocks, which stand first, go on by themselves from the first one on.
            let clocks = usize::from(!self.entered.is_empty());
            for entry in parts.iter().flat_map(|part| &part.entries).skip(clocks) {
                self.restore(&entry.key.0, &entry.value.0)?;
            }
            self.machine.restored();
            self.entered.extend(parts.iter().map(|part| part.key_group));
            if let Some(given) = self.known.given.clone() {
                let mut sites = parts.iter().flat_map(|part| &part.sites);
                sites.try_for_each(|site| self.judge_by(&given, site, offset))?;
            }
        }
        Ok(())
    }

    /// From here on a site is judged by the rules that were given. What ends with the others is not told.
    fn judge_by(&mut self, given: &RuleSet, of: &SnapshotSite, offset: u64) -> Result<(), ReplayError> {
        let Some(site) = self.known.directory.site(of.site.as_str()) else { return Ok(()) };
        let configured = SiteConfigured {
            site: site.site.clone(),
            tenant: site.tenant.clone(),
            name: site.name.clone(),
            digest: given.digest,
            semantics: self.machine.engine().semantics(&of.site).unwrap_or(SEMANTICS),
        };
        let (key, value) = (of.site.as_str().as_bytes().to_vec(), schema::encode(&configured));
        let record = Record { offset, key, value };
        self.machine.apply(&record, &mut Vec::new()).map(drop).map_err(|halt| altered(&halt.to_string()))
    }

    /// Takes what changed out of the machine, which keeps it for a commit that never comes.
    fn store(&mut self) {
        for (key, value) in self.machine.take_puts().into_iter().filter(|_| self.has_next) {
            match value {
                Some(value) => drop(self.state.insert(key, value)),
                None => drop(self.state.remove(&key)),
            }
        }
    }

    /// Offsets that it has behind it.
    pub fn passed(&self) -> u64 {
        self.next - self.begin
    }

    /// Offsets from where it began to the partition's end.
    pub fn offsets(&self) -> Result<u64, ReplayError> {
        Ok(self.log.bounds(Topic::Signals, self.part)?.end - self.begin)
    }

    /// Records that it has read.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// What those go on with that the partition has become.
    pub(crate) fn into_state(mut self) -> State {
        self.store();
        self.state
    }

    /// Applies the next records. None: the partition's end; else what they brought about.
    pub fn step(&mut self) -> Result<Option<Vec<Found>>, ReplayError> {
        let records = self.read()?;
        if records.is_empty() { Ok(None) } else { self.take(&records).map(Some) }
    }

    /// The next records; none at the partition's end.
    pub(crate) fn read(&self) -> Result<Vec<Record>, ReplayError> {
        if self.machine.is_sealed() {
            return Ok(Vec::new());
        }
        Ok(self.log.read_on(Topic::Signals, self.part, self.next, &self.skips)?)
    }

    /// Applies these records, the next ones of the partition; gives what they brought about.
    pub(crate) fn take(&mut self, records: &[Record]) -> Result<Vec<Found>, ReplayError> {
        let (mut found, mut outputs): (_, Vec<Entry>) = (Vec::new(), Vec::new());
        for record in records {
            self.next = record.offset + 1;
            self.records += 1;
            self.enter(record.offset)?;
            if !self.concerns(record) {
                continue;
            }
            if self.skips.has(record.offset) {
                self.skipped += 1;
                continue;
            }
            let record = self.with_rules(record)?;
            self.batches += u64::from(!record.key.is_empty());
            self.machine.apply(&record, &mut outputs).map_err(|halt| altered(&halt.to_string()))?;
            for entry in outputs.drain(..).filter(|entry| entry.topic == Topic::Detections) {
                let Ok(DetectionsRecord::Detection(detection)) = DetectionsRecord::decode(&entry.value) else {
                    continue;
                };
                // A snapshot brings the key group's other sites along.
                if self.site.as_ref().is_none_or(|site| *site == detection.site) {
                    found.push(Found {
                        applied: record.offset,
                        wall: self.wall(),
                        partition: entry.partition,
                        detection: *detection,
                    });
                }
            }
            if self.machine.dirty_bytes() > READ_BYTES_MAX {
                self.store();
            }
            if self.machine.is_sealed() {
                break;
            }
        }
        Ok(found)
    }

    /// Wall time of the log where it is.
    pub fn wall(&self) -> WallMs {
        self.machine.engine().time().wall()
    }

    /// Ticks concern every site; sites do not concern each other.
    fn concerns(&self, record: &Record) -> bool {
        record.key.is_empty()
            || match &self.site {
                Some(site) => record.key == site.as_str().as_bytes() && self.ahead.is_empty(),
                None if self.is_whole && self.ahead.is_empty() => true,
                None => std::str::from_utf8(&record.key)
                    .is_ok_and(|site| self.entered.contains(&u32::from(KeyGroup::of(site).0))),
            }
    }

    /// The record, with the given rules in place of those that it names.
    fn with_rules<'r>(&self, record: &'r Record) -> Result<Cow<'r, Record>, ReplayError> {
        let decoded = SignalsRecord::decode(&record.value);
        let decoded = decoded.map_err(|error| altered(&format!("offset {}: {error}", record.offset)))?;
        let SignalsRecord::SiteConfigured(configured) = decoded else {
            return Ok(Cow::Borrowed(record));
        };
        if configured.semantics > SEMANTICS {
            return Err(ReplayError::Unavailable(format!(
                "topic signals offset {}: it was written for version {} of the engine's semantics; this binary knows up to \
                 {SEMANTICS}: use a newer one",
                record.offset, configured.semantics
            )));
        }
        let digest = self.known.given.as_ref().map_or(configured.digest, |given| given.digest);
        let value = schema::encode(&SiteConfigured { digest, ..configured });
        Ok(Cow::Owned(Record { value, offset: record.offset, key: record.key.clone() }))
    }
}

/// A record that the engine cannot apply.
fn altered(what: &str) -> ReplayError {
    ReplayError::Damaged(format!("topic signals {what}"))
}
