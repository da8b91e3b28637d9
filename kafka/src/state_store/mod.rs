//! State beside the changelog: a copy in tables, from which a takeover restores without reading the whole changelog.
//!
//! The changelog decides, the store is a cache of it. A task writes what it has committed behind its commits, and last
//! of all a [`Claim`]: what the rows are known to hold, and from where the changelog has to be read on. [`claim`] says
//! when such a claim can be used, [`cql`] speaks to ScyllaDB and Cassandra.

pub(crate) mod claim;

#[cfg(not(feature = "scylla"))]
mod absent;
#[cfg(feature = "scylla")]
mod cql;

use std::collections::BTreeMap;
use std::path::PathBuf;

use logystera_schemas::limits::{KEYSPACE_CHARS_MAX, WRITE_BEHIND_BYTES_MAX};

pub(crate) use claim::Claim;

#[cfg(not(feature = "scylla"))]
pub use absent::Store;
#[cfg(not(feature = "scylla"))]
pub(crate) use absent::WriteBehind;
#[cfg(feature = "scylla")]
pub use cql::Store;
#[cfg(feature = "scylla")]
pub(crate) use cql::WriteBehind;

/// Where the store is.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreConfig {
    /// Addresses of some nodes, `host:port`.
    pub nodes: Vec<String>,
    /// The keyspace; created if it is not there.
    pub keyspace: String,
    /// Copies of each row, if the keyspace is created.
    pub replication: u32,
    /// The data centre that is asked, and that a created keyspace is in; any if it is none.
    pub local_datacenter: Option<String>,
    /// Name and password.
    pub credentials: Option<(String, String)>,
    /// Certificates that a node's has to be signed by, PEM; without TLS if it is none.
    pub tls_ca: Option<PathBuf>,
    /// Bytes that wait for the store in all tasks of the process before their input pauses.
    pub queue_bytes_max: usize,
}

impl StoreConfig {
    /// The settings of a new installation on these nodes.
    pub fn new(nodes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            nodes: nodes.into_iter().map(Into::into).collect(),
            keyspace: "logystera".to_owned(),
            replication: 3,
            local_datacenter: None,
            credentials: None,
            tls_ca: None,
            queue_bytes_max: WRITE_BEHIND_BYTES_MAX,
        }
    }
}

impl std::fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreConfig")
            .field("nodes", &self.nodes)
            .field("keyspace", &self.keyspace)
            .finish_non_exhaustive()
    }
}

/// Whether a keyspace may be called so: it stands in statements as it is.
pub fn is_keyspace(name: &str) -> bool {
    (1..=KEYSPACE_CHARS_MAX).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, or does not answer.
    #[error("the store is away: {0}")]
    Away(String),
    /// Its settings, or what is in it, cannot be used.
    #[error("{0}")]
    Unusable(String),
}

/// Whose state it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StateOwner {
    /// The application, with what stands before the names of the installation's topics.
    pub(crate) app: String,
    /// The same without it, as metrics name it.
    pub(crate) label: String,
    /// How often the input had grown.
    pub(crate) generation: u32,
    /// The input partition.
    pub(crate) partition: u32,
    /// The key groups that are its own.
    pub(crate) key_groups: Vec<u16>,
}

/// What became of a state entry: its new value, or none if it was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// Version of the commit that made it.
    pub(crate) version: u64,
    /// The value.
    pub(crate) value: Option<Vec<u8>>,
}

/// Changes by state key.
pub(crate) type Changes = BTreeMap<Vec<u8>, Change>;

/// Everything that an owner's rows have to be, in the place of whatever is there.
#[derive(Debug)]
pub(crate) struct Rewrite {
    /// The entries; none is a deletion.
    pub(crate) entries: std::sync::Arc<Changes>,
    /// What holds when they are written.
    pub(crate) claim: Claim,
}

/// A number as a gauge takes it.
#[expect(clippy::cast_precision_loss, reason = "bytes, records and milliseconds that are shown stay far below 2^53")]
pub(crate) fn shown(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_keyspaces_need_no_quotes() {
        for (name, is) in [
            ("logystera", true),
            ("a", true),
            ("eu_prod_2", true),
            ("", false),
            ("2a", false),
            ("_a", false),
            ("Prod", false),
            ("a b", false),
            ("a;", false),
            (&"a".repeat(KEYSPACE_CHARS_MAX), true),
            (&"a".repeat(KEYSPACE_CHARS_MAX + 1), false),
        ] {
            assert_eq!(is_keyspace(name), is, "{name:?}");
        }
    }

    #[test]
    fn the_password_is_not_shown() {
        let config = StoreConfig { credentials: Some(("me".into(), "s3cret".into())), ..StoreConfig::new(["a:1"]) };
        assert!(!format!("{config:?}").contains("s3cret"));
    }
}
