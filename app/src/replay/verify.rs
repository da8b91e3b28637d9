//! `logystera replay --verify`: each detection that the replay gives beside the recorded one.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::rc::Rc;

use logystera_schemas::detection::Detection;
use logystera_schemas::ids::{KeyGroup, Sha256Digest, SiteId};
use logystera_schemas::limits::READ_BYTES_MAX;
use logystera_schemas::topic::{DetectionsRecord, Topic};
use serde_json::json;

use super::progress::Progress;
use super::{Args, Asked, Found, Replay};
use crate::cli::{CliError, DONE, FINDING, Out};
use crate::reading::Part;
use logystera_infra::runtime::StateMachine;

/// The recorded detections of what is one partition of `detections` now, whose sites are of one partition of `signals`, in
/// order.
struct Recorded<'a> {
    asked: &'a Asked<'a>,
    /// Partition of `signals`.
    source: Part,
    /// Of the newest generation of `detections`.
    partition: u32,
    /// Its partitions.
    partitions: u32,
    /// Where they stood and stand, the newest generation first.
    left: Vec<(Part, Range<u64>)>,
    read: VecDeque<(u64, Detection)>,
    /// The newest `seq` of each site that was compared before: those up to it are of the partition that this one goes on with.
    before: Rc<BTreeMap<SiteId, u64>>,
}

impl<'a> Recorded<'a> {
    fn new(
        asked: &'a Asked<'a>,
        source: Part,
        partition: u32,
        before: Rc<BTreeMap<SiteId, u64>>,
    ) -> Result<Self, CliError> {
        let generations = asked.log.generations(Topic::Detections);
        let partitions = generations.last().copied().unwrap_or(1);
        let stood = (0..).zip(generations).map(|(generation, count)| {
            let part = Part { generation, partition: partition % count };
            Ok((part, asked.log.bounds(Topic::Detections, part)?))
        });
        let mut left = stood.collect::<Result<Vec<_>, CliError>>()?;
        left.reverse();
        Ok(Self { asked, source, partition, partitions, left, read: VecDeque::new(), before })
    }

    /// The next one that was not compared yet.
    fn next(&mut self) -> Result<Option<(u64, Detection)>, CliError> {
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
    fn fill(&mut self, part: Part, range: &Range<u64>) -> Result<u64, CliError> {
        if range.is_empty() {
            return Ok(range.end);
        }
        let records = self.asked.log.read(Topic::Detections, part, range.start, READ_BYTES_MAX)?;
        for record in records.iter().filter(|record| record.offset < range.end) {
            let decoded = DetectionsRecord::decode(&record.value).map_err(|error| {
                CliError::new(FINDING, format_args!("topic detections offset {}: {error}", record.offset))
            })?;
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
        KeyGroup::of(detection.tenant.as_str()).partition(self.partitions) == self.partition
            && match &self.asked.args.site {
                Some(asked) => asked == site,
                None => self.asked.holds(self.source, u32::from(KeyGroup::of(site.as_str()).0)),
            }
    }
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
}

/// The first thing that is not as it should be.
struct Difference {
    site: SiteId,
    seq: u64,
    what: String,
}

/// Replays and compares; says what was found.
pub(super) fn verify(asked: &Asked<'_>) -> Result<u8, CliError> {
    let (mut seen, mut progress) = (Seen::default(), Progress::new(asked)?);
    let mut difference = None;
    asked.each(|replayed| {
        difference = compare_partition(asked, replayed, &mut seen, &mut progress)?;
        Ok(difference.is_none())
    })?;
    if let Some(difference) = difference {
        return report(asked.args, &seen, &difference);
    }
    let mut out = Out::new();
    let Seen { chains, compared, records, batches, unrecorded } = seen;
    let sites = chains.len();
    if asked.args.json {
        out.json(&json!({"verified": true, "records": records, "batches": batches, "detections": compared, "sites": sites, "not_yet_recorded": unrecorded}))?;
    } else {
        out.line(format_args!(
            "Verified: {records} records of topic signals, from the log's start on, give the recorded detections byte for \
             byte ({compared} detections, {sites} chains)."
        ))?;
        if unrecorded > 0 {
            out.line(format_args!("{unrecorded} more are due: the processor has not come so far."))?;
        }
    }
    out.flush()?;
    Ok(DONE)
}

fn compare_partition(
    asked: &Asked<'_>,
    replayed: &mut Replay<'_>,
    seen: &mut Seen,
    progress: &mut Progress,
) -> Result<Option<Difference>, CliError> {
    // In this order: all that the engine had committed up to `position` is among the detections up to their ends.
    let position = asked.log.position(replayed.part)?;
    let partitions = asked.log.generations(Topic::Detections).pop().unwrap_or(1);
    let before: BTreeMap<_, _> = seen.chains.iter().map(|(site, (seq, _))| (site.clone(), *seq)).collect();
    let before = Rc::new(before);
    let recorded = (0..partitions).map(|of| Recorded::new(asked, replayed.part, of, Rc::clone(&before)));
    let mut recorded = recorded.collect::<Result<Vec<_>, _>>()?;
    while let Some(step) = replayed.step()? {
        progress.show(replayed);
        for Found { applied, partition, detection: computed } in step {
            match recorded[partition as usize].next()? {
                Some((offset, other)) => {
                    if let Some(difference) = compare(seen, &computed, &other, offset, asked.from_ms) {
                        return Ok(Some(difference));
                    }
                }
                // The engine has not come so far, or was stopped before it committed.
                None if applied >= position => seen.unrecorded += 1,
                None => {
                    let what = "the replay finds it, and topic detections ends before it".to_owned();
                    return Ok(Some(Difference { site: computed.site, seq: computed.seq, what }));
                }
            }
        }
    }
    progress.done(replayed)?;
    seen.records += replayed.records;
    seen.batches += replayed.batches;
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

/// Names of the fields whose values differ; never the values.
fn differing_fields(one: &Detection, other: &Detection) -> Vec<String> {
    if one == other {
        return Vec::new();
    }
    let (one, other) = (json!(one), json!(other));
    let fields = one.as_object().into_iter().flatten();
    let differing: Vec<String> =
        fields.filter(|(name, value)| other.get(name.as_str()) != Some(value)).map(|(name, _)| name.clone()).collect();
    if differing.is_empty() { vec!["encryption_key".to_owned()] } else { differing }
}

fn report(args: &Args, seen: &Seen, difference: &Difference) -> Result<u8, CliError> {
    let Difference { site, seq, what } = difference;
    let mut out = Out::new();
    if args.json {
        out.json(&json!({"verified": false, "site": site, "seq": seq, "what": what, "detections": seen.compared}))?;
    } else {
        out.line(format_args!("First difference: detection {seq} of site {site}, {what}."))?;
    }
    out.flush()?;
    Ok(FINDING)
}
