//! Properties of the planner over random histories.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::history::{crashing, live, noisy_step, step};
use common::{Store, apply, commit, ended, resent, restored, started};
use logystera_alerter::core::{About, AttemptRef, Digest, Due, Merged, Planner, retry};
use logystera_schemas::delivery::{Attempt, AttemptEnded, AttemptOutcome, AttemptState};
use logystera_schemas::detection::{Detection, DetectionState};
use logystera_schemas::ids::{ChannelId, DeliveryId, EpisodeId, TenantId};
use logystera_schemas::limits::{ATTEMPTS_IN_FLIGHT_CHANNEL_MAX, ATTEMPTS_IN_FLIGHT_TENANT_MAX};
use logystera_schemas::topic::DetectionsRecord;
use proptest::prelude::*;

fn numbers() -> impl Strategy<Value = BTreeSet<usize>> {
    proptest::collection::btree_set(0..150_usize, 0..20)
}

/// An episode, as the reader of a channel knows it.
type Read = (TenantId, ChannelId, EpisodeId);

/// What those behind the channels can have read.
#[derive(Default)]
struct Readers {
    /// What was due so far. A delivery may be started when so many are in flight that it no longer is.
    due: BTreeMap<DeliveryId, Due>,
    /// The beginnings that may have arrived.
    begun: BTreeSet<Read>,
    /// The engine tells no end of what it never told.
    fired: BTreeSet<(TenantId, EpisodeId)>,
    /// Somebody asked for these: an end, too, whether the channel heard of the beginning or not.
    again: BTreeSet<DeliveryId>,
    /// What each digest counts, and of each whether it is over.
    digests: BTreeMap<DeliveryId, Vec<(Read, bool)>>,
    states: BTreeMap<(TenantId, u64), DetectionState>,
}

impl Readers {
    /// Takes a record. Gives what ends for a reader that never heard that it began.
    fn read(&mut self, record: &DetectionsRecord) -> Option<Read> {
        self.again.extend(resent(record));
        match record {
            DetectionsRecord::Detection(detection) => {
                self.states.insert((detection.tenant.clone(), detection.seq), detection.state);
                if detection.state == DetectionState::Firing {
                    self.fired.insert((detection.tenant.clone(), detection.id));
                }
            }
            DetectionsRecord::AttemptStarted(started) => {
                let due = self.due.get(&started.delivery)?;
                if let About::Digest(digest, _) = &due.about {
                    return self.digest(due.delivery, digest);
                }
                let alone = self.tells(due).into_iter().filter(|(_, begins)| !begins).map(|(read, _)| read);
                return alone.filter(|read| self.is_news(due.delivery, read)).last();
            }
            DetectionsRecord::AttemptEnded(ended) if retry::may_have_arrived(ended) => {
                let due = self.due.get(&ended.delivery)?;
                let begun = self.tells(due).into_iter().filter(|(_, begins)| *begins).map(|(read, _)| read);
                self.begun.extend(begun.collect::<Vec<_>>());
            }
            _ => {}
        }
        None
    }

    /// Whether an end is of what began, and its reader cannot know of that.
    fn is_news(&self, delivery: DeliveryId, read: &Read) -> bool {
        let fired = self.fired.contains(&(read.0.clone(), read.2));
        fired && !self.begun.contains(read) && !self.again.contains(&delivery)
    }

    /// The episodes that a message tells, and of each whether it tells that it began.
    fn tells(&self, due: &Due) -> Vec<(Read, bool)> {
        let of = |detection: &Detection, merged: Merged| {
            let begins = detection.state != DetectionState::Resolved || merged.firings > 0;
            let begins = begins || (merged.lines > 0 && merged.untold);
            ((due.tenant.clone(), due.channel.clone(), detection.id), begins)
        };
        match &due.about {
            About::Detection => vec![of(&due.detection, due.merged)],
            About::Bundle(all) => all.iter().map(|one| of(&one.detection, one.merged)).collect(),
            // What it counts it tells: of what is over in it, the beginning too, or that was told.
            About::Digest(..) => {
                let counted = self.digests.get(&due.delivery).into_iter().flatten();
                counted.map(|(read, _)| (read.clone(), true)).collect()
            }
            About::ChannelDisabled(_) => Vec::new(),
        }
    }

    /// A digest leaves: it must count a beginning for each end of its own that is news.
    fn digest(&self, delivery: DeliveryId, digest: &Digest) -> Option<Read> {
        let counted = self.digests.get(&delivery)?;
        let begins: BTreeSet<&Read> = counted.iter().filter(|(_, over)| !over).map(|(read, _)| read).collect();
        let ends = counted.iter().filter(|(_, over)| *over).map(|(read, _)| read);
        let alone: BTreeSet<&Read> =
            ends.filter(|read| self.is_news(delivery, read) && !begins.contains(read)).collect();
        let firings = counted.iter().filter(|(_, over)| !over).count();
        let told: u64 = digest.counts.iter().filter(|count| !count.is_over).map(|count| count.alerts).sum();
        alone.last().filter(|_| told < (firings + alone.len()) as u64).map(|read| (*read).clone())
    }

    /// What was put into a digest.
    fn counted(&mut self, rows: &[Attempt]) {
        for row in rows.iter().filter(|row| row.reason == "rate_limited" && row.next_attempt_at.is_some()) {
            let over = self.states.get(&(row.tenant.clone(), row.seq)) == Some(&DetectionState::Resolved);
            let read = (row.tenant.clone(), row.channel.parse().unwrap(), row.detection);
            self.digests.entry(row.delivery).or_default().push((read, over));
        }
    }
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
        for (crashed, row) in crashed_rows.iter().zip(&rows) {
            prop_assert_eq!(crashed, row);
        }
        prop_assert_eq!(crashed_rows.len(), rows.len());
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

    /// What starts in one append with the ends of others: each start is one that the planner takes when the ends are applied, within all
    /// limits; and nothing starts in a channel where one was not delivered.
    #[test]
    fn what_takes_the_places_of_those_that_end_may_start(
        steps in proptest::collection::vec(step(), 1..120), cut in 0..150_usize, ends in proptest::collection::vec(0..4_u8, 64),
    ) {
        let (records, _, rows) = live(&steps);
        let channels: BTreeMap<DeliveryId, String> = rows.into_iter().map(|row| (row.delivery, row.channel)).collect();
        let mut planner = Planner::new();
        for record in &records[..cut.min(records.len())] {
            apply(&mut planner, record.clone());
        }
        let channel_of = |attempt: &AttemptRef| channels[&attempt.delivery].clone();
        let (mut over, mut bad): (Vec<AttemptEnded>, _) = (Vec::new(), BTreeSet::new());
        for (attempt, end) in planner.unfinished().zip(ends).filter(|(_, end)| *end > 0) {
            let (outcome, status) = if end > 1 { (AttemptOutcome::Delivered, 200) } else { (AttemptOutcome::Failed, 500) };
            if outcome != AttemptOutcome::Delivered {
                bad.insert((attempt.tenant.clone(), channel_of(&attempt)));
            }
            if let DetectionsRecord::AttemptEnded(end) = ended(&attempt, outcome, Some(status), None) {
                over.push(end);
            }
        }
        let due: Vec<Due> = planner.due_after(&over).collect();
        if over.is_empty() {
            prop_assert_eq!(&due, &planner.due().collect::<Vec<_>>());
        }
        let wall = planner.wall();
        for end in over {
            apply(&mut planner, DetectionsRecord::AttemptEnded(end));
        }
        for one in &due {
            prop_assert!(!bad.contains(&(one.tenant.clone(), one.channel.to_string())), "{one:?}");
            let rows = apply(&mut planner, started(one, wall));
            prop_assert!(matches!(&rows[..], [row] if row.state == AttemptState::Started), "{one:?}: {rows:?}");
        }
        let mut in_the_air: BTreeMap<_, BTreeMap<_, usize>> = BTreeMap::new();
        for attempt in planner.unfinished() {
            let channel = channel_of(&attempt);
            *in_the_air.entry(attempt.tenant).or_default().entry(channel).or_default() += 1;
        }
        for channels in in_the_air.values().filter(|_| !due.is_empty()) {
            prop_assert!(channels.values().sum::<usize>() <= ATTEMPTS_IN_FLIGHT_TENANT_MAX);
            prop_assert!(channels.values().all(|n| *n <= ATTEMPTS_IN_FLIGHT_CHANNEL_MAX), "{channels:?}");
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

    /// Whatever is silenced and set: every line has a last row, and nobody reads that something is over before they can have read
    /// that it began: in a message that may have arrived, or in the same one.
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
        let (mut planner, mut readers) = (Planner::new(), Readers::default());
        for record in records {
            if let DetectionsRecord::Detection(detection) = &record {
                prop_assert!(said.contains(&(detection.tenant.clone(), detection.seq)), "every detection has a row");
            }
            readers.due.extend(planner.due().map(|due| (due.delivery, due)));
            let ends_alone = readers.read(&record);
            prop_assert!(ends_alone.is_none(), "{ends_alone:?}");
            let rows = apply(&mut planner, record);
            readers.counted(&rows);
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
            // A channel that was removed and comes again knows of nothing.
            if let DetectionsRecord::ChannelsConfigured(c) = record {
                told.retain(|(tenant, channel, _)| {
                    *tenant != c.tenant || c.channels.iter().any(|one| one.channel.as_str() == channel)
                });
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
                // What is told once goes in no order: each is about something else.
                let lasting = tells.iter().filter(|one| !one.once);
                let faults: BTreeMap<_, u64> =
                    lasting.map(|one| (one.group[0].value.clone(), one.seq)).collect();
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
