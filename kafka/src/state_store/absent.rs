//! In the place of the store if it is not built in (feature `scylla`): nobody can make one.

use std::time::Duration;

use super::{Changes, Claim, Rewrite, StateOwner, StoreError};

/// A store that nobody has.
#[derive(Clone, Debug)]
pub struct Store(());

/// Rows that nobody loads.
pub(crate) struct Load(());

/// What nobody writes.
pub(crate) struct WriteBehind(());

fn absent() -> StoreError {
    StoreError::Unusable("this binary was built without the store".to_owned())
}

impl Store {
    pub(crate) fn now_ms(&self) -> i64 {
        let Self(()) = self;
        0
    }

    pub(crate) fn claim(&self, owner: &StateOwner) -> Result<Option<Claim>, StoreError> {
        let (Self(()), StateOwner { app: _, label: _, generation: _, partition: _, key_groups: _ }) = (self, owner);
        Err(absent())
    }

    pub(crate) fn incarnation(&self) -> Result<String, StoreError> {
        let Self(()) = self;
        Err(absent())
    }

    pub(crate) fn load(&self, _: &StateOwner) -> Load {
        let Self(()) = self;
        Load(())
    }

    pub(crate) fn write_behind(&self, _: StateOwner, rewrite: Option<Rewrite>, _: Option<String>) -> WriteBehind {
        let Self(()) = self;
        drop(rewrite.map(|Rewrite { entries, claim }| (entries, claim)));
        WriteBehind(())
    }
}

impl Load {
    pub(crate) fn wait(self) -> Result<Changes, StoreError> {
        let Self(()) = self;
        Err(absent())
    }
}

impl WriteBehind {
    pub(crate) fn push(&self, _: Changes, _: Claim) {
        let Self(()) = self;
    }

    pub(crate) fn wait_for_room(&self, _: Duration) -> bool {
        let Self(()) = self;
        true
    }

    pub(crate) fn wait_until_written(&self, _: Duration) -> bool {
        let Self(()) = self;
        true
    }
}
