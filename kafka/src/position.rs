//! How far an application is, for a reader that takes no partition over.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use logystera_infra::log::LogError;
use logystera_schemas::partition::PartitionRef;
use metrics::Gauge;

use crate::bounds::Bounds;
use crate::changelog::{Committed, InChangelog, Restored};
use crate::config::KafkaConfig;
use crate::restore::read_changelog;

/// What is known of how far applications are: a second question reads only what has come since.
#[derive(Default)]
pub(crate) struct Positions {
    bounds: Mutex<Option<Bounds>>,
    /// By application, generation and partition.
    known: Mutex<BTreeMap<(String, u32, u32), Known>>,
}

/// The changelog's offset up to which was read, and the newest commit before it.
type Known = (u64, Committed);

impl std::fmt::Debug for Positions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Positions").finish_non_exhaustive()
    }
}

impl Positions {
    /// The newest commit of an owner of `app`; position 0 if it never ran. Reads a partition of the changelog, and
    /// touches nobody's group.
    pub(crate) fn committed(
        &self,
        config: &Arc<KafkaConfig>,
        app: &str,
        owner: &PartitionRef,
    ) -> Result<Committed, LogError> {
        let changelog = config.changelog(app);
        let (commit_key, place) = owner.commit_key(config.changelog_partitions);
        let there = {
            let mut bounds = self.bounds.lock().unwrap_or_else(PoisonError::into_inner);
            let open = match bounds.take() {
                Some(open) => open,
                None => Bounds::committed(config)?,
            };
            bounds.insert(open).get(&changelog, place)?
        };
        let name = (app.to_owned(), owner.generation.number, owner.partition);
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&name).copied();
        let (next, before) = known.unwrap_or_default();
        // A changelog that was made anew begins anew.
        let (next, before) = if next > there.end { (0, Committed::default()) } else { (next, before) };
        let mut restored = Restored::default();
        let range = next.max(there.start)..there.end;
        read_changelog(config, &changelog, BTreeMap::from([(place, range)]), &Gauge::noop(), |key, value| {
            if key != commit_key {
                return Ok(());
            }
            let taken = restored.take(owner, key, value);
            taken.map_err(|_| LogError::Unusable(format!("{changelog}: a record that is not of this version")))
        })?;
        let committed = restored.commit.unwrap_or(before);
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(name, (there.end, committed));
        Ok(committed)
    }
}
