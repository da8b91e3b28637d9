//! How far an application is, for those who only look on.

use std::collections::BTreeMap;
use std::sync::Arc;

use metrics::Gauge;

use super::KafkaConfig;
use super::changelog::{Committed, Owner, Restored};
use super::reader::{Bounds, read_changelog};
use crate::log::LogError;

/// The newest commit of an owner of `app`; position 0 where it never ran. Reads a partition of the changelog, and touches
/// nobody's group.
pub(super) fn committed(config: &Arc<KafkaConfig>, app: &str, owner: &Owner) -> Result<Committed, LogError> {
    let changelog = config.changelog(app);
    let (commit_key, place) = owner.commit_key(config.changelog_partitions);
    let bounds = Bounds::committed(config)?.get(&changelog, place)?;
    let mut restored = Restored::default();
    read_changelog(config, &changelog, BTreeMap::from([(place, bounds)]), &Gauge::noop(), |key, value| {
        if key != commit_key {
            return Ok(());
        }
        let taken = restored.take(owner, key, value);
        taken.map_err(|_| LogError::Unusable(format!("{changelog}: a record that is not of this version")))
    })?;
    Ok(restored.commit.unwrap_or_default())
}
