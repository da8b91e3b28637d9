//! The log is put back to a backup: signals, configurations and all that was made of them are one file, and are again what they
//! were once. Senders keep what they know: what was acknowledged since will not come again by itself.

use std::sync::Arc;

use super::PutBack;
use super::backup::Backup;
use super::world::World;
use crate::input::{BatchIn, Input};

/// Batches that come again though they were answered: a proxy in between, or somebody who listened, tries them once more.
const AGAIN: u64 = 12;
/// Records of the backup, the newest, whose batches may be among them.
const AGAIN_OF_KEPT: usize = 60;

impl World {
    /// Makes the backup, or puts the log back to it.
    pub(super) fn back_up(&mut self, step: u64) {
        let Some(mut backup) = self.backup.take() else { return };
        if step == backup.made {
            backup.at = self.log.inputs.len();
        }
        if step < backup.needed {
            self.backup = Some(backup);
            return;
        }
        self.put_back(backup);
    }

    fn put_back(&mut self, backup: Backup) {
        let Backup { mut rng, at, .. } = backup;
        let lost = self.log.inputs.split_off(at);
        self.now += *rng.pick(&[0, 4_000, 59_000, 61_000, 600_000]);
        // Whoever starts it configures the sites as they shall be, or leaves what the backup has.
        if rng.chance(50) {
            (0..self.sites.len()).for_each(|site| self.configure(site));
        } else {
            (0..self.sites.len()).for_each(|site| self.unlearn(site));
        }
        if rng.chance(70) {
            self.tick();
        }
        let kept = &self.log.inputs[at.saturating_sub(AGAIN_OF_KEPT)..at];
        let batches: Vec<BatchIn> = kept
            .iter()
            .chain(&lost)
            .filter_map(|input| match input {
                Input::Batch(batch) => Some((**batch).clone()),
                _ => None,
            })
            .collect();
        for _ in 0..if batches.is_empty() { 0 } else { rng.below(AGAIN) } {
            let again = BatchIn { received_at: self.now, ..rng.pick(&batches).clone() };
            self.log.inputs.push(Input::Batch(Box::new(again)));
        }
        self.log.put_back = Some(PutBack { at, lost });
    }

    /// The site's rules are those that the log knows of.
    fn unlearn(&mut self, site: usize) {
        let site = &mut self.sites[site];
        let known = self.log.inputs.iter().rev().find_map(|input| match input {
            Input::Configured(configured) if configured.site == site.id => {
                Some((configured.digest, configured.semantics))
            }
            _ => None,
        });
        let Some((digest, semantics)) = known else { return };
        site.semantics = semantics;
        if let Some(rules) = self.log.bodies.iter().find(|body| body.digest == digest) {
            site.rules = Arc::clone(rules);
        }
    }
}
