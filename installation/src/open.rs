//! Opens the log of the installation that a command names, to read it.

use logystera_infra::embedded::{EmbeddedReader, OpenError};

#[cfg(feature = "kafka")]
use super::cluster_log::ClusterLog;
use super::reading::InstallationLog;
use crate::cli::{CliError, ClusterArgs, DataArgs, FINDING};

/// Opens the cluster's log if `cluster` names one, else the folder's.
pub fn open_log(data: &DataArgs, cluster: &ClusterArgs) -> Result<Box<dyn InstallationLog>, CliError> {
    #[cfg(feature = "kafka")]
    if let Some(file) = &cluster.config {
        return Ok(Box::new(ClusterLog::open(file)?));
    }
    let ClusterArgs { .. } = cluster;
    Ok(Box::new(EmbeddedReader::open(&data.data)?))
}

/// Fails with a finding if a folder's data ends before what was acknowledged. A cluster's brokers see to that
/// themselves.
pub fn check_acknowledged(data: &DataArgs, cluster: &ClusterArgs) -> Result<(), CliError> {
    #[cfg(feature = "kafka")]
    if cluster.config.is_some() {
        return Ok(());
    }
    let ClusterArgs { .. } = cluster;
    EmbeddedReader::check_acknowledged(&data.data).map_err(|error| match error {
        error @ OpenError::RolledBack { .. } => CliError::new(FINDING, error),
        error => error.into(),
    })
}
