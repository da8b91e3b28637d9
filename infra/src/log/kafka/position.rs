//! How far an application is, for those who only look on.

use std::collections::BTreeMap;
use std::sync::Arc;

use metrics::Gauge;

use super::KafkaConfig;
use super::changelog::{Owner, Restored};
use super::reader::{Bounds, read_changelog};
use crate::log::LogError;

/// Position of the newest commit of `app` that reads this partition of a topic with `partitions`; 0 where it never ran. Reads a
/// partition of the changelog, and touches nobody's group.
pub(super) fn position(config: &Arc<KafkaConfig>, app: &str, partitions: u32, partition: u32) -> Result<u64, LogError> {
    let owner = Owner { generation: config.generation, partition, partitions };
    let changelog = config.changelog(app);
    let (commit_key, place) = owner.commit_key(config.changelog_partitions);
    let bounds = Bounds::committed(config)?.get(&changelog, place)?;
    let mut restored = Restored::default();
    read_changelog(config, &changelog, BTreeMap::from([(place, bounds)]), &Gauge::noop(), |key, value| {
        if key != commit_key {
            return Ok(());
        }
        let taken = restored.take(&owner, key, value);
        taken.map_err(|_| LogError::Unusable(format!("{changelog}: a record that is not of this version")))
    })?;
    Ok(restored.position.unwrap_or(0))
}
