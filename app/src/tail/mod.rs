//! `logystera tail`: what stands in the topics, readable or as JSON.

mod show;

pub(crate) use show::detection_text;

use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;
use logystera_infra::clock::{Clock, SystemClock};
use logystera_infra::embedded::EmbeddedReader;
use logystera_infra::log::Record;
use logystera_schemas::limits::READ_BYTES_MAX;
use logystera_schemas::topic::Topic;

use crate::cli::{CliError, DONE, DataArgs, FINDING, Out, finish};
use crate::when;
use show::Line;

/// Show signals, detections or attempts as they stand in the log
///
/// Without --from it shows the newest 20 lines, or with --follow what comes from now on.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  logystera tail signals --follow
  logystera tail detections --from beginning --json | jq .rule
  logystera tail attempts --from 2h --site my-shop

TIME is 2026-01-01T00:00:00Z (UTC), milliseconds since the epoch, or how long ago: 90s, 15m, 2h, 3d. It is compared with
when a batch came in, when a detection was evaluated (the site's time), and when an attempt was made.")]
pub struct Args {
    /// What to show
    #[arg(value_enum)]
    what: What,
    #[command(flatten)]
    data: DataArgs,
    /// Start here
    #[arg(long, value_name = "beginning|TIME")]
    from: Option<String>,
    /// Go on with what comes
    #[arg(long, short)]
    follow: bool,
    /// Only this site's
    #[arg(long)]
    site: Option<String>,
    /// Print JSON, one object a line
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// What the gateway accepted
    Signals,
    /// What the rules found
    Detections,
    /// What was sent, and how it fared
    Attempts,
}

impl What {
    fn topic(self) -> Topic {
        match self {
            Self::Signals => Topic::Signals,
            Self::Detections => Topic::Detections,
            Self::Attempts => Topic::Attempts,
        }
    }
}

/// Lines that are shown where nothing says from when.
const LINES: usize = 20;
/// Records that the search for the newest lines looks at first; four times as many each time they do not suffice.
const LOOK_BACK_RECORDS: u64 = 1_024;
/// How often `--follow` looks for more.
const FOLLOW_EVERY: Duration = Duration::from_millis(250);

/// Runs it.
pub fn run(args: &Args) -> ExitCode {
    finish("tail", tail(args).map(|()| DONE))
}

fn tail(args: &Args) -> Result<(), CliError> {
    let from_ms =
        match args.from.as_deref() {
            None | Some("beginning") => None,
            Some(text) => Some(when::parse(text, SystemClock::new().wall_ms()).ok_or_else(|| {
                CliError::wrong_use(format!("--from {text}: not a time; see `logystera tail --help`"))
            })?),
        };
    let reader = EmbeddedReader::open(&args.data.data)?;
    let topic = args.what.topic();
    let bounds = reader.bounds(topic)?;
    let mut out = Out::new();
    let next = match (&args.from, args.follow) {
        (Some(_), _) => bounds.start,
        (None, true) => bounds.end,
        (None, false) => {
            for line in newest(&reader, args, bounds.clone())? {
                line.print(args.json, &mut out)?;
            }
            bounds.end
        }
    };
    let wanted = |line: Line, out: &mut Out| match from_ms {
        Some(from_ms) if line.at < from_ms => Ok(()),
        _ => line.print(args.json, out),
    };
    let mut next = each(&reader, args, next..u64::MAX, &mut |line| wanted(line, &mut out))?;
    out.flush()?;
    if !args.follow {
        return Ok(());
    }
    loop {
        std::thread::sleep(FOLLOW_EVERY);
        next = each(&reader, args, next..u64::MAX, &mut |line| wanted(line, &mut out))?;
        out.flush()?;
    }
}

/// The newest lines, oldest first: looks back further until there are enough.
fn newest(reader: &EmbeddedReader, args: &Args, bounds: std::ops::Range<u64>) -> Result<Vec<Line>, CliError> {
    let mut look_back = LOOK_BACK_RECORDS;
    loop {
        let start = bounds.end.saturating_sub(look_back).max(bounds.start);
        let mut lines = std::collections::VecDeque::new();
        each(reader, args, start..bounds.end, &mut |line| {
            lines.push_back(line);
            if lines.len() > LINES {
                lines.pop_front();
            }
            Ok(())
        })?;
        if lines.len() == LINES || start == bounds.start {
            return Ok(lines.into());
        }
        look_back *= 4;
    }
}

/// Visits the lines of the records in `range`, and returns the offset after the last one read.
fn each(
    reader: &EmbeddedReader,
    args: &Args,
    range: std::ops::Range<u64>,
    visit: &mut dyn FnMut(Line) -> Result<(), CliError>,
) -> Result<u64, CliError> {
    let topic = args.what.topic();
    let mut next = range.start;
    loop {
        let records = reader.read(topic, next, READ_BYTES_MAX)?;
        if records.is_empty() {
            return Ok(next);
        }
        for record in records {
            if record.offset >= range.end {
                return Ok(next);
            }
            next = record.offset + 1;
            for line in lines(args, &record)? {
                visit(line)?;
            }
        }
    }
}

fn lines(args: &Args, record: &Record) -> Result<Vec<Line>, CliError> {
    let shown = match args.what {
        What::Signals => show::signals(&record.value),
        What::Detections => show::detections(&record.value),
        What::Attempts => show::attempts(&record.value),
    };
    let mut lines = shown.map_err(|error| CliError {
        code: FINDING,
        message: format!("topic {} offset {}: {error}", args.what.topic().name(), record.offset),
    })?;
    if let Some(site) = &args.site {
        lines.retain(|line| line.site == *site);
    }
    Ok(lines)
}
