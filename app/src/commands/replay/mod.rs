//! `logystera replay`: computes the detections again from topic `signals`, as the engine did, and compares.

mod deliveries;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use logystera_replay::show::detection_text;
use logystera_replay::{Asked, Found, Question, Watch};
use logystera_schemas::ids::SiteId;
use logystera_schemas::json;

use crate::cli::{CliError, ClusterArgs, DONE, DataArgs, Out, finish};
use crate::commands::progress::Progress;
use crate::installation::open::{check_acknowledged, open_log};
use crate::installation::reading;
use crate::installation::rules::load_rules;
use crate::when;

/// Compute the detections again from the signals in the log
///
/// The engine is a pure function of the log, so a replay gives what was recorded, byte for byte. With --verify it compares
/// each detection with the recorded one, and each site's chain of hashes, and stops at the first difference; then each row
/// of the delivery history with what the planner gives for topic detections, and each tenant's chain. With --rules it shows
/// what other rules would have found.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  logystera replay --verify            exit 0: all is as it was recorded
  logystera replay --site my-shop --from 2h --json
  logystera replay --rules new.yaml | wc -l

The engine starts at the log's start; with --from at each site's newest snapshot before that time, and if the log's start is
gone at the oldest one that is left. Snapshots are taken once a day. Deliveries have none: once the start of topic detections is
gone, the chains of topic attempts are verified alone, and the exit code is 3. With --site they are those of its tenant.

On an installation on Kafka a replay only reads: it joins no
group, and whoever works there does not notice.")]
pub struct Args {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Compare with the detections and the delivery history that were recorded
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
        check_acknowledged(&args.data, &args.cluster)?;
    }
    let log = open_log(&args.data, &args.cluster)?;
    let directory = Arc::new(log.directory()?);
    let rules = args.rules.as_deref().map(load_rules).transpose()?.map(Arc::new);
    args.site.as_ref().map(|site| reading::site_of(&directory, site.as_str())).transpose()?;
    let asked = Asked::new(&*log, directory, Question { site: args.site.clone(), from_ms, rules })?;
    if args.verify { verify::verify(&asked, args.json) } else { show(&asked, args.json) }
}

fn show(asked: &Asked<'_>, as_json: bool) -> Result<u8, CliError> {
    let (mut out, mut progress) = (Out::new(), Progress::new(asked)?);
    asked.each(|replayed| -> Result<bool, CliError> {
        while let Some(found) = replayed.step()? {
            progress.show(replayed);
            for Found { detection, .. } in found.iter().filter(|f| asked.wants(&f.detection)) {
                if as_json {
                    out.json(&json::detection(detection))?;
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
