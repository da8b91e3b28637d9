//! How the gateway learns the time of the others and of the log, and tells the others whether it would write ticks.

use logystera_infra::log::Log;
use logystera_schemas::time::WallMs;
use tokio::sync::watch;

use crate::core::clock::Judgement;
use crate::core::election::LeaseSeen;
use crate::gateway::Gateway;
use crate::lock::lock;

impl<L: Log> Gateway<L> {
    /// Takes the newest ticks that stand in a partition of the log from before this process, in their order.
    pub fn remember_ticks(&self, ticks: impl IntoIterator<Item = WallMs>) {
        lock(&self.0.clock_watch).found(ticks.into_iter().map(|at| at.0));
    }

    /// Takes in all leases of gateways whenever one has changed, as soon as they are read. The first look says nothing
    /// of clocks: those leases may be old.
    pub fn see_others(&self, leases: Vec<LeaseSeen>) {
        let Some(election) = &self.0.election else { return };
        let (mut election, mut clocks) = (lock(election), lock(&self.0.clock_watch));
        let now_ms = self.0.clock.monotonic_ms();
        let is_first = !election.has_looked();
        let news = election.look(leases, now_ms);
        news.gone.iter().for_each(|instance| clocks.forget(instance));
        for LeaseSeen { instance, at, ticks, .. } in &news.fresh {
            if *ticks {
                clocks.heard(instance, at.0, now_ms);
            } else if instance.as_str() < election.own() {
                clocks.defer(now_ms);
            }
        }
        if is_first && !election.has_others() {
            clocks.nobody_else();
        }
    }

    /// Whether this gateway would write ticks, for its lease to say.
    pub fn stands(&self) -> watch::Receiver<bool> {
        self.0.stands.subscribe()
    }

    /// What is to be made of the clock right now.
    pub(crate) fn judge_clock(&self) -> Judgement {
        lock(&self.0.clock_watch).judge(self.0.clock.wall_ms(), self.0.clock.monotonic_ms())
    }
}
