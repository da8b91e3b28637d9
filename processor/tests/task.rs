//! When the task commits, and which ticks it forwards.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use logystera_infra::clock::{Clock, ManualClock};
use logystera_infra::log::{Commit, Entry, LogError, Record, Task};
use logystera_infra::pace::{IdleCommits, TimeWanted};
use logystera_infra::runtime::StateMachine;
use logystera_infra::shutdown::Shutdown;
use logystera_processor::core::{RuleSet, SEMANTICS};
use logystera_processor::task::{EngineMachine, NoRuleSet, OutputPartitions, RuleSets, run};
use logystera_rules::{from_yaml, published};
use logystera_schemas::ids::Sha256Digest;
use logystera_schemas::partition::PartitionRef;
use logystera_schemas::schema;
use logystera_schemas::signals_topic::{Refused, SiteClosed, SiteConfigured, Tick};
use logystera_schemas::time::WallMs;
use logystera_schemas::topic::{DetectionsRecord, Topic};

const START_MS: i64 = 1_767_225_600_000;
/// A read that gives nothing, or gives at once, takes so long.
const READ_MS: i64 = 20;

struct Nothing;

impl RuleSets for Nothing {
    fn find(&mut self, _: &Sha256Digest) -> Result<RuleSet, NoRuleSet> {
        Err(NoRuleSet::Missing)
    }
}

fn machine() -> EngineMachine<Nothing> {
    EngineMachine::new(PartitionRef::ONLY, OutputPartitions::ALONE, Nothing)
}

/// What happens at a time, in milliseconds after the start.
enum Event {
    /// A tick, so many milliseconds before the time at which it comes.
    Tick(i64),
    /// A record that is no tick.
    Other,
    /// Somebody waits for time, or nobody any more.
    Wanted(bool),
}

/// A commit: when, and the ticks that it forwards, both after the start.
#[derive(Debug, PartialEq, Eq)]
struct Committed {
    at_ms: i64,
    ticks: Vec<i64>,
    position: u64,
}

/// A log to which the events come, each in its time.
struct Script {
    clock: ManualClock,
    events: VecDeque<(i64, Event)>,
    until_ms: i64,
    shutdown: Shutdown,
    wanted: TimeWanted,
    read: u64,
    commits: Arc<Mutex<Vec<Committed>>>,
}

impl Task for Script {
    fn position(&self) -> u64 {
        0
    }

    fn restore(&mut self, _: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), LogError> {
        Ok(())
    }

    fn input_end(&mut self) -> Result<u64, LogError> {
        Ok(self.read)
    }

    fn read(&mut self, wait: Duration) -> Result<Vec<Record>, LogError> {
        let now = self.clock.monotonic_ms();
        let next = self.events.front().map_or(i64::MAX, |(at, _)| *at);
        let passes = (next - now).clamp(READ_MS, READ_MS.max(wait.as_millis() as i64));
        self.clock.pass(passes as u32);
        let now = now + passes;
        if now >= self.until_ms {
            self.shutdown.trigger();
        }
        let mut records = Vec::new();
        while let Some((at, event)) = self.events.pop_front_if(|(at, _)| *at <= now) {
            let value = match event {
                Event::Wanted(wanted) => {
                    self.wanted.set(wanted);
                    continue;
                }
                Event::Tick(behind_ms) => tick(at - behind_ms),
                Event::Other => schema::encode(&Refused {
                    site: "site".parse().expect("an id"),
                    spool: None,
                    reason: "busy".to_owned(),
                    count: 1,
                    authenticated: false,
                }),
            };
            records.push(Record { offset: self.read, key: Vec::new(), value });
            self.read += 1;
        }
        Ok(records)
    }

    fn commit(&mut self, commit: Commit) -> Result<(), LogError> {
        let ticks = commit.outputs.iter().filter(|entry| entry.topic == Topic::Detections);
        let ticks = ticks.map(|entry| at_of(&entry.value)).collect();
        let commit = Committed { at_ms: self.clock.monotonic_ms(), ticks, position: commit.position };
        self.commits.lock().unwrap_or_else(PoisonError::into_inner).push(commit);
        Ok(())
    }
}

fn tick(at_ms: i64) -> Vec<u8> {
    schema::encode(&Tick { partition: 0, at: WallMs(START_MS + at_ms), open_ms: 0 })
}

fn at_of(value: &[u8]) -> i64 {
    match DetectionsRecord::decode(value) {
        Ok(DetectionsRecord::Tick(tick)) => tick.at.0 - START_MS,
        other => unreachable!("{other:?}"),
    }
}

/// Runs the task through `events` until `until_ms`, and gives its commits.
fn commits(seldom: bool, events: Vec<(i64, Event)>, until_ms: i64) -> Vec<Committed> {
    let (clock, shutdown, wanted) = (ManualClock::at(START_MS), Shutdown::new(), TimeWanted::default());
    let idle = if seldom { IdleCommits::Seldom(wanted.clone()) } else { IdleCommits::Soon };
    let commits = Arc::default();
    let mut events = events;
    events.sort_by_key(|(at, _)| *at);
    let task = Script {
        clock: clock.clone(),
        events: events.into(),
        until_ms,
        shutdown: shutdown.clone(),
        wanted,
        read: 0,
        commits: Arc::clone(&commits),
    };
    run(machine(), task, &clock, idle, &shutdown).expect("it runs");
    std::mem::take(&mut *commits.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A tick each second from `from` to before `to`.
fn seconds(from: i64, to: i64) -> Vec<(i64, Event)> {
    (from..to).map(|second| (1_000 * second, Event::Tick(0))).collect()
}

/// The times between commits, and before the first one, where each read gives a tick.
fn check(behind_ms: i64, first_ms: i64, others_ms: i64) {
    let span_ms = 4_000;
    let ticks = (0..span_ms).step_by(READ_MS as usize).map(|at| (at, Event::Tick(behind_ms))).collect();
    let mut commits: Vec<i64> = commits(false, ticks, span_ms).into_iter().map(|commit| commit.at_ms).collect();
    // The one at the end is no interval's.
    commits.pop();
    let steps: Vec<i64> = commits.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let near = |time: i64, wanted: i64| (wanted..=wanted + 2 * READ_MS).contains(&time);
    assert!(near(commits[0], first_ms), "{behind_ms} ms behind: {commits:?}");
    assert!(!steps.is_empty() && steps.iter().all(|step| near(*step, others_ms)), "{behind_ms} ms behind: {steps:?}");
}

#[test]
fn a_commit_comes_soon_and_once_a_second_while_it_is_behind() {
    check(0, 100, 100);
    check(2_900, 100, 100);
    check(3_100, 100, 1_000);
    check(86_400_000, 100, 1_000);
}

#[test]
fn while_only_time_passes_it_commits_once_a_minute() {
    let commits = commits(true, seconds(1, 200), 200_000);
    let told: Vec<_> =
        commits.iter().map(|commit| (commit.at_ms / 1_000, &commit.ticks[..], commit.position)).collect();
    // Whoever took over shows so at once; each commit forwards the newest tick alone. The last one is at the stop.
    let expected: [(i64, &[i64], u64); 5] =
        [(1, &[1_000], 1), (62, &[62_000], 62), (123, &[123_000], 123), (184, &[184_000], 184), (200, &[199_000], 199)];
    assert_eq!(told, expected);
}

#[test]
fn whose_time_is_wanted_commits_each_tick() {
    assert_eq!(commits(false, seconds(1, 61), 61_500).len(), 60);
    let wanted = vec![(80_500, Event::Wanted(true)), (90_500, Event::Wanted(false))];
    let commits = commits(true, [seconds(1, 110), wanted].into_iter().flatten().collect(), 110_000);
    let times: Vec<i64> = commits.iter().map(|commit| commit.at_ms).collect();
    // What waited when it was wanted goes first, before the next tick.
    assert!((80_500..81_000).contains(&times[2]), "{times:?}");
    assert_eq!((commits[2].ticks.as_slice(), times.len()), (&[80_000][..], 3 + 10 + 1), "{times:?}");
    assert!(times[3..13].iter().zip(81..).all(|(at, second)| (0..200).contains(&(at - 1_000 * second))), "{times:?}");
}

#[test]
fn what_is_no_tick_is_committed_soon_with_the_ticks_before_it() {
    let events = [seconds(1, 100), vec![(70_500, Event::Other)]].into_iter().flatten().collect();
    let commits = commits(true, events, 100_000);
    assert!((70_600..70_700).contains(&commits[2].at_ms), "{commits:?}");
    assert_eq!((commits[2].ticks.as_slice(), commits[2].position), (&[70_000][..], 71));
    assert_eq!(commits.len(), 4, "then the minute begins anew: {commits:?}");
}

/// Wall time as the planner has it.
fn wall(ticks: &[i64]) -> i64 {
    ticks
        .iter()
        .fold((i64::MIN, 0), |(wall, below), at| if *at < wall && below < 59 { (wall, below + 1) } else { (*at, 0) })
        .0
}

/// Applies ticks at these times and gives those that are forwarded, with commits now and then, and whether `partitions` have the same.
fn forwarded(ticks: &[i64], partitions: u32, commit_after: impl Fn(usize) -> bool) -> Vec<i64> {
    let outputs = OutputPartitions { detections: partitions, ..OutputPartitions::ALONE };
    let mut machine = EngineMachine::new(PartitionRef::ONLY, outputs, Nothing);
    let (mut waiting, mut told) = (Vec::new(), vec![Vec::new(); partitions as usize]);
    for (place, at) in ticks.iter().enumerate() {
        let record = Record { offset: place as u64, key: Vec::new(), value: tick(*at) };
        machine.apply(&record, &mut waiting).expect("a tick");
        if commit_after(place) || place + 1 == ticks.len() {
            machine.take_puts();
            for entry in waiting.drain(..).filter(|entry: &Entry| entry.topic == Topic::Detections) {
                told[entry.partition as usize].push(at_of(&entry.value));
            }
        }
    }
    assert!(told.iter().all(|others| *others == told[0]), "{told:?}");
    told.swap_remove(0)
}

#[test]
fn a_tick_stands_for_those_before_it_but_not_for_those_that_set_time_back() {
    let never = |_: usize| false;
    assert_eq!(forwarded(&[1, 2, 3, 3, 9], 1, never), [9]);
    assert_eq!(forwarded(&[1, 2, 3, 3, 9], 3, |place| place == 1), [2, 9], "what is committed stays");
    assert_eq!(forwarded(&[1, 9, 5, 6, 9, 10], 2, never), [9, 5, 6, 10]);
    let back: Vec<i64> = std::iter::once(1_000).chain(0..60).chain([70, 80]).collect();
    let told = forwarded(&back, 1, never);
    assert_eq!((told.len(), told.last()), (62, Some(&80)));
    assert_eq!(wall(&told), wall(&back));
}

#[test]
fn whoever_reads_the_forwarded_ticks_has_the_same_time() {
    let mut draw = 88_172_645_463_325_252_u64;
    let mut next = |below: u64| {
        draw ^= draw << 13;
        draw ^= draw >> 7;
        draw ^= draw << 17;
        draw % below
    };
    for _ in 0..50 {
        let (mut now, mut off) = (100_000, 0);
        let ticks: Vec<i64> = (0..400)
            .map(|_| {
                if next(60) == 0 {
                    off = -(next(90_000) as i64);
                }
                now += next(2_000) as i64;
                now + if next(3) == 0 { 0 } else { off }
            })
            .collect();
        let every = 1 + next(80) as usize;
        for end in [57, 200, 399, 400] {
            let told = forwarded(&ticks[..end], 1, |place| place % every == 0);
            assert_eq!(wall(&told), wall(&ticks[..end]), "{ticks:?}");
        }
    }
}

/// Rule sets, by how many matches they ask for.
struct Known(Vec<RuleSet>);

impl Known {
    fn new() -> Self {
        let set = |count: u32| {
            let yaml = format!(
                "format: 1\nrules:\n- name: mails\n  title: Failed mails\n  severity: warning\n  subsystem: mail\n  signal: mail.outcome\n  \
                 threshold: {{count: {count}, within: 5s}}\n  message: \"mails failed\"\n"
            );
            from_yaml(&[("r.yaml", &yaml)]).expect("rules")
        };
        Self((1..=3).map(set).collect())
    }
}

impl RuleSets for Known {
    fn find(&mut self, digest: &Sha256Digest) -> Result<RuleSet, NoRuleSet> {
        published(self.0.iter().find(|set| set.digest == *digest).map(|set| &*set.body))
    }
}

/// What cannot be learnt stops the task at the record that names it.
#[test]
fn without_its_rules_a_site_is_not_judged() {
    struct Unlearnt(Result<RuleSet, NoRuleSet>);
    impl RuleSets for Unlearnt {
        fn find(&mut self, _: &Sha256Digest) -> Result<RuleSet, NoRuleSet> {
            std::mem::replace(&mut self.0, Err(NoRuleSet::Missing))
        }
    }
    let digest = Sha256Digest::of(b"named");
    let other = Known::new().0.remove(0);
    let other_is = format!("the body of configuration {digest} has the digest {}", other.digest);
    for (found, told) in [
        (Err(NoRuleSet::Missing), format!("configuration {digest} is not in topic control")),
        (Err(NoRuleSet::Unreadable(3)), format!("configuration {digest} can't be read: 3 errors")),
        (Ok(other), other_is),
    ] {
        let mut machine = EngineMachine::new(PartitionRef::ONLY, OutputPartitions::ALONE, Unlearnt(found));
        let (site, tenant) = ("shop".parse().expect("an id"), "t".parse().expect("an id"));
        let configured = SiteConfigured { site, tenant, name: "Shop".to_owned(), digest, semantics: SEMANTICS };
        let record = Record { offset: 7, key: Vec::new(), value: schema::encode(&configured) };
        let halt = machine.apply(&record, &mut Vec::new()).expect_err("it stops");
        assert_eq!((halt.offset, halt.what), (7, told));
    }
}

#[test]
fn rules_that_no_site_has_any_more_are_forgotten_and_learnt_again() {
    let digests: Vec<_> = Known::new().0.iter().map(|set| set.digest).collect();
    let mut machine = EngineMachine::new(PartitionRef::ONLY, OutputPartitions::ALONE, Known::new());
    let mut offset = 0;
    let mut apply = |machine: &mut EngineMachine<Known>, value: Vec<u8>| {
        offset += 1;
        machine.apply(&Record { offset, key: Vec::new(), value }, &mut Vec::new()).expect("a record");
        machine.take_puts();
        digests.iter().map(|digest| machine.engine().knows(digest)).collect::<Vec<_>>()
    };
    let (shop, blog) = ("shop", "blog");
    let (name, semantics) = ("Shop".to_owned(), SEMANTICS);
    let has = |site: &str, set: usize| {
        let (site, tenant) = (site.parse().expect("an id"), "t".parse().expect("an id"));
        schema::encode(&SiteConfigured { site, tenant, name: name.clone(), digest: digests[set], semantics })
    };
    for (site, set, known) in [
        (shop, 0, [true, false, false]),
        (blog, 0, [true, false, false]),
        (shop, 1, [true, true, false]),
        (blog, 1, [false, true, false]),
        (shop, 0, [true, true, false]),
        (blog, 2, [true, false, true]),
    ] {
        assert_eq!(apply(&mut machine, has(site, set)), known, "{site} has set {set}");
    }
    let (site, tenant) = ("blog".parse().expect("an id"), "t".parse().expect("an id"));
    apply(&mut machine, schema::encode(&SiteClosed { site, tenant }));
    assert_eq!(apply(&mut machine, has(shop, 0)), [true, false, false], "the closed site has none");
}
