//! `logystera log`: what is done about a record that nobody can read, or that is gone.

use std::ops::Range;
use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};
use logystera_infra::log::LogError;
use logystera_infra::reading::{PartitionId, Reading};
use logystera_schemas::avro::DecodeError;
use logystera_schemas::control::GrowingTopic;
use logystera_schemas::text::check_name;
use logystera_schemas::topic::{DetectionsRecord, SignalsRecord, Topic};
use serde_json::json;

use logystera_control::{Answer, Request};

use crate::cli::{CliError, DONE, Out, PlaceArgs, finish};
use crate::installation::ask::ask;
use crate::installation::open::open_log;

/// What this binary can do.
const EXAMPLES: &str = if cfg!(feature = "kafka") {
    "  logystera log skip signals 3 170452 --reason \"junk of a broken mirror\" \\
    --config logystera.toml
  logystera log skip signals 1/3 17..2041 --config logystera.toml \\
    --reason \"the processors were down for nine days\""
} else {
    "  logystera log skip signals 0 170452 --reason \"altered, see the ticket\"
  logystera log skip detections 0 912 --reason \"altered, see the ticket\" \\
    --data /var/lib/logystera"
};

/// Say how a partition goes on that stands at a record
///
/// A processor, or an alerter, stops at a record that it cannot read, and where records have passed their retention before it applied
/// them: whatever it told after that could be wrong. It says where it stands. Once somebody has decided to go on without them, that
/// is recorded in the log, and every process and every replay passes the same records over.
#[derive(clap::Args)]
#[command(after_help = format!("Examples:
{EXAMPLES}

PARTITION is as the process that stands there names it: 3, or 1/3 after the topic has grown once; a data folder has 0 alone. A record
that can be read is not skipped, nor a range of which a record is left."))]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    place: PlaceArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Go on without a record that cannot be read, or without those that are gone
    #[command(after_help = format!("Examples:\n{EXAMPLES}"))]
    Skip {
        /// Which topic
        #[arg(value_enum)]
        topic: SkippedTopic,
        /// Which partition
        #[arg(value_parser = parse_partition)]
        partition: PartitionId,
        /// Offset of the record, or FROM..TO of those that are gone: TO is the first one that is left
        #[arg(value_name = "OFFSET|FROM..TO", value_parser = parse_range)]
        offsets: Offsets,
        /// Why, for those who read this later
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Also where the record looks like one of a newer version
        #[arg(long)]
        force: bool,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum SkippedTopic {
    /// What processors apply
    Signals,
    /// What alerters apply
    Detections,
}

/// The offsets that were named.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Offsets(Range<u64>);

fn parse_partition(text: &str) -> Result<PartitionId, String> {
    let number = |text: &str| text.parse::<u32>().map_err(|_| "expected a number such as 3, or 1/3".to_owned());
    let (generation, partition) = text.split_once('/').unwrap_or(("0", text));
    Ok(PartitionId { generation: number(generation)?, partition: number(partition)? })
}

fn parse_range(text: &str) -> Result<Offsets, String> {
    let number = |text: &str| text.parse::<u64>().map_err(|_| "expected an offset such as 17, or 17..2041".to_owned());
    let range = match text.split_once("..") {
        None => number(text).map(|offset| offset..offset.saturating_add(1))?,
        Some((from, to)) => number(from)?..number(to)?,
    };
    if range.is_empty() {
        Err("the range has no offset: its end is not behind its start".to_owned())
    } else {
        Ok(Offsets(range))
    }
}

/// Runs it.
pub fn run(args: &Args) -> ExitCode {
    finish("log", skip(args))
}

fn skip(args: &Args) -> Result<u8, CliError> {
    let Command::Skip { topic, partition: part, offsets: Offsets(range), reason, force } = &args.command;
    let topic = match topic {
        SkippedTopic::Signals => GrowingTopic::Signals,
        SkippedTopic::Detections => GrowingTopic::Detections,
    };
    check_name(reason).map_err(|error| CliError::wrong_use(format!("--reason {error}")))?;
    let log = open_log(&args.place.data, &args.place.cluster)?;
    log.directory()?;
    let found = look(&*log, topic.into(), *part, range)?;
    decide(&found, *force).map_err(|why| CliError::wrong_use(format!("{topic} partition {part}: {why}")))?;
    let request = Request::LogSkip {
        topic: topic.as_str().to_owned(),
        generation: part.generation,
        partition: part.partition,
        from: range.start,
        to: range.end,
        reason: reason.clone(),
    };
    let mut out = Out::new();
    match ask(&args.place.data.data, &args.place.cluster, &request, false)? {
        Answer::Skipped if args.place.json => out.json(&json!({"skipped": true, "topic": topic, "from": range.start, "to": range.end}))?,
        Answer::Skipped => out.line(format_args!(
            "Skipped: offsets {} to before {} of {topic} partition {part}. Who stands there goes on within a few seconds; every \
             replay passes them over too.",
            range.start, range.end
        ))?,
        _ => return Err(CliError::not_available("the running logystera gave an answer to something else")),
    }
    out.flush()?;
    Ok(DONE)
}

/// What stands at the offsets that were named.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// Nothing any more: they have passed their retention.
    Gone,
    /// A record that cannot be read.
    Unreadable {
        /// Whether a newer version may have written it.
        newer: bool,
    },
    /// A record that can be read.
    Readable,
    /// No record: a mark of a transaction, or what is still to come.
    Nothing,
    /// Records from here on.
    Some(u64),
}

fn look(log: &dyn Reading, topic: Topic, part: PartitionId, range: &Range<u64>) -> Result<Found, CliError> {
    if !log.partitions(topic).contains(&part) {
        let generations = log.generations(topic);
        return Err(CliError::wrong_use(format!(
            "topic {} has no partition {part}; it has {} in generation {}",
            topic.name(),
            generations.last().copied().unwrap_or_default(),
            generations.len().saturating_sub(1)
        )));
    }
    let bounds = log.bounds(topic, part)?;
    if range.end <= bounds.start {
        return Ok(Found::Gone);
    }
    if range.end - range.start > 1 {
        return Ok(Found::Some(bounds.start.max(range.start)));
    }
    let records = match log.read(topic, part, range.start, 1) {
        Err(LogError::Checksum { offset, .. }) if offset == range.start => {
            return Ok(Found::Unreadable { newer: false });
        }
        records => records?,
    };
    let Some(record) = records.first().filter(|record| record.offset == range.start) else { return Ok(Found::Nothing) };
    Ok(match read(topic, &record.value) {
        Ok(()) => Found::Readable,
        Err(DecodeError::UnknownSchema(fingerprint)) => Found::Unreadable { newer: fingerprint != 0 },
        Err(_) => Found::Unreadable { newer: false },
    })
}

/// Reads the whole of a record.
fn read(topic: Topic, value: &[u8]) -> Result<(), DecodeError> {
    if topic == Topic::Detections {
        return DetectionsRecord::decode(value).map(drop);
    }
    match SignalsRecord::decode(value)? {
        SignalsRecord::Batch(batch) => batch.signals().try_for_each(|signal| signal.map(drop)),
        _ => Ok(()),
    }
}

/// Whether that may be passed over; or why not.
fn decide(found: &Found, force: bool) -> Result<(), String> {
    match found {
        Found::Gone | Found::Unreadable { newer: false } => Ok(()),
        Found::Unreadable { newer: true } if force => Ok(()),
        Found::Unreadable { newer: true } => {
            Err("the record looks like one of a newer version of Logystera: upgrade, and it is \
                                                  applied. Where no version knows it: --force"
                .to_owned())
        }
        Found::Readable => {
            Err("the record can be read: it is not skipped. What does the process that stands there say?".to_owned())
        }
        Found::Nothing => Err("no record stands at that offset".to_owned()),
        Found::Some(offset) => Err(format!(
            "a range is of records that are gone, and the one at {offset} is left: name a record that cannot be read by its offset"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_and_offsets_are_read() {
        assert_eq!(parse_partition("3"), Ok(PartitionId { generation: 0, partition: 3 }));
        assert_eq!(parse_partition("1/3"), Ok(PartitionId { generation: 1, partition: 3 }));
        assert_eq!((parse_range("17"), parse_range("17..20")), (Ok(Offsets(17..18)), Ok(Offsets(17..20))));
        for text in ["x", "1/", "/1", "-1", "1/2/3"] {
            assert!(parse_partition(text).is_err(), "{text}");
        }
        for text in ["x", "1..", "..1", "2..2", "3..2", "-1", ""] {
            assert!(parse_range(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_what_nobody_can_apply_is_skipped() {
        let table = [
            (Found::Gone, false, Ok(())),
            (Found::Unreadable { newer: false }, false, Ok(())),
            (Found::Unreadable { newer: true }, false, Err("newer version")),
            (Found::Unreadable { newer: true }, true, Ok(())),
            (Found::Readable, true, Err("can be read")),
            (Found::Nothing, true, Err("no record")),
            (Found::Some(7), true, Err("the one at 7 is left")),
        ];
        for (found, force, expected) in table {
            match (decide(&found, force), expected) {
                (Ok(()), Ok(())) => {}
                (Err(why), Err(says)) => assert!(why.contains(says), "{found:?}: {why}"),
                (decided, _) => panic!("{found:?}: {decided:?}"),
            }
        }
    }
}
