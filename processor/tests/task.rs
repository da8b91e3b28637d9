//! When the task commits.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use logystera_infra::clock::{Clock, ManualClock};
use logystera_infra::log::{Commit, LogError, Record, Task};
use logystera_infra::shutdown::Shutdown;
use logystera_processor::core::snapshot::Home;
use logystera_processor::task::{Bodies, EngineMachine, OutputPartitions, run};
use logystera_schemas::ids::Sha256Digest;
use logystera_schemas::schema;
use logystera_schemas::signals_topic::Tick;
use logystera_schemas::time::WallMs;

/// A read takes so long, and gives a tick.
const READ_MS: u32 = 20;
/// How long the task runs.
const SPAN_MS: i64 = 4_000;

/// Ticks that lie so far back, one for each read, as long as the span lasts.
struct Ticks {
    clock: ManualClock,
    behind_ms: i64,
    shutdown: Shutdown,
    read: u64,
    /// When was committed.
    commits: Arc<Mutex<Vec<i64>>>,
}

impl Task for Ticks {
    fn position(&self) -> u64 {
        0
    }

    fn restore(&mut self, _: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), LogError> {
        Ok(())
    }

    fn input_end(&mut self) -> Result<u64, LogError> {
        Ok(self.read)
    }

    fn read(&mut self, _: Duration) -> Result<Vec<Record>, LogError> {
        self.clock.pass(READ_MS);
        if self.clock.monotonic_ms() >= SPAN_MS {
            self.shutdown.trigger();
        }
        let at = WallMs(self.clock.wall_ms() - self.behind_ms);
        self.read += 1;
        Ok(vec![Record { offset: self.read - 1, key: Vec::new(), value: schema::encode(&Tick { partition: 0, at, open_ms: 0 }) }])
    }

    fn commit(&mut self, _: Commit) -> Result<(), LogError> {
        self.commits.lock().unwrap_or_else(PoisonError::into_inner).push(self.clock.monotonic_ms());
        Ok(())
    }
}

struct Nothing;

impl Bodies for Nothing {
    fn find(&mut self, _: &Sha256Digest) -> Option<String> {
        None
    }
}

/// The times between commits, and before the first one.
fn check(behind_ms: i64, first_ms: i64, others_ms: i64) {
    let (clock, shutdown, commits) = (ManualClock::at(1_767_225_600_000), Shutdown::new(), Arc::default());
    let task =
        Ticks { clock: clock.clone(), behind_ms, shutdown: shutdown.clone(), read: 0, commits: Arc::clone(&commits) };
    run(EngineMachine::new(Home::ALONE, OutputPartitions::ALONE, Nothing), task, &clock, &shutdown).expect("it runs");
    let mut commits = commits.lock().unwrap_or_else(PoisonError::into_inner).clone();
    // The one at the end is no interval's.
    commits.pop();
    let steps: Vec<i64> = commits.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let near = |time: i64, wanted: i64| (wanted..=wanted + 2 * i64::from(READ_MS)).contains(&time);
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
