//! The role that delivers alerts.

use std::sync::Arc;

use logystera_alerter::courier::ChannelCourier;
use logystera_alerter::task::{self, PlannerMachine};
use logystera_infra::clock::{Clock, SystemClock};
use logystera_infra::pace::{IdleCommits, TimeWanted};
use logystera_infra::shutdown::Shutdown;
use logystera_kafka::partitions::{self, Run, Work};
use logystera_schemas::topic::Topic;
use tokio::runtime::Handle;

use super::share::join;
use crate::cli::CliError;
use crate::installation::channels::messengers;
use crate::installation::cluster::Installation;
use crate::serve::advice::RuleAdvice;
use crate::serve::health::Health;
use crate::serve::secrets::ChannelTargets;

pub(super) async fn serve(installation: &Installation, health: &Health, shutdown: &Shutdown) -> Result<(), CliError> {
    let (share, control) = join(installation, task::APP, Topic::Detections, health, shutdown)?;
    let (directory, master) = (share.control.view.clone(), installation.master.clone());
    let deployment = installation.deployment(None);
    let mail = installation.config.mail().map_err(CliError::wrong_use)?;
    let kinds = messengers(&deployment, mail)?;
    let runtime = Handle::current();
    let advice = Arc::new(RuleAdvice::new(share.control.log.clone(), directory.clone()));
    let work: Work = Arc::new(move |run: Run<'_>| {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let targets = ChannelTargets::new(directory.clone(), master.clone());
        let (outcome, outcomes) = task::outcomes();
        let url = deployment.url.clone();
        let (targets, advice) = (Arc::new(targets), Arc::clone(&advice));
        let courier = ChannelCourier::new(kinds.clone(), targets, advice, clock, url, runtime.clone(), outcome);
        let machine = PlannerMachine::new(run.place.partition);
        let idle = IdleCommits::Seldom(TimeWanted::default());
        task::run(machine, run.task, &courier, outcomes, &SystemClock::new(), idle, run.stop)
    });
    let until = shutdown.clone();
    let done = tokio::task::spawn_blocking(move || {
        let done = partitions::run(&share, &work, &until);
        drop(control.join());
        done
    });
    Ok(done.await.map_err(CliError::not_available)??)
}
