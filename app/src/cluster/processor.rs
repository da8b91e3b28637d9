//! The role that judges signals.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use logystera_infra::clock::SystemClock;
use logystera_infra::log::Log;
use logystera_infra::shutdown::Shutdown;
use logystera_processor::task::{self, EngineMachine};
use logystera_schemas::topic::Topic;

use super::Installation;
use super::partitions::{self, Share, Work};
use crate::cli::CliError;
use crate::up::ControlBodies;

/// What a processor does for each of its partitions.
pub fn work(log: impl Log) -> Work {
    let detections_partitions = log.partitions(Topic::Detections);
    Arc::new(move |partition, task, stop| {
        let machine = EngineMachine::new(partition, detections_partitions, ControlBodies(log.clone()));
        task::run(machine, task, &SystemClock::new(), stop)
    })
}

pub(super) async fn serve(
    installation: &Installation,
    ready: Arc<AtomicBool>,
    shutdown: &Shutdown,
) -> Result<(), CliError> {
    let share = Share {
        kafka: installation.with_store()?,
        app: task::APP,
        input: Topic::Signals,
        instance: installation.config.instance()?,
        ready,
    };
    let (work, shutdown) = (work(installation.log.clone()), shutdown.clone());
    let done = tokio::task::spawn_blocking(move || partitions::run(&share, &work, &shutdown)).await;
    Ok(done.map_err(CliError::not_available)??)
}
