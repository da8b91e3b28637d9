//! Has a change made, on a cluster or on a data folder.

use std::path::Path;

use logystera_control::{Answer, Request};

use super::folder::{MailOf, ask_folder};
use crate::cli::{CliError, ClusterArgs};

/// Has a change made by a command that sends no mail: see [`ask_with_mail`].
pub fn ask(dir: &Path, cluster: &ClusterArgs, request: &Request, create: bool) -> Result<Answer, CliError> {
    ask_with_mail(dir, cluster, request, create, &|| Ok(None))
}

/// Has a change made: on the installation on Kafka if `cluster` names one, else on the folder `dir`. `mail`: what mail is
/// sent with, asked for if this process makes the change on the folder.
pub fn ask_with_mail(
    dir: &Path,
    cluster: &ClusterArgs,
    request: &Request,
    create: bool,
    mail: &MailOf<'_>,
) -> Result<Answer, CliError> {
    #[cfg(feature = "kafka")]
    if let Some(file) = &cluster.config {
        return crate::cluster::ask(file, request);
    }
    let ClusterArgs { .. } = cluster;
    ask_folder(dir, request, create, mail)
}
