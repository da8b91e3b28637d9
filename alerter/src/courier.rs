//! Performs attempts beside the thread of the task, and gives their outcomes back.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use logystera_channels::kinds::Kinds;
use logystera_channels::{Advice, Advisor, Answer, Channels};
use logystera_infra::clock::Clock;
use logystera_schemas::delivery::{AttemptCause, AttemptEnded, AttemptOutcome};
use tokio::runtime::Handle;

use crate::core::{Due, Frozen};
use crate::task::Courier;

/// Sends messages as their channels speak, each in a task of its own on the runtime. The planner limits how many there are at once.
#[derive(Clone)]
pub struct ChannelCourier {
    inner: Arc<Inner>,
    runtime: Handle,
    outcomes: SyncSender<AttemptEnded>,
}

struct Inner {
    kinds: Kinds,
    channels: Arc<dyn Channels>,
    advisor: Arc<dyn Advisor>,
    clock: Arc<dyn Clock>,
    public_url: String,
}

impl ChannelCourier {
    /// A courier on `runtime` whose outcomes go to `outcomes`. `public_url` is the address of the deployment, put
    /// before the paths of alerts; `advisor` knows what the rules say to a person.
    pub fn new(
        kinds: Kinds,
        channels: Arc<dyn Channels>,
        advisor: Arc<dyn Advisor>,
        clock: Arc<dyn Clock>,
        public_url: String,
        runtime: Handle,
        outcomes: SyncSender<AttemptEnded>,
    ) -> Self {
        Self { inner: Arc::new(Inner { kinds, channels, advisor, clock, public_url }), runtime, outcomes }
    }
}

impl Courier for ChannelCourier {
    fn freeze(&self, due: &Due) -> Frozen {
        let Inner { channels, advisor, public_url, .. } = self.inner.as_ref();
        let sites = due.sites().into_iter().filter_map(|site| channels.site(&due.tenant, site)).collect();
        let advised = advisor.find(&due.detection.rule, &due.detection.revision).is_some();
        Frozen { public_url: public_url.clone(), sites, merged: due.merged(), advised }
    }

    fn send(&self, due: Due) {
        let (inner, outcomes) = (Arc::clone(&self.inner), self.outcomes.clone());
        self.runtime.spawn(async move {
            let ended = inner.perform(&due).await;
            // There is room for all that are in the air. This fails only if the task has stopped: its successor ends the
            // attempt as unknown.
            drop(outcomes.try_send(ended));
        });
    }
}

impl Inner {
    /// What the rule says to a person, if the first attempt said it. It may have to be read from the log, which blocks.
    async fn advice(&self, due: &Due) -> Option<Advice> {
        if due.frozen.as_ref().is_some_and(|frozen| !frozen.advised) {
            return None;
        }
        let (advisor, rule) = (Arc::clone(&self.advisor), due.detection.rule.clone());
        let revision = due.detection.revision.clone();
        tokio::task::spawn_blocking(move || advisor.find(&rule, &revision)).await.ok().flatten()
    }

    async fn perform(&self, due: &Due) -> AttemptEnded {
        let started_ms = self.clock.monotonic_ms();
        let answer = match self.channels.find(&due.tenant, &due.channel) {
            Some(target) => {
                let messenger = self.kinds.of(target.kind());
                let advice = self.advice(due).await;
                let public_url = due.frozen.as_ref().map_or(&self.public_url, |frozen| &frozen.public_url);
                let message = messenger.render(due, &target, public_url, advice.as_ref());
                messenger.send(&target, due.delivery, message, self.clock.wall_ms()).await
            }
            // It was removed just now, or the directory is behind the log: tried again.
            None => Answer::unreachable(AttemptCause::NoAddress),
        };
        let duration_ms = u64::try_from(self.clock.monotonic_ms() - started_ms).unwrap_or(0);
        let Answer { outcome, status, retry_after_s, cause, detail } = answer;
        if outcome != AttemptOutcome::Delivered {
            tracing::info!(
                tenant = %due.tenant, channel = %due.channel, delivery = %due.delivery, attempt = due.attempt,
                %outcome, status, cause = cause.map(AttemptCause::as_str), detail,
                "an alert was not delivered by this attempt"
            );
        }
        AttemptEnded {
            tenant: due.tenant.clone(),
            delivery: due.delivery,
            attempt: due.attempt,
            outcome,
            status,
            retry_after_s,
            duration_ms,
            cause,
            detail,
        }
    }
}
