//! Addresses to listen on, in flags and in files.

use std::net::SocketAddr;

pub use logystera_infra::listen::parse;
use serde::{Deserialize, Deserializer};

/// Reads one of a file.
pub fn of_file<'de, D: Deserializer<'de>, A: From<SocketAddr>>(deserializer: D) -> Result<A, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).map(A::from).map_err(serde::de::Error::custom)
}
