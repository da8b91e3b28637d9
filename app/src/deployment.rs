//! What a data folder knows of its deployment: the name that batches are signed for, the address that senders use, and the
//! rules that its sites were last configured with. `up` writes it from its flags, so that `site add` prints the same while
//! `up` is not running.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use logystera_alerter::channels::address::AddressPolicy;
use logystera_infra::secrets::random_bytes;
use logystera_processor::core::engine::SEMANTICS;
use logystera_processor::core::rule::RuleSet;
use serde::{Deserialize, Serialize};

use crate::cli::CliError;

/// Name of the file in the data folder.
const FILE: &str = "deployment.toml";

/// Address that senders use until `up` was told another.
pub const URL_DEFAULT: &str = "http://127.0.0.1:8080";

/// The deployment of a data folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configured {
    /// Digest of the rule set, whose body stands in topic `control`.
    pub digest: String,
    /// Version of the engine's semantics.
    pub semantics: u32,
}

impl Configured {
    /// A site that is configured with this set by this binary.
    pub fn of(set: &RuleSet) -> Self {
        Self { digest: set.digest.to_string(), semantics: SEMANTICS }
    }
}

impl Deployment {
    /// The folder's deployment. A folder without one gets a name of its own, so that a batch captured from one installation
    /// is refused by every other.
    pub fn load(dir: &Path) -> Result<Self, CliError> {
        let path = dir.join(FILE);
        match std::fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).map_err(|e| CliError::not_available(format!("{}: {e}", path.display()))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let name: String = random_bytes::<4>().iter().map(|b| char::from(b'a' + b % 26)).collect();
                Ok(Self {
                    audience: format!("logystera-{name}"),
                    url: URL_DEFAULT.to_owned(),
                    allow_private_addresses: false,
                    rules: None,
                })
            }
            Err(error) => Err(CliError::not_available(format!("{}: {error}", path.display()))),
        }
    }

    /// Writes it. The caller holds the folder's lock.
    pub fn save(&self, dir: &Path) -> Result<(), CliError> {
        let failed =
            |error: &dyn std::fmt::Display| CliError::not_available(format!("{}: {error}", dir.join(FILE).display()));
        let text = toml::to_string(self).map_err(|e| failed(&e))?;
        let new = dir.join("deployment.toml.new");
        File::create(&new)
            .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
            .and_then(|()| std::fs::rename(&new, dir.join(FILE)))
            .and_then(|()| File::open(dir)?.sync_all())
            .map_err(|e| failed(&e))
    }

    /// Which addresses a channel may have.
    pub fn address_policy(&self) -> AddressPolicy {
        if self.allow_private_addresses { AddressPolicy::AllowPrivate } else { AddressPolicy::PublicOnly }
    }

    /// The one string that an operator pastes into an integration.
    pub fn dsn(&self, site: &str, key: &str, secret: &str) -> String {
        let (scheme, host) = self.url.split_once("://").unwrap_or(("https", &self.url));
        format!("{scheme}://{site}.{key}:{secret}@{host}/v1/batches?audience={}", self.audience)
    }
}

/// Scheme, host and port of an address that senders can be given; none where it has a path or another scheme.
pub fn base_url(text: &str) -> Option<String> {
    let url = reqwest::Url::parse(text).ok()?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    plain.then(|| url.as_str().trim_end_matches('/').to_owned())
}

/// Whether a text can be an audience: visible ASCII without what would break a DSN or the signed string.
pub fn is_audience(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_keeps_its_deployment() {
        let dir = tempfile::tempdir().unwrap();
        let mut deployment = Deployment::load(dir.path()).unwrap();
        assert!(is_audience(&deployment.audience), "{}", deployment.audience);
        deployment.rules = Some(Configured { digest: "00".to_owned(), semantics: 1 });
        deployment.save(dir.path()).unwrap();
        assert_eq!(Deployment::load(dir.path()).unwrap(), deployment);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_dsn_has_the_form_of_the_design() {
        let (audience, url) = ("eu".to_owned(), "https://in.example:8443".to_owned());
        let deployment = Deployment { audience, url, allow_private_addresses: false, rules: None };
        let dsn = deployment.dsn("shop", "k1", "0123");
        assert_eq!(dsn, "https://shop.k1:0123@in.example:8443/v1/batches?audience=eu");
    }

    #[test]
    fn an_address_has_a_host_and_nothing_behind_it() {
        for (text, expected) in [
            ("https://in.example", Some("https://in.example")),
            ("http://127.0.0.1:8080/", Some("http://127.0.0.1:8080")),
            ("https://in.example/v1", None),
            ("ftp://in.example", None),
            ("https://a:b@in.example", None),
            ("in.example", None),
        ] {
            assert_eq!(base_url(text).as_deref(), expected, "{text}");
        }
    }
}
