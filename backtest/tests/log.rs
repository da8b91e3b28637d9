//! Backtests of a recorded log of three days and four sites.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail their test")]

mod common;

use std::ops::Range;
use std::sync::Arc;

use logystera_backtest::core::{Counts, Difference, Messages, Side, What};
use logystera_backtest::{Backtest, Configured, Watch, run};
use logystera_infra::directory::Directory;
use logystera_infra::log::{LogError, Record};
use logystera_infra::reading::{PartitionId, Reading};
use logystera_processor::core::RuleSet;
use logystera_replay::{Asked, Question, ReplayError, Together};
use logystera_rules::from_canonical;
use logystera_schemas::delivery::ChannelRef;
use logystera_schemas::detection::{Detection, DetectionState};
use logystera_schemas::noise::{ChannelSettings, Silence};
use logystera_schemas::time::WallMs;
use logystera_schemas::topic::Topic;
use logystera_system::golden;

use common::naive;

const DAYS: &str = "days";
/// Before all of it.
const START_MS: i64 = 1_767_225_600_000;

/// The recording, in one partition.
struct Recorded(Vec<Record>);

impl Recorded {
    fn new() -> Self {
        let record = |(offset, value): (u64, Vec<u8>)| {
            use logystera_schemas::topic::SignalsRecord;
            let key = match SignalsRecord::decode(&value).unwrap() {
                SignalsRecord::Batch(batch) => batch.head.site.to_string(),
                SignalsRecord::SiteConfigured(configured) => configured.site.to_string(),
                _ => String::new(),
            };
            Record { offset, key: key.into_bytes(), value }
        };
        Self((0..).zip(golden::records(DAYS)).map(record).collect())
    }
}

impl Reading for Recorded {
    fn generations(&self, _: Topic) -> Vec<u32> {
        vec![1]
    }

    fn bounds(&self, topic: Topic, _: PartitionId) -> Result<Range<u64>, LogError> {
        Ok(0..if topic == Topic::Signals { self.0.len() as u64 } else { 0 })
    }

    fn read(&self, topic: Topic, part: PartitionId, from: u64, _: usize) -> Result<Vec<Record>, LogError> {
        let end = self.bounds(topic, part)?.end as usize;
        Ok(self.0[(from as usize).min(end)..(from as usize + 50).min(end)].to_vec())
    }

    fn directory(&self) -> Result<Directory, LogError> {
        Ok(Directory::default())
    }

    fn position(&self, _: &str, _: Topic, _: PartitionId) -> Result<u64, LogError> {
        Ok(self.0.len() as u64)
    }
}

/// The rules of the recording, edited.
fn rules(edit: impl Fn(&str) -> String) -> Arc<RuleSet> {
    Arc::new(from_canonical(&edit(&golden::bodies(DAYS)[0])).unwrap())
}

/// The rules with another number of matches for `probing`.
fn probing(count: u32) -> Arc<RuleSet> {
    rules(|body| {
        assert!(body.contains(r#""count":4"#));
        body.replace(r#""count":4"#, &format!(r#""count":{count}"#))
    })
}

#[derive(Default)]
struct Heard(Vec<Difference>);

impl Watch for Heard {
    type Error = ReplayError;

    fn show(&mut self, _: &Together<'_, 2>) {}

    fn differs(&mut self, difference: &Difference) -> Result<(), ReplayError> {
        self.0.push(difference.clone());
        Ok(())
    }
}

fn asked<'a>(log: &'a Recorded, rules: &Arc<RuleSet>) -> Asked<'a> {
    let question = Question { rules: Some(Arc::clone(rules)), ..Question::default() };
    match Asked::new(log, Arc::new(Directory::default()), question) {
        Ok(asked) => asked,
        Err(error) => panic!("{error}"),
    }
}

fn backtest(old: &Arc<RuleSet>, new: &Arc<RuleSet>, configured: Configured) -> (Backtest, Vec<Difference>) {
    let log = Recorded::new();
    let mut heard = Heard::default();
    let done = run(&asked(&log, old), &asked(&log, new), configured, &mut heard).unwrap();
    (done, heard.0)
}

/// One channel of the recording's tenant.
fn channel(settings: ChannelSettings) -> Configured {
    let mut configured = Configured::default();
    let channel = "ch".parse().unwrap();
    let channel = ChannelRef { channel, kind: "webhook".to_owned(), settings, fallback: false, labels: Vec::new() };
    configured.channels(&"acme".parse().unwrap(), vec![channel]);
    configured
}

/// What a replay by these rules alone finds, in its order.
fn found(rules: &Arc<RuleSet>) -> Vec<Detection> {
    let log = Recorded::new();
    let mut found = Vec::new();
    let each = asked(&log, rules).each(|replayed| {
        while let Some(step) = replayed.step()? {
            found.extend(step.into_iter().map(|found| found.detection));
        }
        Ok::<_, ReplayError>(true)
    });
    each.unwrap();
    found
}

#[test]
fn the_same_rules_differ_in_nothing() {
    let rules = probing(4);
    let (done, differences) = backtest(&rules, &rules, channel(ChannelSettings::default()));
    let [old, new] = done.messages.each_ref().map(Messages::total);
    assert!(differences.is_empty() && old == new, "{differences:?}");
    let counts = done.alerts.together();
    assert!(counts.is_same() && counts.same > 100, "{counts:?}");
    assert!(old > counts.same, "beginnings and ends: {old}");
    assert_eq!((done.records, done.batches > 1_000), (golden::records(DAYS).len() as u64, true));
}

#[test]
fn an_edit_is_told_as_two_replays_tell_it() {
    let (old, new) = (probing(4), probing(6));
    let (done, differences) = backtest(&old, &new, channel(ChannelSettings::default()));
    let mut said: Vec<(String, i64, String)> = differences
        .iter()
        .map(|Difference { alert, what }| {
            let what = match what {
                What::New => "new".to_owned(),
                What::Gone => "gone".to_owned(),
                What::Earlier(ms) => format!("-{ms}"),
                What::Later(ms) => ms.to_string(),
            };
            (format!("{} {}", alert.site, alert.rule), alert.told_at, what)
        })
        .collect();
    said.sort();
    let both = [(Side::Old, found(&old)), (Side::New, found(&new))];
    let mut told: Vec<(Side, Detection)> =
        both.into_iter().flat_map(|(side, found)| found.into_iter().map(move |d| (side, d))).collect();
    told.sort_by_key(|(side, d)| (d.site.clone(), d.last_evaluated_at, *side));
    let mut expected: Vec<(String, i64, String)> = naive(&told)
        .into_iter()
        .map(|(group, at, what)| (group.split(' ').take(2).collect::<Vec<_>>().join(" "), at, what))
        .collect();
    expected.sort();
    assert_eq!(said, expected);
    let Counts { same, gone, later, later_ms_max, .. } = *done.alerts.together();
    assert!(same > 10 && gone > 10 && later > 10 && later_ms_max > 0, "{:?}", done.alerts.together());
    assert!(said.iter().all(|(group, ..)| group.ends_with("probing")), "the other rules are what they were");
    let rules = done.alerts.counts().filter(|(_, _, counts)| !counts.is_same()).map(|(rule, ..)| rule.as_str());
    assert!(rules.eq(["probing"; 4]), "four sites have it");
}

#[test]
fn messages_are_what_the_channels_let_through() {
    let (all, few) = (probing(2), probing(4));
    let sent = |configured: Configured| {
        let (done, _) = backtest(&all, &few, configured);
        done.messages.each_ref().map(Messages::total)
    };
    let [everything, fewer] = sent(channel(ChannelSettings::default()));
    assert!(everything > fewer && fewer > 100, "{everything}, {fewer}");
    let told = |rules| found(rules).iter().filter(|d| d.state != DetectionState::Suppressed).count() as u64;
    assert_eq!(fewer, told(&few), "an unbounded channel gets what is told");
    // Of many alerts of one moment some end before their turn comes.
    assert!((told(&all) - 10..=told(&all)).contains(&everything), "{everything} of {}", told(&all));
    let [without_ends, _] = sent(channel(ChannelSettings { resolved: false, ..ChannelSettings::default() }));
    let ends = found(&all).iter().filter(|d| d.state == DetectionState::Resolved).count() as u64;
    assert!(without_ends.abs_diff(told(&all) - ends) <= 10, "a channel that hears of no ends: {without_ends}");
    let [nothing, _] = sent(Configured::default());
    assert_eq!(nothing, 0, "no channel");
    let mut silenced = channel(ChannelSettings::default());
    silenced.silence(Silence {
        silence: "s1".parse().unwrap(),
        tenant: "acme".parse().unwrap(),
        author: "anna".to_owned(),
        reason: "a test".to_owned(),
        created_at: WallMs(START_MS),
        from: WallMs(START_MS),
        until: WallMs(START_MS + 30 * 86_400_000),
        ended_at: None,
        site: None,
        rule: Some("probing".parse().unwrap()),
        severity: None,
        subsystem: None,
        labels: Vec::new(),
    });
    let [silent, other] = sent(silenced);
    let others = |rules| {
        let told = |d: &&Detection| d.state != DetectionState::Suppressed && d.rule.as_str() != "probing";
        found(rules).iter().filter(told).count() as u64
    };
    assert_eq!([silent, other], [others(&all), others(&few)], "a rule that is silenced is not told of");
}
