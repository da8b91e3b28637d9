//! `logystera replay --verify`: each detection that the replay gives beside the recorded one.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::rc::Rc;

use logystera_infra::runtime::StateMachine;
use logystera_schemas::detection::Detection;
use logystera_schemas::ids::{KeyGroup, Sha256Digest, SiteId};
use logystera_schemas::topic::{DetectionsRecord, Topic};
use serde_json::json;

use super::asked::Asked;
use super::engine::{Found, Replay};
use super::progress::Progress;
use crate::cli::{CliError, DONE, FINDING, NOT_AVAILABLE, Out, counted};
use crate::installation::reading::Part;
use crate::when;

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
    /// The newest `seq` of each site that was compared before, or that a snapshot has: those up to it are not this one's.
    before: Rc<BTreeMap<SiteId, u64>>,
    /// Whether older ones than the oldest that stands here have passed their time, and that one was not compared yet.
    is_cut: bool,
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
        let is_cut = left.iter().any(|(_, range)| range.start > 0);
        Ok(Self { asked, source, partition, partitions, left, read: VecDeque::new(), before, is_cut })
    }

    /// What stands beside a computed one.
    fn beside(&mut self, computed: &Detection) -> Result<Beside, CliError> {
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
        let skips = self.asked.known.directory.skips(Topic::Detections, part.generation, part.partition);
        let records = self.asked.log.read_on(Topic::Detections, part, range.start, &skips)?;
        for record in records.iter().filter(|record| record.offset < range.end && !skips.has(record.offset)) {
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
        return report(asked.json, &seen, &difference);
    }
    tell(asked, &seen)?;
    // What was not covered was not verified.
    Ok(if asked.missing == 0 { DONE } else { NOT_AVAILABLE })
}

/// Says what was verified, and what was not.
fn tell(asked: &Asked<'_>, seen: &Seen) -> Result<(), CliError> {
    let mut out = Out::new();
    let Seen { chains, compared, records, batches, unrecorded, gone, skipped } = seen;
    let (sites, covered, missing) = (chains.len(), asked.entries.len(), asked.missing);
    let taken: Vec<i64> = asked.entries.values().filter_map(|entry| Some(entry.taken()?.at_ms)).collect();
    // The first and the last of the snapshots that it began with.
    let span = taken.iter().min().zip(taken.iter().max());
    if asked.json {
        let snapshots = span.map(|(first, last)| json!({"count": taken.len(), "first_at": first, "last_at": last}));
        out.json(&json!({
            "verified": missing == 0, "covered_key_groups": covered, "uncovered_key_groups": missing, "records": records, "batches": batches, "detections": compared, "sites": sites,
            "not_yet_recorded": unrecorded, "recorded_no_longer": gone, "began_with_snapshots": snapshots,
            "key_groups_without_snapshot": missing, "skipped": skipped,
        }))?;
        return Ok(out.flush()?);
    }
    let begin = match span {
        None => "from the log's start on".to_owned(),
        Some((first, last)) => {
            format!(
                "from snapshots on ({}, taken from {} to {} UTC)",
                taken.len(),
                when::show(*first),
                when::show(*last)
            )
        }
    };
    let verified = if missing == 0 { "Verified" } else { "Verified in part" };
    out.line(format_args!(
        "{verified}: {records} records of topic signals, {begin}, give the recorded detections byte for byte ({compared} \
         detections, {sites} chains)."
    ))?;
    if *unrecorded > 0 {
        out.line(format_args!("{unrecorded} more are due: the processor has not come so far."))?;
    }
    if *gone > 0 {
        out.line(format_args!(
            "{gone} more are no longer recorded: they are older than topic detections reaches back."
        ))?;
    }
    if *skipped > 0 {
        let records = counted(*skipped, "record was", "records were");
        out.line(format_args!("{records} passed over, as the engine did: `log skip` has said so."))?;
    }
    if missing > 0 {
        out.line(format_args!(
            "Not verified: the sites of {missing} of 1,024 key groups. The log's start is gone, and they have had no snapshot \
             since: each has one a day."
        ))?;
    }
    Ok(out.flush()?)
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
    for site in replayed.sites_ahead().filter(|site| site.seq > 0) {
        seen.chains.insert(site.site.clone(), (site.seq, site.chain));
    }
    let before: BTreeMap<_, _> = seen.chains.iter().map(|(site, (seq, _))| (site.clone(), *seq)).collect();
    let before = Rc::new(before);
    let recorded = (0..partitions).map(|of| Recorded::new(asked, replayed.part, of, Rc::clone(&before)));
    let mut recorded = recorded.collect::<Result<Vec<_>, _>>()?;
    while let Some(step) = replayed.step()? {
        progress.show(replayed);
        for Found { applied, partition, detection: computed } in step {
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
    progress.done(replayed)?;
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

fn report(json: bool, seen: &Seen, difference: &Difference) -> Result<u8, CliError> {
    let Difference { site, seq, what } = difference;
    let mut out = Out::new();
    if json {
        out.json(&json!({"verified": false, "site": site, "seq": seq, "what": what, "detections": seen.compared}))?;
    } else {
        out.line(format_args!("First difference: detection {seq} of site {site}, {what}."))?;
    }
    out.flush()?;
    Ok(FINDING)
}
