//! How many messages people get of what a revision tells: a planner sends it to their channels, each of which takes every
//! message at once.

use std::collections::BTreeMap;

use logystera_alerter::core::Planner;
use logystera_schemas::delivery::{AttemptEnded, AttemptOutcome, AttemptStarted};
use logystera_schemas::detection::Detection;
use logystera_schemas::ids::{ChannelId, TenantId};
use logystera_schemas::limits::BACKTEST_REST_MS;
use logystera_schemas::signals_topic::Tick;
use logystera_schemas::time::WallMs;
use logystera_schemas::topic::DetectionsRecord;

/// How far apart the planner looks at the time while something waits, in milliseconds.
const LOOK_MS: i64 = 1_000;

/// The messages of one revision.
#[derive(Debug, Default)]
pub struct Messages {
    planner: Planner,
    wall: Option<WallMs>,
    sent: BTreeMap<(TenantId, ChannelId), u64>,
}

impl Messages {
    /// Takes a record that says what is configured.
    pub fn configure(&mut self, record: DetectionsRecord) {
        self.apply(record);
    }

    /// The log has come to `wall`: what waited until then goes out.
    pub fn reach(&mut self, wall: WallMs) {
        while let Some(before) = self.wall.filter(|before| before.plus(LOOK_MS) < wall && self.planner.has_deliveries())
        {
            self.tick(before.plus(LOOK_MS));
        }
        // Time that was set back is the planner's affair: it hears of it as it does in the log.
        if self.wall != Some(wall) {
            self.tick(wall);
        }
    }

    /// Takes what was told.
    pub fn tell(&mut self, detection: Detection) {
        self.apply(DetectionsRecord::Detection(Box::new(detection)));
        self.send();
    }

    fn tick(&mut self, wall: WallMs) {
        self.wall = Some(wall);
        self.apply(DetectionsRecord::Tick(Tick { partition: 0, at: wall, open_ms: 0 }));
        self.send();
    }

    /// Sends what is due, and what becomes due by that.
    fn send(&mut self) {
        loop {
            let due: Vec<_> = self.planner.due().collect();
            if due.is_empty() {
                break;
            }
            for due in due {
                *self.sent.entry((due.tenant.clone(), due.channel.clone())).or_default() += 1;
                let (tenant, delivery, attempt) = (due.tenant, due.delivery, due.attempt);
                let at = self.planner.wall();
                let started = AttemptStarted { tenant: tenant.clone(), delivery, attempt, at, frozen: None };
                self.apply(DetectionsRecord::AttemptStarted(started));
                self.apply(DetectionsRecord::AttemptEnded(AttemptEnded {
                    tenant,
                    delivery,
                    attempt,
                    outcome: AttemptOutcome::Delivered,
                    status: None,
                    retry_after_s: None,
                    duration_ms: 0,
                    cause: None,
                    detail: None,
                }));
            }
        }
        // The planner keeps what changed for a store, which there is none of.
        self.planner.take_puts();
        self.planner.take_notices();
    }

    fn apply(&mut self, record: DetectionsRecord) {
        self.planner.apply(record, &mut Vec::new());
    }

    /// The log is over: what waits still goes out, as far as it does within [`BACKTEST_REST_MS`].
    pub fn finish(&mut self) {
        let Some(end) = self.wall else { return };
        while let Some(now) = self.wall.filter(|now| now.since(end) < BACKTEST_REST_MS && self.planner.has_deliveries())
        {
            self.tick(now.plus(LOOK_MS));
        }
    }

    /// Messages to each channel, by tenant and channel.
    pub fn sent(&self) -> impl Iterator<Item = (&TenantId, &ChannelId, u64)> {
        self.sent.iter().map(|((tenant, channel), count)| (tenant, channel, *count))
    }

    /// Messages in all.
    pub fn total(&self) -> u64 {
        self.sent.values().sum()
    }
}
