//! The role that delivers alerts.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use logystera_alerter::channels::courier::HttpCourier;
use logystera_alerter::channels::webhook::{Webhook, WebhookConfig};
use logystera_alerter::task::{self, PlannerMachine};
use logystera_infra::clock::{Clock, SystemClock};
use logystera_infra::control::DirectoryWatch;
use logystera_infra::shutdown::Shutdown;
use logystera_schemas::topic::Topic;
use tokio::runtime::Handle;

use super::Installation;
use super::partitions::{self, Share, Work};
use crate::cli::CliError;
use crate::up::ChannelTargets;

pub(super) async fn serve(
    installation: &Installation,
    ready: Arc<AtomicBool>,
    shutdown: &Shutdown,
) -> Result<(), CliError> {
    let watch = DirectoryWatch::load(installation.log.clone())?;
    let (directory, master) = (watch.view(), installation.master.clone());
    let control = watch.spawn(shutdown.clone()).map_err(CliError::not_available)?;
    let deployment = installation.deployment(None);
    let webhook = Webhook::new(WebhookConfig::new(deployment.address_policy())).map_err(CliError::not_available)?;
    let runtime = Handle::current();
    let work: Work = Arc::new(move |partition, task, stop| {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let targets = ChannelTargets::new(directory.clone(), master.clone());
        let (outcome, outcomes) = task::outcomes();
        let url = deployment.url.clone();
        let courier = HttpCourier::new(webhook.clone(), Arc::new(targets), clock, url, runtime.clone(), outcome);
        task::run(PlannerMachine::new(partition), task, &courier, outcomes, &SystemClock::new(), stop)
    });
    let share = Share {
        kafka: installation.with_store()?,
        app: task::APP,
        input: Topic::Detections,
        instance: installation.config.instance()?,
        ready,
    };
    let until = shutdown.clone();
    let done = tokio::task::spawn_blocking(move || {
        let done = partitions::run(&share, &work, &until);
        drop(control.join());
        done
    });
    Ok(done.await.map_err(CliError::not_available)??)
}
