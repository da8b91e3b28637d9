//! Whether this gateway's clock can be believed. What it stamps on batches, and what it tells senders of the time,
//! decides which signals are late: a clock that is minutes off spoils what other gateways took, too.
//!
//! Among others: a gateway compares its clock with those of the gateways whose leases say that they believe their own.
//! If they differ, one that has just started, or whose clock has just jumped, is the wrong one; so is one that drifted
//! away from a majority that agrees. A contradicted gateway remembers the others' time: that they are gone, perhaps to
//! restart, makes no clock right. Alone: it compares its clock with the log's time. If it lies behind that, it ran
//! ahead before or is behind now.

use std::collections::BTreeMap;

use logystera_schemas::limits::{
    CLOCK_DIFFERS_MS, CLOCK_JUMP_MS, CLOCK_LISTEN_MS, GATEWAYS_HEARD_MAX, LEASE_HEARD_MS, TICKS_BELOW,
};

/// What is to be made of the gateway's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// It is believed: it agrees, nobody is there to disagree, or it was there first and is not outvoted.
    Agrees {
        /// Milliseconds that it is ahead of the others', or (below 0) behind the log's.
        skew_ms: i64,
    },
    /// Not known yet: the gateway still listens for others.
    Listens,
    /// It differs: no batch is taken.
    Differs {
        /// The time that the others, or the log, have.
        log_ms: i64,
        /// Milliseconds that the gateway's clock is ahead.
        skew_ms: i64,
        /// Whether it goes on to write ticks: if nobody else does, only they can set the log's time back.
        ticks: bool,
    },
}

impl Judgement {
    /// Of a clock that is `own` milliseconds ahead of the monotonic one, while the others' are `theirs` ahead.
    fn odd(theirs: i64, own: i64, monotonic_ms: i64) -> Self {
        let (log_ms, skew_ms) = (theirs.saturating_add(monotonic_ms), own.saturating_sub(theirs));
        Self::Differs { log_ms, skew_ms, ticks: false }
    }

    /// Whether batches are taken.
    pub(crate) fn takes_batches(self) -> bool {
        matches!(self, Self::Agrees { .. })
    }

    /// Whether ticks are written.
    pub(crate) fn ticks(self) -> bool {
        matches!(self, Self::Agrees { .. } | Self::Differs { ticks: true, .. })
    }
}

/// What is known of another gateway's clock.
#[derive(Debug)]
#[expect(clippy::struct_field_names, reason = "the unit stands last in a name")]
struct Other {
    /// Its clock minus our monotonic one, by the lease that was the shortest on its way.
    offset_ms: i64,
    /// When that lease was read, in monotonic milliseconds.
    measured_ms: i64,
    /// When any was read last.
    heard_ms: i64,
}

/// The log's wall time, as the engine has it: the highest tick, unless sixty in a row lie below.
#[derive(Debug, Default)]
struct LogWall {
    wall_ms: Option<i64>,
    below: u32,
}

impl LogWall {
    fn tick(&mut self, at_ms: i64) {
        self.below = if self.wall_ms.is_some_and(|wall_ms| at_ms < wall_ms) { self.below + 1 } else { 0 };
        if self.below == 0 || self.below == TICKS_BELOW {
            (self.wall_ms, self.below) = (Some(at_ms), 0);
        }
    }
}

/// Compares the gateway's clock.
#[derive(Debug)]
pub(crate) struct ClockWatch {
    /// Whether other gateways may write ticks too.
    among_others: bool,
    others: BTreeMap<String, Other>,
    log: LogWall,
    /// Monotonic milliseconds of the first judgement; `i64::MIN` if it is known that nobody else is there.
    since_ms: Option<i64>,
    /// When another gateway was last heard that also listens and is let in first.
    deferred_ms: Option<i64>,
    /// Own clock minus the monotonic one, at the judgement before.
    offset_ms: Option<i64>,
    /// The others' median minus the monotonic clock, if this clock differed from it when compared last.
    contradicted_ms: Option<i64>,
    /// Whether it has agreed, or been alone, since its last jump.
    settled: bool,
}

impl ClockWatch {
    /// Of a gateway that is the only one.
    pub(crate) fn alone() -> Self {
        Self {
            among_others: false,
            others: BTreeMap::new(),
            log: LogWall::default(),
            since_ms: None,
            deferred_ms: None,
            offset_ms: None,
            contradicted_ms: None,
            settled: false,
        }
    }

    /// Of a gateway beside which there may be others: it listens first.
    pub(crate) fn among_others() -> Self {
        Self { among_others: true, ..Self::alone() }
    }

    /// Another gateway's lease was read, at `monotonic_ms` of this one: it had the time `at_ms`. `instance` is its
    /// name.
    pub(crate) fn heard(&mut self, instance: &str, at_ms: i64, monotonic_ms: i64) {
        let offset_ms = at_ms.saturating_sub(monotonic_ms);
        if let Some(other) = self.others.get_mut(instance) {
            other.heard_ms = monotonic_ms;
            // A lease that took longer on its way says less; but an old measurement is replaced, for the clock may have
            // been set back.
            if offset_ms >= other.offset_ms || monotonic_ms - other.measured_ms > LEASE_HEARD_MS {
                (other.offset_ms, other.measured_ms) = (offset_ms, monotonic_ms);
            }
            return;
        }
        self.others.retain(|_, other| monotonic_ms - other.heard_ms <= LEASE_HEARD_MS);
        if self.others.len() < GATEWAYS_HEARD_MAX {
            let other = Other { offset_ms, measured_ms: monotonic_ms, heard_ms: monotonic_ms };
            self.others.insert(instance.to_owned(), other);
        }
    }

    /// Another gateway is gone: what it said of the time counts no more.
    pub(crate) fn forget(&mut self, instance: &str) {
        self.others.remove(instance);
    }

    /// There is no other gateway to listen for.
    pub(crate) fn nobody_else(&mut self) {
        self.since_ms = Some(i64::MIN);
    }

    /// Another gateway that listens too was heard, which is to be let in first: if both came in at once neither would
    /// be odd.
    pub(crate) fn defer(&mut self, monotonic_ms: i64) {
        self.deferred_ms = Some(monotonic_ms);
    }

    fn listens(&self, since_ms: i64, monotonic_ms: i64) -> bool {
        let listened_ms = monotonic_ms.saturating_sub(since_ms);
        let is_deferred = self.deferred_ms.is_some_and(|at_ms| monotonic_ms - at_ms < CLOCK_LISTEN_MS);
        self.among_others && listened_ms < if is_deferred { 2 * CLOCK_LISTEN_MS } else { CLOCK_LISTEN_MS }
    }

    /// A tick of this gateway stands in the log.
    pub(crate) fn written(&mut self, at_ms: i64) {
        self.log.tick(at_ms);
    }

    /// The newest ticks that stood in a partition of the log before this process, in their order. Of several partitions
    /// the one that is furthest counts.
    pub(crate) fn found(&mut self, ticks_ms: impl IntoIterator<Item = i64>) {
        let mut before = LogWall::default();
        ticks_ms.into_iter().for_each(|at_ms| before.tick(at_ms));
        if before.wall_ms > self.log.wall_ms {
            self.log = before;
        }
    }

    /// Judges the clock. To be asked for each batch, and every second.
    pub(crate) fn judge(&mut self, wall_ms: i64, monotonic_ms: i64) -> Judgement {
        let own = wall_ms.saturating_sub(monotonic_ms);
        let differs = |a: i64, b: i64| a.saturating_sub(b).saturating_abs() > CLOCK_DIFFERS_MS;
        if self.offset_ms.is_some_and(|before| own.saturating_sub(before).saturating_abs() > CLOCK_JUMP_MS) {
            self.settled = false;
        }
        self.offset_ms = Some(own);
        let since_ms = *self.since_ms.get_or_insert(monotonic_ms);
        let fresh = self.others.values().filter(|other| monotonic_ms - other.heard_ms <= LEASE_HEARD_MS);
        let mut others: Vec<i64> = fresh.map(|other| other.offset_ms).collect();
        others.sort_unstable();
        let Some(median) = others.get(others.len() / 2).copied() else {
            if self.listens(since_ms, monotonic_ms) {
                return Judgement::Listens;
            }
            self.contradicted_ms = self.contradicted_ms.filter(|before| differs(own, *before));
            return match self.contradicted_ms {
                Some(before) => Judgement::odd(before, own, monotonic_ms),
                None => self.judge_alone(wall_ms),
            };
        };
        let skew_ms = own.saturating_sub(median);
        let with = |offset: i64| others.iter().filter(|other| !differs(**other, offset)).count();
        let agrees = with(own) * 2 >= others.len();
        // One other is no majority, and if several all differ nobody knows which is right: the one that was there
        // stays.
        let outvoted = others.len() > 1 && others.iter().any(|other| with(*other) * 2 > others.len());
        if agrees || (self.settled && !outvoted) {
            self.settled |= agrees;
            if agrees {
                // Whichever gateway writes the ticks sets the log's time right.
                self.log = LogWall::default();
            }
            self.contradicted_ms = None;
            return Judgement::Agrees { skew_ms };
        }
        (self.settled, self.contradicted_ms) = (false, Some(median));
        Judgement::odd(median, own, monotonic_ms)
    }

    fn judge_alone(&mut self, wall_ms: i64) -> Judgement {
        let behind = self.log.wall_ms.map_or(0, |log_ms| log_ms.saturating_sub(wall_ms)).max(0);
        match self.log.wall_ms {
            Some(log_ms) if behind > CLOCK_DIFFERS_MS => Judgement::Differs { log_ms, skew_ms: -behind, ticks: true },
            Some(_) | None => {
                self.settled = true;
                Judgement::Agrees { skew_ms: -behind }
            }
        }
    }
}

#[cfg(test)]
mod tests;
