//! Where batches go and who signs them: from a DSN, or from its parts. Secrets come from files only: an argument or a
//! variable is seen by every process of the machine.

use std::fs;
use std::path::{Path, PathBuf};

use logystera_schemas::ids::{KeyId, SiteId};
use logystera_schemas::signature::{PATH, Secret};
use reqwest::Url;
use zeroize::Zeroizing;

/// Bytes of a file that holds a secret or a DSN; more is another file.
const SECRET_FILE_BYTES_MAX: u64 = 4_096;

/// Where batches go and who signs them.
pub struct Target {
    /// Address that they are posted to.
    pub url: Url,
    /// Site.
    pub site: SiteId,
    /// Key of the site.
    pub key: KeyId,
    /// Secret of the key.
    pub secret: Secret,
    /// Deployment's configured name.
    pub audience: String,
}

/// Why there is no target. Repeats no secret.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// A flag is missing.
    #[error("no {0}: give --dsn-file, or --url, --site, --key, --secret-file and --audience")]
    Missing(&'static str),
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file of the DSN is one of signals.
    #[error("{}: this is a file of signals, not a DSN; were the two swapped? logystera send SIGNALS.ndjson --dsn-file SITE.dsn", .0.display())]
    Swapped(PathBuf),
    /// A file that should hold a DSN holds something else.
    #[error("{}: {source}", path.display())]
    DsnFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<TargetError>,
    },
    /// A DSN lacks a part or has it wrong.
    #[error("not a DSN ({0}): it looks like https://<site>.<key>:<secret>@<host>/v1/batches?audience=<audience>")]
    Dsn(&'static str),
    /// Not a secret.
    #[error("{}: not a secret: 64 lowercase hex digits (a DSN goes to --dsn-file)", .0.display())]
    Secret(PathBuf),
    /// An id is malformed.
    #[error(transparent)]
    Id(#[from] logystera_schemas::ids::IdError),
    /// Not an address that batches can be sent to.
    #[error("{0}: not a gateway's address: https://<host>, with the path {PATH} or none")]
    Url(String),
    /// Batches would go over the wire in the clear.
    #[error("{0}: http:// is for this machine only (127.0.0.1, ::1, localhost); use https://")]
    Plain(String),
    /// An audience with characters that would break the signed string.
    #[error("not an audience: visible ASCII without spaces")]
    Audience,
}

impl Target {
    /// Reads a file with a DSN; `audience`, if given, is taken in place of the DSN's.
    pub fn from_dsn_file(path: &Path, audience: Option<&str>) -> Result<Self, TargetError> {
        let text = read_secret_file(path)?;
        if text.trim_start().starts_with('{') {
            return Err(TargetError::Swapped(path.to_owned()));
        }
        let in_file = |source| TargetError::DsnFile { path: path.to_owned(), source: Box::new(source) };
        let mut target = Self::from_dsn(text.trim()).map_err(in_file)?;
        if let Some(audience) = audience {
            target.audience = checked_audience(audience)?;
        }
        Ok(target)
    }

    /// From its parts: the gateway's address, the site, its key, the file with the key's secret, and the audience.
    pub fn from_parts(url: &str, site: SiteId, key: KeyId, secret: &Path, audience: &str) -> Result<Self, TargetError> {
        Ok(Self { url: endpoint(url)?, site, key, secret: read_secret(secret)?, audience: checked_audience(audience)? })
    }

    /// Reads `https://<site>.<key>:<secret>@<host>/v1/batches?audience=<audience>`.
    pub fn from_dsn(dsn: &str) -> Result<Self, TargetError> {
        let mut url = Url::parse(dsn).map_err(|_| TargetError::Dsn("not an address"))?;
        let (site, key) = url.username().split_once('.').ok_or(TargetError::Dsn("no <site>.<key>"))?;
        let (site, key) = (site.parse()?, key.parse()?);
        let secret = url.password().and_then(Secret::from_hex).ok_or(TargetError::Dsn("no secret of 64 hex digits"))?;
        let audience = url.query_pairs().find(|(name, _)| name == "audience").map(|(_, value)| value.into_owned());
        let audience = checked_audience(&audience.ok_or(TargetError::Dsn("no audience"))?)?;
        url.set_query(None);
        let bare = url.set_username("").and_then(|()| url.set_password(None));
        bare.map_err(|()| TargetError::Dsn("not an address of a host"))?;
        Ok(Self { url: endpoint(url.as_str())?, site, key, secret, audience })
    }
}

/// The address to post to: with the gateway's path if it was left out.
fn endpoint(text: &str) -> Result<Url, TargetError> {
    let mut url = Url::parse(text).map_err(|_| TargetError::Url(text.to_owned()))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(TargetError::Url(format!("{}://…", url.scheme())));
    }
    let rest_is_empty = url.query().is_none() && url.fragment().is_none();
    if !["http", "https"].contains(&url.scheme()) || !rest_is_empty || !["/", PATH].contains(&url.path()) {
        return Err(TargetError::Url(text.to_owned()));
    }
    if url.scheme() == "http" && !is_loopback(&url) {
        return Err(TargetError::Plain(text.to_owned()));
    }
    url.set_path(PATH);
    Ok(url)
}

/// Whether the address is this machine's own.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Scheme, host and port of an address that senders can be given; none if it has a path, a query, credentials or
/// another scheme.
pub fn base_url(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
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
    let Ok(url) = Url::parse(url) else { return false };
    url.scheme() == "http" && !is_loopback(&url)
}

fn checked_audience(text: &str) -> Result<String, TargetError> {
    let valid = !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
    if valid { Ok(text.to_owned()) } else { Err(TargetError::Audience) }
}

/// Reads a secret: 64 hex digits and white space.
pub fn read_secret(path: &Path) -> Result<Secret, TargetError> {
    let text = read_secret_file(path)?;
    Secret::from_hex(text.trim()).ok_or_else(|| TargetError::Secret(path.to_owned()))
}

fn read_secret_file(path: &Path) -> Result<Zeroizing<String>, TargetError> {
    use std::io::Read;
    let mut text = Zeroizing::new(String::new());
    let file = fs::File::open(path).and_then(|f| f.take(SECRET_FILE_BYTES_MAX).read_to_string(&mut text));
    file.map_err(|source| TargetError::File { path: path.to_owned(), source })?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    fn dsn(text: &str) -> String {
        match Target::from_dsn(&text.replace("SECRET", SECRET)) {
            Ok(t) => format!("{} {} {} {}", t.url, t.site, t.key, t.audience),
            Err(error) => {
                let said = format!("{error} {error:?}");
                assert!(!said.contains(SECRET), "{said}");
                error.to_string().split(':').next().unwrap_or_default().to_owned()
            }
        }
    }

    #[test]
    fn a_dsn_is_taken_apart() {
        let cases = [
            (
                "https://site_7qd.k2:SECRET@in.example.com/v1/batches?audience=eu-prod",
                "https://in.example.com/v1/batches site_7qd k2 eu-prod",
            ),
            (
                "http://s.k:SECRET@127.0.0.1:8080/v1/batches?audience=local",
                "http://127.0.0.1:8080/v1/batches s k local",
            ),
            ("http://s.k:SECRET@[::1]:8080/v1/batches?audience=a", "http://[::1]:8080/v1/batches s k a"),
            ("http://s.k:SECRET@example.com/v1/batches?audience=a", "http"),
            ("https://s.k:SECRET@example.com/v1/batches", "not a DSN (no audience)"),
            ("https://s.k:SECRET@example.com/v1/batches?audience=", "not an audience"),
            ("https://s:SECRET@example.com/v1/batches?audience=a", "not a DSN (no <site>.<key>)"),
            ("https://s.k@example.com/v1/batches?audience=a", "not a DSN (no secret of 64 hex digits)"),
            ("https://s.k:12@example.com/v1/batches?audience=a", "not a DSN (no secret of 64 hex digits)"),
            ("https://S.k:SECRET@example.com/v1/batches?audience=a", "not a site id"),
            ("SECRET", "not a DSN (not an address)"),
        ];
        for (text, expected) in cases {
            assert_eq!(dsn(text), expected, "{text}");
        }
    }

    #[test]
    fn plain_http_stays_on_this_machine() {
        let cases = [
            ("https://in.example.com", Ok("https://in.example.com/v1/batches")),
            ("https://in.example.com/v1/batches", Ok("https://in.example.com/v1/batches")),
            ("http://localhost:8080", Ok("http://localhost:8080/v1/batches")),
            ("http://127.0.0.9", Ok("http://127.0.0.9/v1/batches")),
            ("http://example.com", Err("http:// is for this machine only")),
            ("http://localhost.example.com", Err("http:// is for this machine only")),
            ("http://10.0.0.1", Err("http:// is for this machine only")),
            ("ftp://127.0.0.1", Err("not a gateway's address")),
            ("https://example.com/other", Err("not a gateway's address")),
            ("https://example.com/?a=b", Err("not a gateway's address")),
            ("https://s.k:hunter2@example.com/", Err("not a gateway's address")),
            ("example.com", Err("not a gateway's address")),
        ];
        for (text, expected) in cases {
            match (endpoint(text), expected) {
                (Ok(url), Ok(expected)) => assert_eq!(url.as_str(), expected),
                (Err(error), Err(expected)) => {
                    let said = error.to_string();
                    assert!(said.contains(expected) && !said.contains("hunter2"), "{text}: {said}");
                }
                (got, _) => panic!("{text}: {:?}", got.map(|u| u.to_string())),
            }
        }
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
