//! The flags that name the gateway, the site and its key. Secrets come from files only: an argument or a variable is seen by
//! every process of the machine.

use std::path::PathBuf;

use logystera_schemas::ids::{KeyId, SiteId};
use logystera_sender::target::{Target, TargetError};

/// Flags that name the gateway, the site and its key.
#[derive(clap::Args, Clone, Default)]
pub struct TargetArgs {
    /// File with the DSN that `logystera site add` printed
    #[arg(long, value_name = "FILE", env = "LOGYSTERA_DSN_FILE", conflicts_with_all = ["url", "site", "key", "secret_file"])]
    pub dsn_file: Option<PathBuf>,
    /// Gateway's address, such as `https://in.example.com`
    #[arg(long, env = "LOGYSTERA_URL")]
    pub url: Option<String>,
    /// Site's id
    #[arg(long, env = "LOGYSTERA_SITE")]
    pub site: Option<String>,
    /// Key's id
    #[arg(long, env = "LOGYSTERA_KEY")]
    pub key: Option<String>,
    /// File with the key's secret: 64 hex digits
    #[arg(long, value_name = "FILE", env = "LOGYSTERA_SECRET_FILE")]
    pub secret_file: Option<PathBuf>,
    /// Deployment's audience, as `logystera site add` printed it; a DSN has it
    #[arg(long, env = "LOGYSTERA_AUDIENCE")]
    pub audience: Option<String>,
}

impl TargetArgs {
    /// The target that the flags name.
    pub fn target(&self) -> Result<Target, TargetError> {
        let audience = self.audience.as_deref();
        if let Some(path) = &self.dsn_file {
            return Target::from_dsn_file(path, audience);
        }
        let (site, key) = self.names()?;
        let secret = self.secret_file.as_deref().ok_or(TargetError::Missing("--secret-file"))?;
        let url = self.url.as_deref().ok_or(TargetError::Missing("--url"))?;
        Target::from_parts(url, site, key, secret, audience.ok_or(TargetError::Missing("--audience"))?)
    }

    /// Site and key by their own flags.
    pub fn names(&self) -> Result<(SiteId, KeyId), TargetError> {
        let site = self.site.as_deref().ok_or(TargetError::Missing("--site"))?.parse()?;
        let key = self.key.as_deref().ok_or(TargetError::Missing("--key"))?.parse()?;
        Ok((site, key))
    }
}
