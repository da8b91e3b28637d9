//! What the installation of a data folder is: the name that batches are signed for, the address that senders use, and the rules that
//! its sites were last configured with. It stands in the log, so that whoever restores the data has it too. `up` writes it from
//! its flags, so that `site add` prints the same while `up` is not running.

use std::io::Read;
use std::path::Path;

use logystera_alerter::channels::address::AddressPolicy;
use logystera_infra::directory::Directory;
use logystera_infra::embedded::DEPLOYMENT_FILE;
use logystera_infra::files;
use logystera_infra::secrets::random_bytes;
use logystera_processor::core::engine::SEMANTICS;
use logystera_processor::core::rule::RuleSet;
use logystera_schemas::control::Deployment as Record;
use logystera_schemas::ids::Sha256Digest;
use serde::Deserialize;

use crate::cli::CliError;

/// Bytes of an older version's file that are looked at.
const FILE_BYTES_MAX: u64 = 64 << 10;

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

impl Configured {
    /// A site that is configured with this set by this binary.
    pub fn of(set: &RuleSet) -> Self {
        Self { digest: set.digest.to_string(), semantics: SEMANTICS }
    }
}

impl Deployment {
    /// The folder's deployment: as the log has it; else as an older version wrote it beside the log. A folder without sites gets a name
    /// of its own, so that a batch captured from one installation is refused by every other. One with sites does not: its
    /// senders sign for the name that it had. `audience` is the name that the operator gives.
    pub fn of(dir: &Path, directory: &Directory, audience: Option<&str>) -> Result<Self, CliError> {
        let known = match directory.deployment() {
            Some(record) => Some(Self::from(record.as_ref())),
            None => Self::beside(dir)?,
        };
        let named = audience.map(str::to_owned);
        let is_used = directory.sites().next().is_some() || directory.sealed() > 0;
        match (known, named) {
            (Some(known), None) => Ok(known),
            (Some(known), Some(audience)) => Ok(Self { audience, ..known }),
            (None, Some(audience)) => Ok(Self::new(audience)),
            (None, None) if is_used => Err(CliError::not_available(format!(
                "the folder {0} has sites, and nothing in it says which name their batches are signed for. An older version kept it \
                 in {DEPLOYMENT_FILE}: put that file back; or give the name, which stands behind audience= in each site's DSN: \
                 logystera up --data {0} --audience NAME",
                dir.display()
            ))),
            (None, None) => {
                let name: String = random_bytes::<4>().iter().map(|b| char::from(b'a' + b % 26)).collect();
                Ok(Self::new(format!("logystera-{name}")))
            }
        }
    }

    fn new(audience: String) -> Self {
        Self { audience, url: URL_DEFAULT.to_owned(), allow_private_addresses: false, rules: None }
    }

    /// What an older version wrote beside the log.
    fn beside(dir: &Path) -> Result<Option<Self>, CliError> {
        let path = dir.join(DEPLOYMENT_FILE);
        let failed = |error: &dyn std::fmt::Display| CliError::not_available(format!("{}: {error}", path.display()));
        let mut text = String::new();
        match files::open_for_reading(&path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text)) {
            Ok(_) => toml::from_str(&text).map(Some).map_err(|e| failed(&e)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&error)),
        }
    }

    /// Removes what an older version wrote beside the log, once the log has it.
    pub fn leave_the_file(dir: &Path) {
        let path = dir.join(DEPLOYMENT_FILE);
        if let Err(error) = files::remove_leftover(&path) {
            tracing::warn!(path = %path.display(), %error, "the log has what stands in this file; it counts no more, remove it");
        }
    }

    /// Its record in the log.
    pub fn record(&self) -> Result<Record, CliError> {
        let digest = |configured: &Configured| configured.digest.parse::<Sha256Digest>();
        let rules = self.rules.as_ref().map(digest).transpose();
        Ok(Record {
            audience: self.audience.clone(),
            url: self.url.clone(),
            allow_private_addresses: self.allow_private_addresses,
            rules: rules.map_err(|e| CliError::not_available(format!("{DEPLOYMENT_FILE}: {e}")))?,
            semantics: self.rules.as_ref().map_or(0, |configured| configured.semantics),
        })
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

/// Whether senders refuse an address: it is plain http, and of another machine than their own.
pub fn is_plain_abroad(url: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else { return false };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    url.scheme() == "http" && !is_here
}

/// Whether a text can be an audience: visible ASCII without what would break a DSN or the signed string.
pub fn is_audience(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use logystera_schemas::control::{Entity, Site};

    use super::*;

    fn directory(entities: Vec<Entity>) -> Directory {
        let mut directory = Directory::default();
        for entity in entities {
            directory.put(entity);
        }
        directory
    }

    fn site() -> Entity {
        let (site, tenant) = ("shop".parse().unwrap(), "t1".parse().unwrap());
        Entity::Site(Site { site, tenant, name: "Shop".to_owned(), created_at: 5, closed_at: None })
    }

    /// An older version's file.
    const FILE: &str = "audience = \"old\"\nurl = \"https://in.example\"\nallow_private_addresses = true\n\
                        [rules]\ndigest = \"d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2d2\"\nsemantics = 1\n";

    #[test]
    fn a_folder_keeps_its_deployment_and_none_is_drawn_beside_data() {
        let dir = tempfile::tempdir().unwrap();
        let fresh = Deployment::of(dir.path(), &directory(vec![]), None).unwrap();
        assert!(is_audience(&fresh.audience) && fresh.rules.is_none(), "{}", fresh.audience);

        let refused = Deployment::of(dir.path(), &directory(vec![site()]), None).unwrap_err();
        assert!(refused.code == 3 && refused.message.contains("--audience NAME"), "{refused}");
        let named = Deployment::of(dir.path(), &directory(vec![site()]), Some("eu")).unwrap();
        assert_eq!(named.audience, "eu");

        std::fs::write(dir.path().join(DEPLOYMENT_FILE), FILE).unwrap();
        let moved = Deployment::of(dir.path(), &directory(vec![site()]), None).unwrap();
        assert_eq!((moved.audience.as_str(), moved.rules.as_ref().unwrap().semantics), ("old", 1));

        // What the log has counts, whatever stands beside it.
        let record = Record { audience: "log".to_owned(), ..moved.record().unwrap() };
        let there = Deployment::of(dir.path(), &directory(vec![site(), Entity::Deployment(record)]), None).unwrap();
        assert_eq!(there, Deployment { audience: "log".to_owned(), ..moved });
        Deployment::leave_the_file(dir.path());
        assert!(!dir.path().join(DEPLOYMENT_FILE).exists());
    }

    #[test]
    fn a_dsn_has_the_form_of_the_design() {
        let (audience, url) = ("eu".to_owned(), "https://in.example:8443".to_owned());
        let deployment = Deployment { audience, url, allow_private_addresses: false, rules: None };
        let dsn = deployment.dsn("shop", "k1", "0123");
        assert_eq!(dsn, "https://shop.k1:0123@in.example:8443/v1/batches?audience=eu");
    }

    #[test]
    fn plain_http_is_for_this_machine() {
        for (url, is) in [
            ("https://in.example", false),
            ("http://in.example", true),
            ("http://10.0.0.1:8080", true),
            ("http://localhost.example", true),
            ("http://localhost:8080", false),
            ("http://127.0.0.2", false),
            ("http://[::1]:8080", false),
        ] {
            assert_eq!(is_plain_abroad(url), is, "{url}");
        }
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
