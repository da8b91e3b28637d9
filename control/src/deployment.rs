//! What an installation is: the name that batches are signed for, the address that senders use, and the rules that its
//! sites were last configured with. It stands in the log, so that restored data has it too.

use logystera_schemas::control::Deployment as Record;
use logystera_schemas::ids::Sha256Digest;
use serde::Deserialize;

use crate::error::ControlError;

/// Address that senders use until `up` was told another.
pub const URL_DEFAULT: &str = "http://127.0.0.1:8080";

/// The deployment of a data folder.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Deployment {
    /// The deployment's configured name: a batch signed for another is refused.
    pub audience: String,
    /// Scheme, host and port that senders use.
    pub url: String,
    /// Whether channels may point to this machine and to private networks.
    #[serde(default)]
    pub allow_private_addresses: bool,
    /// The rules of the sites; none until the first site or the first `up`.
    pub rules: Option<Configured>,
}

/// What all sites were last configured with.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Configured {
    /// Digest of the rule set, whose body stands in topic `control`.
    pub digest: String,
    /// Version of the engine's semantics.
    pub semantics: u32,
}

impl Deployment {
    /// One that nobody has used yet.
    pub fn new(audience: String) -> Self {
        Self { audience, url: URL_DEFAULT.to_owned(), allow_private_addresses: false, rules: None }
    }

    /// Its record in the log.
    pub fn record(&self) -> Result<Record, ControlError> {
        let digest = |configured: &Configured| configured.digest.parse::<Sha256Digest>();
        let rules = self.rules.as_ref().map(digest).transpose();
        Ok(Record {
            audience: self.audience.clone(),
            url: self.url.clone(),
            allow_private_addresses: self.allow_private_addresses,
            rules: rules.map_err(|e| ControlError::unavailable(format!("the digest of the rules: {e}")))?,
            semantics: self.rules.as_ref().map_or(0, |configured| configured.semantics),
        })
    }

    /// The one string that an operator pastes into an integration.
    pub fn dsn(&self, site: &str, key: &str, secret: &str) -> String {
        let (scheme, host) = self.url.split_once("://").unwrap_or(("https", &self.url));
        format!("{scheme}://{site}.{key}:{secret}@{host}/v1/batches?audience={}", self.audience)
    }
}

impl From<&Record> for Deployment {
    fn from(record: &Record) -> Self {
        let semantics = record.semantics;
        Self {
            audience: record.audience.clone(),
            url: record.url.clone(),
            allow_private_addresses: record.allow_private_addresses,
            rules: record.rules.map(|digest| Configured { digest: digest.to_string(), semantics }),
        }
    }
}

/// Whether a text can be an audience: visible ASCII without what would break a DSN or the signed string.
pub fn is_audience(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dsn_has_the_form_of_the_design() {
        let (audience, url) = ("eu".to_owned(), "https://in.example:8443".to_owned());
        let deployment = Deployment { audience, url, allow_private_addresses: false, rules: None };
        let dsn = deployment.dsn("shop", "k1", "0123");
        assert_eq!(dsn, "https://shop.k1:0123@in.example:8443/v1/batches?audience=eu");
    }
}
