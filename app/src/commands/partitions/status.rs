//! `logystera partitions status`: partitions, their owners, how far behind they are, and the busiest sites.

use std::collections::BTreeMap;
use std::path::Path;

use logystera_alerter::task::APP as ALERTER;
use logystera_infra::directory::{Directory, DirectoryWatch};
use logystera_infra::log::LogError;
use logystera_kafka::{Kafka, KafkaLog, Layouts};
use logystera_processor::task::APP as PROCESSOR;
use logystera_schemas::control::{GrowingTopic, GrowthPhase};
use logystera_schemas::ids::{KEY_GROUPS, SiteId};
use logystera_schemas::limits::READ_BYTES_MAX;
use logystera_schemas::partition::{Generation, PartitionRef};
use logystera_schemas::topic::{SignalsRecord, Topic};
use serde_json::json;

use crate::cli::{CliError, DONE, Out};
use crate::installation::config::Config;

/// Newest records of each partition in which the busiest sites are looked for.
const LOOK_BACK_RECORDS: u64 = 2_000;
/// Sites that are shown.
const SITES: usize = 5;

/// A partition, and how it fares.
struct Row {
    place: PartitionRef,
    owner: Option<String>,
    lag: u64,
    /// Whether it has ended and everything in it is applied.
    sealed: bool,
    /// The last offset there is, plus one.
    end: u64,
}

/// Shows how the installation that a file describes is laid out. Changes nothing.
pub(crate) fn status(file: &Path, as_json: bool) -> Result<u8, CliError> {
    let kafka = Kafka::new(Config::read(file)?.kafka());
    let log = kafka.log()?;
    let directory = DirectoryWatch::load(log.clone())?.view().current();
    let layouts = Layouts::of(kafka.config(), &directory);
    let mut out = Out::new();
    for (topic, input, app) in
        [(GrowingTopic::Signals, Topic::Signals, PROCESSOR), (GrowingTopic::Detections, Topic::Detections, ALERTER)]
    {
        let (phase, generations) = (layouts.of_growing(topic).phase, layouts.read(input));
        if !as_json {
            out.line(heading(topic, phase, &generations))?;
        }
        for generation in generations {
            for row in rows(&kafka, &log, app, input, generation)? {
                if as_json { out.json(&object(topic, phase, &row))? } else { out.line(line(&row, app))? }
            }
        }
        out.flush()?;
    }
    gateways(&directory, as_json, &mut out)?;
    busiest(&log, layouts.written(Topic::Signals), as_json, &mut out)?;
    out.flush()?;
    Ok(DONE)
}

fn rows(kafka: &Kafka, log: &KafkaLog, app: &str, input: Topic, generation: Generation) -> Result<Vec<Row>, LogError> {
    let mut owners = kafka.owners(app, input, generation)?;
    let row = |partition| {
        let place = PartitionRef { generation, partition };
        let (bounds, committed) = (log.bounds_at(input, place)?, kafka.committed(app, place)?);
        let from = committed.position.max(bounds.start);
        let lag = if committed.sealed { 0 } else { bounds.end.saturating_sub(from) };
        Ok(Row { place, owner: owners.remove(&partition), lag, sealed: committed.sealed, end: bounds.end })
    };
    (0..generation.partitions).map(row).collect()
}

fn heading(topic: GrowingTopic, phase: GrowthPhase, generations: &[Generation]) -> String {
    let now = generations.iter().map(|g| g.partitions.to_string()).collect::<Vec<_>>().join(" + ");
    let growth = match phase {
        GrowthPhase::Open => "",
        GrowthPhase::Closing => ", about to grow: nobody writes; if no `partitions grow` is running, run it again",
        GrowthPhase::Moving => ", growing: the old ones are read to their seals",
    };
    format!(
        "{topic}: {now} partitions{growth}\n{:>9}  {:<24} {:>9}  {:>12}  key groups",
        "partition", "owner", "lag", "records"
    )
}

fn line(row: &Row, app: &str) -> String {
    let Row { place, owner, lag, sealed, end } = row;
    let nobody = format!("nobody: start a {app}");
    let owner = if *sealed { "sealed, done" } else { owner.as_deref().unwrap_or(&nobody) };
    let key_groups = key_groups(*place);
    format!("{:>9}  {owner:<24} {lag:>9}  {end:>12}  {key_groups}", place.to_string())
}

fn key_groups(place: PartitionRef) -> u32 {
    let PartitionRef { generation, partition } = place;
    (u32::from(KEY_GROUPS) - partition).div_ceil(generation.partitions)
}

fn object(topic: GrowingTopic, phase: GrowthPhase, row: &Row) -> serde_json::Value {
    let Row { place, owner, lag, sealed, end } = row;
    json!({
        "topic": topic, "phase": phase, "generation": place.generation.number, "partition": place.partition, "owner": owner,
        "lag": lag, "end": end, "sealed": sealed, "key_groups": key_groups(*place),
    })
}

fn gateways(directory: &Directory, as_json: bool, out: &mut Out) -> Result<(), CliError> {
    let names: Vec<&str> = directory.leases().map(|lease| lease.instance.as_str()).collect();
    if as_json {
        for gateway in names {
            out.json(&json!({"gateway": gateway}))?;
        }
    } else {
        out.line(format_args!("gateways: {}", if names.is_empty() { "none".to_owned() } else { names.join(", ") }))?;
    }
    Ok(())
}

/// The sites with the most signals among each partition's newest records.
fn busiest(log: &KafkaLog, generation: Generation, as_json: bool, out: &mut Out) -> Result<(), CliError> {
    let mut signals: BTreeMap<SiteId, (u64, u32)> = BTreeMap::new();
    for partition in 0..generation.partitions {
        let place = PartitionRef { generation, partition };
        let bounds = log.bounds_at(Topic::Signals, place)?;
        let mut next = bounds.end.saturating_sub(LOOK_BACK_RECORDS).max(bounds.start);
        while next < bounds.end {
            let records = log.read_at(Topic::Signals, place, next, READ_BYTES_MAX)?;
            let Some(last) = records.last() else { break };
            next = last.offset + 1;
            for record in &records {
                if let Ok(SignalsRecord::Batch(batch)) = SignalsRecord::decode(&record.value) {
                    let count = batch.signals().count() as u64;
                    signals.entry(batch.head.site.clone()).or_insert((0, partition)).0 += count;
                }
            }
        }
    }
    let mut sites: Vec<_> = signals.into_iter().collect();
    sites.sort_by_key(|(site, (count, _))| (std::cmp::Reverse(*count), site.clone()));
    sites.truncate(SITES);
    if !as_json && !sites.is_empty() {
        out.line(format_args!("busiest sites, in the newest {LOOK_BACK_RECORDS} records of each partition:"))?;
    }
    for (site, (count, partition)) in sites {
        if as_json {
            out.json(&json!({"site": site, "signals": count, "partition": partition}))?;
        } else {
            out.line(format_args!("{partition:>9}  {site:<24} {count:>9} signals"))?;
        }
    }
    Ok(())
}
