//! `logystera replay --verify`: each detection that the replay gives beside the recorded one.

use std::collections::{BTreeMap, VecDeque};

use logystera_schemas::detection::Detection;
use logystera_schemas::ids::{KeyGroup, Sha256Digest, SiteId};
use logystera_schemas::limits::READ_BYTES_MAX;
use logystera_schemas::topic::{DetectionsRecord, Topic};
use serde_json::json;

use super::progress::Progress;
use super::{Args, Asked, Found, Replay};
use crate::cli::{CliError, DONE, FINDING, Out};

/// The recorded detections of a partition of `detections` whose sites are of one partition of `signals`, in order.
struct Recorded<'a> {
    asked: &'a Asked<'a>,
    /// Partition of `signals`.
    source: u32,
    partition: u32,
    next: u64,
    end: u64,
    read: VecDeque<(u64, Detection)>,
}

impl<'a> Recorded<'a> {
    fn new(asked: &'a Asked<'a>, source: u32, partition: u32) -> Result<Self, CliError> {
        let bounds = asked.log.bounds(Topic::Detections, partition)?;
        Ok(Self { asked, source, partition, next: bounds.start, end: bounds.end, read: VecDeque::new() })
    }

    fn next(&mut self) -> Result<Option<(u64, Detection)>, CliError> {
        while self.read.is_empty() && self.next < self.end {
            let records = self.asked.log.read(Topic::Detections, self.partition, self.next, READ_BYTES_MAX)?;
            let Some(last) = records.last() else { break };
            self.next = last.offset + 1;
            for record in records.iter().filter(|r| r.offset < self.end) {
                let decoded = DetectionsRecord::decode(&record.value).map_err(|error| {
                    CliError::new(FINDING, format_args!("topic detections offset {}: {error}", record.offset))
                })?;
                if let DetectionsRecord::Detection(detection) = decoded
                    && self.concerns(&detection.site)
                {
                    self.read.push_back((record.offset, *detection));
                }
            }
        }
        Ok(self.read.pop_front())
    }

    fn concerns(&self, site: &SiteId) -> bool {
        match &self.asked.args.site {
            Some(asked) => asked == site,
            None => KeyGroup::of(site.as_str()).partition(self.asked.log.partitions(Topic::Signals)) == self.source,
        }
    }
}

/// What a comparison has seen.
#[derive(Default)]
struct Seen {
    /// The chain of each site, as it was recorded.
    chains: BTreeMap<SiteId, Sha256Digest>,
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
    for partition in &asked.partitions {
        let difference = compare_partition(asked, *partition, &mut seen, &mut progress)?;
        if let Some(difference) = difference {
            return report(asked.args, &seen, &difference);
        }
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
    partition: u32,
    seen: &mut Seen,
    progress: &mut Progress,
) -> Result<Option<Difference>, CliError> {
    // In this order: all that the engine had committed up to `position` is among the detections up to their ends.
    let position = asked.log.position(partition)?;
    let mut recorded = (0..asked.log.partitions(Topic::Detections))
        .map(|of| Recorded::new(asked, partition, of))
        .collect::<Result<Vec<_>, _>>()?;
    let mut replayed = Replay::new(asked, partition)?;
    while let Some(step) = replayed.step()? {
        progress.show(&replayed);
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
    progress.done(&replayed);
    seen.records += replayed.records;
    seen.batches += replayed.batches;
    for recorded in &mut recorded {
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
    let previous = seen.chains.get(&site).copied().unwrap_or_else(|| Detection::genesis(&site));
    seen.chains.insert(site.clone(), recorded.chain);
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
