//! Properties of the planner over random histories.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::{
    START_MS, Store, apply, channels, channels_set, commit, detection, enabled, ended, line_of, restored, settings_of,
    silence_of, started, tick,
};
use logystera_alerter::core::{About, AttemptRef, Due, Planner};
use logystera_schemas::delivery::{Attempt, AttemptOutcome, AttemptState};
use logystera_schemas::detection::{BundleBy, BundleSpec, Detection, DetectionReason, DetectionState, Severity};
use logystera_schemas::ids::DeliveryId;
use logystera_schemas::noise::Silence;
use logystera_schemas::topic::DetectionsRecord;
use proptest::prelude::*;

const TENANTS: [&str; 3] = ["ash", "birch", "oak"];
const CHANNELS: [&str; 3] = ["a", "b", "mail"];
/// The tenant whose rule bundles.
const BUNDLES: usize = 1;

/// One thing that happens. Numbers that name a choice are taken modulo what there is to choose from.
#[derive(Clone, Debug)]
enum Step {
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
    /// All of a tenant's channels, each with other settings.
    Settings {
        tenant: usize,
        settings: usize,
    },
}

/// Settings that a channel may get.
const SETTINGS: [&[&str]; 5] =
    [&[], &["severity=critical"], &["no-resolved"], &["quiet=01:00-03:00", "except=critical"], &["quiet=00:00-23:00"]];

/// Steps with silences and settings.
fn noisy_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => step(),
        1 => (0..3_usize, 0..3_usize, 0..7_200_000_i64, 1..7_200_000_i64, any::<bool>(), any::<bool>()).prop_map(
            |(tenant, id, from_ms, for_ms, all, ended)| Step::Silence { tenant, id, from_ms, for_ms, all, ended }
        ),
        1 => (0..3_usize, 0..125_usize).prop_map(|(tenant, settings)| Step::Settings { tenant, settings }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..2_u32, prop_oneof![0..2_000_i64, Just(60_000), Just(7_200_000), -100_000..0_i64])
            .prop_map(|(partition, by_ms)| Step::Tick { partition, by_ms }),
        1 => (0..3_usize, 0..8_u8).prop_map(|(tenant, mask)| Step::Channels { tenant, mask }),
        5 => (0..3_usize, 0..4_usize, 0..3_usize, any::<bool>())
            .prop_map(|(tenant, state, fault, late)| Step::Detection { tenant, state, fault, late }),
        1 => (0..3_usize, 0..3_usize).prop_map(|(tenant, channel)| Step::Enable { tenant, channel }),
        6 => any::<usize>().prop_map(|which| Step::Start { which }),
        5 => (any::<usize>(), 0..9_usize, proptest::option::of(0..100_u64))
            .prop_map(|(which, outcome, retry_after_s)| Step::End { which, outcome, retry_after_s }),
        1 => any::<usize>().prop_map(|which| Step::Late { which }),
    ]
}

const OUTCOMES: [(AttemptOutcome, Option<u32>); 13] = [
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
struct Driver {
    now_ms: i64,
    seqs: BTreeMap<usize, u64>,
    /// The number of the detection that began the episode which a tenant's fault is in.
    episodes: BTreeMap<(usize, usize), u64>,
    past: Vec<AttemptRef>,
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
                let of = |place: u32| settings_of(SETTINGS[settings / 5_usize.pow(place) % 5]);
                let all = (0..3).map(|place| (CHANNELS[place as usize].to_owned(), of(place))).collect();
                channels_set(TENANTS[*tenant], &all)
            }
            Step::Late { which } => {
                let attempt = self.past.get(which % self.past.len().max(1))?;
                ended(attempt, AttemptOutcome::Delivered, Some(200), None)
            }
        })
    }
}

impl Driver {
    /// What the engine would say: a resolution ends an episode, a firing within one is a reminder.
    fn detection(&mut self, tenant: usize, state: usize, fault: usize, late: bool) -> DetectionsRecord {
        let seq = self.seqs.entry(tenant).or_default();
        *seq += 1;
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
        DetectionsRecord::Detection(Box::new(found))
    }
}

/// A history: the records, and a planner that applied them all without a crash, with its rows.
fn live(steps: &[Step]) -> (Vec<DetectionsRecord>, Planner, Vec<Attempt>) {
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
fn crashing(
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

fn numbers() -> impl Strategy<Value = BTreeSet<usize>> {
    proptest::collection::btree_set(0..150_usize, 0..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_crash_anywhere_changes_nothing(
        steps in proptest::collection::vec(noisy_step(), 1..120), commits in numbers(), crashes in numbers(), cut in 0..150_usize,
    ) {
        let (records, mut never_crashed, rows) = live(&steps);
        let mut never_store = Store::new();
        commit(&mut never_crashed, &mut never_store);
        let (_, store, crashed_rows) = crashing(&records, &commits, &crashes);
        prop_assert_eq!(&crashed_rows, &rows);
        prop_assert_eq!(&store, &never_store);

        // In the middle too, where deliveries wait and attempts are in the air.
        let head = &records[..cut.min(records.len())];
        let (crashed, store, _) = crashing(head, &commits, &crashes);
        let mut plain = Planner::new();
        for record in head {
            apply(&mut plain, record.clone());
        }
        for other in [&crashed, &restored(&store)] {
            prop_assert_eq!(plain.due().collect::<Vec<_>>(), other.due().collect::<Vec<_>>());
            prop_assert_eq!(plain.unfinished().collect::<Vec<_>>(), other.unfinished().collect::<Vec<_>>());
            prop_assert_eq!((plain.wall(), plain.waiting(), plain.in_flight()), (other.wall(), other.waiting(), other.in_flight()));
            prop_assert_eq!(plain.has_deliveries(), other.has_deliveries());
        }
    }

    #[test]
    fn every_detection_ends_in_a_row(steps in proptest::collection::vec(step(), 1..120)) {
        let (records, planner, rows) = live(&steps);
        prop_assert_eq!(planner.waiting() + planner.in_flight(), 0);

        // Naively: the channels that stand when a detection comes each owe it one last row.
        let mut configured: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut owed: BTreeMap<(String, u64, String), usize> = BTreeMap::new();
        for record in &records {
            match record {
                DetectionsRecord::ChannelsConfigured(c) => {
                    let ids = c.channels.iter().map(|c| c.channel.to_string()).collect();
                    configured.insert(c.tenant.to_string(), ids);
                }
                DetectionsRecord::Detection(d) => {
                    let standing = configured.get(d.tenant.as_str()).filter(|c| !c.is_empty() && d.state != DetectionState::Suppressed);
                    for channel in standing.unwrap_or(&vec![String::new()]) {
                        owed.insert((d.tenant.to_string(), d.seq, channel.clone()), 0);
                    }
                }
                _ => {}
            }
        }
        for row in &rows {
            let last = matches!(row.state, AttemptState::Delivered | AttemptState::Dead | AttemptState::NotSent);
            if last {
                let key = (row.tenant.to_string(), row.seq, row.channel.clone());
                // News of a disabled channel may come to a channel that did not stand yet, or to none.
                *owed.entry(key).or_default() += 1;
            }
            let is_held = ["bundled", "rate_limited"].contains(&row.reason.as_str()) && row.next_attempt_at.is_some();
            let goes_on = is_held || matches!(row.state, AttemptState::Failed | AttemptState::Unknown);
            prop_assert_eq!(row.next_attempt_at.is_some(), goes_on, "{:?}", row);
        }
        prop_assert!(owed.values().all(|rows| *rows >= 1), "{owed:?}");
    }

    /// Whatever is silenced and set: every line has a last row, and nobody hears the end of an episode unless an attempt
    /// told its beginning before, or the same message does.
    #[test]
    fn whatever_is_held_back_has_an_end_and_nobody_hears_an_end_alone(
        steps in proptest::collection::vec(noisy_step(), 1..160),
    ) {
        let (records, planner, rows) = live(&steps);
        prop_assert!(!planner.has_deliveries());
        let last: BTreeMap<_, &Attempt> = rows.iter().map(|row| (row.delivery, row)).collect();
        for row in last.values() {
            prop_assert!(row.next_attempt_at.is_none() && row.state != AttemptState::Started, "{row:?}");
        }
        let said: BTreeSet<_> = rows.iter().map(|row| (row.tenant.clone(), row.seq)).collect();
        let (mut planner, mut begun, mut fired) = (Planner::new(), BTreeSet::new(), BTreeSet::new());
        for record in records {
            let starts = |due: &Due| matches!(&record, DetectionsRecord::AttemptStarted(s) if s.delivery == due.delivery);
            for due in planner.due().filter(starts).filter(|due| due.about == About::Detection) {
                let at = (due.tenant, due.channel, due.detection.id);
                if due.detection.state == DetectionState::Firing || due.merged.firings > 0 {
                    begun.insert(at);
                } else if fired.contains(&(at.0.clone(), at.2)) {
                    prop_assert!(begun.contains(&at), "#{} ends what {} never heard of", due.detection.seq, at.1);
                }
            }
            if let DetectionsRecord::Detection(detection) = &record {
                prop_assert!(said.contains(&(detection.tenant.clone(), detection.seq)), "every detection has a row");
                // The engine tells no end of what it never told.
                if detection.state == DetectionState::Firing {
                    fired.insert((detection.tenant.clone(), detection.id));
                }
            }
            apply(&mut planner, record);
        }
    }

    #[test]
    fn nobody_hears_of_a_fault_out_of_order_nor_misses_its_end(steps in proptest::collection::vec(step(), 1..160)) {
        let (records, ..) = live(&steps);
        let (mut planner, mut detections) = (Planner::new(), BTreeMap::new());
        // What each attempt in the air tells; the newest line of each fault that a channel was called with; and the
        // episodes that it has taken a firing of.
        let mut in_the_air: BTreeMap<DeliveryId, Vec<Arc<Detection>>> = BTreeMap::new();
        let mut newest: BTreeMap<_, u64> = BTreeMap::new();
        let mut told: BTreeSet<_> = BTreeSet::new();
        for record in &records {
            if let DetectionsRecord::Detection(d) = record {
                detections.insert((d.tenant.clone(), d.seq), d.clone());
            }
            if let DetectionsRecord::AttemptStarted(started) = record
                && let Some(due) = planner.due().find(|due| due.delivery == started.delivery)
            {
                let tells: Vec<Arc<Detection>> = match &due.about {
                    About::Detection => vec![Arc::clone(&due.detection)],
                    About::Bundle(all) => all.iter().map(|one| Arc::clone(&one.detection)).collect(),
                    // Neither has lines of faults.
                    About::Digest(..) | About::ChannelDisabled(_) => Vec::new(),
                };
                // A bundle can tell two episodes of a fault, and tells them again when it is tried again.
                let faults: BTreeMap<_, u64> =
                    tells.iter().map(|one| (one.group[0].value.clone(), one.seq)).collect();
                for (fault, seq) in faults {
                    let last = newest.entry((due.tenant.clone(), due.channel.clone(), fault)).or_default();
                    prop_assert!(*last <= seq, "#{seq} after #{last}");
                    *last = seq;
                }
                in_the_air.insert(due.delivery, tells);
            }
            for row in apply(&mut planner, record.clone()) {
                let detection = &detections[&(row.tenant.clone(), row.seq)];
                if row.state == AttemptState::Delivered {
                    let tells = in_the_air.remove(&row.delivery).unwrap_or_default();
                    let firing = tells.iter().filter(|one| one.state == DetectionState::Firing);
                    told.extend(firing.map(|one| (row.tenant.clone(), row.channel.clone(), one.id)));
                }
                if row.reason == "superseded" && detection.state == DetectionState::Resolved {
                    let episode = (row.tenant.clone(), row.channel.clone(), detection.id);
                    prop_assert!(!told.contains(&episode), "#{} is never told", row.seq);
                }
            }
        }
    }

    #[test]
    fn attempts_of_a_delivery_follow_each_other_under_one_key(steps in proptest::collection::vec(step(), 1..120)) {
        let (_, _, rows) = live(&steps);
        let mut attempts: BTreeMap<_, (u32, bool, bool)> = BTreeMap::new();
        let mut keys: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        let shared: BTreeSet<_> =
            rows.iter().filter(|row| ["bundled", "rate_limited"].contains(&row.reason.as_str())).map(|row| row.delivery).collect();
        for row in &rows {
            // What tells several detections has rows of each of them.
            if !shared.contains(&row.delivery) {
                keys.entry((row.tenant.clone(), row.channel.clone(), row.site.clone(), row.seq)).or_default().insert(row.delivery);
            }
            let (last, in_the_air, over) = attempts.entry(row.delivery).or_default();
            match row.state {
                AttemptState::Started => {
                    prop_assert!(!*in_the_air && !*over, "two at once, or one after the end: {row:?}");
                    prop_assert_eq!(row.attempt, *last + 1);
                    (*last, *in_the_air) = (row.attempt, true);
                }
                AttemptState::NotSent => prop_assert!(row.attempt == 0 && *last == 0),
                state => {
                    // A delivery that waits may end without another attempt, for its channel's sake.
                    let ended_waiting = row.reason.starts_with("channel_") || row.reason == "superseded";
                    prop_assert!(*in_the_air != ended_waiting, "{row:?}");
                    prop_assert_eq!(row.attempt, *last);
                    *in_the_air = false;
                    *over = matches!(state, AttemptState::Delivered | AttemptState::Dead);
                }
            }
        }
        // One key for a channel and detection; at most two more for the news of the tenant's other channels.
        prop_assert!(keys.values().all(|ids| ids.len() <= 3), "{keys:?}");
        let count: usize = keys.values().map(BTreeSet::len).sum();
        let distinct: BTreeSet<_> = keys.values().flatten().collect();
        prop_assert_eq!(count, distinct.len(), "a key names one delivery");
    }
}
