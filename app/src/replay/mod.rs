//! `logystera replay`: computes the detections again from topic `signals`, as the engine did, and compares.

mod engine;
mod plan;
mod progress;
mod snapshots;
mod verify;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;

use logystera_infra::runtime::StateMachine;
use logystera_schemas::ids::{KEY_GROUPS, KeyGroup, SiteId};
use logystera_schemas::topic::Topic;

use crate::cli::{CliError, ClusterArgs, DONE, DataArgs, Out, finish};
use crate::reading::{Part, Reading};
use crate::tail::{detection_json, detection_text};
use crate::up::load_rules;
use crate::{reading, when};
use engine::{Found, Known, Replay, State};
use plan::{Entry, Facts};
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

The engine starts at the log's start; with --from at each site's newest snapshot before that time, and where the log's start is
gone at the oldest one that is left. Snapshots are taken once a day. On an installation on Kafka a replay only reads: it joins no
group, and whoever works there does not notice.")]
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
    let from_ms = when::from(args.from.as_deref())?;
    if args.verify {
        reading::check_acknowledged(&args.data, &args.cluster)?;
    }
    let log = reading::open(&args.data, &args.cluster)?;
    let directory = Arc::new(log.directory()?);
    let given = args.rules.as_deref().map(load_rules).transpose()?.map(Arc::new);
    args.site.as_ref().map(|site| reading::site_of(&directory, site.as_str())).transpose()?;
    let asked = Asked::new(&*log, args, from_ms, Known { log: &*log, directory, given })?;
    if args.verify { verify::verify(&asked) } else { show(&asked) }
}

/// What was asked for.
struct Asked<'a> {
    log: &'a dyn Reading,
    args: &'a Args,
    /// Only what was evaluated then or later, milliseconds since the epoch.
    from_ms: i64,
    known: Known<'a>,
    facts: Facts,
    /// Where each key group begins that can be replayed.
    entries: BTreeMap<u32, Entry>,
    /// Key groups that cannot.
    missing: usize,
}

impl<'a> Asked<'a> {
    fn new(log: &'a dyn Reading, args: &'a Args, from_ms: Option<i64>, known: Known<'a>) -> Result<Self, CliError> {
        let of = args.site.as_ref().map(|site| KeyGroup::of(site.as_str()));
        let parts = of.map_or_else(|| log.parts(Topic::Signals), |of| log.parts_of(Topic::Signals, of));
        let mut facts = Facts { generations: log.generations(Topic::Signals), ..Facts::default() };
        for part in parts {
            facts.starts.insert(part, log.bounds(Topic::Signals, part)?.start);
        }
        if from_ms.is_some() || facts.starts.values().any(|start| *start > 0) {
            facts.snapshots = snapshots::find(log, of)?;
        }
        let asked = of.map_or(0..KEY_GROUPS, |of| of.0..of.0 + 1).map(u32::from);
        let count = asked.len();
        let entries: BTreeMap<u32, Entry> =
            asked.filter_map(|group| Some((group, facts.entry(group, from_ms)?))).collect();
        if entries.is_empty() {
            return Err(CliError::not_available(
                "topic signals begins later than it did once, and no snapshot was taken since: what the engine knew then is \
                 gone. Each site has a snapshot a day: try again tomorrow",
            ));
        }
        let missing = count - entries.len();
        Ok(Self { log, args, from_ms: from_ms.unwrap_or(i64::MIN), known, facts, entries, missing })
    }

    /// Whether a key group is in this partition of `signals`.
    fn holds(&self, part: Part, key_group: u32) -> bool {
        self.facts.part(part.generation, key_group) == part
    }

    /// The key groups of a partition that are replayed in it, and where each begins.
    fn entries_in(&self, part: Part) -> impl Iterator<Item = (u32, &Entry)> {
        let entries = self.entries.iter().map(|(group, entry)| (*group, entry));
        entries.filter(move |(group, entry)| entry.generation() <= part.generation && self.holds(part, *group))
    }

    /// The partitions in which something is replayed, the oldest generation first.
    fn parts(&self) -> impl Iterator<Item = Part> {
        self.facts.starts.keys().copied().filter(|part| self.entries_in(*part).next().is_some())
    }

    /// Offset that a partition is replayed from.
    fn begin(&self, part: Part) -> u64 {
        // What comes from the generation before, or from no snapshot, begins at the start.
        let begins = self
            .entries_in(part)
            .map(|(_, entry)| entry.taken().filter(|taken| taken.part == part).map_or(0, |taken| taken.position));
        begins.min().unwrap_or(0)
    }

    /// The partitions that those go on in that were in this one.
    fn next(&self, part: Part) -> impl Iterator<Item = Part> {
        self.parts().filter(move |next| self.parent(*next) == Some(part))
    }

    /// The partition of the generation before that those were in that are in this one.
    fn parent(&self, part: Part) -> Option<Part> {
        let generation = part.generation.checked_sub(1)?;
        Some(Part { generation, partition: part.partition % self.facts.generations[generation as usize] })
    }

    /// Replays one partition after the other, each behind the one that it goes on with: sites do not concern each other.
    /// `visit` gives false to end it.
    fn each(&self, mut visit: impl FnMut(&mut Replay<'_>) -> Result<bool, CliError>) -> Result<(), CliError> {
        let is_first = |part: &Part| self.parent(*part).is_none_or(|parent| self.entries_in(parent).next().is_none());
        let mut left: Vec<(Part, Rc<State>)> =
            self.parts().filter(is_first).map(|part| (part, Rc::default())).collect();
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

fn show(asked: &Asked<'_>) -> Result<u8, CliError> {
    let (mut out, mut progress) = (Out::new(), Progress::new(asked)?);
    asked.each(|replayed| {
        while let Some(found) = replayed.step()? {
            progress.show(replayed);
            for Found { detection, .. } in found.iter().filter(|f| f.detection.last_evaluated_at >= asked.from_ms) {
                if asked.args.json {
                    out.json(&detection_json(detection))?;
                } else {
                    out.line(detection_text(detection))?;
                }
            }
        }
        progress.done(replayed)?;
        Ok(true)
    })?;
    out.flush()?;
    Ok(DONE)
}
