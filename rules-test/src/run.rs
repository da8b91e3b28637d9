//! What is expected of a rule, beside what the engine says.

use logystera_processor::core::{Condition, GroupStanding, Rule, Stage};
use logystera_rules::{Expectation, RuleTest, RuleTests, TestState, from_canonical};
use logystera_schemas::detection::DetectionState;
use logystera_schemas::limits::{BATCH_SIGNALS_MAX, TICK_MS};

use crate::groups::span;
use crate::notify;
use crate::timeline::{self, Signal};
use crate::why;
use crate::world::{START_MS, World, WorldError};

/// What came of the tests of one rule.
#[derive(Clone, Debug)]
pub struct RuleResult {
    /// Name of the rule.
    pub rule: String,
    /// Name of its file.
    pub file: String,
    /// Its tests, in the order of the file.
    pub tests: Vec<TestResult>,
}

/// What came of one test.
#[derive(Clone, Debug)]
pub struct TestResult {
    /// What the test shows.
    pub name: String,
    /// Expectations that failed.
    pub failures: Vec<Failure>,
    /// Whether the rule fired.
    pub fired: bool,
}

/// An expectation that failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Where the expectation stands: line and column, from 1.
    pub place: (usize, usize),
    /// When, what was expected, what was seen instead, and why.
    pub said: String,
}

/// A rule's tests cannot be run, which is a fault of this program.
#[derive(Debug, PartialEq, Eq)]
pub struct Unrunnable(String);

impl std::fmt::Display for Unrunnable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the tests cannot be run: {}", self.0)
    }
}

impl std::error::Error for Unrunnable {}

/// Runs the tests of a rule.
pub fn run(rule: &RuleTests) -> Result<RuleResult, Unrunnable> {
    let tests = rule.tests.iter().map(|test| run_one(rule, test)).collect::<Result<_, _>>()?;
    Ok(RuleResult { rule: rule.rule.to_string(), file: rule.file.clone(), tests })
}

fn run_one(tests: &RuleTests, test: &RuleTest) -> Result<TestResult, Unrunnable> {
    let read = || from_canonical(&tests.body).map_err(|errors| Unrunnable(format!("{errors:?}")));
    // One set for the engine, which keeps it, one to look at.
    let (set, seen) = (read()?, read()?);
    let [rule] = seen.rules.as_slice() else { return Err(Unrunnable("more than one rule".to_owned())) };
    let lines = timeline::lines(rule, test);
    let signals = timeline::signals(&lines);
    let failed = |error: WorldError| Unrunnable(error.to_string());
    let mut driver = Driver { world: World::new(set).map_err(failed)?, rule, signals: &signals, told: 0, ticked_ms: 0 };
    driver.begin().map_err(failed)?;
    let mut expectations: Vec<&Expectation> = test.expect.iter().collect();
    expectations.sort_by_key(|expected| expected.at_ms);
    let mut result = TestResult { name: test.name.clone(), failures: Vec::new(), fired: false };
    for expected in expectations {
        driver.go_to(expected.at_ms).map_err(failed)?;
        let standings = driver.world.standings(&rule.name);
        result.fired |= standings.iter().any(|standing| state(standing.stage) == TestState::Firing);
        let failure = compare(rule, expected, &standings, &signals[..driver.told]);
        result.failures.extend(failure.map(|said| Failure { place: (expected.line, expected.column), said }));
    }
    if let Some(wanted) = &test.notify {
        let last = wanted.told.iter().map(|told| told.at_ms).chain(signals.iter().map(|signal| signal.at_ms)).max();
        let last = last.max(test.expect.iter().map(|expected| expected.at_ms).max());
        driver.go_to(last.unwrap_or(0)).map_err(failed)?;
        let failure = notify::compare(rule, wanted, &driver.world.found);
        result.failures.extend(failure.map(|said| Failure { place: (wanted.line, wanted.column), said }));
    }
    result.fired |= driver.world.found.iter().any(|found| found.state == DetectionState::Firing);
    Ok(result)
}

/// Tells the engine of the signals up to a time.
struct Driver<'t> {
    world: World,
    rule: &'t Rule,
    signals: &'t [Signal<'t>],
    /// How many of them were told.
    told: usize,
    /// Time of the newest tick.
    ticked_ms: i64,
}

impl Driver<'_> {
    /// The site is heard of just before the test: from there on absences count.
    fn begin(&mut self) -> Result<(), WorldError> {
        self.world.tick(-1)?;
        self.world.batch(None, &[], -1)
    }

    /// Goes on until `at_ms`, signals of that very time included.
    fn go_to(&mut self, at_ms: i64) -> Result<(), WorldError> {
        let due = &self.signals[self.told..];
        let due = &due[..due.partition_point(|signal| signal.at_ms <= at_ms)];
        self.told += due.len();
        if matches!(self.rule.condition, Condition::Blind { .. }) {
            // A silence is counted in the gateway's time, second by second.
            for signal in due {
                self.ticks_until(signal.at_ms)?;
                self.world.batch(None, &[], signal.at_ms)?;
            }
            return self.ticks_until(at_ms);
        }
        for (n, part) in due.chunks(BATCH_SIGNALS_MAX).enumerate() {
            let after = due.get((n + 1) * BATCH_SIGNALS_MAX).map(|next| next.at_ms - 1);
            self.world.batch(self.rule.signal, part, after.unwrap_or(at_ms))?;
        }
        if due.is_empty() { self.world.batch(None, &[], at_ms) } else { Ok(()) }
    }

    fn ticks_until(&mut self, at_ms: i64) -> Result<(), WorldError> {
        while self.ticked_ms + TICK_MS as i64 <= at_ms {
            self.ticked_ms += TICK_MS as i64;
            self.world.tick(self.ticked_ms)?;
        }
        Ok(())
    }
}

fn state(stage: Stage) -> TestState {
    match stage {
        Stage::Inactive => TestState::Inactive,
        Stage::Pending(_) => TestState::Pending,
        Stage::Firing | Stage::Clearing(_) => TestState::Firing,
    }
}

/// What is said of an expectation that does not hold. None: it holds.
fn compare(rule: &Rule, expected: &Expectation, standings: &[GroupStanding], came: &[Signal<'_>]) -> Option<String> {
    let wanted = why::labels(rule, &expected.group);
    let meant = |standing: &&GroupStanding| {
        wanted.iter().all(|(field, value)| standing.group.iter().any(|l| l.field == *field && l.value == *value))
    };
    let worst = standings.iter().filter(meant).max_by_key(|standing| (state(standing.stage), standing.count));
    let (stage, count) = worst.map_or((Stage::Inactive, 0), |standing| (standing.stage, standing.count));
    let is_right = state(stage) == expected.state;
    if is_right && expected.count.is_none_or(|wanted| wanted == count) {
        return None;
    }
    let at = span(expected.at_ms);
    let of = |state: TestState, count: Option<u64>| match count {
        Some(count) => format!("{} with a count of {count}", state.as_str()),
        None => state.as_str().to_owned(),
    };
    let seen = of(state(stage), expected.count.map(|_| count));
    let until = |ms: i64| span(ms - START_MS);
    let besides = match stage {
        Stage::Pending(for_at) => format!(" (the condition must hold until {})", until(for_at.0)),
        Stage::Clearing(at) => format!(" (the condition is false again, and the alert resolves at {})", until(at.0)),
        Stage::Inactive | Stage::Firing => String::new(),
    };
    let why = why::why(rule, expected, came);
    Some(format!("at {at}: expected {}, was {seen}{besides}: {why}", of(expected.state, expected.count)))
}
