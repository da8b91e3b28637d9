//! Random histories, and planners that live through them.

use std::collections::{BTreeMap, BTreeSet};

use logystera_alerter::core::{AttemptRef, Due, Planner};
use logystera_schemas::delivery::{Attempt, AttemptOutcome, Resend};
use logystera_schemas::detection::{BundleBy, BundleSpec, Detection, DetectionReason, DetectionState, Severity};
use logystera_schemas::ids::{EpisodeId, ResendId};
use logystera_schemas::noise::Silence;
use logystera_schemas::topic::DetectionsRecord;
use proptest::prelude::*;

use super::noise::{channels_set, settings_of, silence_of};
use super::{START_MS, Store, apply, channels, commit, detection, enabled, ended, line_of, restored, started, tick};

pub(crate) const TENANTS: [&str; 3] = ["ash", "birch", "oak"];
pub(crate) const CHANNELS: [&str; 3] = ["a", "b", "mail"];
/// The tenant whose rule bundles.
pub(crate) const BUNDLES: usize = 1;

/// One thing that happens. Numbers that name a choice are taken modulo what there is to choose from.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Tick {
        partition: u32,
        by_ms: i64,
    },
    Channels {
        tenant: usize,
        mask: u8,
    },
    /// An episode of a fault begins, goes on or ends; now or long ago.
    Detection {
        tenant: usize,
        state: usize,
        fault: usize,
        late: bool,
    },
    Enable {
        tenant: usize,
        channel: usize,
    },
    Start {
        which: usize,
    },
    End {
        which: usize,
        outcome: usize,
        retry_after_s: Option<u64>,
    },
    /// An outcome of an attempt that ended before, or of another number.
    Late {
        which: usize,
    },
    /// A silence of one or all faults begins, now or later, or is ended.
    Silence {
        tenant: usize,
        id: usize,
        from_ms: i64,
        for_ms: i64,
        all: bool,
        ended: bool,
    },
    /// Somebody asks that a channel gets a detection again.
    Resend {
        which: usize,
        channel: usize,
    },
    /// All of a tenant's channels, each with other settings.
    Settings {
        tenant: usize,
        settings: usize,
    },
}

/// Settings that a channel may get.
pub(crate) const SETTINGS: [&[&str]; 6] = [
    &[],
    &["severity=critical"],
    &["no-resolved"],
    &["quiet=01:00-03:00", "except=critical"],
    &["quiet=00:00-23:00"],
    &["per-minute=1"],
];

/// Steps with silences and settings.
pub(crate) fn noisy_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => step(),
        1 => (0..3_usize, 0..3_usize, 0..7_200_000_i64, 1..7_200_000_i64, any::<bool>(), any::<bool>()).prop_map(
            |(tenant, id, from_ms, for_ms, all, ended)| Step::Silence { tenant, id, from_ms, for_ms, all, ended }
        ),
        1 => (0..3_usize, 0..216_usize).prop_map(|(tenant, settings)| Step::Settings { tenant, settings }),
        1 => (any::<usize>(), 0..3_usize).prop_map(|(which, channel)| Step::Resend { which, channel }),
    ]
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..2_u32, prop_oneof![0..2_000_i64, Just(60_000), Just(7_200_000), -100_000..0_i64])
            .prop_map(|(partition, by_ms)| Step::Tick { partition, by_ms }),
        1 => (0..3_usize, 0..8_u8).prop_map(|(tenant, mask)| Step::Channels { tenant, mask }),
        5 => (0..3_usize, 0..4_usize, 0..4_usize, any::<bool>())
            .prop_map(|(tenant, state, fault, late)| Step::Detection { tenant, state, fault, late }),
        1 => (0..3_usize, 0..3_usize).prop_map(|(tenant, channel)| Step::Enable { tenant, channel }),
        6 => any::<usize>().prop_map(|which| Step::Start { which }),
        5 => (any::<usize>(), 0..9_usize, proptest::option::of(0..100_u64))
            .prop_map(|(which, outcome, retry_after_s)| Step::End { which, outcome, retry_after_s }),
        1 => any::<usize>().prop_map(|which| Step::Late { which }),
    ]
}

pub(crate) const OUTCOMES: [(AttemptOutcome, Option<u32>); 13] = [
    (AttemptOutcome::Failed, Some(500)),
    (AttemptOutcome::Rejected, Some(404)),
    (AttemptOutcome::Gone, Some(410)),
    (AttemptOutcome::Throttled, Some(429)),
    (AttemptOutcome::Delivered, Some(200)),
    (AttemptOutcome::Refused, Some(500)),
    (AttemptOutcome::Refused, Some(404)),
    (AttemptOutcome::Refused, Some(410)),
    (AttemptOutcome::Refused, Some(429)),
    (AttemptOutcome::Failed, None),
    (AttemptOutcome::Timeout, None),
    (AttemptOutcome::Forbidden, None),
    (AttemptOutcome::Unknown, None),
];

/// Turns steps into records, choosing among what `planner` offers.
#[derive(Default)]
pub(crate) struct Driver {
    now_ms: i64,
    seqs: BTreeMap<usize, u64>,
    /// The number of the detection that began the episode which a tenant's fault is in.
    episodes: BTreeMap<(usize, usize), u64>,
    past: Vec<AttemptRef>,
    /// What was found so far.
    found: Vec<Detection>,
    resends: u64,
}

impl Driver {
    fn record(&mut self, step: &Step, planner: &Planner) -> Option<DetectionsRecord> {
        Some(match step {
            Step::Tick { partition, by_ms } => {
                self.now_ms = (self.now_ms + by_ms).max(0);
                tick(*partition, START_MS + self.now_ms)
            }
            Step::Channels { tenant, mask } => {
                let ids: Vec<&str> = (0..3).filter(|i| mask & (1 << i) != 0).map(|i| CHANNELS[i]).collect();
                channels(TENANTS[*tenant], &ids)
            }
            Step::Detection { tenant, state, fault, late } => self.detection(*tenant, *state, *fault, *late),
            Step::Enable { tenant, channel } => enabled(TENANTS[*tenant], CHANNELS[*channel]),
            Step::Start { which } => {
                let due: Vec<Due> = planner.due().collect();
                started(due.get(which % due.len().max(1))?, planner.wall())
            }
            Step::End { which, outcome, retry_after_s } => {
                let open: Vec<AttemptRef> = planner.unfinished().collect();
                let attempt = open.get(which % open.len().max(1))?;
                self.past.push(attempt.clone());
                let (outcome, status) = OUTCOMES[*outcome];
                ended(attempt, outcome, status, *retry_after_s)
            }
            Step::Silence { tenant, id, from_ms, for_ms, all, ended } => {
                let matchers: &[&str] = if *all { &[] } else { &["severity=warning"] };
                let now = planner.wall();
                let from = now.plus((*from_ms - 3_600_000).max(0));
                let silence = silence_of(TENANTS[*tenant], &format!("s{id}"), matchers);
                let (until, ended_at) = (from.plus(*for_ms), ended.then_some(now));
                DetectionsRecord::Silence(Silence { created_at: now, from, until, ended_at, ..silence })
            }
            Step::Settings { tenant, settings } => {
                let of = |place: u32| settings_of(SETTINGS[settings / 6_usize.pow(place) % 6]);
                let all = (0..3).map(|place| (CHANNELS[place as usize].to_owned(), of(place))).collect();
                channels_set(TENANTS[*tenant], &all)
            }
            Step::Resend { which, channel } => {
                let detection = self.found.get(which % self.found.len().max(1))?.clone();
                self.resends += 1;
                let mut id = [0; 16];
                id[..8].copy_from_slice(&self.resends.to_be_bytes());
                let (resend, channel) = (ResendId(id), CHANNELS[*channel].parse().unwrap());
                let (tenant, by, at) = (detection.tenant.clone(), "ops".to_owned(), planner.wall());
                DetectionsRecord::Resend(Box::new(Resend { tenant, resend, channel, by, at, detection }))
            }
            Step::Late { which } => {
                let attempt = self.past.get(which % self.past.len().max(1))?;
                ended(attempt, AttemptOutcome::Delivered, Some(200), None)
            }
        })
    }
}

/// The fault whose rule tells each match.
const ONCE: usize = 3;

/// One of them: an episode by itself.
fn happened(tenant: &str, seq: u64, at_ms: i64) -> Detection {
    let found = line_of(detection(tenant, seq, DetectionState::Firing), "each", 0, at_ms);
    Detection { once: true, id: EpisodeId((1 << 100 | u128::from(seq)).to_be_bytes()), ..found }
}

impl Driver {
    /// What the engine would say: a resolution ends an episode, a firing within one is a reminder.
    fn detection(&mut self, tenant: usize, state: usize, fault: usize, late: bool) -> DetectionsRecord {
        let seq = self.seqs.entry(tenant).or_default();
        *seq += 1;
        if fault == ONCE {
            let found = happened(TENANTS[tenant], *seq, START_MS + self.now_ms);
            self.found.push(found.clone());
            return DetectionsRecord::Detection(Box::new(found));
        }
        let open = self.episodes.get(&(tenant, fault)).copied();
        let state = match DetectionState::ALL[state.saturating_sub(1)] {
            DetectionState::Resolved if open.is_none() => DetectionState::Firing,
            state => state,
        };
        let episode = open.unwrap_or(*seq);
        let at_ms = START_MS + self.now_ms - if late { 3_600_000 } else { 0 };
        let found = detection(TENANTS[tenant], *seq, state);
        let mut found = line_of(found, &format!("fault-{fault}"), episode as u8, at_ms);
        if fault == 0 {
            found.severity = Severity::Warning;
        }
        if state == DetectionState::Resolved {
            self.episodes.remove(&(tenant, fault));
        } else {
            self.episodes.insert((tenant, fault), episode);
        }
        found.bundle = (tenant == BUNDLES).then(|| BundleSpec { by: vec![BundleBy::Site], wait_ms: 3_000, max: 3 });
        if open.is_some() && state == DetectionState::Firing {
            found.reason = DetectionReason::SuppressionExpired;
        }
        self.found.push(found.clone());
        DetectionsRecord::Detection(Box::new(found))
    }
}

/// A history: the records, and a planner that applied them all without a crash, with its rows.
pub(crate) fn live(steps: &[Step]) -> (Vec<DetectionsRecord>, Planner, Vec<Attempt>) {
    let (mut planner, mut driver) = (Planner::new(), Driver::default());
    let (mut records, mut rows) = (Vec::new(), Vec::new());
    for step in steps {
        if let Some(record) = driver.record(step, &planner) {
            planner.apply(record.clone(), &mut rows);
            records.push(record);
        }
    }
    // What is left comes to its end: the channels answer, and time passes.
    while planner.has_deliveries() {
        let due: Vec<Due> = planner.due().collect();
        for one in &due {
            let record = started(one, planner.wall());
            planner.apply(record.clone(), &mut rows);
            records.push(record);
        }
        let open: Vec<AttemptRef> = planner.unfinished().collect();
        for attempt in &open {
            let record = ended(attempt, AttemptOutcome::Delivered, Some(200), None);
            planner.apply(record.clone(), &mut rows);
            records.push(record);
        }
        let record = tick(0, planner.wall().0 + 3_600_000);
        planner.apply(record.clone(), &mut rows);
        records.push(record);
    }
    (records, planner, rows)
}

/// Applies the records with a commit after those whose number is in `commits` and a crash after those in `crashes`: what
/// was not committed is lost, rows and all, and its records are applied again.
pub(crate) fn crashing(
    records: &[DetectionsRecord],
    commits: &BTreeSet<usize>,
    crashes: &BTreeSet<usize>,
) -> (Planner, Store, Vec<Attempt>) {
    let (mut planner, mut store) = (Planner::new(), Store::new());
    let (mut committed_rows, mut rows) = (Vec::new(), Vec::new());
    let mut position = 0;
    let mut crashes = crashes.clone();
    let mut next = 0;
    while next < records.len() {
        planner.apply(records[next].clone(), &mut rows);
        next += 1;
        if commits.contains(&next) {
            commit(&mut planner, &mut store);
            committed_rows.append(&mut rows);
            position = next;
        }
        if crashes.remove(&next) {
            planner = restored(&store);
            rows.clear();
            next = position;
        }
    }
    commit(&mut planner, &mut store);
    committed_rows.append(&mut rows);
    (planner, store, committed_rows)
}
