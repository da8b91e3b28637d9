//! `logystera tail`: what stands in the topics, readable or as JSON.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;
use logystera_infra::log::{LogError, Record};
use logystera_infra::reading::{PartitionId, Reading};
use logystera_replay::show::{self, Line};
use logystera_schemas::limits::READ_BYTES_MAX;
use logystera_schemas::topic::Topic;

use crate::cli::{CliError, ClusterArgs, DONE, DataArgs, Out, finish};
use crate::installation::open::open_log;
use crate::installation::reading;
use crate::when;

/// Show signals, detections or attempts as they stand in the log
///
/// Without --from it shows the newest 20 lines, or with --follow what comes from now on.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  logystera tail signals --follow
  logystera tail detections --from beginning --json | jq .rule
  logystera tail attempts --from 2h --site my-shop

All times are UTC. What has no time of its own, such as a site's configuration, is shown with the newest time before it:
~2026-01-01 00:00:00Z.

TIME is 2026-01-01T00:00:00Z, milliseconds since 1970, or how long ago: 90s, 15m, 2h, 3d. It is compared with when a
batch came in, when a detection was evaluated (the site's time), and when an attempt was made.")]
pub struct Args {
    /// What to show
    #[arg(value_enum)]
    what: What,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
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

fn print(line: &Line, after: Option<i64>, as_json: bool, out: &mut Out) -> Result<(), CliError> {
    Ok(if as_json { out.json(&line.json(after)) } else { out.line(line.text(after)) }?)
}

/// Lines that are shown where nothing says from when.
const LINES: usize = 20;
/// Records that the search for the newest lines looks at first; four times as many each time they do not suffice.
const LOOK_BACK_RECORDS: u64 = 1_024;
/// How often `--follow` looks whether the topic has grown: with each so many looks for more.
const LOOKS_PER_GROWTH: u32 = 20;
/// How often `--follow` looks for more.
const FOLLOW_EVERY: Duration = Duration::from_millis(250);

/// Runs it.
pub fn run(args: &Args) -> ExitCode {
    finish("tail", tail(args).map(|()| DONE))
}

fn tail(args: &Args) -> Result<(), CliError> {
    let from_ms = when::from(args.from.as_deref())?;
    let log = open_log(&args.data, &args.cluster)?;
    let topic = args.what.topic();
    if let Some(site) = &args.site {
        reading::site_of(&log.directory()?, site)?;
    }
    let bounds = log.partitions(topic).into_iter().map(|part| Ok((part, log.bounds(topic, part)?)));
    let bounds = bounds.collect::<Result<BTreeMap<_, _>, CliError>>()?;
    let mut out = Out::new();
    let starts = match (&args.from, args.follow) {
        (Some(_), _) => bounds.into_iter().map(|(part, bounds)| (part, bounds.start)).collect(),
        (None, true) => bounds.into_iter().map(|(part, bounds)| (part, bounds.end)).collect(),
        (None, false) => {
            for (order, line) in newest(&*log, args, &bounds)? {
                print(&line, time(order), args.json, &mut out)?;
            }
            out.flush()?;
            return Ok(());
        }
    };
    let mut merged = Merged::new(&*log, args, starts);
    loop {
        while let Some((order, line)) = merged.next()? {
            if from_ms.is_none_or(|from_ms| order >= from_ms || order == i64::MIN) {
                print(&line, time(order), args.json, &mut out)?;
            }
        }
        out.flush()?;
        if !args.follow {
            return Ok(());
        }
        std::thread::sleep(FOLLOW_EVERY);
        merged.look_again()?;
    }
}

/// The time of a place in time, if anything before it told one.
fn time(order: i64) -> Option<i64> {
    (order > i64::MIN).then_some(order)
}

/// The newest lines of all partitions, oldest first, each with its place in time.
fn newest(
    log: &dyn Reading,
    args: &Args,
    bounds: &BTreeMap<PartitionId, Range<u64>>,
) -> Result<Vec<(i64, Line)>, CliError> {
    let mut lines = Vec::new();
    for (part, bounds) in bounds {
        lines.extend(newest_of(log, args, *part, bounds.clone())?);
    }
    lines.sort_by_key(|(order, _)| *order);
    let skipped = lines.len().saturating_sub(LINES);
    lines.drain(..skipped);
    Ok(lines)
}

/// The newest lines of a partition: looks back further until there are enough.
fn newest_of(
    log: &dyn Reading,
    args: &Args,
    part: PartitionId,
    bounds: Range<u64>,
) -> Result<VecDeque<(i64, Line)>, CliError> {
    let mut look_back = LOOK_BACK_RECORDS;
    loop {
        let start = bounds.end.saturating_sub(look_back).max(bounds.start);
        let mut stream = Stream::new(part, start);
        let mut lines = VecDeque::new();
        while stream.fill(log, args, bounds.end)? {
            lines.extend(stream.waiting.drain(..));
            let surplus = lines.len().saturating_sub(LINES);
            lines.drain(..surplus);
        }
        if lines.len() == LINES || start == bounds.start {
            return Ok(lines);
        }
        look_back *= 4;
    }
}

/// The lines of a partition, in the order of its records.
struct Stream {
    part: PartitionId,
    next: u64,
    /// The newest time so far: what has none of its own stands behind what came before it.
    newest: i64,
    /// Lines that were read, each with its place in time.
    waiting: VecDeque<(i64, Line)>,
    /// Whether the log had no more.
    at_end: bool,
}

impl Stream {
    fn new(part: PartitionId, next: u64) -> Self {
        Self { part, next, newest: i64::MIN, waiting: VecDeque::new(), at_end: false }
    }

    /// Reads until a line waits. False: there is none before `end`.
    fn fill(&mut self, log: &dyn Reading, args: &Args, end: u64) -> Result<bool, CliError> {
        while self.waiting.is_empty() && self.next < end && !self.at_end {
            let topic = args.what.topic();
            let records = match log.read(topic, self.part, self.next, READ_BYTES_MAX) {
                // It is shown as one that cannot be read, and what stands behind it too.
                Err(error @ LogError::Checksum { offset, .. }) => {
                    self.next = offset + 1;
                    let line = show::unreadable(topic, self.part, offset, &error);
                    if args.site.is_none() && offset < end {
                        self.waiting.push_back((self.newest, line));
                    }
                    continue;
                }
                records => records?,
            };
            self.at_end = records.is_empty();
            let Some(last) = records.last() else { break };
            self.next = last.offset + 1;
            for record in records.iter().filter(|record| record.offset < end) {
                if topic == Topic::Signals {
                    self.newest = show::tick(&record.value).unwrap_or(self.newest);
                }
                for line in lines(args, self.part, record) {
                    self.newest = line.at.unwrap_or(self.newest);
                    self.waiting.push_back((self.newest, line));
                }
            }
        }
        Ok(!self.waiting.is_empty())
    }
}

/// The lines of all partitions, in the order of their times.
struct Merged<'a> {
    log: &'a dyn Reading,
    args: &'a Args,
    streams: Vec<Stream>,
    looked: u32,
}

impl<'a> Merged<'a> {
    fn new(log: &'a dyn Reading, args: &'a Args, starts: Vec<(PartitionId, u64)>) -> Self {
        Self { log, args, streams: starts.into_iter().map(|(part, next)| Stream::new(part, next)).collect(), looked: 0 }
    }

    /// Looks for more where the log had no more; from time to time also for partitions that have come.
    fn look_again(&mut self) -> Result<(), CliError> {
        self.streams.iter_mut().for_each(|stream| stream.at_end = false);
        self.looked += 1;
        if self.looked.is_multiple_of(LOOKS_PER_GROWTH) {
            self.log.directory()?;
            for part in self.log.partitions(self.args.what.topic()) {
                if self.streams.iter().all(|stream| stream.part != part) {
                    self.streams.push(Stream::new(part, 0));
                }
            }
        }
        Ok(())
    }

    /// The next line that is there.
    fn next(&mut self) -> Result<Option<(i64, Line)>, CliError> {
        let mut oldest: Option<(i64, usize)> = None;
        for (i, stream) in self.streams.iter_mut().enumerate() {
            stream.fill(self.log, self.args, u64::MAX)?;
            if let Some((order, _)) = stream.waiting.front()
                && oldest.is_none_or(|(before, _)| *order < before)
            {
                oldest = Some((*order, i));
            }
        }
        Ok(oldest.and_then(|(_, i)| self.streams[i].waiting.pop_front()))
    }
}

/// The lines of a record; one that says so where it cannot be read.
fn lines(args: &Args, part: PartitionId, record: &Record) -> Vec<Line> {
    let shown = match args.what {
        What::Signals => show::signals(&record.value),
        What::Detections => show::detections(&record.value),
        What::Attempts => show::attempts(&record.value),
    };
    let mut lines =
        shown.unwrap_or_else(|error| vec![show::unreadable(args.what.topic(), part, record.offset, &error)]);
    if let Some(site) = &args.site {
        lines.retain(|line| line.site == *site);
    }
    lines
}
