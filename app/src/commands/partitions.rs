//! `logystera partitions`: how an installation on Kafka is laid out, and its growth.

#[cfg(feature = "kafka")]
mod grow;
#[cfg(feature = "kafka")]
mod status;

use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
#[cfg(feature = "kafka")]
use logystera_schemas::control::GrowingTopic;

use crate::cli::{CliError, ClusterArgs, finish};

/// What this binary can do.
const EXAMPLES: &str = if cfg!(feature = "kafka") {
    "Examples:
  logystera partitions status --config logystera.toml
  logystera partitions grow 32 --config logystera.toml
  logystera partitions grow 8 --topic detections --config logystera.toml"
} else {
    "This binary was built without --features kafka: it knows data folders, which have one partition of each topic."
};

/// Show or grow the partitions of an installation on Kafka
///
/// A site's signals are in one partition, in order, and a partition has one processor. More partitions let more processors share
/// the work. Growing goes on while traffic flows: senders are told to come again for a few seconds, and nothing is lost.
#[derive(clap::Args)]
#[command(after_help = format!("{EXAMPLES}

A number must be a multiple of the one before, up to 1024; partitions never become fewer. A growth that was interrupted goes on
when it is asked for again. A process owns at most 16 partitions."))]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Print JSON, one object a line
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Show partitions, owners, lag, key groups and the busiest sites
    #[command(after_help = "Example:
  logystera partitions status --config logystera.toml")]
    Status,
    /// Grow a topic to so many partitions
    #[command(after_help = "Examples:
  logystera partitions grow 32 --config logystera.toml
  logystera partitions grow 8 --topic detections --config logystera.toml")]
    Grow {
        /// Partitions to have: a multiple of the partitions there are
        partitions: u32,
        /// Which topic
        #[arg(long, value_enum, default_value = "signals")]
        topic: GrownTopic,
    },
}

/// A topic that can grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum GrownTopic {
    /// What processors read
    Signals,
    /// What alerters read; the history of attempts grows with it
    Detections,
}

#[cfg(feature = "kafka")]
impl From<GrownTopic> for GrowingTopic {
    fn from(topic: GrownTopic) -> Self {
        match topic {
            GrownTopic::Signals => Self::Signals,
            GrownTopic::Detections => Self::Detections,
        }
    }
}

/// Runs it.
pub fn run(args: &Args) -> ExitCode {
    finish("partitions", serve(args))
}

fn serve(args: &Args) -> Result<u8, CliError> {
    #[cfg(feature = "kafka")]
    if let Some(file) = &args.cluster.config {
        return match &args.command {
            Command::Status => status::status(file, args.json),
            Command::Grow { partitions, topic } => grow::grow(file, (*topic).into(), *partitions, args.json),
        };
    }
    let Args { command, cluster: ClusterArgs { .. }, json: _ } = args;
    let what = match command {
        Command::Status => "there is nothing to show".to_owned(),
        Command::Grow { partitions, topic: GrownTopic::Signals } => {
            format!("signals can't grow to {partitions} partitions")
        }
        Command::Grow { partitions, topic: GrownTopic::Detections } => {
            format!("detections can't grow to {partitions} partitions")
        }
    };
    Err(CliError::not_available(format!(
        "{what}: a data folder has one partition of each topic. An installation on Kafka has more: name its file with \
         --config FILE{}",
        if cfg!(feature = "kafka") { "" } else { " (this binary was built without --features kafka)" }
    )))
}
