//! `logystera replay`: computes the detections again from topic `signals`, as the engine did, and compares.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use logystera_infra::clock::{Clock, SystemClock};
use logystera_infra::control::Directory;
use logystera_infra::embedded::EmbeddedReader;
use logystera_infra::log::{Entry, Record};
use logystera_infra::runtime::StateMachine;
use logystera_processor::core::engine::SEMANTICS;
use logystera_processor::core::rule::RuleSet;
use logystera_processor::task::{APP, Bodies, EngineMachine};
use logystera_schemas::detection::Detection;
use logystera_schemas::ids::{Sha256Digest, SiteId};
use logystera_schemas::limits::READ_BYTES_MAX;
use logystera_schemas::schema;
use logystera_schemas::signals_topic::SiteConfigured;
use logystera_schemas::topic::{DetectionsRecord, SignalsRecord, Topic};
use serde_json::json;

use crate::cli::{CliError, DONE, DataArgs, FINDING, Out, finish};
use crate::tail::detection_text;
use crate::up::load_rules;
use crate::when;

/// Compute the detections again from the signals in the log
///
/// The engine is a pure function of the log, so a replay gives what was recorded, byte for byte. With --verify it compares
/// each detection with the recorded one, and each site's chain of hashes, and stops at the first difference. With --rules it
/// shows what other rules would have found.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  logystera replay --verify                       exit 0: all is as it was recorded; 1: the first difference
  logystera replay --site my-shop --from 2h --json
  logystera replay --rules new.yaml | wc -l

The engine always starts at the log's start; --from and --site limit what is shown and compared.")]
pub struct Args {
    #[command(flatten)]
    data: DataArgs,
    /// Compare with the detections that were recorded
    #[arg(long, conflicts_with = "rules")]
    verify: bool,
    /// Only what was evaluated at this time (the site's) or later
    #[arg(long, value_name = "beginning|TIME")]
    from: Option<String>,
    /// Only this site
    #[arg(long)]
    site: Option<SiteId>,
    /// Judge every site by these rules: a YAML file, or a folder of them
    #[arg(long, value_name = "PATH")]
    rules: Option<PathBuf>,
    /// Print JSON, one object a line
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: &Args) -> ExitCode {
    finish("replay", replay(args))
}

fn replay(args: &Args) -> Result<u8, CliError> {
    let from_ms = match args.from.as_deref() {
        None | Some("beginning") => i64::MIN,
        Some(text) => when::parse(text, SystemClock::new().wall_ms())
            .ok_or_else(|| CliError::wrong_use(format!("--from {text}: not a time; see `logystera tail --help`")))?,
    };
    let reader = EmbeddedReader::open(&args.data.data)?;
    if let Some(site) = &args.site
        && Directory::read_from(&reader)?.site(site.as_str()).is_none()
    {
        return Err(CliError::wrong_use(format!("there is no site {site}; `logystera site list` shows them")));
    }
    if args.verify { verify(&reader, args, from_ms) } else { show(&reader, args, from_ms) }
}

fn show(reader: &EmbeddedReader, args: &Args, from_ms: i64) -> Result<u8, CliError> {
    let rules = args.rules.as_deref().map(load_rules).transpose()?;
    let mut replayed = Replay::new(reader, args.site.clone(), rules)?;
    let mut out = Out::new();
    while let Some(detections) = replayed.step()? {
        for (_, detection) in detections.iter().filter(|(_, d)| d.last_evaluated_at >= from_ms) {
            if args.json { out.json(detection)? } else { out.line(detection_text(detection))? }
        }
    }
    out.flush()?;
    Ok(DONE)
}

/// The log's signals on their way through a fresh engine.
struct Replay<'a> {
    reader: &'a EmbeddedReader,
    machine: EngineMachine<Known>,
    site: Option<SiteId>,
    rules: Option<Sha256Digest>,
    next: u64,
    batches: u64,
}

/// The bodies that stand in topic `control`, and the set that was given.
struct Known {
    directory: Directory,
    given: Option<RuleSet>,
}

impl Bodies for Known {
    fn find(&mut self, digest: &Sha256Digest) -> Option<String> {
        if let Some(given) = self.given.as_ref().filter(|set| set.digest == *digest) {
            return Some(given.body.clone());
        }
        let record = self.directory.rule_set(digest)?;
        String::from_utf8(record.body.0.clone()).ok()
    }
}

impl<'a> Replay<'a> {
    fn new(reader: &'a EmbeddedReader, site: Option<SiteId>, given: Option<RuleSet>) -> Result<Self, CliError> {
        let start = reader.bounds(Topic::Signals)?.start;
        if start > 0 {
            return Err(CliError::not_available(format!(
                "topic signals begins at offset {start}: what the engine knew then is gone"
            )));
        }
        let rules = given.as_ref().map(|set| set.digest);
        let known = Known { directory: Directory::read_from(reader)?, given };
        Ok(Self { reader, machine: EngineMachine::new(0, 1, known), site, rules, next: 0, batches: 0 })
    }

    /// Applies the next records. None: the log's end; else what they brought about, each with the record's offset.
    fn step(&mut self) -> Result<Option<Vec<(u64, Detection)>>, CliError> {
        let records = self.reader.read(Topic::Signals, self.next, READ_BYTES_MAX)?;
        if records.is_empty() {
            return Ok(None);
        }
        let (mut detections, mut outputs): (_, Vec<Entry>) = (Vec::new(), Vec::new());
        for record in records {
            self.next = record.offset + 1;
            if !self.concerns(&record) {
                continue;
            }
            let record = self.with_rules(record)?;
            self.batches += u64::from(!record.key.is_empty());
            self.machine.apply(&record, &mut outputs).map_err(|halt| altered(&halt.to_string()))?;
            for entry in outputs.drain(..) {
                if let Ok(DetectionsRecord::Detection(detection)) = DetectionsRecord::decode(&entry.value) {
                    detections.push((record.offset, *detection));
                }
            }
            // The machine keeps what changed for a commit that never comes.
            if self.machine.dirty_bytes() > READ_BYTES_MAX {
                self.machine.take_puts();
            }
        }
        Ok(Some(detections))
    }

    /// Ticks concern every site; sites do not concern each other.
    fn concerns(&self, record: &Record) -> bool {
        record.key.is_empty() || self.site.as_ref().is_none_or(|site| record.key == site.as_str().as_bytes())
    }

    /// The record, with the given rules in place of those that it names.
    fn with_rules(&self, record: Record) -> Result<Record, CliError> {
        let decoded = SignalsRecord::decode(&record.value);
        let decoded = decoded.map_err(|error| altered(&format!("offset {}: {error}", record.offset)))?;
        let SignalsRecord::SiteConfigured(configured) = decoded else { return Ok(record) };
        if configured.semantics > SEMANTICS {
            return Err(CliError::not_available(format!(
                "topic signals offset {}: it was written for version {} of the engine's semantics; this binary knows up to \
                 {SEMANTICS}: use a newer one",
                record.offset, configured.semantics
            )));
        }
        let digest = self.rules.unwrap_or(configured.digest);
        let value = schema::encode(&SiteConfigured { digest, ..configured });
        Ok(Record { value, ..record })
    }
}

/// A record that the engine cannot apply.
fn altered(what: &str) -> CliError {
    CliError { code: FINDING, message: format!("topic signals {what}") }
}

/// The recorded detections, in the order of the topic.
struct Recorded<'a> {
    reader: &'a EmbeddedReader,
    next: u64,
    end: u64,
    read: std::collections::VecDeque<(u64, Detection)>,
}

impl Recorded<'_> {
    fn next(&mut self) -> Result<Option<(u64, Detection)>, CliError> {
        while self.read.is_empty() && self.next < self.end {
            let records = self.reader.read(Topic::Detections, self.next, READ_BYTES_MAX)?;
            let Some(last) = records.last() else { break };
            self.next = last.offset + 1;
            for record in records.iter().filter(|r| r.offset < self.end) {
                let decoded = DetectionsRecord::decode(&record.value).map_err(|error| CliError {
                    code: FINDING,
                    message: format!("topic detections offset {}: {error}", record.offset),
                })?;
                if let DetectionsRecord::Detection(detection) = decoded {
                    self.read.push_back((record.offset, *detection));
                }
            }
        }
        Ok(self.read.pop_front())
    }
}

/// What a comparison has seen.
#[derive(Default)]
struct Seen {
    /// The chain of each site, as it was recorded.
    chains: BTreeMap<SiteId, Sha256Digest>,
    compared: u64,
}

/// The first thing that is not as it should be.
struct Difference {
    site: SiteId,
    seq: u64,
    what: String,
}

fn verify(reader: &EmbeddedReader, args: &Args, from_ms: i64) -> Result<u8, CliError> {
    // In this order: all that the engine had committed up to `position` is among the detections up to `end`.
    let position = reader.position(APP)?.unwrap_or(0);
    let detections = reader.bounds(Topic::Detections)?;
    let mut recorded = Recorded { reader, next: detections.start, end: detections.end, read: Vec::new().into() };
    let mut replayed = Replay::new(reader, args.site.clone(), None)?;
    let mut seen = Seen::default();
    let mut unrecorded = 0;
    while let Some(step) = replayed.step()? {
        for (applied, computed) in step {
            let counterpart = loop {
                match recorded.next()? {
                    Some((_, other)) if args.site.as_ref().is_some_and(|site| *site != other.site) => {}
                    other => break other,
                }
            };
            match counterpart {
                Some((offset, other)) => {
                    if let Some(difference) = compare(&mut seen, &computed, &other, offset, from_ms) {
                        return report(args, &seen, &difference);
                    }
                }
                // The engine has not come so far, or was stopped before it committed.
                None if applied >= position => unrecorded += 1,
                None => {
                    let what = "the replay finds it, and topic detections ends before it".to_owned();
                    let difference = Difference { site: computed.site, seq: computed.seq, what };
                    return report(args, &seen, &difference);
                }
            }
        }
    }
    while let Some((offset, extra)) = recorded.next()? {
        if args.site.as_ref().is_none_or(|site| *site == extra.site) {
            let what = format!("it stands at offset {offset} of topic detections, and the replay does not find it");
            return report(args, &seen, &Difference { site: extra.site, seq: extra.seq, what });
        }
    }
    let mut out = Out::new();
    let (compared, records, sites) = (seen.compared, replayed.next, seen.chains.len());
    if args.json {
        out.json(&json!({"verified": true, "records": records, "batches": replayed.batches, "detections": compared, "sites": sites, "not_yet_recorded": unrecorded}))?;
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
