//! Each detection that a replay gives beside the recorded one.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::rc::Rc;

use logystera_infra::reading::PartitionId;
use logystera_infra::runtime::StateMachine;
use logystera_processor::task::APP;
use logystera_schemas::detection::Detection;
use logystera_schemas::ids::{KeyGroup, Sha256Digest, SiteId};
use logystera_schemas::topic::{DetectionsRecord, Topic};
use serde_json::json;

use crate::asked::Asked;
use crate::engine::{Found, Replay};
use crate::error::ReplayError;

/// The recorded detections of what is one partition of `detections` now, whose sites are of one partition of `signals`, in
/// order.
struct Recorded<'a> {
    asked: &'a Asked<'a>,
    /// Partition of `signals`.
    source: PartitionId,
    /// Of the newest generation of `detections`.
    partition: u32,
    /// Its partitions.
    partitions: u32,
    /// Where they stood and stand, the newest generation first.
    left: Vec<(PartitionId, Range<u64>)>,
    read: VecDeque<(u64, Detection)>,
    /// The newest `seq` of each site that was compared before, or that a snapshot has: those up to it are not this one's.
    before: Rc<BTreeMap<SiteId, u64>>,
    /// Whether older ones than the oldest that stands here have passed their time, and that one was not compared yet.
    is_cut: bool,
}

impl<'a> Recorded<'a> {
    fn new(
        asked: &'a Asked<'a>,
        source: PartitionId,
        partition: u32,
        before: Rc<BTreeMap<SiteId, u64>>,
    ) -> Result<Self, ReplayError> {
        let generations = asked.log.generations(Topic::Detections);
        let partitions = generations.last().copied().unwrap_or(1);
        let stood = (0..).zip(generations).map(|(generation, count)| {
            let part = PartitionId { generation, partition: partition % count };
            Ok((part, asked.log.bounds(Topic::Detections, part)?))
        });
        let mut left = stood.collect::<Result<Vec<_>, ReplayError>>()?;
        left.reverse();
        let is_cut = left.iter().any(|(_, range)| range.start > 0);
        Ok(Self { asked, source, partition, partitions, left, read: VecDeque::new(), before, is_cut })
    }

    /// What stands beside a computed one.
    fn beside(&mut self, computed: &Detection) -> Result<Beside, ReplayError> {
        let Some((offset, next)) = self.next()? else {
            return Ok(if self.is_cut { Beside::Gone } else { Beside::End });
        };
        self.is_cut &= (&next.site, next.seq) != (&computed.site, computed.seq);
        if self.is_cut {
            self.read.push_front((offset, next));
            return Ok(Beside::Gone);
        }
        Ok(Beside::Recorded(offset, Box::new(next)))
    }

    /// The next one that was not compared yet.
    fn next(&mut self) -> Result<Option<(u64, Detection)>, ReplayError> {
        loop {
            while self.read.is_empty() {
                let Some((part, range)) = self.left.last().cloned() else { return Ok(None) };
                let next = self.fill(part, &range)?;
                match self.left.last_mut().filter(|_| next < range.end) {
                    Some((_, range)) => range.start = next,
                    None => drop(self.left.pop()),
                }
            }
            if let Some((offset, detection)) = self.read.pop_front()
                && self.before.get(&detection.site).is_none_or(|seq| detection.seq > *seq)
            {
                return Ok(Some((offset, detection)));
            }
        }
    }

    /// Reads on in a partition; gives where to go on.
    fn fill(&mut self, part: PartitionId, range: &Range<u64>) -> Result<u64, ReplayError> {
        if range.is_empty() {
            return Ok(range.end);
        }
        let skips = self.asked.known.directory.skips(Topic::Detections, part.generation, part.partition);
        let records = self.asked.log.read_on(Topic::Detections, part, range.start, &skips)?;
        for record in records.iter().filter(|record| record.offset < range.end && !skips.has(record.offset)) {
            let decoded = DetectionsRecord::decode(&record.value)
                .map_err(|error| ReplayError::Damaged(format!("topic detections offset {}: {error}", record.offset)))?;
            match decoded {
                // What stands behind it was never committed.
                DetectionsRecord::Seal(_) => return Ok(range.end),
                DetectionsRecord::Detection(detection) if self.concerns(&detection) => {
                    self.read.push_back((record.offset, *detection));
                }
                _ => {}
            }
        }
        Ok(records.last().map_or(range.end, |last| last.offset + 1))
    }

    fn concerns(&self, detection: &Detection) -> bool {
        let site = &detection.site;
        let key_group = u32::from(KeyGroup::of(site.as_str()).0);
        KeyGroup::of(detection.tenant.as_str()).partition(self.partitions) == self.partition
            && self.asked.site.as_ref().is_none_or(|asked| asked == site)
            && self.asked.holds(self.source, key_group)
            && self.asked.entries.get(&key_group).is_some_and(|entry| entry.generation() <= self.source.generation)
    }
}

/// What stands beside a computed detection.
enum Beside {
    /// The next recorded one, at its offset.
    Recorded(u64, Box<Detection>),
    /// Nothing, and the oldest one that is recorded is newer: it has passed its time.
    Gone,
    /// Nothing: the topic ends here.
    End,
}

/// What a comparison has seen.
#[derive(Default)]
struct Seen {
    /// The newest detection of each site, as it was recorded: its `seq` and chain.
    chains: BTreeMap<SiteId, (u64, Sha256Digest)>,
    compared: u64,
    /// Records and batches of `signals`.
    records: u64,
    batches: u64,
    /// Detections that the processor has not come to yet.
    unrecorded: u64,
    /// Detections that have passed their time.
    gone: u64,
    /// Records of `signals` that are passed over: somebody has said so.
    skipped: u64,
}

/// The first thing that is not as it should be.
#[derive(Debug)]
pub struct Difference {
    /// Site of the detection.
    pub site: SiteId,
    /// Its number in the site's chain.
    pub seq: u64,
    /// What is not as it should be. Names fields, never values.
    pub what: String,
}

/// What a comparison came to.
#[derive(Debug)]
pub struct Comparison {
    /// Detections that were compared with the recorded ones.
    pub compared: u64,
    /// Sites whose chains were followed.
    pub sites: usize,
    /// Records of `signals` that were applied, or that concern nobody who was asked for.
    pub records: u64,
    /// Of those, batches.
    pub batches: u64,
    /// Detections that the processor has not come to yet.
    pub unrecorded: u64,
    /// Detections that have passed their time.
    pub gone: u64,
    /// Records of `signals` that are passed over: somebody has said so.
    pub skipped: u64,
    /// The first thing that is not as it should be. None: all that was compared is as it was recorded.
    pub difference: Option<Difference>,
}

/// Is told how far a replay is.
pub trait Watch {
    /// A partition has got on.
    fn show(&mut self, replayed: &Replay<'_>);

    /// A partition is done.
    fn done(&mut self, replayed: &Replay<'_>) -> Result<(), ReplayError>;
}

/// Replays and compares, up to the first difference.
pub fn verify(asked: &Asked<'_>, watch: &mut impl Watch) -> Result<Comparison, ReplayError> {
    let (mut seen, mut difference) = (Seen::default(), None);
    asked.each(|replayed| {
        difference = compare_partition(asked, replayed, &mut seen, watch)?;
        Ok::<_, ReplayError>(difference.is_none())
    })?;
    let Seen { chains, compared, records, batches, unrecorded, gone, skipped } = seen;
    Ok(Comparison { compared, sites: chains.len(), records, batches, unrecorded, gone, skipped, difference })
}

fn compare_partition(
    asked: &Asked<'_>,
    replayed: &mut Replay<'_>,
    seen: &mut Seen,
    watch: &mut impl Watch,
) -> Result<Option<Difference>, ReplayError> {
    // In this order: all that the engine had committed up to `position` is among the detections up to their ends.
    let position = asked.log.position(APP, Topic::Signals, replayed.part)?;
    let partitions = asked.log.generations(Topic::Detections).pop().unwrap_or(1);
    for site in replayed.sites_ahead().filter(|site| site.seq > 0) {
        seen.chains.insert(site.site.clone(), (site.seq, site.chain));
    }
    let before: BTreeMap<_, _> = seen.chains.iter().map(|(site, (seq, _))| (site.clone(), *seq)).collect();
    let before = Rc::new(before);
    let recorded = (0..partitions).map(|of| Recorded::new(asked, replayed.part, of, Rc::clone(&before)));
    let mut recorded = recorded.collect::<Result<Vec<_>, _>>()?;
    while let Some(step) = replayed.step()? {
        watch.show(replayed);
        for Found { applied, partition, detection: computed, .. } in step {
            match recorded[partition as usize].beside(&computed)? {
                Beside::Recorded(offset, other) => {
                    if let Some(difference) = compare(seen, &computed, &other, offset, asked.from_ms) {
                        return Ok(Some(difference));
                    }
                }
                // The engine has not come so far, or was stopped before it committed.
                Beside::End | Beside::Gone if applied >= position => seen.unrecorded += 1,
                Beside::Gone => {
                    seen.gone += 1;
                    seen.chains.insert(computed.site, (computed.seq, computed.chain));
                }
                Beside::End => {
                    let what = "the replay finds it, and topic detections ends before it".to_owned();
                    return Ok(Some(Difference { site: computed.site, seq: computed.seq, what }));
                }
            }
        }
    }
    watch.done(replayed)?;
    seen.records += replayed.records;
    seen.batches += replayed.batches;
    seen.skipped += replayed.skipped;
    // What a partition that grew leaves over is of those that go on with it.
    for recorded in recorded.iter_mut().filter(|_| !replayed.machine.is_sealed()) {
        if let Some((offset, extra)) = recorded.next()? {
            let what = format!("it stands at offset {offset} of topic detections, and the replay does not find it");
            return Ok(Some(Difference { site: extra.site, seq: extra.seq, what }));
        }
    }
    Ok(None)
}

/// Compares a detection with the recorded one, and the record with the chain of those before it.
fn compare(
    seen: &mut Seen,
    computed: &Detection,
    recorded: &Detection,
    offset: u64,
    from_ms: i64,
) -> Option<Difference> {
    let site = recorded.site.clone();
    let previous = seen.chains.get(&site).map_or_else(|| Detection::genesis(&site), |(_, chain)| *chain);
    seen.chains.insert(site.clone(), (recorded.seq, recorded.chain));
    if computed.last_evaluated_at.max(recorded.last_evaluated_at) < from_ms {
        return None;
    }
    seen.compared += 1;
    let mut faults = Vec::new();
    let link = recorded.link(&previous);
    if link != recorded.chain {
        faults.push(format!(
            "its chain value is {:.16}…, what it says gives {:.16}…",
            recorded.chain.to_string(),
            link.to_string()
        ));
    }
    let differing = differing_fields(computed, recorded);
    if !differing.is_empty() {
        faults.push(format!("the replay gives other values of {}", differing.join(", ")));
    }
    let what = format!("at offset {offset} of topic detections: {}", faults.join("; "));
    (!faults.is_empty()).then_some(Difference { site, seq: recorded.seq, what })
}

/// Names of the fields whose values differ; never the values. A version that did not say how a detection is bundled
/// recorded none.
fn differing_fields(computed: &Detection, recorded: &Detection) -> Vec<String> {
    if computed == recorded {
        return Vec::new();
    }
    let (one, other) = (json!(computed), json!(recorded));
    let fields = one.as_object().into_iter().flatten();
    let mut differing: Vec<String> =
        fields.filter(|(name, value)| other.get(name.as_str()) != Some(value)).map(|(name, _)| name.clone()).collect();
    for (name, differs) in [
        ("encryption_key", computed.encryption_key != recorded.encryption_key),
        ("bundle", recorded.bundle.is_some() && computed.bundle != recorded.bundle),
    ] {
        differing.extend(differs.then(|| name.to_owned()));
    }
    differing
}
