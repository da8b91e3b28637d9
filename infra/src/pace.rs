//! When a task commits what it has applied: soon, or, if only time has passed and nothing waits for it, seldom.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use logystera_schemas::limits::IDLE_COMMIT_MS;

/// Whether something in this process waits for time to pass. What waits and what looks share clones of one. At first
/// nothing waits.
#[derive(Clone, Debug, Default)]
pub struct TimeWanted(Arc<AtomicBool>);

impl TimeWanted {
    /// From here on something waits, or nothing.
    pub fn set(&self, wanted: bool) {
        self.0.store(wanted, Ordering::SeqCst);
    }

    /// Whether something waits for time.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// When a task commits if only time has passed.
#[derive(Clone, Debug)]
pub enum IdleCommits {
    /// As soon as anything else: other processes, whose wants are not known here, learn of the time by these commits.
    Soon,
    /// Seldom, as long as nothing wants time.
    Seldom(TimeWanted),
}

impl IdleCommits {
    fn may_wait(&self) -> bool {
        match self {
            Self::Soon => false,
            Self::Seldom(wanted) => !wanted.is_set(),
        }
    }
}

/// When what was applied has to be committed, in monotonic milliseconds.
#[derive(Debug)]
pub struct Pace {
    idle: IdleCommits,
    due_ms: Option<i64>,
}

impl Pace {
    /// Of a task that has applied nothing yet.
    pub fn new(idle: IdleCommits) -> Self {
        Self { idle, due_ms: None }
    }

    /// At `now_ms` something waits for its commit, which comes within `interval` from here, if none is due before. If
    /// it is `only_time`, that may be long. To be called after each read as long as something waits.
    pub fn waits(&mut self, now_ms: i64, only_time: bool, interval: Duration) {
        let within_ms = if only_time && self.idle.may_wait() { IDLE_COMMIT_MS } else { interval.as_millis() as u64 };
        let due_ms = now_ms.saturating_add(within_ms as i64);
        self.due_ms = Some(self.due_ms.map_or(due_ms, |before| before.min(due_ms)));
    }

    /// Whether something waits.
    pub fn is_waiting(&self) -> bool {
        self.due_ms.is_some()
    }

    /// Whether the commit is due.
    pub fn is_due(&self, now_ms: i64) -> bool {
        self.due_ms.is_some_and(|due_ms| now_ms >= due_ms)
    }

    /// How long a read may wait, `most` at most.
    pub fn patience(&self, now_ms: i64, most: Duration) -> Duration {
        let left = self.due_ms.map(|due_ms| Duration::from_millis(due_ms.saturating_sub(now_ms).max(0) as u64));
        left.map_or(most, |left| left.min(most))
    }

    /// All that was applied is committed.
    pub fn committed(&mut self) {
        self.due_ms = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens at a time.
    enum Step {
        /// Something was applied, or waits still: only time, or more.
        Waits {
            only_time: bool,
        },
        Wanted(bool),
        Committed,
    }
    use Step::{Committed, Waits, Wanted};

    const TIME: Step = Waits { only_time: true };
    const MORE: Step = Waits { only_time: false };

    /// When the commit is due after the steps; `None`: nothing waits.
    fn check(seldom: bool, steps: &[(i64, Step)], due_ms: Option<i64>) {
        let wanted = TimeWanted::default();
        let mut pace = Pace::new(if seldom { IdleCommits::Seldom(wanted.clone()) } else { IdleCommits::Soon });
        for (now_ms, step) in steps {
            match step {
                Waits { only_time } => pace.waits(*now_ms, *only_time, Duration::from_millis(100)),
                Wanted(is) => wanted.set(*is),
                Committed => pace.committed(),
            }
        }
        assert_eq!((pace.due_ms, pace.is_waiting()), (due_ms, due_ms.is_some()));
        if let Some(due_ms) = due_ms {
            assert_eq!((pace.is_due(due_ms - 1), pace.is_due(due_ms)), (false, true));
            let most = Duration::from_millis(250);
            assert_eq!(pace.patience(due_ms - 30, most), Duration::from_millis(30));
            assert_eq!(pace.patience(due_ms + 30, most), Duration::ZERO);
            assert_eq!(pace.patience(due_ms - 251, most), most);
        }
    }

    #[test]
    fn time_alone_waits_for_a_minute_and_everything_else_for_a_tenth_of_a_second() {
        check(true, &[], None);
        check(true, &[(5, TIME)], Some(60_005));
        check(true, &[(5, TIME), (9_000, TIME)], Some(60_005));
        check(true, &[(5, MORE), (50, MORE)], Some(105));
        // What comes later draws it near, and what came before keeps it there.
        check(true, &[(5, TIME), (9_000, MORE)], Some(9_100));
        check(true, &[(5, MORE), (50, TIME)], Some(105));
        check(true, &[(5, TIME), (60_000, MORE)], Some(60_005));
        check(true, &[(5, MORE), (105, Committed)], None);
        check(true, &[(5, MORE), (105, Committed), (200, TIME)], Some(60_200));
    }

    #[test]
    fn who_wants_time_has_it_soon() {
        check(true, &[(0, Wanted(true)), (5, TIME)], Some(105));
        check(true, &[(5, TIME), (9_000, Wanted(true)), (9_010, TIME)], Some(9_110));
        check(true, &[(0, Wanted(true)), (1, Wanted(false)), (5, TIME)], Some(60_005));
        check(false, &[(5, TIME), (9_000, TIME)], Some(105));
    }
}
