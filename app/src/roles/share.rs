//! A process's share of the partitions, and what it follows of topic `control`.

use std::sync::Arc;
use std::thread::JoinHandle;

use logystera_infra::directory::DirectoryWatch;
use logystera_infra::shutdown::Shutdown;
use logystera_kafka::partitions::{Control, Share};
use logystera_schemas::topic::Topic;

use crate::cli::CliError;
use crate::installation::cluster::Installation;
use crate::serve::health::Health;

/// This process's share of the partitions of `input`, and the thread that follows topic `control` for it until `shutdown`.
pub(super) fn join(
    installation: &Installation,
    app: &'static str,
    input: Topic,
    health: &Health,
    shutdown: &Shutdown,
) -> Result<(Share, JoinHandle<()>), CliError> {
    let watch = DirectoryWatch::load(installation.log.clone())?;
    let control = Control { log: installation.log.clone(), view: watch.view() };
    drop(health.control.set(watch.view()));
    let ready = Arc::clone(&health.ready);
    let thread = watch.spawn(shutdown.clone()).map_err(CliError::not_available)?;
    let (kafka, instance) = (installation.with_store()?, installation.config.instance()?);
    Ok((Share { kafka, control, app, input, instance, ready }, thread))
}
