//! In the place of the store where it is not built in (feature `scylla`): there is none.

use std::time::Duration;

use super::{Changes, Claim, Rewrite, StateOwner, StoreError};

/// A store that is never there.
#[derive(Clone, Debug)]
pub enum Store {}

/// Rows that are never loaded.
pub(crate) enum Load {}

/// What is never written.
pub(crate) enum WriteBehind {}

impl Store {
    pub(crate) fn now_ms(&self) -> i64 {
        match *self {}
    }

    pub(crate) fn claim(&self, _: &StateOwner) -> Result<Option<Claim>, StoreError> {
        match *self {}
    }

    pub(crate) fn load(&self, _: &StateOwner) -> Load {
        match *self {}
    }

    pub(crate) fn write_behind(&self, _: StateOwner, _: Option<Rewrite>) -> WriteBehind {
        match *self {}
    }
}

impl Load {
    pub(crate) fn wait(self) -> Result<Changes, StoreError> {
        match self {}
    }
}

impl WriteBehind {
    pub(crate) fn push(&self, _: Changes, _: Claim) {
        match *self {}
    }

    pub(crate) fn wait_for_room(&self, _: Duration) -> bool {
        match *self {}
    }

    pub(crate) fn wait_until_written(&self, _: Duration) -> bool {
        match *self {}
    }
}
