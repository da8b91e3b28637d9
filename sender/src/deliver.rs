//! Sends one batch until it has a final answer: asks the core what an answer means, and does it.

use std::sync::Mutex;
use std::time::Duration;

use logystera_infra::clock::{Clock, SystemClock};

use crate::batch_file::Header;
use crate::core::answer::{self, Answer, Health, Next};
use crate::core::backoff::Delays;
use crate::core::offset;
use crate::disk::lock;
use crate::http::{Gateway, Tried};
use crate::progress::{self, Progress};
use crate::spool::{Spool, SpoolError};
use crate::state::State;

/// Why sending ends before all is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The site was closed.
    Closed,
    /// Nothing got through for as long as the operator wanted to wait.
    GaveUp,
}

/// Carries batches to the gateway.
pub(crate) struct Courier {
    pub(crate) gateway: Gateway,
    pub(crate) clock: SystemClock,
    pub(crate) delays: Delays,
    pub(crate) give_up_after_ms: Option<u64>,
    pub(crate) progress: Progress,
    /// Signals of the input, if that is known.
    pub(crate) total: Option<u64>,
    pub(crate) health: Health,
    /// When the first of the failures in a row was, on the monotonic clock.
    pub(crate) failing_since: Option<i64>,
}

impl Courier {
    /// Starts to count from what the spool has now.
    pub(crate) fn begin(&mut self, state: &State) {
        self.progress.begin(&state.totals);
        self.total = state.input.as_ref().map(|i| i.signals);
    }

    /// Sends all claimed batches. The spool is locked only between the tries, so that a stream can go on filling it.
    pub(crate) fn deliver_all<T: AsMut<Spool>>(&mut self, shared: &Mutex<T>) -> Result<Option<Stop>, SpoolError> {
        loop {
            let Some(seq) = lock(shared).as_mut().queue.front().copied() else { return Ok(None) };
            let next = self.try_once(shared, seq)?;
            let Next::Wait { ms, .. } = next else {
                self.failing_since = None;
                if next == Next::Stop {
                    return Ok(Some(Stop::Closed));
                }
                continue;
            };
            let now = self.clock.monotonic_ms();
            let since = *self.failing_since.get_or_insert(now);
            if self.give_up_after_ms.is_some_and(|limit| (now - since) as u64 + ms >= limit) {
                return Ok(Some(Stop::GaveUp));
            }
            std::thread::sleep(Duration::from_millis(ms));
        }
    }

    fn try_once<T: AsMut<Spool>>(&mut self, shared: &Mutex<T>, seq: u64) -> Result<Next, SpoolError> {
        let (id, is_first, mut batch, offset_ms) = {
            let mut guard = lock(shared);
            let spool = guard.as_mut();
            (spool.id(seq)?, spool.mark(seq)?, spool.load(seq)?, spool.state.clock_offset_ms)
        };
        let body = std::mem::take(&mut batch.body);
        let Tried { answer, failure, offset_ms: measured } =
            self.gateway.post(&self.clock, offset_ms, id, batch.header.gzip, body);
        let next = answer::decide(&answer, is_first, &mut self.health, self.delays, random()?);

        let mut guard = lock(shared);
        let spool = guard.as_mut();
        let briefs = if has_refusals(&answer) { spool.briefs(seq)? } else { Vec::new() };
        let before = spool.state.totals;
        if let Some(measured) = measured {
            spool.state.clock_offset_ms = offset::learn(offset_ms, measured, 0);
        }
        match next {
            Next::Done => {
                self.progress.refused(&batch.header, &answer, &briefs);
                let signals = batch.header.of_the_input();
                let refused = refused(&answer, &batch.header).min(signals);
                spool.settle(seq, |state| {
                    state.totals.refused += refused;
                    state.totals.accepted += signals - refused;
                })?;
            }
            Next::Duplicate => spool.settle(seq, |state| state.totals.duplicate += batch.header.of_the_input())?,
            Next::Drop => {
                self.progress.dropped(id, &batch.header, &answer, &briefs);
                spool.drop_refused(seq)?;
            }
            Next::Split => {
                if spool.split(seq)? {
                    eprintln!("batch {id} is too large for the gateway; its signals go out in two");
                } else {
                    self.progress.dropped(id, &batch.header, &answer, &briefs);
                    spool.drop_refused(seq)?;
                }
            }
            Next::NewSpool => {
                spool.renew()?;
                eprintln!(
                    "batch {id} is not ours: somebody else used this spool's numbers (was the folder copied, or restored from a \
                     backup?). Nothing is lost: its signals go out anew, as spool {}",
                    spool.state.spool
                );
            }
            Next::Stop => {
                spool.state.closed = true;
                spool.save()?;
            }
            Next::RetryNow => {
                eprintln!("this machine's clock is off by {} s; corrected", spool.state.clock_offset_ms / 1_000);
            }
            Next::Wait { ms, why } => progress::waits(ms, why, &answer, failure.as_deref()),
        }
        let totals = spool.state.totals;
        spool.run.add(&before, &totals);
        self.progress.settled(&spool.run, &totals, self.total);
        Ok(next)
    }
}

fn has_refusals(answer: &Answer) -> bool {
    answer.body.as_ref().is_some_and(|body| !body.refused.is_empty())
}

/// Signals of the input that were not taken of a batch. Names of the head that were passed over are not signals.
fn refused(answer: &Answer, header: &Header) -> u64 {
    let Some(body) = &answer.body else { return 0 };
    let of_the_input = |index: usize| header.lines.get(index).is_none_or(|line| *line > 0);
    body.refused.iter().filter_map(|r| r.index).filter(|index| of_the_input(*index)).count() as u64 + body.refused_more
}

fn random() -> Result<u64, SpoolError> {
    getrandom::u64().map_err(SpoolError::Random)
}
