//! `logystera replay`: computes the detections again from topic `signals`, as the engine did, and compares.

mod progress;
mod verify;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;

use logystera_infra::clock::{Clock, SystemClock};
use logystera_infra::control::Directory;
use logystera_infra::log::{Entry, Record};
use logystera_infra::runtime::StateMachine;
use logystera_processor::core::engine::SEMANTICS;
use logystera_processor::core::rule::RuleSet;
use logystera_processor::task::{Bodies, EngineMachine};
use logystera_schemas::detection::Detection;
use logystera_schemas::ids::{KEY_GROUPS, KeyGroup, Sha256Digest, SiteId};
use logystera_schemas::limits::READ_BYTES_MAX;
use logystera_schemas::schema;
use logystera_schemas::signals_topic::SiteConfigured;
use logystera_schemas::topic::{DetectionsRecord, SignalsRecord, Topic};

use crate::cli::{CliError, ClusterArgs, DONE, DataArgs, FINDING, Out, finish};
use crate::reading::{Part, Reading};
use crate::tail::detection_text;
use crate::up::load_rules;
use crate::{reading, when};
use progress::Progress;

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

The engine always starts at the log's start; --from and --site limit what is shown and compared. On an installation on Kafka a
replay only reads: it joins no group, and whoever works there does not notice.")]
pub struct Args {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
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
    let log = reading::open(&args.data, &args.cluster)?;
    let directory = Arc::new(log.directory()?);
    let given = args.rules.as_deref().map(load_rules).transpose()?.map(Arc::new);
    let parts = match &args.site {
        Some(site) if directory.site(site.as_str()).is_none() => {
            return Err(CliError::wrong_use(format!("there is no site {site}; `logystera site list` shows them")));
        }
        Some(site) => log.parts_of(Topic::Signals, KeyGroup::of(site.as_str())),
        None => log.parts(Topic::Signals),
    };
    let generations = log.generations(Topic::Signals);
    let asked = Asked { log: &*log, args, from_ms, generations, parts, known: Known { directory, given } };
    if args.verify { verify::verify(&asked) } else { show(&asked) }
}

/// What was asked for.
struct Asked<'a> {
    log: &'a dyn Reading,
    args: &'a Args,
    from_ms: i64,
    /// Partitions of each generation of `signals`.
    generations: Vec<u32>,
    /// The partitions of `signals` to replay.
    parts: Vec<Part>,
    known: Known,
}

impl Asked<'_> {
    /// Whether a key group is in this partition of `signals`.
    fn holds(&self, part: Part, key_group: u32) -> bool {
        key_group % self.generations[part.generation as usize] == part.partition
    }

    /// The partitions that those go on in that were in this one.
    fn next(&self, part: Part) -> impl Iterator<Item = Part> + '_ {
        let next = self.parts.iter().filter(move |next| next.generation == part.generation + 1);
        next.copied().filter(move |next| self.holds(part, next.partition))
    }

    /// Replays one partition after the other, each behind the one that it goes on with: sites do not concern each other.
    /// `visit` gives false to end it.
    fn each(&self, mut visit: impl FnMut(&mut Replay<'_>) -> Result<bool, CliError>) -> Result<(), CliError> {
        let first = self.parts.iter().filter(|part| part.generation == 0);
        let mut left: Vec<(Part, Rc<State>)> = first.map(|part| (*part, Rc::default())).collect();
        left.reverse();
        while let Some((part, state)) = left.pop() {
            let mut replayed = Replay::new(self, part, &state)?;
            if !visit(&mut replayed)? {
                return Ok(());
            }
            if replayed.machine.is_sealed() {
                replayed.store();
                let state = Rc::new(std::mem::take(&mut replayed.state));
                left.extend(self.next(part).map(|next| (next, Rc::clone(&state))));
            }
        }
        Ok(())
    }
}

/// The engine's state, as it travels with the key groups.
type State = BTreeMap<Vec<u8>, Vec<u8>>;

fn show(asked: &Asked<'_>) -> Result<u8, CliError> {
    let (mut out, mut progress) = (Out::new(), Progress::new(asked)?);
    asked.each(|replayed| {
        while let Some(found) = replayed.step()? {
            progress.show(replayed);
            for Found { detection, .. } in found.iter().filter(|f| f.detection.last_evaluated_at >= asked.from_ms) {
                if asked.args.json { out.json(detection)? } else { out.line(detection_text(detection))? }
            }
        }
        progress.done(replayed)?;
        Ok(true)
    })?;
    out.flush()?;
    Ok(DONE)
}

/// The signals of a partition on their way through a fresh engine.
struct Replay<'a> {
    log: &'a dyn Reading,
    machine: EngineMachine<Known>,
    part: Part,
    /// What was stored so far, where others go on with it.
    state: State,
    /// Whether the topic has grown since.
    has_next: bool,
    site: Option<SiteId>,
    rules: Option<Sha256Digest>,
    next: u64,
    records: u64,
    batches: u64,
}

/// A detection that the replay gives.
struct Found {
    /// Offset of the record that brought it about.
    applied: u64,
    /// Partition of the newest generation of `detections` that it belongs to.
    partition: u32,
    detection: Detection,
}

/// The bodies that stand in topic `control`, and the set that was given.
#[derive(Clone)]
struct Known {
    directory: Arc<Directory>,
    given: Option<Arc<RuleSet>>,
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
    /// An engine that goes on with `state`.
    fn new(asked: &Asked<'a>, part: Part, state: &State) -> Result<Self, CliError> {
        let (log, known) = (asked.log, asked.known.clone());
        let start = log.bounds(Topic::Signals, part)?.start;
        if start > 0 {
            return Err(CliError::not_available(format!(
                "topic signals partition {} begins at offset {start}: what the engine knew then is gone",
                part.partition
            )));
        }
        let rules = known.given.as_ref().map(|set| set.digest);
        let detections = log.generations(Topic::Detections).pop().unwrap_or(1);
        let mut machine = EngineMachine::new(part.partition, detections, known);
        for (key, value) in state {
            let key_group = key.split_first_chunk().map(|(head, _)| u16::from_be_bytes(*head));
            // What is of no key group is the partition's own, and of all that it became.
            if key_group.is_none_or(|group| group >= KEY_GROUPS || asked.holds(part, u32::from(group))) {
                machine.restore(key, value).map_err(|halt| altered(&halt.to_string()))?;
            }
        }
        machine.restored();
        let (site, has_next) = (asked.args.site.clone(), asked.next(part).next().is_some());
        let state = State::new();
        Ok(Self { log, machine, part, state, has_next, site, rules, next: 0, records: 0, batches: 0 })
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

    /// Applies the next records. None: the partition's end; else what they brought about.
    fn step(&mut self) -> Result<Option<Vec<Found>>, CliError> {
        if self.machine.is_sealed() {
            return Ok(None);
        }
        let records = self.log.read(Topic::Signals, self.part, self.next, READ_BYTES_MAX)?;
        if records.is_empty() {
            return Ok(None);
        }
        let (mut found, mut outputs): (_, Vec<Entry>) = (Vec::new(), Vec::new());
        for record in records {
            self.next = record.offset + 1;
            self.records += 1;
            if !self.concerns(&record) {
                continue;
            }
            let record = self.with_rules(record)?;
            self.batches += u64::from(!record.key.is_empty());
            self.machine.apply(&record, &mut outputs).map_err(|halt| altered(&halt.to_string()))?;
            for entry in outputs.drain(..) {
                if let Ok(DetectionsRecord::Detection(detection)) = DetectionsRecord::decode(&entry.value) {
                    found.push(Found { applied: record.offset, partition: entry.partition, detection: *detection });
                }
            }
            if self.machine.dirty_bytes() > READ_BYTES_MAX {
                self.store();
            }
            if self.machine.is_sealed() {
                break;
            }
        }
        Ok(Some(found))
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
    CliError::new(FINDING, format_args!("topic signals {what}"))
}
