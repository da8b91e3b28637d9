//! The clocks. Time is an input everywhere else: whoever needs it is given a [`Clock`], or a record that carries it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// Where time comes from.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since the epoch. Can jump, forwards and backwards.
    fn wall_ms(&self) -> i64;

    /// Milliseconds since an arbitrary start. Never goes back.
    fn monotonic_ms(&self) -> i64;
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// The machine's clocks; the monotonic one starts now.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clocks")]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clocks")]
    fn wall_ms(&self) -> i64 {
        match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => since.as_millis() as i64,
            Err(before) => -(before.duration().as_millis() as i64),
        }
    }

    fn monotonic_ms(&self) -> i64 {
        self.start.elapsed().as_millis() as i64
    }
}

/// A clock that stands still until it is moved: for tests.
#[derive(Clone, Debug, Default)]
pub struct ManualClock {
    wall_ms: Arc<AtomicI64>,
    monotonic_ms: Arc<AtomicI64>,
}

impl ManualClock {
    /// A clock that shows `wall_ms`.
    pub fn at(wall_ms: i64) -> Self {
        Self { wall_ms: Arc::new(AtomicI64::new(wall_ms)), monotonic_ms: Arc::default() }
    }

    /// Lets `ms` milliseconds pass on both clocks.
    pub fn pass(&self, ms: u32) {
        self.wall_ms.fetch_add(i64::from(ms), Ordering::SeqCst);
        self.monotonic_ms.fetch_add(i64::from(ms), Ordering::SeqCst);
    }

    /// Sets the wall clock; the monotonic one stays.
    pub fn set_wall(&self, wall_ms: i64) {
        self.wall_ms.store(wall_ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn wall_ms(&self) -> i64 {
        self.wall_ms.load(Ordering::SeqCst)
    }

    fn monotonic_ms(&self) -> i64 {
        self.monotonic_ms.load(Ordering::SeqCst)
    }
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn wall_ms(&self) -> i64 {
        C::wall_ms(self)
    }

    fn monotonic_ms(&self) -> i64 {
        C::monotonic_ms(self)
    }
}

/// Measures how long something took, finer than a [`Clock`]: for metrics only, never for a decision.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts one.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clocks")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since it was started.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_it_is_told() {
        let clock = ManualClock::at(1_000);
        let same = Arc::new(clock.clone());
        clock.pass(250);
        assert_eq!((same.wall_ms(), same.monotonic_ms()), (1_250, 250));
        clock.set_wall(3);
        assert_eq!((same.wall_ms(), same.monotonic_ms()), (3, 250));
    }

    #[test]
    fn the_system_clock_shows_this_century_and_does_not_go_back() {
        let clock = SystemClock::new();
        assert!(clock.wall_ms() > 1_700_000_000_000);
        let first = clock.monotonic_ms();
        assert!((0..60_000).contains(&first) && clock.monotonic_ms() >= first);
    }
}
