//! SIGHUP: the certificate and the rules are read again. All of it is checked before any of it is used, so that a mistake in a file
//! changes nothing.

use std::path::PathBuf;
use std::sync::Arc;

use logystera_infra::embedded::EmbeddedLog;
use logystera_ingest::tls::Tls;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::config::Config;
use super::restart;
use logystera_control::ControlService;

use crate::cli::CliError;
use crate::installation::rules::as_published;

/// What SIGHUP reads again.
pub(super) struct Reloads {
    hangup: Signal,
    rules: Option<PathBuf>,
    tls: Option<(PathBuf, PathBuf)>,
}

impl Reloads {
    /// From here on SIGHUP does not end the process.
    pub(super) fn new(config: &Config) -> std::io::Result<Self> {
        Ok(Self { hangup: signal(SignalKind::hangup())?, rules: config.rules.clone(), tls: config.tls.clone() })
    }
}

/// Reads again what `reloads` names, each time the process is sent SIGHUP.
pub(super) async fn on_hangup(mut reloads: Reloads, tls: Option<Tls>, service: Arc<ControlService<EmbeddedLog>>) {
    while reloads.hangup.recv().await.is_some() {
        match reload(&reloads, tls.as_ref(), &service).await {
            Ok(rules) => tracing::info!(%rules, tls = tls.is_some(), "SIGHUP: certificate and rules were read again"),
            Err(error) => tracing::error!(%error, "SIGHUP: nothing was changed; what was used before goes on"),
        }
    }
}

/// Gives the digest of the rules that were read; without `--rules` those that hold go on, and only the certificate is read.
async fn reload(
    reloads: &Reloads,
    tls: Option<&Tls>,
    service: &ControlService<EmbeddedLog>,
) -> Result<String, CliError> {
    let (rules, files) = (reloads.rules.clone(), reloads.tls.clone());
    // Files may be on a disk that is slow, and what serves must not wait for them.
    let read = tokio::task::spawn_blocking(move || {
        let rules = restart::named(rules.as_deref())?;
        let tls = files.map(|(certificate, key)| Tls::from_files(&certificate, &key));
        let tls = tls.transpose().map_err(CliError::wrong_use)?;
        match tls.as_ref().and_then(Tls::fault) {
            Some(fault) => Err(CliError::wrong_use(fault)),
            None => Ok((rules, tls)),
        }
    });
    let (rules, fresh) = read.await.map_err(CliError::not_available)??;
    if let Some(rules) = &rules {
        service.configure(&as_published(rules), "up").await?;
    }
    if let (Some(tls), Some(fresh)) = (tls, fresh) {
        tls.replace_by(&fresh);
    }
    Ok(rules.map_or("as before".to_owned(), |rules| rules.digest.to_string()))
}
