//! The engine on W1: decode, apply and encode a recorded log; no I/O.

use std::collections::BTreeMap;
use std::sync::Arc;

use logystera_processor::core::{Engine, Output, RuleSet};
use logystera_rules::{Diagnostic, default_pack, from_yaml};
use logystera_schemas::detection::{Detection, DetectionState};
use logystera_schemas::ids::Sha256Digest;
use logystera_schemas::limits::COMMIT_INTERVAL_MS;
use logystera_schemas::partition::PartitionRef;
use logystera_schemas::schema;
use logystera_schemas::topic::SignalsRecord;

use crate::BenchError;
use crate::clock::Stopwatch;
use crate::cpu;
use crate::recording::Recording;

/// Length of a pane of the rules of W1, milliseconds.
const PANE_MS: i64 = 5_000;
/// State entries of groups carry this tag after the two bytes of the key group.
const GROUP_TAG: u8 = 4;

/// The two rules of W1, as the peers' job has them.
pub fn w1_rules() -> Result<RuleSet, BenchError> {
    from_yaml(&[("w1.yaml", include_str!("../rules/w1.yaml"))]).map_err(|errors| unusable(&errors))
}

/// The two rules with exact windows instead of panes: what a threshold of 20 costs by default.
pub fn w1_rules_exact() -> Result<RuleSet, BenchError> {
    let exact = include_str!("../rules/w1.yaml").replace(", resolution: 5s", "");
    from_yaml(&[("w1.yaml", &exact)]).map_err(|errors| unusable(&errors))
}

/// The rules that sites have by default.
pub fn pack_rules() -> Result<RuleSet, BenchError> {
    default_pack().map_err(|errors| unusable(&errors))
}

fn unusable(errors: &[Diagnostic]) -> BenchError {
    BenchError::Rules(errors.iter().map(Diagnostic::to_string).collect::<Vec<_>>().join("\n"))
}

/// What one replay took.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// Signals.
    pub signals: usize,
    /// Seconds by the clock.
    pub wall_s: f64,
    /// CPU seconds of the process: decode, apply, and the encoding of detections and changed state.
    pub cpu_s: f64,
    /// Detections in the state firing.
    pub firings: usize,
    /// Detections of any state.
    pub detections: usize,
    /// Bytes of encoded detections.
    pub detection_bytes: usize,
    /// Bytes of encoded state.
    pub state_bytes: usize,
    /// SHA-256, 16 digits, over the sorted lines `site|source|rule|end of the window` of each group's first firing: the
    /// peers' `digest_first`.
    pub digest_first: String,
}

impl Replayed {
    /// Signals a second, in millions.
    pub fn million_per_s(&self) -> f64 {
        self.signals as f64 / self.wall_s / 1e6
    }

    /// CPU seconds for a million signals.
    pub fn cpu_s_per_million(&self) -> f64 {
        self.cpu_s / self.signals as f64 * 1e6
    }
}

/// The replay of `rounds` that took the least CPU: what else the machine did is least in it.
pub fn fastest(recording: &Recording, rules: &Arc<RuleSet>, rounds: usize) -> Result<Replayed, BenchError> {
    let mut best = replay(recording, rules)?;
    for _ in 1..rounds {
        let done = replay(recording, rules)?;
        if done.cpu_s < best.cpu_s {
            best = done;
        }
    }
    Ok(best)
}

/// Replays `recording` under `rules`: the whole work of a task but for its reads and its commits.
pub fn replay(recording: &Recording, rules: &Arc<RuleSet>) -> Result<Replayed, BenchError> {
    let mut engine = Engine::new(PartitionRef::ONLY);
    engine.learn(Arc::clone(rules));
    let (mut detections, mut detection_bytes, mut state_bytes) = (Vec::new(), 0, 0);
    let mut out = Vec::new();
    let mut commit_at_s = 0.0;
    let (watch, cpu_before) = (Stopwatch::start(), cpu::process_cpu_s("self")?);
    for (offset, record) in recording.records().enumerate() {
        let record = SignalsRecord::decode(record)?;
        engine.apply(offset as u64, &record, &mut out)?;
        for output in out.drain(..) {
            if let Output::Detection(detection) = output {
                detection_bytes += schema::encode(&*detection).len();
                detections.push(detection);
            }
        }
        if watch.elapsed_s() >= commit_at_s {
            state_bytes += put_bytes(&mut engine);
            commit_at_s = watch.elapsed_s() + COMMIT_INTERVAL_MS as f64 / 1e3;
        }
    }
    state_bytes += put_bytes(&mut engine);
    let (wall_s, cpu_s) = (watch.elapsed_s(), cpu::process_cpu_s("self")? - cpu_before);
    Ok(Replayed {
        signals: recording.signals,
        wall_s,
        cpu_s,
        firings: detections.iter().filter(|d| d.state == DetectionState::Firing).count(),
        detections: detections.len(),
        detection_bytes,
        state_bytes,
        digest_first: digest_first(&detections),
    })
}

fn put_bytes(engine: &mut Engine) -> usize {
    engine.take_puts().iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len)).sum()
}

fn digest_first(detections: &[Box<Detection>]) -> String {
    let mut first: BTreeMap<(&str, &str, &str), i64> = BTreeMap::new();
    for detection in detections.iter().filter(|d| d.state == DetectionState::Firing) {
        // Our hash is the peers' source and eight bytes more.
        let source = detection.group.first().map_or("", |label| &label.value[..16]);
        let window_end = (detection.started_at.div_euclid(PANE_MS) + 1) * PANE_MS;
        first.entry((detection.site.as_str(), source, detection.rule.as_str())).or_insert(window_end);
    }
    let line = |((site, source, rule), end): (&(&str, &str, &str), &i64)| format!("{site}|{source}|{rule}|{end}\n");
    let mut lines: Vec<_> = first.iter().map(line).collect();
    lines.sort();
    let digest = Sha256Digest::of(lines.concat().as_bytes()).to_string();
    digest[..16].to_owned()
}

/// What the groups of a state take.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct StateSize {
    /// Groups that are kept at the log's end.
    pub groups: usize,
    /// Mean of a group's encoded value, bytes.
    pub value_bytes_mean: f64,
    /// Largest encoded value of a group, bytes.
    pub value_bytes_max: usize,
    /// Mean of its key, bytes.
    pub key_bytes_mean: f64,
    /// Growth of the resident memory over the replay, for each group: sites, spools and deadlines are in it.
    pub heap_bytes: f64,
}

/// Applies the whole log, then looks at what is kept.
pub fn state_size(recording: &Recording, rules: RuleSet) -> Result<StateSize, BenchError> {
    let mut engine = Engine::new(PartitionRef::ONLY);
    engine.learn(Arc::new(rules));
    let before = cpu::resident_bytes("self")?;
    let mut out = Vec::new();
    for (offset, record) in recording.records().enumerate() {
        engine.apply(offset as u64, &SignalsRecord::decode(record)?, &mut out)?;
        out.clear();
    }
    let grown = cpu::resident_bytes("self")?.saturating_sub(before);
    let puts = engine.take_puts();
    let groups: Vec<_> = puts
        .iter()
        .filter(|(key, _)| key.get(2) == Some(&GROUP_TAG))
        .filter_map(|(key, value)| value.as_ref().map(|value| (key.len(), value.len())))
        .collect();
    let count = groups.len().max(1) as f64;
    Ok(StateSize {
        groups: groups.len(),
        value_bytes_mean: groups.iter().map(|(_, value)| *value).sum::<usize>() as f64 / count,
        value_bytes_max: groups.iter().map(|(_, value)| *value).max().unwrap_or(0),
        key_bytes_mean: groups.iter().map(|(key, _)| *key).sum::<usize>() as f64 / count,
        heap_bytes: grown as f64 / count,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The peers' README gives the digest for 2,000 batches in the order of time: what every right system must find.
    #[test]
    fn first_firings_are_the_peers() {
        let rules = Arc::new(w1_rules().unwrap());
        let recording = Recording::w1(42, 2_000, 0, rules.digest);
        let replayed = replay(&recording, &rules).unwrap();
        assert_eq!((replayed.digest_first.as_str(), recording.signals), ("c56521ad3d377108", 200_000));
    }
}
