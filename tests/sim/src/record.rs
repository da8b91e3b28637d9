//! A seed's log as a recording that any later binary can replay: its rules become rule files, so that the recording depends
//! on nothing here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::io;
use std::path::Path;
use std::sync::Arc;

use logystera_processor::core::{Condition, Engine, Rule, RuleSet};
use logystera_rules::from_yaml;
use logystera_schemas::catalogue::{FieldDef, SignalType};
use logystera_schemas::limits::BLIND_AFTER_MS_MIN;
use logystera_schemas::partition::PartitionRef;
use logystera_schemas::topic::SignalsRecord;

use crate::drive::{self, Difference, direct};
use crate::generate::{Log, days, world};
use crate::input::Input;
use crate::model::Output;
use crate::where_text;

/// A log whose configurations are rule files.
#[derive(Debug)]
pub struct Recording {
    /// The log.
    pub log: Log,
    /// How many detections it gives.
    pub detections: usize,
    /// What happens in it: reasons of detections, and what became of batches and signals.
    pub covers: BTreeSet<String>,
}

/// Records a seed.
pub fn record(seed: u64) -> Result<Recording, Difference> {
    record_log(seed, with_rule_files(&world::log_of(seed)))
}

/// Records the log of three days.
pub fn record_days() -> Result<Recording, Difference> {
    record_log(0, days::log())
}

/// The engine and the model agree on it, or it is no recording.
fn record_log(seed: u64, log: Log) -> Result<Recording, Difference> {
    drive::check(seed, &log)?;
    let outputs = direct::run(&log)?.outputs;
    let mut covers = happenings(&log);
    let mut detections = 0;
    for output in &outputs {
        if let Output::Detection(detection) = output {
            detections += 1;
            covers.insert(format!("{}/{}", detection.state, detection.reason));
        }
    }
    Ok(Recording { log, detections, covers })
}

impl Recording {
    /// Writes `<name>.log`, a record a line in hex, and `<name>.rules.ndjson`, a configuration a line.
    pub fn write(&self, folder: &Path, name: &str) -> io::Result<()> {
        let hex = |bytes: Vec<u8>| bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().concat() + "\n";
        let log: Vec<String> = self.log.inputs.iter().map(|input| hex(input.encode())).collect();
        let rules: Vec<String> = self.log.bodies.iter().map(|set| format!("{}\n", set.body)).collect();
        std::fs::write(folder.join(format!("{name}.log")), log.concat())?;
        std::fs::write(folder.join(format!("{name}.rules.ndjson")), rules.concat())
    }
}

/// What the engine counted, and how many spools its busiest site had.
fn happenings(log: &Log) -> BTreeSet<String> {
    let mut engine = Engine::new(PartitionRef::ONLY);
    log.bodies.iter().for_each(|body| engine.learn(Arc::clone(body)));
    let (mut covers, mut spools) = (BTreeSet::new(), BTreeMap::<_, BTreeSet<_>>::new());
    for (place, input) in log.inputs.iter().enumerate() {
        let bytes = input.encode();
        let Ok(record) = SignalsRecord::decode(&bytes) else { continue };
        // The model agreed with the engine on this log: it applies.
        let _ = engine.apply(place as u64, &record, &mut Vec::new());
        for (_, o) in engine.outcomes() {
            let counts = [
                ("duplicate", o.duplicates),
                ("conflict", o.conflicts),
                ("below the window", o.below_window),
                ("a spool too many", o.spool_overflows),
                ("shifted", o.shifted),
                ("cut", o.cut),
                ("a spool made room", o.spools_evicted),
                ("time starts anew", o.time_resets),
                ("a stolen key's", o.stolen),
                ("late", o.late),
                ("evicted", o.evicted),
                ("refused", o.refused),
            ];
            covers.extend(counts.iter().filter(|(_, count)| *count > 0).map(|(what, _)| (*what).to_owned()));
        }
        if let Input::Batch(batch) = input {
            spools.entry(&batch.site).or_default().insert(batch.spool);
        }
    }
    let most = spools.values().map(BTreeSet::len).max().unwrap_or_default();
    covers.insert(format!("{} spools", most.min(3)));
    covers
}

/// The log with each rule set read from a file, as far as a file can say it.
fn with_rule_files(log: &Log) -> Log {
    let mut digests = BTreeMap::new();
    let mut bodies: Vec<Arc<RuleSet>> = Vec::new();
    for body in &log.bodies {
        let Some(set) = from_file(body) else { continue };
        digests.insert(body.digest, set.digest);
        if bodies.iter().all(|known| known.digest != set.digest) {
            bodies.push(Arc::new(set));
        }
    }
    let inputs = log.inputs.iter().filter_map(|input| match input {
        Input::Configured(configured) => {
            let digest = *digests.get(&configured.digest)?;
            Some(Input::Configured(logystera_schemas::signals_topic::SiteConfigured { digest, ..configured.clone() }))
        }
        other => Some(other.clone()),
    });
    Log::new(bodies, inputs.collect())
}

fn from_file(set: &RuleSet) -> Option<RuleSet> {
    let file = |rules: &[String], head: &str| {
        from_yaml(&[("recorded", &format!("{{\"format\":1,{head}\"rules\":[{}]}}", rules.join(",")))]).ok()
    };
    let texts = set.rules.iter().map(rule_text).filter(|text| file(std::slice::from_ref(text), "").is_some());
    let texts: Vec<String> = texts.collect();
    let limits = format!(
        "\"limits\":{{\"rule_groups\":{},\"site_groups\":{},\"site_bytes\":{}}},",
        set.limits.rule_groups.min(set.limits.site_groups),
        set.limits.site_groups,
        set.limits.site_bytes
    );
    let disabled = list(set.disabled.iter().map(SignalType::name));
    file(&texts, &format!("{limits}\"disabled\":{disabled},"))
}

fn list<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> String {
    let quoted: Vec<String> = items.into_iter().map(|item| format!("\"{}\"", item.as_ref())).collect();
    format!("[{}]", quoted.join(","))
}

fn rule_text(rule: &Rule) -> String {
    let fields: &[FieldDef] = rule.signal.map_or(&[], |signal| &signal.def().fields);
    let names = |places: &[usize]| list(places.iter().map(|place| &fields[*place].name));
    let mut text = format!(
        "{{\"name\":\"{}\",\"title\":\"{}\",\"severity\":\"{}\",\"subsystem\":\"{}\"",
        rule.name, rule.title, rule.severity, rule.subsystem
    );
    // Writing to a string cannot fail.
    if let Some(signal) = rule.signal {
        let tests = where_text::filter(&rule.filter, fields);
        let (group_by, evidence) = (names(&rule.group_by), names(&rule.evidence));
        let _ = write!(text, ",\"signal\":\"{}\",\"where\":{tests}", signal.name());
        let _ = write!(text, ",\"group_by\":{group_by},\"evidence\":{evidence}");
    }
    let _ = match rule.condition {
        Condition::Absent { .. } => write!(text, ",\"absent\":{}", where_text::absent(rule, fields)),
        Condition::Blind { after_ms } => {
            write!(text, ",\"absent\":{{\"blind_after\":\"{}ms\"}}", after_ms.max(BLIND_AFTER_MS_MIN))
        }
        Condition::Each => write!(text, ",\"each\":{{}}"),
        ref threshold => write!(text, ",\"threshold\":{}", where_text::threshold(threshold, fields)),
    };
    text += &where_text::escalate(rule);
    let (for_ms, told) = match rule.condition {
        Condition::Each => (0, "{count} on {site}"),
        Condition::Absent { .. } | Condition::Blind { .. } => (0, "{site}: {within}"),
        _ => (rule.for_ms, "{count} in {within} on {site}"),
    };
    let groups: Vec<String> = rule.group_by.iter().map(|place| format!(" {{{}}}", fields[*place].name)).collect();
    if !rule.condition.tells_each() {
        let _ = write!(text, ",\"for\":\"{for_ms}ms\",\"resolve_after\":\"{}ms\"", rule.resolve_after_ms);
    }
    let _ = write!(text, ",\"suppress\":\"{}ms\",\"message\":\"{told}{}\"}}", rule.suppress_ms, groups.concat());
    text
}

#[cfg(test)]
mod tests {
    use logystera_rules::from_canonical;

    use super::*;

    #[test]
    fn a_recording_needs_nothing_of_the_simulator() {
        let (mut rules, mut kept) = (0, 0);
        for seed in 0..20 {
            let recording = record(seed).unwrap_or_else(|difference| panic!("seed {seed}: {difference}"));
            for set in &recording.log.bodies {
                assert_eq!(from_canonical(&set.body).unwrap().digest, set.digest, "seed {seed}");
                kept += set.rules.len();
            }
            rules += world::log_of(seed).bodies.iter().map(|set| set.rules.len()).sum::<usize>();
        }
        // A filter that is drawn may be one that nothing passes, which no file can say.
        assert!(kept * 10 > rules * 7, "of {rules} rules only {kept} can be written as files");
    }
}
